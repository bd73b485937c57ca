//! A change of what a group has committed: as the group knows it, and as the log keeps it.

use super::offset_record::{OffsetKey, OffsetValue};
use crate::types::{LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};

/// What is committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next offset to read.
    pub(crate) offset: Offset,
    pub(crate) leader_epoch: Option<LeaderEpoch>,
    pub(crate) metadata: String,
    pub(crate) at: Timestamp,
    /// Of the topic that it was committed for.
    pub(crate) topic_id: Option<TopicId>,
}

/// A group's commit for a partition, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitRecord {
    pub(crate) group: String,
    pub(crate) partition: TopicPartition,
    /// `None`: nothing is committed any more.
    pub(crate) committed: Option<Committed>,
}

impl CommitRecord {
    /// The key and the value of its record.
    pub(crate) fn encode(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
        let (topic, partition) = (self.partition.topic(), self.partition.partition());
        let mut key = Vec::new();
        OffsetKey { group: &self.group, topic, partition }
            .encode(&mut key)
            .map_err(|error| error.to_string())?;
        let Some(committed) = &self.committed else { return Ok((key, None)) };
        let mut value = Vec::new();
        let fields = OffsetValue {
            offset: committed.offset,
            leader_epoch: committed.leader_epoch,
            metadata: &committed.metadata,
            commit_timestamp: committed.at,
            topic_id: committed.topic_id,
        };
        fields.encode(&mut value).map_err(|error| error.to_string())?;
        Ok((key, Some(value)))
    }

    pub(super) fn of(key: OffsetKey<'_>, value: Option<OffsetValue<'_>>) -> Self {
        let committed = value.map(|value| Committed {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.to_owned(),
            at: value.commit_timestamp,
            topic_id: value.topic_id,
        });
        let partition = TopicPartition::new(key.topic, key.partition);
        Self { group: key.group.to_owned(), partition, committed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::GroupRecord;

    #[test]
    fn a_commit_and_its_end_read_back_what_they_write() {
        let committed = Committed {
            offset: Offset::new(42),
            leader_epoch: Some(LeaderEpoch(3)),
            metadata: "é".to_owned(),
            at: Timestamp::from_millis(9),
            topic_id: Some(TopicId::from_bytes([5; 16])),
        };
        for committed in [Some(committed), None] {
            let record = CommitRecord { group: "g".to_owned(), partition: ("t", 7).into(), committed };
            let (key, value) = record.encode().unwrap();
            let read = GroupRecord::decode(Some(&key), value.as_deref());
            assert_eq!(read, Ok(Some(GroupRecord::Commit(record))));
        }
    }
}
