//! From the start of a process to its first record consumed: the time between the parent's call to start it and the
//! line that it then prints. Raw: a process that prints the line at once.

use crate::{
    harness::{Bench, Unit},
    store::scratch,
};
use brooklet::{Broker, ConsumerConfig, Record, TopicConfig};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// The first argument of a child.
pub const CHILD: &str = "--child";

const WANTED: &str = "<= 5 ms";

pub fn run(bench: &mut Bench) {
    let row = (Unit::Seconds, WANTED, 21);
    let raw = || started("idle", Path::new("."));
    bench.compare("start to first record, new store", row, raw, || {
        started("store", &scratch().path().join("new"))
    });
    if bench.wants("start to first record, store reopened") {
        let dir = scratch();
        started("store", dir.path());
        bench.compare("start to first record, store reopened", row, raw, || started("store", dir.path()));
    }
}

/// Starts a child, and gives the seconds until it says that it is ready.
fn started(mode: &str, dir: &Path) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, mode]).arg(dir).stdout(Stdio::piped());
    let begun = Instant::now();
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let elapsed = begun.elapsed().as_secs_f64();
    assert!(child.wait().unwrap().success() && line == "ready\n", "{line}");
    elapsed
}

/// What the child does.
pub fn child(mode: &str, dir: &Path) {
    let broker = (mode != "idle").then(|| first_record(dir));
    println!("ready");
    std::io::stdout().flush().unwrap();
    broker.inspect(|broker| broker.close().unwrap());
}

fn first_record(dir: &Path) -> Broker {
    let broker = Broker::open(dir).unwrap();
    broker.ensure_topic("first", TopicConfig::new()).unwrap();
    let at = broker.produce(Record::to("first").key("k").value("v")).unwrap();
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).assign([("first", 0)]).unwrap();
    consumer.seek(("first", 0), at.offset).unwrap();
    let records = consumer.poll(Duration::from_secs(1)).unwrap();
    assert_eq!(records.iter().map(|record| record.offset()).collect::<Vec<_>>(), [at.offset]);
    broker
}
