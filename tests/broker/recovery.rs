//! What opening says of how the store was left, and where groups go on when records were lost.

use crate::common::{committed, offsets, put, put_numbers, read_all, rest, topic};
use brooklet::{Broker, ManualClock, Offsets, Record, SimDisk, TopicConfig};
use std::time::Duration;

fn on(disk: &SimDisk) -> (Broker, ManualClock) {
    let clock = ManualClock::new();
    (Broker::builder().clock(&clock).disk(disk).open("data").unwrap(), clock)
}

#[test]
fn a_new_store_and_a_closed_one_are_clean() {
    let disk = SimDisk::new(1);
    let (broker, _) = on(&disk);
    assert!(broker.recovery().clean);
    assert!(broker.recovery().partitions.is_empty());
    topic(broker.client(), "t", 2);
    put_numbers(broker.client(), "t", 5);
    broker.close().unwrap();
    for _ in 0..2 {
        let (broker, _) = on(&disk);
        let report = broker.recovery();
        assert!(report.clean);
        let ends: Vec<_> = report
            .partitions
            .iter()
            .map(|p| (p.partition.to_string(), p.log_end_offset, p.bytes_cut))
            .collect();
        assert_eq!(ends, [("t-0".to_owned(), 5, 0), ("t-1".to_owned(), 0, 0)]);
        assert!(report.to_string().starts_with("clean, 2 partitions"), "{report}");
    }
}

#[test]
fn a_store_that_was_not_closed_is_not_clean() {
    let disk = SimDisk::new(1);
    let (broker, _) = on(&disk);
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 5);
    broker.flush().unwrap();
    disk.power_cut();
    let (broker, _) = on(&disk);
    assert!(!broker.recovery().clean);
    assert_eq!(broker.recovery().partitions[0].log_end_offset, 5);
    assert!(
        broker.recovery().to_string().starts_with("not closed before: recovered"),
        "{}",
        broker.recovery()
    );
    broker.close().unwrap();
    assert!(on(&disk).0.recovery().clean, "and it is clean again once it was closed");
}

#[test]
fn what_is_cut_is_told_and_kept_aside() {
    let mut cut = 0;
    for seed in brooklet::seeds(40) {
        let disk = SimDisk::new(seed);
        let (broker, _) = on(&disk);
        broker.create_topic("t", TopicConfig::new().flush_interval(Duration::MAX)).unwrap();
        put_numbers(broker.client(), "t", 3);
        broker.flush().unwrap();
        for _ in 0..20 {
            put(broker.client(), "t", &"x".repeat(300));
        }
        disk.power_cut();
        let (broker, _) = on(&disk);
        let replay = format!("BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --test broker what_is_cut");
        let recovered = &broker.recovery().partitions[0];
        let there = read_all(broker.client(), "t");
        assert_eq!(there.len() as i64, recovered.log_end_offset, "{replay}");
        assert_eq!(there[..3], ["0", "1", "2"], "{replay}");
        assert!(there[3..].iter().all(|value| *value == "x".repeat(300)), "{replay}");
        let aside =
            disk.operations().iter().any(|operation| operation.path.to_string_lossy().ends_with(".cut"));
        assert_eq!(aside, recovered.bytes_cut > 0, "{replay}");
        assert_eq!(put(broker.client(), "t", "next"), recovered.log_end_offset, "{replay}");
        cut += usize::from(recovered.bytes_cut > 0);
    }
    println!("{cut} stores had a tail to cut");
    assert!(cut > 0 || std::env::var_os("BROOKLET_SEEDS").is_some(), "no run cut anything");
}

/// KIP-320: the group had committed beyond what survived, and other records have those offsets now.
#[test]
fn a_group_goes_back_to_where_the_lost_records_began() {
    let mut lost = 0;
    for seed in brooklet::seeds(40) {
        let disk = SimDisk::new(seed);
        let (broker, clock) = on(&disk);
        broker.create_topic("t", TopicConfig::new().flush_interval(Duration::MAX)).unwrap();
        put_numbers(broker.client(), "t", 5);
        broker.flush().unwrap();
        put_numbers(broker.client(), "t", 15);
        let mut consumer = broker.consumer("g").subscribe("t").unwrap();
        assert_eq!(rest(&mut consumer).len(), 20);
        consumer.commit_offset().unwrap();
        // The commit is durable, and the records that it is about are not.
        clock.advance(Duration::from_secs(2));
        assert_eq!(broker.durable_offset("t", 0).unwrap(), 5);
        disk.power_cut();
        let (broker, _) = on(&disk);
        let replay =
            format!("BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --test broker a_group_goes_back");
        let survived =
            broker.recovery().partitions.iter().find(|p| p.partition.topic() == "t").unwrap().log_end_offset;
        let beyond: Vec<_> = broker
            .recovery()
            .groups_beyond_end
            .iter()
            .map(|lost| (lost.group.as_str(), lost.partition.to_string(), lost.committed, lost.end_offset))
            .collect();
        let told = (survived < 20).then(|| ("g", "t-0".to_owned(), 20, survived));
        assert_eq!(beyond, Vec::from_iter(told), "{replay}");
        for _ in 0..30 {
            broker.produce(Record::to("t").value("new")).unwrap();
        }
        let mut consumer = broker.consumer("g").subscribe("t").unwrap();
        assert_eq!(committed(&consumer, "t", 0), Some(20), "{replay}");
        assert_eq!(offsets(&rest(&mut consumer)), (survived..survived + 30).collect::<Vec<_>>(), "{replay}");
        consumer.commit_offset().unwrap();
        lost += usize::from(survived < 20);
    }
    println!("{lost} stores had lost records");
    assert!(lost > 0 || std::env::var_os("BROOKLET_SEEDS").is_some(), "no run lost anything");
}

#[test]
fn a_commit_by_number_knows_no_epoch_and_stands() {
    let disk = SimDisk::new(1);
    let (broker, clock) = on(&disk);
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 5);
    let consumer = broker.consumer("g").subscribe("t").unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), 3)])).unwrap();
    clock.advance(Duration::from_secs(2));
    disk.power_cut();
    let (broker, _) = on(&disk);
    let mut consumer = broker.consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut consumer)), [3, 4]);
}
