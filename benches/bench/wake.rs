//! How long a record takes from its producer to a consumer in another thread. Raw: the bare primitive that wakes it, a
//! condition variable for one that sleeps, an atomic for one that spins.

use crate::{
    harness::{Bench, Unit, percentile},
    store::{TOPIC, open, scratch},
};
use brooklet::{ConsumerConfig, Record};
use std::{
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How long the producer works on something else before each record: long enough for a consumer to fall asleep.
const PAUSE: Duration = Duration::from_micros(100);

pub fn run(bench: &mut Bench) {
    let count = bench.scaled(5_000);
    for (name, wanted, raw, poll) in [
        ("produce to consume, asleep in poll, p50", "<= 1.3 x", condvar as fn(&Times), Duration::MAX),
        ("produce to consume, polling without waiting, p50", "<= 1 us", spin, Duration::ZERO),
    ] {
        let row = (Unit::Seconds, wanted, 5);
        bench.compare(name, row, || measured(count, raw), || measured(count, |times| poll_each(times, poll)));
    }
}

/// When each record was produced, and when it was there: in ns since the start, 0 while it is not.
struct Times {
    start: Instant,
    sent: Vec<AtomicU64>,
    got: Vec<AtomicU64>,
}

impl Times {
    fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Once what came before is through, and a while has passed.
    fn send(&self, n: usize, send: impl FnOnce()) {
        while n > 0 && self.got[n - 1].load(Ordering::Acquire) == 0 {
            std::hint::spin_loop();
        }
        let begun = Instant::now();
        while begun.elapsed() < PAUSE {
            std::hint::spin_loop();
        }
        self.sent[n].store(self.now(), Ordering::Relaxed);
        send();
    }

    fn get(&self, n: usize) {
        self.got[n].store(self.now(), Ordering::Release);
    }
}

/// The median, in seconds.
fn measured(count: usize, run: impl FnOnce(&Times)) -> f64 {
    let zeros = || (0..count).map(|_| AtomicU64::new(0)).collect();
    let times = Times { start: Instant::now(), sent: zeros(), got: zeros() };
    run(&times);
    let took = times
        .sent
        .iter()
        .zip(&times.got)
        .map(|(sent, got)| got.load(Ordering::Acquire) - sent.load(Ordering::Acquire));
    percentile(&mut took.collect::<Vec<_>>(), 0.5)
}

fn condvar(times: &Times) {
    let (sent, changed) = (Mutex::new(0), Condvar::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..times.got.len() {
                let waiting = changed.wait_while(sent.lock().unwrap(), |sent| *sent <= n).unwrap();
                drop(waiting);
                times.get(n);
            }
        });
        for n in 0..times.sent.len() {
            times.send(n, || {
                *sent.lock().unwrap() += 1;
                changed.notify_one();
            });
        }
    });
}

fn spin(times: &Times) {
    let sent = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..times.got.len() {
                while sent.load(Ordering::Acquire) <= n as u64 {
                    std::hint::spin_loop();
                }
                times.get(n);
            }
        });
        for n in 0..times.sent.len() {
            times.send(n, || {
                sent.fetch_add(1, Ordering::Release);
            });
        }
    });
}

fn poll_each(times: &Times, timeout: Duration) {
    let dir = scratch();
    let broker = open(dir.path(), true);
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).assign([(TOPIC, 0)]).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut n = 0;
            while n < times.got.len() {
                for _ in &consumer.poll(timeout).unwrap() {
                    times.get(n);
                    n += 1;
                }
            }
        });
        for n in 0..times.sent.len() {
            times.send(n, || {
                broker.produce(Record::to(TOPIC).key("12345678").value(&[b'v'; 100])).unwrap();
            });
        }
    });
}
