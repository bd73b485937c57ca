//! Opening large stores and many partitions: in a process of its own each time, so that nothing is warm but the page
//! cache.

use crate::{
    harness::{Bench, Unit},
    raw, start,
    store::{self, TOPIC, scratch},
};
use brooklet::{Broker, Record, TopicConfig};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const GIB: usize = 1 << 30;
const PARTITIONS: i32 = 1000;
const MANY: usize = 10_000_000;

pub fn run(bench: &mut Bench) {
    let bytes = bench.scaled(GIB);
    if bench.wants("open 1 GiB, clean") {
        let dir = scratch();
        let broker = fill(&dir.path().join("store"), bytes);
        broker.close().unwrap();
        let raw = || reading(&logs(dir.path()), 1 << 16);
        let brooklet = || {
            let (took, broker) = opening(&dir.path().join("store"));
            broker.close().unwrap();
            took
        };
        bench.compare("open 1 GiB, clean", (Unit::Seconds, "<= 10 ms", 7), raw, brooklet);
    }
    if bench.wants("open 1 GiB, killed, nothing flushed") {
        let pairs: Vec<_> = (0..bench.runs(3)).map(|_| killed(bytes)).collect();
        bench.row("open 1 GiB, killed, nothing flushed", Unit::Seconds, "<= 1 s", &pairs);
    }
    if bench.wants("memory, 1000 partitions with a record each") {
        let used = |mode: &str| start::said(mode, &scratch().path().join("store")).parse::<f64>().unwrap();
        let pairs: Vec<_> = (0..bench.runs(3)).map(|_| (used("idle-memory"), used("memory"))).collect();
        bench.row("memory, 1000 partitions with a record each", Unit::Bytes, "", &pairs);
    }
    if bench.wants("memory, 10 M records, beyond mapped pages") {
        let used = |mode: &str| start::said(mode, &scratch().path().join("store")).parse::<f64>().unwrap();
        let pairs = [(used("idle-heap"), used("heap"))];
        bench.row("memory, 10 M records, beyond mapped pages", Unit::Bytes, "<= 10 MiB", &pairs);
    }
}

/// A store with so many bytes of log, in batches of 1000 records of 1 KiB.
pub fn fill(dir: &Path, bytes: usize) -> Broker {
    let broker = Broker::open(dir).unwrap();
    let forever = Duration::MAX;
    let config =
        TopicConfig::new().flush_interval(forever).max_message_bytes(2 << 20).segment_bytes(256 << 20);
    broker.ensure_topic(TOPIC, config).unwrap();
    let value = [b'v'; 1024];
    for _ in 0..bytes / (1000 * value.len()) {
        broker.produce_all((0..1000).map(|_| Record::to(TOPIC).value(&value))).unwrap();
    }
    broker
}

fn logs(dir: &Path) -> Vec<PathBuf> {
    let partition = dir.join("store").join(format!("{TOPIC}-0"));
    let files = std::fs::read_dir(partition).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

/// The seconds that it takes to read files with CRC-32C, `most` bytes of each.
fn reading(files: &[PathBuf], most: usize) -> f64 {
    let begun = Instant::now();
    files.iter().for_each(|file| raw::checksum(file, most));
    begun.elapsed().as_secs_f64()
}

fn opening(dir: &Path) -> (f64, Broker) {
    let begun = Instant::now();
    let broker = Broker::open(dir).unwrap();
    (begun.elapsed().as_secs_f64(), broker)
}

/// Opens a store whose process was killed before anything was flushed.
fn killed(bytes: usize) -> (f64, f64) {
    let dir = scratch();
    start::killed("fill", &dir.path().join("store"), bytes);
    let raw = reading(&logs(dir.path()), usize::MAX);
    let (took, broker) = opening(&dir.path().join("store"));
    assert!(!broker.recovery().clean && broker.recovery().bytes_scanned as usize >= bytes / 8);
    (raw, took)
}

/// What this process has in memory, in bytes, with a broker of many partitions or without.
pub fn memory(dir: &Path, partitions: bool) -> (Option<Broker>, u64) {
    let broker = partitions.then(|| {
        let broker = Broker::open(dir).unwrap();
        broker.ensure_topic(TOPIC, TopicConfig::new().partitions(PARTITIONS)).unwrap();
        for partition in 0..PARTITIONS {
            broker.produce(Record::to(TOPIC).partition(partition).value("v")).unwrap();
        }
        broker
    });
    (broker, resident("VmRSS"))
}

/// What this process has in memory that is no file's, in bytes, with a broker that has written many records and read them, or
/// without.
pub fn heap(dir: &Path, records: bool) -> (Option<Broker>, u64) {
    let broker = records.then(|| {
        let broker = store::open(dir, true);
        store::append_batches(&broker, MANY, &[b'v'; 100]);
        store::read(&broker, MANY);
        broker
    });
    (broker, resident("RssAnon"))
}

/// A line of what the system says of this process, in bytes.
fn resident(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}
