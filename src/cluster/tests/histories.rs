//! Histories that broke Kafka and its peers, each by its name. Those of two replicas and one leader are at the node:
//! KIP-101 (`after_a_power_cut_of_all`, `a_follower_that_restarts`) and KIP-279 (`logs_that_parted_in_several_epochs`).

use super::*;

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
        let mut values = read(&cluster);
        values.dedup();
        assert_eq!(values, sent, "seed {seed}\n{}", cluster.trace());
    }
}
