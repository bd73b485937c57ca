//! A store for Apache Kafka's own tools to judge: rolled segments, records of every shape, a recovery, commits.
//!
//! `BROOKLET_KAFKA_STORE=DIR` leaves it, closed, in the new directory DIR.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use brooklet::{
    Broker, Client, ConsumerConfig, ManualClock, OffsetAndMetadata, Offsets, Record, Timestamp, TopicConfig,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// How many records the topic `shapes` gets in each of two rounds.
const ROUND: i64 = 3_000;

fn produce(client: &Client, round: i64) {
    for n in 0..ROUND {
        let (key, value) = (format!("key {}", n % 97), "v".repeat(n as usize % 300));
        // Out of order, and sometimes the same.
        let at = Timestamp::from_millis(1_700_000_000_000 + round * 1_000_000 + (n * 7919) % 50_000);
        let record = Record::to("shapes").timestamp(at);
        let record = match n % 5 {
            0 => record.key(&key),
            1 => record.value(&value),
            2 => record.key("").value(""),
            3 => record.key(&key).value(&value).header("trace", "ä").header("trace", "").null_header("none"),
            _ => record.key(&key).value(&value),
        };
        if n % 50 == 0 {
            let batch = (0..20).map(|_| Record::to("batches").key(&key).value(&value));
            client.produce_all(batch).unwrap();
        }
        client.produce(record).unwrap();
    }
}

fn commit(client: &Client, group: &str) {
    let consumer =
        client.consumer(ConsumerConfig::new(group)).assign([("shapes", 0), ("shapes", 1)]).unwrap();
    for offset in 0..100 {
        let note = OffsetAndMetadata::new(offset, "é".repeat(offset as usize));
        consumer.commit_offsets(Offsets::from([(("shapes", 0), note)])).unwrap();
        consumer.commit_offsets(Offsets::from([(("shapes", 1), offset)])).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_store_with_all_that_this_version_writes_reads_back_after_a_recovery() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("BROOKLET_KAFKA_STORE").map(PathBuf::from);
    let dir = kept.unwrap_or_else(|| scratch.path().join("store"));
    {
        // On a manual clock, so that nothing is written while it is copied.
        let first = Broker::builder().clock(&ManualClock::new()).open(scratch.path().join("first")).unwrap();
        let small = TopicConfig::new().segment_bytes(16 << 10).index_interval_bytes(512);
        first.create_topic("shapes", small.clone().partitions(2)).unwrap();
        first.create_topic("batches", small.partitions(1)).unwrap();
        produce(first.client(), 0);
        commit(first.client(), "a group");
        // As it lies there while it is open: what a `kill -9` leaves.
        copy(&scratch.path().join("first"), &dir);
    }
    let broker = Broker::open(&dir).unwrap();
    assert!(!broker.recovery().clean);
    produce(broker.client(), 1);
    commit(broker.client(), "another group");
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("shapes").unwrap();
    let mut count = 0;
    while !consumer.is_caught_up().unwrap() {
        count += consumer.poll(Duration::ZERO).unwrap().len();
    }
    assert_eq!(count as i64, 2 * ROUND);
    broker.close().unwrap();
    let segments = fs::read_dir(dir.join("shapes-0")).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "log")
    });
    assert!(segments.count() > 5, "segments were rolled");
}
