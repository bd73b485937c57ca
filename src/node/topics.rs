//! Which topics there are, where their partitions are kept, and the file that remembers it.

use super::{metrics::Gone, partition::Partition};
use crate::{
    config::{TopicConfig, TopicSettings},
    env::{Storage, read_file, replace_file},
    error::{Error, Result},
    log::LogConfig,
    rpc::{
        PartitionMetadata, PartitionRef, TopicMetadata,
        metadata_record::{MetadataRecord, decode, encode},
    },
    sync::{Memo, RwLock, Version, thread_local},
    types::{BrokerId, TopicId, TopicPartition, check_topic_name},
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// The file of topic metadata, in the broker's directory.
pub(super) const METADATA_FILE: &str = "brooklet.metadata";

/// Room for a hundred thousand topics with all their settings.
const METADATA_LIMIT: u64 = 256 << 20;

/// A topic as the metadata file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicEntry {
    pub(super) name: Arc<str>,
    pub(super) id: TopicId,
    pub(super) config: TopicConfig,
    /// Deleted, but perhaps not all of its directories are.
    pub(super) removed: bool,
    /// Whether offsets may be missing between batches, since a cleaner is, or may once have been, at work.
    pub(super) gaps: bool,
    /// Found on the disk, and where its logs begin is not noted yet.
    pub(super) adopting: bool,
}

/// A topic that is there.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) entry: TopicEntry,
    /// By number.
    pub(super) partitions: Vec<Arc<Partition>>,
    /// Where each partition is kept in [`Topics::slots`].
    slots: Vec<u32>,
}

/// All topics.
#[derive(Debug, Default)]
pub(super) struct Topics {
    by_name: BTreeMap<Arc<str>, Topic>,
    names: BTreeMap<TopicId, Arc<str>>,
    /// Partitions by slot, so that a client that knows the slot pays no look-up by name.
    slots: Vec<Option<Arc<Partition>>>,
    free: Vec<u32>,
    /// Of what is in the slots: changes when one becomes free.
    version: Arc<Version>,
    /// Deleted topics whose directories are still to be removed.
    pub(super) removed: Vec<TopicEntry>,
    gone: Gone,
}

thread_local! {
    /// The partitions that this thread appended to last, so that it need not lock the topics for each record.
    static PARTITIONS: RefCell<Memo<Arc<Partition>>> = const { RefCell::new(Memo::new()) };
}

/// Calls `work` with the partition that a client means. An error comes in a box: what is copied for every record stays
/// small.
#[inline]
pub(super) fn with_partition<T>(
    topics: &RwLock<Topics>,
    version: &Version,
    of: &PartitionRef,
    work: impl FnOnce(&Arc<Partition>) -> Result<T, Box<Error>>,
) -> Result<T, Box<Error>> {
    PARTITIONS.with(|memo| {
        if let Ok(memo) = memo.try_borrow()
            && let Some(partition) = memo.get(version.get(), of.slot as usize)
            && partition.is(of)
        {
            return work(partition);
        }
        let (partition, version) = {
            let topics = topics.read();
            (Arc::clone(topics.partition(*of)?), version.get())
        };
        if let Ok(mut memo) = memo.try_borrow_mut() {
            memo.put(version, of.slot as usize, Arc::clone(&partition));
        }
        work(&partition)
    })
}

/// Forgets what this thread remembers, so that it keeps nothing of a broker that is closed.
pub(crate) fn forget_partitions() {
    PARTITIONS.with(|memo| memo.try_borrow_mut().map(|mut memo| *memo = Memo::new()).unwrap_or_default());
}

impl Topics {
    pub(super) fn get(&self, name: &str) -> Option<&Topic> {
        self.by_name.get(name)
    }

    pub(super) fn version(&self) -> Arc<Version> {
        Arc::clone(&self.version)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Topic> {
        self.by_name.values()
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.by_name.values().flat_map(|topic| &topic.partitions)
    }

    pub(super) fn insert(&mut self, entry: TopicEntry, partitions: Vec<Arc<Partition>>) {
        let slots = partitions.iter().map(|partition| self.take_slot(partition)).collect();
        self.names.insert(entry.id, Arc::clone(&entry.name));
        self.by_name.insert(Arc::clone(&entry.name), Topic { entry, partitions, slots });
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Topic> {
        let topic = self.by_name.remove(name)?;
        self.names.remove(&topic.entry.id);
        self.gone.leaving.extend(topic.partitions.iter().cloned());
        self.version.change();
        for slot in &topic.slots {
            if let Some(kept) = self.slots.get_mut(*slot as usize) {
                *kept = None;
                self.free.push(*slot);
            }
        }
        Some(topic)
    }

    /// Puts another one in a partition's place.
    pub(super) fn replace(&mut self, with: &Arc<Partition>) {
        let Some(topic) = self.names.get(&with.topic_id).and_then(|name| self.by_name.get_mut(name)) else {
            return;
        };
        let Ok(number) = usize::try_from(with.name().partition()) else { return };
        let (Some(there), Some(slot)) = (topic.partitions.get_mut(number), topic.slots.get(number)) else {
            return;
        };
        self.gone.leaving.push(std::mem::replace(there, Arc::clone(with)));
        if let Some(kept) = self.slots.get_mut(*slot as usize) {
            *kept = Some(Arc::clone(with));
        }
        self.version.change();
    }

    /// What was done in topics that were removed.
    pub(super) fn gone(&self) -> Gone {
        self.gone.clone()
    }

    /// Says that nothing more is done in the topics that were removed.
    pub(super) fn end_leaving(&mut self) {
        for partition in std::mem::take(&mut self.gone.leaving) {
            self.gone.counts.add(&partition.lock().counts());
        }
    }

    /// Adds the partitions of a topic that has got some; `entry` says how many it has now.
    pub(super) fn grow(&mut self, entry: TopicEntry, partitions: Vec<Arc<Partition>>) {
        let mut slots: Vec<u32> = partitions.iter().map(|partition| self.take_slot(partition)).collect();
        if let Some(topic) = self.by_name.get_mut(&entry.name) {
            topic.entry = entry;
            topic.partitions.extend(partitions);
            topic.slots.append(&mut slots);
        }
    }

    /// Has a topic be as `entry` says, and gives its partitions.
    pub(super) fn alter(&mut self, entry: TopicEntry) -> Vec<Arc<Partition>> {
        let Some(topic) = self.by_name.get_mut(&entry.name) else { return Vec::new() };
        topic.entry = entry;
        topic.partitions.clone()
    }

    fn take_slot(&mut self, partition: &Arc<Partition>) -> u32 {
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(free) => *free = Some(Arc::clone(partition)),
            None => self.slots.push(Some(Arc::clone(partition))),
        }
        slot
    }

    /// Notes that the topics that were found on the disk are topics like any other. `false`: there was none.
    pub(super) fn end_adoptions(&mut self) -> bool {
        let adopting = self.by_name.values_mut().map(|topic| &mut topic.entry.adopting);
        let changed: Vec<bool> = adopting.map(std::mem::take).collect();
        changed.contains(&true)
    }

    /// The partition that a client means; an error if its topic is not the one that the client knows.
    pub(super) fn partition(&self, of: PartitionRef) -> Result<&Arc<Partition>> {
        let kept = self.slots.get(of.slot as usize).and_then(Option::as_ref);
        let same = kept.filter(|partition| partition.is(&of)).or_else(|| self.find(&of));
        same.ok_or_else(|| Error::UnknownTopicId { topic: format!("with the id {}", of.topic_id) })
    }

    /// A partition of which the one who asks knows the slot that another broker keeps it in.
    fn find(&self, of: &PartitionRef) -> Option<&Arc<Partition>> {
        let topic = self.by_name.get(self.names.get(&of.topic_id)?)?;
        topic.partitions.get(usize::try_from(of.partition).ok()?)
    }

    /// What clients are told of a topic.
    pub(super) fn metadata(&self, topic: &Topic, me: BrokerId) -> TopicMetadata {
        let partition = |(partition, slot): (&Arc<Partition>, &u32)| {
            let (leader, leader_epoch) = partition.lock().leader(me);
            let (topic_id, number) = (topic.entry.id, partition.name().partition());
            let partition = PartitionRef { topic_id, partition: number, slot: *slot };
            PartitionMetadata { partition, leader, leader_epoch }
        };
        TopicMetadata {
            name: Arc::clone(&topic.entry.name),
            id: topic.entry.id,
            config: topic.entry.config.clone(),
            partitions: topic.partitions.iter().zip(&topic.slots).map(partition).collect(),
        }
    }

    /// As `entries`, with one of the topics as it shall be.
    pub(super) fn entries_with(&self, changed: &TopicEntry) -> Vec<TopicEntry> {
        let mut entries = self.entries();
        entries.iter_mut().filter(|entry| entry.id == changed.id).for_each(|entry| *entry = changed.clone());
        entries
    }

    /// What the metadata file says: the topics that are there, and those that are not removed entirely.
    pub(super) fn entries(&self) -> Vec<TopicEntry> {
        self.by_name.values().map(|topic| &topic.entry).chain(&self.removed).cloned().collect()
    }
}

impl TopicEntry {
    fn records(&self, records: &mut Vec<MetadataRecord>) {
        let partitions = self.config.partition_count().unwrap_or(1);
        records.push(MetadataRecord::Topic { id: self.id, name: self.name.to_string(), partitions });
        let config = |(key, value): (&String, &String)| MetadataRecord::Config {
            topic: self.id,
            key: key.clone(),
            value: value.clone(),
        };
        records.extend(self.config.values().iter().map(config));
        if self.gaps {
            records.push(MetadataRecord::Gaps { topic: self.id });
        }
        if self.adopting {
            records.push(MetadataRecord::Adopting { topic: self.id });
        }
        if self.removed {
            records.push(MetadataRecord::RemoveTopic { id: self.id });
        }
    }

    pub(super) fn log_config(&self, root: &Path, partition: i32, settings: &TopicSettings) -> LogConfig {
        let partition = TopicPartition::shared(Arc::clone(&self.name), partition);
        LogConfig {
            dir: root.join(partition.to_string()),
            partition,
            settings: settings.clone(),
            gaps: self.gaps || settings.cleanup_policy.compacts(),
            gaps_anywhere: false,
            replicated: false,
        }
    }
}

/// Replaces the metadata file, durably.
pub(super) fn write_metadata(storage: &dyn Storage, root: &Path, entries: &[TopicEntry]) -> Result<()> {
    let mut records = Vec::new();
    entries.iter().for_each(|entry| entry.records(&mut records));
    replace_file(storage, &root.join(METADATA_FILE), &encode(&records))
}

/// Reads the metadata file; no topics if there is none.
pub(super) fn read_metadata(storage: &dyn Storage, root: &Path) -> Result<Vec<TopicEntry>> {
    let path = root.join(METADATA_FILE);
    let Some(bytes) = read_file(storage, &path, METADATA_LIMIT)? else { return Ok(Vec::new()) };
    let damaged =
        |reason| Error::KafkaStorageError { path: path.clone(), partition: None, offset: None, reason };
    entries(decode(&bytes).map_err(damaged)?).map_err(damaged)
}

fn entries(records: Vec<MetadataRecord>) -> Result<Vec<TopicEntry>, String> {
    let mut by_id: BTreeMap<TopicId, (TopicEntry, i32, BTreeMap<String, String>)> = BTreeMap::new();
    for record in records {
        let id = match &record {
            MetadataRecord::Topic { id, .. } | MetadataRecord::RemoveTopic { id } => *id,
            MetadataRecord::Config { topic, .. }
            | MetadataRecord::Gaps { topic }
            | MetadataRecord::Adopting { topic } => *topic,
            MetadataRecord::RegisterBroker { .. }
            | MetadataRecord::BrokerChange { .. }
            | MetadataRecord::Partition { .. }
            | MetadataRecord::UnregisterBroker { .. }
            | MetadataRecord::Voters { .. }
            | MetadataRecord::Changes { .. }
            | MetadataRecord::ProducerIds { .. } => return Err("it has a cluster's records".to_owned()),
        };
        if let MetadataRecord::Topic { name, partitions, .. } = record {
            let (name, config) = (name.into(), TopicConfig::new());
            let entry = TopicEntry { name, id, config, removed: false, gaps: false, adopting: false };
            by_id.insert(id, (entry, partitions, BTreeMap::new()));
            continue;
        }
        let (entry, _, values) = by_id.get_mut(&id).ok_or("a record of a topic that it does not have")?;
        match record {
            MetadataRecord::Config { key, value, .. } => drop(values.insert(key, value)),
            MetadataRecord::Gaps { .. } => entry.gaps = true,
            MetadataRecord::Adopting { .. } => entry.adopting = true,
            _ => entry.removed = true,
        }
    }
    let whole = |(entry, partitions, values)| TopicEntry {
        config: TopicConfig::from_stored(partitions, values),
        ..entry
    };
    let entries: Vec<TopicEntry> = by_id.into_values().map(whole).collect();
    check_entries(&entries)?;
    Ok(entries)
}

/// Names become those of directories, each of one topic, and as many of them as there are partitions.
fn check_entries(entries: &[TopicEntry]) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for entry in entries {
        check_topic_name(&entry.name).map_err(|error| error.to_string())?;
        entry.config.partition_count().map_err(|error| error.to_string())?;
        if !entry.removed && !names.insert(&entry.name) {
            return Err(format!("it has two topics {}", entry.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(topics: &[(u8, &str, i32)]) -> bool {
        let record = |(id, name, partitions): &(u8, &str, i32)| MetadataRecord::Topic {
            id: TopicId::from_bytes([*id; 16]),
            name: (*name).to_owned(),
            partitions: *partitions,
        };
        entries(topics.iter().map(record).collect()).is_err()
    }

    #[test]
    fn what_cannot_be_topics_is_refused() {
        assert!(!refused(&[(1, "a", 1), (2, "b", 3)]));
        assert!(refused(&[(1, "a", 1), (2, "a", 1)]), "two of one name");
        assert!(refused(&[(1, "../a", 1)]), "a name that is a path");
        assert!(refused(&[(1, "a", 0)]), "no partition");
        assert!(entries(vec![MetadataRecord::ProducerIds { next: 0 }]).is_err(), "a cluster's");
    }
}
