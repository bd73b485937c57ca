//! Where a power cut can leave only so many different states, all of them are tried: every subset of the unflushed sectors,
//! each with every prefix of its writes, every length, every subset of the changed names. Where there are more, some.

use crate::{
    replay::{Marks, Random, Replay},
    workloads::{self, Shape, Step, Workload},
    world::World,
};
use brooklet::{DiskOp, seeds};

/// All subsets of eight pages that were written once.
const ALL: u64 = 256;
/// So many are tried of more.
const SOME: u64 = 12;

/// Cuts the power before or in the middle of operation `n`, with the outcome `nth`. Gives how many there are; `None`: the
/// workload has no such operation.
fn cut_at(workload: &Workload, seed: u64, n: u64, nth: u64, marks: &mut Marks) -> Option<u64> {
    let mut world = World::new(seed);
    world.disk.choose_outcome(nth);
    world.fault = Some(world.disk.intercept(DiskOp::Any).skip(n).power_cut());
    let ran = world.run(&workload.steps);
    if world.hits() == 0 {
        ran.unwrap();
        return None;
    }
    world.mend();
    let outcomes = world.disk.outcomes();
    world.reopen_and_check(true);
    let steps = workloads::more(&crate::power::there(&world), nth);
    world.run(&steps).unwrap();
    world.disk.power_cut();
    world.reopen_and_check(true);
    marks.merge(world.marks);
    Some(outcomes)
}

fn cut_everywhere(test: &'static str, workload: &Workload) -> Marks {
    let mut marks = Marks::default();
    for seed in seeds(1) {
        for n in 0.. {
            let replay = |nth: u64| {
                let what = format!("{}, the power cut at operation {n}, outcome {nth}", workload.name);
                Replay { test, seed, what }
            };
            let first = replay(0);
            let Some(outcomes) = cut_at(workload, seed, n, 0, &mut marks) else { break };
            drop(first);
            let mut random = Random::new(seed, n);
            let all = outcomes <= ALL;
            let others: Vec<u64> = match all {
                true => (1..outcomes).collect(),
                false => (0..SOME).map(|_| random.next() % outcomes).collect(),
            };
            for nth in others {
                let _replay = replay(nth);
                assert_eq!(cut_at(workload, seed, n, nth, &mut marks), Some(outcomes));
                marks.add("outcomes", 1);
            }
            marks.add(
                if all { "cuts of which all outcomes were tried" } else { "cuts with more outcomes" },
                1,
            );
            marks.add("cuts with all of 64 outcomes or more", u64::from(all && outcomes >= 64));
        }
    }
    println!("{test}: {}, {} outcomes", workload.name, marks.get("outcomes"));
    marks
}

/// Eight records, each in a page of its own.
fn pages() -> Workload {
    let shape = Shape { segment_bytes: 8192, ..workloads::BIG };
    let send = |count| Step::Send { topic: "p", partition: 0, count, size: 420, flushed: false };
    let steps = vec![Step::Create("p", shape), send(3), Step::Flush, send(7), Step::Flush];
    Workload { name: "pages".to_owned(), steps }
}

#[test]
fn every_state_that_a_power_cut_can_leave_is_recovered_from() {
    let test = "every_state_that_a_power_cut";
    let mut marks = cut_everywhere(test, &pages());
    for workload in workloads::drawn(6) {
        marks.merge(cut_everywhere(test, &workload));
    }
    marks.assert_floors(&[
        ("images", 10_000),
        ("outcomes", 5000),
        ("cuts of which all outcomes were tried", 300),
        ("cuts with all of 64 outcomes or more", 10),
        ("cuts with more outcomes", 10),
    ]);
}
