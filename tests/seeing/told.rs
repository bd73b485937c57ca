//! The feature `tracing`: what a subscriber is told. On a manual clock all of it happens on the thread of the test.

use crate::{
    common::{put, put_numbers, reader, rest, topic},
    on,
};
use brooklet::{
    Broker, CleanupPolicy, DiskFault, DiskOp, Durability, Error, GroupBeyondEnd, ProducerConfig, Record,
    SimDisk, TopicConfig,
};
use std::{
    fmt::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record as SpanRecord},
    subscriber::with_default,
};

/// Keeps a line for each event and span, and calls somebody for each event.
struct Listener {
    lines: Arc<Mutex<Vec<String>>>,
    spans: AtomicU64,
    called: Box<dyn Fn() + Send + Sync>,
}

/// Writes ` name=value` for each field.
struct Fields<'l>(&'l mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "message" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "brooklet"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = format!("{} span {}", span.metadata().level(), span.metadata().name());
        span.record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
        Id::from_u64(1 + self.spans.fetch_add(1, Ordering::SeqCst))
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = format!("{} {}", event.metadata().level(), event.metadata().name());
        event.record(&mut Fields(&mut line));
        self.lines.lock().unwrap().push(line);
        (self.called)();
    }

    fn exit(&self, span: &Id) {
        self.lines.lock().unwrap().push(format!("end of span {}", span.into_u64()));
    }

    fn enter(&self, _: &Id) {}

    fn record(&self, _: &Id, _: &SpanRecord<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}
}

/// What is told while `work` is done; `called` is called at each event.
fn told_with(called: impl Fn() + Send + Sync + 'static, work: impl FnOnce()) -> Vec<String> {
    let lines = Arc::default();
    let listener = Listener { lines: Arc::clone(&lines), spans: AtomicU64::new(0), called: Box::new(called) };
    with_default(listener, work);
    let lines = lines.lock().unwrap();
    lines.clone()
}

fn told(work: impl FnOnce()) -> Vec<String> {
    told_with(|| {}, work)
}

fn put_segment(broker: &Broker) {
    broker.produce(Record::to("t").value(&"x".repeat(800)).partition(0)).unwrap();
}

#[test]
fn opening_and_closing_are_spans_with_an_event_at_their_ends() {
    let disk = SimDisk::new(1);
    let lines = told(|| on(&disk).0.close().unwrap());
    let expected = [
        "INFO span open dir=data",
        "INFO opened dir=data clean=true partitions=0 bytes_scanned=0",
        "end of span 1",
        "INFO span close dir=data",
        "INFO closed dir=data",
        "end of span 2",
    ];
    assert_eq!(lines, expected);
    topic(on(&disk).0.client(), "t", 1);
    let lines = told(|| drop(on(&disk)));
    assert_eq!(lines[1..3], ["DEBUG span load partition=t-0", "end of span 2"]);
}

#[test]
fn a_close_that_fails_is_told() {
    let disk = SimDisk::new(1);
    let (broker, _) = on(&disk);
    topic(broker.client(), "t", 1);
    put(broker.client(), "t", "x");
    let lines = told(|| {
        disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
        broker.close().unwrap_err();
    });
    assert!(lines[1].starts_with("ERROR close_failed dir=data error="), "{lines:?}");
}

#[test]
fn what_recovery_cut_is_told() {
    let mut cut = 0;
    for seed in brooklet::seeds(40) {
        let disk = SimDisk::new(seed);
        let (broker, _) = on(&disk);
        topic(broker.client(), "t", 1);
        put_numbers(broker.client(), "t", 20);
        disk.power_cut();
        let mut broker = None;
        let lines = told(|| broker = Some(on(&disk).0));
        let broker = broker.unwrap();
        let partition = &broker.recovery().partitions[0];
        let told: Vec<_> = lines.iter().filter(|line| line.starts_with("WARN log_cut")).collect();
        if partition.bytes_cut > 0 {
            cut += 1;
            let (end, bytes, good) =
                (partition.log_end_offset, partition.bytes_cut, partition.good_batches_cut);
            let line =
                format!("WARN log_cut partition=t-0 end_offset={end} bytes={bytes} good_batches={good}");
            assert_eq!(told, [&line], "BROOKLET_SEED={seed} BROOKLET_SEEDS=1");
        } else {
            assert!(told.is_empty(), "{told:?}: BROOKLET_SEED={seed} BROOKLET_SEEDS=1");
        }
        let opened = lines.iter().find(|line| line.starts_with("INFO opened")).unwrap();
        assert!(opened.contains("clean=false partitions=1"), "{opened}");
    }
    assert!(cut > 0 || std::env::var_os("BROOKLET_SEEDS").is_some(), "no power cut has cut a log");
}

#[test]
fn what_salvage_put_in_order_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 3);
    broker.close().unwrap();
    let log = dir.path().join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let lines = told(|| drop(Broker::builder().salvage(true).open(dir.path()).unwrap()));
    let told: Vec<_> = lines.iter().filter(|line| line.starts_with("WARN log_salvaged")).collect();
    assert_eq!(told.len(), 1, "{lines:?}");
    assert!(told[0].contains("partition=t-0") && told[0].contains("offset=1 next_offset=2"), "{told:?}");
}

#[test]
fn files_that_cannot_be_read_are_told_of_and_so_is_what_they_told() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    topic(broker.client(), "t", 1);
    put(broker.client(), "t", "x");
    broker.close().unwrap();
    std::fs::write(dir.path().join("brooklet.metadata"), "no metadata").unwrap();
    let lines = told(|| drop(Broker::builder().salvage(true).open(dir.path()).unwrap()));
    let aside = dir.path().join("brooklet.metadata.0.cut");
    let expected =
        ["INFO topic_adopted topic=t".to_owned(), format!("WARN file_kept_aside path={}", aside.display())];
    for line in expected {
        assert!(lines.contains(&line), "{line}: {lines:?}");
    }
}

#[test]
fn a_group_that_had_done_what_is_lost_is_told_of() {
    let mut lost = 0;
    for seed in brooklet::seeds(40) {
        let disk = SimDisk::new(seed);
        let (broker, clock) = on(&disk);
        broker.create_topic("t", TopicConfig::new().flush_interval(Duration::MAX)).unwrap();
        put_numbers(broker.client(), "t", 5);
        broker.flush().unwrap();
        put_numbers(broker.client(), "t", 15);
        let mut consumer = broker.consumer("g").subscribe("t").unwrap();
        assert_eq!(rest(&mut consumer).len(), 20);
        consumer.commit_offset().unwrap();
        // The commit is durable, and the records that it is about are not.
        clock.advance(Duration::from_secs(2));
        disk.power_cut();
        let mut broker = None;
        let lines = told(|| broker = Some(on(&disk).0));
        let broker = broker.unwrap();
        let of_group = |beyond: &GroupBeyondEnd| {
            let (committed, end) = (beyond.committed, beyond.end_offset);
            format!("WARN group_beyond_end group=g partition=t-0 committed={committed} end_offset={end}")
        };
        let beyond: Vec<String> = broker.recovery().groups_beyond_end.iter().map(of_group).collect();
        let told_of: Vec<_> = lines.iter().filter(|line| line.contains("beyond_end")).cloned().collect();
        assert_eq!(told_of, beyond, "BROOKLET_SEED={seed} BROOKLET_SEEDS=1");
        let Some(beyond) = broker.recovery().groups_beyond_end.first() else { continue };
        lost += 1;
        let lines = told(|| {
            let mut consumer = broker.consumer("g").subscribe("t").unwrap();
            assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
        });
        let (committed, end) = (beyond.committed, beyond.end_offset);
        let line = format!("WARN position_cut partition=t-0 committed={committed} end_offset={end}");
        assert!(lines.contains(&line), "{lines:?}");
    }
    assert!(
        lost > 0 || std::env::var_os("BROOKLET_SEEDS").is_some(),
        "no power cut has lost what the group had done"
    );
}

#[test]
fn a_flush_that_fails_is_told_once() {
    let disk = SimDisk::new(1);
    let (broker, _) = on(&disk);
    topic(broker.client(), "t", 1);
    let lines = told(|| {
        disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
        for _ in 0..2 {
            broker.produce(Record::to("t").durability(Durability::Flushed)).unwrap_err();
        }
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("ERROR flush_failed partition=t-0 error="), "{lines:?}");
}

#[test]
fn a_flush_that_fails_for_new_settings_is_told() {
    let disk = SimDisk::new(1);
    let (broker, _) = on(&disk);
    topic(broker.client(), "t", 1);
    put(broker.client(), "t", "x");
    let lines = told(|| {
        disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
        let flushed = TopicConfig::new().durability(Durability::Flushed);
        broker.admin().alter_configs("t", flushed).unwrap_err();
    });
    assert_eq!((lines.len(), &*lines[0]), (2, "INFO topic_altered topic=t"));
    assert!(lines[1].starts_with("ERROR flush_failed partition=t-0 error="), "{lines:?}");
}

#[test]
fn segments_are_told_of_as_they_are_begun_and_as_they_go() {
    let (broker, clock) = on(&SimDisk::new(1));
    let (second, config) = (Duration::from_secs(1), TopicConfig::new().segment_bytes(1024));
    broker.create_topic("t", config.retention_time(3600 * second)).unwrap();
    let lines = told(|| {
        (0..4).for_each(|_| put_segment(&broker));
        broker.admin().delete_records(("t", 0), 1).unwrap();
        clock.advance(2 * 3600 * second);
    });
    let expected = [
        "DEBUG segment_rolled partition=t-0 offset=1",
        "DEBUG segment_rolled partition=t-0 offset=2",
        "DEBUG segment_rolled partition=t-0 offset=3",
        "INFO segments_deleted partition=t-0 segments=1 log_start_offset=1",
        "INFO segments_deleted partition=t-0 segments=3 log_start_offset=4",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_cleaning_is_told_of_and_so_is_one_that_fails() {
    let disk = SimDisk::new(1);
    let (broker, clock) = on(&disk);
    let config = TopicConfig::new().segment_bytes(1024).cleanup_policy(CleanupPolicy::Compact);
    broker.create_topic("t", config).unwrap();
    let value = "x".repeat(700);
    let put = || assert!(broker.produce(Record::to("t").key("k").value(&value)).is_ok());
    (0..4).for_each(|_| put());
    let lines = told(|| clock.advance(Duration::from_secs(16)));
    assert_eq!(lines, ["INFO log_cleaned partition=t-0 end_offset=3 bytes_before=2313 bytes_after=771"]);
    assert_eq!((broker.metrics().logs_cleaned, broker.metrics().bytes_cleaned), (1, 1542));
    (0..2).for_each(|_| put());
    let fault = disk.intercept(DiskOp::Write).path(".cleaned").times(1).fail(DiskFault::Enospc);
    let lines = told(|| clock.advance(Duration::from_secs(16)));
    assert_eq!(fault.hits(), 1);
    assert!(lines[0].starts_with("WARN cleaning_failed partition=t-0 error="), "{lines:?}");
    assert!(lines.len() == 1, "{lines:?}");
    put();
    let lines = told(|| clock.advance(Duration::from_secs(16)));
    assert!(lines[0].starts_with("INFO log_cleaned"), "it is tried again: {lines:?}");
}

#[test]
fn what_fails_in_the_background_is_told() {
    let disk = SimDisk::new(1);
    let (broker, clock) = on(&disk);
    let minute = Duration::from_secs(60);
    broker.create_topic("t", TopicConfig::new().retention_time(minute)).unwrap();
    let lines = told(|| {
        put(broker.client(), "t", "x");
        let fault = disk.intercept(DiskOp::Write).path("recovery-point-offset-checkpoint").times(1);
        let fault = fault.fail(DiskFault::Eio);
        clock.advance(Duration::from_secs(2));
        assert_eq!(fault.hits(), 1);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("WARN checkpoint_failed error="), "{lines:?}");
    let lines = told(|| {
        let fault = disk.intercept(DiskOp::Write).path("log-start-offset-checkpoint").times(1);
        let fault = fault.fail(DiskFault::Eio);
        clock.advance(10 * minute);
        assert_eq!(fault.hits(), 1);
    });
    assert!(lines[0].starts_with("WARN retention_failed error="), "{lines:?}");
}

#[test]
fn topics_are_told_of() {
    let (broker, _) = on(&SimDisk::new(1));
    let lines = told(|| {
        topic(broker.client(), "t", 2);
        broker.create_topic("t", TopicConfig::new()).unwrap_err();
        broker.admin().create_partitions("t", 3).unwrap();
        broker.admin().alter_configs("t", TopicConfig::new().retention_bytes(1 << 20)).unwrap();
        broker.admin().delete_topic("t").unwrap();
        broker.admin().delete_topic("t").unwrap_err();
    });
    let expected = [
        "INFO topic_created topic=t partitions=2",
        "INFO partitions_created topic=t partitions=3",
        "INFO topic_altered topic=t",
        "INFO topic_deleted topic=t",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn groups_are_told_of() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 2);
    put(broker.client(), "t", "x");
    let lines = told(|| {
        let mut consumer = broker.consumer("g").subscribe("t").unwrap();
        consumer.poll(Duration::ZERO).unwrap();
        consumer.commit_offset().unwrap();
        consumer.commit_offset().unwrap();
        consumer.close().unwrap();
        drop(broker.consumer("g").subscribe("t").unwrap());
        broker.admin().delete_group("g").unwrap();
    });
    let expected = [
        "INFO topic_created topic=__consumer_offsets partitions=50",
        "DEBUG group_created group=g",
        "DEBUG offsets_committed group=g partitions=2",
        "DEBUG offsets_committed group=g partitions=2",
        "DEBUG group_deleted group=g",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_position_that_is_reset_is_told() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 1);
    let lines = told(|| {
        let mut consumer = reader(broker.client(), "t");
        consumer.seek(("t", 0), 7).unwrap();
        consumer.poll(Duration::ZERO).unwrap();
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("WARN position_reset partition=t-0 error="), "{lines:?}");
}

#[test]
fn a_batch_that_fails_is_told() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 1);
    let lines = told(|| {
        let producer = broker.producer(ProducerConfig::new()).unwrap();
        let at = broker.now() + Duration::from_secs(2 * 3600);
        for _ in 0..3 {
            drop(producer.send(Record::to("t").timestamp(at)).unwrap());
        }
        producer.flush().unwrap_err();
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("WARN batch_failed topic=t error="), "{lines:?}");
    assert!(lines[0].ends_with(" partition=0 records=3"), "{lines:?}");
    let lines = told(|| {
        let producer = broker.producer(ProducerConfig::new().linger(Duration::from_secs(1))).unwrap();
        drop(producer.send(Record::to("t").value("x")).unwrap());
        producer.close_timeout(Duration::ZERO).unwrap_err();
    });
    let line = format!("WARN batch_failed topic=t error={} partition=0 records=1", Error::Closed);
    assert_eq!(lines, [line]);
}

#[test]
fn who_is_told_may_use_the_broker() {
    let (say, done) = mpsc::channel();
    // In a thread of its own: what holds a lock meanwhile makes it wait for ever.
    thread::spawn(move || {
        let disk = SimDisk::new(1);
        let (broker, clock) = on(&disk);
        topic(broker.client(), "events", 1);
        let config = || TopicConfig::new().segment_bytes(1024).retention_time(Duration::from_secs(3600));
        broker.create_topic("t", config()).unwrap();
        let there = broker.clone();
        let lines = told_with(
            move || {
                put(there.client(), "events", "something happened");
                there.metrics();
                there.admin().alter_configs("events", TopicConfig::new()).unwrap();
                there.admin().list_groups().unwrap();
                there.admin().delete_records(("events", 0), 1).unwrap();
                there.flush().unwrap_or(());
            },
            || {
                (0..3).for_each(|_| put_segment(&broker));
                let mut consumer = broker.consumer("g").subscribe("t").unwrap();
                consumer.poll(Duration::ZERO).unwrap();
                consumer.commit_offset().unwrap();
                broker.admin().alter_configs("t", config()).unwrap();
                broker.admin().create_partitions("t", 2).unwrap();
                broker.admin().delete_records(("t", 0), 2).unwrap();
                clock.advance(Duration::from_secs(2 * 3600));
                disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
                broker.produce(Record::to("t").partition(0).durability(Durability::Flushed)).unwrap_err();
                broker.admin().delete_topic("t").unwrap();
            },
        );
        say.send(lines).unwrap();
    });
    let lines = done.recv_timeout(Duration::from_secs(60)).expect("a lock is held while somebody is told");
    for event in
        ["segment_rolled", "group_created", "offsets_committed", "topic_altered", "partitions_created"]
    {
        assert!(lines.iter().any(|line| line.contains(event)), "{event}: {lines:?}");
    }
    for event in ["segments_deleted", "flush_failed", "topic_deleted"] {
        assert!(lines.iter().any(|line| line.contains(event)), "{event}: {lines:?}");
    }
}

#[test]
fn each_event_is_in_the_table_of_the_documentation() {
    let (events, docs) = (include_str!("../../src/trace.rs"), include_str!("../../src/lib.rs"));
    let mut count = 0;
    for line in events.lines().map(str::trim_start) {
        let Some((level, rest)) = line.split_once(" \"").filter(|(level, _)| level.len() <= 5) else {
            continue;
        };
        let name = rest.rsplit_once("\" ").unwrap().1.split('(').next().unwrap();
        let row = format!("//! | {} |", level.to_lowercase());
        let row = docs.lines().find(|line| line.starts_with(&row)).unwrap();
        assert!(row.contains(&format!("`{name}`")), "{level} {name}");
        count += 1;
    }
    let rows = docs.lines().skip_while(|line| !line.contains("| level | events |")).skip(2);
    let named: usize =
        rows.take_while(|line| line.starts_with("//! |")).map(|row| row.matches('`').count()).sum();
    assert_eq!(named / 2, count, "no more are in the table than there are");
}
