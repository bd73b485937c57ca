//! A broker on a manual clock has no threads. In a process of its own: nothing else starts or ends one meanwhile.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]
#![cfg(target_os = "linux")]

use brooklet::{Broker, ManualClock, Record, SimDisk, TopicConfig};
use std::time::{Duration, Instant};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_broker_on_a_manual_clock_has_no_threads() {
    let before = threads();
    let (clock, disk) = (ManualClock::new(), SimDisk::new(1));
    let broker = Broker::builder().clock(&clock).disk(&disk).open("data").unwrap();
    broker.create_topic("t", TopicConfig::new()).unwrap();
    broker.produce(Record::to("t").value("v")).unwrap();
    let mut consumer = broker.consumer("g").subscribe("t").unwrap();
    assert_eq!(consumer.poll(Duration::from_secs(1)).unwrap().len(), 1);
    assert_eq!(consumer.poll(Duration::from_secs(60)).unwrap().len(), 0);
    clock.advance(Duration::from_secs(600));
    assert_eq!(threads(), before);
    let by_the_wall_clock = Broker::builder().disk(&SimDisk::new(2)).open("data").unwrap();
    assert!(threads() > before, "threads are seen here, where there are any");
    by_the_wall_clock.close().unwrap();
    // A thread that was joined is listed until the system has taken it away.
    let begun = Instant::now();
    while threads() > before {
        assert!(begun.elapsed() < Duration::from_secs(60), "a thread is left");
        std::thread::yield_now();
    }
}
