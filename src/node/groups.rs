//! The group coordinator's shell: it finds a group, gives it the event, appends the records that come out to
//! `__consumer_offsets`, and applies them when they are in the log.
//!
//! A partition of that topic is replayed when one of its groups is first asked for.

use super::{Node, admin::OFFSETS_TOPIC, partition::Partition, report::GroupBeyondEnd};
use crate::{
    error::{Error, Result},
    group::{CommitRecord, Effects, Event, Group, group_metadata_key, partition_for_group},
    record::{Batch, BatchWriter, MAX_INFLATED},
    rpc::{
        Done, FindCoordinatorRequest, FindCoordinatorResponse, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest, OffsetFetchResponse,
    },
    trace,
    types::{Durability, LeaderEpoch, Offset, TopicPartition, check_group_id},
};
use std::collections::{BTreeMap, BTreeSet};

/// How much of a partition is replayed at a time.
const REPLAY_BYTES: usize = 1 << 20;

/// How many partitions the topic has before it is made: as many as it will have.
const DEFAULT_PARTITIONS: i32 = 50;

/// All groups that were asked for.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) by_id: BTreeMap<String, Group>,
    /// The partitions of `__consumer_offsets` that were replayed.
    loaded: BTreeSet<i32>,
    /// Numbers the members.
    members: u64,
}

impl Node {
    pub(super) fn handle_find_coordinator(
        &self,
        request: &FindCoordinatorRequest,
    ) -> Result<FindCoordinatorResponse> {
        check_group_id(&request.group)?;
        Ok(FindCoordinatorResponse { broker: self.id })
    }

    pub(super) fn handle_join_group(&self, request: &JoinGroupRequest) -> Result<JoinGroupResponse> {
        check_group_id(&request.group)?;
        let mut groups = self.groups.lock();
        self.load_group(&mut groups, &request.group)?;
        let is_new = !groups.knows(&request.group);
        groups.members += 1;
        let salt = self.prng.lock().next_u64();
        let member_id = format!("consumer-{}-{salt:016x}", groups.members);
        let group = groups.by_id.entry(request.group.clone()).or_insert_with(|| Group::new(&request.group));
        let effects = group.step(Event::Join { member_id }, self.clock.wall())?;
        let member =
            effects.joined.ok_or_else(|| Error::IllegalState("a join without a member".to_owned()))?;
        drop(groups);
        if is_new {
            trace::group_created(&request.group);
        }
        Ok(JoinGroupResponse { member })
    }

    pub(super) fn handle_leave_group(&self, request: LeaveGroupRequest) -> Result<Done> {
        let mut groups = self.groups.lock();
        let unknown = || Error::UnknownMemberId { group: request.group.clone() };
        let group = groups.by_id.get_mut(&request.group).ok_or_else(unknown)?;
        group.step(Event::Leave { member_id: request.member_id }, self.clock.wall())?;
        Ok(Done)
    }

    pub(super) fn handle_offset_commit(&self, request: OffsetCommitRequest) -> Result<Done> {
        let committed = self.commit(request);
        match &committed {
            Ok(_) => self.requests.offset_commits.up(),
            Err(_) => self.requests.offset_commit_failures.up(),
        }
        committed
    }

    fn commit(&self, request: OffsetCommitRequest) -> Result<Done> {
        check_group_id(&request.group)?;
        let mut topic_ids = BTreeMap::new();
        for (partition, offset) in request.offsets.iter() {
            if offset.offset < 0 {
                return Err(Error::IllegalState(format!(
                    "{partition}: the offset {} is negative",
                    offset.offset
                )));
            }
            if self.partition_named(partition.topic(), partition.partition()).is_none() {
                let (topic, partition) = (partition.topic().to_owned(), Some(partition.partition()));
                return Err(Error::UnknownTopicOrPartition { topic, partition });
            }
            let (topic, id) = (partition.topic().to_owned(), self.topic_id(partition.topic()));
            // Rule 11: an offset of an old topic says nothing of the new one.
            if request.topic_ids.get(&topic).is_some_and(|meant| Some(*meant) != id) {
                return Err(Error::UnknownTopicId { topic });
            }
            topic_ids.extend(id.map(|id| (topic, id)));
        }
        if request.offsets.is_empty() {
            return Ok(Done);
        }
        self.ensure_offsets_topic()?;
        let mut groups = self.groups.lock();
        self.load_group(&mut groups, &request.group)?;
        let (is_new, partitions) = (!groups.knows(&request.group), request.offsets.len() as u64);
        let event = Event::Commit { member: request.member.clone(), offsets: request.offsets, topic_ids };
        self.step(&mut groups, &request.group, event, request.member.is_some())?;
        drop(groups);
        if is_new {
            trace::group_created(&request.group);
        }
        trace::offsets_committed(&request.group, partitions);
        Ok(Done)
    }

    /// Gives an event to a group, has its records appended, and applies them. A group that is not there is made, unless
    /// the event is from somebody who thinks to be a member (rule 44).
    pub(super) fn step(&self, groups: &mut Groups, id: &str, event: Event, from_member: bool) -> Result<()> {
        if from_member && !groups.by_id.contains_key(id) {
            return Err(Error::GroupIdNotFound { group: id.to_owned() });
        }
        let group = groups.by_id.entry(id.to_owned()).or_insert_with(|| Group::new(id));
        let Effects { records, gone, .. } = group.step(event, self.clock.wall())?;
        if records.is_empty() {
            return Ok(());
        }
        self.append_offsets(id, &records, gone)?;
        records.iter().for_each(|record| group.apply(record));
        if gone {
            groups.by_id.remove(id);
        }
        Ok(())
    }

    fn append_offsets(&self, group: &str, records: &[CommitRecord], gone: bool) -> Result<()> {
        let partition = self.offsets_partition(group).ok_or(Error::Closed)?;
        let now = self.clock.wall();
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        for record in records {
            let (key, value) = record.encode().map_err(Error::InvalidRecord)?;
            let pushed = writer.push(now, Some(&key), value.as_deref(), &[]);
            pushed.map_err(|error| Error::InvalidRecord(error.to_string()))?;
        }
        if let Some(key) = group_metadata_key(group).filter(|_| gone) {
            let pushed = writer.push(now, Some(&key), None, &[]);
            pushed.map_err(|error| Error::InvalidRecord(error.to_string()))?;
        }
        self.append(&partition, &mut writer.finish(), Durability::Buffered).map_err(|error| *error)?;
        Ok(())
    }

    pub(super) fn handle_offset_fetch(&self, request: &OffsetFetchRequest) -> Result<OffsetFetchResponse> {
        check_group_id(&request.group)?;
        let mut groups = self.groups.lock();
        self.load_group(&mut groups, &request.group)?;
        let group = groups.by_id.get(&request.group);
        let committed =
            |partition: &TopicPartition| group?.committed(partition, self.topic_id(partition.topic()));
        Ok(OffsetFetchResponse { offsets: request.partitions.iter().map(committed).collect() })
    }

    /// Rule 11: what was committed for a topic goes with it.
    pub(super) fn forget_offsets(&self, topic: &str) -> Result<()> {
        let mut groups = self.groups.lock();
        self.load_all_groups(&mut groups)?;
        let ids: Vec<String> = groups.by_id.keys().cloned().collect();
        for id in ids {
            self.step(&mut groups, &id, Event::TopicDeleted { topic: topic.to_owned() }, false)?;
        }
        Ok(())
    }

    fn offsets_partitions(&self) -> Option<i32> {
        i32::try_from(self.topics.read().get(OFFSETS_TOPIC)?.partitions.len()).ok()
    }

    fn offsets_partition(&self, group: &str) -> Option<std::sync::Arc<Partition>> {
        self.partition_named(OFFSETS_TOPIC, partition_for_group(group, self.offsets_partitions()?))
    }

    /// Replays the partition that the group is kept in, unless that was done before.
    pub(super) fn load_group(&self, groups: &mut Groups, group: &str) -> Result<()> {
        let count = self.offsets_partitions().unwrap_or(DEFAULT_PARTITIONS);
        self.replay(groups, partition_for_group(group, count))
    }

    pub(super) fn load_all_groups(&self, groups: &mut Groups) -> Result<()> {
        let count = self.offsets_partitions().unwrap_or(0);
        (0..count).try_for_each(|number| self.replay(groups, number))
    }

    /// What groups have committed beyond what is left of the logs; nothing after a clean close.
    pub(super) fn groups_beyond_end(&self, clean: bool) -> Result<Vec<GroupBeyondEnd>> {
        if clean {
            return Ok(Vec::new());
        }
        let mut groups = self.groups.lock();
        self.load_all_groups(&mut groups)?;
        let mut beyond = Vec::new();
        for (id, group) in &groups.by_id {
            for of in group.partitions() {
                let Some(committed) = group.committed(of, self.topic_id(of.topic())) else { continue };
                let Some(partition) = self.partition_named(of.topic(), of.partition()) else { continue };
                let mut state = partition.lock();
                let Some(log) = state.log_if_any()? else { continue };
                let epoch_end =
                    committed.leader_epoch.and_then(|epoch| log.end_offset_for_epoch(LeaderEpoch(epoch)));
                let end_offset = epoch_end.unwrap_or(log.end()).min(log.end()).get();
                if committed.offset > end_offset {
                    let (group, partition, committed) = (id.clone(), of.clone(), committed.offset);
                    beyond.push(GroupBeyondEnd { group, partition, committed, end_offset });
                }
            }
        }
        Ok(beyond)
    }

    fn replay(&self, groups: &mut Groups, number: i32) -> Result<()> {
        if groups.loaded.contains(&number) {
            return Ok(());
        }
        if let Some(partition) = self.partition_named(OFFSETS_TOPIC, number) {
            let mut replay = Replay::default();
            let mut position = Offset::ZERO;
            while let Some(next) = replay.some(groups, &partition, position)? {
                position = next;
            }
        }
        groups.loaded.insert(number);
        Ok(())
    }
}

/// A partition of `__consumer_offsets` on its way into the groups.
#[derive(Debug, Default)]
struct Replay {
    /// What transactions commit, by their producers, until their markers say how they end (rule 34).
    pending: BTreeMap<i64, Vec<CommitRecord>>,
}

impl Replay {
    /// Takes in some batches from an offset on, and says where to go on; `None` at the end.
    fn some(&mut self, groups: &mut Groups, partition: &Partition, from: Offset) -> Result<Option<Offset>> {
        let bytes = {
            let mut state = partition.lock();
            let Some(log) = state.log_if_any()? else { return Ok(None) };
            let (from, end) = (from.max(log.start()), log.end());
            log.read(from, end, REPLAY_BYTES, true)?
        };
        let mut rest: &[u8] = &bytes;
        let mut next = None;
        while let Ok(batch) = Batch::check(rest) {
            self.take(groups, partition, batch)?;
            next = Some(batch.header().next_offset());
            rest = rest.get(batch.header().size..).unwrap_or_default();
        }
        match (next, rest.is_empty() && bytes.is_empty()) {
            (None, false) => Err(corrupt(partition, from, from.plus(1), "its first batch does not check")),
            (next, _) => Ok(next),
        }
    }

    fn take(&mut self, groups: &mut Groups, partition: &Partition, batch: Batch<'_>) -> Result<()> {
        let header = *batch.header();
        let corrupt = |reason: &str| corrupt(partition, header.base_offset, header.next_offset(), reason);
        if header.attributes.is_control() {
            let ended =
                batch.marker().and_then(|marker| Some((marker, self.pending.remove(&header.producer_id)?)));
            if let Some((_, commits)) = ended.filter(|(marker, _)| !marker.is_abort()) {
                commits.iter().for_each(|commit| groups.apply(commit));
            }
            return Ok(());
        }
        let inflated = batch.inflate(MAX_INFLATED).map_err(|error| corrupt(&error.to_string()))?;
        let batch = inflated.as_deref().map_or(Some(batch), Batch::unchecked);
        let Some(batch) = batch else { return Ok(()) };
        batch.check_records().map_err(|error| corrupt(&error.to_string()))?;
        for record in batch.records() {
            let commit = CommitRecord::decode(record.key, record.value);
            match commit.map_err(|reason| corrupt(&format!("the record {}: {reason}", record.offset)))? {
                Some(commit) if header.attributes.is_transactional() => {
                    self.pending.entry(header.producer_id).or_default().push(commit);
                }
                Some(commit) => {
                    self.supersede(&commit);
                    groups.apply(&commit);
                }
                None => {}
            }
        }
        Ok(())
    }

    /// What was committed later counts, whenever a transaction ends that committed before.
    fn supersede(&mut self, later: &CommitRecord) {
        for commits in self.pending.values_mut() {
            commits
                .retain(|earlier| (&earlier.group, &earlier.partition) != (&later.group, &later.partition));
        }
    }
}

impl Groups {
    /// Whether there is such a group, among those that are loaded.
    fn knows(&self, group: &str) -> bool {
        self.by_id.get(group).is_some_and(Group::is_known)
    }

    fn apply(&mut self, commit: &CommitRecord) {
        self.by_id.entry(commit.group.clone()).or_insert_with(|| Group::new(&commit.group)).apply(commit);
    }
}

fn corrupt(partition: &Partition, offset: Offset, next: Offset, reason: &str) -> Error {
    Error::CorruptMessage {
        partition: partition.name().clone(),
        offset: offset.get(),
        next_offset: next.get(),
        reason: reason.to_owned(),
    }
}
