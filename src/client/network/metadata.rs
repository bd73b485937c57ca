//! Which broker leads which partition, as far as a client knows.

use crate::{
    rpc::{MetadataResponse, PartitionRef},
    types::{BrokerId, LeaderEpoch, TopicId},
};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct KnownLeaders {
    by_partition: BTreeMap<(TopicId, i32), Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    /// `None`: whoever led does not any more.
    leader: Option<BrokerId>,
    /// The newest leadership that was heard of.
    epoch: LeaderEpoch,
}

impl KnownLeaders {
    /// Takes in what a broker says. One that is cut off from the others tells of leaders of long ago: of a partition that a newer one
    /// is known of nothing is learnt.
    pub(super) fn learn(&mut self, metadata: &MetadataResponse) {
        for there in metadata.topics.iter().flat_map(|topic| &topic.partitions) {
            let of = (there.partition.topic_id, there.partition.partition);
            if self.by_partition.get(&of).is_none_or(|known| known.epoch <= there.leader_epoch) {
                let leader = Some(there.leader).filter(|leader| *leader != BrokerId::NOBODY);
                self.by_partition.insert(of, Known { leader, epoch: there.leader_epoch });
            }
        }
    }

    /// Whether a broker tells of a leader of long ago.
    pub(super) fn is_old(&self, partition: &PartitionRef, metadata: &MetadataResponse) -> bool {
        let mut there = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        let of = (partition.topic_id, partition.partition);
        let there = there.find(|there| (there.partition.topic_id, there.partition.partition) == of);
        let known = self.by_partition.get(&of);
        there.zip(known).is_some_and(|(there, known)| there.leader_epoch < known.epoch)
    }

    /// Puts in what is known where a broker tells of leaders of long ago. Whether it did.
    pub(super) fn correct(&self, metadata: &mut MetadataResponse) -> bool {
        let mut was_old = false;
        for there in metadata.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            let of = (there.partition.topic_id, there.partition.partition);
            let newer = self.by_partition.get(&of).filter(|known| known.epoch > there.leader_epoch);
            if let Some(known) = newer {
                (there.leader, there.leader_epoch) = (known.leader.unwrap_or(BrokerId::NOBODY), known.epoch);
                was_old = true;
            }
        }
        was_old
    }

    pub(super) fn of(&self, partition: &PartitionRef) -> Option<BrokerId> {
        self.by_partition.get(&(partition.topic_id, partition.partition))?.leader
    }

    /// Whoever led a partition does not any more, or is not there.
    pub(super) fn forget(&mut self, partition: &PartitionRef) {
        if let Some(known) = self.by_partition.get_mut(&(partition.topic_id, partition.partition)) {
            known.leader = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        TopicConfig,
        rpc::{PartitionMetadata, TopicMetadata},
    };

    const PARTITION: PartitionRef =
        PartitionRef { topic_id: TopicId::from_bytes([1; 16]), partition: 0, slot: u32::MAX };

    fn topic(there: PartitionMetadata) -> TopicMetadata {
        let (name, id, config) = ("t".into(), PARTITION.topic_id, TopicConfig::new());
        TopicMetadata { name, id, config, partitions: vec![there] }
    }

    fn metadata(leader: i32, epoch: i32) -> MetadataResponse {
        let there = PartitionMetadata {
            partition: PARTITION,
            leader: leader.into(),
            leader_epoch: LeaderEpoch(epoch),
        };
        MetadataResponse { topics: vec![topic(there)], version: 0 }
    }

    #[test]
    fn what_a_broker_that_is_behind_says_does_not_count() {
        let mut known = KnownLeaders::default();
        known.learn(&metadata(1, 4));
        assert_eq!(known.of(&PARTITION), Some(1.into()));
        assert!(known.is_old(&PARTITION, &metadata(2, 3)) && !known.is_old(&PARTITION, &metadata(2, 4)));
        known.learn(&metadata(2, 3));
        assert_eq!(known.of(&PARTITION), Some(1.into()));
        let mut old = metadata(2, 3);
        assert!(known.correct(&mut old) && !known.correct(&mut metadata(2, 4)));
        let there = &old.topics[0].partitions[0];
        assert_eq!((there.leader, there.leader_epoch), (1.into(), LeaderEpoch(4)));
        known.forget(&PARTITION);
        known.learn(&metadata(2, 3));
        assert_eq!(known.of(&PARTITION), None);
        known.learn(&metadata(3, 5));
        assert_eq!(known.of(&PARTITION), Some(3.into()));
    }
}
