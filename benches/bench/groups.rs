//! What groups cost: joining, rebalancing with many members, committing. Raw: the same without a group, or bare threads.

use crate::{
    harness::{Bench, Unit, rate},
    store::{TOPIC, append, open, scratch},
};
use brooklet::{
    Broker, Consumer, ConsumerConfig, ConsumerHandle, Error, Offsets, Record, RoundRobinAssignor, TopicConfig,
};
use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

const MEMBERS: usize = 200;
const TOPICS: usize = 10;
const PARTITIONS: i32 = 20;

pub fn run(bench: &mut Bench) {
    first_record(bench);
    commits(bench);
    many_members(bench);
}

/// A consumer of a new group, from subscribe to its first record; raw: one without a group.
fn first_record(bench: &mut Bench) {
    let name = "subscribe to first record, new group; raw: no group";
    if !bench.wants(name) {
        return;
    }
    let dir = scratch();
    let broker = open(dir.path(), true);
    broker.produce(Record::to(TOPIC).value("x")).unwrap();
    // The topic of offsets is there.
    poll_first(broker.consumer("first").subscribe(TOPIC).unwrap());
    let mut groups = 0;
    let timed = |config: ConsumerConfig| {
        let begun = Instant::now();
        poll_first(broker.consumer(config).subscribe(TOPIC).unwrap());
        begun.elapsed().as_secs_f64()
    };
    let new_group = || {
        groups += 1;
        timed(ConsumerConfig::new(format!("group {groups}")))
    };
    bench.compare(name, (Unit::Seconds, "<= 0.5 ms", 101), || timed(ConsumerConfig::standalone()), new_group);
}

fn poll_first(mut consumer: Consumer) {
    assert_eq!(consumer.poll(Duration::from_secs(10)).unwrap().len(), 1);
}

/// Commits of one partition each; raw: records of 100 bytes, one a call.
fn commits(bench: &mut Bench) {
    let count = bench.scaled(200_000);
    for (name, threads) in [("commits, 1 thread; raw: produce", 1), ("commits, 8 threads; raw: produce", 8)] {
        let row = (Unit::PerSecond, "", 3);
        let raw = || append(&open(scratch().path(), true), count, &[b'v'; 100]);
        bench.compare(name, row, raw, || commit_all(count, threads));
    }
}

fn commit_all(count: usize, threads: usize) -> f64 {
    let dir = scratch();
    let broker = open(dir.path(), true);
    let consumers: Vec<Consumer> = (0..threads)
        .map(|n| broker.consumer(format!("group {n}").as_str()).subscribe(TOPIC).unwrap())
        .collect();
    let begun = Instant::now();
    thread::scope(|scope| {
        for consumer in consumers {
            scope.spawn(move || {
                for n in 0..count / threads {
                    consumer.commit_offsets(Offsets::from([((TOPIC, 0), n as i64)])).unwrap();
                }
            });
        }
    });
    rate(count, begun)
}

/// From the first of many members to all of them at work, and from the end of half of them to the others'; raw: as many
/// threads start and end.
fn many_members(bench: &mut Bench) {
    let names = [
        "200 members, all start; raw: threads start and end",
        "200 members, half of them leave; raw: 100 threads end",
    ];
    if !names.iter().any(|name| bench.wants(name)) {
        return;
    }
    let mut pairs = [Vec::new(), Vec::new()];
    let mut idle = Vec::new();
    for _ in 0..bench.runs(5) {
        let [started, halved, cpu] = start_and_halve();
        pairs[0].push((bare_threads(MEMBERS), started));
        pairs[1].push((bare_threads(MEMBERS / 2), halved));
        idle.push(cpu);
    }
    for (name, pairs) in names.into_iter().zip(&pairs) {
        bench.row(name, Unit::Seconds, "", pairs);
    }
    idle.sort_by(f64::total_cmp);
    eprintln!(
        "100 members that have nothing to do: {:.2} % of a core (wanted: less than 1 %)",
        idle[idle.len() / 2] * 100.0
    );
}

fn bare_threads(count: usize) -> f64 {
    let begun = Instant::now();
    thread::scope(|scope| (0..count).for_each(|_| drop(scope.spawn(thread::yield_now))));
    begun.elapsed().as_secs_f64()
}

struct Member {
    handle: ConsumerHandle,
    thread: JoinHandle<()>,
}

impl Member {
    fn start(broker: &Broker, topics: &[String]) -> Self {
        let config = ConsumerConfig::new("many").assignor(RoundRobinAssignor);
        let mut consumer = broker.consumer(config).subscribe(topics.to_vec()).unwrap();
        let handle = consumer.handle();
        let thread = thread::spawn(move || {
            loop {
                match consumer.poll(Duration::MAX) {
                    Err(Error::Wakeup) => break,
                    polled => drop(polled.unwrap()),
                }
            }
            consumer.close().unwrap();
        });
        Self { handle, thread }
    }
}

/// Seconds until all are at work, seconds until half of them are again after the others have left, and what share of a core
/// they need when there is nothing to do.
fn start_and_halve() -> [f64; 3] {
    let dir = scratch();
    let broker = open(dir.path(), true);
    let topics: Vec<String> = (0..TOPICS).map(|n| format!("topic-{n}")).collect();
    for topic in &topics {
        broker.create_topic(topic, TopicConfig::new().partitions(PARTITIONS)).unwrap();
    }
    let begun = Instant::now();
    let mut members: Vec<Member> = (0..MEMBERS).map(|_| Member::start(&broker, &topics)).collect();
    // Nothing comes in its topic: it tells the time.
    let mut clock = broker.consumer(ConsumerConfig::standalone()).subscribe(TOPIC).unwrap();
    settle(&broker, MEMBERS, &mut clock);
    let started = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let half: Vec<Member> = members.drain(..MEMBERS / 2).collect();
    half.iter().for_each(|member| member.handle.wakeup());
    half.into_iter().for_each(|member| member.thread.join().unwrap());
    settle(&broker, MEMBERS / 2, &mut clock);
    let halved = begun.elapsed().as_secs_f64();
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    assert!(clock.poll(Duration::from_secs(4)).unwrap().is_empty());
    let idle = (cpu_seconds() - cpu) / begun.elapsed().as_secs_f64();
    members.iter().for_each(|member| member.handle.wakeup());
    members.into_iter().for_each(|member| member.thread.join().unwrap());
    [started, halved, idle]
}

/// Waits until so many members have all partitions.
fn settle(broker: &Broker, members: usize, clock: &mut Consumer) {
    let all = TOPICS * PARTITIONS as usize;
    let begun = Instant::now();
    loop {
        let there = broker.admin().describe_group("many").unwrap();
        let assigned: usize = there.members.iter().map(|member| member.assignment.len()).sum();
        if there.state.to_string() == "Stable" && there.members.len() == members && assigned == all {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{} members, {assigned} assigned",
            there.members.len()
        );
        assert!(clock.poll(Duration::from_millis(1)).unwrap().is_empty());
    }
}

/// What this process has used of the cores so far.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // In ticks of a hundredth of a second: of its own, and of the kernel for it.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
