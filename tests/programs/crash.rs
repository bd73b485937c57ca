//! Cut the power at every disk operation of *my* code; what I told my user is still there.

use brooklet::{Broker, DiskFault, DiskOp, Durability, Record, Result, SimDisk, TopicConfig};

fn my_code(disk: &SimDisk, told: &mut Vec<u32>) -> Result<()> {
    let broker = Broker::builder().disk(disk).open("data")?;
    broker.ensure_topic("payments", TopicConfig::new().durability(Durability::Flushed))?;
    for id in 0..20u32 {
        broker.produce(Record::to("payments").value(&id.to_be_bytes()))?;
        told.push(id);
    }
    broker.close()
}

fn payments(broker: &Broker) -> Result<Vec<u32>> {
    let mut consumer = broker.consumer("audit").subscribe(["payments"])?;
    let mut all = Vec::new();
    while !consumer.is_caught_up()? {
        let records = consumer.poll(std::time::Duration::ZERO)?;
        all.extend(records.iter().filter_map(|r| r.value()?.try_into().ok().map(u32::from_be_bytes)));
    }
    Ok(all)
}

#[test]
fn what_i_told_my_user_survives_a_power_cut_at_any_operation() -> Result<()> {
    let mut cuts = 0;
    for n in 0.. {
        let disk = SimDisk::new(n);
        let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
        let mut told = Vec::new();
        let outcome = my_code(&disk, &mut told);
        if cut.hits() == 0 {
            outcome?; // ran to its end: every point was tried
            break;
        }
        cuts += 1;
        let broker = Broker::builder().disk(&disk).open("data")?;
        let there = if broker.admin().list_topics()?.is_empty() { Vec::new() } else { payments(&broker)? };
        let report = broker.recovery();
        assert!(there.starts_with(&told), "cut at operation {n}: told {told:?}, there {there:?}\n{report}");
    }
    println!("{cuts} power cuts");
    assert!(cuts > 60);
    Ok(())
}

#[test]
fn a_flush_that_fails_comes_out_of_my_code() {
    let disk = SimDisk::new(0);
    disk.intercept(DiskOp::Flush).path("payments-0").times(1).fail(DiskFault::Eio);
    assert!(my_code(&disk, &mut Vec::new()).is_err());
}
