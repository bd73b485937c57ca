//! Reading everything while the broker is at work, what it is told of on the way, and what it finds.

use crate::common::{put_batch, read_all, reader, topic};
use brooklet::{Broker, ManualClock, Progress, Record, TopicConfig, TopicPartition, VerifyReport};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

const SMALL: u32 = 4096;

/// A closed store of some small segments, with an index entry for nearly every batch.
fn store() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    let config = TopicConfig::new().segment_bytes(SMALL).index_interval_bytes(100);
    broker.create_topic("t", config).unwrap();
    for n in 0..200 {
        put_batch(broker.client(), "t", &[format!("{n} {}", "v".repeat(50)), n.to_string()]);
    }
    broker.close().unwrap();
    dir
}

fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(dir.join("t-0")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == suffix));
    files.sort();
    files
}

fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn verify(broker: &Broker) -> VerifyReport {
    broker.verify(|_| {}).unwrap()
}

#[test]
fn an_intact_store_is_read_whole() {
    let dir = store();
    let broker = Broker::open(dir.path()).unwrap();
    let report = verify(&broker);
    assert!(report.is_intact(), "{report}");
    let [t] = &report.partitions[..] else { panic!("{report:?}") };
    assert_eq!((t.partition.to_string().as_str(), t.log_start_offset, t.log_end_offset), ("t-0", 0, 400));
    assert_eq!((t.batches, t.records, t.indexes_wrong), (200, 400, 0));
    let bytes: u64 = files(dir.path(), "log").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(t.bytes_read == report.bytes_read && t.bytes_read <= bytes, "{t:?}, {bytes}");
    assert!(report.to_string().starts_with("intact: 400 records of 1 partitions"), "{report}");
}

#[test]
fn damage_is_told_with_its_place_and_nothing_is_changed() {
    for opened_before in [false, true] {
        let dir = store();
        let log = files(dir.path(), "log").remove(1);
        let broker = Broker::builder().memory_maps(false).open(dir.path()).unwrap();
        if opened_before {
            read_all(broker.client(), "t");
        }
        flip(&log, 100);
        let damaged = fs::read(&log).unwrap();
        let report = verify(&broker);
        let [damage] = &report.partitions[0].damage[..] else { panic!("{report}") };
        let base: i64 = log.file_stem().unwrap().to_str().unwrap().parse().unwrap();
        assert_eq!((&damage.path, damage.offset, damage.next_offset), (&log, base, base + 2));
        assert_eq!((report.partitions[0].batches, report.partitions[0].records), (199, 398));
        assert!(!report.is_intact() && report.to_string().contains(&damage.reason), "{report}");
        assert_eq!(fs::read(&log).unwrap(), damaged);
    }
}

#[test]
fn a_segment_that_is_gone_is_damage() {
    let dir = store();
    let broker = Broker::open(dir.path()).unwrap();
    let logs = files(dir.path(), "log");
    fs::remove_file(&logs[2]).unwrap();
    let report = verify(&broker);
    let [damage] = &report.partitions[0].damage[..] else { panic!("{report}") };
    let base = |path: &Path| path.file_stem().unwrap().to_str().unwrap().parse::<i64>().unwrap();
    assert_eq!((damage.offset, damage.next_offset), (base(&logs[2]), base(&logs[3])));
}

#[test]
fn an_index_that_lies_is_counted_and_is_no_damage() {
    let dir = store();
    for path in files(dir.path(), "index").iter().take(2) {
        flip(path, 7);
    }
    let broker = Broker::open(dir.path()).unwrap();
    let report = verify(&broker);
    assert!(report.is_intact(), "{report}");
    assert_eq!(report.partitions[0].indexes_wrong, 2);
    let mut consumer = reader(broker.client(), "t");
    for offset in 0..400 {
        consumer.seek(("t", 0), offset).unwrap();
        assert_eq!(consumer.poll(Duration::ZERO).unwrap().iter().next().unwrap().offset(), offset);
    }
    broker.flush().unwrap();
    assert_eq!(verify(&broker).partitions[0].indexes_wrong, 0, "made anew when they were used");
}

#[test]
fn appends_and_retention_go_on_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    let config = TopicConfig::new().segment_bytes(1 << 14).retention_bytes(1 << 15);
    broker.create_topic("t", config.file_delete_delay(Duration::ZERO)).unwrap();
    let append = || {
        for _ in 0..300 {
            broker.produce(Record::to("t").value(&"v".repeat(300))).unwrap();
        }
        broker.apply_retention_now().unwrap();
    };
    for _ in 0..40 {
        std::thread::scope(|scope| {
            scope.spawn(append);
            let report = verify(&broker);
            assert!(report.is_intact(), "{report}");
        });
    }
    assert!(broker.admin().describe_topic("t").unwrap().partitions[0].log_start_offset > 1000);
}

/// What a listener was told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Progress>>>);

impl Told {
    fn check(&self, of: &TopicPartition, least: usize) {
        let told = self.0.lock().unwrap();
        let told: Vec<_> = told.iter().filter(|progress| progress.partition == *of).collect();
        assert!(told.len() >= least, "{told:?}");
        let done: Vec<u64> = told.iter().map(|progress| progress.bytes_done).collect();
        assert!(done.is_sorted() && done[0] == 0, "{done:?}");
        assert_eq!(done.last(), told.last().map(|progress| &progress.bytes_total));
    }
}

#[test]
fn the_reading_of_one_long_log_is_told_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let broker = Broker::builder().clock(&clock).open(dir.path()).unwrap();
    topic(broker.client(), "t", 1);
    let value = "v".repeat(1000);
    for _ in 0..50 {
        broker.produce_all((0..100).map(|_| Record::to("t").value(&value))).unwrap();
    }
    let of = TopicPartition::new("t", 0);
    let told = Told::default();
    broker.verify(|progress| told.0.lock().unwrap().push(progress.clone())).unwrap();
    told.check(&of, 5);
    // As a crash leaves it: a copy of the files of a broker that is not closed.
    let copy = tempfile::tempdir().unwrap();
    copy_all(dir.path(), copy.path());
    let told = Told::default();
    let listener = told.clone();
    let listener = move |progress: &Progress| listener.0.lock().unwrap().push(progress.clone());
    let broker = Broker::builder().clock(&clock).on_progress(listener).open(copy.path()).unwrap();
    assert!(!broker.recovery().clean && broker.recovery().bytes_scanned > 5_000_000);
    told.check(&of, 5);
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(drop).unwrap()
        }
    }
}
