//! Flights into a topic, out through a group, and on again after a `kill -9`:
//!
//!     cargo run --release --example quickstart [-- [--keep DIR] [PATH.csv]]
//!
//! Counts the flights of every carrier twice: through the topic, with a process that dies half way, and straight from
//! the file. It fails if the two differ. `--keep DIR` leaves the store in a new directory DIR.

#![allow(clippy::disallowed_methods, reason = "an application reads files")]

use brooklet::{Broker, Offsets, Record, Timestamp, TopicConfig};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;
type Counts = BTreeMap<String, u64>;

const TOPIC: &str = "flights";
const GROUP: &str = "carrier-counts";

/// Every row becomes a record: its key is the carrier, so that a carrier's flights stay in order; its timestamp is the
/// hour of the flight.
fn produce<'a>(broker: &Broker, csv: &'a str) -> Result<usize> {
    // The flights are of 2013: this topic keeps its records for ever.
    broker.ensure_topic(TOPIC, TopicConfig::new().partitions(4).retention_time(Duration::MAX))?;
    let flights = flights(csv)?;
    for some in flights.chunks(100) {
        let record = |flight: &Flight<'a>| {
            Record::to(TOPIC).key(flight.carrier).value(flight.row).timestamp(flight.hour)
        };
        broker.produce_all(some.iter().map(record))?;
    }
    Ok(flights.len())
}

/// Counts what the group has not read yet, on top of what it has counted before. The counts of a partition travel with
/// its committed offset, as its metadata: both last, or neither does, so that no crash counts a flight twice.
fn count(broker: &Broker, mut handed_out: impl FnMut(usize)) -> Result<Counts> {
    let mut consumer = broker.consumer(GROUP).subscribe([TOPIC])?;
    let mut counts: BTreeMap<i32, Counts> = BTreeMap::new();
    for partition in consumer.assignment() {
        let committed = consumer.committed(&partition)?.unwrap_or_default();
        println!("{partition}: goes on at offset {}", committed.offset);
        counts.insert(partition.partition(), from_text(&committed.metadata)?);
    }
    while !consumer.is_caught_up()? {
        let records = consumer.poll(Duration::from_millis(100))?;
        for record in &records {
            let carriers = counts.entry(record.partition()).or_default();
            *carriers.entry(record.key_str()?.to_owned()).or_default() += 1;
        }
        handed_out(records.len());
        let with_counts = records.next_offsets().into_iter().map(|(partition, mut offset)| {
            offset.metadata = counts.get(&partition.partition()).map(to_text).unwrap_or_default();
            (partition, offset)
        });
        consumer.commit_offsets(with_counts.collect::<Offsets>())?;
    }
    consumer.close()?;
    let mut total = Counts::new();
    for (carrier, flights) in counts.into_values().flatten() {
        *total.entry(carrier).or_default() += flights;
    }
    Ok(total)
}

fn to_text(counts: &Counts) -> String {
    counts.iter().map(|(carrier, flights)| format!("{carrier}={flights}")).collect::<Vec<_>>().join(" ")
}

fn from_text(text: &str) -> Result<Counts> {
    let count = |word: &str| {
        let (carrier, flights) = word.split_once('=').ok_or("not a count")?;
        Ok((carrier.to_owned(), flights.parse()?))
    };
    text.split_whitespace().map(count).collect()
}

fn run(dir: &Path, csv: &str) -> Result<bool> {
    let flights = {
        let broker = Broker::open(dir)?;
        produce(&broker, csv)?
        // The last handle closes the broker.
    };
    println!("{flights} flights are in the topic {TOPIC}");

    die_half_way(dir)?;

    let broker = Broker::open(dir)?;
    println!("opened again: {}", broker.recovery());
    let counts = count(&broker, |_| {})?;
    broker.close()?;

    counts.iter().for_each(|(carrier, flights)| println!("{carrier} {flights}"));
    let expected = independent_count(csv)?;
    let equal = counts == expected;
    println!(
        "{flights} flights; the counts are {} those of the file",
        if equal { "equal to" } else { "NOT equal to" }
    );
    Ok(equal)
}

fn main() -> Result<ExitCode> {
    let Arguments { keep, csv, victim } = arguments()?;
    if let Some(dir) = victim {
        return count_until_killed(&dir);
    }
    let csv = std::fs::read_to_string(csv)?;
    let equal = match keep {
        Some(dir) => run(&dir, &csv)?,
        None => run(&tempfile::tempdir()?.path().join("data"), &csv)?,
    };
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

// What follows is not needed to use brooklet: reading the file, and dying.

/// A row of the file.
struct Flight<'a> {
    carrier: &'a str,
    hour: Timestamp,
    row: &'a str,
}

fn flights(csv: &str) -> Result<Vec<Flight<'_>>> {
    let mut rows = csv.lines();
    let header: Vec<&str> = rows.next().ok_or("an empty file")?.split(',').collect();
    let column =
        |name: &str| header.iter().position(|column| *column == name).ok_or(format!("no column {name}"));
    let (carrier, hour) = (column("carrier")?, column("time_hour")?);
    let flight = |row| {
        let fields: Vec<&str> = str::split(row, ',').collect();
        let field =
            |column: usize| fields.get(column).copied().ok_or(format!("a row that ends early: {row}"));
        Ok(Flight { carrier: field(carrier)?, hour: field(hour)?.parse()?, row })
    };
    rows.filter(|row| !row.is_empty()).map(flight).collect()
}

/// The same count without any of brooklet's.
fn independent_count(csv: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for flight in flights(csv)? {
        *counts.entry(flight.carrier.to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// Has a process of its own count until it is half through, and kills it (`kill -9`) before it can commit that.
fn die_half_way(dir: &Path) -> Result<()> {
    let mut victim = Command::new(std::env::current_exe()?);
    let mut victim = victim.arg("--victim").arg(dir).stdout(Stdio::piped()).spawn()?;
    let said = BufReader::new(victim.stdout.take().ok_or("no output")?).lines();
    for line in said {
        let line = line?;
        println!("  {line}");
        if line.starts_with("half way") {
            break;
        }
    }
    victim.kill()?;
    let status = victim.wait()?;
    println!("killed: {status}");
    if status.code().is_some() && cfg!(unix) { Err("it ended on its own".into()) } else { Ok(()) }
}

fn count_until_killed(dir: &Path) -> Result<ExitCode> {
    let broker = Broker::open(dir)?;
    let topic = broker.admin().describe_topic(TOPIC)?;
    let all: i64 = topic.partitions.iter().map(|partition| partition.high_watermark).sum();
    let mut seen = 0;
    count(&broker, |records| {
        seen += records;
        if 2 * seen as i64 >= all {
            println!("half way: {seen} of {all} flights, the last {records} not committed");
            loop {
                std::thread::park();
            }
        }
    })?;
    Err("nobody killed me".into())
}

struct Arguments {
    keep: Option<PathBuf>,
    csv: PathBuf,
    victim: Option<PathBuf>,
}

fn arguments() -> Result<Arguments> {
    let csv = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/flights.csv");
    let mut arguments = Arguments { keep: None, csv, victim: None };
    let mut words = std::env::args_os().skip(1);
    while let Some(word) = words.next() {
        let mut dir =
            || words.next().map(PathBuf::from).ok_or(format!("{} needs a directory", word.display()));
        match word.to_str() {
            Some("--keep") => arguments.keep = Some(dir()?),
            Some("--victim") => arguments.victim = Some(dir()?),
            _ => arguments.csv = word.into(),
        }
    }
    Ok(arguments)
}
