//! The power is cut while threads append, roll and flush by the wall clock: what each of them was told holds.

use crate::{
    check::read_partition,
    model::Payload,
    replay::{Marks, Random, Replay},
};
use brooklet::{Broker, DiskOp, Durability, SimDisk, TopicConfig, seeds};
use std::{thread, time::Duration};

const THREADS: u64 = 3;

/// Appends until the power goes; gives what was acknowledged as flushed, with its offset.
fn append_until_the_end(broker: &Broker, thread: u64) -> Vec<(i64, Payload)> {
    let mut told = Vec::new();
    for n in 0.. {
        let payload = Payload::new(thread * 100_000 + n, 80);
        let durability = if n % 3 == 0 { Durability::Flushed } else { Durability::Buffered };
        let Ok(at) = broker.produce(payload.record("t", 0).durability(durability)) else { break };
        if at.durability == Durability::Flushed {
            told.push((at.offset, payload));
        }
    }
    told
}

#[test]
fn threads_that_share_a_flush_are_told_the_truth() {
    let mut marks = Marks::default();
    for seed in seeds(60) {
        let _replay = Replay {
            test: "threads_that_share",
            seed,
            what: "not every run of a seed is the same".to_owned(),
        };
        let disk = SimDisk::new(seed);
        let broker = Broker::builder().disk(&disk).open("data").unwrap();
        let config = TopicConfig::new().segment_bytes(2048).index_interval_bytes(200);
        broker.create_topic("t", config.flush_interval(Duration::from_millis(1))).unwrap();
        disk.intercept(DiskOp::Any).skip(100 + Random::new(seed, 0).below(600)).power_cut();
        let told: Vec<Vec<(i64, Payload)>> = thread::scope(|scope| {
            let start = |thread| {
                scope.spawn({
                    let broker = &broker;
                    move || append_until_the_end(broker, thread)
                })
            };
            let all: Vec<_> = (0..THREADS).map(start).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        drop(broker);
        let broker = Broker::builder().disk(&disk).open("data").unwrap();
        let there = read_partition(&broker, "t", 0).unwrap();
        for (offset, payload) in told.iter().flatten() {
            let found = there.get(*offset as usize).map(|(payload, _)| payload);
            assert_eq!(found, Some(payload), "offset {offset} of {}", there.len());
        }
        for thread in 0..THREADS as i64 {
            let of_thread = there.iter().map(|(p, _)| p.timestamp).filter(|at| at / 100_000 % 10 == thread);
            let in_order = of_thread.collect::<Vec<_>>();
            assert!(in_order.is_sorted_by(|a, b| a + 1 == *b), "thread {thread}: {in_order:?}");
        }
        marks.add("images", 1);
        marks.add("told", told.iter().map(Vec::len).sum::<usize>() as u64);
    }
    let images = marks.get("images");
    marks.assert_floors(&[("told", images * 10)]);
}
