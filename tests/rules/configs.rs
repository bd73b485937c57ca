//! Settings of topics that are in use are altered.

use crate::common::{Backend, assert_refused, on_every_backend, put, put_numbers, read_all, topic};
use brooklet::{CleanupPolicy, Durability, Error, OffsetSpec, Record, Timestamp, TimestampType, TopicConfig};
use std::time::Duration;

on_every_backend![
    what_is_set_is_altered_and_the_rest_stays,
    what_cannot_be_is_refused_and_alters_nothing,
    limits_hold_from_the_next_append_on,
    what_is_kept_goes_by_the_new_settings,
    a_topic_can_promise_flushed_records_later_and_its_end_does_not_go_back,
    timestamps_and_keys_are_looked_at_as_the_topic_says_now,
];

fn alter(backend: &Backend, config: TopicConfig) {
    backend.client().admin().alter_configs("t", config).unwrap();
}

fn get(backend: &Backend, key: &str) -> String {
    backend.client().admin().describe_configs("t").unwrap().get(key).unwrap().to_owned()
}

fn what_is_set_is_altered_and_the_rest_stays(backend: &mut Backend) {
    let config = TopicConfig::new().partitions(2).segment_bytes(2048).retention_bytes(9000);
    backend.client().create_topic("t", config.clone()).unwrap();
    assert_eq!(get(backend, "max.message.bytes"), "1048588", "a default");
    alter(backend, TopicConfig::new().segment_bytes(4096).max_message_bytes(500));
    alter(backend, TopicConfig::new());
    alter(backend, TopicConfig::new().partitions(2).segment_time(Duration::from_secs(1)));
    for _ in 0..2 {
        let values = ["segment.bytes", "retention.bytes", "max.message.bytes", "segment.ms", "flush.ms"];
        assert_eq!(values.map(|key| get(backend, key)), ["4096", "9000", "500", "1000", "1000"]);
        let client = backend.client();
        assert_refused!(client.ensure_topic("t", config.clone()), Error::InvalidConfig { key, .. } if key == "segment.bytes");
        client.ensure_topic("t", TopicConfig::new().segment_bytes(4096)).unwrap();
        backend.reopen();
    }
}

fn what_cannot_be_is_refused_and_alters_nothing(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let refused = [
        (TopicConfig::new().max_message_bytes(100).segment_bytes(1), "segment.bytes"),
        (TopicConfig::new().max_message_bytes(100).partitions(3), "num.partitions"),
        (TopicConfig::new().max_message_bytes(100).partitions(0), "num.partitions"),
        (TopicConfig::new().max_message_bytes(1), "max.message.bytes"),
    ];
    for (config, name) in refused {
        assert_refused!(client.admin().alter_configs("t", config), Error::InvalidConfig { key, .. } if key == name);
    }
    assert_eq!(get(backend, "max.message.bytes"), "1048588");
    assert_refused!(
        client.admin().alter_configs("u", TopicConfig::new()),
        Error::UnknownTopicOrPartition { .. }
    );
    assert_refused!(client.admin().describe_configs("u"), Error::UnknownTopicOrPartition { .. });
    client.consumer("g").subscribe("t").unwrap().commit_offsets([(("t", 0), 0)]).unwrap();
    let internal = client.admin().alter_configs("__consumer_offsets", TopicConfig::new());
    assert_refused!(internal, Error::InvalidTopic { .. });
}

fn limits_hold_from_the_next_append_on(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let large = "x".repeat(2000);
    put(&client, "t", &large);
    alter(backend, TopicConfig::new().max_message_bytes(1000));
    assert_refused!(
        client.produce(Record::to("t").value(&large)),
        Error::MessageTooLarge { limit: 1000, .. }
    );
    alter(backend, TopicConfig::new().max_message_bytes(1 << 20).segment_bytes(1024));
    assert_refused!(
        client.produce(Record::to("t").value(&large)),
        Error::RecordListTooLarge { limit: 1024, .. }
    );
    alter(backend, TopicConfig::new().segment_bytes(1 << 21));
    put(&client, "t", &"y".repeat(1 << 19));
    assert_eq!(read_all(&client, "t").len(), 2);
    // A segment that was begun small goes on beyond its first size.
    alter(backend, TopicConfig::new().segment_bytes(1024));
    put(&client, "t", "small");
    alter(backend, TopicConfig::new().segment_bytes(1 << 21));
    for _ in 0..3 {
        put(&client, "t", &large);
    }
    backend.reopen();
    assert_eq!(read_all(&backend.client(), "t").len(), 6);
}

fn what_is_kept_goes_by_the_new_settings(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 50);
    alter(backend, TopicConfig::new().segment_bytes(1024));
    put_numbers(&client, "t", 50);
    backend.apply_retention();
    assert_eq!(read_all(&client, "t").len(), 100);
    alter(backend, TopicConfig::new().retention_bytes(2000));
    backend.apply_retention();
    let left = read_all(&client, "t").len();
    assert!((10..50).contains(&left), "{left}");
    alter(backend, TopicConfig::new().retention_bytes(0).cleanup_policy(CleanupPolicy::None));
    backend.apply_retention();
    assert_eq!(read_all(&client, "t").len(), left, "nothing is deleted any more");
}

fn a_topic_can_promise_flushed_records_later_and_its_end_does_not_go_back(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 10);
    let reader = client.consumer("g").assign([("t", 0)]).unwrap();
    assert_eq!(reader.offset(("t", 0), OffsetSpec::Latest).unwrap(), Some(10));
    alter(backend, TopicConfig::new().durability(Durability::Flushed));
    assert_eq!(reader.offset(("t", 0), OffsetSpec::Latest).unwrap(), Some(10));
    assert_eq!(client.produce(Record::to("t")).unwrap().durability, Durability::Flushed);
    alter(backend, TopicConfig::new().durability(Durability::Buffered));
    assert_eq!(client.produce(Record::to("t")).unwrap().durability, Durability::Buffered);
    assert_eq!(reader.offset(("t", 0), OffsetSpec::Latest).unwrap(), Some(12));
    alter(backend, TopicConfig::new().flush_messages(2));
    let all: Vec<Durability> = (0..4).map(|_| client.produce(Record::to("t")).unwrap().durability).collect();
    assert!(all.contains(&Durability::Flushed), "{all:?}");
}

fn timestamps_and_keys_are_looked_at_as_the_topic_says_now(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let old = Timestamp::from_millis(5);
    assert_eq!(client.produce(Record::to("t").timestamp(old)).unwrap().timestamp, old);
    alter(backend, TopicConfig::new().timestamp_type(TimestampType::LogAppendTime));
    assert_ne!(client.produce(Record::to("t").timestamp(old)).unwrap().timestamp, old);
    alter(backend, TopicConfig::new().cleanup_policy(CleanupPolicy::Compact));
    assert_refused!(client.produce(Record::to("t")), Error::InvalidRecord(_));
    client.produce(Record::to("t").key("a")).unwrap();
    backend.reopen();
    assert_refused!(backend.client().produce(Record::to("t")), Error::InvalidRecord(_));
    assert_eq!(read_all(&backend.client(), "t").len(), 3);
}
