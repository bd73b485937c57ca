//! Clusters as a test author sees them.

mod acks;
mod converged;
mod files;
mod groups;
mod histories;
mod idempotent;
mod intercepts;
mod moves;
mod network;
mod scale;
mod shutdown;
mod snapshots;
mod wall_clock;

use super::*;
use crate::{
    env::DiskOp,
    prng::seeds,
    types::{CleanupPolicy, Offset},
};
use std::collections::BTreeSet;

fn three(seed: u64) -> Cluster {
    let config = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    // With snapshots of the metadata again and again, or with none.
    let between = if seed.is_multiple_of(2) { 1_000 } else { 1 << 20 };
    let builder = Cluster::builder().brokers(3).seed(seed).metadata_max_bytes_between_snapshots(between);
    builder.check_invariants(true).topic("t", config).start().unwrap()
}

fn put(cluster: &Cluster, value: &str) -> Result<i64> {
    cluster.produce(Record::to("t").value(value)).map(|at| at.offset)
}

/// All that there is, from the beginning, until nothing comes for a second.
fn read(cluster: &Cluster) -> Vec<String> {
    let mut consumer = cluster.consumer(ConsumerConfig::standalone()).subscribe("t").unwrap();
    let mut values = Vec::new();
    loop {
        let records = consumer.poll(Duration::from_secs(1)).unwrap();
        if records.is_empty() {
            return values;
        }
        values.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
    }
}

/// More than one try may be needed, and none that leaves it in doubt.
fn put_until_it_is_there(cluster: &Cluster, value: &str) {
    for _ in 0..50 {
        match put(cluster, value) {
            Ok(_) => return,
            Err(error) => assert!(error.is_retriable() && !error.is_indeterminate(), "{error}"),
        }
    }
    panic!("{value} is not taken\n{}", cluster.trace());
}

#[test]
fn what_is_produced_is_read() {
    let cluster = three(7);
    for n in 0..10 {
        assert_eq!(put(&cluster, &n.to_string()).unwrap(), n);
    }
    assert_eq!(read(&cluster), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_producer_sends_when_its_linger_is_over_or_somebody_waits() {
    let cluster = three(4);
    let producer = cluster.producer(ProducerConfig::new().linger(Duration::from_millis(5))).unwrap();
    for n in 0..10 {
        drop(producer.send(Record::to("t").value(&n.to_string())).unwrap());
    }
    assert_eq!(producer.metrics().records_sent, 0);
    cluster.advance(Duration::from_millis(100));
    assert_eq!(producer.metrics().records_sent, 10, "the linger is over");
    let delivery = producer.send(Record::to("t").value("10")).unwrap();
    cluster.kill(cluster.leader("t", 0).unwrap()).unwrap();
    assert!(delivery.wait().is_ok());
    drop(producer);
    assert_eq!(read(&cluster), (0..11).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn when_a_leader_is_killed_nothing_acknowledged_is_lost() {
    for seed in seeds(10) {
        let cluster = three(seed);
        let mut sent = Vec::new();
        for round in 0..5 {
            for n in 0..3 {
                let value = format!("{round}.{n}");
                put_until_it_is_there(&cluster, &value);
                sent.push(value);
            }
            let leader = cluster.leader("t", 0).unwrap();
            cluster.kill(leader).unwrap();
            let value = format!("{round}, while {leader} is dead");
            put_until_it_is_there(&cluster, &value);
            sent.push(value);
            assert_ne!(cluster.leader("t", 0).unwrap(), leader);
            cluster.restart(leader).unwrap();
            cluster
                .run_until(Duration::from_secs(30), |c| c.isr("t", 0).is_ok_and(|isr| isr.len() == 3))
                .unwrap();
        }
        assert_eq!(read(&cluster), sent, "seed {seed}\n{}", cluster.trace());
        cluster.close().unwrap();
    }
}

#[test]
fn power_cuts_one_at_a_time_lose_nothing_acknowledged() {
    for seed in seeds(10) {
        let cluster = three(seed);
        let mut sent = Vec::new();
        for round in 0..4u64 {
            for n in 0..3 {
                let value = format!("{round}.{n}");
                put_until_it_is_there(&cluster, &value);
                sent.push(value);
            }
            let broker = BrokerId::from(((seed + round) % 3) as i32 + 1);
            cluster.power_cut(broker).unwrap();
            cluster.restart(broker).unwrap();
            let left = |c: &Cluster| c.isr("t", 0).is_ok_and(|isr| !isr.contains(&broker));
            assert!(
                cluster.run_until(Duration::from_secs(60), left).is_ok(),
                "seed {seed}\n{}",
                cluster.trace()
            );
            let healthy =
                |c: &Cluster| c.isr("t", 0).is_ok_and(|isr| isr.len() == 3) && c.leader("t", 0).is_ok();
            let done = cluster.run_until(Duration::from_secs(60), healthy);
            assert!(done.is_ok(), "seed {seed}\n{}", cluster.trace());
        }
        assert_eq!(read(&cluster), sent, "seed {seed}\n{}", cluster.trace());
    }
}

#[test]
fn an_isolated_controller_gives_up_and_another_one_goes_on() {
    let cluster = three(3);
    let first = cluster.controller().unwrap();
    cluster.isolate(first).unwrap();
    let other = |c: &Cluster| c.controller().is_ok_and(|now| now != first);
    cluster.run_until(Duration::from_secs(30), other).unwrap();
    cluster.create_topic("other", TopicConfig::new().replication_factor(2)).unwrap();
    cluster.heal().unwrap();
    cluster.run_until(Duration::from_secs(30), Cluster::is_complete).unwrap();
    let acting = cluster.inner.world.survey(|_, running| running.controls().is_some());
    assert_eq!(acting.into_iter().filter(|acts| *acts).count(), 1);
}

#[test]
fn one_seed_gives_one_story() {
    let run = |seed| {
        let cluster = three(seed);
        for n in 0..5 {
            put_until_it_is_there(&cluster, &n.to_string());
        }
        cluster.power_cut(cluster.leader("t", 0).unwrap()).unwrap();
        put_until_it_is_there(&cluster, "more");
        cluster.advance(Duration::from_secs(20));
        (cluster.trace().to_string(), cluster.now())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn topics_grow_change_and_go_on_every_broker() {
    let cluster = three(1);
    cluster.admin().create_partitions("t", 4).unwrap();
    let brokers: BTreeSet<BrokerId> = (0..4).map(|n| cluster.leader("t", n).unwrap()).collect();
    assert!(brokers.len() > 1, "{brokers:?}");
    for n in 0..4 {
        cluster.produce(Record::to("t").partition(n).value("x")).unwrap();
    }
    cluster.admin().delete_topic("t").unwrap();
    assert!(matches!(
        put(&cluster, "y"),
        Err(Error::UnknownTopicOrPartition { .. } | Error::UnknownTopicId { .. })
    ));
    cluster.create_topic("t", TopicConfig::new().replication_factor(3)).unwrap();
    assert_eq!(put(&cluster, "z").unwrap(), 0);
    assert_eq!(read(&cluster), ["z"]);
    let too_many = cluster.create_topic("u", TopicConfig::new().replication_factor(4));
    assert!(matches!(too_many, Err(Error::InvalidReplicationFactor { .. })), "{too_many:?}");
}

#[test]
fn a_broker_whose_disk_fails_ends_and_the_others_go_on() {
    let cluster = three(2);
    put_until_it_is_there(&cluster, "before");
    let leader = cluster.leader("t", 0).unwrap();
    let fault = cluster.disk(leader).unwrap().intercept(DiskOp::Any).fail(crate::env::DiskFault::Eio);
    put_until_it_is_there(&cluster, "after");
    fault.remove();
    assert_eq!(read(&cluster), ["before", "after"]);
}

#[test]
fn a_broker_whose_disk_loses_power_ends_though_it_has_nothing_to_write() {
    let cluster = three(6);
    put_until_it_is_there(&cluster, "before");
    cluster.advance(Duration::from_secs(5));
    cluster.disk(2).unwrap().power_cut();
    cluster.advance(Duration::from_secs(5));
    assert!(!cluster.is_running(2).unwrap(), "{}", cluster.trace());
    cluster.restart(2).unwrap();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
}

/// KIP-966: who was the last in sync, and has lost what it had not flushed, does not lead while another has all.
#[test]
fn the_last_one_in_sync_that_lost_power_does_not_lead_before_one_that_has_all() {
    // In between, a process that has not registered yet may have ended in order.
    for (seed, stops) in seeds(5).flat_map(|seed| [(seed, false), (seed, true)]) {
        let cluster = three(seed);
        let leader = cluster.leader("t", 0).unwrap();
        let others: Vec<BrokerId> = cluster.brokers().into_iter().filter(|id| *id != leader).collect();
        let in_sync = |count| move |c: &Cluster| c.isr("t", 0).is_ok_and(|isr| isr.len() == count);
        cluster.kill(others[0]).unwrap();
        cluster.run_until(Duration::from_secs(30), in_sync(2)).unwrap();
        put(&cluster, "acknowledged").unwrap();
        cluster.kill(others[1]).unwrap();
        cluster.power_cut(leader).unwrap();
        cluster.restart(leader).unwrap();
        if stops {
            cluster.stop(leader).unwrap();
            cluster.restart(leader).unwrap();
        }
        cluster.restart(others[0]).unwrap();
        cluster.advance(Duration::from_secs(20));
        assert!(cluster.leader("t", 0).is_err(), "seed {seed}: nobody has all\n{}", cluster.trace());
        cluster.restart(others[1]).unwrap();
        let led = cluster.run_until(Duration::from_secs(30), |c| c.leader("t", 0).is_ok());
        assert!(led.is_ok(), "seed {seed}\n{}", cluster.trace());
        assert_eq!(cluster.leader("t", 0).unwrap(), others[1], "seed {seed}\n{}", cluster.trace());
        assert_eq!(read(&cluster), ["acknowledged"], "seed {seed}\n{}", cluster.trace());
    }
}

#[test]
fn copies_of_a_compacted_topic_are_alike_however_much_of_each_is_cleaned() {
    let cluster = three(3);
    let config = TopicConfig::new().cleanup_policy(CleanupPolicy::Compact).segment_bytes(1024);
    cluster.create_topic("prices", config.replication_factor(3).min_insync_replicas(2)).unwrap();
    for n in 0..60 {
        let (key, value) = (format!("{}", n % 7), format!("{n} {}", "x".repeat(50)));
        cluster.produce(Record::to("prices").key(&key).value(&value)).unwrap();
    }
    cluster.run_until(Duration::from_secs(10), Cluster::has_converged).unwrap();
    let cleaned =
        |id: BrokerId, running: &host::Running| (id == 1.into()).then(|| running.node.compact_now(None));
    cluster.inner.world.survey(cleaned).into_iter().flatten().for_each(Result::unwrap);
    let topic = |running: &host::Running| running.image().topic("prices").map(|(id, _)| (id, 0)).unwrap();
    let bytes = |_, running: &host::Running| running.node.batches(topic(running), Offset::ZERO).unwrap();
    let copies = cluster.inner.world.survey(bytes);
    assert!(copies[0].len() < copies[1].len() && copies[1] == copies[2]);
    let values =
        |_, running: &host::Running| running.node.latest_values(topic(running), Offset::ZERO).unwrap();
    let values = cluster.inner.world.survey(values);
    assert!(values[0].len() == 7 && values.iter().all(|of| *of == values[0]));
    assert_eq!(cluster.unconverged(), None);
}
