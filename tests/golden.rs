//! Directories that a real Kafka wrote, opened by brooklet: everything that their manifests list comes back.
//!
//! `BROOKLET_GOLDEN` names others, with a colon between them; each has `data`, `records.jsonl` and `summary.json`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "golden/check.rs"]
mod check;
#[path = "golden/manifest.rs"]
mod manifest;

use brooklet::{Broker, BrokerBuilder, ManualClock, Record};
use check::Check;
use manifest::Manifest;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
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
