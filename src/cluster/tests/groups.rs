//! Groups whose coordinator is a broker among others.

use super::*;
use crate::{GroupState, Offsets};
use std::collections::BTreeSet;

const GROUP: &str = "billing";

/// A cluster with a topic of four partitions that has eight records.
fn cluster(seed: u64) -> Cluster {
    let config = TopicConfig::new().partitions(4).replication_factor(3).min_insync_replicas(2);
    let cluster = Cluster::builder().seed(seed).topic("t", config).start().unwrap();
    for n in 0..8 {
        cluster.produce(Record::to("t").partition(n % 4).value(&n.to_string())).unwrap();
    }
    cluster
}

/// The broker that keeps the group.
fn coordinator(cluster: &Cluster) -> BrokerId {
    let partition = crate::group::partition_for_group(GROUP, 50);
    cluster.leader("__consumer_offsets", partition).unwrap()
}

/// Polls until so many records have come, and gives their values in order.
fn read(consumer: &mut crate::Consumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    for _ in 0..200 {
        if values.len() >= count {
            break;
        }
        let records = consumer.poll(Duration::from_millis(500)).unwrap();
        values.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
    }
    values.sort();
    values
}

fn assigned(consumer: &crate::Consumer) -> BTreeSet<i32> {
    consumer.assignment().iter().map(|of| of.partition()).collect()
}

#[test]
fn a_group_goes_on_where_it_has_stopped() {
    let cluster = cluster(1);
    let mut consumer = cluster.consumer(GROUP).subscribe("t").unwrap();
    assert_eq!(read(&mut consumer, 8).len(), 8);
    consumer.commit_offset().unwrap();
    consumer.close().unwrap();
    cluster.produce(Record::to("t").partition(2).value("more")).unwrap();
    let mut next = cluster.consumer(GROUP).subscribe("t").unwrap();
    assert_eq!(read(&mut next, 1), ["more"]);
    let mut other = cluster.consumer("another").subscribe("t").unwrap();
    assert_eq!(read(&mut other, 9).len(), 9);
}

#[test]
fn a_group_outlives_its_coordinator() {
    for seed in 0..4 {
        let cluster = cluster(seed);
        let mut consumer = cluster.consumer(GROUP).subscribe("t").unwrap();
        assert_eq!(read(&mut consumer, 8).len(), 8);
        consumer.commit_offset().unwrap();
        let before = cluster.admin().describe_group(GROUP).unwrap();
        let first = coordinator(&cluster);
        cluster.kill(first).unwrap();
        cluster.produce(Record::to("t").partition(1).value("later")).unwrap();
        assert_eq!(read(&mut consumer, 1), ["later"]);
        consumer.commit_offset().unwrap();
        assert_ne!(coordinator(&cluster), first);
        assert_eq!(consumer.committed(("t", 1)).unwrap().unwrap().offset, 3);
        // What was committed before is there, too.
        assert_eq!(consumer.committed(("t", 0)).unwrap().unwrap().offset, 2);
        // It was not even asked to join anew: the new coordinator knows it.
        let after = cluster.admin().describe_group(GROUP).unwrap();
        assert_eq!((after.state, after.members), (GroupState::Stable, before.members));
    }
}

#[test]
fn members_share_and_whoever_goes_leaves_its_part_to_the_others() {
    let cluster = cluster(2);
    let mut one = cluster.consumer(GROUP).subscribe("t").unwrap();
    read(&mut one, 8);
    let mut two = cluster.consumer(GROUP).subscribe("t").unwrap();
    let both = |one: &mut crate::Consumer, two: &mut crate::Consumer| {
        for _ in 0..100 {
            one.poll(Duration::from_millis(200)).unwrap();
            two.poll(Duration::from_millis(200)).unwrap();
            if assigned(one).len() == 2 && assigned(two).len() == 2 {
                return;
            }
        }
        panic!("{:?} and {:?}", assigned(one), assigned(two));
    };
    both(&mut one, &mut two);
    assert!(assigned(&one).is_disjoint(&assigned(&two)));
    two.close().unwrap();
    let whole = |one: &mut crate::Consumer| {
        for _ in 0..100 {
            one.poll(Duration::from_millis(200)).unwrap();
            if assigned(one).len() == 4 {
                return;
            }
        }
        panic!("{:?}", assigned(one));
    };
    whole(&mut one);
}

#[test]
fn what_was_committed_is_not_lost_with_a_coordinator_that_is_cut_off() {
    let cluster = cluster(3);
    let mut consumer = cluster.consumer(GROUP).subscribe("t").unwrap();
    read(&mut consumer, 8);
    consumer.commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
    let first = coordinator(&cluster);
    cluster.isolate(first).unwrap();
    // Nobody answers at first.
    consumer.commit_offsets(Offsets::from([(("t", 0), 2)])).unwrap();
    assert_ne!(coordinator(&cluster), first);
    cluster.heal().unwrap();
    cluster.advance(Duration::from_secs(5));
    assert_eq!(consumer.committed(("t", 0)).unwrap().unwrap().offset, 2);
}

#[test]
fn groups_are_listed_wherever_they_are_kept_and_deleted_for_good() {
    let cluster = cluster(4);
    assert!(cluster.admin().list_groups().unwrap().is_empty());
    let names: Vec<String> = (0..6).map(|n| format!("g{n}")).collect();
    for name in &names {
        let consumer = cluster.consumer(name.as_str()).assign([("t", 0)]).unwrap();
        consumer.commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
    }
    assert_eq!(cluster.admin().list_groups().unwrap(), names);
    cluster.admin().delete_group("g3").unwrap();
    assert_eq!(cluster.admin().list_groups().unwrap().len(), 5);
    assert!(matches!(cluster.admin().describe_group("g3"), Err(Error::GroupIdNotFound { .. })));
    let described = cluster.admin().describe_group("g2").unwrap();
    assert_eq!(described.state, GroupState::Empty);
}

#[test]
fn the_topic_of_groups_is_not_the_applications_to_change() {
    let cluster = cluster(5);
    let refused =
        |result: Result<()>| assert!(matches!(result, Err(Error::InvalidTopic { .. })), "{result:?}");
    refused(cluster.create_topic("__consumer_offsets", TopicConfig::new()).map(drop));
    let consumer = cluster.consumer(GROUP).assign([("t", 0)]).unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
    refused(cluster.admin().delete_topic("__consumer_offsets").map(drop));
    refused(cluster.admin().create_partitions("__consumer_offsets", 60).map(drop));
}
