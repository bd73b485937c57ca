//! Which broker leads which partition, as far as a client knows.

use crate::{
    rpc::{MetadataResponse, PartitionRef},
    types::{BrokerId, TopicId},
};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct KnownLeaders {
    by_partition: BTreeMap<(TopicId, i32), BrokerId>,
}

impl KnownLeaders {
    pub(super) fn learn(&mut self, metadata: &MetadataResponse) {
        for topic in &metadata.topics {
            for partition in &topic.partitions {
                let of = (partition.partition.topic_id, partition.partition.partition);
                self.by_partition.insert(of, partition.leader);
            }
        }
    }

    pub(super) fn of(&self, partition: &PartitionRef) -> Option<BrokerId> {
        let known = self.by_partition.get(&(partition.topic_id, partition.partition)).copied();
        known.filter(|leader| *leader != BrokerId::NOBODY)
    }

    /// What is known of a partition does not hold any more.
    pub(super) fn forget(&mut self, partition: &PartitionRef) {
        self.by_partition.remove(&(partition.topic_id, partition.partition));
    }
}
