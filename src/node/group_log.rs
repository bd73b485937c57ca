//! Groups in `__consumer_offsets`: how their records get there, and how they are read back when one of a partition's groups is
//! first asked for.

use super::{Node, groups::Groups, partition::Partition, produce::Produced};
use crate::{
    error::{Error, Result},
    group::{CommitRecord, GroupRecord, Limits, partition_for_group},
    record::{Batch, BatchWriter, MAX_INFLATED},
    types::{Acks, Durability, OFFSETS_TOPIC, Offset},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How much of a partition is replayed at a time.
const REPLAY_BYTES: usize = 1 << 20;

impl Node {
    /// Appends records of a group's, and tells who wrote it where they are.
    pub(super) fn append_offsets(
        &self,
        partition: &Arc<Partition>,
        records: &[GroupRecord],
    ) -> Result<Produced> {
        let now = self.wall();
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        for record in records {
            let (key, value) = record.encode().map_err(Error::InvalidRecord)?;
            let pushed = writer.push(now, Some(&key), value.as_deref(), &[]);
            pushed.map_err(|error| Error::InvalidRecord(error.to_string()))?;
        }
        self.append(partition, &mut writer.finish(), (Acks::All, Durability::Buffered))
            .map_err(|error| *error)
    }

    pub(super) fn offsets_partitions(&self) -> Option<i32> {
        i32::try_from(self.topics.read().get(OFFSETS_TOPIC)?.partitions.len()).ok()
    }

    pub(super) fn offsets_partition(&self, group: &str) -> Option<Arc<Partition>> {
        self.partition_named(OFFSETS_TOPIC, partition_for_group(group, self.offsets_partitions()?))
    }

    /// Replays a partition: the ids of its groups.
    pub(super) fn replay(&self, groups: &mut Groups, partition: &Partition) -> Result<BTreeSet<String>> {
        let mut replay = Replay::new(self.group_limits);
        let mut position = Offset::ZERO;
        while let Some(next) = replay.some(groups, partition, position)? {
            position = next;
        }
        // Their transactions have not ended.
        groups.in_transaction.extend(replay.pending.into_values().flatten().map(|commit| commit.group));
        Ok(replay.ids)
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
