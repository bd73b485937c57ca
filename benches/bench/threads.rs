//! Rows with several threads: the producer, which sends from a thread of its own; many who append; one who follows.

use crate::{
    harness::{Bench, Unit, rate},
    raw,
    store::{TOPIC, append, open, scratch},
};
use brooklet::{Broker, ConsumerConfig, ProducerConfig, Record, TopicConfig};
use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

const RUNS: usize = 7;
const THREADS: usize = 8;

pub fn run(bench: &mut Bench) {
    for (size, bytes, count, wanted) in [("100 B", 100, 1_000_000, ">= 5 M/s"), ("1 KiB", 1024, 200_000, "")]
    {
        let (count, value) = (bench.scaled(count), vec![b'v'; bytes]);
        let raw = || raw::write(&scratch().path().join("raw"), count, &value);
        let name = format!("send, {size}, through a Producer");
        bench.compare(&name, (Unit::PerSecond, wanted, RUNS), raw, || send(count, &value));
    }
    let (count, value) = (bench.scaled(1_000_000), [b'v'; 100]);
    let alone = || append(&open(scratch().path(), true), count, &value);
    let row = (Unit::PerSecond, ">= 60 %", RUNS);
    bench
        .compare("append, 100 B, a consumer follows; raw: none does", row, alone, || followed(count, &value));
    for (partitions, wanted) in [(8, ">= 160 %"), (1, ">= 80 %")] {
        let name = format!("append, 100 B, 8 threads, partitions: {partitions}; raw: 1 thread");
        bench.compare(&name, (Unit::PerSecond, wanted, RUNS), alone, || together(count, partitions, &value));
    }
}

/// Sends records without asking for any, up to the acknowledgement of the last one.
fn send(count: usize, value: &[u8]) -> f64 {
    let dir = scratch();
    let broker = open(dir.path(), true);
    let producer = broker.producer(ProducerConfig::new()).unwrap();
    let begun = Instant::now();
    for n in 0..count as u64 {
        let key = black_box(n.to_be_bytes());
        drop(producer.send(Record::to(TOPIC).key(&key).value(black_box(value))).unwrap());
    }
    producer.flush().unwrap();
    let sent = rate(count, begun);
    assert_eq!(producer.metrics().records_sent, count as u64);
    sent
}

/// Appends while a consumer in another thread polls all of it.
fn followed(count: usize, value: &[u8]) -> f64 {
    let dir = scratch();
    let broker = open(dir.path(), true);
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).assign([(TOPIC, 0)]).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut seen = 0;
            while seen < count {
                seen += consumer.poll(Duration::MAX).unwrap().len();
            }
        });
        append(&broker, count, value)
    })
}

/// Appends from several threads, each to a partition of its own or all to one.
fn together(count: usize, partitions: i32, value: &[u8]) -> f64 {
    let dir = scratch();
    let broker = Broker::open(dir.path()).unwrap();
    broker.ensure_topic(TOPIC, TopicConfig::new().partitions(partitions)).unwrap();
    let begun = Instant::now();
    thread::scope(|scope| {
        for thread in 0..THREADS as i32 {
            let broker = &broker;
            scope.spawn(move || {
                for n in 0..(count / THREADS) as u64 {
                    let key = black_box(n.to_be_bytes());
                    let record =
                        Record::to(TOPIC).partition(thread % partitions).key(&key).value(black_box(value));
                    black_box(broker.produce(record).unwrap());
                }
            });
        }
    });
    rate(count, begun)
}
