//! What the recipe of a pipeline promises, under a power cut at every disk operation: no record is skipped.

use brooklet::{
    Broker, Client, ConsumerConfig, DiskOp, Durability, ManualClock, ProducerConfig, Record, Result, SimDisk,
    TopicConfig,
};
use std::{collections::BTreeSet, time::Duration};

const RECORDS: usize = 8;

fn clean(client: &Client, clock: &ManualClock) -> Result<()> {
    let config = ConsumerConfig::new("cleaner").max_poll_records(3);
    let mut consumer = client.consumer(config).subscribe("raw")?;
    let producer = client.producer(ProducerConfig::new())?;
    while !consumer.is_caught_up()? {
        for record in &consumer.poll(Duration::ZERO)? {
            drop(producer.send(Record::to("clean").copy_of(record))?);
        }
        producer.flush()?;
        consumer.commit_offset()?;
        clock.advance(Duration::from_millis(700)); // commits are flushed now and then
    }
    producer.close()?;
    consumer.close()
}

fn work(disk: &SimDisk, of_clean: Durability) -> Result<BTreeSet<String>> {
    let clock = ManualClock::new();
    let broker = Broker::builder().disk(disk).clock(&clock).open("data")?;
    broker.ensure_topic("raw", TopicConfig::new().durability(Durability::Flushed))?;
    broker.ensure_topic("clean", TopicConfig::new().durability(of_clean))?;
    let end = broker.admin().describe_topic("raw")?.partitions[0].high_watermark;
    for n in end..RECORDS as i64 {
        broker.produce(Record::to("raw").value(&format!("record {n}")))?;
    }
    clean(broker.client(), &clock)?;
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("clean")?;
    let mut cleaned = BTreeSet::new();
    while !consumer.is_caught_up()? {
        let records = consumer.poll(Duration::ZERO)?;
        cleaned.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
    }
    broker.close()?;
    Ok(cleaned)
}

/// In how many of how many power cuts a record was skipped.
fn skipped(of_clean: Durability) -> Result<(u64, u64)> {
    let mut skipped = 0;
    for n in 0.. {
        let disk = SimDisk::new(n);
        let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
        let outcome = work(&disk, of_clean);
        if cut.hits() == 0 {
            outcome?; // it ran to its end: every point was tried
            return Ok((skipped, n));
        }
        skipped += u64::from(work(&disk, of_clean)?.len() < RECORDS);
    }
    unreachable!("it has an end");
}

#[test]
fn no_record_is_skipped_whenever_the_power_goes() -> Result<()> {
    let (lost, cuts) = skipped(Durability::Flushed)?;
    assert_eq!(lost, 0, "of {cuts}");
    assert!(cuts > 50, "{cuts}");
    // Which is not to be had for less: a commit may outlive what was made before it.
    let (lost, cuts) = skipped(Durability::Buffered)?;
    assert!(lost > 0, "of {cuts}");
    Ok(())
}
