//! What is done to a store before, between and after the crashes.

use crate::{model::FIRST_TIMESTAMP, replay::Random};
use brooklet::{Compression, Durability, TopicConfig};
use std::time::Duration;

/// How a topic is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) partitions: i32,
    pub(crate) segment_bytes: u32,
    pub(crate) index_interval: u32,
    pub(crate) index_bytes: u32,
    pub(crate) flushed: bool,
    pub(crate) codec: Compression,
    /// How much is kept at least.
    pub(crate) keep_bytes: Option<u64>,
    /// Of how many of the first records the time is over from the beginning: all go as soon as the clock moves.
    pub(crate) old: Option<u64>,
}

impl Shape {
    pub(crate) fn config(self) -> TopicConfig {
        let mut config = TopicConfig::new()
            .partitions(self.partitions)
            .segment_bytes(self.segment_bytes)
            .index_interval_bytes(self.index_interval)
            .segment_index_bytes(self.index_bytes)
            .compression(self.codec)
            .durability(if self.flushed { Durability::Flushed } else { Durability::Buffered })
            .file_delete_delay(Duration::from_secs(1))
            .retention_time(Duration::MAX);
        if let Some(bytes) = self.keep_bytes {
            config = config.retention_bytes(bytes);
        }
        if let Some(records) = self.old {
            config = config.retention_time(Duration::from_millis(KEPT_MS - records));
        }
        config
    }

    pub(crate) fn expires(self) -> bool {
        self.keep_bytes.is_some() || self.old.is_some()
    }
}

/// How old the first record is when a manual clock begins.
const KEPT_MS: u64 = (1_704_067_200_000 - FIRST_TIMESTAMP) as u64;

/// One thing that an application does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Create(&'static str, Shape),
    Delete(&'static str),
    /// So many records one by one.
    Send {
        topic: &'static str,
        partition: i32,
        count: usize,
        size: usize,
        flushed: bool,
    },
    /// So many records at once, over all partitions.
    SendAll {
        topic: &'static str,
        count: usize,
        size: usize,
    },
    Read(&'static str),
    /// Polls some records, and commits behind them.
    Commit {
        group: &'static str,
        topic: &'static str,
        partition: i32,
        records: usize,
    },
    /// Deletes all records but the last `keep`.
    DeleteRecords {
        topic: &'static str,
        partition: i32,
        keep: usize,
    },
    /// Removes what topics need not keep.
    Expire,
    Flush,
    /// Lets so many seconds go by: all timers fire.
    Wait(u64),
    /// Closes the broker, and opens it again.
    Reopen,
}

pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
}

pub(crate) const BIG: Shape = Shape {
    partitions: 1,
    segment_bytes: 1 << 20,
    index_interval: 4096,
    index_bytes: 1 << 20,
    flushed: false,
    codec: Compression::None,
    keep_bytes: None,
    old: None,
};
const TINY: Shape = Shape { partitions: 3, segment_bytes: 1024, index_interval: 128, ..BIG };
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn send(topic: &'static str, partition: i32, count: usize, size: usize) -> Step {
    Step::Send { topic, partition, count, size, flushed: false }
}

fn send_flushed(topic: &'static str, partition: i32, count: usize, size: usize) -> Step {
    Step::Send { topic, partition, count, size, flushed: true }
}

fn commit(group: &'static str, topic: &'static str, partition: i32, records: usize) -> Step {
    Step::Commit { group, topic, partition, records }
}

fn delete(topic: &'static str, partition: i32, keep: usize) -> Step {
    Step::DeleteRecords { topic, partition, keep }
}

/// Those that were thought of.
pub(crate) fn all() -> Vec<Workload> {
    let named = [
        ("flushed_topic", flushed_topic()),
        ("reopened", reopened()),
        ("buffered_topic", buffered_topic()),
        ("deleted_records", deleted_records()),
        ("topics_come_and_go", topics_come_and_go()),
        ("tiny_segments", tiny_segments()),
        ("groups", groups()),
        ("expired_by_size", expired_by_size()),
        ("expired_by_time", expired_by_time()),
        ("compressed", compressed()),
        ("full_indexes", full_indexes()),
    ];
    named.into_iter().map(|(name, steps)| Workload { name: name.to_owned(), steps }).collect()
}

/// Short ones, from a seed.
pub(crate) fn drawn(count: u64) -> Vec<Workload> {
    (0..count).map(|n| Workload { name: format!("drawn_{n}"), steps: draw(n) }).collect()
}

fn draw(n: u64) -> Vec<Step> {
    let mut random = Random::new(n, 77);
    let mut steps = Vec::new();
    let mut there: Vec<(&'static str, i32)> = Vec::new();
    while steps.len() < 9 {
        let topic = ["x", "y"][random.below(2) as usize];
        let known = there.iter().position(|(name, _)| *name == topic);
        let Some(at) = known else {
            let shape = draw_shape(&mut random);
            there.push((topic, shape.partitions));
            steps.push(Step::Create(topic, shape));
            continue;
        };
        let partition = random.below(there[at].1 as u64) as i32;
        let (count, size) = (1 + random.below(4) as usize, random.below(500) as usize);
        steps.push(match random.below(16) {
            0..=3 => send(topic, partition, count, size),
            4 | 5 => send_flushed(topic, partition, 1 + count / 3, size),
            6 => Step::SendAll { topic, count, size },
            7 | 8 => delete(topic, partition, random.below(4) as usize),
            9 => Step::Expire,
            10 => commit("g", topic, partition, count),
            11 => Step::Flush,
            12 => Step::Wait(1 + random.below(2) * 40),
            13 => Step::Reopen,
            14 => Step::Read(topic),
            _ => {
                there.remove(at);
                Step::Delete(topic)
            }
        });
    }
    steps
}

fn draw_shape(random: &mut Random) -> Shape {
    Shape {
        partitions: 1 + random.below(2) as i32,
        segment_bytes: [1024, 1500, 4096][random.below(3) as usize],
        index_interval: [0, 200, 4096][random.below(3) as usize],
        index_bytes: [48, 1 << 20][random.below(2) as usize],
        flushed: random.below(3) == 0,
        codec: CODECS[random.below(5) as usize],
        keep_bytes: (random.below(3) == 0).then_some(2000),
        old: (random.below(4) == 0).then_some(6),
    }
}

fn flushed_topic() -> Vec<Step> {
    let shape = Shape { flushed: true, segment_bytes: 2048, index_interval: 256, ..BIG };
    vec![
        Step::Create("paid", shape),
        send("paid", 0, 12, 150),
        Step::SendAll { topic: "paid", count: 9, size: 60 },
        Step::Read("paid"),
        Step::Wait(3),
        send("paid", 0, 8, 300),
    ]
}

fn buffered_topic() -> Vec<Step> {
    vec![
        Step::Create("seen", BIG),
        send("seen", 0, 10, 100),
        Step::Flush,
        send("seen", 0, 7, 700),
        Step::Read("seen"),
        Step::Wait(2),
        send("seen", 0, 5, 40),
        send_flushed("seen", 0, 1, 40),
        send("seen", 0, 5, 1200),
        Step::Read("seen"),
    ]
}

fn tiny_segments() -> Vec<Step> {
    vec![
        Step::Create("a", TINY),
        Step::Create("b", Shape { partitions: 1, segment_bytes: 4096, ..TINY }),
        Step::SendAll { topic: "a", count: 12, size: 200 },
        send("a", 0, 9, 250),
        send("b", 0, 12, 400),
        Step::Read("a"),
        send_flushed("a", 1, 4, 250),
        Step::Flush,
        send("a", 0, 9, 250),
        Step::SendAll { topic: "b", count: 14, size: 300 },
        Step::Read("b"),
        Step::Wait(2),
        send("a", 2, 8, 100),
        send_flushed("a", 2, 1, 900),
        send("b", 0, 6, 900),
    ]
}

fn topics_come_and_go() -> Vec<Step> {
    vec![
        Step::Create("t", TINY),
        Step::Create("stays", Shape { flushed: true, ..BIG }),
        send("t", 1, 6, 250),
        send("stays", 0, 2, 30),
        commit("g", "t", 1, 2),
        Step::Delete("t"),
        Step::Create("t", Shape { partitions: 2, ..TINY }),
        send_flushed("t", 1, 3, 250),
        send("stays", 0, 1, 30),
        Step::Flush,
        Step::Delete("t"),
        Step::Create("t", TINY),
        // The directories of the deleted ones go.
        Step::Wait(3),
        send("t", 1, 2, 250),
        Step::Delete("t"),
        Step::Reopen,
        Step::Create("t", TINY),
        send("t", 0, 4, 250),
        commit("g", "t", 0, 3),
        Step::Delete("t"),
        Step::Create("t", BIG),
        send_flushed("t", 0, 2, 30),
    ]
}

fn groups() -> Vec<Step> {
    vec![
        Step::Create("in", Shape { partitions: 2, ..TINY }),
        Step::SendAll { topic: "in", count: 10, size: 200 },
        commit("billing", "in", 0, 2),
        commit("audit", "in", 0, 4),
        commit("audit", "in", 1, 1),
        Step::Flush,
        commit("billing", "in", 0, 1),
        send("in", 0, 5, 200),
        commit("audit", "in", 0, 6),
        Step::Wait(2),
        commit("billing", "in", 1, 5),
        send_flushed("in", 0, 1, 30),
        commit("billing", "in", 0, 5),
    ]
}

fn reopened() -> Vec<Step> {
    vec![
        Step::Create("log", Shape { partitions: 2, segment_bytes: 2048, ..TINY }),
        send("log", 0, 7, 250),
        commit("g", "log", 0, 3),
        Step::Reopen,
        Step::Read("log"),
        send("log", 0, 6, 250),
        send_flushed("log", 1, 2, 250),
        commit("g", "log", 0, 3),
        Step::Reopen,
        Step::Reopen,
        send("log", 0, 3, 250),
        send_flushed("log", 0, 1, 20),
        Step::Read("log"),
    ]
}

fn deleted_records() -> Vec<Step> {
    vec![
        Step::Create("d", Shape { partitions: 2, ..TINY }),
        Step::Create("kept", Shape { flushed: true, partitions: 1, ..TINY }),
        send("d", 0, 9, 250),
        commit("g", "d", 0, 2),
        delete("d", 0, 5),
        send_flushed("d", 0, 2, 250),
        delete("d", 0, 0),
        send("d", 0, 2, 300),
        send("kept", 0, 7, 250),
        delete("kept", 0, 3),
        Step::Wait(2),
        Step::Read("d"),
        Step::Reopen,
        delete("kept", 0, 0),
        send("kept", 0, 2, 300),
        delete("d", 0, 1),
        Step::Delete("d"),
        Step::Create("d", Shape { partitions: 2, ..TINY }),
        send_flushed("d", 0, 2, 250),
        commit("g", "d", 0, 2),
        delete("d", 0, 1),
    ]
}

fn expired_by_size() -> Vec<Step> {
    vec![
        Step::Create("small", Shape { keep_bytes: Some(2500), partitions: 2, ..TINY }),
        send("small", 0, 14, 250),
        send_flushed("small", 1, 3, 250),
        Step::Expire,
        commit("g", "small", 0, 3),
        Step::Flush,
        send("small", 0, 12, 250),
        Step::Expire,
        Step::Wait(2),
        send("small", 1, 12, 250),
        Step::Wait(31),
        Step::Read("small"),
        Step::Reopen,
        send("small", 0, 12, 250),
        Step::Expire,
    ]
}

fn expired_by_time() -> Vec<Step> {
    vec![
        Step::Create("young", Shape { old: Some(8), partitions: 1, ..TINY }),
        send("young", 0, 14, 250),
        Step::Expire,
        send_flushed("young", 0, 2, 250),
        Step::Read("young"),
        Step::Wait(1),
        Step::Expire,
        send("young", 0, 5, 250),
        Step::Wait(40),
        send_flushed("young", 0, 2, 100),
        Step::Reopen,
        send("young", 0, 3, 250),
        Step::Expire,
        send("young", 0, 1, 10),
    ]
}

fn compressed() -> Vec<Step> {
    let each = |topic: &'static str, codec| {
        [
            Step::Create(topic, Shape { codec, partitions: 1, ..TINY }),
            Step::SendAll { topic, count: 8, size: 400 },
            send_flushed(topic, 0, 1, 300),
            send(topic, 0, 8, 300),
            Step::Read(topic),
        ]
    };
    let names = ["none", "gzip", "snappy", "lz4", "zstd"];
    let mut steps: Vec<Step> =
        names.into_iter().zip(CODECS).flat_map(|(name, codec)| each(name, codec)).collect();
    steps.extend([Step::Wait(2), delete("zstd", 0, 3), Step::SendAll { topic: "gzip", count: 4, size: 900 }]);
    steps
}

fn full_indexes() -> Vec<Step> {
    vec![
        Step::Create("i", Shape { index_interval: 0, index_bytes: 40, segment_bytes: 1 << 20, ..BIG }),
        send("i", 0, 12, 20),
        Step::Flush,
        send("i", 0, 9, 20),
        send_flushed("i", 0, 1, 20),
        Step::Read("i"),
        Step::Reopen,
        send("i", 0, 9, 20),
        Step::Wait(2),
        delete("i", 0, 8),
        send("i", 0, 4, 20),
    ]
}

/// What is done after a recovery, to the topics that are there.
pub(crate) fn more(topics: &[(&'static str, i32)], variant: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    for (topic, partitions) in topics {
        let partition = (variant % *partitions as u64) as i32;
        match variant % 3 {
            0 => steps.extend([send(topic, partition, 3, 120), Step::Flush, send(topic, partition, 3, 300)]),
            1 => steps.extend([send_flushed(topic, partition, 2, 120), send(topic, partition, 5, 60)]),
            _ => steps.extend([send(topic, partition, 4, 200), send_flushed(topic, partition, 1, 20)]),
        }
        steps.push(Step::Read(topic));
    }
    steps.push(if variant.is_multiple_of(2) { Step::Wait(2) } else { Step::Flush });
    steps.extend(topics.iter().map(|(topic, _)| Step::SendAll { topic, count: 3, size: 200 }));
    steps
}
