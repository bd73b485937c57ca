//! A broker on a manual clock: no threads, and time that moves only when somebody waits or moves it.

use crate::common::{assert_refused, put, put_numbers, rest, topic};
use brooklet::{Broker, Client, Consumer, Error, ManualClock, Record, SimDisk, Timestamp, TopicConfig};
use std::time::Duration;

fn broker(clock: &ManualClock) -> Broker {
    Broker::builder().clock(clock).disk(&SimDisk::new(0)).open("data").unwrap()
}

fn consumer(client: &Client) -> Consumer {
    topic(client, "t", 1);
    client.consumer("g").subscribe("t").unwrap()
}

#[test]
fn a_poll_moves_the_time_to_its_own_end_and_no_further() {
    let clock = ManualClock::new();
    let broker = broker(&clock);
    let mut consumer = consumer(broker.client());
    for timeout in [0, 1, 999, 86_400_000 * 3].map(Duration::from_millis) {
        let before = clock.now();
        assert!(consumer.poll(timeout).unwrap().is_empty());
        assert_eq!(clock.now(), before + timeout);
    }
}

#[test]
fn a_poll_that_finds_records_moves_no_time() {
    let clock = ManualClock::new();
    let broker = broker(&clock);
    let mut consumer = consumer(broker.client());
    let before = clock.now();
    for n in 1..4 {
        put_numbers(broker.client(), "t", n);
        assert_eq!(consumer.poll(Duration::MAX).unwrap().len(), n);
    }
    assert_eq!(clock.now(), before);
}

#[test]
fn a_poll_without_end_gives_up_after_a_virtual_day() {
    let clock = ManualClock::new();
    let broker = broker(&clock);
    let mut consumer = consumer(broker.client());
    for _ in 0..3 {
        let before = clock.now();
        assert_refused!(consumer.poll(Duration::MAX), Error::Timeout);
        assert_eq!(clock.now(), before + Duration::from_secs(24 * 3600));
    }
    put(broker.client(), "t", "x");
    assert_eq!(rest(&mut consumer).len(), 1);
}

#[test]
fn records_get_the_clocks_time() {
    let clock = ManualClock::new();
    let broker = broker(&clock);
    topic(broker.client(), "t", 1);
    assert_eq!(clock.now().to_string(), "2024-01-01T00:00:00Z");
    let start = clock.now();
    for seconds in [0, 1, 3600] {
        clock.advance(Duration::from_secs(seconds));
        let at = broker.produce(Record::to("t").value("x")).unwrap().timestamp;
        assert_eq!((at, broker.now()), (clock.now(), clock.now()));
    }
    assert_eq!(clock.now(), start + Duration::from_secs(3601));
}

#[test]
fn what_may_lie_ahead_moves_with_the_clock() {
    let clock = ManualClock::new();
    let broker = broker(&clock);
    topic(broker.client(), "t", 1);
    let at = clock.now() + Duration::from_secs(2 * 3600);
    let ahead = |at: Timestamp| broker.produce(Record::to("t").value("x").timestamp(at));
    ahead(at).unwrap_err();
    clock.advance(Duration::from_secs(3600) - Duration::from_millis(1));
    ahead(at).unwrap_err();
    clock.advance(Duration::from_millis(1));
    ahead(at).unwrap();
    ahead(at + Duration::from_millis(1)).unwrap_err();
}

#[test]
fn the_background_flush_comes_with_the_time() {
    let clock = ManualClock::new();
    let broker = broker(&clock);
    broker.create_topic("t", TopicConfig::new().flush_interval(Duration::from_secs(10))).unwrap();
    let durable = || broker.durable_offset("t", 0).unwrap();
    for round in 1..4 {
        put(broker.client(), "t", "x");
        clock.advance(Duration::from_millis(9_999));
        assert_eq!(durable(), round - 1);
        clock.advance(Duration::from_millis(1));
        assert_eq!(durable(), round);
    }
    put(broker.client(), "t", "x");
    // Who waits, drives: a poll fires what is due on its way.
    let mut consumer = broker.consumer("g").subscribe("t").unwrap();
    rest(&mut consumer);
    consumer.poll(Duration::from_secs(10)).unwrap();
    assert_eq!(durable(), 4);
}

#[test]
fn without_a_flush_interval_nothing_is_flushed_in_the_background() {
    let clock = ManualClock::new();
    let broker = broker(&clock);
    let config = TopicConfig::new().flush_interval(Duration::MAX).retention_time(Duration::MAX);
    broker.create_topic("t", config).unwrap();
    put(broker.client(), "t", "x");
    clock.advance(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(broker.durable_offset("t", 0).unwrap(), 0);
    broker.flush().unwrap();
    assert_eq!(broker.durable_offset("t", 0).unwrap(), 1);
}

#[test]
fn one_clock_serves_several_brokers() {
    let clock = ManualClock::new();
    let (a, b) = (broker(&clock), broker(&clock));
    for broker in [&a, &b] {
        topic(broker.client(), "t", 1);
        put(broker.client(), "t", "x");
    }
    clock.advance(Duration::from_secs(1));
    assert_eq!((a.durable_offset("t", 0).unwrap(), b.durable_offset("t", 0).unwrap()), (1, 1));
    drop(a);
    put(b.client(), "t", "y");
    clock.advance(Duration::from_secs(1));
    assert_eq!(b.durable_offset("t", 0).unwrap(), 2);
}

#[test]
fn two_runs_of_one_seed_leave_the_same_trace_and_the_same_bytes() {
    let run = |seed| {
        let (clock, disk) = (ManualClock::new(), SimDisk::new(3));
        for _ in 0..2 {
            let broker = Broker::builder().clock(&clock).disk(&disk).seed(seed).open("data").unwrap();
            broker.ensure_topic("t", TopicConfig::new().partitions(5).segment_bytes(2048)).unwrap();
            let mut consumer = broker.consumer("g").subscribe("t").unwrap();
            for n in 0..200 {
                broker.produce(Record::to("t").value(&format!("{n:0>500}"))).unwrap();
                clock.advance(Duration::from_millis(100));
                if n % 50 == 0 {
                    consumer.poll(Duration::from_secs(1)).unwrap();
                    consumer.commit_offset().unwrap();
                }
            }
        }
        (disk.contents_hash(), disk.operations())
    };
    let (first, second, other) = (run(1), run(1), run(2));
    assert_eq!(first.0, second.0);
    assert_eq!(first.1, second.1);
    assert_ne!(first.0, other.0, "another seed makes other ids, and spreads records otherwise");
}
