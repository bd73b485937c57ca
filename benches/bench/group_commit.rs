//! Many threads that each wait for their record to be on the disk. Raw: a plain group commit, where who comes first syncs
//! for all that have written by then.

use crate::{
    harness::{Bench, Unit, rate},
    raw,
    store::{TOPIC, open, scratch},
};
use brooklet::{Broker, Durability, Record};
use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Condvar, Mutex},
    thread,
    time::Instant,
};

const VALUE: [u8; 100] = [b'v'; 100];

pub fn run(bench: &mut Bench) {
    for (name, threads, wanted) in [
        ("flush, 100 B, 1 thread", 1, ">= 90 %"),
        ("flush, 100 B, 8 threads", 8, ">= 140 %"),
        ("flush, 100 B, 64 threads", 64, ">= 140 %"),
    ] {
        if !bench.wants(name) {
            continue;
        }
        let each = bench.scaled(16_000) / threads.max(4);
        let dir = scratch();
        let broker = open(&dir.path().join("brooklet"), true);
        let file = dir.path().join("raw");
        let raw = || plain(&file, threads, each);
        bench.compare(name, (Unit::PerSecond, wanted, 5), raw, || brooklet(&broker, threads, each));
    }
}

/// Has every thread do `each` of something, and gives how many were done in a second.
fn in_threads(threads: usize, each: usize, work: impl Fn() + Sync) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| {
        (0..threads).for_each(|_| drop(scope.spawn(|| (0..each).for_each(|_| work()))));
    });
    rate(threads * each, begun)
}

fn brooklet(broker: &Broker, threads: usize, each: usize) -> f64 {
    in_threads(threads, each, || {
        let record = Record::to(TOPIC).key(b"12345678").value(&VALUE).durability(Durability::Flushed);
        assert_eq!(broker.produce(record).unwrap().durability, Durability::Flushed);
    })
}

/// What the threads of a plain group commit share.
struct Group {
    file: File,
    state: Mutex<State>,
    synced: Condvar,
}

#[derive(Default)]
struct State {
    written: u64,
    synced: u64,
    syncing: bool,
}

impl Group {
    fn commit(&self) {
        let mut state = self.state.lock().unwrap();
        self.file.write_all_at(&VALUE, state.written).unwrap();
        state.written += VALUE.len() as u64;
        let mine = state.written;
        while state.synced < mine {
            if state.syncing {
                state = self.synced.wait(state).unwrap();
                continue;
            }
            state.syncing = true;
            let up_to = state.written;
            drop(state);
            self.file.sync_data().unwrap();
            state = self.state.lock().unwrap();
            (state.synced, state.syncing) = (up_to, false);
            self.synced.notify_all();
        }
    }
}

fn plain(path: &Path, threads: usize, each: usize) -> f64 {
    let file = raw::allocated(path, 16 << 20);
    let group = Group { file, state: Mutex::default(), synced: Condvar::new() };
    in_threads(threads, each, || group.commit())
}
