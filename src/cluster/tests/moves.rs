//! Partitions that move: slowly, half way, and back.

use super::{
    scale::{directories, numbers},
    *,
};

/// Some 500 kB.
fn fill(cluster: &Cluster) {
    let value = vec![b'x'; 10_000];
    for _ in 0..50 {
        cluster.produce(Record::to("t").value(&value)).unwrap();
    }
}

/// Who has no copy of the topic `t`, of three.
fn third(cluster: &Cluster) -> BrokerId {
    let replicas = cluster.replicas("t", 0).unwrap();
    (1..=3).map(BrokerId::from).find(|id| !replicas.contains(id)).unwrap()
}

/// Where a broker's copy of the topic `t` ends.
fn end(cluster: &Cluster, broker: BrokerId) -> i64 {
    let end = |id, running: &host::Running| {
        let (topic, _) = running.image().topic("t").filter(|_| id == broker)?;
        running.node.view((topic, 0)).map(|view| view.end.get())
    };
    cluster.inner.world.survey(end).into_iter().flatten().next().unwrap_or(0)
}

#[test]
fn a_move_that_is_taken_back_half_way_leaves_nothing_behind() {
    for seed in seeds(3) {
        let config = TopicConfig::new().replication_factor(2).min_insync_replicas(2);
        let cluster =
            Cluster::builder().seed(seed).check_invariants(true).topic("t", config).start().unwrap();
        fill(&cluster);
        let (before, third) = (cluster.replicas("t", 0).unwrap(), third(&cluster));
        cluster.set_replication_throttle(Some(50_000));
        cluster.admin().alter_partition_reassignment(("t", 0), [third, before[0]]).unwrap();
        cluster.run_until(Duration::from_secs(60), |c| (10..40).contains(&end(c, third))).unwrap();
        assert_eq!(directories(&cluster, third, "t").len(), 1);
        cluster.admin().cancel_partition_reassignment(("t", 0)).unwrap();
        assert!(cluster.admin().list_partition_reassignments().unwrap().is_empty());
        put(&cluster, "more").unwrap();
        cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
        assert_eq!(numbers(&cluster.replicas("t", 0).unwrap()), numbers(&before), "seed {seed}");
        assert!(cluster.isr("t", 0).unwrap().iter().all(|id| before.contains(id)), "seed {seed}");
        // What is removed goes after a minute.
        cluster.advance(Duration::from_secs(120));
        assert_eq!(directories(&cluster, third, "t"), [""; 0], "seed {seed}\n{}", cluster.trace());
        let values = read(&cluster);
        assert!(values.len() == 51 && values[50] == "more", "seed {seed}: {}", values.len());
    }
}

/// The one to which a partition is on its way follows another one in sync, from the same leader.
#[test]
fn a_broker_that_is_slowed_down_keeps_up_where_it_is_in_sync() {
    let config = TopicConfig::new().replication_factor(2).min_insync_replicas(2);
    let whole = TopicConfig::new().partitions(3).replication_factor(3).min_insync_replicas(3);
    let cluster = Cluster::builder().seed(3).check_invariants(true).topic("t", config).topic("u", whole);
    let cluster = cluster.start().unwrap();
    fill(&cluster);
    let leader = cluster.leader("t", 0).unwrap();
    let beside = (0..3).find(|n| cluster.leader("u", *n).is_ok_and(|id| id == leader)).unwrap();
    cluster.set_replication_throttle(Some(50_000));
    let to: Vec<BrokerId> = cluster.replicas("t", 0).unwrap().into_iter().chain([third(&cluster)]).collect();
    let begun = cluster.now();
    cluster.admin().alter_partition_reassignment(("t", 0), to).unwrap();
    for n in 0..10 {
        cluster.advance(Duration::from_millis(300));
        let before = cluster.now();
        cluster.produce(Record::to("u").partition(beside).value("x")).unwrap();
        let took = cluster.now().as_millis() - before.as_millis();
        assert!(took < 500, "record {n} took {took} ms\n{}", cluster.trace());
    }
    assert!(!cluster.admin().list_partition_reassignments().unwrap().is_empty(), "it is on its way still");
    cluster.run_until(Duration::from_secs(60), Cluster::has_converged).unwrap();
    let took = cluster.now().as_millis() - begun.as_millis();
    assert!((9_000..13_000).contains(&took), "{took} ms for 500 kB at 50 kB/s");
}
