//! A cluster of three brokers takes a stream of flights while their leaders are killed, one after the other: at the end the counts
//! are those of the file.
//!
//!     cargo run --release --example failover [FILE [SEED]]
//!
//! Time is virtual: minutes of it pass in a moment, and the same seed gives the same run.

#![allow(clippy::disallowed_methods, reason = "an application reads files")]

use brooklet::{Cluster, ConsumerConfig, Error, Record, Result, TopicConfig};
use std::{collections::BTreeSet, time::Duration};

const FLIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights.csv");
/// A leader is killed after so many flights.
const KILL_EVERY: usize = 500;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| FLIGHTS.to_owned());
    let seed = arguments.next().map_or(Ok(7), |seed| seed.parse())?;
    let text = std::fs::read_to_string(&file)?;
    let flights: Vec<&str> = text.lines().skip(1).collect();

    let cluster = Cluster::builder().brokers(3).seed(seed).start()?;
    let safe = TopicConfig::new().partitions(3).replication_factor(3).min_insync_replicas(2);
    cluster.create_topic("flights", safe)?;

    let (mut kills, mut again) = (0, 0);
    for (n, flight) in flights.iter().enumerate() {
        if n % KILL_EVERY == KILL_EVERY / 2 {
            let leader = cluster.leader("flights", (n / KILL_EVERY % 3) as i32)?;
            cluster.kill(leader)?;
            kills += 1;
        }
        again += produce(&cluster, n, flight)?;
        if n % KILL_EVERY == KILL_EVERY - 1 {
            bring_back(&cluster)?;
        }
    }
    bring_back(&cluster)?;

    let read = read(&cluster)?;
    let different: BTreeSet<&String> = read.iter().collect();
    println!(
        "{} flights in the file, {} records read, {} of them different",
        flights.len(),
        read.len(),
        different.len()
    );
    println!(
        "{kills} leaders were killed; {again} flights were sent once more, since nobody could say what had become of them"
    );
    println!("the last of what happened:");
    let trace = cluster.trace();
    trace.lines().iter().rev().take(6).rev().for_each(|line| println!("{line}"));
    if different.len() != flights.len() {
        return Err("flights are lost".into());
    }
    if read.len() - different.len() > again {
        return Err("flights are there twice that were sent once".into());
    }
    cluster.close()?;
    Ok(())
}

/// Sends a flight until it is acknowledged; how often it was in doubt.
fn produce(cluster: &Cluster, n: usize, flight: &str) -> Result<usize> {
    let value = format!("{n},{flight}");
    let mut in_doubt = 0;
    loop {
        match cluster.produce(Record::to("flights").key(flight).value(&value)) {
            Ok(_) => return Ok(in_doubt),
            // Better twice than not at all.
            Err(error) if error.is_retriable() => in_doubt += usize::from(error.is_indeterminate()),
            Err(error) => return Err(error),
        }
    }
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

fn read(cluster: &Cluster) -> Result<Vec<String>> {
    let mut consumer = cluster.consumer(ConsumerConfig::standalone()).subscribe("flights")?;
    let mut read = Vec::new();
    while !consumer.is_caught_up()? {
        let records = match consumer.poll(Duration::from_secs(1)) {
            Err(Error::Timeout) => continue,
            records => records?,
        };
        read.extend(records.iter().map(|record| record.value_str().unwrap_or_default().to_owned()));
    }
    Ok(read)
}
