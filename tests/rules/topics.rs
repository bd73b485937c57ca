//! Rules 11 and 21: topics come, go, and come again under the same name.

use crate::common::{
    Backend, assert_refused, committed, on_every_backend, put, put_numbers, reader, rest, topic, values,
};
use brooklet::{ConsumerConfig, Error, Offsets, Record, TopicConfig};
use std::time::Duration;

on_every_backend![
    rule_11_a_topic_made_again_has_a_new_id_and_none_of_the_old_records,
    rule_11_an_old_position_never_applies_to_a_new_topic,
    rule_11_a_deleted_topic_is_told_of_once_and_does_not_disturb_the_others,
    rule_11_each_deleted_topic_is_told_of,
    rule_11_offsets_of_an_old_topic_are_not_committed_for_a_new_one,
    rule_11_committed_offsets_go_with_their_topic,
    rule_11_committed_offsets_of_other_topics_stay,
    rule_21_names_that_no_topic_can_have_are_refused,
    rule_21_names_of_1_and_of_249_bytes_are_fine,
    rule_21_names_that_differ_by_dot_and_underscore_collide,
    topics_are_listed_and_described,
    a_deleted_topic_stays_deleted,
    what_is_not_there_cannot_be_described_deleted_read_or_written,
    the_topic_of_offsets_is_nobodys_to_make_or_delete,
    ensure_topic_is_fine_on_every_run_and_tells_a_difference,
    settings_out_of_range_are_refused_by_name,
    as_many_replicas_as_there_are_brokers_and_no_more,
];

fn rule_11_a_topic_made_again_has_a_new_id_and_none_of_the_old_records(backend: &mut Backend) {
    let client = backend.client();
    let mut ids = std::collections::BTreeSet::new();
    for round in 0..3 {
        ids.insert(client.create_topic("t", TopicConfig::new().partitions(2)).unwrap().to_string());
        assert_eq!(ids.len(), round + 1, "each has its own id");
        assert_eq!(put(&client, "t", &format!("round {round}")), 0, "offsets begin anew");
        assert_eq!(values(&rest(&mut reader(&client, "t"))), [format!("round {round}")]);
        client.admin().delete_topic("t").unwrap();
    }
    client.create_topic("t", TopicConfig::new()).unwrap();
    backend.reopen();
    assert!(rest(&mut reader(&backend.client(), "t")).is_empty());
}

fn rule_11_an_old_position_never_applies_to_a_new_topic(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    let mut of_a_group = client.consumer("g").subscribe("t").unwrap();
    let mut alone = reader(&client, "t");
    let mut assigned = client.consumer(ConsumerConfig::standalone()).assign([("t", 0)]).unwrap();
    for consumer in [&mut of_a_group, &mut alone, &mut assigned] {
        assert_eq!(rest(consumer).len(), 5);
    }
    of_a_group.commit_offset().unwrap();
    client.admin().delete_topic("t").unwrap();
    topic(&client, "t", 1);
    for n in 0..7 {
        put(&client, "t", &format!("new {n}"));
    }
    for consumer in [&mut of_a_group, &mut alone, &mut assigned] {
        assert_refused!(consumer.poll(Duration::ZERO), Error::UnknownTopicId { topic, .. } if topic == "t");
        let first = consumer.poll(Duration::ZERO).unwrap();
        assert_eq!(first.iter().map(|r| r.offset()).collect::<Vec<_>>(), (0..7).collect::<Vec<_>>());
    }
}

fn rule_11_a_deleted_topic_is_told_of_once_and_does_not_disturb_the_others(backend: &mut Backend) {
    let client = backend.client();
    for read_before in [true, false] {
        topic(&client, "gone", 2);
        put_numbers(&client, "gone", 3);
        client.ensure_topic("other", TopicConfig::new()).unwrap();
        let mut consumer = client.consumer("g").subscribe(["gone", "other"]).unwrap();
        if read_before {
            rest(&mut consumer);
        }
        client.admin().delete_topic("gone").unwrap();
        assert_refused!(consumer.poll(Duration::ZERO), Error::UnknownTopicId { topic, .. } if topic == "gone");
        for n in 0..3 {
            put(&client, "other", &n.to_string());
            assert_eq!(
                consumer.poll(Duration::ZERO).unwrap().iter().last().unwrap().value_str(),
                Ok(n.to_string().as_str())
            );
            assert!(consumer.poll(Duration::from_millis(1)).unwrap().is_empty());
            consumer.commit_offset().unwrap();
        }
        assert_eq!(consumer.assignment(), [("other", 0).into()]);
        assert_refused!(consumer.position(("gone", 0)), Error::UnknownTopicOrPartition { topic, .. } if topic == "gone");
        assert!(consumer.is_caught_up().unwrap());
        topic(&client, "gone", 1);
        put(&client, "gone", "anew");
        assert_eq!(values(&rest(&mut consumer)), ["anew"]);
        assert_eq!(consumer.assignment(), [("gone", 0).into(), ("other", 0).into()]);
        client.admin().delete_topic("gone").unwrap();
    }
}

fn rule_11_each_deleted_topic_is_told_of(backend: &mut Backend) {
    let client = backend.client();
    for name in ["a", "b", "c"] {
        topic(&client, name, 2);
    }
    let mut consumer = client.consumer("g").subscribe(["a", "b", "c"]).unwrap();
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    for name in ["a", "c"] {
        client.admin().delete_topic(name).unwrap();
    }
    let mut told = Vec::new();
    for _ in 0..4 {
        if let Err(Error::UnknownTopicId { topic, .. }) = consumer.poll(Duration::ZERO) {
            told.push(topic);
        }
    }
    told.sort();
    assert_eq!(told, ["a", "c"]);
    client.admin().delete_topic("b").unwrap();
    assert_refused!(consumer.poll(Duration::ZERO), Error::UnknownTopicId { .. });
    assert!(consumer.poll(Duration::from_millis(1)).unwrap().is_empty(), "there is nothing left to read");
    if backend.is_virtual() {
        assert_refused!(consumer.poll(Duration::MAX), Error::Timeout);
    }
}

fn rule_11_offsets_of_an_old_topic_are_not_committed_for_a_new_one(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    let config = ConsumerConfig::new("auto").enable_auto_commit(true).auto_commit_interval(Duration::ZERO);
    let mut automatic = client.consumer(config).subscribe("t").unwrap();
    let mut by_hand = client.consumer("g").subscribe("t").unwrap();
    automatic.poll(Duration::ZERO).unwrap();
    let old = by_hand.poll(Duration::ZERO).unwrap();
    client.admin().delete_topic("t").unwrap();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    assert_refused!(by_hand.commit_offset(), Error::UnknownTopicId { topic, .. } if topic == "t");
    assert_refused!(by_hand.commit_offsets(&old), Error::UnknownTopicId { .. });
    for consumer in [&mut automatic, &mut by_hand] {
        assert_refused!(consumer.poll(Duration::ZERO), Error::UnknownTopicId { .. });
        assert_eq!(committed(consumer, "t", 0), None);
        assert_eq!(rest(consumer).len(), 5, "from the new topic's start");
    }
    automatic.close().unwrap();
    by_hand.commit_offset().unwrap();
    assert_eq!(committed(&by_hand, "t", 0), Some(5));
    let automatic = client.consumer("auto").subscribe("t").unwrap();
    assert_eq!(committed(&automatic, "t", 0), Some(5));
}

fn rule_11_committed_offsets_go_with_their_topic(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    for group in ["a", "b"] {
        let mut consumer = client.consumer(group).subscribe("t").unwrap();
        rest(&mut consumer);
        consumer.commit_offset().unwrap();
    }
    client.admin().delete_topic("t").unwrap();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 9);
    for _ in 0..2 {
        for group in ["a", "b"] {
            let mut consumer = backend.client().consumer(group).subscribe("t").unwrap();
            assert_eq!(committed(&consumer, "t", 0), None, "{group}");
            assert_eq!(rest(&mut consumer).len(), 9, "{group} begins at the new topic's start");
        }
        backend.reopen();
    }
}

fn rule_11_committed_offsets_of_other_topics_stay(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    topic(&client, "t-0", 1);
    let consumer = client.consumer("g").subscribe(["t", "t-0"]).unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), 1), (("t-0", 0), 2)])).unwrap();
    consumer.close().unwrap();
    client.admin().delete_topic("t").unwrap();
    for _ in 0..2 {
        let consumer = backend.client().consumer("g").subscribe("t-0").unwrap();
        assert_eq!(committed(&consumer, "t-0", 0), Some(2));
        drop(consumer);
        backend.reopen();
    }
}

fn rule_21_names_that_no_topic_can_have_are_refused(backend: &mut Backend) {
    let client = backend.client();
    let long = "x".repeat(250);
    for name in ["", ".", "..", "a b", "a/b", "ä", "a\0", "a:b", "../x", &long] {
        assert_refused!(client.create_topic(name, TopicConfig::new()), Error::InvalidTopic { topic, .. } if topic == name);
    }
    assert!(client.admin().list_topics().unwrap().is_empty());
}

fn rule_21_names_of_1_and_of_249_bytes_are_fine(backend: &mut Backend) {
    let client = backend.client();
    let names = ["x".repeat(249), "x".to_owned(), "...".to_owned(), "A-Z_a.z09".to_owned()];
    for name in &names {
        topic(&client, name, 1);
        assert_eq!(put(&client, name, name), 0);
    }
    backend.reopen();
    for name in &names {
        assert_eq!(values(&rest(&mut reader(&backend.client(), name))), [name.as_str()]);
    }
}

fn rule_21_names_that_differ_by_dot_and_underscore_collide(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "a.b", 1);
    assert_refused!(client.create_topic("a_b", TopicConfig::new()), Error::InvalidTopic { .. });
    topic(&client, "a-b", 1);
    client.admin().delete_topic("a.b").unwrap();
    topic(&client, "a_b", 1);
}

fn topics_are_listed_and_described(backend: &mut Backend) {
    let client = backend.client();
    let id = client.create_topic("b", TopicConfig::new().partitions(3).segment_bytes(4096)).unwrap();
    topic(&client, "a", 1);
    client.produce(Record::to("b").value("x").partition(2)).unwrap();
    client.consumer("g").subscribe("b").unwrap().commit_offsets(Offsets::from([(("b", 2), 1)])).unwrap();
    for _ in 0..2 {
        let admin = backend.client().admin();
        assert_eq!(admin.list_topics().unwrap(), ["a", "b"], "sorted, without internal ones");
        let described = admin.describe_topic("b").unwrap();
        assert_eq!((described.name.as_str(), described.id), ("b", id));
        assert_eq!(described.config.get("segment.bytes"), Some("4096"));
        let partitions: Vec<_> = described
            .partitions
            .iter()
            .map(|p| (p.partition, p.log_start_offset, p.high_watermark))
            .collect();
        assert_eq!(partitions, [(0, 0, 0), (1, 0, 0), (2, 0, 1)]);
        backend.reopen();
    }
}

fn a_deleted_topic_stays_deleted(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    topic(&client, "other", 1);
    put(&client, "t", "x");
    put(&client, "other", "kept");
    client.admin().delete_topic("t").unwrap();
    backend.reopen();
    assert_eq!(backend.client().admin().list_topics().unwrap(), ["other"]);
    assert_eq!(values(&rest(&mut reader(&backend.client(), "other"))), ["kept"]);
}

fn what_is_not_there_cannot_be_described_deleted_read_or_written(backend: &mut Backend) {
    let client = backend.client();
    let admin = client.admin();
    assert_refused!(admin.describe_topic("t"), Error::UnknownTopicOrPartition { topic, .. } if topic == "t");
    assert_refused!(admin.delete_topic("t"), Error::UnknownTopicOrPartition { .. });
    assert_refused!(client.produce(Record::to("t").value("x")), Error::UnknownTopicOrPartition { .. });
    let standalone = client.consumer(ConsumerConfig::standalone());
    assert_refused!(standalone.subscribe("t"), Error::UnknownTopicOrPartition { .. });
    topic(&client, "t", 2);
    for partition in [-1, 2, i32::MAX] {
        let here = Some(partition);
        let produced = client.produce(Record::to("t").value("x").partition(partition));
        assert_refused!(produced, Error::UnknownTopicOrPartition { partition, .. } if *partition == here);
        let assigned = client.consumer(ConsumerConfig::standalone()).assign([("t", partition)]);
        assert_refused!(assigned, Error::UnknownTopicOrPartition { partition, .. } if *partition == here);
        let consumer = client.consumer("g").assign([("t", 0)]).unwrap();
        let commit = consumer.commit_offsets(Offsets::from([(("t", partition), 1)]));
        assert_refused!(commit, Error::UnknownTopicOrPartition { partition, .. } if *partition == here);
    }
}

fn the_topic_of_offsets_is_nobodys_to_make_or_delete(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    assert_refused!(
        client.create_topic("__consumer_offsets", TopicConfig::new()),
        Error::InvalidTopic { .. }
    );
    client.consumer("g").subscribe("t").unwrap().commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
    assert_refused!(client.admin().delete_topic("__consumer_offsets"), Error::InvalidTopic { .. });
    assert_refused!(
        client.create_topic("__consumer_offsets", TopicConfig::new()),
        Error::InvalidTopic { .. }
    );
}

fn ensure_topic_is_fine_on_every_run_and_tells_a_difference(backend: &mut Backend) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        let config = TopicConfig::new().partitions(3).segment_bytes(1 << 20);
        ids.push(backend.client().ensure_topic("t", config).unwrap());
        backend.reopen();
    }
    assert_eq!(ids, [ids[0]; 3]);
    let client = backend.client();
    assert_eq!(
        client.ensure_topic("t", TopicConfig::new()).unwrap(),
        ids[0],
        "what is not set does not count"
    );
    assert_refused!(client.create_topic("t", TopicConfig::new()), Error::TopicAlreadyExists { topic, .. } if topic == "t");
    let different = [
        (TopicConfig::new().partitions(4), "num.partitions"),
        (TopicConfig::new().segment_bytes(4096), "segment.bytes"),
        (TopicConfig::new().max_message_bytes(100), "max.message.bytes"),
        (TopicConfig::new().retention_time(Duration::MAX), "retention.ms"),
    ];
    for (config, name) in different {
        assert_refused!(client.ensure_topic("t", config), Error::InvalidConfig { key, .. } if key == name);
    }
    assert_refused!(client.ensure_topic("a/b", TopicConfig::new()), Error::InvalidTopic { .. });
}

fn settings_out_of_range_are_refused_by_name(backend: &mut Backend) {
    let client = backend.client();
    let topics = [
        (TopicConfig::new().partitions(0), "num.partitions"),
        (TopicConfig::new().partitions(-1), "num.partitions"),
        (TopicConfig::new().partitions(i32::MAX), "num.partitions"),
        (TopicConfig::new().segment_bytes(1023), "segment.bytes"),
        (TopicConfig::new().max_message_bytes(0), "max.message.bytes"),
    ];
    for (config, name) in topics {
        assert_refused!(client.create_topic("t", config.clone()), Error::InvalidConfig { key, .. } if key == name);
        assert_refused!(client.ensure_topic("t", config), Error::InvalidConfig { key, .. } if key == name);
    }
    assert!(client.admin().list_topics().unwrap().is_empty());
    topic(&client, "t", 1);
    let consumers = [
        (ConsumerConfig::new("g").max_poll_records(0), "max.poll.records"),
        (ConsumerConfig::new("g").fetch_min_bytes(0), "fetch.min.bytes"),
        (ConsumerConfig::new("g").fetch_max_bytes(0), "fetch.max.bytes"),
        (ConsumerConfig::new("g").max_partition_fetch_bytes(0), "max.partition.fetch.bytes"),
    ];
    for (config, name) in consumers {
        assert_refused!(client.consumer(config.clone()).subscribe("t"), Error::InvalidConfig { key, .. } if key == name);
        assert_refused!(client.consumer(config).assign([("t", 0)]), Error::InvalidConfig { key, .. } if key == name);
    }
    let long = "g".repeat(32_768);
    for group in ["", &long] {
        assert_refused!(client.consumer(group).subscribe("t"), Error::InvalidGroupId { .. });
    }
    assert_refused!(client.consumer("g").subscribe(Vec::<String>::new()), Error::IllegalState(_));
}

fn as_many_replicas_as_there_are_brokers_and_no_more(backend: &mut Backend) {
    let client = backend.client();
    let brokers = backend.brokers();
    for wrong in [0, brokers + 1, i16::MAX] {
        match client.create_topic("t", TopicConfig::new().replication_factor(wrong)) {
            Err(Error::InvalidReplicationFactor { replication_factor, .. }) => {
                assert_eq!(replication_factor, wrong)
            }
            other => panic!("{other:?}"),
        }
    }
    client.create_topic("t", TopicConfig::new().replication_factor(brokers).min_insync_replicas(1)).unwrap();
}
