//! What a group has committed: who may commit, how it is read back, and when it goes.

use super::{
    CommitRecord, Committed, Effects, Group, GroupRecord, MetadataRecord, Outcome, Pending, RequestId, State,
    Times,
};
use crate::{
    assign::{MemberSubscription, PROTOCOL_TYPE},
    error::{Error, Result},
    rpc::{Done, MemberIdentity, Response},
    types::{LeaderEpoch, Offset, OffsetAndMetadata, Offsets, Timestamp, TopicId, TopicPartition},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The longest note of a committed offset, in UTF-16 code units (rule 48).
const MAX_METADATA: usize = 4096;

impl Group {
    pub(super) fn commit(
        &mut self,
        request: RequestId,
        member: Option<&MemberIdentity>,
        offsets: Offsets,
        topic_ids: &BTreeMap<String, TopicId>,
        at: Times,
        effects: &mut Effects,
    ) -> Outcome {
        self.check_commit(member)?;
        let mut records = Vec::new();
        for (partition, offset) in offsets {
            if offset.metadata.encode_utf16().count() > MAX_METADATA {
                return Err(Error::OffsetMetadataTooLarge);
            }
            let committed = Committed {
                offset: Offset::new(offset.offset),
                leader_epoch: offset.leader_epoch.map(LeaderEpoch),
                metadata: offset.metadata,
                at: at.wall,
                topic_id: topic_ids.get(partition.topic()).copied(),
            };
            records.push(CommitRecord { group: self.id.clone(), partition, committed: Some(committed) });
        }
        if let Some(member) = member.and_then(|member| self.members.get_mut(&member.member_id)) {
            member.beat(at.now);
        }
        self.change(request, records, Response::OffsetCommit(Done), effects)
    }

    /// Rules 44 to 46.
    fn check_commit(&self, member: Option<&MemberIdentity>) -> Result<()> {
        match member {
            None if self.state == State::Empty => return Ok(()),
            None => return Err(self.unknown_member()),
            Some(member) => self.check_member(member)?,
        }
        match self.state {
            State::Completing => Err(Error::RebalanceInProgress { group: self.id.clone() }),
            State::Empty | State::Preparing { .. } | State::Stable => Ok(()),
        }
    }

    /// Has offsets changed by records, and then the request answered.
    fn change(
        &mut self,
        request: RequestId,
        records: Vec<CommitRecord>,
        answer: Response,
        effects: &mut Effects,
    ) -> Outcome {
        if records.is_empty() {
            return Ok(Some(answer));
        }
        let write = records.iter().cloned().map(GroupRecord::Commit).collect();
        self.write(write, Pending::Offsets { request, records, answer }, effects);
        Ok(None)
    }

    pub(super) fn forget(
        &mut self,
        request: RequestId,
        which: impl Fn(&TopicPartition) -> bool,
        effects: &mut Effects,
    ) -> Outcome {
        let records = self.tombstones(|partition, _| which(partition));
        self.change(request, records, Response::OffsetDelete(Done), effects)
    }

    fn tombstones(&self, which: impl Fn(&TopicPartition, &Committed) -> bool) -> Vec<CommitRecord> {
        let gone = self.offsets.iter().filter(|(partition, committed)| which(partition, committed));
        let tombstone = |partition: &TopicPartition| CommitRecord {
            group: self.id.clone(),
            partition: partition.clone(),
            committed: None,
        };
        gone.map(|(partition, _)| tombstone(partition)).collect()
    }

    /// Refused while there are members: nothing is to be changed behind their backs.
    pub(super) fn delete_offsets(
        &mut self,
        request: RequestId,
        partitions: &[TopicPartition],
        effects: &mut Effects,
    ) -> Outcome {
        self.check_deletable()?;
        self.forget(request, |partition| partitions.contains(partition), effects)
    }

    fn check_deletable(&self) -> Result<()> {
        if !self.is_known() {
            return Err(Error::GroupIdNotFound { group: self.id.clone() });
        }
        if self.state != State::Empty {
            return Err(Error::NonEmptyGroup { group: self.id.clone() });
        }
        Ok(())
    }

    pub(super) fn delete(&mut self, request: RequestId, effects: &mut Effects) -> Outcome {
        self.check_deletable()?;
        self.end(request, Response::DeleteGroup(Done), effects)
    }

    /// The tombstones of the offsets go first, then the group's.
    fn end(&mut self, request: RequestId, answer: Response, effects: &mut Effects) -> Outcome {
        let offsets = self.tombstones(|_, _| true).into_iter().map(GroupRecord::Commit);
        let end = GroupRecord::Metadata(MetadataRecord { group: self.id.clone(), metadata: None });
        let records = offsets.chain([end]).collect();
        self.write(records, Pending::End { request, answer }, effects);
        Ok(None)
    }

    /// Rule 49. A group that has nothing left goes, too.
    pub(super) fn expire(
        &mut self,
        request: RequestId,
        retention: Duration,
        at: Times,
        effects: &mut Effects,
    ) -> Outcome {
        let answer = Response::OffsetDelete(Done);
        let by = |since: Timestamp| since + retention <= at.wall;
        // Their subscriptions can be read.
        let consumers = self.protocol_type == PROTOCOL_TYPE;
        let subscribed = self.subscribed();
        let expired = |partition: &TopicPartition, committed: &Committed| match (&self.state, consumers) {
            // A simple group, whose members nobody knows: each offset by itself.
            (State::Empty, _) if self.protocol_type.is_empty() => by(committed.at),
            (State::Empty, _) => by(self.since.max(committed.at)),
            (State::Stable, true) => {
                let wanted = subscribed.as_ref().is_none_or(|topics| topics.contains(partition.topic()));
                !wanted && by(committed.at)
            }
            _ => false,
        };
        let records = self.tombstones(expired);
        let is_empty = self.state == State::Empty && self.pending.is_empty() && self.writes.is_empty();
        if is_empty && self.is_known() && records.len() == self.offsets.len() {
            return self.end(request, answer, effects);
        }
        self.change(request, records, answer, effects)
    }

    /// The topics that members subscribe to; `None` if that cannot be told of one of them.
    fn subscribed(&self) -> Option<BTreeSet<String>> {
        let protocol = self.protocol.as_deref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(MemberSubscription::decode(&member.metadata(protocol)).ok()?.topics);
        }
        Some(topics)
    }

    pub(super) fn apply_commit(&mut self, record: &CommitRecord) {
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
