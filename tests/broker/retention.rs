//! When retention comes, what it leaves in the directory, and what a crash makes of it.

use crate::common::{assert_refused, put, read_all, topic};
use brooklet::{
    Broker, DiskFault, DiskOp, Durability, Error, ManualClock, OffsetSpec, Record, Result, SimDisk,
    TopicConfig,
};
use std::{fs, path::Path, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

/// A record fills a segment.
fn config() -> TopicConfig {
    TopicConfig::new().segment_bytes(1024).retention_time(10 * MINUTE)
}

fn put_segment(broker: &Broker) -> Result<i64> {
    Ok(broker.produce(Record::to("t").value(&"x".repeat(800)))?.offset)
}

fn put_segments(broker: &Broker, count: usize) {
    (0..count).for_each(|_| assert!(put_segment(broker).is_ok()));
}

fn start(broker: &Broker) -> i64 {
    broker.admin().describe_topic("t").unwrap().partitions[0].log_start_offset
}

fn names(dir: &Path, end: &str) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(end)).collect();
    names.sort();
    names
}

fn checkpoint(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap_or_default()
}

#[test]
fn retention_comes_with_the_time_and_files_go_after_their_delay() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let broker = Broker::builder().clock(&clock).open(dir.path()).unwrap();
    broker.create_topic("t", config().file_delete_delay(90 * Duration::from_secs(1))).unwrap();
    for _ in 0..3 {
        put_segment(&broker).unwrap();
        clock.advance(MINUTE);
    }
    let partition = dir.path().join("t-0");
    // The checks come every five minutes, the first one after 30 seconds: the next ones are at 10:30 and 15:30.
    clock.advance(Duration::from_secs(7 * 60 + 29));
    assert_eq!((start(&broker), names(&partition, ".log").len()), (0, 3));
    clock.advance(Duration::from_secs(1));
    assert_eq!(start(&broker), 1, "the first one is ten minutes and a half old");
    assert_eq!(checkpoint(dir.path(), "log-start-offset-checkpoint"), "0\n1\nt 0 1\n");
    assert_eq!(names(&partition, ".log.deleted"), ["00000000000000000000.log.deleted"]);
    assert_eq!(names(&partition, ".log").len(), 2);
    clock.advance(Duration::from_secs(89));
    assert!(!names(&partition, ".deleted").is_empty());
    clock.advance(Duration::from_secs(1));
    assert!(names(&partition, ".deleted").is_empty());
    clock.advance(5 * MINUTE);
    assert_eq!(start(&broker), 3);
    assert_eq!(names(&partition, ".log"), ["00000000000000000003.log"]);
    broker.close().unwrap();
    assert_eq!(names(&partition, ".log.deleted").len(), 0);
    assert_eq!(checkpoint(dir.path(), "replication-offset-checkpoint"), "0\n1\nt 0 3\n");
    let broker = Broker::open(dir.path()).unwrap();
    assert_eq!((start(&broker), put_segment(&broker).unwrap()), (3, 3));
}

#[test]
fn files_that_are_left_over_go_with_the_next_open() {
    let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let open = || Broker::builder().clock(&clock).open(dir.path()).unwrap();
    let broker = open();
    broker.create_topic("t", config()).unwrap();
    put_segments(&broker, 4);
    broker.admin().delete_records(("t", 0), 2).unwrap();
    broker.close().unwrap();
    assert_eq!(names(&dir.path().join("t-0"), ".log.deleted").len(), 2);
    let broker = open();
    assert!(names(&dir.path().join("t-0"), ".deleted").is_empty());
    assert_eq!(read_all(broker.client(), "t").len(), 2);
}

#[test]
fn an_interval_is_at_least_a_millisecond_or_never_ends() {
    let clock = ManualClock::new();
    let every = |interval| Broker::builder().clock(&clock).retention_check_interval(interval);
    assert_refused!(every(Duration::ZERO).open_temporary(), Error::InvalidConfig { key, .. }
        if key == "log.retention.check.interval.ms");
    let broker = every(Duration::MAX).open_temporary().unwrap();
    broker.create_topic("t", config()).unwrap();
    let old = clock.now() - 100 * MINUTE;
    broker.produce(Record::to("t").value(&"x".repeat(800)).timestamp(old)).unwrap();
    clock.advance(100 * 24 * 60 * MINUTE);
    assert_eq!(start(&broker), 0);
    broker.apply_retention_now().unwrap();
    assert_eq!(start(&broker), 1);
    broker.close().unwrap();
    assert_refused!(broker.apply_retention_now(), Error::Closed);
}

#[test]
fn a_start_that_is_noted_tells_a_lost_segment_from_a_removed_one() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    broker.create_topic("t", config()).unwrap();
    put_segments(&broker, 6);
    broker.admin().delete_records(("t", 0), 2).unwrap();
    broker.close().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    assert_eq!((start(&broker), broker.recovery().partitions[0].log_start_offset), (2, 2));
    broker.close().unwrap();
    fs::remove_file(dir.path().join("t-0/00000000000000000002.log")).unwrap();
    assert_refused!(Broker::open(dir.path()), Error::KafkaStorageError { offset: Some(2), .. });
}

#[test]
fn a_topic_made_again_begins_at_0_whatever_its_predecessor_did() {
    let disk = SimDisk::new(1);
    let open = || Broker::builder().disk(&disk).clock(&ManualClock::new()).open("data").unwrap();
    let broker = open();
    broker.create_topic("t", config()).unwrap();
    put_segments(&broker, 3);
    broker.admin().delete_records(("t", 0), 3).unwrap();
    broker.admin().delete_topic("t").unwrap();
    broker.create_topic("t", config()).unwrap();
    put_segment(&broker).unwrap();
    broker.flush().unwrap();
    disk.power_cut();
    let broker = open();
    assert_eq!((start(&broker), read_all(broker.client(), "t").len()), (0, 1));
}

/// What a run was told before the power was cut.
#[derive(Debug, Default)]
struct Told {
    made: bool,
    deleted: bool,
    /// Records that were acknowledged as flushed.
    end: i64,
    start: i64,
}

fn run(disk: &SimDisk, told: &mut Told) -> Result<()> {
    let clock = ManualClock::new();
    let broker = Broker::builder().disk(disk).clock(&clock).open("data")?;
    broker.create_topic("other", TopicConfig::new())?;
    broker.create_topic("t", config().durability(Durability::Flushed).file_delete_delay(MINUTE))?;
    told.made = true;
    for _ in 0..5 {
        told.end = put_segment(&broker)? + 1;
        clock.advance(Duration::from_secs(1));
    }
    told.start = broker.admin().delete_records(("t", 0), 2)?;
    told.end = put_segment(&broker)? + 1;
    clock.advance(9 * MINUTE + Duration::from_secs(58));
    broker.apply_retention_now()?;
    told.start = start(&broker);
    clock.advance(2 * MINUTE);
    broker.apply_retention_now()?;
    told.start = start(&broker);
    told.end = put_segment(&broker)? + 1;
    clock.advance(MINUTE);
    broker.admin().delete_topic("t")?;
    told.deleted = true;
    clock.advance(MINUTE);
    broker.close()
}

/// What was removed is not kept, whatever the crash left of it.
fn check_kept_aside(broker: &Broker, what: &str) {
    for partition in broker.recovery().partitions.iter().filter(|of| of.partition.topic() == "t") {
        for path in &partition.kept_aside {
            let base: i64 = path.file_name().unwrap().to_str().unwrap()[..20].parse().unwrap();
            assert!(base >= partition.log_start_offset, "{what}: {} is kept", path.display());
        }
    }
}

fn check(disk: &SimDisk, told: &Told, what: &str) {
    for _ in 0..2 {
        let clock = ManualClock::new();
        let broker = Broker::builder().disk(disk).clock(&clock).open("data");
        let broker = broker.unwrap_or_else(|error| panic!("{what}: {error}"));
        let topics = broker.admin().list_topics().unwrap();
        let is_there = topics.contains(&"t".to_owned());
        assert!(!(told.deleted && is_there), "{what}: it is back");
        if is_there {
            check_kept_aside(&broker, what);
            let described = broker.admin().describe_topic("t").unwrap().partitions.remove(0);
            let (start, end) = (described.log_start_offset, described.high_watermark);
            assert!(start >= told.start, "{what}: from {start}, {told:?}");
            assert!(end >= told.end, "{what}: to {end}, {told:?}");
            let read = read_all(broker.client(), "t").len() as i64;
            assert_eq!(read, end - start, "{what}: {told:?}");
            assert_eq!(put_segment(&broker).unwrap(), end, "{what}");
        } else if !topics.is_empty() {
            topic(broker.client(), "t", 1);
            assert_eq!(put(broker.client(), "t", "x"), 0, "{what}");
            broker.admin().delete_topic("t").unwrap();
        }
        broker.close().unwrap();
    }
}

#[test]
fn the_power_may_be_cut_at_every_operation() {
    let mut images = 0;
    for seed in brooklet::seeds(4) {
        for n in 0.. {
            let disk = SimDisk::new(seed);
            let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
            let mut told = Told::default();
            let ran = run(&disk, &mut told);
            let is_over = cut.hits() == 0;
            cut.remove();
            disk.power_cut();
            let what = format!(
                "BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --test broker the_power_may; operation {n}"
            );
            check(&disk, &told, &what);
            images += 1;
            if is_over {
                ran.unwrap();
                break;
            }
        }
    }
    println!("{images} images were opened");
    assert!(images > 400 || std::env::var_os("BROOKLET_SEEDS").is_some(), "{images} images only");
}

#[test]
fn every_operation_may_fail_once_and_for_good() {
    let mut images = 0;
    for times in [1, u64::MAX] {
        for n in 0.. {
            let disk = SimDisk::new(7);
            let fault = disk.intercept(DiskOp::Any).skip(n).times(times).fail(DiskFault::Eio);
            let mut told = Told::default();
            drop(run(&disk, &mut told));
            let is_over = fault.hits() == 0;
            fault.remove();
            disk.power_cut();
            check(&disk, &told, &format!("{times} failures from operation {n} on"));
            images += 1;
            if is_over {
                break;
            }
        }
    }
    println!("{images} images were opened");
    assert!(images > 200, "{images} images only");
}

#[test]
fn a_topic_is_flushed_when_it_has_so_many_records_unflushed() {
    let clock = ManualClock::new();
    let broker = Broker::builder().disk(&SimDisk::new(0)).clock(&clock).open("data").unwrap();
    let config = TopicConfig::new().flush_interval(Duration::MAX).flush_messages(3);
    broker.create_topic("t", config).unwrap();
    let durable = || broker.durable_offset("t", 0).unwrap();
    let put = || broker.produce(Record::to("t").value("x")).unwrap().durability;
    for round in 0..3 {
        assert_eq!((put(), put(), durable()), (Durability::Buffered, Durability::Buffered, 3 * round));
        assert_eq!((put(), durable()), (Durability::Flushed, 3 * round + 3));
    }
    put();
    broker.flush().unwrap();
    assert_eq!(durable(), 10, "what is flushed for another reason counts anew");
    assert_eq!((put(), put(), durable()), (Durability::Buffered, Durability::Buffered, 10));
    let batch = (0..7).map(|_| Record::to("t").value("y"));
    broker.produce_all(batch).unwrap();
    assert_eq!(durable(), 19, "a batch of more is flushed as a whole");
}

#[test]
fn a_start_that_could_not_be_noted_is_noted_the_next_time() {
    let (disk, clock) = (SimDisk::new(3), ManualClock::new());
    let open = || Broker::builder().disk(&disk).clock(&clock).open("data").unwrap();
    let broker = open();
    broker.create_topic("t", config()).unwrap();
    put_segments(&broker, 4);
    let fault = disk.intercept(DiskOp::Rename).path("log-start").fail(DiskFault::Eio);
    assert_refused!(broker.admin().delete_records(("t", 0), 2), Error::Io { .. });
    let renamed = |op: &&brooklet::DiskOperation| {
        op.op == DiskOp::Rename && op.path.to_string_lossy().ends_with(".log")
    };
    assert_eq!(disk.operations().iter().filter(renamed).count(), 0, "what is not noted is not acted upon");
    fault.remove();
    assert_eq!(broker.admin().delete_records(("t", 0), OffsetSpec::Earliest).unwrap(), 2);
    disk.power_cut();
    assert_eq!(start(&open()), 2);
}
