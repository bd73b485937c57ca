//! Topics, and other things that are asked for.

use super::*;
use crate::rpc::{
    AllocateProducerIdsRequest, AlterConfigsRequest, CreatePartitionsRequest, DeleteTopicRequest,
};

fn create(name: &str, config: TopicConfig) -> CreateTopicRequest {
    CreateTopicRequest { name: name.to_owned(), config }
}

#[test]
fn a_topic_is_placed_on_brokers_that_are_there_and_all_are_in_sync() {
    let mut kept = Kept::new(4);
    kept.fence(&[4]);
    kept.ask(create("t", TopicConfig::new().partitions(6).set("segment.bytes", "4096"))).unwrap();
    let (_, topic) = kept.controller.image.topic("t").unwrap();
    assert_eq!(topic.config.get("segment.bytes"), Some("4096"));
    for n in 1..=3 {
        let leads = topic.partitions.values().filter(|state| state.leader == Some(id(n))).count();
        assert_eq!(leads, 2);
    }
    for state in topic.partitions.values() {
        assert_eq!((state.isr.clone(), state.leader), (ids(&[1, 2, 3]), Some(state.replicas[0])));
    }
}

#[test]
fn a_topic_that_cannot_be_is_refused() {
    let mut kept = Kept::new(2);
    let factor = TopicConfig::new().replication_factor(3);
    assert!(matches!(kept.ask(create("t", factor)), Err(Error::InvalidReplicationFactor { .. })));
    assert!(matches!(kept.ask(create("a/b", TopicConfig::new())), Err(Error::InvalidTopic { .. })));
    let config = TopicConfig::new().set("retention.ms", "x");
    assert!(matches!(kept.ask(create("t", config)), Err(Error::InvalidConfig { .. })));
    kept.ask(create("t", TopicConfig::new())).unwrap();
    assert!(matches!(kept.ask(create("t", TopicConfig::new())), Err(Error::TopicAlreadyExists { .. })));
    kept.fence(&[1, 2]);
    let nobody = kept.ask(create("u", TopicConfig::new()));
    assert!(matches!(nobody, Err(Error::InvalidReplicationFactor { .. })));
}

#[test]
fn a_deleted_topics_name_is_free_and_its_id_is_not_used_again() {
    let mut kept = Kept::new(1);
    let first = kept.ask(create("t", TopicConfig::new())).unwrap().id;
    kept.ask(DeleteTopicRequest { name: "t".to_owned() }).unwrap();
    let gone = kept.ask(DeleteTopicRequest { name: "t".to_owned() });
    assert!(matches!(gone, Err(Error::UnknownTopicOrPartition { .. })));
    assert_ne!(kept.ask(create("t", TopicConfig::new())).unwrap().id, first);
}

#[test]
fn more_partitions_go_on_round_the_brokers() {
    let mut kept = Kept::new(3);
    let grow = |total| CreatePartitionsRequest { topic: "t".to_owned(), total };
    kept.ask(create("t", TopicConfig::new().partitions(2).replication_factor(2))).unwrap();
    assert!(matches!(kept.ask(grow(2)), Err(Error::InvalidPartitions { .. })));
    assert!(matches!(kept.ask(grow(i32::MAX)), Err(Error::InvalidPartitions { .. })));
    kept.ask(grow(6)).unwrap();
    let (_, topic) = kept.controller.image.topic("t").unwrap();
    assert_eq!((topic.partitions.len(), topic.config.partition_count().unwrap()), (6, 6));
    for n in 1..=3 {
        let leads = topic.partitions.values().filter(|state| state.leader == Some(id(n))).count();
        assert_eq!(leads, 2);
    }
    assert!(topic.partitions.values().all(|state| state.replicas.len() == 2));
    kept.fence(&[1, 2]);
    assert!(matches!(kept.ask(grow(7)), Err(Error::InvalidReplicationFactor { .. })));
}

#[test]
fn settings_are_altered_and_the_rest_stays() {
    let mut kept = Kept::new(1);
    kept.ask(create("t", TopicConfig::new().segment_bytes(2048))).unwrap();
    let alter = |config| AlterConfigsRequest { topic: "t".to_owned(), config };
    kept.ask(alter(TopicConfig::new().max_message_bytes(999))).unwrap();
    let config = kept.controller.image.topic("t").unwrap().1.config.clone();
    assert_eq!((config.get("segment.bytes"), config.get("max.message.bytes")), (Some("2048"), Some("999")));
    let partitions = kept.ask(alter(TopicConfig::new().partitions(2)));
    assert!(matches!(partitions, Err(Error::InvalidConfig { .. })));
    assert!(matches!(kept.ask(alter(TopicConfig::new().segment_bytes(1))), Err(Error::InvalidConfig { .. })));
    let written = kept.records.len();
    kept.ask(alter(TopicConfig::new().max_message_bytes(999))).unwrap();
    assert_eq!(kept.records.len(), written, "nothing new");
}

#[test]
fn a_lowered_minimum_leaves_nobody_eligible_who_may_lack_what_comes_now() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], safe());
    kept.fence(&[2]);
    assert_eq!(kept.who(), (Some(1), vec![1], vec![2]));
    let config = TopicConfig::new().min_insync_replicas(1);
    kept.ask(AlterConfigsRequest { topic: "t".to_owned(), config }).unwrap();
    assert_eq!(kept.who(), (Some(1), vec![1], vec![]));
}

#[test]
fn a_leader_that_does_not_know_the_minimum_does_not_alter_its_isr() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], TopicConfig::new());
    let by_the_old_one = kept.alter(&[1]);
    kept.ask(AlterConfigsRequest { topic: "t".to_owned(), config: safe() }).unwrap();
    assert!(matches!(kept.ask(by_the_old_one), Err(Error::InvalidUpdateVersion)));
    kept.ask(kept.alter(&[1])).unwrap();
    assert_eq!(kept.who(), (Some(1), vec![1], vec![2]));
}

#[test]
fn allowing_unclean_leaders_elects_one_where_there_is_none() {
    let mut kept = Kept::new(2);
    kept.topic(&[1, 2], TopicConfig::new());
    kept.ask(kept.alter(&[1])).unwrap();
    kept.fence(&[1]);
    assert_eq!(kept.who(), (None, vec![1], vec![]));
    let config = TopicConfig::new().unclean_leader_election(true);
    kept.ask(AlterConfigsRequest { topic: "t".to_owned(), config }).unwrap();
    assert_eq!(kept.who(), (Some(2), vec![2], vec![]));
}

#[test]
fn blocks_of_producer_ids_do_not_overlap() {
    let mut kept = Kept::new(2);
    let mut first = |n: i32| {
        let (broker, broker_epoch) = (id(n), kept.epoch(n));
        let block = kept.ask(AllocateProducerIdsRequest { broker, broker_epoch }).unwrap();
        (block.first, block.count)
    };
    assert_eq!([first(1), first(2), first(1)], [(0, 1000), (1000, 1000), (2000, 1000)]);
    let stale = AllocateProducerIdsRequest { broker: id(1), broker_epoch: BrokerEpoch(0) };
    assert!(matches!(kept.ask(stale), Err(Error::StaleBrokerEpoch)));
}
