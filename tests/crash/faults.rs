//! Every operation of every workload fails, once and for good: the call says so, nothing hangs or panics, and what was
//! acknowledged is there when the disk works again.

use crate::{
    power::there,
    replay::{Marks, Random, Replay},
    workloads::{self, Step, Workload},
    world::World,
};
use brooklet::{DiskFault, DiskOp, Error, Fault, seeds};

/// How an operation goes wrong, and which are counted.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    kind: &'static str,
    op: DiskOp,
    with: DiskFault,
    for_good: bool,
}

/// Each kind, once and for good.
fn troubles() -> impl Iterator<Item = Trouble> {
    let kinds = [
        ("EIO", DiskOp::Any, DiskFault::Eio),
        ("ENOSPC", DiskOp::Any, DiskFault::Enospc),
        ("short write", DiskOp::Write, DiskFault::ShortWrite),
        ("failed flush", DiskOp::Flush, DiskFault::Eio),
    ];
    let each = |for_good| move |(kind, op, with)| Trouble { kind, op, with, for_good };
    kinds.into_iter().flat_map(move |kind| [each(false)(kind), each(true)(kind)])
}

/// Does what can be done of a workload, until the power goes; an error must have its cause in the fault, and say
/// something.
fn run_on(world: &mut World, steps: &[Step], power: &Fault) {
    for step in steps.iter().take_while(|_| power.hits() == 0) {
        if let Err(error) = world.step(step) {
            assert!(world.hits() + power.hits() > 0, "{step:?} fails on a sound disk: {error}");
            assert!(!error.to_string().is_empty() && is_clear(&error), "{step:?}: {error:?}");
            world.marks.add("errors", 1);
        }
    }
}

/// An error of the disk, or what follows from one.
fn is_clear(error: &Error) -> bool {
    match error {
        Error::Io { .. } | Error::Closed => true,
        Error::UnknownTopicOrPartition { .. }
        | Error::TopicAlreadyExists { .. }
        | Error::UnknownTopicId { .. } => true,
        Error::PartialProduce { results, .. } => {
            results.iter().filter_map(|result| result.as_ref().err()).all(is_clear)
        }
        _ => false,
    }
}

/// Lets operation `n` of a workload fail, and what is left of it run on. `None`: it has no such operation.
fn fail_at(workload: &Workload, seed: u64, n: u64, trouble: Trouble) -> Option<Marks> {
    let mut random = Random::new(seed, n);
    let mut world = World::new(random.next());
    let times = if trouble.for_good { u64::MAX } else { 1 };
    world.fault = Some(world.disk.intercept(trouble.op).skip(n).times(times).fail(trouble.with));
    // Now and then the power goes soon after; where only some operations are counted nobody knows how soon that is.
    let may_go = trouble.op == DiskOp::Any && random.below(3) == 0;
    let soon = if may_go { random.below(100) } else { u64::MAX / 2 };
    let power = world.disk.intercept(DiskOp::Any).skip(n + soon).power_cut();
    run_on(&mut world, &workload.steps, &power);
    if world.hits() + power.hits() == 0 {
        return None;
    }
    let mut cut = power.hits() > 0;
    power.remove();
    world.marks.add("power cuts behind a fault", u64::from(cut));
    if random.below(2) == 0 && !trouble.for_good && !cut {
        still_readable(&mut world);
    }
    world.mend();
    let close = random.below(3);
    if let Some(broker) = world.broker.take()
        && close > 0
    {
        // It may refuse: a flush of before may have failed.
        world.marks.add("closes that failed", u64::from(broker.close().is_err()));
    }
    // The files are as the system has them, or as the disk has.
    if !cut && random.below(2) == 0 {
        world.disk.power_cut();
        cut = true;
    }
    world.reopen_and_check(cut);
    if random.below(2) == 0 {
        // What was recovered lasts, without anything else that would flush it.
        world.disk.power_cut();
        world.reopen_and_check(true);
    }
    go_on(&mut world, &mut random);
    Some(world.marks)
}

/// In the session of the fault, with the disk working again: all that was acknowledged can be read.
fn still_readable(world: &mut World) {
    let Some(broker) = world.broker.clone() else { return };
    for topic in world.topics_there() {
        for (number, model) in world.model.topics[topic].partitions.iter().enumerate() {
            let described = broker.admin().describe_topic(topic).unwrap();
            let end = described.partitions[number].high_watermark;
            assert!(end >= model.durable as i64, "{topic}-{number} ends at {end}");
        }
        let read = world.read(&broker, topic);
        assert!(read.is_ok(), "{topic} cannot be read any more: {read:?}");
    }
}

/// The store is sound: it takes records, flushes them, and they survive the power going.
fn go_on(world: &mut World, random: &mut Random) {
    for _ in 0..2 {
        let steps = workloads::more(&there(world), random.next());
        world.run(&steps).unwrap();
        world.disk.power_cut();
        world.reopen_and_check(true);
    }
}

fn fail_everywhere(test: &'static str, workload: &Workload) -> Marks {
    let mut marks = Marks::default();
    // Every operation where seeds are asked for, else one of four, another one for each trouble.
    let every = if std::env::var_os("BROOKLET_SEEDS").is_some() { 1 } else { 4 };
    for seed in seeds(1) {
        for (first, trouble) in troubles().enumerate() {
            for n in (first as u64 % every..).step_by(every as usize) {
                let what = format!("{}, {trouble:?} from operation {n} on", workload.name);
                let _replay = Replay { test, seed, what };
                let Some(more) = fail_at(workload, seed, n, trouble) else { break };
                marks.add("runs", 1);
                marks.add(trouble.kind, 1);
                marks.add(if trouble.for_good { "for good" } else { "once" }, 1);
                marks.merge(more);
            }
        }
        println!("{test}: {}, seed {seed} done, {} runs so far", workload.name, marks.get("runs"));
    }
    marks
}

fn fail_all(test: &'static str, workloads: &[Workload]) -> Marks {
    let mut marks = Marks::default();
    for workload in workloads {
        marks.merge(fail_everywhere(test, workload));
        marks.add("workloads", 1);
    }
    marks
}

#[test]
fn whatever_fails_says_so_and_what_was_acknowledged_is_there() {
    let marks = fail_all("whatever_fails_says_so_and_what", &workloads::all());
    marks.assert_floors(&[
        ("workloads", 11),
        ("runs", 2500),
        ("EIO", 750),
        ("ENOSPC", 750),
        ("short write", 125),
        ("failed flush", 125),
        ("once", 1250),
        ("for good", 1250),
        ("images", 2000),
        ("errors", 1250),
        ("closes that failed", 25),
        ("topics of calls that failed", 2),
        ("power cuts behind a fault", 25),
        ("logs that begin behind 0", 250),
    ]);
}

#[test]
fn whatever_fails_of_workloads_that_were_drawn_says_so() {
    // All of them where many seeds are asked for.
    let drawn = if std::env::var_os("BROOKLET_SEEDS").is_some() { 44 } else { 14 };
    let marks = fail_all("whatever_fails_of_workloads_that_were_drawn", &workloads::drawn(drawn));
    marks.assert_floors(&[
        ("workloads", drawn),
        ("runs", 750),
        ("EIO", 225),
        ("ENOSPC", 225),
        ("short write", 37),
        ("failed flush", 37),
        ("once", 375),
        ("for good", 375),
        ("errors", 375),
    ]);
}
