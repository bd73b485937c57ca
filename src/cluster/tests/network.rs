//! Processes that halt, and a network that is in the way.

use super::*;
use crate::{cluster::marks::Mark, config::ProducerConfig, types::Acks};

/// What it would still have done as the leader is refused: those who follow somebody else by then do not take it.
#[test]
fn a_leader_that_was_halted_finds_another_in_its_place_and_nothing_of_its_own_counts() {
    for seed in seeds(5) {
        let cluster = three(seed);
        put(&cluster, "before").unwrap();
        let halted = cluster.leader("t", 0).unwrap();
        cluster.pause(halted).unwrap();
        cluster.advance(Duration::from_millis(500));
        assert_eq!(cluster.leader("t", 0).unwrap(), halted, "its session is not over yet");
        let others_lead = |c: &Cluster| c.leader("t", 0).is_ok_and(|leader| leader != halted);
        cluster.run_until(Duration::from_secs(30), others_lead).unwrap();
        let epoch = leader_epoch(&cluster);
        put(&cluster, "meanwhile").unwrap();
        cluster.resume(halted).unwrap();
        put(&cluster, "after").unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert!(leader_epoch(&cluster) >= epoch);
        assert_eq!(read(&cluster), ["before", "meanwhile", "after"], "seed {seed}");
        assert!(cluster.isr("t", 0).unwrap().contains(&halted));
    }
}

fn leader_epoch(cluster: &Cluster) -> i32 {
    let states = cluster.inner.world.ask_newest(|running| {
        let (id, _) = running.image().topic("t")?;
        Some(running.image().partition(id, 0)?.leader_epoch.0)
    });
    states.flatten().unwrap()
}

/// A process that is halted for less than its session goes on as if nothing had been.
#[test]
fn a_short_halt_changes_nothing() {
    let cluster = three(4);
    put(&cluster, "before").unwrap();
    let (halted, epoch) = (cluster.leader("t", 0).unwrap(), leader_epoch(&cluster));
    cluster.pause(halted).unwrap();
    cluster.advance(Duration::from_millis(800));
    cluster.resume(halted).unwrap();
    put(&cluster, "after").unwrap();
    assert_eq!((cluster.leader("t", 0).unwrap(), leader_epoch(&cluster)), (halted, epoch));
    assert_eq!(read(&cluster), ["before", "after"]);
}

/// A follower that nothing reaches falls behind; its own messages still arrive, so that it is not taken for dead.
#[test]
fn a_link_that_goes_one_way_only_keeps_a_follower_from_copying_and_nothing_else() {
    let apart = |cluster: &Cluster| cluster.leader("t", 0).unwrap() != cluster.controller().unwrap();
    let cluster = (0..20).map(three).find(apart).unwrap();
    put(&cluster, "before").unwrap();
    let leader = cluster.leader("t", 0).unwrap();
    let controller = cluster.controller().unwrap();
    let deaf = cluster.brokers().into_iter().find(|id| ![leader, controller].contains(id)).unwrap();
    cluster.block_link(leader, deaf).unwrap();
    put(&cluster, "while one is deaf").unwrap();
    cluster.advance(Duration::from_secs(20));
    assert!(!cluster.isr("t", 0).unwrap().contains(&deaf), "\n{}", cluster.trace());
    let fenced = format!("broker {deaf} is fenced");
    assert!(!cluster.trace().lines().iter().any(|line| line.ends_with(&fenced)), "\n{}", cluster.trace());
    cluster.heal().unwrap();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(read(&cluster), ["before", "while one is deaf"]);
}

/// Whatever becomes of messages, what is acknowledged is there once.
#[test]
fn messages_that_are_lost_doubled_overtaken_and_late_change_nothing_that_clients_see() {
    for seed in seeds(3) {
        let cluster = three(seed);
        cluster.lose_messages(50);
        cluster.duplicate_messages(200);
        cluster.reorder_messages(1000);
        cluster.delay_messages(50, Duration::from_millis(300));
        let producer = cluster.producer(ProducerConfig::new().acks(Acks::All)).unwrap();
        for n in 0..50 {
            producer.produce(Record::to("t").value(&n.to_string())).unwrap();
        }
        let marks = cluster.marks();
        for mark in [Mark::MessageLost, Mark::MessageDoubled, Mark::MessageOvertaken, Mark::MessageDelayed] {
            assert!(marks.get(&mark).is_some_and(|count| *count > 3), "seed {seed}: {mark:?} in {marks:?}");
        }
        cluster.heal().unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(read(&cluster), (0..50).map(|n| n.to_string()).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// Seed 4080990: the only broker that answered was cut off, and was believed that a partition which it had not heard of was not there; the
/// consumer began anew with it.
#[test]
fn a_broker_that_is_behind_takes_nothing_from_a_consumer_though_nobody_else_answers() {
    let cluster = three(5);
    let others = |id: &BrokerId| *id != BrokerId::from(3);
    cluster.partition_network([3], [1, 2]).unwrap();
    cluster
        .run_until(Duration::from_secs(60), |c| c.leader("t", 0).is_ok_and(|leader| others(&leader)))
        .unwrap();
    // Whoever is cut off may be asked, and cannot.
    while cluster.replicas("t", 1).is_err() {
        drop(cluster.admin().create_partitions("t", 2));
    }
    let put = |n: &str| {
        cluster.produce(Record::to("t").partition(1).value(n)).unwrap();
    };
    put("0");
    let partitions = [("t", 0), ("t", 1)];
    let mut consumer = cluster.consumer(ConsumerConfig::standalone()).assign(partitions).unwrap();
    assert_eq!(consumer.poll(Duration::from_secs(1)).unwrap().len(), 1);
    let able: Vec<BrokerId> = cluster.brokers().into_iter().filter(others).collect();
    able.iter().for_each(|id| cluster.pause(*id).unwrap());
    for _ in 0..20 {
        let polled = consumer.poll(Duration::from_secs(1));
        assert!(polled.as_ref().map_or_else(Error::is_retriable, |records| records.is_empty()), "{polled:?}");
    }
    able.iter().for_each(|id| cluster.resume(*id).unwrap());
    cluster.heal().unwrap();
    put("1");
    let records = consumer.poll(Duration::from_secs(10)).unwrap();
    let values: Vec<_> = records.iter().map(|record| record.value_str().unwrap()).collect();
    assert_eq!((values, consumer.position(("t", 1)).unwrap()), (vec!["1"], 2));
}

/// Seed 3000074: a leader that had not heard yet of a partition that it leads was believed that there is no such topic, and the consumer
/// began anew with all of it.
#[test]
fn a_leader_that_does_not_know_a_new_partition_yet_takes_nothing_from_a_consumer() {
    let cluster = three(5);
    for n in 0..5 {
        put(&cluster, &n.to_string()).unwrap();
    }
    let mut consumer = cluster.consumer(ConsumerConfig::standalone()).assign([("t", 0)]).unwrap();
    assert_eq!(consumer.poll(Duration::from_secs(1)).unwrap().len(), 5);
    cluster.admin().create_partitions("t", 2).unwrap();
    let unknown = Error::UnknownTopicId { topic: "t".to_owned() };
    let asked = cluster.intercept(ApiKey::ListOffsets).times(20).fail(unknown);
    consumer.assign([("t", 0), ("t", 1)]).unwrap();
    cluster.produce(Record::to("t").partition(0).value("5")).unwrap();
    let mut values = Vec::new();
    for _ in 0..10 {
        let records = consumer.poll(Duration::from_secs(1)).unwrap();
        values.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
    }
    assert_eq!((values, asked.hits()), (vec!["5".to_owned()], 20));
}
