//! The power is cut at every operation of every workload, of the recovery from that, and of what comes after it.

use crate::{
    replay::{Marks, Random, Replay},
    workloads::{self, Workload},
    world::World,
};
use brooklet::{DiskOp, seeds};

/// Cuts the power at operation `n` of a workload, recovers, goes on, and cuts it again. `None`: the workload has no such
/// operation.
fn crash_at(workload: &Workload, seed: u64, n: u64) -> Option<Marks> {
    let mut random = Random::new(seed, n);
    let mut world = World::new(random.next());
    world.fault = Some(world.disk.intercept(DiskOp::Any).skip(n).power_cut());
    let outcome = world.run(&workload.steps);
    let hit = world.hits() > 0;
    if hit {
        mark_cut(&mut world);
    } else {
        outcome.unwrap();
        world.disk.power_cut();
    }
    world.mend();
    recover(&mut world, &mut random);
    for _ in 0..2 {
        crash_later(&mut world, &mut random);
        recover(&mut world, &mut random);
    }
    close_and_reopen(&mut world);
    hit.then_some(world.marks)
}

/// In the middle of what the power was cut.
fn mark_cut(world: &mut World) {
    let operations = world.disk.operations();
    let last = operations.last().unwrap();
    let of_log = last.path.extension().is_some_and(|extension| extension == "log");
    let name = last.path.to_string_lossy();
    let changes = matches!(last.op, DiskOp::Write | DiskOp::SetLen | DiskOp::Flush | DiskOp::Rename);
    let of = |marked: &str| changes && name.contains(marked);
    world.marks.add("cuts as a checkpoint is replaced", u64::from(of("checkpoint")));
    world.marks.add("cuts as an index is written", u64::from(of("index")));
    world.marks.add("cuts as the metadata is replaced", u64::from(of("brooklet.metadata")));
    let drops = last.op == DiskOp::Rename && of_log;
    world.marks.add("cuts as a segment is dropped", u64::from(drops));
    let mark = match last.op {
        DiskOp::Open if of_log => "cuts as a segment is begun",
        DiskOp::SetLen if of_log => "cuts as a segment is trimmed",
        DiskOp::Write if of_log => "cuts as records are written",
        DiskOp::Flush => "cuts as a file is synced",
        DiskOp::SyncDir => "cuts as names are synced",
        DiskOp::Rename => "cuts as a name is replaced",
        DiskOp::Remove if last.path.to_string_lossy().ends_with("-delete") => {
            "cuts as a deleted directory goes"
        }
        DiskOp::Remove => "cuts as something is removed",
        _ => "other cuts",
    };
    world.marks.add(mark, 1);
}

/// Reopens: in one case of 24 with the power cut at every operation of it, one after the other, in half with two cuts at
/// any two of them.
fn recover(world: &mut World, random: &mut Random) {
    world.broker = None;
    let cuts: Vec<u64> = match random.below(24) {
        0 => (0..u64::from(u16::MAX)).collect(),
        1..=12 => vec![random.below(60), random.below(60)],
        _ => Vec::new(),
    };
    let mut hits = 0;
    for n in cuts {
        let cut = world.disk.intercept(DiskOp::Any).skip(n).power_cut();
        let opened = world.open();
        let hit = cut.hits() > 0;
        cut.remove();
        if !hit {
            // It came up, and goes again with the power.
            assert!(opened.is_ok(), "open after a crash: {opened:?}");
            world.disk.power_cut();
            break;
        }
        assert!(opened.is_err(), "an open that lost its disk succeeds");
        hits += 1;
        world.marks.add("recoveries cut", 1);
    }
    world.marks.add("recoveries cut twice", u64::from(hits > 1));
    world.reopen_and_check(true);
}

pub(crate) fn there(world: &World) -> Vec<(&'static str, i32)> {
    let partitions = |topic| world.model.topics[topic].partitions.len() as i32;
    world.topics_there().into_iter().map(|topic| (topic, partitions(topic))).collect()
}

fn crash_later(world: &mut World, random: &mut Random) {
    let steps = workloads::more(&there(world), random.next());
    world.fault = Some(world.disk.intercept(DiskOp::Any).skip(random.below(90)).power_cut());
    let outcome = world.run(&steps);
    if world.hits() == 0 {
        outcome.unwrap();
        world.disk.power_cut();
    }
    world.mend();
}

fn close_and_reopen(world: &mut World) {
    let steps = workloads::more(&there(world), 2);
    world.run(&steps).unwrap();
    world.broker.take().unwrap().close().unwrap();
    world.reopen_and_check(false);
    assert!(world.broker.as_ref().unwrap().recovery().clean);
    world.broker.take().unwrap().close().unwrap();
    world.disk.power_cut();
    world.reopen_and_check(true);
    assert!(
        world.broker.as_ref().unwrap().recovery().clean,
        "a closed store is closed after a power cut, too"
    );
}

fn crash_everywhere(test: &'static str, workload: &Workload, count: u64) -> Marks {
    let mut marks = Marks::default();
    for seed in seeds(count) {
        for n in 0.. {
            let _replay =
                Replay { test, seed, what: format!("{}, the power cut at operation {n}", workload.name) };
            let Some(more) = crash_at(workload, seed, n) else { break };
            marks.merge(more);
        }
        println!("{test}: {}, seed {seed} done, {} images so far", workload.name, marks.get("images"));
    }
    marks
}

#[test]
fn whatever_the_power_cut_interrupts_what_was_flushed_is_there_and_nothing_else_than_what_was_sent() {
    let name = "whatever_the_power_cut";
    let mut marks = Marks::default();
    workloads::all().iter().for_each(|workload| marks.merge(crash_everywhere(name, workload, 1)));
    marks.assert_floors(&[
        ("images", 2000),
        ("torn tails cut", 100),
        ("segments set aside", 20),
        ("recoveries of many segments", 100),
        ("recoveries cut", 1000),
        ("recoveries cut twice", 1000),
        ("logs that begin behind 0", 1000),
        ("groups whose next record was removed", 20),
        ("cuts as a checkpoint is replaced", 100),
        ("cuts as an index is written", 100),
        ("cuts as the metadata is replaced", 50),
        ("cuts as a segment is dropped", 20),
        ("deletions ended by opening", 10),
        ("records lost that were only buffered", 500),
        ("groups that went back", 10),
        ("topics of calls that failed", 10),
        ("cuts as a segment is begun", 30),
        ("cuts as a segment is trimmed", 15),
        ("cuts as records are written", 100),
        ("cuts as a file is synced", 100),
        ("cuts as names are synced", 50),
        ("cuts as a name is replaced", 50),
        ("cuts as something is removed", 5),
        ("cuts as a deleted directory goes", 10),
    ]);
}

#[test]
fn whatever_the_power_cut_interrupts_of_workloads_that_were_drawn_the_same_holds() {
    let name = "whatever_the_power_cut_interrupts_of_workloads_that_were_drawn";
    let mut marks = Marks::default();
    workloads::drawn(12).iter().for_each(|workload| marks.merge(crash_everywhere(name, workload, 1)));
    marks.assert_floors(&[
        ("images", 1200),
        ("recoveries cut twice", 200),
        ("logs that begin behind 0", 200),
        ("deletions ended by opening", 4),
    ]);
}
