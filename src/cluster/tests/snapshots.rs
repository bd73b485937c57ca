//! Snapshots of the metadata: who restarts, and who was away, knows what there is and what is gone.

use super::*;
use crate::{
    controller::quorum::{Index, Position},
    env::Open,
};
use std::path::Path;

/// Many snapshots, and no more of the log than lies behind the one before the last.
fn small(seed: u64) -> Cluster {
    let safe = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    let builder = Cluster::builder().seed(seed).check_invariants(true).topic_defaults(safe);
    let builder = builder.metadata_max_bytes_between_snapshots(1_500).offsets_topic_partitions(1);
    builder.topic("t", TopicConfig::new()).topic("gone", TopicConfig::new().partitions(2)).start().unwrap()
}

fn seen(cluster: &Cluster, mark: Mark) -> u64 {
    cluster.marks().get(&mark).copied().unwrap_or(0)
}

/// A topic that can be made while a broker is away.
fn few() -> TopicConfig {
    TopicConfig::new().partitions(2).replication_factor(2)
}

/// The controller has a lot to say.
fn change(cluster: &Cluster, round: u32) {
    for n in 0..12 {
        cluster.create_topic(&format!("made-{round}-{n}"), few()).unwrap();
    }
}

fn base(cluster: &Cluster, broker: BrokerId) -> Position {
    let bases = cluster.inner.world.survey(|id, running| (id == broker).then(|| running.quorum().base()));
    bases.into_iter().flatten().next().unwrap()
}

fn converge(cluster: &Cluster, seed: u64) {
    let done = cluster.run_until(Duration::from_secs(60), Cluster::has_converged);
    assert!(done.is_ok(), "seed {seed}: {:?}\n{}", cluster.unconverged(), cluster.trace());
}

/// What a broker keeps in a file of its metadata log, in bytes.
fn size(cluster: &Cluster, broker: BrokerId, name: &str) -> u64 {
    let disk = cluster.disk(broker).unwrap().boot();
    disk.open(&Path::new("data/metadata").join(name), Open::Read).unwrap().len().unwrap()
}

#[test]
fn a_broker_that_was_away_learns_what_is_gone_from_a_snapshot() {
    for seed in seeds(5) {
        println!("BROOKLET_SEED={seed} BROOKLET_SEEDS=1");
        let cluster = small(seed);
        let away = cluster.brokers()[seed as usize % 3];
        put_until_it_is_there(&cluster, "before");
        if seed.is_multiple_of(2) {
            cluster.kill(away).unwrap()
        } else {
            cluster.power_cut(away).unwrap()
        }
        cluster.advance(Duration::from_secs(10));
        cluster.admin().delete_topic("gone").unwrap();
        // Another one of its name, which is gone, too, or stays.
        cluster.create_topic("gone", few()).unwrap();
        change(&cluster, 0);
        if seed < 3 {
            cluster.admin().delete_topic("gone").unwrap();
        }
        change(&cluster, 1);
        put_until_it_is_there(&cluster, "meanwhile");
        assert!(seen(&cluster, Mark::SnapshotTaken) > 0);
        let before = seen(&cluster, Mark::SnapshotInstalled);
        cluster.restart(away).unwrap();
        converge(&cluster, seed);
        assert!(seen(&cluster, Mark::SnapshotInstalled) > before, "seed {seed}\n{}", cluster.trace());
        assert_eq!(hosted(&cluster, away), wanted(&cluster), "seed {seed}: broker {away} keeps what is gone");
        assert_eq!(read(&cluster), ["before", "meanwhile"]);
    }
}

/// The topics that a broker's node knows.
fn hosted(cluster: &Cluster, broker: BrokerId) -> BTreeSet<TopicId> {
    let hosted =
        cluster.inner.world.survey(|id, running| (id == broker).then(|| running.node.hosted_topics()));
    hosted.into_iter().flatten().flatten().collect()
}

/// Those that there are.
fn wanted(cluster: &Cluster) -> BTreeSet<TopicId> {
    let controller = cluster.controller().unwrap();
    let topics = |id, running: &host::Running| {
        (id == controller).then(|| running.image().topics().keys().copied().collect::<Vec<_>>())
    };
    cluster.inner.world.survey(topics).into_iter().flatten().flatten().collect()
}

#[test]
fn a_cluster_that_starts_again_from_its_snapshots_is_the_same() {
    for seed in seeds(5) {
        println!("BROOKLET_SEED={seed} BROOKLET_SEEDS=1");
        let cluster = small(seed);
        put_until_it_is_there(&cluster, "before");
        change(&cluster, 0);
        cluster.admin().delete_topic("gone").unwrap();
        change(&cluster, 1);
        converge(&cluster, seed);
        let (topics, term) = (cluster.admin().list_topics().unwrap(), base(&cluster, 1.into()).term);
        assert!(base(&cluster, 1.into()).index > Index(0));
        for broker in cluster.brokers() {
            if seed.is_multiple_of(2) { cluster.kill(broker).unwrap() } else { cluster.stop(broker).unwrap() }
        }
        cluster.brokers().into_iter().for_each(|broker| cluster.restart(broker).unwrap());
        converge(&cluster, seed);
        assert_eq!(cluster.admin().list_topics().unwrap(), topics);
        assert_eq!(read(&cluster), ["before"], "seed {seed}\n{}", cluster.trace());
        // Whoever leads now goes on, and snapshots do.
        change(&cluster, 2);
        change(&cluster, 3);
        converge(&cluster, seed);
        assert!(base(&cluster, 1.into()).term > term, "seed {seed}");
    }
}

#[test]
fn the_log_of_the_metadata_does_not_grow_with_all_that_was_ever_said() {
    let cluster = small(1);
    let config = |n: u32| TopicConfig::new().retention_bytes(u64::from(n));
    for n in 1..200 {
        cluster.admin().alter_configs("t", config(n)).unwrap();
    }
    converge(&cluster, 1);
    for broker in cluster.brokers() {
        let (log, snapshot) = (size(&cluster, broker, "entries"), size(&cluster, broker, "snapshot"));
        assert!(log < 2 * 1_500 + 500 && snapshot < 2_000, "broker {broker}: {log} {snapshot}");
    }
    assert!(seen(&cluster, Mark::SnapshotTaken) > 3 * 5, "{:?}", cluster.marks());
    assert_eq!(seen(&cluster, Mark::SnapshotInstalled), 0, "nobody was away");
}

#[test]
fn a_number_of_bytes_between_snapshots_that_cannot_be_is_refused() {
    let started = Cluster::builder().metadata_max_bytes_between_snapshots(0).start();
    assert!(matches!(started, Err(Error::InvalidConfig { .. })), "{started:?}");
}
