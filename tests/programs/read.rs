//! Programs that read: a first one, a fold, a tail, and one that shares what it read.

use brooklet::{
    AutoOffsetReset, Broker, CleanupPolicy, ConsumerConfig, Durability, Error, Record, Records, Result,
    TopicConfig,
};
use std::{collections::BTreeMap, io::Write, path::Path, thread, time::Duration};

/// The opening example of the design page, but for the cluster.
#[test]
fn the_first_program() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path().join("data"))?;
    broker.create_topic("orders", TopicConfig::new().partitions(3))?;
    broker.produce(Record::to("orders").key("alice").value("3 apples"))?;

    let mut consumer = broker.consumer("billing").subscribe(["orders"])?;
    let mut seen = Vec::new();
    for record in &consumer.poll(Duration::from_millis(100))? {
        seen.push(format!("{record:?}"));
    }
    consumer.commit_offset()?;
    assert_eq!(seen.len(), 1);
    assert!(seen[0].contains("3 apples"), "{}", seen[0]);
    Ok(())
}

/// A to-do list whose state is its history: `todo add milk`, `todo done 3`, `todo list`, each a process of its own.
fn todo(dir: &Path, words: &[&str]) -> Result<BTreeMap<String, String>, Box<dyn std::error::Error>> {
    let broker = Broker::open(dir)?;
    let config = TopicConfig::new().cleanup_policy(CleanupPolicy::Compact).durability(Durability::Flushed);
    broker.ensure_topic("todo", config)?;
    match words {
        ["add", id, text] => drop(broker.produce(Record::to("todo").key(id).value(text))?),
        ["done", id] => drop(broker.produce(Record::to("todo").key(id))?), // no value: a tombstone
        _ => return fold(&broker),
    }
    Ok(BTreeMap::new())
}

fn fold(broker: &Broker) -> Result<BTreeMap<String, String>, Box<dyn std::error::Error>> {
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("todo")?;
    let mut todos = BTreeMap::new();
    while !consumer.is_caught_up()? {
        for record in &consumer.poll(Duration::ZERO)? {
            let id = record.key_str()?.to_owned();
            match record.value() {
                Some(text) => todos.insert(id, String::from_utf8_lossy(text).into_owned()),
                None => todos.remove(&id),
            };
        }
    }
    Ok(todos)
}

#[test]
fn a_state_is_folded_from_its_history() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let dir = dir.path().join("todo.data");
    let history: [&[&str]; 5] = [
        &["add", "1", "milk"],
        &["add", "2", "bread"],
        &["done", "1"],
        &["add", "3", "tea"],
        &["add", "2", "rolls"],
    ];
    for words in history {
        todo(&dir, words)?;
    }
    let left: Vec<_> = todo(&dir, &["list"])?.into_iter().collect();
    assert_eq!(left, [("2".into(), "rolls".into()), ("3".into(), "tea".into())]);
    Ok(())
}

/// `tail -f orders`, until the broker is closed.
#[test]
fn a_tail_shows_what_comes_from_now_on() -> Result<()> {
    let broker = Broker::temporary()?;
    broker.create_topic("orders", TopicConfig::new())?;
    broker.produce(Record::to("orders").value("from before"))?;
    let latest = ConsumerConfig::standalone().auto_offset_reset(AutoOffsetReset::Latest);
    let mut consumer = broker.consumer(latest).subscribe(["orders"])?;
    consumer.poll(Duration::ZERO)?;
    let (shown, lines) = std::sync::mpsc::channel();
    let tail = thread::spawn(move || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        loop {
            // Sleeps until an append.
            let records = match consumer.poll(Duration::MAX) {
                Err(Error::Closed) => return Ok(()),
                polled => polled?,
            };
            for record in &records {
                let mut line = Vec::new();
                write!(line, "{}@{} {}", record.topic_partition(), record.offset(), record.value_str()?)?;
                shown.send(String::from_utf8(line)?)?;
            }
        }
    });
    for n in 1..4 {
        broker.produce(Record::to("orders").value(&n.to_string()))?;
        assert_eq!(lines.recv().unwrap(), format!("orders-0@{n} {n}"));
    }
    broker.close()?;
    tail.join().unwrap().unwrap();
    Ok(())
}

/// Records outlive the next poll and the consumer, and go to threads.
#[test]
fn records_are_shared_across_threads() -> Result<()> {
    let broker = Broker::temporary()?;
    broker.create_topic("t", TopicConfig::new().partitions(4))?;
    for n in 0..100 {
        broker.produce(Record::to("t").key(&n.to_string()).value(&"x".repeat(n)))?;
    }
    let config = ConsumerConfig::new("g").max_poll_records(50);
    let mut consumer = broker.client().consumer(config).subscribe(["t"])?;
    let first = consumer.poll(Duration::from_secs(1))?;
    let second = consumer.poll(Duration::from_secs(1))?;
    consumer.close()?;
    let total = thread::scope(|s| {
        let (a, b) =
            (s.spawn(|| first.iter().filter(|r| r.key().is_some()).count()), s.spawn(|| second.len()));
        a.join().unwrap() + b.join().unwrap()
    });
    let sizes = |part: Records| part.iter().map(|r| r.value().map_or(0, <[u8]>::len)).sum::<usize>();
    let threads: Vec<_> =
        first.by_partition().into_iter().map(|part| thread::spawn(move || sizes(part))).collect();
    let longest = second.iter().filter_map(|r| r.value()).max_by_key(|v| v.len()).map(<[u8]>::to_vec); // lives as long as `second`
    let of_first: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    assert_eq!(total, 100);
    assert_eq!(of_first + sizes(second), (0..100).sum::<usize>());
    assert!(longest.is_some());
    Ok(())
}
