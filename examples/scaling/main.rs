//! What a cluster costs as it grows: 1, 3, 9 and 27 brokers with 1, 10, 100 and 1,000 partitions.
//!
//!     cargo run --release --example scaling [-- [--svg FILE] [--runs N] [--most PARTITIONS]]
//!
//! It prints a table for a Markdown page, and draws it where it is told to; with `--table PAGE` nothing is measured, and the rows are those
//! of the table in that page. Each row is the median of 3 runs, or N, of different seeds, each in a process of its own, so that the
//! memory is that of one cluster. Time in the cluster is virtual; *ms* are the wall clock's.
//!
//! A run starts a cluster and makes a topic, three replicas of each partition where there are as many brokers. Then the leader of
//! partition 0 is killed, and, once all partitions have a leader again, restarted: with one broker it is restarted at once. When all are in
//! sync there follows a virtual minute of 1,000 records, in which the leader of partition 0 is killed again and restarted.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "what things cost is told by the wall clock"
)]

#[path = "../../benches/bench/drawing.rs"]
#[allow(missing_docs, unreachable_pub)]
mod drawing;
mod plot;

use brooklet::{Acks, BrokerId, Cluster, ProducerConfig, Record, TopicConfig};
use plot::Row;
use std::{
    error::Error,
    fs,
    process::Command,
    time::{Duration, Instant},
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BROKERS: [u16; 4] = [1, 3, 9, 27];
const PARTITIONS: [u32; 4] = [1, 10, 100, 1000];
const TOPIC: &str = "grows";
const RECORDS: u32 = 1000;
const PATIENCE: Duration = Duration::from_secs(300);
/// The first argument of a process that measures, or, without brokers, of one that does nothing.
const CHILD: &str = "--child";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [CHILD, brokers, partitions, seed] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return child(brokers.parse()?, partitions.parse()?, seed.parse()?);
    }
    let (mut svg, mut table, mut runs, mut most) = (None, None, 3, 1000);
    let mut words = arguments.into_iter();
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word}: what is behind it?"))?;
        match word.as_str() {
            "--svg" => svg = Some(value),
            "--table" => table = Some(value),
            "--runs" => runs = value.parse()?,
            "--most" => most = value.parse()?,
            _ => return Err(format!("{word} is not known").into()),
        }
    }
    let rows = match table {
        Some(page) => Row::read(&fs::read_to_string(page)?),
        None => measure(runs, most)?,
    };
    if let Some(file) = svg {
        fs::write(file, plot::draw(&rows))?;
    }
    Ok(())
}

/// Prints each row as soon as it is there.
fn measure(runs: u64, most: u32) -> Result<Vec<Row>> {
    println!("{}", plot::HEAD);
    let mut rows = Vec::new();
    for brokers in BROKERS {
        for partitions in PARTITIONS.into_iter().filter(|partitions| *partitions <= most) {
            let mut figures: Vec<[f64; 6]> = Vec::new();
            for seed in 1..=runs {
                figures.push(measured(brokers, partitions, seed)?);
            }
            let row = Row { brokers, partitions, figures: medians(&figures) };
            print!("{}", row.cells());
            // As it will be read from the page, so that both give the same picture.
            rows.extend(Row::read(&row.cells()));
        }
    }
    Ok(rows)
}

fn medians(runs: &[[f64; 6]]) -> [f64; 6] {
    std::array::from_fn(|column| {
        let mut figures: Vec<f64> = runs.iter().filter_map(|run| run.get(column).copied()).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    })
}

/// A row's figures of one process.
fn measured(brokers: u16, partitions: u32, seed: u64) -> Result<[f64; 6]> {
    let [start, virtual_election, election, minute, memory] = figures_of_child(brokers, partitions, seed)?;
    let [.., of_nothing] = figures_of_child(0, 0, 0)?;
    let an_hour = 3_600_000.0 / (start + minute);
    Ok([start, virtual_election, election, minute, an_hour, (memory - of_nothing).max(0.0)])
}

fn figures_of_child(brokers: u16, partitions: u32, seed: u64) -> Result<[f64; 5]> {
    let arguments = [u64::from(brokers), u64::from(partitions), seed].map(|number| number.to_string());
    let output = Command::new(std::env::current_exe()?).arg(CHILD).args(arguments).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let said = String::from_utf8(output.stdout)?;
    let figures = said.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<f64>, _>>()?;
    figures.try_into().map_err(|_| format!("a child said {said}").into())
}

/// Says milliseconds of a start, virtual seconds and milliseconds of an election, milliseconds of a virtual minute, and MiB of memory.
fn child(brokers: u16, partitions: u32, seed: u64) -> Result<()> {
    if brokers == 0 {
        println!("0 0 0 0 {}", peak_memory());
        return Ok(());
    }
    let begun = Instant::now();
    let cluster = Cluster::builder().brokers(brokers).seed(seed).start()?;
    let replicas = brokers.min(3);
    let config = TopicConfig::new()
        .partitions(i32::try_from(partitions)?)
        .replication_factor(i16::try_from(replicas)?);
    cluster.create_topic(TOPIC, config)?;
    until_all(&cluster, partitions, |cluster, n| cluster.leader(TOPIC, n).is_ok())?;
    let start = millis(begun);

    let (begun, virtually) = (Instant::now(), cluster.now());
    let dead = kill(&cluster)?;
    if brokers == 1 {
        cluster.restart(dead)?;
        until_all(&cluster, partitions, |cluster, n| cluster.leader(TOPIC, n).is_ok())?;
    } else {
        until_all(&cluster, partitions, |cluster, n| cluster.leader(TOPIC, n).is_ok_and(|id| id != dead))?;
    }
    let election = (cluster.now().as_millis() - virtually.as_millis()) as f64 / 1e3;
    let real_election = millis(begun);

    cluster.restart(dead)?;
    until_all(&cluster, partitions, |cluster, n| {
        cluster.isr(TOPIC, n).is_ok_and(|isr| isr.len() == usize::from(replicas))
    })?;
    let begun = Instant::now();
    minute(&cluster, partitions)?;
    println!("{start} {election} {real_election} {} {}", millis(begun), peak_memory());
    Ok(())
}

/// Kills who leads partition 0.
fn kill(cluster: &Cluster) -> Result<BrokerId> {
    let leader = cluster.leader(TOPIC, 0)?;
    cluster.kill(leader)?;
    Ok(leader)
}

/// Waits until something holds of all partitions. It is looked at only until it does, so that looking costs little.
fn until_all(cluster: &Cluster, partitions: u32, holds: impl Fn(&Cluster, i32) -> bool) -> Result<()> {
    let mut left = (0..i32::try_from(partitions)?).peekable();
    cluster.run_until(PATIENCE, |cluster| {
        while left.next_if(|n| holds(cluster, *n)).is_some() {}
        left.peek().is_none()
    })?;
    Ok(())
}

/// A virtual minute of records for all partitions in turn, all of which are acknowledged.
fn minute(cluster: &Cluster, partitions: u32) -> Result<()> {
    let producer = cluster.producer(ProducerConfig::new().acks(Acks::All).linger(Duration::ZERO))?;
    let (mut dead, mut deliveries) = (None, Vec::new());
    for n in 0..RECORDS {
        if n == RECORDS / 3 {
            dead = Some(kill(cluster)?);
        } else if n == RECORDS / 2 {
            dead.take().map(|dead| cluster.restart(dead)).transpose()?;
        }
        let record =
            Record::to(TOPIC).partition(i32::try_from(n % partitions)?).value(b"a record of the minute");
        deliveries.push(producer.send(record)?);
        cluster.advance(Duration::from_secs(60) / RECORDS);
    }
    producer.flush()?;
    for delivery in deliveries {
        delivery.wait()?;
    }
    Ok(())
}

fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e3
}

/// The most memory that this process ever had, in MiB; 0 where the system does not tell.
fn peak_memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    line.and_then(|kib| kib.trim().parse::<f64>().ok()).unwrap_or_default() / 1024.0
}
