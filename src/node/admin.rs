//! Topics: make, delete, describe; and questions about a partition's offsets.

use super::{
    Node, Task,
    directory::{read_partition_metadata, removed_dir, write_partition_metadata},
    partition::Partition,
    topics::{TopicEntry, write_metadata},
};
use crate::{
    bugs::{self, Bug},
    config::{TopicConfig, TopicSettings},
    error::{Error, Result},
    log::{LoadedFrom, Log, LogConfig},
    rpc::{
        CreateTopicRequest, CreateTopicResponse, DeleteTopicRequest, Done, ListOffsetsRequest,
        ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetForLeaderEpochRequest,
        OffsetForLeaderEpochResponse,
    },
    trace,
    types::{IsolationLevel, OFFSETS_TOPIC, Offset, OffsetSpec, TopicId, check_topic_name},
};
use std::sync::Arc;

/// The topics that Kafka keeps for itself.
const INTERNAL_TOPICS: [&str; 3] = [OFFSETS_TOPIC, "__transaction_state", "__share_group_state"];

pub(super) fn is_internal(topic: &str) -> bool {
    INTERNAL_TOPICS.contains(&topic)
}

/// Refuses to have a topic made, grown or deleted that is not the application's.
pub(super) fn check_not_internal(topic: &str) -> Result<()> {
    if topic == OFFSETS_TOPIC {
        let reason = "it is an internal topic, which the groups' coordinator keeps".to_owned();
        return Err(Error::InvalidTopic { topic: topic.to_owned(), reason });
    }
    Ok(())
}

/// How many partitions it has.
pub(super) const OFFSETS_PARTITIONS: i32 = 50;

/// How a topic is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Creation {
    /// `None`: a new one.
    pub(super) id: Option<TopicId>,
    /// Whether its partitions get their directories now, or with their first records.
    pub(super) with_logs: bool,
}

impl Node {
    pub(super) fn handle_metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let topics = self.topics.read();
        let described = match &request.topics {
            Some(names) => {
                let mut found: Vec<_> = names.iter().filter_map(|name| topics.get(name)).collect();
                found.sort_by(|a, b| a.entry.name.cmp(&b.entry.name));
                found.iter().map(|topic| topics.metadata(topic, self.id)).collect()
            }
            None => topics.iter().map(|topic| topics.metadata(topic, self.id)).collect(),
        };
        MetadataResponse { topics: described, version: self.metadata.get() }
    }

    /// Makes a topic: durable in the metadata file before anything else, then on the disk, then for clients to see.
    pub(super) fn handle_create_topic(&self, request: &CreateTopicRequest) -> Result<CreateTopicResponse> {
        check_topic_name(&request.name)?;
        check_not_internal(&request.name)?;
        let config = request.config.clone().or(&self.topic_defaults);
        let partitions = config.partition_count()?;
        let id = self.create_topic(&request.name, config, Creation { id: None, with_logs: true })?;
        trace::topic_created(&request.name, partitions);
        Ok(CreateTopicResponse { id })
    }

    /// Makes the topic of committed offsets, if there is none. Its partitions get directories as they get records. In a cluster
    /// the controller makes it.
    pub(super) fn ensure_offsets_topic(&self) -> Result<()> {
        if self.replication.is_some() || self.topics.read().get(OFFSETS_TOPIC).is_some() {
            return Ok(());
        }
        let config = TopicConfig::offsets_topic(OFFSETS_PARTITIONS);
        match self.create_topic(OFFSETS_TOPIC, config, Creation { id: None, with_logs: false }) {
            Ok(_) => {
                trace::topic_created(OFFSETS_TOPIC, OFFSETS_PARTITIONS);
                Ok(())
            }
            Err(Error::TopicAlreadyExists { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn create_topic(&self, name: &str, config: TopicConfig, how: Creation) -> Result<TopicId> {
        let (settings, partitions) = (config.settings()?, config.partition_count()?);
        if self.replication.is_none() {
            config.replicas(1)?;
        }
        let _one_at_a_time = self.admin.lock();
        self.check_open()?;
        self.check_new_name(name)?;
        self.finish_removals()?;
        let id = how.id.unwrap_or_else(|| TopicId::random(&mut self.prng.lock()));
        let entry = TopicEntry {
            name: name.into(),
            id,
            config: TopicConfig::from_stored(partitions, config.values().clone()),
            removed: false,
            gaps: settings.cleanup_policy.compacts(),
            adopting: false,
        };
        let configs: Vec<_> = (0..partitions).map(|n| self.log_config(&entry, n, &settings)).collect();
        configs.iter().try_for_each(|config| self.check_unused(config))?;
        let made = self.make_topic(&entry, configs, how.with_logs);
        {
            let mut topics = self.topics.write();
            match made {
                Ok(partitions) => topics.insert(entry, partitions),
                // Some of it may be there, in the metadata file too. It goes before anything else is made.
                Err(error) => {
                    topics.removed.push(TopicEntry { removed: true, ..entry });
                    return Err(error);
                }
            }
            self.metadata_changed();
        }
        self.tell_of_topics();
        Ok(id)
    }

    fn make_topic(
        &self,
        entry: &TopicEntry,
        configs: Vec<LogConfig>,
        with_logs: bool,
    ) -> Result<Vec<Arc<Partition>>> {
        let mut entries = self.topics.read().entries();
        entries.push(entry.clone());
        write_metadata(&*self.storage, &self.dir, &entries)?;
        let make = |config: LogConfig| {
            let log = if with_logs { Some(self.make_log(&config, entry.id)?) } else { None };
            Ok(Partition::new(self.seams(), entry.id, config, log))
        };
        configs.into_iter().map(make).collect()
    }

    /// What the log of a topic's partition is to be.
    pub(super) fn log_config(
        &self,
        topic: &TopicEntry,
        partition: i32,
        settings: &TopicSettings,
    ) -> LogConfig {
        let replicated = self.replication.is_some();
        LogConfig { replicated, ..topic.log_config(&self.dir, partition, settings) }
    }

    pub(super) fn make_log(&self, config: &LogConfig, id: TopicId) -> Result<Log> {
        write_partition_metadata(&*self.storage, &config.dir, id)?;
        Ok(Log::open(&self.storage, config.clone(), LoadedFrom::New, Some(Offset::ZERO))?.0)
    }

    /// Rule 21: two names collide that differ only by `.` and `_`, since metrics cannot tell them apart.
    fn check_new_name(&self, name: &str) -> Result<()> {
        let topics = self.topics.read();
        if topics.get(name).is_some() {
            return Err(Error::TopicAlreadyExists { topic: name.to_owned() });
        }
        let plain = |name: &str| name.replace('.', "_");
        match topics.iter().find(|topic| plain(&topic.entry.name) == plain(name)) {
            Some(other) => {
                let reason =
                    format!("it collides with {}: '.' and '_' are taken for the same", other.entry.name);
                Err(Error::InvalidTopic { topic: name.to_owned(), reason })
            }
            None => Ok(()),
        }
    }

    /// What is noted of a topic that clients may change; `fixed` says why they may not of an internal one.
    pub(super) fn changeable(&self, topic: &str, fixed: &str) -> Result<TopicEntry> {
        let unknown = || Error::UnknownTopicOrPartition { topic: topic.to_owned(), partition: None };
        let entry = self.topics.read().get(topic).ok_or_else(unknown)?.entry.clone();
        if is_internal(topic) {
            return Err(Error::InvalidTopic { topic: topic.to_owned(), reason: fixed.to_owned() });
        }
        Ok(entry)
    }

    /// A directory that is there already and has records is somebody's: it is never taken over.
    pub(super) fn check_unused(&self, config: &LogConfig) -> Result<()> {
        let entries = self.storage.list(&config.dir)?.unwrap_or_default();
        for log in entries.iter().filter(|entry| entry.name.ends_with(".log")) {
            let file = self.storage.open(&config.dir.join(&log.name), crate::env::Open::Read)?;
            if file.len()? > 0 {
                let partition = Some(config.partition.clone());
                let reason = "a directory with records of a topic that is not known".to_owned();
                return Err(Error::KafkaStorageError {
                    path: config.dir.clone(),
                    partition,
                    offset: None,
                    reason,
                });
            }
        }
        Ok(())
    }

    /// Deletes a topic: from the metadata file first, so that no crash brings it back; its committed offsets go too
    /// (rule 11). Who holds records of it keeps them.
    pub(super) fn handle_delete_topic(&self, request: &DeleteTopicRequest) -> Result<Done> {
        let name = &request.name;
        check_not_internal(name)?;
        let one_at_a_time = self.admin.lock();
        self.check_open()?;
        let topic = {
            let mut topics = self.topics.write();
            let unknown = || Error::UnknownTopicOrPartition { topic: name.clone(), partition: None };
            let topic = topics.remove(name).ok_or_else(unknown)?;
            topics.removed.push(TopicEntry { removed: true, ..topic.entry.clone() });
            self.metadata_changed();
            topic
        };
        // From here on there is no way back, whatever fails: the metadata file may say so already, and what the topic
        // would take now would be gone at the next open.
        for partition in &topic.partitions {
            drop(partition.take_log(Error::UnknownTopicId { topic: name.clone() }));
        }
        self.topics.write().end_leaving();
        let removed = self.finish_removals();
        drop(one_at_a_time);
        self.tell_of_topics();
        trace::topic_deleted(name);
        removed.map(|()| Done)
    }

    /// Ends the deletions that are begun: just now, or before a crash or an error. First of all they are made to last, so
    /// that no crash brings a topic back of which a part is gone.
    pub(super) fn finish_removals(&self) -> Result<()> {
        let removed = self.topics.read().removed.clone();
        if removed.is_empty() {
            return Ok(());
        }
        let entries = self.topics.read().entries();
        if !bugs::is(Bug::RemoveBeforeNoted) {
            write_metadata(&*self.storage, &self.dir, &entries)?;
        }
        // What was noted of the old topic must not be taken for something of a new topic of that name.
        self.write_recovery_points()?;
        self.write_log_starts()?;
        self.forget_cleaned(&removed)?;
        for entry in removed {
            self.forget_offsets(&entry.name)?;
            self.remove_directories(&entry)?;
        }
        Ok(())
    }

    /// Takes a deleted topic's directories away: they get names, durably, that no topic can have, and are removed later. One
    /// that does not say of which topic it is has lost that in a crash: no other topic can have had its name.
    fn remove_directories(&self, entry: &TopicEntry) -> Result<()> {
        let delay = entry.config.settings()?.file_delete_delay;
        let mut removed = Vec::new();
        for number in 0..entry.config.partition_count()? {
            let dir = self.dir.join(format!("{}-{number}", entry.name));
            let there = self.storage.list(&dir)?.is_some();
            if there && read_partition_metadata(&*self.storage, &dir)?.is_none_or(|id| id == entry.id) {
                let aside = removed_dir(&dir, entry.id);
                self.storage.remove_dir(&aside)?;
                self.storage.rename(&dir, &aside)?;
                removed.push(aside);
            }
        }
        self.storage.sync_dir(&self.dir)?;
        self.timers.arm(self.clock.now().plus(delay), Task::RemoveDirs(removed));
        let mut entries = self.topics.read().entries();
        entries.retain(|other| other.id != entry.id);
        write_metadata(&*self.storage, &self.dir, &entries)?;
        self.topics.write().removed.retain(|other| other.id != entry.id);
        Ok(())
    }

    /// Rules 7 and 8.
    pub(super) fn handle_list_offsets(&self, request: ListOffsetsRequest) -> Result<ListOffsetsResponse> {
        let partition = self.partition(request.partition)?;
        let mut state = partition.lock();
        match request.spec {
            OffsetSpec::Earliest | OffsetSpec::At(_) => state.check_is_leader()?,
            OffsetSpec::Latest | OffsetSpec::Timestamp(_) => state.check_knows_end()?,
        }
        let Some(log) = state.log_if_any()? else {
            let known = !matches!(request.spec, OffsetSpec::Timestamp(_));
            let offset = known.then_some(Offset::ZERO);
            return Ok(ListOffsetsResponse { offset, metadata_version: self.metadata.get() });
        };
        let high_watermark = match (request.isolation, partition.high_watermark(log)) {
            (IsolationLevel::ReadUncommitted, high_watermark) => high_watermark,
            (IsolationLevel::ReadCommitted, high_watermark) => log.last_stable(high_watermark),
        };
        let offset = match request.spec {
            OffsetSpec::Earliest => Some(log.start()),
            OffsetSpec::Latest => Some(high_watermark),
            OffsetSpec::Timestamp(at) => log.find_time(at)?.filter(|found| *found < high_watermark),
            OffsetSpec::At(offset) => Some(Offset::new(offset)),
        };
        Ok(ListOffsetsResponse { offset, metadata_version: self.metadata.get() })
    }

    /// KIP-320.
    pub(super) fn handle_offset_for_leader_epoch(
        &self,
        request: OffsetForLeaderEpochRequest,
    ) -> Result<OffsetForLeaderEpochResponse> {
        let partition = self.partition(request.partition)?;
        let mut state = partition.lock();
        state.check_is_leader()?;
        let log = state.log_if_any()?;
        Ok(OffsetForLeaderEpochResponse {
            end_offset: log.and_then(|log| log.end_offset_for_epoch(request.leader_epoch)),
        })
    }

    /// The ids of topics by their names.
    pub(super) fn topic_id(&self, name: &str) -> Option<TopicId> {
        self.topics.read().get(name).map(|topic| topic.entry.id)
    }

    /// The partition `number` of a topic, if there is one.
    pub(super) fn partition_named(&self, topic: &str, number: i32) -> Option<Arc<Partition>> {
        let topics = self.topics.read();
        topics.get(topic)?.partitions.get(usize::try_from(number).ok()?).cloned()
    }
}
