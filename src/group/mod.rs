//! A consumer group, as its coordinator sees it: a pure state machine. No clock, no file, no lock.
//!
//! Events go in; what comes out is an answer, and the records that make the change last. The offsets of a group change
//! by records alone ([`Group::apply`]), the same ones on the way to the log and on the way back from it, so that a
//! replay gives what there was, and a replay of the same records again changes nothing.
//!
//! In this version a group has one member at most.

mod commit;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod offset_record;

pub(crate) use commit::{CommitRecord, Committed};
pub(crate) use offset_record::{group_metadata_key, partition_for_group};

use crate::{
    error::{Error, Result},
    rpc::MemberIdentity,
    types::{
        Generation, GroupState, LeaderEpoch, Offset, OffsetAndMetadata, Offsets, Timestamp, TopicId,
        TopicPartition,
    },
};
use std::collections::BTreeMap;

/// The longest note of a committed offset, in UTF-16 code units (rule 48).
const MAX_METADATA: usize = 4096;

/// How many members a group may have.
const MAX_MEMBERS: usize = 1;

/// What happens to a group.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A consumer comes; the coordinator has made up an id for it.
    Join { member_id: String },
    /// A member goes.
    Leave { member_id: String },
    /// Offsets are committed, by a member or from outside.
    Commit { member: Option<MemberIdentity>, offsets: Offsets, topic_ids: BTreeMap<String, TopicId> },
    /// A topic was deleted (rule 11).
    TopicDeleted { topic: String },
    /// Offsets are to be committed no more.
    DeleteOffsets { partitions: Vec<TopicPartition> },
    /// The group is to be no more.
    Delete,
}

/// What is to be done about it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// To be appended to the group's partition of `__consumer_offsets` as one batch, and then applied.
    pub(crate) records: Vec<CommitRecord>,
    /// Who the group's new member is.
    pub(crate) joined: Option<MemberIdentity>,
    /// Whether the group is no more: that is appended, too, for a Kafka that has noted more of it than its offsets.
    pub(crate) gone: bool,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    id: String,
    generation: Generation,
    member: Option<String>,
    offsets: BTreeMap<TopicPartition, Committed>,
}

impl Group {
    pub(crate) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), generation: Generation(0), member: None, offsets: BTreeMap::new() }
    }

    /// Takes an event in, at the wall clock's time `now`. An event that is refused changes nothing.
    pub(crate) fn step(&mut self, event: Event, now: Timestamp) -> Result<Effects> {
        match event {
            Event::Join { member_id } => self.join(member_id),
            Event::Leave { member_id } => self.leave(&member_id),
            Event::Commit { member, offsets, topic_ids } => {
                self.commit(member.as_ref(), offsets, &topic_ids, now)
            }
            Event::TopicDeleted { topic } => Ok(self.forget(|partition| partition.topic() == topic)),
            Event::DeleteOffsets { partitions } => {
                self.check_deletable()?;
                Ok(self.forget(|partition| partitions.contains(partition)))
            }
            Event::Delete => {
                self.check_deletable()?;
                Ok(Effects { gone: true, ..self.forget(|_| true) })
            }
        }
    }

    /// Whether there is such a group: one without a member and without offsets is nothing.
    pub(crate) fn is_known(&self) -> bool {
        self.member.is_some() || !self.offsets.is_empty()
    }

    pub(crate) fn state(&self) -> GroupState {
        if self.member.is_some() { GroupState::Stable } else { GroupState::Empty }
    }

    /// The ids of its members.
    pub(crate) fn members(&self) -> impl Iterator<Item = &str> {
        self.member.as_deref().into_iter()
    }

    /// As Kafka does for a group whose members' topics it does not know.
    fn check_deletable(&self) -> Result<()> {
        if !self.is_known() {
            return Err(Error::GroupIdNotFound { group: self.id.clone() });
        }
        if self.member.is_some() {
            return Err(Error::NonEmptyGroup { group: self.id.clone() });
        }
        Ok(())
    }

    fn join(&mut self, member_id: String) -> Result<Effects> {
        if self.member.is_some() {
            return Err(Error::GroupMaxSizeReached { group: self.id.clone(), limit: MAX_MEMBERS });
        }
        self.generation = Generation(self.generation.0.saturating_add(1));
        self.member = Some(member_id.clone());
        let joined = Some(MemberIdentity { member_id, generation: self.generation });
        Ok(Effects { joined, ..Effects::default() })
    }

    fn leave(&mut self, member_id: &str) -> Result<Effects> {
        if self.member.as_deref() != Some(member_id) {
            return Err(Error::UnknownMemberId { group: self.id.clone() });
        }
        self.member = None;
        Ok(Effects::default())
    }

    /// Rules 1, 44, 46 and 48.
    fn commit(
        &self,
        member: Option<&MemberIdentity>,
        offsets: Offsets,
        topic_ids: &BTreeMap<String, TopicId>,
        now: Timestamp,
    ) -> Result<Effects> {
        match (member, &self.member) {
            (None, None) => {}
            (Some(from), Some(there)) if from.member_id == *there => {
                if from.generation != self.generation {
                    return Err(Error::IllegalGeneration { group: self.id.clone() });
                }
            }
            _ => return Err(Error::UnknownMemberId { group: self.id.clone() }),
        }
        let mut records = Vec::new();
        for (partition, offset) in offsets {
            if offset.metadata.encode_utf16().count() > MAX_METADATA {
                return Err(Error::OffsetMetadataTooLarge);
            }
            let committed = Committed {
                offset: Offset::new(offset.offset),
                leader_epoch: offset.leader_epoch.map(LeaderEpoch),
                metadata: offset.metadata,
                at: now,
                topic_id: topic_ids.get(partition.topic()).copied(),
            };
            records.push(CommitRecord { group: self.id.clone(), partition, committed: Some(committed) });
        }
        Ok(Effects { records, ..Effects::default() })
    }

    fn forget(&self, which: impl Fn(&TopicPartition) -> bool) -> Effects {
        let gone = self.offsets.keys().filter(|partition| which(partition));
        let tombstone = |partition: &TopicPartition| CommitRecord {
            group: self.id.clone(),
            partition: partition.clone(),
            committed: None,
        };
        Effects { records: gone.map(tombstone).collect(), ..Effects::default() }
    }

    /// Takes in a record of this group's that is in the log.
    pub(crate) fn apply(&mut self, record: &CommitRecord) {
        match &record.committed {
            Some(committed) => self.offsets.insert(record.partition.clone(), committed.clone()),
            None => self.offsets.remove(&record.partition),
        };
    }

    /// The partitions that something is committed for.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.offsets.keys()
    }

    /// What is committed for a partition of the topic that has the id `topic_id` now: what was committed for an older
    /// topic of that name does not count (rule 11).
    pub(crate) fn committed(
        &self,
        partition: &TopicPartition,
        topic_id: Option<TopicId>,
    ) -> Option<OffsetAndMetadata> {
        let committed = self.offsets.get(partition)?;
        let other = committed.topic_id.zip(topic_id).is_some_and(|(then, now)| then != now);
        let mut offset = OffsetAndMetadata::new(committed.offset.get(), committed.metadata.clone());
        offset.leader_epoch = committed.leader_epoch.map(|epoch| epoch.0);
        (!other).then_some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn join(group: &mut Group, id: &str) -> Result<MemberIdentity> {
        let effects = group.step(Event::Join { member_id: id.to_owned() }, NOW)?;
        Ok(effects.joined.expect("a member"))
    }

    fn commit(group: &mut Group, member: Option<&MemberIdentity>, offset: OffsetAndMetadata) -> Result<()> {
        let offsets = Offsets::from([(("t", 0), offset)]);
        let event = Event::Commit { member: member.cloned(), offsets, topic_ids: BTreeMap::new() };
        let effects = group.step(event, NOW)?;
        effects.records.iter().for_each(|record| group.apply(record));
        Ok(())
    }

    fn committed(group: &Group) -> Option<i64> {
        group.committed(&TopicPartition::new("t", 0), None).map(|o| o.offset)
    }

    #[test]
    fn a_second_member_is_refused_until_the_first_leaves() {
        let mut group = Group::new("g");
        let first = join(&mut group, "a").unwrap();
        assert!(matches!(join(&mut group, "b"), Err(Error::GroupMaxSizeReached { limit: 1, .. })));
        assert!(matches!(
            group.step(Event::Leave { member_id: "b".to_owned() }, NOW),
            Err(Error::UnknownMemberId { .. })
        ));
        group.step(Event::Leave { member_id: "a".to_owned() }, NOW).unwrap();
        assert!(join(&mut group, "b").unwrap().generation > first.generation);
    }

    #[test]
    fn rule_44_who_is_not_a_member_any_more_commits_nothing() {
        let mut group = Group::new("g");
        let first = join(&mut group, "a").unwrap();
        commit(&mut group, Some(&first), 5.into()).unwrap();
        let old = MemberIdentity { generation: Generation(0), ..first.clone() };
        assert!(matches!(commit(&mut group, Some(&old), 9.into()), Err(Error::IllegalGeneration { .. })));
        group.step(Event::Leave { member_id: "a".to_owned() }, NOW).unwrap();
        assert!(matches!(commit(&mut group, Some(&first), 9.into()), Err(Error::UnknownMemberId { .. })));
        assert_eq!(committed(&group), Some(5));
    }

    #[test]
    fn rule_46_a_commit_from_outside_passes_only_without_members() {
        let mut group = Group::new("g");
        commit(&mut group, None, 3.into()).unwrap();
        join(&mut group, "a").unwrap();
        assert!(matches!(commit(&mut group, None, 4.into()), Err(Error::UnknownMemberId { .. })));
        assert_eq!(committed(&group), Some(3));
    }

    #[test]
    fn rule_48_metadata_is_counted_in_utf16_units() {
        let mut group = Group::new("g");
        let fits = "\u{1f980}".repeat(2048);
        commit(&mut group, None, OffsetAndMetadata::new(1, fits.clone())).unwrap();
        assert_eq!(group.committed(&("t", 0).into(), None).unwrap().metadata, fits);
        let error = commit(&mut group, None, OffsetAndMetadata::new(2, fits + "x"));
        assert!(matches!(error, Err(Error::OffsetMetadataTooLarge)));
        assert_eq!(committed(&group), Some(1));
    }

    #[test]
    fn rule_11_offsets_of_an_older_topic_do_not_count_and_go_with_it() {
        let mut group = Group::new("g");
        let (old, new) = (TopicId::from_bytes([1; 16]), TopicId::from_bytes([2; 16]));
        let topic_ids = BTreeMap::from([("t".to_owned(), old)]);
        let offsets = Offsets::from([(("t", 0), 7), (("u", 0), 8)]);
        let effects = group.step(Event::Commit { member: None, offsets, topic_ids }, NOW).unwrap();
        effects.records.iter().for_each(|record| group.apply(record));
        assert!(group.committed(&("t", 0).into(), Some(old)).is_some());
        assert!(group.committed(&("t", 0).into(), Some(new)).is_none());
        let effects = group.step(Event::TopicDeleted { topic: "t".to_owned() }, NOW).unwrap();
        assert_eq!(effects.records.len(), 1);
        effects.records.iter().for_each(|record| group.apply(record));
        assert!(group.committed(&("t", 0).into(), None).is_none());
        assert!(group.committed(&("u", 0).into(), None).is_some());
    }

    #[test]
    fn a_group_is_deleted_only_if_it_is_there_and_has_no_member() {
        let mut group = Group::new("g");
        let delete = |group: &mut Group| group.step(Event::Delete, NOW);
        assert!(matches!(delete(&mut group), Err(Error::GroupIdNotFound { .. })));
        join(&mut group, "a").unwrap();
        assert!(group.is_known() && group.state() == GroupState::Stable);
        assert!(matches!(delete(&mut group), Err(Error::NonEmptyGroup { .. })));
        let some = Event::DeleteOffsets { partitions: vec![("t", 0).into()] };
        assert!(matches!(group.step(some.clone(), NOW), Err(Error::NonEmptyGroup { .. })));
        group.step(Event::Leave { member_id: "a".to_owned() }, NOW).unwrap();
        commit(&mut group, None, 3.into()).unwrap();
        let other = Event::DeleteOffsets { partitions: vec![("t", 1).into()] };
        assert!(group.step(other, NOW).unwrap().records.is_empty());
        assert_eq!(group.step(some, NOW).unwrap().records.len(), 1);
        let effects = delete(&mut group).unwrap();
        assert!(effects.gone && effects.records.len() == 1);
        effects.records.iter().for_each(|record| group.apply(record));
        assert!(!group.is_known());
    }
}
