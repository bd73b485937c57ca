//! Directories that a real Kafka wrote, opened by brooklet: everything that their manifests list comes back.
//!
//! `BROOKLET_GOLDEN` names others, with a colon between them; each has `data`, `records.jsonl` and `summary.json`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "golden/check.rs"]
mod check;
#[path = "golden/manifest.rs"]
mod manifest;

use brooklet::{
    Broker, BrokerBuilder, CleanupPolicy, ConsumerConfig, IsolationLevel, ManualClock, Record, TopicConfig,
};
use check::Check;
use manifest::Manifest;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

/// The directories, each with its manifest.
fn each(test: impl Fn(&Path, &Manifest)) {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kafka-4.3.1");
    let dirs: Vec<PathBuf> = match std::env::var_os("BROOKLET_GOLDEN") {
        Some(dirs) => std::env::split_paths(&dirs).collect(),
        None => vec![own.join("clean"), own.join("killed")],
    };
    for dir in dirs {
        println!("{}", dir.display());
        test(&dir, &Manifest::read(&dir));
    }
}

/// A copy of a directory, for a test to open.
fn copy(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_files(&dir.join("data"), copy.path());
    copy
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_files(&entry.path(), &target);
        } else {
            // Not `copy`, which copies that a file may not be written.
            std::fs::write(target, std::fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}

/// The bytes of all logs that count: without the zeros that were reserved at their ends, without those that lie wholly
/// below their partition's start, and without those of topics that were deleted. These were about to be removed.
fn logs(dir: &Path, manifest: &Manifest) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut logs = BTreeMap::new();
    for there in &manifest.partitions {
        let of = format!("{}-{}", there.topic, there.partition);
        let files = std::fs::read_dir(dir.join(&of)).unwrap().map(|entry| entry.unwrap().file_name());
        let base = |name: std::ffi::OsString| name.to_str()?.strip_suffix(".log")?.parse().ok();
        let bases: Vec<i64> = files.filter_map(base).collect();
        let first = bases.iter().copied().filter(|base| *base <= there.log_start).max();
        for base in bases.into_iter().filter(|base| Some(*base) >= first) {
            let log = Path::new(&of).join(format!("{base:020}.log"));
            let mut bytes = std::fs::read(dir.join(&log)).unwrap();
            bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
            logs.insert(log, bytes);
        }
    }
    logs
}

fn builders() -> [(&'static str, BrokerBuilder); 3] {
    let manual = Broker::builder().clock(&ManualClock::new());
    let plain = Broker::builder().clock(&ManualClock::new()).memory_maps(false);
    [("manual clock", manual), ("no memory maps", plain), ("the system's clock", Broker::builder())]
}

#[test]
fn everything_that_the_manifest_lists_comes_back_and_no_record_is_touched() {
    each(|dir, manifest| {
        for (how, builder) in builders() {
            println!("  {how}");
            let store = copy(dir);
            let before = logs(store.path(), manifest);
            for round in 0..2 {
                let broker = builder.clone().open(store.path()).unwrap();
                Check::new(&broker, manifest).all();
                broker.close().unwrap();
                let after = logs(store.path(), manifest);
                let other = before.keys().chain(after.keys()).find(|log| before.get(*log) != after.get(*log));
                assert_eq!(other, None, "round {round}: a log is not what it was");
            }
        }
    });
}

#[test]
fn reading_may_begin_anywhere() {
    each(|dir, manifest| {
        let store = copy(dir);
        let broker = Broker::builder().clock(&ManualClock::new()).open(store.path()).unwrap();
        let check = Check::new(&broker, manifest);
        check.starts_anywhere();
        check.times();
        check.few_at_a_time();
    });
}

#[test]
fn a_consumer_goes_on_from_what_its_group_has_committed() {
    each(|dir, manifest| {
        let store = copy(dir);
        let broker = Broker::builder().clock(&ManualClock::new()).open(store.path()).unwrap();
        let (wrong, count) = Check::new(&broker, manifest).wrong_beginnings();
        assert_eq!((wrong, count > 5), (vec![], true), "{count}");
        println!("  {count} partitions of groups");
    });
}

/// A check that cannot fail is none.
#[test]
fn a_manifest_that_tells_otherwise_of_a_group_is_seen() {
    each(|dir, manifest| {
        let store = copy(dir);
        let broker = Broker::builder().clock(&ManualClock::new()).open(store.path()).unwrap();
        let differences = |other: &Manifest| Check::new(&broker, other).group_differences().len();
        for n in 0..manifest.groups.len() {
            let mut other = manifest.clone();
            // Down, where a record is; above there may be none, as the manifest would say too.
            other.groups[n].offset -= 1;
            assert_eq!(differences(&other), 1, "{:?}", manifest.groups[n]);
            other.groups = vec![other.groups.swap_remove(n)];
            other.groups[0].leader_epoch = None;
            let (wrong, count) = Check::new(&broker, &other).wrong_beginnings();
            assert_eq!(wrong.len(), count, "{:?}", manifest.groups[n]);
            let mut other = manifest.clone();
            other.groups[n].metadata.push('?');
            assert_eq!(differences(&other), 1, "{:?}", manifest.groups[n]);
            other.groups.remove(n);
            assert_eq!(differences(&other), 1, "{:?}", manifest.groups[n]);
        }
        let mut other = manifest.clone();
        other.group_ids.iter_mut().for_each(|ids| drop(ids.pop()));
        assert_eq!(differences(&other), usize::from(manifest.group_ids.is_some()));
    });
}

#[test]
fn what_is_appended_follows_what_was_there() {
    each(|dir, manifest| {
        let store = copy(dir);
        let topics: Vec<_> =
            manifest.partitions.iter().filter(|there| !there.topic.starts_with("__")).collect();
        for round in 0..2 {
            let broker = Broker::builder().clock(&ManualClock::new()).open(store.path()).unwrap();
            for there in &topics {
                let record = Record::to(&there.topic).partition(there.partition).key("k").value("appended");
                let at = broker.produce(record).unwrap();
                assert_eq!(at.offset, there.high_watermark + round, "{} {}", there.topic, there.partition);
            }
            Check::new(&broker, manifest).records(1 + round);
            broker.close().unwrap();
        }
    });
}

/// Offset, key and value of each record.
type Rows = BTreeMap<i64, (Option<Vec<u8>>, Option<Vec<u8>>)>;

fn rows(broker: &Broker, of: (&str, i32), isolation: IsolationLevel) -> Rows {
    let config = ConsumerConfig::standalone().isolation_level(isolation);
    let mut consumer = broker.consumer(config).assign([of]).unwrap();
    let mut rows = Rows::new();
    while !consumer.is_caught_up().unwrap() {
        for record in &consumer.poll(Duration::ZERO).unwrap() {
            let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            rows.insert(record.offset(), (owned(record.key()), owned(record.value())));
        }
    }
    rows
}

/// What a table of the last values holds; of records without a key all.
fn table(rows: &Rows) -> BTreeMap<Result<&[u8], i64>, &[u8]> {
    let mut table = BTreeMap::new();
    for (offset, (key, value)) in rows {
        match (key.as_deref(), value.as_deref()) {
            (Some(key), Some(value)) => drop(table.insert(Ok(key), value)),
            (Some(key), None) => drop(table.remove(&Ok(key))),
            (None, value) => drop(table.insert(Err(*offset), value.unwrap_or_default())),
        }
    }
    table
}

#[test]
fn cleaned_by_brooklet_every_topic_tells_the_same_last_values() {
    each(|dir, manifest| {
        let store = copy(dir);
        let clock = ManualClock::new();
        let open = || Broker::builder().clock(&clock).open(store.path()).unwrap();
        let mut broker = open();
        // Others have nothing but what these have too, and each sync takes its time.
        let chosen = ["compacted", "compacted-txn", "idempotent", "log-append-time", "mixed", "txn"];
        let all = manifest.partitions.iter();
        let topics: Vec<_> = all.filter(|there| chosen.contains(&&*there.topic)).collect();
        let compact = TopicConfig::new().cleanup_policy(CleanupPolicy::Compact).segment_bytes(4 << 20);
        let read = |broker: &Broker| -> Vec<[Rows; 2]> {
            let both = [IsolationLevel::ReadUncommitted, IsolationLevel::ReadCommitted];
            topics
                .iter()
                .map(|there| both.map(|level| rows(broker, (&there.topic, there.partition), level)))
                .collect()
        };
        for there in &topics {
            // Each of their last segments is closed by the next record.
            let by_time = compact.clone().segment_time(Duration::from_millis(1));
            broker.admin().alter_configs(&there.topic, by_time).unwrap();
            let at = broker.now() + Duration::from_secs(10);
            let record = Record::to(&there.topic).partition(there.partition).key("the last").timestamp(at);
            broker.produce(record.value("of all")).unwrap();
        }
        let before = read(&broker);
        let mut gone = 0;
        for round in 0..3 {
            if round == 2 {
                broker.close().unwrap();
                broker = open();
                let report = broker.verify(|_| {}).unwrap();
                assert!(report.is_intact(), "{report}");
            } else {
                broker.compact_now(None).unwrap();
            }
            for (there, (before, after)) in topics.iter().zip(before.iter().zip(read(&broker))) {
                let what = format!("{}-{} {round}", there.topic, there.partition);
                assert!(after[0].iter().all(|(at, row)| before[0].get(at) == Some(row)), "{what}");
                assert!(after[1].iter().all(|(at, row)| before[1].get(at) == Some(row)), "{what}");
                assert_eq!(table(&after[1]), table(&before[1]), "{what}");
                gone += before[0].len() - after[0].len();
            }
            // Tombstones, and markers of what is gone, may go.
            clock.advance(Duration::from_secs(25 * 3600));
        }
        println!("  {gone} records are gone");
        assert!(gone > 100 || std::env::var_os("BROOKLET_GOLDEN").is_some());
    });
}
