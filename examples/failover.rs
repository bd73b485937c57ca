//! A cluster of three brokers takes a stream of flights while their leaders are killed, one after the other: at the end each flight is
//! there once, in the order of the file.
//!
//!     cargo run --release --example failover [-- [--keep DIR] [FILE [SEED]]]
//!
//! Time is virtual: minutes of it pass in a moment, and the same seed gives the same run. With `--keep DIR` the brokers have real files,
//! in the new directory DIR, instead of simulated disks.

#![allow(clippy::disallowed_methods, reason = "an application reads files")]

use brooklet::{Cluster, Error, Record, Result, TopicConfig};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights.csv");
/// A leader is killed after so many flights.
const KILL_EVERY: usize = 500;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    let keep = arguments.next_if_eq("--keep").and_then(|_| arguments.next());
    let file = arguments.next().unwrap_or_else(|| FLIGHTS.to_owned());
    let seed = arguments.next().map_or(Ok(7), |seed| seed.parse())?;
    let text = std::fs::read_to_string(&file)?;
    let flights: Vec<&str> = text.lines().skip(1).collect();

    let builder = Cluster::builder().brokers(3).seed(seed);
    let cluster = match keep {
        Some(dir) => builder.directory(dir).start()?,
        None => builder.start()?,
    };
    let safe = TopicConfig::new().partitions(3).replication_factor(3).min_insync_replicas(2);
    cluster.create_topic("flights", safe)?;

    let mut kills = 0;
    for (n, flight) in flights.iter().enumerate() {
        if n % KILL_EVERY == KILL_EVERY / 2 {
            let leader = cluster.leader("flights", (n / KILL_EVERY % 3) as i32)?;
            cluster.kill(leader)?;
            kills += 1;
        }
        // Where its leader dies it is sent again by itself, and is there once.
        let value = value(n, flight);
        cluster.produce(Record::to("flights").key(flight).value(&value))?;
        if n % KILL_EVERY == KILL_EVERY - 1 {
            bring_back(&cluster)?;
        }
    }
    bring_back(&cluster)?;

    let read = read(&cluster)?;
    let different: BTreeSet<String> = read.values().flatten().cloned().collect();
    let count: usize = read.values().map(Vec::len).sum();
    println!(
        "{} flights in the file, {count} records read, {} of them different; {kills} leaders were killed",
        flights.len(),
        different.len()
    );
    println!("the last of what happened:");
    let trace = cluster.trace();
    trace.lines().iter().rev().take(6).rev().for_each(|line| println!("{line}"));
    if different != flights.iter().enumerate().map(|(n, flight)| value(n, flight)).collect() {
        return Err("flights are lost, or others are there".into());
    }
    if count != different.len() {
        return Err("flights are there twice that were sent once".into());
    }
    let number = |value: &String| value.split(',').next().and_then(|n| n.parse::<usize>().ok());
    if !read.values().all(|of_partition| of_partition.iter().map(number).is_sorted()) {
        return Err("flights are not in the order of sending".into());
    }
    cluster.close()?;
    Ok(())
}

/// A flight with its place in the file.
fn value(n: usize, flight: &str) -> String {
    format!("{n},{flight}")
}

/// Starts whoever is dead, and waits until all copies are in sync.
fn bring_back(cluster: &Cluster) -> Result<()> {
    for broker in cluster.brokers() {
        cluster.restart(broker)?;
    }
    cluster.run_until(Duration::from_secs(60), |cluster| {
        (0..3).all(|n| cluster.isr("flights", n).is_ok_and(|isr| isr.len() == 3))
    })
}

/// All that there is, by partition.
fn read(cluster: &Cluster) -> Result<BTreeMap<i32, Vec<String>>> {
    let mut consumer = cluster.consumer("readers").subscribe("flights")?;
    let mut read: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    while !consumer.is_caught_up()? {
        let records = match consumer.poll(Duration::from_secs(1)) {
            Err(Error::Timeout) => continue,
            records => records?,
        };
        for record in &records {
            let value = record.value_str().unwrap_or_default().to_owned();
            read.entry(record.partition()).or_default().push(value);
        }
        consumer.commit_offset()?;
    }
    Ok(read)
}
