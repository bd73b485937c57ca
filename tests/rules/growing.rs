//! Topics get more partitions.

use crate::common::{
    Backend, assert_refused, committed, offsets, on_every_backend, put_numbers, reader, rest, topic, values,
    with_threads,
};
use brooklet::{ConsumerConfig, Error, Record};
use std::{thread, time::Duration};

on_every_backend![
    a_topic_gets_partitions_and_records_stay_where_they_are,
    a_number_of_partitions_only_grows,
    producers_use_new_partitions_at_once,
    who_is_subscribed_reads_new_partitions_and_goes_on_in_the_old_ones,
    who_is_assigned_reads_no_more_than_that,
    a_group_commits_for_new_partitions,
];

with_threads![a_poll_that_waits_reads_a_partition_that_comes_meanwhile,];

fn put_to(backend: &Backend, partition: i32, value: &str) -> i64 {
    backend.client().produce(Record::to("t").value(value).partition(partition)).unwrap().offset
}

fn a_topic_gets_partitions_and_records_stay_where_they_are(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let id = client.admin().describe_topic("t").unwrap().id;
    put_numbers(&client, "t", 5);
    client.admin().create_partitions("t", 4).unwrap();
    for n in 0..4 {
        assert_eq!(put_to(backend, n, "new"), if n == 0 { 5 } else { 0 });
    }
    for _ in 0..2 {
        let there = backend.client().admin().describe_topic("t").unwrap();
        assert_eq!((there.id, there.partitions.len()), (id, 4), "it is the same topic");
        let ends: Vec<i64> = there.partitions.iter().map(|partition| partition.high_watermark).collect();
        assert_eq!(ends, [6, 1, 1, 1]);
        assert_eq!(there.partitions.iter().map(|p| p.partition).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(rest(&mut reader(&backend.client(), "t")).len(), 9);
        backend.reopen();
    }
    backend.client().admin().create_partitions("t", 7).unwrap();
    backend.client().admin().delete_topic("t").unwrap();
    topic(&backend.client(), "t", 1);
    assert_refused!(
        backend.client().produce(Record::to("t").partition(1)),
        Error::UnknownTopicOrPartition { partition: Some(1), .. }
    );
}

fn a_number_of_partitions_only_grows(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    for total in [3, 2, 0, -1, i32::MIN, 100_001, i32::MAX] {
        assert_refused!(client.admin().create_partitions("t", total), Error::InvalidPartitions { topic, .. } if topic == "t");
    }
    assert_refused!(client.admin().create_partitions("nothing", 2), Error::UnknownTopicOrPartition { .. });
    client.consumer("g").subscribe("t").unwrap().commit_offsets([(("t", 0), 0)]).unwrap();
    assert_refused!(client.admin().create_partitions("__consumer_offsets", 99), Error::InvalidTopic { .. });
    assert_eq!(client.admin().describe_topic("t").unwrap().partitions.len(), 3);
}

fn producers_use_new_partitions_at_once(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    assert_refused!(client.produce(Record::to("t").partition(1)), Error::UnknownTopicOrPartition { .. });
    put_numbers(&client, "t", 3);
    client.admin().create_partitions("t", 8).unwrap();
    let keys: Vec<String> = (0..100).map(|n| n.to_string()).collect();
    let went = client.produce_all(keys.iter().map(|key| Record::to("t").key(key))).unwrap();
    for n in 0..8 {
        assert!(went.iter().any(|at| at.partition == n), "no key belongs to {n}");
    }
    for (key, at) in keys.iter().zip(&went) {
        assert_eq!(client.produce(Record::to("t").key(key)).unwrap().partition, at.partition);
    }
}

fn who_is_subscribed_reads_new_partitions_and_goes_on_in_the_old_ones(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 10);
    let mut consumer =
        client.consumer(ConsumerConfig::standalone().max_poll_records(4)).subscribe("t").unwrap();
    assert_eq!(
        offsets(&consumer.poll(Duration::ZERO).unwrap().into_iter().collect::<Vec<_>>()),
        [0, 1, 2, 3]
    );
    client.admin().create_partitions("t", 3).unwrap();
    put_to(backend, 2, "in the new one");
    let mut left = values(&rest(&mut consumer));
    left.sort();
    assert_eq!(left, ["4", "5", "6", "7", "8", "9", "in the new one"], "nothing twice, nothing left out");
    assert_eq!(consumer.assignment().len(), 3);
    client.admin().create_partitions("t", 4).unwrap();
    put_to(backend, 3, "and again");
    assert!(!consumer.is_caught_up().unwrap(), "it is asked before it has polled");
    assert_eq!(values(&rest(&mut consumer)), ["and again"]);
}

fn who_is_assigned_reads_no_more_than_that(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([("t", 0)]).unwrap();
    client.admin().create_partitions("t", 2).unwrap();
    put_to(backend, 1, "not this");
    put_to(backend, 0, "this");
    assert_eq!(values(&rest(&mut consumer)), ["this"]);
    assert!(consumer.poll(Duration::from_millis(1)).unwrap().is_empty(), "and waits as ever");
    assert_eq!(consumer.assignment(), [("t", 0).into()]);
}

fn a_poll_that_waits_reads_a_partition_that_comes_meanwhile(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = reader(&client, "t");
    for n in 1..10 {
        let waiting = thread::spawn(move || {
            let records: Vec<_> = consumer.poll(Duration::MAX).unwrap().into_iter().collect();
            (consumer, records)
        });
        client.admin().create_partitions("t", n + 1).unwrap();
        put_to(backend, n, "x");
        let (back, records) = waiting.join().unwrap();
        consumer = back;
        assert_eq!((records.len(), records[0].partition()), (1, n));
    }
}

fn a_group_commits_for_new_partitions(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    client.admin().create_partitions("t", 2).unwrap();
    put_to(backend, 1, "x");
    assert_eq!(rest(&mut consumer).len(), 1);
    consumer.commit_offset().unwrap();
    drop(consumer);
    backend.settle();
    backend.reopen();
    let mut consumer = backend.client().consumer("g").subscribe("t").unwrap();
    assert_eq!(committed(&consumer, "t", 1), Some(1));
    assert!(rest(&mut consumer).is_empty());
}
