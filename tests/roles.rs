//! What a Kafka broker is there for, a test for each of its roles: on an embedded broker where that makes sense, and on a cluster.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use brooklet::{
    Acks, ApiKey, Broker, BrokerId, Client, Cluster, Consumer, ConsumerConfig, Error, ManualClock,
    ProducerConfig, Record, Result, SimDisk, TopicConfig,
};
use std::{collections::BTreeSet, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

fn broker() -> Broker {
    Broker::builder().clock(&ManualClock::new()).disk(&SimDisk::new(7)).open("data").unwrap()
}

/// Three brokers, and a topic that all of them have, of which two must have what is acknowledged.
fn cluster() -> Cluster {
    let safe = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    Cluster::builder().brokers(3).seed(7).check_invariants(true).topic("copied", safe).start().unwrap()
}

fn on_both(role: impl Fn(&Client)) {
    let (broker, cluster) = (broker(), cluster());
    for client in [broker.client(), cluster.client()] {
        client.create_topic("orders", TopicConfig::new().partitions(4)).unwrap();
        role(client);
    }
}

fn put(client: &Client, topic: &str, value: &str) -> Result<i64> {
    Ok(client.produce(Record::to(topic).partition(0).value(value))?.offset)
}

/// What is there, to the end.
fn rest(consumer: &mut Consumer) -> Vec<String> {
    let mut values = Vec::new();
    while !consumer.is_caught_up().unwrap() {
        let records = consumer.poll(Duration::from_secs(1)).unwrap();
        values.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
    }
    values
}

fn all(client: &Client, topic: &str) -> Vec<String> {
    rest(&mut client.consumer(ConsumerConfig::standalone()).subscribe(topic).unwrap())
}

/// Polls both until each has so many partitions.
fn share(one: &mut Consumer, other: &mut Consumer, shares: [usize; 2]) {
    for _ in 0..1000 {
        if [one.assignment().len(), other.assignment().len()] == shares {
            return;
        }
        one.poll(Duration::from_millis(10)).unwrap();
        other.poll(Duration::from_millis(10)).unwrap();
    }
    panic!("{:?} and {:?}", one.assignment(), other.assignment());
}

/// A record gets a partition by its key, and the next offset there.
#[test]
fn placing_records() {
    on_both(|client| {
        let place = |key: &str| client.produce(Record::to("orders").key(key).value("3 apples")).unwrap();
        let (first, other, second) = (place("alice"), place("bob"), place("alice"));
        assert_eq!((first.partition, first.offset + 1), (second.partition, second.offset));
        assert_ne!(first.partition, other.partition);
    });
}

/// Each partition has one owner in a group, and the group knows how far it is.
#[test]
fn tracking_owners_and_offsets() {
    on_both(|client| {
        put(client, "orders", "3 apples").unwrap();
        let join = || client.consumer("billing").subscribe("orders").unwrap();
        let (mut one, mut other) = (join(), join());
        share(&mut one, &mut other, [2, 2]);
        let owned: BTreeSet<_> = one.assignment().into_iter().chain(other.assignment()).collect();
        assert_eq!(owned.len(), 4);
        one.commit_offsets([(("orders", 0), 1)])
            .or_else(|_| other.commit_offsets([(("orders", 0), 1)]))
            .unwrap();
        let committed = client.admin().group_offsets("billing").unwrap();
        assert_eq!(committed.get(("orders", 0)).unwrap().offset, 1);
    });
}

/// Records come from any offset on, as often as they are asked for; whoever is at the end waits for what comes.
#[test]
fn serving_fetches() {
    on_both(|client| {
        (0..5).for_each(|n| assert_eq!(put(client, "orders", &n.to_string()).unwrap(), n));
        let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([("orders", 0)]).unwrap();
        assert_eq!(rest(&mut consumer), ["0", "1", "2", "3", "4"]);
        consumer.seek(("orders", 0), 3).unwrap();
        assert_eq!(rest(&mut consumer), ["3", "4"]);
        let before = client.now();
        assert!(consumer.poll(Duration::from_secs(5)).unwrap().is_empty());
        assert!(client.now() >= before + Duration::from_secs(5));
    });
}

/// Groups do not disturb each other; what a dead member had goes to the others.
#[test]
fn groups() {
    on_both(|client| {
        let join = |group: &str| client.consumer(group).subscribe("orders").unwrap();
        let (mut one, mut other) = (join("billing"), join("billing"));
        share(&mut one, &mut other, [2, 2]);
        put(client, "orders", "3 apples").unwrap();
        other.abandon(); // as if its process had died
        while one.assignment().len() < 4 {
            one.poll(Duration::from_secs(1)).unwrap();
        }
        one.seek_to_committed().unwrap();
        assert_eq!(rest(&mut one), ["3 apples"]);
        assert_eq!(rest(&mut join("search")), ["3 apples"]);
    });
}

/// What is acknowledged is on all replicas in sync, and nothing is taken where these are too few.
#[test]
fn replication() {
    let safe = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    let cluster =
        Cluster::builder().brokers(5).seed(7).check_invariants(true).topic("copied", safe).start().unwrap();
    put(cluster.client(), "copied", "3 apples").unwrap();
    let leader = cluster.leader("copied", 0).unwrap();
    let followers: Vec<_> =
        cluster.isr("copied", 0).unwrap().into_iter().filter(|id| *id != leader).collect();
    followers.iter().for_each(|follower| cluster.kill(*follower).unwrap());
    let refused = put(cluster.client(), "copied", "2 pears").unwrap_err();
    assert!(matches!(refused, Error::NotEnoughReplicas { .. }) || refused.is_indeterminate(), "{refused}");
    followers.iter().for_each(|follower| cluster.restart(*follower).unwrap());
    cluster.run_until(MINUTE, Cluster::has_converged).unwrap();
    cluster.kill(leader).unwrap();
    assert_eq!(all(cluster.client(), "copied")[0], "3 apples");
}

fn leads(cluster: &Cluster, broker: BrokerId) -> bool {
    cluster.leader("copied", 0).is_ok_and(|leader| leader == broker)
}

/// When a leader dies somebody who has all leads, in a new epoch; and the old one does not.
#[test]
fn election() {
    let cluster = cluster();
    let leader = cluster.leader("copied", 0).unwrap();
    cluster.isolate(leader).unwrap(); // it still believes that it leads
    put(cluster.client(), "copied", "3 apples").unwrap();
    assert!(!leads(&cluster, leader));
    cluster.heal().unwrap();
    cluster.run_until(MINUTE, Cluster::has_converged).unwrap();
    assert_eq!(all(cluster.client(), "copied"), ["3 apples"]);
}

/// Who was away gets what came meanwhile, and what it alone had is cut off; then it is in sync again.
#[test]
fn syncing() {
    let cluster = cluster();
    let away = cluster.leader("copied", 0).unwrap();
    let others = cluster.brokers().into_iter().filter(|id| *id != away);
    cluster.partition_network([away], others).unwrap();
    let alone = cluster.producer(ProducerConfig::new().acks(Acks::One)).unwrap();
    alone.produce(Record::to("copied").value("only its leader has it")).unwrap();
    cluster.run_until(MINUTE, |cluster| cluster.leader("copied", 0).is_ok_and(|now| now != away)).unwrap();
    for n in 0..10 {
        put(cluster.client(), "copied", &n.to_string()).unwrap();
    }
    assert!(!cluster.isr("copied", 0).unwrap().contains(&away));
    cluster.heal().unwrap();
    cluster.run_until(MINUTE, Cluster::has_converged).unwrap();
    assert!(cluster.isr("copied", 0).unwrap().contains(&away));
    assert_eq!(all(cluster.client(), "copied"), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

/// A client learns who leads, sends there, and learns anew when that is another one.
#[test]
fn metadata_and_routing() {
    let cluster = cluster();
    let count = |id: BrokerId| (id, cluster.intercept(ApiKey::Produce).at(id).delay(Duration::ZERO));
    let counts: Vec<_> = cluster.brokers().into_iter().map(count).collect();
    let first = cluster.leader("copied", 0).unwrap();
    put(cluster.client(), "copied", "3 apples").unwrap();
    counts.iter().for_each(|(id, sent)| assert_eq!(sent.hits(), u64::from(*id == first)));
    cluster.stop(first).unwrap();
    put(cluster.client(), "copied", "2 pears").unwrap();
    let next = cluster.leader("copied", 0).unwrap();
    assert!(counts.iter().all(|(id, sent)| *id != next || sent.hits() == 1));
}

/// One broker decides, and another one when that is gone; of a directory one process is the owner.
#[test]
fn one_controller() {
    let cluster = cluster();
    let first = cluster.controller().unwrap();
    cluster.isolate(first).unwrap();
    cluster.run_until(MINUTE, |cluster| cluster.controller().is_ok_and(|now| now != first)).unwrap();
    let second = cluster.controller().unwrap();
    cluster.heal().unwrap();
    cluster.run_until(MINUTE, Cluster::has_converged).unwrap();
    assert_eq!(cluster.controller().unwrap(), second);

    let disk = SimDisk::new(7);
    let open = || Broker::builder().clock(&ManualClock::new()).disk(&disk).open("data");
    let _owner = open().unwrap();
    assert!(matches!(open(), Err(Error::Locked { .. })));
}

/// A topic gets more partitions; a cluster gets more brokers, and they get their part.
#[test]
fn scaling_out() {
    on_both(|client| {
        client.admin().create_partitions("orders", 8).unwrap();
        let at = client.produce(Record::to("orders").partition(7).value("3 apples")).unwrap();
        assert_eq!((at.partition, at.offset), (7, 0));
    });
    let cluster = cluster();
    cluster.create_topic("orders", TopicConfig::new().partitions(8).replication_factor(2)).unwrap();
    let fourth = cluster.add_broker().unwrap();
    cluster.rebalance(MINUTE).unwrap();
    let leads = |id: BrokerId| (0..8).filter(|n| cluster.leader("orders", *n).unwrap() == id).count();
    assert!(leads(fourth) >= 2);
    cluster.decommission(fourth, MINUTE).unwrap();
    assert_eq!(cluster.brokers().into_iter().map(leads).sum::<usize>(), 8);
}
