//! Rows that read everything, with the CRC of every batch checked, beside a raw loop with the CRC of every record.

use crate::{
    harness::{Bench, Unit},
    raw,
    store::{append, append_batches, open, read, scratch},
};

const RUNS: usize = 9;

pub fn run(bench: &mut Bench) {
    for (size, bytes, count) in [("100 B", 100, 1_000_000), ("1 KiB", 1024, 200_000)] {
        let (count, value) = (bench.scaled(count), vec![b'v'; bytes]);
        for (how, batches, maps, wanted) in [
            ("written one by one", false, true, ">= 60 %"),
            ("written in batches", true, true, ">= 90 %"),
            ("written one by one, positioned reads", false, false, ""),
        ] {
            let name = format!("read, {size}, {how}");
            if !bench.wants(&name) {
                continue;
            }
            let dir = scratch();
            let file = dir.path().join("raw");
            raw::write(&file, count, &value);
            let broker = open(&dir.path().join("brooklet"), maps);
            let write = if batches { append_batches } else { append };
            write(&broker, count, &value);
            let row = (Unit::PerSecond, wanted, if maps { RUNS } else { 3 });
            bench.compare(&name, row, || raw::read(&file, count, 8 + bytes), || read(&broker, count));
        }
    }
}
