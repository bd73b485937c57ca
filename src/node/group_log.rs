//! Groups in `__consumer_offsets`: how their records get there, and how they are read back when one of a partition's groups is
//! first asked for.

use super::{Node, admin::OFFSETS_TOPIC, groups::Groups, partition::Partition};
use crate::{
    error::{Error, Result},
    group::{CommitRecord, GroupRecord, Limits, partition_for_group},
    record::{Batch, BatchWriter, MAX_INFLATED},
    types::{Acks, Durability, Offset, Timestamp},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How much of a partition is replayed at a time.
const REPLAY_BYTES: usize = 1 << 20;

/// How many partitions the topic has before it is made: as many as it will have.
const DEFAULT_PARTITIONS: i32 = 50;

impl Node {
    pub(super) fn append_offsets(&self, group: &str, records: &[GroupRecord]) -> Result<()> {
        let partition = self.offsets_partition(group).ok_or(Error::Closed)?;
        let now = self.clock.wall();
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        for record in records {
            let (key, value) = record.encode().map_err(Error::InvalidRecord)?;
            let pushed = writer.push(now, Some(&key), value.as_deref(), &[]);
            pushed.map_err(|error| Error::InvalidRecord(error.to_string()))?;
        }
        self.append(&partition, &mut writer.finish(), (Acks::All, Durability::Buffered))
            .map_err(|error| *error)?;
        Ok(())
    }

    fn offsets_partitions(&self) -> Option<i32> {
        i32::try_from(self.topics.read().get(OFFSETS_TOPIC)?.partitions.len()).ok()
    }

    fn offsets_partition(&self, group: &str) -> Option<Arc<Partition>> {
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

    fn replay(&self, groups: &mut Groups, number: i32) -> Result<()> {
        if groups.loaded.contains(&number) {
            return Ok(());
        }
        if let Some(partition) = self.partition_named(OFFSETS_TOPIC, number) {
            let mut replay = Replay::new(self.group_limits);
            let mut position = Offset::ZERO;
            while let Some(next) = replay.some(groups, &partition, position)? {
                position = next;
            }
            replay.end(groups, self.clock.wall());
        }
        groups.loaded.insert(number);
        Ok(())
    }
}

/// A partition of `__consumer_offsets` on its way into the groups.
#[derive(Debug)]
struct Replay {
    limits: Limits,
    /// What transactions commit, by their producers, until their markers say how they end (rule 34).
    pending: BTreeMap<i64, Vec<CommitRecord>>,
    /// The groups that there are records of.
    ids: BTreeSet<String>,
}

impl Replay {
    fn new(limits: Limits) -> Self {
        Self { limits, pending: BTreeMap::new(), ids: BTreeSet::new() }
    }

    /// All is read. Whoever was a member lived in the process that had the directory before, and is gone with it.
    fn end(self, groups: &mut Groups, wall: Timestamp) {
        for id in self.ids {
            let group = groups.by_id.get_mut(&id);
            if group.is_some_and(|group| {
                group.take_up_alone(wall);
                !group.is_known()
            }) {
                groups.by_id.remove(&id);
            }
        }
        // Their transactions have not ended.
        groups.in_transaction.extend(self.pending.into_values().flatten().map(|commit| commit.group));
    }

    fn apply(&mut self, groups: &mut Groups, record: &GroupRecord) {
        if !self.ids.contains(record.group()) {
            self.ids.insert(record.group().to_owned());
        }
        groups.apply(self.limits, record);
    }

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
                commits
                    .into_iter()
                    .for_each(|commit| groups.apply(self.limits, &GroupRecord::Commit(commit)));
            }
            return Ok(());
        }
        let inflated = batch.inflate(MAX_INFLATED).map_err(|error| corrupt(&error.to_string()))?;
        let batch = inflated.as_deref().map_or(Some(batch), Batch::unchecked);
        let Some(batch) = batch else { return Ok(()) };
        batch.check_records().map_err(|error| corrupt(&error.to_string()))?;
        for record in batch.records() {
            let read = GroupRecord::decode(record.key, record.value);
            match read.map_err(|reason| corrupt(&format!("the record {}: {reason}", record.offset)))? {
                Some(GroupRecord::Commit(commit)) if header.attributes.is_transactional() => {
                    self.pending.entry(header.producer_id).or_default().push(commit);
                }
                Some(record) => {
                    if let GroupRecord::Commit(commit) = &record {
                        self.supersede(commit);
                    }
                    self.apply(groups, &record);
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

fn corrupt(partition: &Partition, offset: Offset, next: Offset, reason: &str) -> Error {
    Error::CorruptMessage {
        partition: partition.name().clone(),
        offset: offset.get(),
        next_offset: next.get(),
        reason: reason.to_owned(),
    }
}
