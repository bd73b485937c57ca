//! What a cluster costs: to start it, to get over a dead member, to restart its controller, and records by the wall clock. Raw: the same of an embedded broker.

use crate::{
    harness::{Bench, Unit, percentile, rate},
    store::{TOPIC, open, scratch},
};
use brooklet::{
    Acks, Broker, Cluster, ClusterBuilder, ConsumerConfig, ManualClock, ProducerConfig, Record, SimDisk,
    TopicConfig,
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// A producer's batches, in bytes.
const BATCH: usize = 1 << 20;

pub fn run(bench: &mut Bench) {
    start(bench);
    dead_member(bench);
    restart(bench);
    replicated(bench);
    on_files(bench);
    one_by_one(bench);
}

fn safe() -> TopicConfig {
    TopicConfig::new().replication_factor(3).min_insync_replicas(2)
}

/// Three brokers, their controller, and a topic; raw: a broker on a simulated disk, and a topic.
fn start(bench: &mut Bench) {
    let name = "3 brokers start, elect and make a topic; raw: 1 embedded";
    let raw = || {
        let begun = Instant::now();
        let broker =
            Broker::builder().disk(&SimDisk::new(1)).clock(&ManualClock::new()).open("data").unwrap();
        broker.create_topic(TOPIC, TopicConfig::new()).unwrap();
        let took = begun.elapsed().as_secs_f64();
        drop(broker);
        took
    };
    let mut seed = 0;
    let cluster = || {
        seed += 1;
        let begun = Instant::now();
        let cluster = Cluster::builder().brokers(3).seed(seed).topic(TOPIC, safe()).start().unwrap();
        let took = begun.elapsed().as_secs_f64();
        drop(cluster);
        took
    };
    bench.compare(name, (Unit::Seconds, "<= 1 ms", 101), raw, cluster);
}

/// From a member's death to the others having its partitions, on virtual time: past its session.
fn dead_member(bench: &mut Bench) {
    let name = "a dead member's partitions to the other, cluster; raw: embedded";
    let raw = || {
        let clock = ManualClock::new();
        let broker = Broker::builder().disk(&SimDisk::new(1)).clock(&clock).open("data").unwrap();
        broker.create_topic(TOPIC, TopicConfig::new().partitions(4)).unwrap();
        take_over(broker.client())
    };
    let mut seed = 0;
    let cluster = || {
        seed += 1;
        let builder = Cluster::builder().seed(seed).offsets_topic_partitions(1);
        let cluster = builder.topic(TOPIC, safe().partitions(4)).start().unwrap();
        take_over(cluster.client())
    };
    bench.compare(name, (Unit::Seconds, "<= 2 ms", 31), raw, cluster);
}

fn take_over(client: &brooklet::Client) -> f64 {
    let config = || ConsumerConfig::new("g").session_timeout(Duration::from_secs(6));
    let mut lives = client.consumer(config()).subscribe(TOPIC).unwrap();
    let mut dies = client.consumer(config()).subscribe(TOPIC).unwrap();
    while lives.assignment().len() != 2 || dies.assignment().len() != 2 {
        lives.poll(Duration::from_millis(100)).unwrap();
        dies.poll(Duration::from_millis(100)).unwrap();
    }
    let begun = Instant::now();
    dies.abandon();
    while lives.assignment().len() != 4 {
        lives.poll(Duration::from_secs(1)).unwrap();
    }
    begun.elapsed().as_secs_f64()
}

/// A controller of its own restarts after so many changes of its metadata, until it leads again, on virtual time; raw: without snapshots.
fn restart(bench: &mut Bench) {
    let name = "a controller restarts after 20,000 changes; raw: no snapshots";
    if !bench.wants(name) {
        return;
    }
    let changed = |builder: ClusterBuilder| {
        let cluster = builder.brokers(1).topic(TOPIC, TopicConfig::new()).start().unwrap();
        for n in 0..bench.scaled(20_000) as u64 {
            cluster.admin().alter_configs(TOPIC, TopicConfig::new().retention_bytes(n)).unwrap();
        }
        cluster
    };
    let restarted = |cluster: &Cluster| {
        cluster.kill(1).unwrap();
        let begun = Instant::now();
        cluster.restart(1).unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        begun.elapsed().as_secs_f64()
    };
    let whole = changed(Cluster::builder().metadata_max_bytes_between_snapshots(u64::MAX));
    let snapshots = changed(Cluster::builder());
    let row = (Unit::Seconds, "", 21);
    bench.compare(name, row, || restarted(&whole), || restarted(&snapshots));
}

/// Records of 100 bytes in batches to three brokers that all have them, by the wall clock; raw: to the embedded one, by the same producer.
fn replicated(bench: &mut Bench) {
    let count = bench.scaled(500_000);
    let name = "100 B in batches to 3 brokers, acks all, wall clock; raw: embedded";
    let row = (Unit::PerSecond, ">= 20 %", 5);
    let raw = || {
        let dir = scratch();
        let broker = open(dir.path(), true);
        send(broker.client(), count)
    };
    let cluster = || {
        let cluster = Cluster::builder().wall_clock().topic(TOPIC, safe()).start().unwrap();
        let rate = send(cluster.client(), count);
        cluster.close().unwrap();
        rate
    };
    bench.compare(name, row, raw, cluster);
}

/// The same where the three brokers have real files, too.
fn on_files(bench: &mut Bench) {
    let count = bench.scaled(500_000);
    let name = "100 B in batches to 3 brokers, acks all, real files; raw: embedded";
    let raw = || {
        let dir = scratch();
        send(open(dir.path(), true).client(), count)
    };
    let cluster = || {
        let dir = scratch();
        let cluster = start_on_files(dir.path());
        let rate = send(cluster.client(), count);
        cluster.close().unwrap();
        rate
    };
    bench.compare(name, (Unit::PerSecond, "", 5), raw, cluster);
}

fn start_on_files(dir: &Path) -> Cluster {
    Cluster::builder().wall_clock().directory(dir).topic(TOPIC, safe()).start().unwrap()
}

/// One record after the other, each when the one before is acknowledged.
fn one_by_one(bench: &mut Bench) {
    let name =
        |share: &str| format!("100 B to 3 brokers, acks all, real files, {share} of one; raw: embedded");
    let shares = [("p50", 0.5), ("p99", 0.99)];
    if !shares.iter().any(|(share, _)| bench.wants(&name(share))) {
        return;
    }
    let count = bench.scaled(20_000);
    let times = |client: &brooklet::Client| -> Vec<u64> {
        let one = |_| {
            let begun = Instant::now();
            client.produce(Record::to(TOPIC).value(&[b'v'; 100])).unwrap();
            begun.elapsed().as_nanos() as u64
        };
        (0..count).map(one).collect()
    };
    let pair = |_| {
        let dirs = (scratch(), scratch());
        let raw = times(open(dirs.0.path(), true).client());
        let cluster = start_on_files(dirs.1.path());
        let replicated = times(cluster.client());
        cluster.close().unwrap();
        (raw, replicated)
    };
    let mut runs: Vec<_> = (0..bench.runs(3)).map(pair).collect();
    for (share, figure) in shares {
        let figures = |(raw, cluster): &mut (Vec<u64>, Vec<u64>)| {
            (percentile(raw, figure), percentile(cluster, figure))
        };
        let pairs: Vec<_> = runs.iter_mut().map(figures).collect();
        if bench.wants(&name(share)) {
            bench.row(&name(share), Unit::Seconds, "", &pairs);
        }
    }
}

fn send(client: &brooklet::Client, count: usize) -> f64 {
    let config = ProducerConfig::new().acks(Acks::All).batch_size(BATCH).linger(Duration::from_millis(5));
    let producer = client.producer(config).unwrap();
    let value = [b'v'; 100];
    let begun = Instant::now();
    for _ in 0..count {
        drop(producer.send(Record::to(TOPIC).value(&value)).unwrap());
    }
    producer.flush().unwrap();
    let rate = rate(count, begun);
    producer.close().unwrap();
    rate
}
