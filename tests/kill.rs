//! `kill -9` on real files: a child appends, rolls, flushes, closes and opens, and dies at any moment, again and again in
//! one directory. Whatever it was told is there: the page cache outlives a process.
//!
//! `BROOKLET_SEED` and `BROOKLET_SEEDS` choose the first seed and how many.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use brooklet::{Broker, ConsumerConfig, Durability, Record, Result, TopicConfig, seeds};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

const DIR: &str = "BROOKLET_TEST_KILL_DIR";
const MAPS: &str = "BROOKLET_TEST_KILL_MAPS";
const ROUND: &str = "BROOKLET_TEST_KILL_ROUND";
const PARTITIONS: i32 = 2;
/// How often a child is killed with one seed.
const ROUNDS: u64 = 25;

fn open(dir: &Path, maps: bool) -> Result<Broker> {
    Broker::builder().memory_maps(maps).open(dir)
}

/// The value of the record `n` of a partition: its number, and as many bytes as come of it.
fn value(partition: i32, n: i64) -> Vec<u8> {
    let len = (n * 37 % 500) as usize;
    let mut value = format!("{partition}:{n}:").into_bytes();
    value.extend((0..len).map(|at| (at as i64 * 3 + n) as u8));
    value
}

fn end(broker: &Broker, partition: i32) -> i64 {
    broker.admin().describe_topic("t").unwrap().partitions[partition as usize].high_watermark
}

/// What the child does until it is killed: `kind partition offset` for whatever it is told, a line each.
fn append_for_ever(dir: &Path, maps: bool, round: u64) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut step = round * 7;
    loop {
        let broker = open(dir, maps)?;
        let config = TopicConfig::new().partitions(PARTITIONS).segment_bytes(4096).index_interval_bytes(512);
        broker.ensure_topic("t", config)?;
        for _ in 0..(20 + step % 60) {
            step += 1;
            let partition = (step % 2) as i32;
            let value = value(partition, end(&broker, partition));
            let record = Record::to("t").partition(partition).value(&value);
            let flushed = step.is_multiple_of(11);
            let record = record.durability(if flushed { Durability::Flushed } else { Durability::Buffered });
            let at = broker.produce(record)?;
            writeln!(out, "acknowledged {partition} {}", at.offset).unwrap();
            if step.is_multiple_of(10) {
                broker.consumer("g").assign([("t", 0)])?.commit_offsets([(("t", 0), at.offset)])?;
                writeln!(out, "committed 0 {}", at.offset).unwrap();
            }
            out.flush().unwrap();
        }
        if step.is_multiple_of(2) {
            broker.close()?;
        }
    }
}

/// Runs in a process of its own, started by the tests below; does nothing without a directory.
#[test]
fn child_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let maps = std::env::var(MAPS).unwrap() == "true";
    let round = std::env::var(ROUND).unwrap().parse().unwrap();
    append_for_ever(Path::new(&dir), maps, round).unwrap();
}

/// What a child was told, over all rounds.
#[derive(Debug, Default)]
struct Told {
    /// The next offset of each partition.
    ends: [i64; PARTITIONS as usize],
    committed: Option<i64>,
    lines: u64,
}

impl Told {
    fn take(&mut self, line: &str) {
        let mut words = line.split(' ');
        let kind = words.next().unwrap_or_default();
        let mut number = || words.next().and_then(|word| word.parse::<i64>().ok());
        match (kind, number(), number()) {
            ("acknowledged", Some(partition), Some(offset)) => {
                let end = &mut self.ends[partition as usize];
                assert!(offset >= *end, "partition {partition}: offset {offset} again, or gone back to");
                *end = offset + 1;
            }
            ("committed", Some(_), Some(offset)) => self.committed = Some(offset),
            _ => return,
        }
        self.lines += 1;
    }
}

/// Starts a child, reads so many lines of what it was told, and kills it in the middle of whatever it does.
fn kill_after(dir: &Path, maps: bool, round: u64, lines: u64, told: &mut Told) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_appends_until_it_is_killed", "--nocapture"])
        .envs([
            (DIR, dir.as_os_str()),
            (MAPS, maps.to_string().as_ref()),
            (ROUND, round.to_string().as_ref()),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(std::result::Result::ok);
    let until = told.lines + lines;
    while told.lines < until {
        let line = output.next().expect("a child lives until it is killed");
        told.take(&line);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What was in the pipe was said before it died.
    output.for_each(|line| told.take(&line));
}

fn check(dir: &Path, maps: bool, told: &Told) -> bool {
    let broker = open(dir, maps).unwrap();
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("t").unwrap();
    let mut ends = [0; PARTITIONS as usize];
    while !consumer.is_caught_up().unwrap() {
        for record in &consumer.poll(Duration::from_secs(5)).unwrap() {
            let (partition, offset) = (record.partition(), record.offset());
            assert_eq!(offset, ends[partition as usize], "partition {partition}");
            assert!(
                record.value() == Some(&value(partition, offset)[..]),
                "partition {partition}, offset {offset}"
            );
            ends[partition as usize] += 1;
        }
    }
    for (partition, (there, told)) in ends.iter().zip(told.ends).enumerate() {
        // One more may be in the log than anybody was told.
        assert!(
            (told..=told + 1).contains(there),
            "partition {partition}: {there} records, {told} were acknowledged"
        );
    }
    let committed = broker.consumer("g").assign([("t", 0)]).unwrap().committed(("t", 0)).unwrap();
    assert!(
        committed.as_ref().map(|there| there.offset) >= told.committed,
        "{committed:?}, told was {:?}",
        told.committed
    );
    broker.recovery().clean
}

fn kill_again_and_again(test: &str, maps: bool) {
    for seed in seeds(1) {
        println!(
            "seed {seed}; again: BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --test kill {test} -- --nocapture"
        );
        let dir = tempfile::tempdir().unwrap();
        let mut told = Told::default();
        let mut unclean = 0;
        for round in 0..ROUNDS {
            let lines = 1 + (seed.wrapping_mul(0x9e37_79b9).wrapping_add(round * round * 31)) % 150;
            kill_after(dir.path(), maps, seed + round, lines, &mut told);
            if !round.is_multiple_of(3) {
                unclean += u64::from(!check(dir.path(), maps, &told));
            }
        }
        assert!(told.lines > 1000 && unclean >= 10, "{} lines, {unclean} unclean opens", told.lines);
        println!(
            "seed {seed}: {} lines told, {unclean} of {ROUNDS} opens found a store that was not closed",
            told.lines
        );
    }
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    kill_again_and_again("kill_9_loses_nothing_that", true);
}

#[test]
fn kill_9_loses_nothing_without_memory_maps() {
    kill_again_and_again("kill_9_loses_nothing_without", false);
}
