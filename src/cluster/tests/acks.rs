//! What producers are told of replicas that are too few, too slow or dead, and what consumers see.

use super::*;
use crate::{ProducerConfig, types::Acks};

/// Who has a copy and does not lead.
fn followers(cluster: &Cluster) -> Vec<BrokerId> {
    let leader = cluster.leader("t", 0).unwrap();
    cluster.replicas("t", 0).unwrap().into_iter().filter(|id| *id != leader).collect()
}

fn asking(cluster: &Cluster, acks: Acks) -> Producer {
    cluster.producer(ProducerConfig::new().acks(acks)).unwrap()
}

#[test]
fn rule_17_what_a_dead_leader_is_sent_with_acks_0_is_lost_and_the_next_one_is_found() {
    for seed in seeds(3) {
        let cluster = three(seed);
        let producer = asking(&cluster, Acks::Zero);
        producer.produce(Record::to("t").value("there")).unwrap();
        cluster.advance(Duration::from_secs(1));
        cluster.kill(cluster.leader("t", 0).unwrap()).unwrap();
        let before = cluster.now();
        assert_eq!(producer.produce(Record::to("t").value("lost")).unwrap().offset, -1);
        assert_eq!(cluster.now(), before, "nobody is waited for");
        let mut sent = Vec::new();
        for n in 0..20 {
            cluster.advance(Duration::from_millis(500));
            assert_eq!(producer.produce(Record::to("t").value(&n.to_string())).unwrap().offset, -1);
            sent.push(n.to_string());
        }
        cluster.advance(Duration::from_secs(1));
        assert_eq!((producer.metrics().records_failed, producer.metrics().records_sent), (0, 22));
        let values = read(&cluster);
        assert_eq!(values[0], "there");
        assert!(
            values.len() > 5 && sent.ends_with(&values[1..]),
            "seed {seed}: {values:?}\n{}",
            cluster.trace()
        );
    }
}

/// With whatever is to acknowledge it: where nobody leads, it is given up in the producer's time.
#[test]
fn who_finds_no_leader_gives_up_in_time() {
    for (seconds, acks) in [(1, Acks::All), (3, Acks::All), (3, Acks::One), (60, Acks::All)] {
        let cluster = three(8);
        let within = Duration::from_secs(seconds);
        let producer = cluster.producer(ProducerConfig::new().acks(acks).delivery_timeout(within)).unwrap();
        producer.produce(Record::to("t").value("there")).unwrap();
        cluster.brokers().into_iter().for_each(|broker| cluster.kill(broker).unwrap());
        let before = cluster.now();
        let error = producer.produce(Record::to("t").value("not there")).unwrap_err();
        assert!(matches!(error, Error::DeliveryTimedOut { .. }) && error.is_retriable(), "{error}");
        let took = (cluster.now().as_millis() - before.as_millis()) as f64 / 1e3;
        assert!((0.4 * seconds as f64..=seconds as f64 + 0.5).contains(&took), "{seconds} {acks:?}: {took}");
    }
}

#[test]
fn who_finds_nobody_that_knows_a_topic_is_told_in_time() {
    let cluster = three(8);
    let most = Duration::from_millis(700);
    let producer = cluster.producer(ProducerConfig::new().max_block(most)).unwrap();
    cluster.brokers().into_iter().for_each(|broker| cluster.kill(broker).unwrap());
    let before = cluster.now();
    let error = producer.send(Record::to("t").value("not there")).unwrap_err();
    assert!(matches!(error, Error::Timeout), "{error}");
    assert_eq!(cluster.now().as_millis() - before.as_millis(), 700);
}

/// Most of the brokers go on: the ISR shrinks below the minimum.
#[test]
fn rule_57_too_few_in_sync_keep_nobody_from_reading() {
    for seed in seeds(3) {
        let config = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
        let cluster = Cluster::builder().brokers(5).seed(seed).check_invariants(true).topic("t", config);
        let cluster = cluster.start().unwrap();
        for n in 0..5 {
            put(&cluster, &n.to_string()).unwrap();
        }
        let mut consumer = cluster.consumer(ConsumerConfig::standalone()).subscribe("t").unwrap();
        assert_eq!(consumer.poll(Duration::from_secs(1)).unwrap().len(), 5);
        let killed = followers(&cluster);
        killed.iter().for_each(|id| cluster.kill(*id).unwrap());
        cluster
            .run_until(Duration::from_secs(60), |c| c.isr("t", 0).is_ok_and(|isr| isr.len() == 1))
            .unwrap();
        // Rule 18: who asks only the leader may append, and nobody sees it.
        assert_eq!(asking(&cluster, Acks::One).produce(Record::to("t").value("unseen")).unwrap().offset, 5);
        let refused = put(&cluster, "refused").unwrap_err();
        assert!(matches!(refused, Error::NotEnoughReplicas { in_sync: 1, needed: 2, .. }), "{refused}");
        assert_eq!(cluster.high_watermark("t", 0).unwrap(), 5);
        assert_eq!(read(&cluster), ["0", "1", "2", "3", "4"], "seed {seed}");
        assert!(consumer.poll(Duration::from_secs(1)).unwrap().is_empty());
        killed.iter().for_each(|id| cluster.restart(*id).unwrap());
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(consumer.poll(Duration::from_secs(1)).unwrap().len(), 1, "it is seen now");
    }
}

/// Nobody is left who could change the ISR, or who could be asked whether its leader leads still.
#[test]
fn rule_57_two_of_three_that_are_dead_keep_nobody_from_reading() {
    for seed in seeds(3) {
        let cluster = three(seed);
        for n in 0..5 {
            put(&cluster, &n.to_string()).unwrap();
        }
        cluster.advance(Duration::from_secs(1));
        let killed = followers(&cluster);
        killed.iter().for_each(|id| cluster.kill(*id).unwrap());
        cluster.advance(Duration::from_secs(15));
        let error = put(&cluster, "in doubt").unwrap_err();
        assert!(error.is_indeterminate(), "{error}");
        assert_eq!(cluster.isr("t", 0).unwrap().len(), 3, "nobody can change it");
        assert_eq!(read(&cluster), ["0", "1", "2", "3", "4"], "seed {seed}");
        killed.iter().for_each(|id| cluster.restart(*id).unwrap());
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(read(&cluster)[..5], ["0", "1", "2", "3", "4"]);
    }
}

#[test]
fn rule_19_what_timed_out_is_seen_later_and_once() {
    for seed in seeds(3) {
        let cluster = three(seed);
        put(&cluster, "a").unwrap();
        let held = cluster.intercept(ApiKey::FetchFollower).topic("t").drop_request();
        let error = put(&cluster, "late").unwrap_err();
        assert!(matches!(error, Error::DeliveryTimedOut { .. }) && error.is_indeterminate(), "{error}");
        assert_eq!(cluster.isr("t", 0).unwrap().len(), 1);
        assert_eq!(read(&cluster), ["a"], "seed {seed}");
        held.remove();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(read(&cluster), ["a", "late"], "seed {seed}\n{}", cluster.trace());
        assert_eq!(put(&cluster, "b").unwrap(), 2);
        assert_eq!(read(&cluster), ["a", "late", "b"]);
    }
}
