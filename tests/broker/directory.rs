//! A broker's directory: whose it is, who may read it, and when it goes.

use crate::{
    child_dir,
    common::{assert_refused, put, put_numbers, read_all, topic},
    in_a_child,
};
use brooklet::{Broker, Error, ManualClock, Offsets, SimDisk, TopicConfig};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

#[test]
fn a_second_open_in_this_process_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let first = Broker::open(dir.path()).unwrap();
    let by_another_name = dir.path().join(".").join("..").join(dir.path().file_name().unwrap());
    for path in [dir.path().to_owned(), by_another_name] {
        assert_refused!(Broker::open(&path), Error::Locked { .. });
        assert_refused!(Broker::builder().memory_maps(false).open(&path), Error::Locked { .. });
    }
    topic(first.client(), "t", 1);
    assert_eq!(put(first.client(), "t", "the first goes on"), 0);
}

#[test]
fn a_second_open_on_a_simulated_disk_is_refused_until_the_power_is_cut() {
    let disk = SimDisk::new(1);
    let open = || Broker::builder().disk(&disk).open("data");
    let first = open().unwrap();
    assert_refused!(open(), Error::Locked { .. });
    Broker::builder().disk(&disk).open("other").unwrap();
    disk.power_cut();
    let second = open().unwrap();
    assert!(first.create_topic("t", TopicConfig::new()).is_err());
    second.create_topic("t", TopicConfig::new()).unwrap();
}

#[test]
fn child_process_is_locked_out() {
    let Some(dir) = child_dir() else { return };
    assert_refused!(Broker::open(dir), Error::Locked { .. });
}

#[test]
fn another_process_is_locked_out() {
    let dir = tempfile::tempdir().unwrap();
    let child = || in_a_child("directory::child_process_is_locked_out", dir.path());
    let broker = Broker::open(dir.path()).unwrap();
    let refused = child();
    assert!(refused.status.success(), "{}", String::from_utf8_lossy(&refused.stderr));
    drop(broker);
    let not_refused = child();
    assert!(!not_refused.status.success(), "the child gets in when nobody is there, and says so by failing");
    Broker::open(dir.path()).unwrap();
}

#[test]
fn the_directory_is_free_after_close_drop_and_a_failed_open() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    topic(broker.client(), "t", 1);
    broker.close().unwrap();
    let after_close = Broker::open(dir.path()).unwrap();
    let last_handle = after_close.clone();
    drop(after_close);
    assert_refused!(Broker::open(dir.path()), Error::Locked { .. });
    drop(last_handle);
    let metadata = dir.path().join("brooklet.metadata");
    let good = fs::read(&metadata).unwrap();
    fs::write(&metadata, "nonsense").unwrap();
    for _ in 0..2 {
        assert_refused!(Broker::open(dir.path()), Error::KafkaStorageError { .. });
    }
    fs::write(&metadata, good).unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    assert_eq!(broker.admin().list_topics().unwrap(), ["t"]);
}

#[test]
fn a_client_or_a_consumer_does_not_keep_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    topic(broker.client(), "t", 1);
    let (client, consumer) = (broker.client().clone(), broker.consumer("g").subscribe("t").unwrap());
    drop(broker);
    Broker::open(dir.path()).unwrap();
    drop((client, consumer));
}

#[test]
fn closing_twice_is_fine() {
    let broker = Broker::temporary().unwrap();
    let other = broker.clone();
    broker.close().unwrap();
    other.close().unwrap();
    assert_refused!(other.flush(), Error::Closed);
    assert_refused!(other.durable_offset("t", 0), Error::Closed);
}

fn walk(path: &Path, found: &mut Vec<PathBuf>) {
    found.push(path.to_owned());
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| walk(&entry.unwrap().path(), found));
    }
}

/// Everything that brooklet makes files for: segments that roll, indexes, deletions, commits, an unclean stop.
fn workload(dir: &Path) {
    for _ in 0..2 {
        let broker = Broker::open(dir).unwrap();
        let config = TopicConfig::new().partitions(2).segment_bytes(1024).index_interval_bytes(0);
        broker.ensure_topic("t", config).unwrap();
        topic(broker.client(), "gone", 2);
        put_numbers(broker.client(), "t", 100);
        put_numbers(broker.client(), "gone", 10);
        let consumer = broker.consumer("g").subscribe("t").unwrap();
        consumer.commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
        broker.flush().unwrap();
        broker.admin().delete_topic("gone").unwrap();
        broker.close().unwrap();
    }
}

#[test]
#[cfg(unix)]
fn directories_and_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("a").join("b");
    workload(&store);
    // And while it is open, with what that leaves.
    let broker = Broker::open(&store).unwrap();
    put_numbers(broker.client(), "t", 100);
    let mut found = Vec::new();
    walk(&dir.path().join("a"), &mut found);
    for path in &found {
        let metadata = fs::symlink_metadata(path).unwrap();
        let expected = if metadata.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(metadata.permissions().mode() & 0o7777, expected, "{}", path.display());
    }
    let ends = |end: &str| found.iter().filter(|path| path.to_string_lossy().ends_with(end)).count();
    assert!(
        ends(".log") > 3 && ends(".index") > 3 && ends(".timeindex") > 3 && ends("partition.metadata") > 2
    );
}

/// What is called after a topic, without what its directories' names end with.
fn named_after(topic: &str, dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(topic)).collect();
    names.sort();
    for name in &mut names {
        if let Some((partition, hex)) = name.clone().split_once('.') {
            let hex = hex.strip_suffix("-delete").unwrap();
            assert!(hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
            *name = format!("{partition} deleted");
        }
    }
    names
}

#[test]
fn the_directories_of_a_deleted_topic_go_after_their_delay() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let broker = Broker::builder().clock(&clock).open(dir.path()).unwrap();
    let config = || TopicConfig::new().partitions(2).file_delete_delay(Duration::from_secs(90));
    let (admin, left) = (broker.admin(), || named_after("gone", dir.path()));
    broker.create_topic("gone", config()).unwrap();
    put_numbers(broker.client(), "gone", 10);
    admin.delete_topic("gone").unwrap();
    assert_eq!(left(), ["gone-0 deleted", "gone-1 deleted"]);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().filter(|dir| holds_records(&dir.as_ref().unwrap().path())).count(),
        1
    );
    clock.advance(Duration::from_secs(30));
    broker.create_topic("gone", config().partitions(1)).unwrap();
    assert_eq!(put(broker.client(), "gone", "new"), 0, "the name is free at once");
    assert_eq!(left(), ["gone-0", "gone-0 deleted", "gone-1 deleted"]);
    admin.delete_topic("gone").unwrap();
    assert_eq!(left(), ["gone-0 deleted", "gone-0 deleted", "gone-1 deleted"]);
    clock.advance(Duration::from_secs(59));
    assert_eq!(left().len(), 3);
    clock.advance(Duration::from_secs(1));
    assert_eq!(left(), ["gone-0 deleted"]);
    clock.advance(Duration::from_secs(30));
    assert!(left().is_empty());
}

fn holds_records(dir: &Path) -> bool {
    fs::metadata(dir.join("00000000000000000000.log")).is_ok_and(|log| log.len() > 0)
}

#[test]
fn directories_of_a_deleted_topic_that_are_left_go_with_the_next_open() {
    let dir = tempfile::tempdir().unwrap();
    workload(dir.path());
    assert_eq!(named_after("gone", dir.path()), ["gone-0 deleted", "gone-1 deleted"]);
    drop(Broker::open(dir.path()).unwrap());
    assert!(named_after("gone", dir.path()).is_empty());
}

/// Runs in a process of its own, whose directory for temporary files is its own too.
#[test]
fn child_process_has_a_temporary_broker() {
    let Some(dir) = child_dir() else { return };
    let names = || fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let broker = Broker::temporary().unwrap();
    let second = Broker::temporary().unwrap();
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 10);
    let records = broker.consumer("g").subscribe("t").unwrap().poll(Duration::ZERO).unwrap();
    assert_eq!(names().len(), 2);
    let handle = broker.clone();
    drop(broker);
    assert_eq!(read_all(handle.client(), "t").len(), 10, "a handle keeps it");
    drop(handle);
    assert_eq!(names().len(), 1);
    second.close().unwrap();
    drop(second);
    assert!(names().is_empty(), "{:?}", names());
    assert_eq!(records.iter().filter_map(|record| record.value()).count(), 10, "records do not go with it");
}

#[test]
#[cfg(unix)]
fn a_temporary_brokers_directory_goes_with_its_last_handle() {
    let dir = tempfile::tempdir().unwrap();
    let child = in_a_child("directory::child_process_has_a_temporary_broker", dir.path());
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
fn a_store_may_move_while_it_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    workload(&old);
    fs::rename(&old, &new).unwrap();
    let broker = Broker::open(&new).unwrap();
    assert!(broker.recovery().clean);
    assert_eq!(read_all(broker.client(), "t").len(), 200);
}
