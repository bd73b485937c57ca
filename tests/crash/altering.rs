//! Topics that are changed while the power is cut, or the disk fails, at every operation of the change.

use crate::{check::read_partition, replay::Replay};
use brooklet::{Broker, DiskFault, DiskOp, Durability, ManualClock, Record, SimDisk, TopicConfig, seeds};
use std::time::Duration;

fn open(disk: &SimDisk) -> Broker {
    Broker::builder().disk(disk).clock(&ManualClock::new()).open("data").unwrap()
}

fn flushed(value: &str, partition: i32) -> Record<'_> {
    Record::to("t").value(value).partition(partition).durability(Durability::Flushed)
}

/// A broker with a topic of two partitions and a flushed record in each.
fn with_topic(disk: &SimDisk) -> Broker {
    let broker = open(disk);
    broker.create_topic("t", TopicConfig::new().partitions(2)).unwrap();
    for n in 0..2 {
        broker.produce(flushed("old", n)).unwrap();
    }
    broker
}

fn partitions(broker: &Broker) -> i32 {
    broker.admin().describe_topic("t").unwrap().partitions.len() as i32
}

/// The old records are there, and every partition takes new ones that last.
fn check_usable(disk: &SimDisk, broker: Broker, at_least: i32) {
    let count = partitions(&broker);
    assert!(count == 2 || count == 4, "{count} partitions");
    assert!(count >= at_least, "partitions that were there are gone");
    for n in 0..2 {
        assert_eq!(read_partition(&broker, "t", n).unwrap().len(), 1);
    }
    if count == 2 {
        broker.admin().create_partitions("t", 4).unwrap();
    }
    for n in 0..4 {
        let offset = broker.produce(flushed("new", n)).unwrap().offset;
        assert_eq!(offset, i64::from(n < 2));
    }
    disk.power_cut();
    let broker = open(disk);
    assert_eq!(partitions(&broker), 4);
    assert!((0..4).all(|n| read_partition(&broker, "t", n).unwrap().len() == if n < 2 { 2 } else { 1 }));
}

#[test]
fn partitions_are_added_wholly_or_not_at_all_wherever_the_power_is_cut() {
    for seed in seeds(20) {
        for n in 0.. {
            let _replay =
                Replay { test: "partitions_are_added_wholly", seed, what: format!("operation {n}") };
            let disk = SimDisk::new(seed.wrapping_mul(1000) + n);
            let broker = with_topic(&disk);
            let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
            let grown = broker.admin().create_partitions("t", 4);
            drop(broker);
            let ended = cut.hits() == 0;
            cut.remove();
            if ended {
                grown.as_ref().unwrap();
                disk.power_cut();
            }
            check_usable(&disk, open(&disk), if grown.is_ok() { 4 } else { 2 });
            if ended {
                assert!(n > 10, "more partitions take more operations than {n}");
                break;
            }
        }
    }
}

#[test]
fn partitions_that_could_not_be_made_are_made_later() {
    for with in [DiskFault::Eio, DiskFault::Enospc] {
        for (n, then) in (0..).flat_map(|n| (0..3).map(move |then| (n, then))) {
            let disk = SimDisk::new(n);
            let broker = with_topic(&disk);
            let fault = disk.intercept(DiskOp::Any).skip(n).times(1).fail(with);
            let grown = broker.admin().create_partitions("t", 4);
            if fault.hits() == 0 {
                grown.unwrap();
                break;
            }
            fault.remove();
            let there = partitions(&broker);
            match then {
                0 => check_usable(&disk, broker, there),
                1 => {
                    // Either way: what the metadata file says and what is on the disk agree.
                    broker.create_topic("other", TopicConfig::new()).unwrap();
                    broker.close().unwrap();
                    check_usable(&disk, open(&disk), there);
                }
                _ => {
                    disk.power_cut();
                    drop(broker);
                    check_usable(&disk, open(&disk), 2);
                }
            }
        }
    }
}

#[test]
fn settings_are_altered_together_or_not_at_all_and_what_was_readable_is_flushed() {
    for seed in seeds(20) {
        for n in 0.. {
            let _replay =
                Replay { test: "settings_are_altered_together", seed, what: format!("operation {n}") };
            let disk = SimDisk::new(seed.wrapping_mul(1000) + n);
            let broker = with_topic(&disk);
            let buffered = broker.produce(Record::to("t").value("buffered").partition(0)).unwrap();
            assert_eq!(buffered.durability, Durability::Buffered);
            let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
            let config = TopicConfig::new().durability(Durability::Flushed).max_message_bytes(500);
            let altered = broker.admin().alter_configs("t", config);
            let ended = cut.hits() == 0;
            cut.remove();
            disk.power_cut();
            drop(broker);
            let broker = open(&disk);
            let there = broker.admin().describe_configs("t").unwrap();
            let values = ["flush.messages", "max.message.bytes"].map(|key| there.get(key).unwrap());
            let new = values == ["1", "500"];
            assert!(new || values == ["9223372036854775807", "1048588"], "{values:?}");
            assert!(new || altered.is_err(), "what was told did not last");
            let records = read_partition(&broker, "t", 0).unwrap().len();
            assert!(records == 2 || altered.is_err(), "what was readable is gone: {records}");
            broker.admin().alter_configs("t", TopicConfig::new().max_message_bytes(600)).unwrap();
            broker.produce(flushed("new", 0)).unwrap();
            if ended {
                altered.unwrap();
                assert!(n > 3, "settings are durable after {n} operations");
                break;
            }
        }
    }
}

#[test]
fn a_flush_that_was_far_off_comes_as_soon_as_the_topic_says() {
    let (disk, clock) = (SimDisk::new(1), ManualClock::new());
    let broker = Broker::builder().disk(&disk).clock(&clock).open("data").unwrap();
    broker.create_topic("t", TopicConfig::new().flush_interval(Duration::MAX)).unwrap();
    broker.produce(Record::to("t")).unwrap();
    clock.advance(Duration::from_secs(3600));
    assert_eq!(broker.durable_offset("t", 0).unwrap(), 0);
    broker.admin().alter_configs("t", TopicConfig::new().flush_interval(Duration::from_secs(1))).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(broker.durable_offset("t", 0).unwrap(), 1);
}
