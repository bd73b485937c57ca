//! Which records survive a power cut, and what the broker says of it.

use crate::common::{assert_refused, put, put_numbers, read_all, topic};
use brooklet::{Broker, DiskFault, DiskOp, Durability, Error, ManualClock, Record, SimDisk, TopicConfig};
use std::time::Duration;

fn on(disk: &SimDisk) -> Broker {
    Broker::builder().clock(&ManualClock::new()).disk(disk).open("data").unwrap()
}

#[test]
fn a_flush_is_a_barrier_over_all_topics() {
    let disk = SimDisk::new(1);
    let broker = on(&disk);
    topic(broker.client(), "a", 2);
    topic(broker.client(), "b", 1);
    put_numbers(broker.client(), "a", 5);
    put_numbers(broker.client(), "b", 3);
    let durable = |topic, partition| broker.durable_offset(topic, partition).unwrap();
    assert_eq!((durable("a", 0), durable("a", 1), durable("b", 0)), (0, 0, 0));
    broker.flush().unwrap();
    assert_eq!((durable("a", 0), durable("a", 1), durable("b", 0)), (5, 0, 3));
    put(broker.client(), "a", "not flushed");
    assert_eq!(durable("a", 0), 5);
    disk.power_cut();
    let broker = on(&disk);
    assert!(read_all(broker.client(), "a").len() >= 5);
    assert_eq!(read_all(broker.client(), "b").len(), 3);
}

#[test]
fn what_is_acknowledged_as_flushed_is_durable() {
    for seed in brooklet::seeds(20) {
        let disk = SimDisk::new(seed);
        let broker = on(&disk);
        topic(broker.client(), "t", 1);
        for n in 0..10 {
            put(broker.client(), "t", "buffered");
            let at =
                broker.produce(Record::to("t").value("flushed").durability(Durability::Flushed)).unwrap();
            assert_eq!(at.offset, n * 2 + 1);
            assert_eq!(broker.durable_offset("t", 0).unwrap(), at.offset + 1, "and all before it");
        }
        disk.power_cut();
        assert_eq!(
            read_all(on(&disk).client(), "t").len(),
            20,
            "BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --test broker"
        );
    }
}

#[test]
fn durable_offset_knows_what_there_is() {
    let broker = Broker::temporary().unwrap();
    topic(broker.client(), "t", 2);
    for (name, partition) in [("nowhere", 0), ("t", 2), ("t", -1)] {
        assert_refused!(broker.durable_offset(name, partition), Error::UnknownTopicOrPartition { .. });
    }
    assert_eq!(broker.durable_offset("t", 1).unwrap(), 0);
    broker.flush().unwrap();
}

#[test]
fn of_a_flushed_topic_nobody_reads_what_is_not_flushed() {
    let disk = SimDisk::new(1);
    let broker = on(&disk);
    broker.create_topic("t", TopicConfig::new().durability(Durability::Flushed)).unwrap();
    put(broker.client(), "t", "flushed");
    disk.intercept(DiskOp::Flush).path("t-0").fail(DiskFault::Eio);
    let failed = broker.produce(Record::to("t").value("in the log, and not durable"));
    assert!(failed.as_ref().is_err_and(Error::is_indeterminate), "{failed:?}");
    assert_eq!(read_all(broker.client(), "t"), ["flushed"]);
    let described = broker.admin().describe_topic("t").unwrap();
    assert_eq!(described.partitions[0].high_watermark, 1, "rule 7: not the log end");
}

#[test]
fn after_a_failed_flush_a_partition_takes_no_more_until_it_is_opened_anew() {
    let disk = SimDisk::new(1);
    let broker = on(&disk);
    topic(broker.client(), "t", 2);
    let put_flushed = |partition| {
        let record = Record::to("t").value("x").partition(partition).durability(Durability::Flushed);
        broker.produce(record).map(|at| at.offset)
    };
    assert_eq!(put_flushed(0).unwrap(), 0);
    let fault = disk.intercept(DiskOp::Flush).path("t-0").fail(DiskFault::Eio);
    put_flushed(0).unwrap_err();
    fault.remove();
    put_flushed(0).unwrap_err();
    assert!(broker.produce(Record::to("t").value("x").partition(0)).is_err());
    assert_eq!(put_flushed(1).unwrap(), 0, "the other partition goes on");
    assert!(broker.flush().is_err());
    assert!(broker.close().is_err());
    drop(broker);
    let broker = on(&disk);
    assert!(!broker.recovery().clean);
    let record = Record::to("t").value("x").partition(0).durability(Durability::Flushed);
    assert!(broker.produce(record).unwrap().offset >= 1);
}

#[test]
fn a_full_disk_is_an_error_and_no_record() {
    let disk = SimDisk::new(1);
    let broker = on(&disk);
    topic(broker.client(), "t", 1);
    put(broker.client(), "t", "before");
    let full = disk.intercept(DiskOp::Write).path(".log").fail(DiskFault::Enospc);
    assert_refused!(broker.produce(Record::to("t").value("no room")), Error::Io { .. });
    assert_eq!(read_all(broker.client(), "t"), ["before"]);
    full.remove();
    assert_eq!(put(broker.client(), "t", "after"), 1);
    assert_eq!(read_all(broker.client(), "t"), ["before", "after"]);
    drop(broker);
    assert_eq!(read_all(on(&disk).client(), "t"), ["before", "after"]);
}

#[test]
fn by_the_wall_clock_a_background_flush_comes_by_itself() {
    let broker = Broker::temporary().unwrap();
    broker.create_topic("t", TopicConfig::new().flush_interval(Duration::from_millis(1))).unwrap();
    put(broker.client(), "t", "x");
    let mut consumer = broker.consumer("g").subscribe("t").unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while broker.durable_offset("t", 0).unwrap() == 0 {
        assert!(std::time::Instant::now() < deadline, "no flush in a minute");
        consumer.seek(("t", 0), 1).unwrap();
        consumer.poll(Duration::from_millis(1)).unwrap();
    }
}
