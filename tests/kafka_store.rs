//! A store for Apache Kafka's own tools and for a Kafka broker to judge: everything that this version writes.
//!
//! `BROOKLET_KAFKA_STORE=DIR` leaves in the new directory DIR the `closed` store, the same as it was just before it was
//! closed, which is what a `kill -9` leaves (`killed`), and what brooklet reads in either (`manifest`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "kafka_store/groups.rs"]
mod groups;
#[path = "kafka_store/manifest.rs"]
mod manifest;

use brooklet::{
    Broker, CleanupPolicy, Compression, ConsumerConfig, Durability, ManualClock, OffsetSpec, Record,
    TimestampType, TopicConfig,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// How many records the topic `shapes` gets in each of three rounds.
const ROUND: i64 = 2_000;
const HOUR: Duration = Duration::from_secs(3600);
const CODECS: [(&str, Compression); 4] = [
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];
/// Topics that get the same records, each kept in another way, and how many each gets in a round.
const PLAIN: [&str; 12] = [
    "append-time",
    "append-time-packed",
    "by-time",
    "by-index",
    "trimmed",
    "trimmed-whole",
    "emptied",
    "sized",
    "aged",
    "cut",
    "flushed",
    "compacted",
];
const PLAIN_ROUND: i64 = 120;

fn configs() -> Vec<(&'static str, TopicConfig)> {
    let small = TopicConfig::new().segment_bytes(16 << 10).index_interval_bytes(512);
    let append_time = small.clone().timestamp_type(TimestampType::LogAppendTime);
    let mut configs = vec![
        ("shapes", small.clone().partitions(2)),
        ("batches", small.clone()),
        ("append-time", append_time.clone()),
        ("append-time-packed", append_time.compression(Compression::Lz4)),
        ("by-time", TopicConfig::new().segment_time(Duration::from_secs(30))),
        ("by-index", small.clone().segment_bytes(1 << 20).segment_index_bytes(160)),
        ("trimmed", small.clone()),
        ("trimmed-whole", small.clone()),
        ("emptied", small.clone()),
        ("sized", small.clone().retention_bytes(20 << 10)),
        ("aged", small.clone().retention_time(24 * HOUR)),
        ("cut", small.clone()),
        ("flushed", small.clone().durability(Durability::Flushed)),
        ("compacted", small.clone().cleanup_policy(CleanupPolicy::Compact)),
        ("big", TopicConfig::new().max_message_bytes(3 << 20)),
        ("packed", TopicConfig::new().max_message_bytes(3 << 20).compression(Compression::Zstd)),
        ("never.used_at-all", TopicConfig::new().partitions(3)),
    ];
    configs.extend(CODECS.map(|(topic, codec)| (topic, small.clone().compression(codec))));
    configs
}

/// The record `n` of those that take every shape.
fn shaped<'a>(broker: &Broker, topic: &'a str, n: i64, key: &'a str, value: &'a [u8]) -> Record<'a> {
    // Out of order, and sometimes the same.
    let at = broker.now() - Duration::from_millis((n * 7919 % 50_000) as u64);
    let record = Record::to(topic).timestamp(at);
    match n % 6 {
        0 => record.key(key),
        1 => record.value(value),
        2 => record.key("").value(b"").header("", ""),
        3 => record.key(key).value(value).header("trace", "ä").header("trace", "").null_header("nöne"),
        4 => record,
        _ => record.key(key).value(value),
    }
}

fn produce(broker: &Broker, round: i64) {
    let client = broker.client();
    for n in 0..ROUND {
        let key = format!("key {}", n % 97);
        if n % 50 == 0 {
            let values: Vec<Vec<u8>> = (n..n + 20).map(|n| noise(n as usize * 17 % 300, n)).collect();
            for topic in ["batches", "gzip", "snappy", "lz4", "zstd"] {
                let batch = (n..).zip(&values).map(|(n, value)| shaped(broker, topic, n, &key, value));
                client.produce_all(batch).unwrap();
            }
        }
        let value = noise(n as usize % 300, n);
        client.produce(shaped(broker, "shapes", n, &key, &value)).unwrap();
    }
    for n in 0..PLAIN_ROUND {
        let (key, value) =
            (format!("key {}", n % 31), format!("{round} {n} {}", "w".repeat(n as usize % 200)));
        // Each of those waits for the disk.
        for topic in PLAIN.into_iter().filter(|topic| *topic != "flushed" || n % 40 == 0) {
            let record = Record::to(topic).key(&key).value(&value);
            // Far from the time of the next batch.
            let later = broker.now() - Duration::from_secs(2 * (PLAIN_ROUND - n) as u64);
            let record = if topic == "by-time" { record.timestamp(later) } else { record };
            // Whole batches, that a log's start can lie within.
            client.produce_all((0..7).map(|_| record.clone())).unwrap();
        }
    }
    client.produce(Record::to("big").value(&noise(2 << 20, round))).unwrap();
    client.produce(Record::to("packed").key("much of the same").value(&vec![b'x'; 2 << 20])).unwrap();
}

/// Bytes that don't compress. No line breaks: `.ci/kafka_check.py` reads line by line.
fn noise(len: usize, seed: i64) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if state as u8 == b'\n' { 0 } else { state as u8 }
    };
    (0..len).map(|_| next()).collect()
}

/// Moves the starts of logs in every way.
fn trim(broker: &Broker, dir: &Path, clock: &ManualClock, round: i64) {
    let admin = broker.admin();
    let delete = |topic: &str, before: i64| admin.delete_records((topic, 0), before).unwrap();
    // Inside a batch, and at the base of a segment: both with segments before and behind.
    delete("trimmed", round * 600 + 404);
    delete("trimmed-whole", second_segment(dir, "trimmed-whole"));
    admin.delete_records(("emptied", 0), OffsetSpec::Latest).unwrap();
    // All of `aged` is older than it is kept.
    clock.advance(25 * HOUR);
    broker.apply_retention_now().unwrap();
    // Files that were removed are gone.
    clock.advance(HOUR);
}

/// The base offset of the second segment that a log has.
fn second_segment(dir: &Path, topic: &str) -> i64 {
    let mut bases = segments(dir, topic, 0);
    bases.sort_unstable();
    bases[1]
}

fn segments(dir: &Path, topic: &str, partition: i32) -> Vec<i64> {
    let files = fs::read_dir(dir.join(format!("{topic}-{partition}"))).unwrap();
    let base = |file: PathBuf| file.file_name()?.to_str()?.strip_suffix(".log")?.parse().ok();
    files.filter_map(|file| base(file.unwrap().path())).collect()
}

/// What a power cut may leave of the last batch of a log.
fn tear(dir: &Path, topic: &str) {
    let last = segments(dir, topic, 0).into_iter().max().unwrap();
    let path = dir.join(format!("{topic}-0/{last:020}.log"));
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 20..=end].fill(0);
    fs::write(path, bytes).unwrap();
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

/// Opens a directory, and does one round of everything there.
fn round(dir: &Path, clock: &ManualClock, round: i64) -> Broker {
    let broker = Broker::builder().clock(clock).open(dir).unwrap();
    let (there, client) = (broker.recovery(), broker.client());
    assert_eq!(there.clean, round == 0, "{there}");
    let cut: Vec<&str> =
        there.partitions.iter().filter(|p| p.bytes_cut > 0).map(|p| p.partition.topic()).collect();
    assert_eq!(cut, if round == 0 { vec![] } else { vec!["cut"] }, "{there}");
    if round == 0 {
        configs().into_iter().for_each(|(topic, config)| {
            broker.create_topic(topic, config).unwrap();
        });
        broker.create_topic("gone", TopicConfig::new().partitions(2)).unwrap();
        // Before anything else: it takes longer than most records are kept.
        groups::compact(&broker, clock);
        broker.produce(Record::to("gone").partition(0).value("soon")).unwrap();
        client.consumer("a group").assign([("gone", 0)]).unwrap().commit_offsets([(("gone", 0), 1)]).unwrap();
    }
    produce(&broker, round);
    groups::commit(client, round as usize);
    groups::read_together(client, groups::MEMBERS, round as usize);
    trim(&broker, dir, clock, round);
    if round == 1 {
        broker.admin().delete_topic("gone").unwrap();
    }
    // What follows is not flushed.
    let batch =
        || (0..5).map(|n| Record::to("cut").key("k").value(["one", "two", "three", "four", "five"][n]));
    (0..3).for_each(|_| drop(broker.produce_all(batch()).unwrap()));
    broker
}

fn check(broker: &Broker, dir: &Path) {
    let count = |topic: &str| {
        let consumer = broker.consumer(ConsumerConfig::standalone()).subscribe(topic).unwrap();
        manifest::read_all(consumer).len() as i64
    };
    assert_eq!(count("shapes"), 3 * ROUND);
    assert_eq!(count("zstd"), 3 * ROUND * 20 / 50);
    // The last batch of each of the first two rounds was torn, and removed by nobody.
    assert_eq!(count("cut"), 3 * PLAIN_ROUND * 7 + 3 * 15 - 2 * 5);
    assert_eq!(count("big"), 3);
    assert_eq!((count("emptied"), count("aged"), count("never.used_at-all")), (0, 0, 0));
    assert!((1..3 * PLAIN_ROUND * 7).contains(&count("sized")));
    for topic in ["shapes", "batches", "gzip", "append-time", "by-time", "by-index", "trimmed", "cut"] {
        assert!(segments(dir, topic, 0).len() > 5, "{topic}: segments were rolled");
    }
    let start = |topic: &str| broker.admin().describe_topic(topic).unwrap().partitions[0].log_start_offset;
    // Within a batch of seven, and within a segment.
    assert!(start("trimmed") % 7 != 0 && !segments(dir, "trimmed", 0).contains(&start("trimmed")));
    assert!(segments(dir, "trimmed-whole", 0).contains(&start("trimmed-whole")));
    groups::check(broker, dir);
}

#[test]
fn a_store_with_all_that_this_version_writes_reads_back_after_recoveries() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("BROOKLET_KAFKA_STORE").map(PathBuf::from);
    let kept = kept.unwrap_or_else(|| scratch.path().join("kept"));
    // On a manual clock, so that nothing is written while it is copied.
    let clock = ManualClock::new();
    let (first, second, closed) =
        (scratch.path().join("first"), scratch.path().join("second"), kept.join("closed"));
    for (n, (dir, next)) in [(&first, &second), (&second, &closed)].into_iter().enumerate() {
        let open = round(dir, &clock, n as i64);
        // As it lies there while it is open: what a `kill -9` leaves.
        copy(dir, next);
        tear(next, "cut");
        drop(open);
    }
    let broker = round(&closed, &clock, 2);
    check(&broker, &closed);
    manifest::write(&broker, &configs(), &kept.join("manifest"));
    copy(&closed, &kept.join("killed"));
    broker.close().unwrap();
}
