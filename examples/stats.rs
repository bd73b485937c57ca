//! A live table of topics and groups while they are at work:
//!
//!     cargo run --release --example stats
//!
//! A thread puts six days of flights into a topic, in a few seconds. Two groups read it: one keeps up, one falls behind
//! and catches up in the end. It fails if one of them has not read everything. In a terminal the table stays in its
//! place; elsewhere it is printed once a second.

#![allow(clippy::disallowed_methods, reason = "an application reads files and clocks")]

use brooklet::{Admin, Broker, Client, ConsumerConfig, Record, TopicConfig};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{IsTerminal, Write as _},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const TOPIC: &str = "flights";
/// Each group, and how many records it takes at a tick.
const GROUPS: [(&str, usize); 2] = [("alarms", 500), ("archive", 70)];
/// How many flights come at a tick.
const FLIGHTS: usize = 100;
const TICK: Duration = Duration::from_millis(50);

/// Puts some flights in at each tick. Their key is the carrier.
fn produce(client: &Client, flights: &[&str], ticks: &Receiver<()>) -> Result<()> {
    for (some, ()) in flights.chunks(FLIGHTS).zip(ticks) {
        let carrier = |flight: &&str| flight.split(',').nth(9).unwrap_or_default().to_owned();
        let carriers: Vec<String> = some.iter().map(carrier).collect();
        let records = carriers.iter().zip(some);
        client.produce_all(records.map(|(carrier, flight)| Record::to(TOPIC).key(carrier).value(*flight)))?;
    }
    Ok(())
}

/// Reads some flights at each tick, until it has read them all. Says how many bytes that were.
fn read(client: &Client, (group, some): (&str, usize), all: usize, ticks: &Receiver<()>) -> Result<usize> {
    let config = ConsumerConfig::new(group).max_poll_records(some);
    let mut consumer = client.consumer(config).subscribe(TOPIC)?;
    let (mut flights, mut bytes) = (0, 0);
    while flights < all {
        ticks.recv()?;
        let records = consumer.poll(Duration::from_secs(10))?;
        if records.is_empty() {
            return Err(format!("{group}: no flights after {flights} of {all}").into());
        }
        flights += records.len();
        bytes += records.iter().map(|record| record.value().unwrap_or_default().len()).sum::<usize>();
        consumer.commit_offset()?;
    }
    consumer.close()?;
    Ok(bytes)
}

/// What was counted for the last table, and when: rates come from the difference.
struct Before {
    at: Instant,
    counts: BTreeMap<String, i64>,
}

fn table(admin: &Admin, before: &mut Before) -> Result<String> {
    let seconds = before.at.elapsed().as_secs_f64();
    before.at = Instant::now();
    let mut rate = |what: String, count: i64| {
        let last = before.counts.insert(what, count).unwrap_or_default();
        (count - last) as f64 / seconds
    };

    let mut topics: BTreeMap<String, (u32, i64, u64)> = BTreeMap::new();
    for log in admin.describe_log_dirs()? {
        let (partitions, records, bytes) = topics.entry(log.partition.topic().to_owned()).or_default();
        *partitions += 1;
        *records += log.high_watermark - log.log_start_offset;
        *bytes += log.size;
    }
    let mut table = String::new();
    writeln!(table, "{:<20} {:>10} {:>9} {:>11} {:>9}", "topic", "partitions", "records", "bytes", "per s")?;
    for (topic, (partitions, records, bytes)) in topics {
        let rate = rate(format!("topic {topic}"), records);
        writeln!(table, "{topic:<20} {partitions:>10} {records:>9} {bytes:>11} {rate:>9.0}")?;
    }
    writeln!(table, "{:<20} {:>10} {:>9} {:>11} {:>9}", "group", "state", "done", "lag", "per s")?;
    for name in admin.list_groups()? {
        let group = admin.describe_group(&name)?;
        let done = group.partitions.iter().map(|partition| partition.committed.offset).sum();
        let (state, lag, rate) = (group.state.to_string(), group.lag(), rate(format!("group {name}"), done));
        writeln!(table, "{name:<20} {state:>10} {done:>9} {lag:>11} {rate:>9.0}")?;
    }
    Ok(table)
}

/// Shows the table in place of the last one, of so many lines; or below it, outside of a terminal.
fn show(table: &str, lines: &mut usize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() && *lines > 0 {
        write!(out, "\x1b[{lines}A\x1b[J")?;
    }
    *lines = table.lines().count();
    write!(out, "{table}{}", if out.is_terminal() { "" } else { "\n" })?;
    Ok(out.flush()?)
}

/// Has everybody at work, and shows it. Says how many bytes each group has read.
fn run(broker: &Broker, flights: &[&str]) -> Result<Vec<usize>> {
    let (admin, client) = (broker.admin(), broker.client());
    thread::scope(|threads| {
        // Nothing is sent here: when all threads are at their end, so is the channel.
        let (working, work) = channel::<()>();
        let (clock, ticks) = channel();
        let mut clocks = vec![clock];
        let at_work = working.clone();
        let producer = threads.spawn(move || {
            let _at_work = at_work;
            produce(client, flights, &ticks)
        });
        let readers = GROUPS.map(|group| {
            let (clock, ticks) = channel();
            clocks.push(clock);
            let at_work = working.clone();
            threads.spawn(move || {
                let _at_work = at_work;
                read(client, group, flights.len(), &ticks)
            })
        });
        drop(working);

        let mut before = Before { at: Instant::now(), counts: BTreeMap::new() };
        let (mut lines, every) = (0, if std::io::stdout().is_terminal() { 4 } else { 20 });
        let mut tick = 0;
        while work.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            tick += 1;
            for clock in &clocks {
                let _ = clock.send(()); // whoever is at his end does not listen any more
            }
            if tick % every == 0 {
                show(&table(&admin, &mut before)?, &mut lines)?;
            }
        }
        show(&table(&admin, &mut before)?, &mut lines)?;
        producer.join().map_err(|_| "the producer panicked")??;
        readers.into_iter().map(|reader| reader.join().map_err(|_| "a group panicked")?).collect()
    })
}

fn main() -> Result<()> {
    let csv = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights.csv"))?;
    let flights: Vec<&str> = csv.lines().skip(1).collect();
    let bytes: usize = flights.iter().map(|flight| flight.len()).sum();
    let broker = Broker::temporary()?;
    broker.ensure_topic(TOPIC, TopicConfig::new().partitions(4))?;

    let bytes_read = run(&broker, &flights)?;
    for ((name, _), read) in GROUPS.iter().zip(bytes_read) {
        let group = broker.admin().describe_group(name)?;
        let done: i64 = group.partitions.iter().map(|partition| partition.committed.offset).sum();
        println!("{name}: {done} of {} flights, {read} of {bytes} bytes, lag {}", flights.len(), group.lag());
        if (done, read, group.lag()) != (flights.len() as i64, bytes, 0) {
            return Err(format!("{name} has not read everything").into());
        }
    }
    broker.close()?;
    Ok(())
}
