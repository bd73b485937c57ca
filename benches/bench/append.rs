//! Rows that append.

use crate::{
    harness::{Bench, Unit, median, percentile},
    raw,
    store::{append, append_batches, open, scratch},
};
use brooklet::Record;
use std::{hint::black_box, time::Instant};

const RUNS: usize = 9;

/// A value's name and size, how many records a run has, and which share of the raw loop is wanted.
const SIZES: [(&str, usize, usize, &str); 2] =
    [("100 B", 100, 1_000_000, ">= 75 %"), ("1 KiB", 1024, 200_000, ">= 85 %")];

pub fn run(bench: &mut Bench) {
    for (size, bytes, count, wanted) in SIZES {
        let (count, value) = (bench.scaled(count), vec![b'v'; bytes]);
        let raw = || raw::write(&scratch().path().join("raw"), count, &value);
        let one_by_one = |memory_maps| {
            let (dir, value) = (scratch(), &value);
            append(&open(dir.path(), memory_maps), count, value)
        };
        let batches = || {
            let dir = scratch();
            append_batches(&open(dir.path(), true), count, &value)
        };
        let name = |what: &str| format!("append, {size}, {what}");
        let row = (Unit::PerSecond, wanted, RUNS);
        bench.compare(&name("one record a call"), row, raw, || one_by_one(true));
        bench.compare(&name("batches of 1000"), (Unit::PerSecond, ">= 80 %", RUNS), raw, batches);
        bench.compare(&name("one a call, positioned writes"), (Unit::PerSecond, "", 3), raw, || {
            one_by_one(false)
        });
    }
    latency(bench);
}

/// Each append by itself, a clock reading included; raw likewise.
fn latency(bench: &mut Bench) {
    let (count, value) = (bench.scaled(1_000_000), [b'v'; 100]);
    if !bench.wants("append, 100 B, p50 p99 p99.9") {
        return;
    }
    let shares = [("p50", 0.5, "<= 150 ns"), ("p99", 0.99, "<= 0.6 us"), ("p99.9", 0.999, "<= 6 us")];
    let mut pairs = [(); 3].map(|()| Vec::new());
    for _ in 0..bench.runs(5) {
        let dir = scratch();
        let mut writer = raw::Writer::new(&dir.path().join("raw"));
        let mut raw = each(count, |key| writer.append(key, black_box(&value)));
        let broker = open(&dir.path().join("brooklet"), true);
        let mut brooklet = each(count, |key| {
            black_box(
                broker.produce(Record::to(crate::store::TOPIC).key(key).value(black_box(&value))).unwrap(),
            );
        });
        for (pairs, (_, share, _)) in pairs.iter_mut().zip(shares) {
            pairs.push((percentile(&mut raw, share), percentile(&mut brooklet, share)));
        }
    }
    for (pairs, (name, _, wanted)) in pairs.iter().zip(shares) {
        bench.row(&format!("append, 100 B, {name} of one"), Unit::Seconds, wanted, pairs);
    }
    let clock = median(each(1000, |_| ()).iter().map(|ns| *ns as f64));
    eprintln!("          of which the clock's reading: {clock} ns");
}

/// How long each of `count` calls takes, in ns.
fn each(count: usize, mut call: impl FnMut(&[u8; 8])) -> Vec<u64> {
    let mut times = vec![0; count];
    let mut last = Instant::now();
    for (n, time) in times.iter_mut().enumerate() {
        call(black_box(&(n as u64).to_be_bytes()));
        let now = Instant::now();
        *time = now.duration_since(last).as_nanos() as u64;
        last = now;
    }
    times
}
