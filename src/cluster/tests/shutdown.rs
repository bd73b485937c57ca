//! Brokers that end in order.

use super::*;

fn since(cluster: &Cluster, before: Timestamp) -> Duration {
    Duration::from_millis((cluster.now().as_millis() - before.as_millis()).unsigned_abs())
}

#[test]
fn who_stops_has_handed_its_partitions_over_and_others_know() {
    for seed in seeds(10) {
        let config = TopicConfig::new().partitions(6).replication_factor(3).min_insync_replicas(2);
        let cluster =
            Cluster::builder().seed(seed).check_invariants(true).topic("t", config).start().unwrap();
        let (leader, before) = (cluster.leader("t", 0).unwrap(), cluster.now());
        cluster.stop(leader).unwrap();
        assert!(since(&cluster, before) < Duration::from_secs(1), "seed {seed}\n{}", cluster.trace());
        for partition in 0..6 {
            assert_ne!(cluster.leader("t", partition).unwrap(), leader, "seed {seed}");
            assert!(!cluster.isr("t", partition).unwrap().contains(&leader), "seed {seed}");
        }
        put(&cluster, "to another").unwrap();
        cluster.restart(leader).unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(read(&cluster), ["to another"]);
    }
}

/// Nothing that the last one had is lost: it is waited for, and so it leads again.
#[test]
fn the_only_copy_comes_back_with_its_broker() {
    let cluster = Cluster::builder().topic("t", TopicConfig::new().replication_factor(1)).start().unwrap();
    put(&cluster, "only here").unwrap();
    let leader = cluster.leader("t", 0).unwrap();
    cluster.stop(leader).unwrap();
    assert!(matches!(cluster.leader("t", 0), Err(Error::LeaderNotAvailable)));
    cluster.restart(leader).unwrap();
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(read(&cluster), ["only here"]);
}

#[test]
fn who_cannot_ask_the_controller_goes_nevertheless() {
    let cluster = three(1);
    let leader = cluster.leader("t", 0).unwrap();
    cluster.isolate(leader).unwrap();
    let before = cluster.now();
    cluster.stop(leader).unwrap();
    assert!(!cluster.is_running(leader).unwrap());
    assert_eq!(since(&cluster, before), Duration::from_secs(5));
}

/// It is a broker that ends, and not the cluster.
#[test]
fn who_waits_at_a_broker_that_stops_finds_the_connection_broken() {
    let cluster = three(3);
    let leader = cluster.leader("t", 0).unwrap();
    let others: Vec<BrokerId> = cluster.brokers().into_iter().filter(|id| *id != leader).collect();
    cluster.partition_network([leader], others).unwrap();
    let waits = idempotent::send_to(&cluster, leader, (idempotent::topic(&cluster), 0), "x");
    cluster.advance(Duration::from_millis(100));
    assert!(!waits.is_filled());
    cluster.stop(leader).unwrap();
    cluster.advance(Duration::from_millis(100));
    let answer = waits.take();
    assert!(matches!(answer, Some(Err(Error::NetworkException))), "{answer:?}");
}

/// The last of them has nobody to hand over to, and does not wait for it.
#[test]
fn all_stop_one_by_one_and_come_back() {
    let cluster = three(5);
    put(&cluster, "kept").unwrap();
    for id in cluster.brokers() {
        let before = cluster.now();
        cluster.stop(id).unwrap();
        assert!(since(&cluster, before) < Duration::from_secs(3), "broker {id}\n{}", cluster.trace());
    }
    cluster.brokers().into_iter().for_each(|id| cluster.restart(id).unwrap());
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    assert_eq!(read(&cluster), ["kept"]);
}
