//! From the start of a process to its first record consumed: the time between the parent's call to start it and the
//! line that it then prints. Raw: a process that prints the line at once.

use crate::{
    harness::{Bench, Unit},
    open,
    store::scratch,
};
use brooklet::{Broker, ConsumerConfig, Record, TopicConfig};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
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
    let begun = Instant::now();
    let (mut child, line) = spawn(mode, dir, 0);
    let elapsed = begun.elapsed().as_secs_f64();
    assert!(child.wait().unwrap().success() && line == "ready", "{line}");
    elapsed
}

/// What a child says.
pub fn said(mode: &str, dir: &Path) -> String {
    let (mut child, line) = spawn(mode, dir, 0);
    assert!(child.wait().unwrap().success(), "{line}");
    line
}

/// Starts a child, and kills it when it is ready.
pub fn killed(mode: &str, dir: &Path, bytes: usize) {
    let (mut child, line) = spawn(mode, dir, bytes);
    assert_eq!(line, "ready");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A child, and its first line.
fn spawn(mode: &str, dir: &Path, bytes: usize) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, mode]).arg(dir).arg(bytes.to_string());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line.trim_end().to_owned())
}

/// What the child does.
pub fn child(mode: &str, dir: &Path, bytes: usize) {
    let (broker, line) = match mode {
        "store" => (Some(first_record(dir)), "ready".to_owned()),
        "fill" => (Some(open::fill(dir, bytes)), "ready".to_owned()),
        "memory" | "idle-memory" => {
            let (broker, used) = open::memory(dir, mode == "memory");
            (broker, used.to_string())
        }
        "heap" | "idle-heap" => {
            let (broker, used) = open::heap(dir, mode == "heap");
            (broker, used.to_string())
        }
        _ => (None, "ready".to_owned()),
    };
    println!("{line}");
    std::io::stdout().flush().unwrap();
    if mode == "fill" {
        // Until it is killed; or its parent is gone.
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
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
