//! Histories that broke Kafka and its peers, each by its name. Those of two replicas and one leader are at the node:
//! KIP-101 (`after_a_power_cut_of_all`, `a_follower_that_restarts`) and KIP-279 (`logs_that_parted_in_several_epochs`).

use super::{super::transport::Transport, *};
use crate::{
    OffsetSpec,
    rpc::{Answer, CreateTopicRequest, Response, Service, Ticket},
};

/// Two replicas, of which one is enough, and an election that may lose what only the other has.
fn two_replicas(seed: u64) -> Cluster {
    let config = TopicConfig::new().replication_factor(2).unclean_leader_election(true);
    Cluster::builder().brokers(3).seed(seed).topic("t", config).start().unwrap()
}

/// Waits until these are in sync.
fn in_sync(cluster: &Cluster, count: usize) {
    let done =
        cluster.run_until(Duration::from_secs(60), |c| c.isr("t", 0).is_ok_and(|isr| isr.len() == count));
    assert!(done.is_ok(), "{}", cluster.trace());
}

/// A consumer has read what a new leader does not have: it must not pass over what that puts in its place.
#[test]
fn kip_320_a_consumer_whose_log_was_cut_goes_on_where_it_was_cut() {
    for seed in seeds(5) {
        let cluster = two_replicas(seed);
        let leader = cluster.leader("t", 0).unwrap();
        let follower = cluster.isr("t", 0).unwrap().into_iter().find(|id| *id != leader).unwrap();
        let mut consumer = cluster.consumer(ConsumerConfig::standalone()).subscribe("t").unwrap();
        put(&cluster, "a").unwrap();
        cluster.kill(follower).unwrap();
        in_sync(&cluster, 1);
        put(&cluster, "only the leader has it").unwrap();
        let mut seen = 0;
        while seen < 2 {
            seen += consumer.poll(Duration::from_secs(1)).unwrap().len();
        }
        cluster.kill(leader).unwrap();
        cluster.restart(follower).unwrap();
        let leads = |c: &Cluster| c.leader("t", 0).is_ok_and(|now| now == follower);
        cluster.run_until(Duration::from_secs(60), leads).unwrap();
        put_until_it_is_there(&cluster, "in its place");
        let mut values = Vec::new();
        for _ in 0..20 {
            let records = consumer.poll(Duration::from_secs(1)).unwrap();
            values.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
        }
        assert_eq!(values, ["in its place"], "seed {seed}\n{}", cluster.trace());
    }
}

/// The controller has taken in who lacks a deletion, and the one who deletes does not know of that.
#[test]
fn what_was_deleted_stays_so_under_a_leader_that_was_about_to_join() {
    for seed in seeds(5) {
        let config = TopicConfig::new().partitions(3).replication_factor(2);
        let cluster = Cluster::builder().brokers(3).seed(seed).check_invariants(true).topic("t", config);
        let cluster = cluster.start().unwrap();
        let controller = cluster.controller().unwrap();
        let has_not = |id: BrokerId, n: i32| !cluster.replicas("t", n).unwrap().contains(&id);
        let number = (0..3).find(|n| has_not(controller, *n)).unwrap();
        let leader = cluster.leader("t", number).unwrap();
        let follower = cluster.isr("t", number).unwrap().into_iter().find(|id| *id != leader).unwrap();
        let in_sync = |count: usize| {
            let are = |c: &Cluster| c.isr("t", number).is_ok_and(|isr| isr.len() == count);
            cluster.run_until(Duration::from_secs(60), are).unwrap();
        };
        for _ in 0..5 {
            cluster.produce(Record::to("t").partition(number).value("x")).unwrap();
        }
        cluster.kill(follower).unwrap();
        in_sync(1);
        cluster.restart(follower).unwrap();
        in_sync(2);
        cluster.partition_network([leader], [follower, controller]).unwrap();
        assert_eq!(cluster.admin().delete_records(("t", number), 3).unwrap(), 3);
        let leads = |c: &Cluster| c.leader("t", number).is_ok_and(|now| now == follower);
        cluster.run_until(Duration::from_secs(60), leads).unwrap();
        cluster.heal().unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        let consumer = cluster.consumer(ConsumerConfig::standalone()).assign([("t", number)]).unwrap();
        let start = consumer.offset(("t", number), OffsetSpec::Earliest).unwrap();
        assert_eq!(start, Some(3), "seed {seed}\n{}", cluster.trace());
    }
}

/// Leaders follow on each other so quickly that some epochs have no record, or one.
#[test]
fn back_to_back_elections_with_no_record_or_one() {
    for seed in seeds(5) {
        let cluster = three(seed);
        let mut sent = Vec::new();
        for round in 0..8 {
            if round % 2 == 1 {
                let value = round.to_string();
                put_until_it_is_there(&cluster, &value);
                sent.push(value);
            }
            let leader = cluster.leader("t", 0).unwrap();
            cluster.kill(leader).unwrap();
            let moved = |c: &Cluster| c.leader("t", 0).is_ok_and(|now| now != leader);
            cluster.run_until(Duration::from_secs(60), moved).unwrap();
            cluster.restart(leader).unwrap();
            in_sync(&cluster, 3);
        }
        assert_eq!(read(&cluster), sent, "seed {seed}\n{}", cluster.trace());
    }
}

/// Asks a broker for a topic, without waiting.
fn ask_for_topic(cluster: &Cluster, of: BrokerId, name: &str) -> Ticket<Response> {
    let request =
        CreateTopicRequest { name: name.to_owned(), config: TopicConfig::new().replication_factor(1) };
    match Transport(Arc::clone(&cluster.inner.world)).call(of, request.into()) {
        Answer::Parked(ticket) => ticket,
        Answer::Ready(answer) => panic!("{answer:?}"),
    }
}

/// Who takes itself for the controller.
fn acting(cluster: &Cluster) -> Vec<BrokerId> {
    let acting = cluster.inner.world.survey(|id, running| running.controls().map(|_| id));
    acting.into_iter().flatten().collect()
}

/// Whether any broker knows such a topic.
fn is_known(cluster: &Cluster, name: &str) -> bool {
    cluster.inner.world.survey(|_, running| running.image().topic(name).is_some()).contains(&true)
}

/// What a controller is asked that is reached by its clients, and by the others only one way: gives what it has answered when
/// another one has taken its place.
fn ask_half_reached(cluster: &Cluster, is_heard: bool) -> Option<Result<Response>> {
    let first = cluster.controller().unwrap();
    for other in cluster.brokers().into_iter().filter(|id| *id != first) {
        let (from, to) = if is_heard { (other, first) } else { (first, other) };
        cluster.block_link(from, to).unwrap();
    }
    let asked = ask_for_topic(cluster, first, "in-vain");
    let resigned = |c: &Cluster| !acting(c).contains(&first);
    let done = cluster.run_until(Duration::from_secs(5), resigned);
    assert!(done.is_ok(), "it goes on\n{}", cluster.trace());
    assert!(!is_known(cluster, "in-vain"), "by nobody's leave\n{}", cluster.trace());
    let moved = |c: &Cluster| c.controller().is_ok_and(|now| now != first);
    let done = cluster.run_until(Duration::from_secs(10), moved);
    assert!(done.is_ok(), "nobody goes on\n{}", cluster.trace());
    let since = ask_for_topic(cluster, cluster.controller().unwrap(), "since");
    cluster.run_until(Duration::from_secs(5), |_| since.is_filled()).unwrap();
    assert!(matches!(since.take(), Some(Ok(_))), "{}", cluster.trace());
    assert_eq!(acting(cluster).len(), 1);
    asked.take()
}

/// A cluster in which that has happened, and nothing was promised, once all reach each other again.
fn healed_after_half_reached(seed: u64, is_heard: bool) -> Cluster {
    let cluster = three(seed);
    let answer = ask_half_reached(&cluster, is_heard);
    assert!(
        matches!(answer, Some(Err(Error::NotController | Error::RequestTimedOut))),
        "seed {seed}: {answer:?}"
    );
    cluster.heal().unwrap();
    cluster.advance(Duration::from_secs(5));
    let converged = cluster.run_until(Duration::from_secs(60), Cluster::has_converged);
    assert!(converged.is_ok(), "seed {seed}: {:?}\n{}", cluster.unconverged(), cluster.trace());
    cluster
}

/// It hears the others, who do not hear it: they elect another one.
#[test]
fn a_controller_that_nobody_hears_resigns_and_nothing_comes_of_what_it_decided() {
    for seed in seeds(5) {
        let cluster = healed_after_half_reached(seed, false);
        assert!(!is_known(&cluster, "in-vain"), "seed {seed}\n{}", cluster.trace());
        put(&cluster, "a").unwrap();
    }
}

/// The others hear it, and would wait for it for ever: it does not hear that they do.
#[test]
fn a_controller_that_hears_nobody_resigns_and_promises_nothing() {
    for seed in seeds(5) {
        let cluster = healed_after_half_reached(seed, true);
        // What the others have of it the next one may have taken over, for all of them.
        let known = cluster.inner.world.survey(|_, running| running.image().topic("in-vain").is_some());
        assert!(known.iter().all(|knows| *knows == known[0]), "seed {seed}: {known:?}");
        put(&cluster, "a").unwrap();
    }
}
