//! A store, and all that was put into it.

use super::Files;
use crate::{
    Broker, CleanupPolicy, Compression, ConsumerConfig, ManualClock, Record, TopicConfig,
    env::SimDisk,
    record::{Batch, BatchHeader, RecordRef},
    types::{Durability, Offsets, Timestamp},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

/// What is committed for partition 0 of the topic `t`, one after the other.
pub(super) const COMMITTED: [i64; 2] = [3, 11];

/// A record as an application knows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content {
    pub(super) timestamp: Timestamp,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

#[derive(Debug)]
pub(super) struct Known {
    /// Of the store, closed or as a process leaves them that is killed.
    pub(super) files: Files,
    /// By topic, partition and offset.
    pub(super) records: BTreeMap<(String, i32, i64), Content>,
    pub(super) contents: BTreeSet<Content>,
    /// What the checksums of its batches cover.
    sealed: BTreeSet<Vec<u8>>,
}

thread_local! {
    static KNOWN: [Rc<Known>; 2] = [false, true].map(|killed| Rc::new(Known::new(killed)));
}

impl Known {
    /// The store, made once.
    pub(super) fn of(killed: bool) -> Rc<Self> {
        KNOWN.with(|known| Rc::clone(&known[usize::from(killed)]))
    }

    fn new(killed: bool) -> Self {
        let disk = SimDisk::new(0);
        let mut records = BTreeMap::new();
        for session in 0..2 {
            let broker = Broker::builder().disk(&disk).clock(&ManualClock::new()).open("data").unwrap();
            fill(&broker, session, &mut records);
            if killed && session > 0 {
                break;
            }
            broker.close().unwrap();
        }
        let files = disk.files();
        let sealed =
            files.values().flat_map(|bytes| batches(bytes)).map(|batch| seal(batch).to_vec()).collect();
        // What groups have noted may come to where an application reads it.
        let of_groups =
            files.iter().filter(|(path, _)| path.to_string_lossy().contains("__consumer_offsets"));
        let noted = of_groups.flat_map(|(_, bytes)| batches(bytes)).flat_map(contents_of);
        let contents = records.values().cloned().chain(noted).collect();
        Self { files, records, contents, sealed }
    }

    /// Whether there is a batch with a right checksum that the store never had.
    pub(super) fn is_forged(&self, files: &Files) -> bool {
        let changed = files.iter().filter(|(path, bytes)| self.files.get(*path) != Some(bytes));
        changed
            .into_iter()
            .flat_map(|(_, bytes)| batches(bytes))
            .any(|batch| !self.sealed.contains(seal(batch)))
    }
}

/// Whatever is a batch, at any place.
fn batches(bytes: &[u8]) -> impl Iterator<Item = Batch<'_>> {
    let is_header = |at: &usize| BatchHeader::parse(&bytes[*at..]).is_ok();
    let batch = |at: usize| Batch::check(&bytes[at..]).ok();
    let starts = (0..bytes.len()).filter(|at| bytes.get(at + 16) == Some(&2)).filter(is_header);
    starts.filter_map(batch)
}

/// What a batch's checksum covers: all behind it.
fn seal(batch: Batch<'_>) -> &[u8] {
    &batch.bytes()[21..]
}

fn contents_of(batch: Batch<'_>) -> Vec<Content> {
    let content = |record: RecordRef<'_>| Content {
        timestamp: record.timestamp,
        key: record.key.map(<[u8]>::to_vec),
        value: record.value.map(<[u8]>::to_vec),
        headers: Vec::new(),
    };
    batch.records().map(content).collect()
}

/// The topics, with what is special about each.
fn topics() -> Vec<(&'static str, TopicConfig)> {
    let small = || TopicConfig::new().segment_bytes(1024).index_interval_bytes(200);
    let mut topics = vec![
        ("t", small().partitions(2)),
        ("flushed", small().durability(Durability::Flushed)),
        ("compacted", small().cleanup_policy(CleanupPolicy::Compact)),
    ];
    if cfg!(feature = "zstd") {
        topics.push(("packed", small().compression(Compression::Zstd)));
    }
    topics
}

fn fill(broker: &Broker, session: i64, records: &mut BTreeMap<(String, i32, i64), Content>) {
    for (topic, config) in topics() {
        let partitions =
            broker.ensure_topic(topic, config).map(|_| if topic == "t" { 2 } else { 1 }).unwrap();
        for n in session * 9..session * 9 + 9 {
            let contents: Vec<Content> = (0..=n % 3).map(|k| content(broker, topic, n * 10 + k)).collect();
            let partition = (n % partitions) as i32;
            let sent = broker.produce_all(contents.iter().map(|content| record(topic, partition, content)));
            for (at, content) in sent.unwrap().iter().zip(contents) {
                assert_eq!(records.insert((topic.to_owned(), partition, at.offset), content), None);
            }
        }
    }
    let consumer = broker.consumer(ConsumerConfig::new("g")).assign([("t", 0)]).unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), COMMITTED[session as usize])])).unwrap();
    broker.admin().delete_records(("t", 1), 2).unwrap();
    if session == 0 {
        broker.flush().unwrap();
    }
}

fn content(broker: &Broker, topic: &str, n: i64) -> Content {
    let header = (n % 4 == 0).then(|| ("h".to_owned(), Some(n.to_string().into_bytes())));
    Content {
        timestamp: broker.now() + Duration::from_millis((n * 7 % 230 + n) as u64),
        key: Some(format!("{topic} {n}").into_bytes()),
        value: (n % 7 > 0).then(|| vec![b'v'; 20 + n as usize % 40]),
        headers: header.into_iter().collect(),
    }
}

fn record<'a>(topic: &'a str, partition: i32, content: &'a Content) -> Record<'a> {
    let mut record = Record::to(topic).partition(partition).timestamp(content.timestamp);
    if let Some(key) = &content.key {
        record = record.key(key);
    }
    if let Some(value) = &content.value {
        record = record.value(value);
    }
    content.headers.iter().fold(record, |record, (key, value)| match value {
        Some(value) => record.header(key, value),
        None => record.null_header(key),
    })
}
