//! Clusters under random faults, with all invariants checked after every event: the workload of `examples/simulate`, a few seeds of it.
//!
//! For many: `cargo run --release --example simulate -- --seeds 100000`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "../examples/simulate/workload/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the example does more with it")]
mod workload;

use brooklet::{Acks, ApiKey, BrokerId, Cluster, ClusterTrace, Mark, ProducerConfig, Record, TopicConfig};
use std::{collections::BTreeSet, path::Path, time::Duration};
use workload::{Faults, Report};

/// Names the seed when it fails.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("BROOKLET_SEED={} BROOKLET_SEEDS=1", self.0);
        }
    }
}

/// What a seed has come to. Of one that fails a page is left to look at.
fn run(seed: u64) -> Report {
    let _named = Named(seed);
    let failure = match workload::attempt(seed, &Faults::All) {
        Ok((report, _)) => return report,
        Err(failure) => failure,
    };
    if let Some(trace) = &failure.trace {
        let page = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("simulate-{seed}.html"));
        std::fs::write(&page, trace.to_html()).unwrap();
        eprintln!("to look at in a browser: {}", page.display());
    }
    panic!("{}", failure.message)
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
    Mark::CoordinatorElected,
    Mark::Duplicate,
    Mark::ProduceTimedOut,
    Mark::ProduceInterrupted,
    Mark::ProduceRefused,
    Mark::PartitionMoved,
    Mark::MoveTakenBack,
    Mark::PartitionsAdded,
    Mark::PreferredElected,
    Mark::BrokerAdded,
    Mark::BrokerGone,
    Mark::SnapshotTaken,
    Mark::SnapshotInstalled,
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
    Mark::MessageLost,
    Mark::MessageDoubled,
    Mark::MessageOvertaken,
    Mark::MessageDelayed,
    Mark::ClockSkewed,
];

#[test]
fn whatever_happens_the_invariants_hold_and_clients_see_what_can_be() {
    let mut all = Report::default();
    for seed in brooklet::seeds(100) {
        let report = run(seed);
        let is_long = report.virtual_time >= Duration::from_secs(60);
        assert!(is_long && report.acknowledged >= 1000 && report.faults >= 3, "seed {seed}: {report:?}");
        all.add(&report);
    }
    println!("{all:?}");
    if std::env::var_os("BROOKLET_SEED").is_none() {
        let missed: Vec<_> = MARKS.iter().filter(|mark| !all.marks.contains_key(mark)).collect();
        assert!(missed.is_empty(), "nothing came upon {missed:?}: {all:?}");
        assert!(all.deleted > 1000 && all.superseded > 1000, "{all:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [1, 2] {
        let whole = || workload::attempt(seed, &Faults::All).unwrap().1;
        let (one, other) = (whole(), whole());
        assert_eq!((one.hash(), one.to_json_lines()), (other.hash(), other.to_json_lines()));
    }
}

#[test]
fn faults_are_left_out_one_by_one_and_the_others_stay() {
    let seed = 5;
    let (all, trace) = workload::attempt(seed, &Faults::All).unwrap();
    let number = |line: &String| line.split_once(" fault ")?.1.split_once(':')?.0.parse().ok();
    let happened = |trace: &ClusterTrace| trace.lines().iter().filter_map(number).collect::<Vec<u64>>();
    let numbers = happened(&trace);
    assert!(numbers.len() as u64 >= all.faults && all.faults >= 3, "{numbers:?}");
    let by_number = Faults::Only(numbers.iter().copied().collect());
    assert_eq!(workload::attempt(seed, &by_number).unwrap().0.hash, all.hash);

    // Up to the one that is left out nothing is another.
    let without = Faults::Only(numbers.iter().copied().filter(|number| *number != numbers[2]).collect());
    let (_, less) = workload::attempt(seed, &without).unwrap();
    let first = trace.lines().iter().position(|line| number(line) == Some(numbers[2])).unwrap();
    assert_eq!(less.lines()[..first], trace.lines()[..first]);
    // And behind it the same ones are drawn, as long as nothing is healed at another time.
    assert_eq!(happened(&less)[..5], [&numbers[..2], &numbers[3..6]].concat());

    let (none, calm) = workload::attempt(seed, &Faults::Only(BTreeSet::new())).unwrap();
    assert_eq!((none.faults, happened(&calm)), (0, Vec::new()));
    assert!(none.acknowledged >= 1000);
}

/// With a deliberate bug in the library: `tests/bugs.rs` runs it.
#[cfg(brooklet_bugs)]
#[test]
fn a_seed_that_fails_shrinks_to_the_faults_that_it_takes() {
    let failing = |seed| Some((seed, workload::attempt(seed, &Faults::All).err()?));
    let (seed, first) = (0..100).find_map(failing).expect("BROOKLET_BUG names what fails");
    let (kind, count) = (first.kind().to_owned(), first.faults.len());
    let last = workload::shrink(seed, first, |_, _| true);
    let numbers: Vec<u64> = last.faults.iter().map(|fault| fault.number).collect();
    println!("seed {seed}: of {count} faults {numbers:?} are left: {}", last.what());
    assert!(!numbers.is_empty() && numbers.len() < count, "{numbers:?}");
    assert_eq!(last.kind(), kind);
    let fails = |numbers: &[u64]| {
        let failure = workload::attempt(seed, &Faults::Only(numbers.iter().copied().collect())).err();
        failure.filter(|failure| failure.kind() == kind)
    };
    let again = fails(&numbers).expect("it fails again");
    assert_eq!(again.message, last.message);
    for n in 0..numbers.len() {
        let without = [&numbers[..n], &numbers[n + 1..]].concat();
        assert!(fails(&without).is_none(), "{} is not needed", numbers[n]);
    }
    let lines = last.trace.unwrap().to_json_lines();
    // High watermarks of the same time may follow it.
    let last = lines.lines().rev().find(|line| !line.contains(r#""kind":"high_watermark""#)).unwrap();
    assert!(last.contains(r#""kind":"broken","invariant":""#), "{lines}");
}

/// Whom the last line of the story lets serve again.
fn is_back(cluster: &Cluster, broker: BrokerId) -> bool {
    let back = format!("broker {broker} is not fenced any more");
    cluster.trace().lines().last().is_some_and(|line| line.ends_with(&back))
}

/// Seed 6786 of an earlier workload: a controller that loses its majority before it can say that a replica has joined an ISR has noted
/// it, and when it is elected again that holds. Until then the replica is waited for: else it is in sync without what was acknowledged.
#[test]
fn a_replica_that_may_have_joined_holds_the_high_watermark_until_that_is_known() {
    let mut tried = 0;
    for seed in 0..40 {
        let safe = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
        let builder = Cluster::builder().seed(seed).check_invariants(true).topic("t", safe);
        let cluster = builder.replica_lag_time_max(Duration::from_secs(2)).start().unwrap();
        let leader = cluster.leader("t", 0).unwrap();
        if cluster.controller().unwrap() != leader {
            continue;
        }
        tried += 1;
        let _named = Named(seed);
        let others: Vec<BrokerId> = cluster.brokers().into_iter().filter(|id| *id != leader).collect();
        let (joins, stays) = (others[0], others[1]);
        cluster.isolate(joins).unwrap();
        cluster.advance(Duration::from_secs(15));
        cluster.produce(Record::to("t").value("while one is away")).unwrap();
        cluster.heal().unwrap();
        cluster.run_until(Duration::from_secs(30), |cluster| is_back(cluster, joins)).unwrap();
        // Its next fetch, with which it joins, arrives when nobody can confirm any more what the controller notes.
        let late = cluster.intercept(ApiKey::FetchFollower).at(leader).delay(Duration::from_millis(300));
        let producer = cluster.producer(ProducerConfig::new().acks(Acks::One)).unwrap();
        producer.produce(Record::to("t").value("which it gets")).unwrap();
        cluster.advance(Duration::from_millis(50));
        late.remove();
        cluster.isolate(stays).unwrap();
        cluster.block_link(leader, joins).unwrap();
        cluster.advance(Duration::from_millis(400));
        producer.produce(Record::to("t").value("which it does not get")).unwrap();
        cluster.kill(joins).unwrap();
        cluster.advance(Duration::from_secs(5));
        cluster.heal().unwrap();
        cluster.advance(Duration::from_secs(10));
        cluster.restart(joins).unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    }
    assert!(tried > 5, "{tried}");
}
