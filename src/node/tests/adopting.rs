//! Power cuts while directories are taken up that brooklet does not know of.

use super::*;
use crate::{
    env::{DiskOp, Open, Storage},
    record::Record,
};
use std::path::Path;

/// A store as Kafka leaves it: records from 12 on in a log of several segments, one partition that was put there later,
/// and one that is missing.
fn foreign(seed: u64, closed: bool) -> Result<SimDisk> {
    let disk = SimDisk::new(seed);
    let (node, _) = open(&disk)?;
    let client = client(&node);
    client.create_topic("t", TopicConfig::new().partitions(3).segment_bytes(1024))?;
    for n in 0..20 {
        client.produce(Record::to("t").partition(0).value(&format!("{n:0>300}")))?;
        client.produce(Record::to("t").partition(2).value("x"))?;
    }
    client.admin().delete_records(("t", 0), 12)?;
    node.close()?;
    drop((node, client));
    let (storage, dir) = (disk.boot(), Path::new("data"));
    storage.remove_file(&dir.join("brooklet.metadata"))?;
    storage.remove_file(&dir.join("log-start-offset-checkpoint"))?;
    storage.remove_dir(&dir.join("t-1"))?;
    replace(&*storage, "meta.properties", "version=1\n")?;
    replace(&*storage, "recovery-point-offset-checkpoint", "0\n2\nt 0 20\nsomebody 3 9\n")?;
    if !closed {
        storage.remove_file(&dir.join(".kafka_cleanshutdown"))?;
    }
    storage.sync_dir(dir)?;
    Ok(disk)
}

fn replace(storage: &dyn Storage, name: &str, text: &str) -> Result<()> {
    let file = storage.open(&Path::new("data").join(name), Open::Write)?;
    file.set_len(0)?;
    file.write_at(0, text.as_bytes())?;
    file.sync()
}

fn check(disk: &SimDisk, what: &str) {
    for _ in 0..2 {
        let (node, _) = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
        let described = client(&node).admin().describe_topic("t").unwrap();
        let ranges: Vec<_> =
            described.partitions.iter().map(|p| (p.log_start_offset, p.high_watermark)).collect();
        assert!((9..=12).contains(&ranges[0].0), "{what}: {ranges:?}");
        assert_eq!((ranges[0].1, &ranges[1..]), (20, &[(0, 0), (0, 20)][..]), "{what}");
        assert_eq!(described.config.get("cleanup.policy"), Some(""), "{what}");
        node.close().unwrap();
    }
}

#[test]
fn a_power_cut_while_topics_are_taken_up_costs_nothing() {
    let mut images = 0;
    for (seed, closed) in [(1, true), (2, false), (3, true), (4, false)] {
        for n in 0.. {
            let disk = foreign(seed, closed).unwrap();
            let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
            let opened = open(&disk).map(drop);
            let is_over = cut.hits() == 0;
            cut.remove();
            disk.power_cut();
            check(&disk, &format!("seed {seed}, closed {closed}, operation {n}"));
            images += 1;
            if is_over {
                opened.unwrap();
                break;
            }
        }
    }
    assert!(images > 150, "{images} images only");
}
