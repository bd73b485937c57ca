//! Topics that are found on the disk, and not in the metadata file: directories that Kafka wrote, or that somebody put
//! there. They become topics whose settings are not known, so that nothing of them is ever removed on its own.

use super::{
    Node,
    admin::OFFSETS_PARTITIONS,
    checkpoints::Checkpoints,
    directory::{partition_of_dir, read_partition_metadata},
    topics::{METADATA_FILE, TopicEntry},
};
use crate::{
    config::TopicConfig,
    env::{Entry, read_file},
    error::{Error, Result},
    log::{PARTITION_METADATA, base_of_log},
    types::{OFFSETS_TOPIC, Offset, TopicId, TopicPartition},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// What the controllers of a Kafka cluster write: not a topic's.
const CONTROLLERS_TOPIC: &str = "__cluster_metadata";

/// How [`META_PROPERTIES`] begins where brooklet has made it.
pub(super) const MADE_BY_BROOKLET: &str = "# brooklet\n";

pub(super) const META_PROPERTIES: &str = "meta.properties";

/// By which the directory of a cluster is known, which has one for each broker.
pub(crate) const CLUSTER_PROPERTIES: &str = "cluster.properties";

/// Of a broker of a cluster: its share of the metadata log.
const METADATA_DIR: &str = "metadata";

/// Settings that keep everything for ever.
const KEEP_ALL: [(&str, &str); 3] =
    [("retention.ms", "-1"), ("retention.bytes", "-1"), ("cleanup.policy", "")];

/// Directories of one topic, by their numbers, each with the id that it says.
type Found = BTreeMap<i32, Option<TopicId>>;

/// What a directory with a partition's name holds.
enum Content {
    Partition(Option<TopicId>),
    /// Made just before a Kafka ended, perhaps.
    Nothing,
    SomethingElse,
}

impl Node {
    /// The topics of `there` that `known` does not name. A directory that contradicts what is known is refused. Nothing
    /// is changed.
    pub(super) fn find_topics(
        &self,
        there: &[Entry],
        known: &[TopicEntry],
        checkpoints: &Checkpoints,
    ) -> Result<Vec<TopicEntry>> {
        let mut found: BTreeMap<&str, Found> = BTreeMap::new();
        let mut empty: Vec<(&str, i32)> = Vec::new();
        for entry in there.iter().filter(|entry| entry.is_dir) {
            let Some((topic, number)) = partition_of_dir(&entry.name) else { continue };
            if topic == CONTROLLERS_TOPIC || is_of(known, topic, number) {
                continue;
            }
            match self.content(&self.dir.join(&entry.name))? {
                Content::Partition(id) => drop(found.entry(topic).or_default().insert(number, id)),
                Content::Nothing => empty.push((topic, number)),
                Content::SomethingElse => {}
            }
        }
        self.refuse_contradictions(&found, known)?;
        if !self.salvage {
            self.refuse_lost_metadata(there, &found, checkpoints)?;
        }
        for (topic, number) in empty {
            if let Some(found) = found.get_mut(topic) {
                found.insert(number, None);
            }
        }
        let mut ids: BTreeMap<TopicId, String> =
            known.iter().map(|entry| (entry.id, entry.name.to_string())).collect();
        found.iter().map(|(topic, dirs)| self.adopted(topic, dirs, &mut ids)).collect()
    }

    /// What is a cluster's is opened as a cluster: its brokers go by a metadata log, of which a broker alone knows nothing.
    pub(super) fn refuse_a_clusters(&self, there: &[Entry]) -> Result<()> {
        let is_clusters = |entry: &Entry| match entry.is_dir {
            true => entry.name == METADATA_DIR && self.replication.is_none(),
            false => entry.name == CLUSTER_PROPERTIES,
        };
        if !there.iter().any(is_clusters) {
            return Ok(());
        }
        let reason = "it is a cluster's: Cluster::builder().directory(..) opens it".to_owned();
        Err(Error::KafkaStorageError { path: self.dir.clone(), partition: None, offset: None, reason })
    }

    fn content(&self, dir: &Path) -> Result<Content> {
        let entries = self.storage.list(dir)?.unwrap_or_default();
        let is_partitions = |entry: &Entry| {
            let name = &*entry.name;
            !entry.is_dir && (name == PARTITION_METADATA || base_of_log(name).is_some())
        };
        Ok(match entries.iter().any(is_partitions) {
            true => Content::Partition(read_partition_metadata(&*self.storage, dir)?),
            false if entries.is_empty() => Content::Nothing,
            false => Content::SomethingElse,
        })
    }

    /// A topic that is known has a number of partitions: one more is somebody else's, or the metadata file is not the
    /// one that belongs here.
    fn refuse_contradictions(&self, found: &BTreeMap<&str, Found>, known: &[TopicEntry]) -> Result<()> {
        let live = known.iter().filter(|entry| !entry.removed);
        let beyond = live.filter_map(|entry| Some((entry, found.get(&*entry.name)?.keys().next()?)));
        match beyond.into_iter().next() {
            Some((entry, number)) => {
                let count = entry.config.partition_count()?;
                let reason = format!("{METADATA_FILE} has {count} partitions of {}", entry.name);
                Err(self.refused(&entry.name, *number, reason))
            }
            None => Ok(()),
        }
    }

    /// A store that brooklet has made has its metadata file. Without it the number of partitions is not known for sure,
    /// by which groups are found.
    fn refuse_lost_metadata(
        &self,
        there: &[Entry],
        found: &BTreeMap<&str, Found>,
        checkpoints: &Checkpoints,
    ) -> Result<()> {
        let named =
            |of: &TopicPartition| found.get(of.topic()).is_some_and(|f| f.contains_key(&of.partition()));
        if there.iter().any(|entry| entry.name == METADATA_FILE) || !checkpoints.partitions().any(named) {
            return Ok(());
        }
        if !self.is_made_by_brooklet()? {
            return Ok(());
        }
        let reason = "it is missing, and brooklet has made the partitions that are there".to_owned();
        let path = self.dir.join(METADATA_FILE);
        Err(Error::KafkaStorageError { path, partition: None, offset: None, reason })
    }

    fn is_made_by_brooklet(&self) -> Result<bool> {
        let properties = read_file(&*self.storage, &self.dir.join(META_PROPERTIES), 1 << 16)?;
        Ok(properties.is_some_and(|text| text.starts_with(MADE_BY_BROOKLET.as_bytes())))
    }

    /// The topic that directories make.
    fn adopted(&self, topic: &str, dirs: &Found, ids: &mut BTreeMap<TopicId, String>) -> Result<TopicEntry> {
        let mut highest = dirs.keys().next_back().copied().unwrap_or_default();
        if topic == OFFSETS_TOPIC && self.is_made_by_brooklet()? {
            // Its metadata file is lost; of this topic the number is known all the same.
            highest = highest.max(OFFSETS_PARTITIONS - 1);
        }
        let values = KEEP_ALL.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = TopicConfig::from_stored(highest.saturating_add(1), values);
        config.partition_count().map_err(|error| self.refused(topic, highest, error.to_string()))?;
        let said: BTreeSet<TopicId> = dirs.values().flatten().copied().collect();
        let mut said = said.into_iter();
        let id = match (said.next(), said.next()) {
            (Some(id), None) => id,
            (None, _) => TopicId::random(&mut self.prng.lock()),
            (Some(one), Some(_)) if self.salvage => most_frequent(dirs.values().flatten()).unwrap_or(one),
            (Some(one), Some(other)) => {
                let (number, _) = dirs.iter().find(|(_, id)| **id == Some(other)).unwrap_or((&0, &None));
                let reason = format!("it is of a topic with the id {other}, and others of {topic} of {one}");
                return Err(self.refused(topic, *number, reason));
            }
        };
        if let Some(other) = ids.insert(id, topic.to_owned()) {
            let reason = format!("it has the id {id} of the topic {other}: one is a copy of the other");
            return Err(self.refused(topic, highest, reason));
        }
        Ok(TopicEntry { name: topic.into(), id, config, removed: false, gaps: true, adopting: true })
    }

    fn refused(&self, topic: &str, number: i32, reason: String) -> Error {
        let partition = TopicPartition::new(topic, number);
        let path = self.dir.join(partition.to_string());
        Error::KafkaStorageError { path, partition: Some(partition), offset: None, reason }
    }

    /// Where the log of a partition that was found begins. Kafka notes that some time after it happened, and not at all
    /// where the first segment tells as much.
    pub(super) fn adopted_start(&self, dir: &Path, noted: Option<Offset>) -> Result<Option<Offset>> {
        let entries = self.storage.list(dir)?.unwrap_or_default();
        let log = |entry: &Entry| base_of_log(entry.name.strip_suffix(".swap").unwrap_or(&entry.name));
        let first = entries.iter().filter_map(log).min();
        Ok(noted.filter(|noted| first.is_none_or(|first| first <= *noted)))
    }
}

/// The id that most directories say; the least of several.
fn most_frequent<'a>(ids: impl Iterator<Item = &'a TopicId>) -> Option<TopicId> {
    let mut counts: BTreeMap<TopicId, usize> = BTreeMap::new();
    ids.for_each(|id| *counts.entry(*id).or_default() += 1);
    let most = counts.values().copied().max();
    counts.into_iter().find(|(_, count)| Some(*count) == most).map(|(id, _)| id)
}

/// Whether a partition is one that is known, or is about to go.
fn is_of(known: &[TopicEntry], topic: &str, number: i32) -> bool {
    let live = known.iter().find(|entry| !entry.removed && *entry.name == *topic);
    match live {
        Some(entry) => entry.config.partition_count().is_ok_and(|count| number < count),
        None => known.iter().any(|entry| *entry.name == *topic),
    }
}
