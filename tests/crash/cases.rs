//! What the tests over every operation rest on, and losses that they found once, each as small as it gets.

use crate::{
    check::read_partition,
    replay::{Marks, Random, Replay},
    workloads::{self, Step, Workload},
    world::World,
};
use brooklet::{
    Broker, DiskFault, DiskOp, DiskOperation, Durability, Error, Record, SimDisk, TopicConfig, seeds,
};

fn open(disk: &SimDisk) -> Broker {
    Broker::builder().disk(disk).clock(&brooklet::ManualClock::new()).open("data").unwrap()
}

fn flushed(value: &str) -> Record<'_> {
    Record::to("t").value(value).durability(Durability::Flushed)
}

/// What a workload does to a disk, with a power cut in its middle.
fn trace(disk_seed: u64, broker_seed: u64, n: u64) -> (Vec<DiskOperation>, u64) {
    // Topics that are made in one workload, once: nothing fails but for the power cut.
    let deletes = |workload: &Workload| workload.steps.iter().any(|step| matches!(step, Step::Delete(_)));
    let workloads = workloads::all().into_iter().filter(|workload| !deletes(workload));
    let steps: Vec<Step> = workloads.flat_map(|workload| workload.steps).collect();
    let mut world = World::new(disk_seed);
    world.broker_seed = broker_seed;
    world.fault = Some(world.disk.intercept(DiskOp::Any).skip(n).power_cut());
    world.run(&steps).unwrap_err();
    world.broker = None;
    world.mend();
    drop(world.open().unwrap());
    (world.disk.operations(), world.disk.contents_hash())
}

#[test]
fn two_runs_of_one_seed_leave_the_same_operations_and_the_same_bytes() {
    let mut differ = 0;
    for seed in seeds(20) {
        let _replay = Replay { test: "two_runs_of_one_seed", seed, what: String::new() };
        let n = 40 + Random::new(seed, 0).below(700);
        let (operations, hash) = trace(seed, 1, n);
        assert!((operations, hash) == trace(seed, 1, n), "two runs of one seed differ");
        differ += u64::from(trace(seed.wrapping_add(1), 1, n).1 != hash);
        assert_ne!(trace(seed, 2, n).1, hash, "topic ids come from the broker's seed");
    }
    let count = seeds(20).count() as u64;
    assert!(differ * 3 >= count, "disks of other seeds lose other bytes: {differ} of {count}");
}

#[test]
fn a_failed_flush_refuses_appends_until_the_broker_is_opened_anew() {
    for with in [DiskFault::Eio, DiskFault::Enospc] {
        let disk = SimDisk::new(1);
        let broker = open(&disk);
        broker.create_topic("t", TopicConfig::new().partitions(2)).unwrap();
        broker.produce(flushed("a").partition(0)).unwrap();
        broker.produce(Record::to("t").value("b").partition(0)).unwrap();
        let fault = disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(with);
        let failed = broker.produce(flushed("c").partition(0)).unwrap_err();
        assert!(failed.is_indeterminate() && fault.hits() == 1, "{failed}");
        for _ in 0..3 {
            let refused = broker.produce(Record::to("t").value("d").partition(0)).unwrap_err();
            assert!(matches!(refused, Error::Io { .. }), "{refused}");
        }
        assert!(broker.flush().is_err(), "a barrier is none if one partition is in doubt");
        assert_eq!(broker.durable_offset("t", 0).unwrap(), 1);
        broker.produce(flushed("other").partition(1)).unwrap();
        assert!(
            read_partition(&broker, "t", 0).unwrap().len() >= 2,
            "what was acknowledged is still readable"
        );
        assert!(broker.close().is_err());
        let broker = open(&disk);
        assert!(!broker.recovery().clean);
        broker.produce(flushed("e").partition(0)).unwrap();
        disk.power_cut();
        let values = |broker: &Broker| -> Vec<Vec<u8>> {
            let all = read_partition(broker, "t", 0).unwrap();
            all.into_iter().filter_map(|(payload, _)| payload.value).collect()
        };
        assert_eq!(values(&open(&disk)), [b"a", b"b", b"c", b"e"]);
    }
}

#[test]
fn what_a_failed_sync_lost_is_written_again_before_it_is_called_durable() {
    let mut marks = Marks::default();
    for seed in seeds(30) {
        let _replay = Replay { test: "what_a_failed_sync_lost", seed, what: String::new() };
        let disk = SimDisk::new(seed);
        let broker = open(&disk);
        broker.create_topic("t", TopicConfig::new()).unwrap();
        broker.produce(flushed(&"a".repeat(3000))).unwrap();
        broker.produce(Record::to("t").value(&"b".repeat(3000))).unwrap();
        disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
        assert!(broker.flush().is_err());
        drop(broker);
        let broker = open(&disk);
        assert!(broker.durable_offset("t", 0).unwrap() < 2, "nobody knows whether the second is on the disk");
        broker.produce(flushed("c")).unwrap();
        disk.power_cut();
        let broker = open(&disk);
        assert_eq!(read_partition(&broker, "t", 0).unwrap().len(), 3);
        marks.add("images", 1);
    }
    marks.assert_floors(&[("images", seeds(30).count() as u64)]);
}

#[test]
fn a_topic_whose_deletion_failed_takes_no_records_that_the_next_open_would_drop() {
    for n in 0..40 {
        let disk = SimDisk::new(n);
        let broker = open(&disk);
        broker.create_topic("t", TopicConfig::new()).unwrap();
        broker.produce(flushed("a")).unwrap();
        let fault = disk.intercept(DiskOp::Any).skip(n).times(1).fail(DiskFault::Eio);
        let deleted = broker.admin().delete_topic("t");
        fault.remove();
        let taken = broker.produce(flushed("b"));
        drop(broker);
        let there = open(&disk).admin().list_topics().unwrap();
        assert!(
            taken.is_err() || !there.is_empty(),
            "operation {n}: a flushed record went with a deletion: {deleted:?}"
        );
        if deleted.is_ok() {
            return;
        }
    }
    panic!("a deletion of so many operations");
}

#[test]
fn a_topic_can_be_made_after_every_way_in_which_making_it_failed() {
    for n in 0.. {
        let disk = SimDisk::new(n);
        let broker = open(&disk);
        let config = TopicConfig::new().partitions(2);
        let fault = disk.intercept(DiskOp::Any).skip(n).times(1).fail(DiskFault::Enospc);
        let made = broker.create_topic("t", config.clone());
        if fault.hits() == 0 {
            made.unwrap();
            assert!(n > 10, "making a topic takes more operations than {n}");
            return;
        }
        fault.remove();
        let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
        let again = broker.create_topic("t", config.clone());
        disk.power_cut();
        cut.remove();
        drop(broker);
        let broker = open(&disk);
        let id = broker.ensure_topic("t", config).unwrap();
        assert!(again.is_err() || again.unwrap() == id, "operation {n}");
        broker.produce(flushed("a").partition(1)).unwrap();
    }
}

#[test]
fn the_name_of_a_topic_is_free_after_a_deletion_that_the_power_cut_interrupted() {
    let mut cuts = 0;
    for seed in seeds(20) {
        for n in 0.. {
            let _replay =
                Replay { test: "the_name_of_a_topic_is_free", seed, what: format!("operation {n}") };
            let disk = SimDisk::new(seed.wrapping_mul(1000) + n);
            let broker = open(&disk);
            broker.create_topic("t", TopicConfig::new()).unwrap();
            broker.produce(Record::to("t").value("a")).unwrap();
            let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
            let deleted = broker.admin().delete_topic("t");
            drop(broker);
            if cut.hits() == 0 {
                deleted.unwrap();
                break;
            }
            cuts += 1;
            let broker = open(&disk);
            if !broker.admin().list_topics().unwrap().is_empty() {
                broker.admin().delete_topic("t").unwrap();
            }
            broker.create_topic("t", TopicConfig::new()).unwrap();
            assert_eq!(broker.produce(flushed("b")).unwrap().offset, 0);
        }
    }
    assert!(cuts >= seeds(20).count() * 5, "{cuts}");
}
