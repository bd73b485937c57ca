//! What it costs until a record survives a power cut.

use crate::{
    harness::{Bench, Unit, percentile},
    raw,
    store::{TOPIC, open, scratch},
};
use brooklet::{Broker, Durability, Record};
use std::time::Instant;

pub fn run(bench: &mut Bench) {
    let (count, value) = (bench.scaled(1000), [b'v'; 100]);
    for (name, maps) in [("flush, 100 B, p50", true), ("flush, 100 B, p50, positioned writes", false)] {
        if !bench.wants(name) {
            continue;
        }
        let dir = scratch();
        let broker = open(&dir.path().join("brooklet"), maps);
        let file = dir.path().join("raw");
        let raw = || percentile(&mut raw::synced_writes(&file, count, &value), 0.5);
        let brooklet = || percentile(&mut synced_appends(&broker, count, &value), 0.5);
        bench.compare(name, (Unit::Seconds, "", 5), raw, brooklet);
    }
}

/// How long each takes, in ns.
fn synced_appends(broker: &Broker, count: usize, value: &[u8]) -> Vec<u64> {
    let append = |_| {
        let begun = Instant::now();
        let record = Record::to(TOPIC).key(b"12345678").value(value).durability(Durability::Flushed);
        assert_eq!(broker.produce(record).unwrap().durability, Durability::Flushed);
        begun.elapsed().as_nanos() as u64
    };
    (0..count).map(append).collect()
}
