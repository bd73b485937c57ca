//! Where rows keep their files, and what all of them do with a broker.

use brooklet::{Broker, ConsumerConfig, Record, TopicConfig};
use std::{
    hint::black_box,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

use crate::harness::rate;

pub const TOPIC: &str = "bench";

/// How many records a batch has.
pub const BATCH: usize = 1000;

/// A new directory that goes when it is dropped.
pub fn scratch() -> TempDir {
    let root = std::env::var_os("BROOKLET_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    tempfile::Builder::new().prefix("brooklet-bench-").tempdir_in(root).unwrap()
}

/// A broker with a topic of one partition.
pub fn open(dir: &Path, memory_maps: bool) -> Broker {
    let broker = Broker::builder().memory_maps(memory_maps).open(dir).unwrap();
    broker.ensure_topic(TOPIC, TopicConfig::new()).unwrap();
    broker
}

/// Produces records one a call, and gives how many a second.
pub fn append(broker: &Broker, count: usize, value: &[u8]) -> f64 {
    let begun = Instant::now();
    for n in 0..count as u64 {
        let key = black_box(n.to_be_bytes());
        black_box(broker.produce(Record::to(TOPIC).key(&key).value(black_box(value))).unwrap());
    }
    rate(count, begun)
}

/// Produces records in batches, and gives how many a second.
pub fn append_batches(broker: &Broker, count: usize, value: &[u8]) -> f64 {
    let begun = Instant::now();
    for batch in 0..(count / BATCH) as u64 {
        let first = batch * BATCH as u64;
        let keys: Vec<[u8; 8]> = (first..first + BATCH as u64).map(u64::to_be_bytes).collect();
        let records = keys.iter().map(|key| Record::to(TOPIC).key(key).value(black_box(value)));
        black_box(broker.produce_all(records).unwrap());
    }
    rate(count, begun)
}

/// Polls all records, and gives how many a second.
pub fn read(broker: &Broker, count: usize) -> f64 {
    let begun = Instant::now();
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).assign([(TOPIC, 0)]).unwrap();
    let (mut seen, mut bytes) = (0, 0);
    while seen < count {
        let records = consumer.poll(Duration::from_secs(10)).unwrap();
        assert!(!records.is_empty(), "{seen} of {count} records");
        for record in &records {
            bytes += record.key().map_or(0, <[u8]>::len) + record.value().map_or(0, <[u8]>::len);
            seen += 1;
        }
    }
    black_box(bytes);
    rate(count, begun)
}
