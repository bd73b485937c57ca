//! Directories of partitions that brooklet does not know of: what becomes a topic, what is refused, what is left alone.

use crate::common::{assert_refused, committed, numbers, put, put_numbers, read_all, rest, topic};
use brooklet::{Broker, ConsumerConfig, Error, ManualClock, Offsets, TopicConfig};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// What Kafka writes of a log directory, in its order.
const KAFKAS_PROPERTIES: &str = "#\n#Sun Nov 22 16:56:15 UTC 2026\nnode.id=1\nversion=1\ncluster.id=A\n";

const DAY: Duration = Duration::from_secs(24 * 3600);

fn open_at(dir: &Path, clock: &ManualClock) -> brooklet::Result<Broker> {
    Broker::builder().clock(clock).open(dir)
}

fn open(dir: &Path) -> brooklet::Result<Broker> {
    open_at(dir, &ManualClock::new())
}

/// A store that looks as if brooklet had never seen it: two topics, of several segments and of several partitions, and
/// the commits of a group.
fn foreign() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let broker = open(dir.path()).unwrap();
    let config = TopicConfig::new().segment_bytes(1024).index_interval_bytes(0);
    broker.create_topic("t", config).unwrap();
    topic(broker.client(), "three", 3);
    put_numbers(broker.client(), "t", 100);
    put(broker.client(), "three", "x");
    broker.admin().delete_records(("t", 0), 17).unwrap();
    let consumer = broker.consumer("g").subscribe("t").unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), 42)])).unwrap();
    broker.close().unwrap();
    forget(dir.path());
    // Kafka's topic has a directory for each partition from the first day.
    let other = dir.path().join("__consumer_offsets-49");
    fs::create_dir_all(other).unwrap();
    dir
}

/// Takes away what only brooklet has.
fn forget(dir: &Path) {
    fs::remove_file(dir.join("brooklet.metadata")).unwrap();
    fs::write(dir.join("meta.properties"), KAFKAS_PROPERTIES).unwrap();
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    files
}

fn logs(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_log = |path: &Path| path.extension().is_some_and(|end| end == "log");
    files(dir).into_iter().filter(|(path, bytes)| is_log(path) && !bytes.is_empty()).collect()
}

fn check_foreign(broker: &Broker) {
    let described = broker.admin().describe_topic("t").unwrap();
    assert_eq!(described.partitions[0].log_start_offset, 17);
    assert_eq!(described.partitions[0].high_watermark, 100);
    assert_eq!(read_all(broker.client(), "t"), numbers(17..100));
    assert_eq!(read_all(broker.client(), "three"), ["x"]);
    assert_eq!(broker.admin().describe_topic("three").unwrap().partitions.len(), 3);
    // Not as a member, of which the group would make a note.
    let consumer = broker.consumer(ConsumerConfig::new("g")).assign([("t", 0)]).unwrap();
    assert_eq!(committed(&consumer, "t", 0), Some(42));
}

#[test]
fn a_directory_that_is_not_known_becomes_topics_with_their_ids_and_commits() {
    for closed in [true, false] {
        let dir = foreign();
        if !closed {
            fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();
        }
        let id = fs::read_to_string(dir.path().join("t-0/partition.metadata")).unwrap();
        let before = logs(dir.path());
        let broker = open(dir.path()).unwrap();
        let report = broker.recovery();
        assert_eq!((report.clean, report.bytes_scanned > 0), (closed, true));
        assert_eq!(report.topics_adopted, ["__consumer_offsets", "t", "three"]);
        assert!(report.to_string().contains("taken up: __consumer_offsets, t, three"), "{report}");
        check_foreign(&broker);
        let described = broker.admin().describe_topic("t").unwrap();
        assert!(id.ends_with(&described.id.to_string()), "{id}: {}", described.id);
        for key in ["retention.ms", "retention.bytes"] {
            assert_eq!(described.config.get(key), Some("-1"));
        }
        assert_eq!(described.config.get("cleanup.policy"), Some(""));
        broker.close().unwrap();
        assert_eq!(logs(dir.path()), before);
        let properties = fs::read_to_string(dir.path().join("meta.properties")).unwrap();
        assert_eq!(properties, KAFKAS_PROPERTIES);
        let broker = open(dir.path()).unwrap();
        assert!(broker.recovery().topics_adopted.is_empty() && broker.recovery().clean);
        check_foreign(&broker);
    }
}

#[test]
fn nothing_of_it_is_ever_removed_on_its_own() {
    let dir = foreign();
    let clock = ManualClock::new();
    clock.advance(DAY);
    let before = logs(dir.path());
    let every_day = || Broker::builder().clock(&clock).retention_check_interval(DAY).open(dir.path());
    let broker = every_day().unwrap();
    clock.advance(DAY * 1000);
    check_foreign(&broker);
    broker.close().unwrap();
    let broker = every_day().unwrap();
    clock.advance(DAY * 1000);
    check_foreign(&broker);
    assert_eq!(logs(dir.path()), before);
    // Whoever asks for it may delete.
    assert_eq!(broker.admin().delete_records(("t", 0), 50).unwrap(), 50);
    assert_eq!(put(broker.client(), "t", "next"), 100);
}

#[test]
fn where_a_log_begins_is_noted_at_once() {
    let dir = foreign();
    fs::remove_file(dir.path().join("log-start-offset-checkpoint")).unwrap();
    fs::remove_file(dir.path().join("t-0/00000000000000000000.log")).ok();
    let first =
        logs(dir.path()).keys().find(|path| path.starts_with(dir.path().join("t-0"))).cloned().unwrap();
    let first: i64 = first.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert!(first > 0);
    let broker = open(dir.path()).unwrap();
    assert_eq!(broker.admin().describe_topic("t").unwrap().partitions[0].log_start_offset, first);
    let noted = fs::read_to_string(dir.path().join("log-start-offset-checkpoint")).unwrap();
    assert_eq!(noted, format!("0\n1\nt 0 {first}\n"));
    broker.close().unwrap();
    // From now on it is known that this one must be there.
    fs::remove_file(dir.path().join(format!("t-0/{first:020}.log"))).unwrap();
    assert_refused!(open(dir.path()), Error::KafkaStorageError { offset: Some(at), .. } if *at == first);
}

#[test]
fn a_start_that_was_noted_before_more_was_removed_is_an_old_one() {
    let dir = foreign();
    fs::write(dir.path().join("log-start-offset-checkpoint"), "0\n2\nt 0 3\nsomebody 7 12\n").unwrap();
    let broker = open(dir.path()).unwrap();
    let start = broker.admin().describe_topic("t").unwrap().partitions[0].log_start_offset;
    assert!((4..=17).contains(&start), "{start}: the first segment that is there");
    let noted = fs::read_to_string(dir.path().join("log-start-offset-checkpoint")).unwrap();
    assert_eq!(noted, format!("0\n1\nt 0 {start}\n"), "and of who is not there nothing is noted");
}

#[test]
fn what_is_noted_of_others_does_not_count_for_a_topic_that_is_made_later() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["log-start-offset-checkpoint", "recovery-point-offset-checkpoint"] {
        fs::write(dir.path().join(name), "0\n1\nt 0 50\n").unwrap();
    }
    fs::write(dir.path().join("cleaner-offset-checkpoint"), "0\n2\nt 0 40\nu 0 3\n").unwrap();
    let broker = open(dir.path()).unwrap();
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 5);
    let copy = tempfile::tempdir().unwrap();
    copy_dir(dir.path(), copy.path());
    let after_a_kill = open(copy.path()).unwrap();
    assert_eq!(read_all(after_a_kill.client(), "t"), numbers(0..5));
    let cleaned = || fs::read_to_string(dir.path().join("cleaner-offset-checkpoint")).unwrap();
    assert_eq!(cleaned(), "0\n0\n");
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn numbers_that_are_missing_are_made() {
    let dir = foreign();
    fs::remove_dir_all(dir.path().join("three-1")).unwrap();
    for _ in 0..2 {
        let broker = open(dir.path()).unwrap();
        let partitions = broker.admin().describe_topic("three").unwrap().partitions;
        assert_eq!(partitions.iter().map(|p| p.high_watermark).collect::<Vec<_>>(), [1, 0, 0]);
        assert!(dir.path().join("three-1/00000000000000000000.log").exists());
        broker.close().unwrap();
    }
}

#[test]
fn a_directory_without_an_id_gets_that_of_the_others_or_a_new_one() {
    let dir = foreign();
    let id = |of: &str| fs::read_to_string(dir.path().join(of).join("partition.metadata")).unwrap();
    let three = id("three-0");
    fs::remove_file(dir.path().join("three-1/partition.metadata")).unwrap();
    fs::write(dir.path().join("three-2/partition.metadata"), "nonsense, and more of it than an id has")
        .unwrap();
    fs::remove_file(dir.path().join("t-0/partition.metadata")).unwrap();
    let broker = open(dir.path()).unwrap();
    assert_eq!((id("three-1"), id("three-2")), (three.clone(), three));
    let fresh = id("t-0");
    assert!(fresh.ends_with(&broker.admin().describe_topic("t").unwrap().id.to_string()));
    broker.close().unwrap();
    open(dir.path()).unwrap();
    assert_eq!(id("t-0"), fresh);
}

/// Opens it twice, and says that nothing was changed by that.
fn check_refused(dir: &Path, what: &str) {
    let before = files(dir);
    for _ in 0..2 {
        let error = open(dir).map(drop).expect_err(what);
        assert!(matches!(&error, Error::KafkaStorageError { .. }), "{what}: {error:?}");
    }
    let mut after = files(dir);
    after.retain(|path, _| path.file_name().is_some_and(|name| name != ".lock"));
    let mut before = before;
    before.retain(|path, _| path.file_name().is_some_and(|name| name != ".lock"));
    assert_eq!(before, after, "{what}");
}

#[test]
fn contradictions_are_refused_and_nothing_is_changed() {
    let dir = foreign();
    let other = dir.path().join("t-0/partition.metadata");
    fs::copy(&other, dir.path().join("three-1/partition.metadata")).unwrap();
    check_refused(dir.path(), "two ids in one topic");

    let dir = foreign();
    copy_dir(&dir.path().join("t-0"), &dir.path().join("copy-0"));
    check_refused(dir.path(), "one id of two topics");

    let dir = foreign();
    copy_dir(&dir.path().join("t-0"), &dir.path().join("t-2000000000"));
    check_refused(dir.path(), "more partitions than there can be");

    let dir = foreign();
    open(dir.path()).unwrap().close().unwrap();
    copy_dir(&dir.path().join("three-0"), &dir.path().join("three-3"));
    check_refused(dir.path(), "a partition more than the topic has");

    let dir = foreign();
    open(dir.path()).unwrap().close().unwrap();
    fs::copy(dir.path().join("t-0/partition.metadata"), dir.path().join("three-2/partition.metadata"))
        .unwrap();
    check_refused(dir.path(), "another topic's id where one is known");
}

#[test]
fn a_store_of_brooklets_own_without_its_metadata_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let broker = open(dir.path()).unwrap();
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 5);
    broker.close().unwrap();
    let metadata = fs::read(dir.path().join("brooklet.metadata")).unwrap();
    fs::remove_file(dir.path().join("brooklet.metadata")).unwrap();
    check_refused(dir.path(), "no metadata");
    fs::write(dir.path().join("brooklet.metadata"), metadata).unwrap();
    assert_eq!(read_all(open(dir.path()).unwrap().client(), "t"), numbers(0..5));
}

#[test]
fn partitions_may_be_put_into_a_store_that_is_there() {
    let (dir, other) = (tempfile::tempdir().unwrap(), foreign());
    open(dir.path()).unwrap().close().unwrap();
    for closed in [true, false] {
        let name = if closed { "three" } else { "t" };
        for number in 0..3 {
            let from = other.path().join(format!("{name}-{number}"));
            if from.exists() {
                copy_dir(&from, &dir.path().join(format!("{name}-{number}")));
            }
        }
        let broker = open(dir.path()).unwrap();
        assert_eq!(broker.recovery().topics_adopted, [name]);
        let partition = broker.recovery().partitions.iter().find(|p| p.partition.topic() == name).unwrap();
        assert!(partition.bytes_scanned > 0, "nobody has said what is durable: {partition:?}");
        topic(broker.client(), &format!("own-{closed}"), 1);
        if closed {
            broker.flush().unwrap();
            let copy = tempfile::tempdir().unwrap();
            copy_dir(dir.path(), copy.path());
            drop(broker);
            fs::remove_dir_all(dir.path()).unwrap();
            copy_dir(copy.path(), dir.path());
        } else {
            assert_eq!(broker.admin().list_topics().unwrap(), ["own-false", "own-true", "t", "three"]);
        }
    }
}

#[test]
fn what_is_no_topics_is_left_alone() {
    let dir = foreign();
    let hex = "0123456789abcdef0123456789abcdef";
    let left = [
        format!("t-0.{hex}-stray"),
        format!("t-0.{hex}-future"),
        "__cluster_metadata-0".to_owned(),
        "lost+found".to_owned(),
        "t-00".to_owned(),
        "t-x-delete".to_owned(),
        "a b-0".to_owned(),
    ];
    for name in left.iter().chain([&format!("t-0.{hex}-delete")]) {
        copy_dir(&dir.path().join("t-0"), &dir.path().join(name));
    }
    for (name, file) in [("backup-2024", "notes.txt"), ("empty-7", ""), ("three-12", "notes.txt")] {
        fs::create_dir(dir.path().join(name)).unwrap();
        if !file.is_empty() {
            fs::write(dir.path().join(name).join(file), "somebody's").unwrap();
        }
    }
    let of_t = files(&dir.path().join("t-0")).len();
    let broker = open(dir.path()).unwrap();
    assert_eq!(broker.admin().list_topics().unwrap(), ["t", "three"]);
    check_foreign(&broker);
    broker.close().unwrap();
    for name in &left {
        assert_eq!(files(&dir.path().join(name)).len(), of_t, "{name}");
    }
    assert!(!dir.path().join(format!("t-0.{hex}-delete")).exists(), "that one was deleted");
    assert!(dir.path().join("three-12/notes.txt").exists() && dir.path().join("empty-7").exists());
}

#[test]
fn a_directory_that_was_just_made_counts_beside_others() {
    let dir = foreign();
    fs::create_dir(dir.path().join("three-3")).unwrap();
    let broker = open(dir.path()).unwrap();
    assert_eq!(broker.admin().describe_topic("three").unwrap().partitions.len(), 4);
}

#[test]
fn kafkas_own_topics_can_be_read() {
    let dir = foreign();
    fs::rename(dir.path().join("t-0"), dir.path().join("__transaction_state-0")).unwrap();
    let checkpoint = "0\n1\n__transaction_state 0 17\n";
    fs::write(dir.path().join("log-start-offset-checkpoint"), checkpoint).unwrap();
    let broker = open(dir.path()).unwrap();
    let mut consumer =
        broker.consumer(ConsumerConfig::standalone()).assign([("__transaction_state", 0)]).unwrap();
    assert_eq!(rest(&mut consumer).len(), 83);
    assert_refused!(
        broker.admin().delete_records(("__transaction_state", 0), 20),
        Error::InvalidTopic { .. }
    );
}

#[test]
fn opening_tells_how_far_it_is() {
    use std::sync::{Arc, Mutex};
    for closed in [true, false] {
        let dir = foreign();
        if !closed {
            fs::remove_file(dir.path().join(".kafka_cleanshutdown")).unwrap();
            fs::write(dir.path().join("recovery-point-offset-checkpoint"), "").unwrap();
        }
        let whole: u64 = logs(&dir.path().join("t-0")).values().map(|bytes| bytes.len() as u64).sum();
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&told);
        let listener = move |progress: &brooklet::Progress| into.lock().unwrap().push(progress.clone());
        let broker =
            Broker::builder().clock(&ManualClock::new()).on_progress(listener).open(dir.path()).unwrap();
        let told = told.lock().unwrap();
        for partition in &broker.recovery().partitions {
            let of: Vec<_> = told.iter().filter(|told| told.partition == partition.partition).collect();
            assert!(of.len() >= 2 && of[0].bytes_done == 0, "{of:?}");
            assert!(of.windows(2).all(|pair| pair[0].bytes_done <= pair[1].bytes_done), "{of:?}");
            let last = of.last().unwrap();
            assert_eq!(last.bytes_done, last.bytes_total);
            assert!(last.bytes_total >= partition.bytes_scanned, "{last:?} {partition:?}");
            if partition.partition.topic() == "t" {
                assert_eq!(last.bytes_total == whole, !closed, "{last:?} of {whole}");
            }
        }
    }
}
