//! A cluster on real files: it is taken up again by whoever starts it from its directory, closed or not, and holds its own under many
//! threads while brokers are killed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

#[path = "cluster_files/grown.rs"]
mod grown;
#[path = "cluster_files/threads.rs"]
mod threads;

use brooklet::{
    Broker, BrokerId, Cluster, ClusterBuilder, Consumer, ConsumerConfig, Durability, Error, ManualClock,
    Mark, Record, SimDisk, TopicConfig,
};
use std::{collections::BTreeMap, path::Path, time::Duration};

const PARTITIONS: i32 = 3;

fn safe() -> TopicConfig {
    TopicConfig::new().partitions(PARTITIONS).replication_factor(3).min_insync_replicas(2)
}

fn builder(dir: &Path) -> ClusterBuilder {
    Cluster::builder().brokers(3).directory(dir).offsets_topic_partitions(2).topic("orders", safe())
}

/// All values, by partition.
fn read(cluster: &Cluster) -> BTreeMap<i32, Vec<String>> {
    let mut consumer = cluster.consumer(ConsumerConfig::standalone()).subscribe("orders").unwrap();
    let mut read: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    while !consumer.is_caught_up().unwrap() {
        take(&mut consumer, &mut read);
    }
    read
}

fn take(consumer: &mut Consumer, into: &mut BTreeMap<i32, Vec<String>>) {
    match consumer.poll(Duration::from_millis(500)) {
        Ok(records) => {
            for record in &records {
                into.entry(record.partition()).or_default().push(record.value_str().unwrap().to_owned());
            }
        }
        Err(Error::Timeout) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Sends so many records more, each to a partition of its own choice.
fn send(cluster: &Cluster, sent: &mut BTreeMap<i32, Vec<String>>, count: usize) {
    for n in 0..count {
        let partition = n as i32 % PARTITIONS;
        let of_partition = sent.entry(partition).or_default();
        let value = format!("{partition}:{}", of_partition.len());
        cluster.produce(Record::to("orders").partition(partition).value(&value)).unwrap();
        of_partition.push(value);
    }
}

/// What the group has not read yet, and some of what it has not committed again.
fn go_on(cluster: &Cluster, seen: &mut BTreeMap<i32, Vec<String>>) {
    let mut consumer = cluster.consumer("billing").subscribe("orders").unwrap();
    while !consumer.is_caught_up().unwrap() {
        take(&mut consumer, seen);
        consumer.commit_offset().unwrap();
    }
    consumer.close().unwrap();
}

#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    Drop,
    KillAll,
}

const ENDS: [End; 3] = [End::Close, End::Drop, End::KillAll];

fn end(cluster: Cluster, how: End) {
    match how {
        End::Close => cluster.close().unwrap(),
        End::Drop => {}
        End::KillAll => cluster.brokers().into_iter().for_each(|id| cluster.kill(id).unwrap()),
    }
}

/// What is in a directory, sorted.
fn names(of: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(of).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_cluster_is_taken_up_whole_however_it_ended() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("cluster");
    let clock = ManualClock::new();
    let (mut sent, mut seen) = (BTreeMap::new(), BTreeMap::new());
    let mut ids = Vec::new();
    for how in ENDS {
        let cluster = builder(&dir).clock(&clock).start().unwrap();
        assert_eq!(read(&cluster), sent, "before it ended by {how:?}");
        go_on(&cluster, &mut seen);
        assert_eq!(seen, sent, "the group has gone on where it was, before {how:?}");
        let made = format!("made-{}", ids.len());
        ids.push(cluster.create_topic(&made, safe().partitions(1)).unwrap());
        send(&cluster, &mut sent, 20);
        cluster.kill(cluster.leader("orders", 1).unwrap()).unwrap();
        send(&cluster, &mut sent, 20);
        end(cluster, how);
    }
    let cluster = builder(&dir).clock(&clock).start().unwrap();
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(cluster.admin().describe_topic(&format!("made-{n}")).unwrap().id, *id);
    }
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    let (mut all, count) = (ids.clone(), ids.len());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "two starts of one seed draw two ids");
    // Nothing came to lie beside it.
    assert_eq!(names(scratch.path()), ["cluster"]);
    assert_eq!(names(&dir), [".lock", "broker-1", "broker-2", "broker-3", "cluster.properties"]);
}

#[test]
fn the_directory_is_one_clusters_at_a_time_also_where_no_broker_runs() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("cluster");
    let cluster = builder(&dir).start().unwrap();
    let outliving = cluster.client().clone();
    cluster.kill(2).unwrap();
    assert!(matches!(builder(&dir).start(), Err(Error::Locked { .. })));
    assert!(matches!(Broker::open(&dir), Err(Error::Locked { .. })));
    assert!(matches!(Broker::open(dir.join("broker-1")), Err(Error::Locked { .. })));
    assert!(
        matches!(Broker::open(dir.join("broker-2")), Err(Error::Locked { .. })),
        "killed, and still its own"
    );
    cluster.restart(2).unwrap();
    cluster.kill(2).unwrap();
    assert!(matches!(Broker::open(dir.join("broker-2")), Err(Error::Locked { .. })));
    cluster.close().unwrap();
    let next = builder(&dir).start().unwrap();
    drop(cluster);
    assert!(
        matches!(builder(&dir).start(), Err(Error::Locked { .. })),
        "the first one's end is not the second's"
    );
    drop(next);
    assert!(matches!(outliving.produce(Record::to("orders").value("x")), Err(Error::Closed)));
    let after_a_drop = builder(&dir).start().unwrap();
    let client = after_a_drop.client().clone();
    drop(after_a_drop);
    builder(&dir).start().unwrap().close().unwrap();
    assert!(matches!(client.produce(Record::to("orders").value("x")), Err(Error::Closed)));
}

#[test]
fn what_is_not_this_clusters_is_refused_and_stays() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("cluster");
    let mut sent = BTreeMap::new();
    let cluster = builder(&dir).start().unwrap();
    send(&cluster, &mut sent, 6);
    cluster.close().unwrap();

    for count in [1, 2, 4] {
        let refused = builder(&dir).brokers(count).start().unwrap_err();
        assert!(matches!(&refused, Error::InvalidConfig { key, .. } if key == "brokers"), "{refused}");
        assert!(refused.to_string().contains("a cluster of 3"), "{refused}");
    }
    for path in [dir.clone(), dir.join("broker-1")] {
        let refused = Broker::open(&path).unwrap_err();
        assert!(matches!(refused, Error::KafkaStorageError { .. }), "{refused}");
        assert!(refused.to_string().contains("Cluster"), "{refused}");
    }
    let other = builder(&dir).topic("orders", safe().partitions(PARTITIONS + 1)).start().unwrap_err();
    assert!(matches!(other, Error::InvalidConfig { .. }), "{other}");

    let brokers = scratch.path().join("broker");
    Broker::open(&brokers).unwrap().close().unwrap();
    let refused = builder(&brokers).start().unwrap_err();
    assert!(refused.to_string().contains("one broker"), "{refused}");
    Broker::open(&brokers).unwrap();

    assert_eq!(read(&builder(&dir).start().unwrap()), sent);
}

#[test]
fn a_real_disk_is_in_no_tests_hand() {
    let scratch = tempfile::tempdir().unwrap();
    let cluster = builder(scratch.path()).start().unwrap();
    let refused: Result<SimDisk, Error> = cluster.disk(1);
    assert!(matches!(refused, Err(Error::IllegalState(_))));
    assert!(matches!(cluster.power_cut(1), Err(Error::IllegalState(_))));
    assert!(cluster.is_running(1).unwrap(), "nothing has happened");
    let flushed = Record::to("orders").partition(0).value("x").durability(Durability::Flushed);
    cluster.produce(flushed).unwrap();
    assert_eq!(cluster.high_watermark("orders", 0).unwrap(), 1);
}
