//! Clusters that grow and shrink.

use super::*;
use crate::rpc::{RemoveRaftVoterRequest, UnregisterBrokerRequest};
use std::path::Path;

#[test]
fn a_broker_that_is_added_gets_partitions_leads_and_comes_back() {
    for seed in seeds(5) {
        let cluster = three(seed);
        put(&cluster, "before").unwrap();
        let fourth = cluster.add_broker().unwrap();
        assert_eq!(cluster.brokers().len(), 4);
        let config = TopicConfig::new().partitions(4).replication_factor(4).min_insync_replicas(2);
        cluster.create_topic("wide", config).unwrap();
        let leads =
            |c: &Cluster| (0..4).filter(|n| c.leader("wide", *n).is_ok_and(|id| id == fourth)).count();
        assert_eq!(leads(&cluster), 1, "seed {seed}");
        for n in 0..20 {
            cluster.produce(Record::to("wide").value(&n.to_string())).unwrap();
        }
        cluster.kill(fourth).unwrap();
        cluster.run_until(Duration::from_secs(30), |c| leads(c) == 0 && c.leader("wide", 2).is_ok()).unwrap();
        // It finds the controller again, whoever that is by then.
        cluster.kill(cluster.controller().unwrap()).unwrap();
        cluster.restart(fourth).unwrap();
        cluster
            .run_until(Duration::from_secs(30), |c| c.isr("wide", 0).is_ok_and(|isr| isr.contains(&fourth)))
            .unwrap();
        cluster.brokers().into_iter().for_each(|id| cluster.restart(id).unwrap());
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    }
}

/// Those who vote decide, however many others there are.
#[test]
fn who_is_added_has_no_vote() {
    let cluster = Cluster::builder().brokers(1).start().unwrap();
    for _ in 0..3 {
        cluster.add_broker().unwrap();
    }
    let voter = cluster.controller().unwrap();
    assert_eq!(voter, 1.into());
    cluster.kill(voter).unwrap();
    cluster.advance(Duration::from_secs(30));
    assert!(matches!(cluster.controller(), Err(Error::NotController)));
    cluster.restart(voter).unwrap();
    let converged = cluster.run_until(Duration::from_secs(60), Cluster::has_converged);
    assert!(converged.is_ok(), "{:?}", cluster.unconverged());
}

#[test]
fn who_cannot_be_registered_is_there_and_goes_on_trying() {
    let cluster = three(3);
    let all = cluster.brokers();
    let refused = cluster.intercept(ApiKey::BrokerRegistration).fail(Error::NotController);
    assert!(matches!(cluster.add_broker(), Err(Error::Timeout)));
    assert!(refused.hits() > 10);
    refused.remove();
    assert_eq!(cluster.brokers().len(), all.len() + 1);
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
}

pub(super) fn numbers(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|id| id.get()).collect()
}

/// The names of a broker's partitions of a topic, and those that are on their way out.
pub(super) fn directories(cluster: &Cluster, broker: BrokerId, topic: &str) -> Vec<String> {
    let storage = cluster.disk(broker).unwrap().boot();
    let names = storage.list(Path::new("data")).unwrap().unwrap();
    let names = names.into_iter().map(|entry| entry.name);
    names.filter(|name| name.starts_with(&format!("{topic}-"))).collect()
}

#[test]
fn a_partition_moves_while_it_is_in_use_and_leaves_nothing_behind() {
    for seed in seeds(5) {
        let config = TopicConfig::new().replication_factor(2).min_insync_replicas(2).segment_bytes(4096);
        let cluster = Cluster::builder().brokers(5).seed(seed).check_invariants(true).topic("t", config);
        let cluster = cluster.start().unwrap();
        let before = cluster.replicas("t", 0).unwrap();
        let others: Vec<BrokerId> =
            cluster.brokers().into_iter().filter(|id| !before.contains(id)).take(2).collect();
        let mut consumer = cluster.consumer("readers").subscribe("t").unwrap();
        let mut read = Vec::new();
        for n in 0..60 {
            if n == 20 {
                cluster.admin().alter_partition_reassignment(("t", 0), others.clone()).unwrap();
            }
            put(&cluster, &n.to_string()).unwrap();
            let records = consumer.poll(Duration::from_millis(10)).unwrap();
            read.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
        }
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert!(cluster.admin().list_partition_reassignments().unwrap().is_empty());
        assert_eq!(numbers(&cluster.replicas("t", 0).unwrap()), numbers(&others), "seed {seed}");
        assert_eq!(cluster.leader("t", 0).unwrap(), others[0]);
        while read.len() < 60 {
            let records = consumer.poll(Duration::from_secs(5)).unwrap();
            assert!(!records.is_empty(), "seed {seed}: {} read", read.len());
            read.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
        }
        assert_eq!(read, (0..60).map(|n| n.to_string()).collect::<Vec<_>>(), "seed {seed}");
        // What is removed goes after a minute (`file.delete.delay.ms`).
        cluster.advance(Duration::from_secs(120));
        for id in cluster.brokers() {
            let there = directories(&cluster, id, "t");
            assert_eq!(there.len(), usize::from(others.contains(&id)), "seed {seed}, {id}: {there:?}");
        }
    }
}

/// It goes on where it was, whoever decides; and back and forth.
#[test]
fn a_move_outlives_controllers_brokers_and_power_cuts() {
    for seed in seeds(5) {
        let config = TopicConfig::new().replication_factor(3).min_insync_replicas(2).segment_bytes(4096);
        let cluster = Cluster::builder().brokers(5).seed(seed).check_invariants(true).topic("t", config);
        let cluster = cluster.start().unwrap();
        for n in 0..30 {
            put(&cluster, &n.to_string()).unwrap();
        }
        let all = cluster.brokers();
        let before = cluster.replicas("t", 0).unwrap();
        let new = all.iter().copied().find(|id| !before.contains(id)).unwrap();
        let target = [new, before[0], before[1]];
        // It cannot copy anything yet.
        let held = cluster.intercept(ApiKey::FetchFollower).topic("t").drop_request();
        cluster.admin().alter_partition_reassignment(("t", 0), target).unwrap();
        let controller = cluster.controller().unwrap();
        cluster.kill(controller).unwrap();
        cluster.advance(Duration::from_secs(10));
        assert_eq!(cluster.replicas("t", 0).unwrap().len(), 4, "seed {seed}\n{}", cluster.trace());
        cluster.restart(controller).unwrap();
        held.remove();
        cluster.power_cut(new).unwrap();
        cluster.restart(new).unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(numbers(&cluster.replicas("t", 0).unwrap()), numbers(&target), "seed {seed}");
        // The one that has had a copy before gets another one.
        cluster.admin().alter_partition_reassignment(("t", 0), before.clone()).unwrap();
        put(&cluster, "30").unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(numbers(&cluster.replicas("t", 0).unwrap()), numbers(&before), "seed {seed}");
        assert_eq!(read(&cluster), (0..31).map(|n| n.to_string()).collect::<Vec<_>>(), "seed {seed}");
    }
}

/// A copy that was to go while its broker was away goes when that comes back.
#[test]
fn who_was_away_as_its_copy_was_to_go_has_none_when_it_is_back() {
    let cluster = three(9);
    put(&cluster, "a").unwrap();
    let before = cluster.replicas("t", 0).unwrap();
    cluster.kill(before[2]).unwrap();
    cluster.run_until(Duration::from_secs(30), |c| c.isr("t", 0).is_ok_and(|isr| isr.len() == 2)).unwrap();
    cluster.admin().alter_partition_reassignment(("t", 0), [before[0], before[1]]).unwrap();
    put(&cluster, "b").unwrap();
    cluster.restart(before[2]).unwrap();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    cluster.advance(Duration::from_secs(120));
    assert_eq!(directories(&cluster, before[2], "t"), [""; 0]);
    assert_eq!(read(&cluster), ["a", "b"]);
}

/// Committed offsets are records like any other.
#[test]
fn a_group_goes_on_as_its_coordinator_moves() {
    let cluster = Cluster::builder().brokers(4).seed(4).check_invariants(true).offsets_topic_partitions(1);
    let cluster = cluster.topic("t", TopicConfig::new().replication_factor(3)).start().unwrap();
    for n in 0..10 {
        put(&cluster, &n.to_string()).unwrap();
    }
    let mut consumer = cluster.consumer("g").subscribe("t").unwrap();
    let records = consumer.poll(Duration::from_secs(5)).unwrap();
    consumer.commit_offsets(&records).unwrap();
    drop((records, consumer));
    let groups = ("__consumer_offsets", 0);
    let before = cluster.replicas(groups.0, 0).unwrap();
    let others: Vec<BrokerId> = cluster.brokers().into_iter().filter(|id| *id != before[0]).collect();
    cluster.admin().alter_partition_reassignment(groups, others.clone()).unwrap();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(numbers(&cluster.replicas(groups.0, 0).unwrap()), numbers(&others));
    put(&cluster, "10").unwrap();
    let mut consumer = cluster.consumer("g").subscribe("t").unwrap();
    let records = consumer.poll(Duration::from_secs(5)).unwrap();
    assert_eq!(records.iter().map(|record| record.value_str().unwrap()).collect::<Vec<_>>(), ["10"]);
}

#[test]
fn partitions_spread_over_brokers_that_come_and_leave_those_that_go() {
    for seed in seeds(3) {
        let config = TopicConfig::new().partitions(9).replication_factor(2).min_insync_replicas(1);
        let cluster = Cluster::builder().seed(seed).offsets_topic_partitions(3).check_invariants(true);
        let cluster = cluster.topic("t", config).start().unwrap();
        for n in 0..90 {
            put(&cluster, &n.to_string()).unwrap();
        }
        let mut consumer = cluster.consumer("g").subscribe("t").unwrap();
        let mut consumed = 0;
        while consumed < 50 {
            let records = consumer.poll(Duration::from_secs(5)).unwrap();
            consumed += records.len();
            consumer.commit_offsets(&records).unwrap();
        }
        drop(consumer);
        let (fourth, fifth) = (cluster.add_broker().unwrap(), cluster.add_broker().unwrap());
        cluster.rebalance(Duration::from_secs(120)).unwrap();
        let all = || (0..9).map(|n| ("t", n)).chain((0..3).map(|n| ("__consumer_offsets", n)));
        let leaders: Vec<BrokerId> = all().map(|(topic, n)| cluster.leader(topic, n).unwrap()).collect();
        let led = |id: BrokerId| leaders.iter().filter(|leader| **leader == id).count();
        let leads = cluster.brokers().into_iter().map(led).collect::<Vec<_>>();
        assert!(leads.iter().all(|count| (2..=3).contains(count)), "seed {seed}: {leads:?}");
        let copies: Vec<BrokerId> =
            all().flat_map(|(topic, n)| cluster.replicas(topic, n).unwrap()).collect();
        let of = |id: BrokerId| copies.iter().filter(|copy| **copy == id).count();
        let copies = cluster.brokers().into_iter().map(of).collect::<Vec<_>>();
        assert!(copies.iter().all(|count| (5..=6).contains(count)), "seed {seed}: {copies:?}");
        cluster.rebalance(Duration::from_secs(1)).unwrap();
        cluster.decommission(fourth, Duration::from_secs(120)).unwrap();
        assert_eq!(numbers(&cluster.brokers()), [1, 2, 3, 5]);
        assert!(matches!(cluster.restart(fourth), Err(Error::IllegalState(_))));
        cluster.decommission(fifth, Duration::from_secs(120)).unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        let mut values = read(&cluster);
        values.sort_by_key(|value| value.parse::<u32>().unwrap());
        assert_eq!(values, (0..90).map(|n| n.to_string()).collect::<Vec<_>>(), "seed {seed}");
        let mut consumer = cluster.consumer("g").subscribe("t").unwrap();
        while consumed < 90 {
            let records = consumer.poll(Duration::from_secs(5)).unwrap();
            assert!(!records.is_empty(), "seed {seed}: the group has lost its way at {consumed}");
            consumed += records.len();
        }
        assert!(consumer.poll(Duration::from_millis(100)).unwrap().is_empty(), "seed {seed}");
    }
}

#[test]
fn who_cannot_go_is_told_why() {
    let within = Duration::from_secs(10);
    let one = Cluster::builder().brokers(1).start().unwrap();
    assert!(matches!(one.decommission(1, within), Err(Error::IllegalState(_))));
    let cluster = Cluster::builder().brokers(2).topic("t", TopicConfig::new()).start().unwrap();
    let refused = |id: i32| cluster.decommission(id, within).unwrap_err();
    assert!(matches!(refused(1), Error::InvalidReplicationFactor { .. }));
    assert!(refused(9).to_string().contains("there is no broker 9"));
    let third = cluster.add_broker().unwrap();
    cluster.create_topic("u", TopicConfig::new().replication_factor(3)).unwrap();
    assert!(matches!(refused(third.get()), Error::InvalidReplicationFactor { .. }));
    // It waits for one that is not there.
    cluster.admin().delete_topic("u").unwrap();
    cluster.create_topic("v", TopicConfig::new().partitions(3).replication_factor(1)).unwrap();
    cluster.kill(third).unwrap();
    assert!(matches!(refused(third.get()), Error::Timeout));
    cluster.restart(third).unwrap();
    cluster.decommission(third, Duration::from_secs(60)).unwrap();
}

#[test]
fn who_was_not_heard_of_for_a_while_is_waited_for() {
    let cluster = three(3);
    put(&cluster, "a").unwrap();
    cluster.add_broker().unwrap();
    let minute = Duration::from_secs(60);
    let cut_off = || {
        cluster.isolate(4).unwrap();
        cluster.run_until(minute, |cluster| cluster.is_fenced(4.into())).unwrap();
    };
    cut_off();
    assert!(matches!(cluster.decommission(1, minute), Err(Error::InvalidReplicationFactor { .. })));
    cluster.heal().unwrap();
    cluster.run_until(minute, |cluster| !cluster.is_fenced(4.into())).unwrap();
    cut_off();
    cluster.heal().unwrap();
    assert!(cluster.is_fenced(4.into()), "it has not said a word yet");
    cluster.decommission(1, minute).unwrap();
    assert_eq!(cluster.brokers(), [2, 3, 4].map(BrokerId::from));
    assert_eq!(read(&cluster), ["a"]);
}

#[test]
fn what_is_on_its_way_is_copied_no_faster_than_allowed() {
    let config = TopicConfig::new().replication_factor(2).min_insync_replicas(2);
    let cluster = Cluster::builder().seed(3).topic("t", config).start().unwrap();
    let value = vec![b'x'; 10_000];
    for _ in 0..50 {
        cluster.produce(Record::to("t").value(&value)).unwrap();
    }
    cluster.set_replication_throttle(Some(50_000));
    let third =
        (1..=3).map(BrokerId::from).find(|id| !cluster.replicas("t", 0).unwrap().contains(id)).unwrap();
    let mut to = cluster.replicas("t", 0).unwrap();
    to.push(third);
    let before = cluster.now();
    cluster.admin().alter_partition_reassignment(("t", 0), to).unwrap();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    let took = cluster.now().as_millis() - before.as_millis();
    assert!((9_000..13_000).contains(&took), "{took} ms for 500 kB at 50 kB/s");
}

/// Time stamps and retention go by each broker's own calendar, sessions by none.
#[test]
fn a_clock_that_is_ahead_stamps_and_removes_early_and_fences_nobody() {
    let config = TopicConfig::new().timestamp_type(crate::TimestampType::LogAppendTime).segment_bytes(1024);
    let config = config.retention_time(Duration::from_secs(3600));
    let cluster = Cluster::builder().seed(2).check_invariants(true).topic("t", config).start().unwrap();
    let leader = cluster.leader("t", 0).unwrap();
    for n in 0..30 {
        put(&cluster, &n.to_string()).unwrap();
    }
    cluster.set_clock_skew(leader, 7_200_000).unwrap();
    let stamped = cluster.produce(Record::to("t").value("ahead")).unwrap().timestamp;
    assert!(stamped > cluster.now() + Duration::from_secs(7000));
    cluster.apply_retention_now().unwrap();
    let values = read(&cluster);
    assert!(values.len() < 30 && values.last().is_some_and(|value| value == "ahead"), "{values:?}");
    let mut consumers = [(); 2].map(|()| cluster.consumer("g").subscribe("t").unwrap());
    for _ in 0..5 {
        consumers.iter_mut().for_each(|consumer| drop(consumer.poll(Duration::from_secs(1)).unwrap()));
    }
    let members = || cluster.admin().describe_group("g").unwrap().members;
    let before = members();
    for ahead in [7_200_000, -7_200_000] {
        cluster.brokers().into_iter().for_each(|id| cluster.set_clock_skew(id, ahead).unwrap());
        for n in 0..30 {
            put(&cluster, &n.to_string()).unwrap();
            cluster.advance(Duration::from_secs(1));
            consumers.iter_mut().for_each(|consumer| drop(consumer.poll(Duration::ZERO).unwrap()));
        }
        assert_eq!(cluster.leader("t", 0).unwrap(), leader);
    }
    assert_eq!(cluster.marks().get(&Mark::IsrShrunk), None, "nobody has fallen behind");
    assert_eq!((before.len(), members()), (2, before), "and no member was ever away");
    let [mut lives, dies] = consumers;
    dies.abandon();
    for _ in 0..60 {
        cluster.advance(Duration::from_secs(1));
        lives.poll(Duration::ZERO).unwrap();
    }
    assert_eq!(members().len(), 1, "one that dies is noticed in time");
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
}

/// One after the other, until none of those is left whom the cluster began with: those who came vote in their place.
#[test]
fn all_whom_a_cluster_began_with_can_be_replaced() {
    for seed in seeds(3) {
        let cluster = three(seed);
        for n in 0..20 {
            put(&cluster, &n.to_string()).unwrap();
        }
        for id in 1..=3 {
            cluster.add_broker().unwrap();
            let done = cluster.decommission(id, Duration::from_secs(60));
            assert!(done.is_ok(), "seed {seed}: {done:?}\n{}", cluster.trace());
            put(&cluster, "more").unwrap();
        }
        assert_eq!(numbers(&cluster.brokers()), [4, 5, 6]);
        // They decide by themselves: with one of them gone, and whoever controls.
        let controller = cluster.controller().unwrap();
        cluster.kill(controller).unwrap();
        cluster.run_until(Duration::from_secs(30), |c| c.controller().is_ok()).unwrap();
        put(&cluster, "without it").unwrap();
        cluster.restart(controller).unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(read(&cluster).len(), 24, "seed {seed}");
    }
}

/// The vote of a broker is taken from it, and it is forgotten; but its machine stays, since nobody could say whether that was done.
#[test]
fn who_was_forgotten_while_it_was_away_comes_back_without_a_vote() {
    let cluster = Cluster::builder().brokers(4).seed(6).check_invariants(true).start().unwrap();
    let controller = cluster.controller().unwrap();
    let away = cluster.brokers().into_iter().find(|id| *id != controller).unwrap();
    cluster.kill(away).unwrap();
    cluster.advance(Duration::from_secs(10));
    cluster.inner.client.call(RemoveRaftVoterRequest { id: away }).unwrap();
    cluster.inner.client.call(UnregisterBrokerRequest { id: away }).unwrap();
    cluster.restart(away).unwrap();
    let converged = cluster.run_until(Duration::from_secs(60), Cluster::has_converged);
    assert!(converged.is_ok(), "{:?}\n{}", cluster.unconverged(), cluster.trace());
    assert!(!cluster.inner.world.voters().contains(&away));
}

/// Its process would take what was said of the one before for its own.
#[test]
fn no_id_is_given_twice() {
    let cluster = three(4);
    let fourth = cluster.add_broker().unwrap();
    cluster.decommission(fourth, Duration::from_secs(60)).unwrap();
    assert_eq!(cluster.add_broker().unwrap().get(), fourth.get() + 1);
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
}

/// It has no topics to tell of before it is registered: a consumer that believed it would take its topic for deleted.
#[test]
fn a_broker_that_knows_nothing_yet_tells_clients_nothing() {
    let cluster = three(8);
    for n in 0..10 {
        put(&cluster, &n.to_string()).unwrap();
    }
    let mut consumer = cluster.consumer(ConsumerConfig::standalone()).assign([("t", 0)]).unwrap();
    assert_eq!(consumer.poll(Duration::from_secs(1)).unwrap().len(), 10);
    // Nobody can register it, and nobody else is there to be asked.
    cluster.brokers().into_iter().for_each(|id| cluster.kill(id).unwrap());
    assert!(matches!(cluster.add_broker(), Err(Error::Timeout)));
    for _ in 0..20 {
        let polled = consumer.poll(Duration::from_millis(500));
        assert!(!matches!(polled, Err(Error::UnknownTopicOrPartition { .. })), "{polled:?}");
    }
    // Nor a client who knows of no newer metadata.
    let transport = Arc::new(Transport(Arc::clone(&cluster.inner.world)));
    let network = NetworkClient::new(transport, cluster.brokers());
    let newcomer = Client::new(network, BrokerId::NOBODY, Prng::new(8));
    for listed in [cluster.admin().list_topics(), newcomer.admin().list_topics()] {
        assert!(listed.is_err(), "{listed:?}");
    }
    cluster.brokers().into_iter().for_each(|id| cluster.restart(id).unwrap());
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    put(&cluster, "10").unwrap();
    let records = consumer.poll(Duration::from_secs(5)).unwrap();
    assert_eq!(records.iter().map(|record| record.value_str().unwrap()).collect::<Vec<_>>(), ["10"]);
}
