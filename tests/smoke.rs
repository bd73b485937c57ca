//! smoke
use brooklet::*;
use std::time::Duration;
#[test]
fn smoke() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let broker = Broker::open(dir.path().join("d"))?;
        println!("{}", broker.recovery());
        broker.ensure_topic("orders", TopicConfig::new().partitions(3))?;
        for n in 0..1000 { broker.produce(Record::to("orders").key(&format!("{n}")).value(&format!("v{n}")))?; }
        let mut consumer = broker.consumer("billing").subscribe(["orders"])?;
        let mut n = 0;
        while !consumer.is_caught_up()? {
            for record in &consumer.poll(Duration::from_millis(100))? { n += 1; assert!(record.value().is_some()); }
            consumer.commit_offset()?;
        }
        assert_eq!(n, 1000, "{round}");
        if round == 1 { std::mem::forget(consumer); } 
    }
    Ok(())
}
#[test]
fn sim() -> Result<()> {
    let disk = SimDisk::new(1);
    let clock = ManualClock::new();
    let broker = Broker::builder().disk(&disk).clock(&clock).open("data")?;
    broker.create_topic("t", TopicConfig::new().durability(Durability::Flushed))?;
    for n in 0..10 { broker.produce(Record::to("t").value(&format!("v{n}")))?; }
    disk.power_cut();
    drop(broker);
    let broker = Broker::builder().disk(&disk).clock(&clock).open("data")?;
    println!("{}", broker.recovery());
    let mut consumer = broker.consumer("billing").subscribe(["t"])?;
    assert_eq!(consumer.poll(Duration::from_secs(1))?.len(), 10);
    assert_eq!(consumer.poll(Duration::from_secs(1))?.len(), 0);
    Ok(())
}
