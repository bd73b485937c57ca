//! `kill -9` on real files: a child appends, rolls, flushes, deletes records, makes and deletes a topic, closes and opens,
//! and dies at any moment, again and again in one directory. Whatever it was told is there, and what it was told is gone
//! stays gone: the page cache outlives a process.
//!
//! `BROOKLET_SEED` and `BROOKLET_SEEDS` choose the first seed and how many; each has 25 rounds.

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
/// The topic that comes and goes.
const BRIEF: &str = "brief";
/// What it has when it is deleted.
const BRIEF_RECORDS: i64 = 4;
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

/// Says what is about to be done, or what was done, before anything else is.
fn tell(what: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}").and_then(|()| out.flush()).unwrap();
}

/// What the child does until it is killed: whatever it begins that cannot be undone, and whatever it is told, in a line
/// each.
fn work_for_ever(dir: &Path, maps: bool, round: u64) -> Result<()> {
    // The harness has begun a line.
    println!();
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
            tell(format_args!("acknowledged {partition} {}", at.offset));
            if step.is_multiple_of(10) {
                broker.consumer("g").assign([("t", 0)])?.commit_offsets([(("t", 0), at.offset)])?;
                tell(format_args!("committed 0 {}", at.offset));
            }
            if step.is_multiple_of(23) && at.offset > 12 {
                let before = at.offset - 12;
                tell(format_args!("deleting {partition} {before}"));
                broker.admin().delete_records(("t", partition), before)?;
                tell(format_args!("deleted {partition} {before}"));
            }
            if step.is_multiple_of(7) {
                come_and_go(&broker)?;
            }
        }
        if step.is_multiple_of(2) {
            broker.close()?;
        }
    }
}

/// Makes the topic that comes and goes, or appends to it, or deletes it when it has enough. Its records say by which id
/// it went when they were sent.
fn come_and_go(broker: &Broker) -> Result<()> {
    if !broker.admin().list_topics()?.iter().any(|topic| topic == BRIEF) {
        tell(format_args!("making {BRIEF} 0"));
        let id = broker.create_topic(BRIEF, TopicConfig::new().segment_bytes(1024))?;
        tell(format_args!("made {id} 0"));
        return Ok(());
    }
    let id = broker.admin().describe_topic(BRIEF)?.id;
    let value = format!("{id} {}", "x".repeat(600));
    let at = broker.produce(Record::to(BRIEF).value(&value))?;
    tell(format_args!("sent {id} {}", at.offset));
    if at.offset + 1 >= BRIEF_RECORDS {
        tell(format_args!("removing {id} 0"));
        broker.admin().delete_topic(BRIEF)?;
        tell(format_args!("removed {id} 0"));
    }
    Ok(())
}

/// Runs in a process of its own, started by the tests below; does nothing without a directory.
#[test]
fn child_works_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let maps = std::env::var(MAPS).unwrap() == "true";
    let round = std::env::var(ROUND).unwrap().parse().unwrap();
    work_for_ever(Path::new(&dir), maps, round).unwrap();
}

/// What a child was told, over all rounds.
#[derive(Debug, Default)]
struct Told {
    /// The next offset of each partition.
    ends: [i64; PARTITIONS as usize],
    /// Where each partition begins at least, and at most.
    starts: [(i64, i64); PARTITIONS as usize],
    committed: Option<i64>,
    brief: Brief,
    /// The ids of topics that were deleted.
    removed: Vec<String>,
    deletions: u64,
    lines: u64,
    /// Since what is there was last looked at: each may have left a record that nobody was told of.
    kills: i64,
}

/// What is known of the topic that comes and goes.
#[derive(Debug, Default, PartialEq)]
enum Brief {
    #[default]
    Gone,
    /// A call was on its way that makes or deletes it.
    Maybe,
    /// With this id, and so many records.
    There(String, i64),
}

impl Told {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let &[kind, what, number] = words.as_slice() else { return };
        let Ok(number) = number.parse::<i64>() else { return };
        let partition = || what.parse::<usize>().unwrap();
        match kind {
            "acknowledged" => {
                let end = &mut self.ends[partition()];
                assert!(number >= *end, "partition {what}: offset {number} again, or gone back to");
                *end = number + 1;
            }
            "committed" => self.committed = Some(number),
            "deleting" => self.starts[partition()].1 = number,
            "deleted" => {
                self.starts[partition()].0 = number;
                self.deletions += 1;
            }
            "making" | "removing" => self.brief = Brief::Maybe,
            "made" => {
                assert!(!self.removed.iter().any(|id| id == what), "the id {what} again");
                self.brief = Brief::There(what.to_owned(), 0);
            }
            "sent" => self.brief = Brief::There(what.to_owned(), number + 1),
            "removed" => {
                self.removed.push(what.to_owned());
                self.brief = Brief::Gone;
            }
            _ => return,
        }
        self.lines += 1;
    }
}

/// Starts a child, reads so many lines of what it was told, and kills it in the middle of whatever it does.
fn kill_after(dir: &Path, maps: bool, round: u64, lines: u64, told: &mut Told) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_works_until_it_is_killed", "--nocapture"])
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
    told.kills += 1;
    child.wait().unwrap();
    // What was in the pipe was said before it died.
    output.for_each(|line| told.take(&line));
}

/// Opens what the child left, and says whether it was closed.
fn check(dir: &Path, maps: bool, told: &mut Told) -> bool {
    let broker = open(dir, maps).unwrap();
    check_records(&broker, told);
    check_brief(&broker, told);
    let committed = broker.consumer("g").assign([("t", 0)]).unwrap().committed(("t", 0)).unwrap();
    assert!(
        committed.as_ref().map(|there| there.offset) >= told.committed,
        "{committed:?}, told was {:?}",
        told.committed
    );
    told.kills = 0;
    broker.recovery().clean
}

fn check_records(broker: &Broker, told: &mut Told) {
    let partitions = broker.admin().describe_topic("t").unwrap().partitions;
    let mut ends = [0, 1].map(|number: usize| partitions[number].log_start_offset);
    for (partition, (start, (least, most))) in ends.iter().zip(told.starts).enumerate() {
        assert!((least..=most).contains(start), "partition {partition} begins at {start}: {told:?}");
    }
    told.starts = ends.map(|start| (start, start));
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("t").unwrap();
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
    for (partition, (there, end)) in ends.iter().zip(told.ends).enumerate() {
        assert!(
            (end..=end + told.kills).contains(there),
            "partition {partition}: {there} records, {end} were acknowledged"
        );
    }
    told.ends = ends;
}

fn check_brief(broker: &Broker, told: &mut Told) {
    let is_there = broker.admin().list_topics().unwrap().iter().any(|topic| topic == BRIEF);
    match &told.brief {
        Brief::Gone => assert!(!is_there, "what was deleted is back"),
        Brief::There(..) => assert!(is_there, "what was made is gone"),
        Brief::Maybe => {}
    }
    if !is_there {
        told.brief = Brief::Gone;
        return;
    }
    let id = broker.admin().describe_topic(BRIEF).unwrap().id.to_string();
    assert!(!told.removed.contains(&id), "what was deleted is back");
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe(BRIEF).unwrap();
    let mut records = 0;
    while !consumer.is_caught_up().unwrap() {
        for record in &consumer.poll(Duration::from_secs(5)).unwrap() {
            assert_eq!(record.offset(), records);
            assert!(record.value_str().unwrap().starts_with(&id), "a record of a topic that was before it");
            records += 1;
        }
    }
    if let Brief::There(known, count) = &told.brief {
        let may_be = *count..=count + told.kills;
        assert!(*known == id && may_be.contains(&records), "{id}, {records}: {told:?}");
    }
    told.brief = Brief::There(id, records);
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
            if round % 3 > 0 {
                unclean += u64::from(!check(dir.path(), maps, &mut told));
            }
        }
        let (lines, deletions, topics) = (told.lines, told.deletions, told.removed.len());
        println!(
            "seed {seed}: {ROUNDS} rounds, {lines} lines told, {deletions} deletions of records, {topics} of topics; \
             {unclean} opens found a store that was not closed"
        );
        assert!(lines > 1000 && deletions >= 10 && topics >= 10 && unclean >= 10, "too little happened");
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
