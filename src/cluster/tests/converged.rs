//! What keeps a cluster from having converged: copies that are not alike.

use super::*;
use crate::{
    ProducerConfig,
    env::Open,
    record::{Batch, crc32c},
    types::Acks,
};
use std::path::Path;

fn start(policy: CleanupPolicy) -> Cluster {
    let config = TopicConfig::new().replication_factor(3).min_insync_replicas(2).cleanup_policy(policy);
    Cluster::builder().brokers(3).seed(4).topic("t", config).start().unwrap()
}

fn put_keyed(cluster: &Cluster, key: &str, value: &str) {
    cluster.produce(Record::to("t").key(key).value(value)).unwrap();
}

fn converge(cluster: &Cluster) {
    let done = cluster.run_until(Duration::from_secs(60), Cluster::has_converged);
    assert!(done.is_ok(), "{:?}", cluster.unconverged());
}

/// A broker of those that follow.
fn follower(cluster: &Cluster) -> BrokerId {
    let leader = cluster.leader("t", 0).unwrap();
    cluster.brokers().into_iter().find(|id| *id != leader).unwrap()
}

/// Has a broker's copy say `to` where it says `from`, as long, in a batch that is whole, while the broker is down. It comes back, is in
/// sync, and nobody looks at what it had before.
fn falsify(cluster: &Cluster, broker: BrokerId, from: &str, to: &str) {
    cluster.kill(broker).unwrap();
    let path = Path::new("data/t-0/00000000000000000000.log");
    let file = cluster.disk(broker).unwrap().boot().open(path, Open::Write).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    let place = bytes.windows(from.len()).position(|there| there == from.as_bytes()).unwrap();
    let mut at = 0;
    while let Some(size) = Batch::unchecked(&bytes[at..]).map(|batch| batch.header().size) {
        if place < at + size {
            break;
        }
        at += size;
    }
    bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
    let size = Batch::unchecked(&bytes[at..]).unwrap().header().size;
    // What the sum covers begins at 21.
    let crc = crc32c(&bytes[at + 21..at + size]).to_be_bytes();
    bytes[at + 17..at + 21].copy_from_slice(&crc);
    file.write_at(at as u64, &bytes[at..at + size]).unwrap();
    file.sync().unwrap();
    cluster.restart(broker).unwrap();
    // It leaves the ISR when it is registered anew, and joins again.
    cluster.run_until(Duration::from_secs(60), |c| c.isr("t", 0).is_ok_and(|isr| isr.len() == 2)).unwrap();
    cluster.run_until(Duration::from_secs(60), |c| c.isr("t", 0).is_ok_and(|isr| isr.len() == 3)).unwrap();
    cluster.advance(Duration::from_secs(1));
}

#[test]
fn copies_that_have_another_record_are_not_alike_however_long_they_are() {
    let cluster = start(CleanupPolicy::Delete);
    put_keyed(&cluster, "k", "first-1");
    put_keyed(&cluster, "k", "second-1");
    converge(&cluster);
    let other = follower(&cluster);
    falsify(&cluster, other, "first-1", "first-2");
    let why = cluster.unconverged().unwrap_or_default();
    assert!(why.contains("is another one than the first"), "{why:?}");
    falsify(&cluster, other, "first-2", "first-1");
    assert_eq!(cluster.unconverged(), None);
}

#[test]
fn copies_of_a_compacted_topic_are_alike_while_the_last_values_are() {
    let cluster = start(CleanupPolicy::Compact);
    for (key, value) in [("k", "first-1"), ("m", "other-1"), ("k", "second-1")] {
        put_keyed(&cluster, key, value);
    }
    converge(&cluster);
    let other = follower(&cluster);
    falsify(&cluster, other, "first-1", "first-2");
    assert_eq!(cluster.unconverged(), None, "a later one has taken its place");
    for value in ["other", "second"] {
        let (right, wrong) = (format!("{value}-1"), format!("{value}-2"));
        falsify(&cluster, other, &right, &wrong);
        let why = cluster.unconverged().unwrap_or_default();
        assert!(why.contains("is another one than the first"), "{value}: {why:?}");
        falsify(&cluster, other, &wrong, &right);
        assert_eq!(cluster.unconverged(), None);
    }
}

#[test]
fn copies_that_do_not_end_alike_are_told() {
    let cluster = start(CleanupPolicy::Delete);
    put_keyed(&cluster, "k", "everywhere");
    converge(&cluster);
    let held = cluster.intercept(ApiKey::FetchFollower).topic("t").drop_request();
    let producer = cluster.producer(ProducerConfig::new().acks(Acks::One)).unwrap();
    producer.produce(Record::to("t").value("only here")).unwrap();
    let why = cluster.unconverged().unwrap_or_default();
    assert!(why.contains("do not end alike"), "{why:?}");
    held.remove();
    converge(&cluster);
}
