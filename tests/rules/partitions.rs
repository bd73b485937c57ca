//! Which partition a record goes to, and the order in it.

use crate::common::{Backend, offsets, on_every_backend, put, reader, rest, topic, values};
use brooklet::{Client, ConsumerConfig, Record};
use std::collections::{BTreeMap, BTreeSet};

on_every_backend![
    a_key_goes_to_the_partition_that_kafka_hashes_it_to,
    an_empty_key_is_a_key,
    records_of_one_key_stay_in_order,
    a_chosen_partition_wins_over_the_key,
    without_a_key_records_stick_to_a_partition_for_a_batch_and_move_on,
    each_partition_counts_its_own_offsets_in_order,
    an_assigned_consumer_reads_its_partitions_only,
];

/// Keys and what Kafka's murmur2 makes of them.
const MURMUR2: &[(&str, i32)] = &[
    ("", 275_646_681),
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("abc", 479_470_107),
    ("a-little-bit-long-string", -985_981_536),
];

fn went_to(client: &Client, record: Record<'_>) -> i32 {
    client.produce(record).unwrap().partition
}

fn a_key_goes_to_the_partition_that_kafka_hashes_it_to(backend: &mut Backend) {
    let client = backend.client();
    for partitions in [1, 2, 3, 7, 50] {
        let name = format!("t{partitions}");
        topic(&client, &name, partitions);
        for (key, hash) in MURMUR2 {
            let expected = (hash & i32::MAX) % partitions;
            assert_eq!(went_to(&client, Record::to(&name).key(key)), expected, "{key:?} of {partitions}");
            let together =
                client.produce_all([Record::to(&name).key(key), Record::to(&name).key(key)]).unwrap();
            assert!(together.iter().all(|at| at.partition == expected), "{key:?} of {partitions}");
        }
    }
}

fn an_empty_key_is_a_key(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 10);
    let large = "x".repeat(20_000);
    let partitions: BTreeSet<i32> =
        (0..20).map(|_| went_to(&client, Record::to("t").key("").value(&large))).collect();
    assert_eq!(partitions, BTreeSet::from([275_646_681 % 10]));
}

fn records_of_one_key_stay_in_order(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 4);
    for n in 0..200 {
        client.produce(Record::to("t").key(&format!("key {}", n % 11)).value(&n.to_string())).unwrap();
    }
    let mut by_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for record in rest(&mut reader(&client, "t")) {
        let number = record.value_str().unwrap().parse().unwrap();
        by_key.entry(record.key_str().unwrap().to_owned()).or_default().push(number);
    }
    assert_eq!(by_key.len(), 11);
    assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), 200);
    assert!(by_key.values().all(|numbers| numbers.is_sorted()), "{by_key:?}");
}

fn a_chosen_partition_wins_over_the_key(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 5);
    for partition in 0..5 {
        assert_eq!(went_to(&client, Record::to("t").key("abc").partition(partition)), partition);
    }
}

fn without_a_key_records_stick_to_a_partition_for_a_batch_and_move_on(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 10);
    let value = "x".repeat(1000);
    let went: Vec<i32> = (0..320).map(|_| went_to(&client, Record::to("t").value(&value))).collect();
    let runs: Vec<usize> = went.chunk_by(|a, b| a == b).map(<[i32]>::len).collect();
    assert!(runs.len() >= 10, "it moves on: {runs:?}");
    assert!(runs.iter().rev().skip(1).all(|run| (15..=18).contains(run)), "after about 16 KiB: {runs:?}");
    assert!(went.iter().collect::<BTreeSet<_>>().len() > 3, "to all kinds of partitions: {went:?}");
}

fn each_partition_counts_its_own_offsets_in_order(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    for n in 0..90 {
        let at = client.produce(Record::to("t").value(&n.to_string()).partition(n % 3)).unwrap();
        assert_eq!((at.partition, at.offset), (n % 3, i64::from(n / 3)));
    }
    for partition in 0..3 {
        let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([("t", partition)]).unwrap();
        let records = rest(&mut consumer);
        assert_eq!(offsets(&records), (0..30).collect::<Vec<_>>());
        let expected: Vec<_> = (0..30).map(|n| (n * 3 + partition).to_string()).collect();
        assert_eq!(values(&records), expected);
    }
}

fn an_assigned_consumer_reads_its_partitions_only(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "a", 3);
    topic(&client, "b", 2);
    for (name, partition) in [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("b", 1)] {
        let value = format!("{name}{partition}");
        client.produce(Record::to(name).value(&value).partition(partition)).unwrap();
    }
    let mut consumer =
        client.consumer(ConsumerConfig::standalone()).assign([("b", 1), ("a", 2), ("a", 0)]).unwrap();
    let assigned: Vec<String> = consumer.assignment().iter().map(ToString::to_string).collect();
    assert_eq!(assigned, ["a-0", "a-2", "b-1"]);
    assert_eq!(values(&rest(&mut consumer)), ["a0", "a2", "b1"]);
    put(&client, "b", "of another partition");
    assert!(rest(&mut consumer).is_empty());
    assert_eq!(values(&rest(&mut reader(&client, "a"))), ["a0", "a1", "a2"]);
}
