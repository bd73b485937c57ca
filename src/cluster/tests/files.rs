//! Real files, and a machine that was down in between: what the brokers noted of its boot tells them.

#![allow(clippy::disallowed_methods, reason = "what a simulated disk has is put on a real one")]

use super::{super::host::control, *};
use crate::{
    env::{RealStorage, replace_file},
    node::CLUSTER_PROPERTIES,
    types::CleanupPolicy,
};
use std::path::{Path, PathBuf};

fn start(dir: &Path) -> Cluster {
    let config = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    let builder = Cluster::builder().directory(dir).check_invariants(true).offsets_topic_partitions(1);
    builder.topic("t", config).start().unwrap()
}

/// As if the machine had been another one's boot when the brokers ran last.
fn forget_boot(dir: &Path, brokers: impl IntoIterator<Item = i32>) {
    let storage = RealStorage::new(false);
    for id in brokers {
        let dir = dir.join(format!("broker-{id}"));
        let (epoch, boot) = control::read_registration(&storage, &dir).unwrap().unwrap();
        if boot != control::CLOSED {
            control::write_registration(&storage, &dir, (epoch, boot ^ 1)).unwrap();
        }
    }
}

fn marked(cluster: &Cluster, mark: Mark) -> u64 {
    cluster.marks().get(&mark).copied().unwrap_or(0)
}

#[test]
fn a_process_that_was_killed_has_lost_nothing_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    put(&start(dir.path()), "0").unwrap();
    let cluster = start(dir.path());
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(marked(&cluster, Mark::UncleanElection), 0);
    assert_eq!(read(&cluster), ["0"]);
}

#[test]
fn brokers_that_were_closed_have_lost_nothing_whatever_becomes_of_their_machine() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path());
    put(&cluster, "0").unwrap();
    cluster.close().unwrap();
    for id in 1..=3 {
        let noted =
            control::read_registration(&RealStorage::new(false), &dir.path().join(format!("broker-{id}")));
        assert_eq!(noted.unwrap().unwrap().1, control::CLOSED);
    }
    // Started, and down before anything came of it: what is noted holds for this boot from then on.
    drop(start(dir.path()));
    forget_boot(dir.path(), [1]);
    let cluster = start(dir.path());
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(marked(&cluster, Mark::UncleanElection), 0);
    assert_eq!(read(&cluster), ["0"]);
}

#[test]
fn who_may_have_lost_data_leads_nothing_before_it_has_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path());
    put(&cluster, "0").unwrap();
    let leader = cluster.leader("t", 0).unwrap();
    drop(cluster);
    forget_boot(dir.path(), [leader.get()]);
    let cluster = start(dir.path());
    assert_eq!(marked(&cluster, Mark::UncleanElection), 0);
    assert!(marked(&cluster, Mark::IsrShrunk) > 0, "it is not in sync any more");
    assert_ne!(cluster.leader("t", 0).unwrap(), leader);
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(read(&cluster), ["0"]);
}

#[test]
fn a_cluster_all_of_whose_brokers_may_have_lost_data_goes_on_with_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = start(dir.path());
    for n in 0..5 {
        put(&cluster, &n.to_string()).unwrap();
    }
    let leader = cluster.leader("t", 0).unwrap();
    drop(cluster);
    forget_boot(dir.path(), 1..=3);
    let cluster = start(dir.path());
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert!(marked(&cluster, Mark::UncleanElection) > 0, "nobody had all for sure\n{}", cluster.trace());
    assert_eq!(read(&cluster), ["0", "1", "2", "3", "4"], "led by {leader} before");
    put(&cluster, "5").unwrap();
    assert_eq!(read(&cluster).len(), 6);
}

/// A simulated cluster that has gone through faults, and is closed: a topic `t` of 60 records, one that is compacted, and a group.
fn simulated(seed: u64) -> Cluster {
    let cluster = three(seed);
    let compacted = TopicConfig::new().cleanup_policy(CleanupPolicy::Compact).segment_bytes(2048);
    cluster.create_topic("compacted", compacted.replication_factor(3).min_insync_replicas(2)).unwrap();
    for round in 0..6 {
        for n in 0..10 {
            put_until_it_is_there(&cluster, &format!("{round}.{n}.{}", "x".repeat(500)));
            let (key, value) = (format!("key {n}"), format!("{round}.{n}.{}", "x".repeat(100)));
            cluster.produce(Record::to("compacted").key(&key).value(&value)).unwrap();
        }
        let mut consumer = cluster.consumer("g").subscribe("t").unwrap();
        while !consumer.is_caught_up().unwrap() {
            consumer.poll(Duration::from_secs(1)).unwrap();
            consumer.commit_offset().unwrap();
        }
        consumer.close().unwrap();
        cluster.compact_now(Some("compacted")).unwrap();
        let victim = cluster.leader("t", 0).unwrap();
        if round % 2 == 0 {
            cluster.kill(victim).unwrap()
        } else {
            cluster.power_cut(victim).unwrap()
        }
        put_until_it_is_there(&cluster, &format!("{round}.late"));
        cluster.restart(victim).unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    }
    cluster.close().unwrap();
    cluster
}

/// `BROOKLET_KAFKA_CLUSTER=DIR` leaves the files in the new directory DIR, for Kafka's own tool to read.
#[test]
fn what_a_simulated_cluster_has_closed_is_a_real_ones_directory() {
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("BROOKLET_KAFKA_CLUSTER").map(PathBuf::from);
    let dir = kept.clone().unwrap_or_else(|| scratch.path().join("cluster"));
    let cluster = simulated(11);
    for id in 1..=3 {
        for (path, bytes) in cluster.disk(id).unwrap().files() {
            let path = dir.join(format!("broker-{id}")).join(path.strip_prefix("data").unwrap());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    if kept.is_some() {
        return;
    }
    let properties = b"version=1\nbrokers=3\nstarts=1\n";
    replace_file(&RealStorage::new(false), &dir.join(CLUSTER_PROPERTIES), properties).unwrap();
    let cluster = start(&dir);
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(marked(&cluster, Mark::UncleanElection), 0, "it was closed");
    assert_eq!(read(&cluster).len(), 66);
    let committed = cluster.admin().group_offsets("g").unwrap();
    assert_eq!(committed.iter().map(|(_, committed)| committed.offset).collect::<Vec<_>>(), [65]);
}
