//! Clusters under random faults, with all invariants checked after every event: the workload of `examples/simulate`, a few seeds of it.
//!
//! For many: `cargo run --release --example simulate -- --seeds 100000`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "../examples/simulate/workload/mod.rs"]
mod workload;

use brooklet::Mark;
use workload::Report;

/// Names the seed when it fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("BROOKLET_SEED={} BROOKLET_SEEDS=1", self.0);
        }
    }
}

fn run(seed: u64) -> Report {
    let _named = Named(seed);
    workload::run(seed).0
}

/// What the default seeds must come upon.
const MARKS: &[Mark] = &[
    Mark::ControllerElected,
    Mark::LeaderElected,
    Mark::EligibleElected,
    Mark::UncleanElectionRefused,
    Mark::UncleanElection,
    Mark::IsrShrunk,
    Mark::IsrGrown,
    Mark::BrokerFenced,
    Mark::Truncated,
    Mark::ProduceTimedOut,
    Mark::ProduceRefused,
    Mark::Killed,
    Mark::Stopped,
    Mark::PowerCut,
    Mark::CrashInOperation,
    Mark::CrashInRoll,
    Mark::CrashInCheckpoint,
    Mark::DiskFailed,
    Mark::Paused,
    Mark::Isolated,
    Mark::LinkBlocked,
    Mark::MessagesDisturbed,
];

#[test]
fn whatever_happens_the_invariants_hold_and_clients_see_what_can_be() {
    let mut all = Report::default();
    for seed in brooklet::seeds(100) {
        let report = run(seed);
        assert!(report.acknowledged >= 1000 && report.faults >= 3, "seed {seed}: {report:?}");
        all.add(&report);
    }
    println!("{all:?}");
    if std::env::var_os("BROOKLET_SEED").is_none() {
        let missed: Vec<_> = MARKS.iter().filter(|mark| !all.marks.contains_key(mark)).collect();
        assert!(missed.is_empty(), "nothing came upon {missed:?}: {all:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [1, 2] {
        assert_eq!(run(seed).hash, run(seed).hash);
    }
}
