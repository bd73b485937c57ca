//! Topics that are made, altered and deleted.

use super::{Controller, Election, placement::place};
use crate::{
    config::TopicConfig,
    error::{Error, Result},
    rpc::{
        AlterConfigsRequest, CreatePartitionsRequest, CreateTopicRequest, CreateTopicResponse,
        DeleteTopicRequest, Done,
        metadata_record::{MetadataRecord, PartitionState},
    },
    types::{BrokerId, LeaderEpoch, PartitionEpoch, TopicId, check_topic_name},
};
use std::{collections::BTreeSet, ops::Range};

impl Controller {
    /// Replicas go to brokers that are there, and all of them are in sync: there is nothing yet.
    pub(super) fn create_topic(&mut self, request: &CreateTopicRequest) -> Result<CreateTopicResponse> {
        let CreateTopicRequest { name, config } = request;
        check_topic_name(name)?;
        if self.image.topic(name).is_some() {
            return Err(Error::TopicAlreadyExists { topic: name.clone() });
        }
        let plain = |name: &str| name.replace('.', "_");
        if let Some(other) = self.image.topics.values().find(|other| plain(&other.name) == plain(name)) {
            let reason = format!("it collides with {}: '.' and '_' are taken for the same", other.name);
            return Err(Error::InvalidTopic { topic: name.clone(), reason });
        }
        let partitions = config.partition_count()?;
        config.settings()?;
        let brokers = self.active_brokers();
        let replicas = config.replicas(brokers.len())?;
        let id = loop {
            let id = TopicId::random(&mut self.prng);
            if !self.image.topics.contains_key(&id) {
                break id;
            }
        };
        self.decide(MetadataRecord::Topic { id, name: name.clone(), partitions });
        for (key, value) in config.values() {
            let (key, value) = (key.clone(), value.clone());
            self.decide(MetadataRecord::Config { topic: id, key, value });
        }
        let start = self.prng.below(brokers.len() as u64) as usize;
        self.place(id, &brokers, replicas, start, 0..partitions);
        Ok(CreateTopicResponse { id })
    }

    fn active_brokers(&self) -> Vec<BrokerId> {
        let active = self.image.brokers.iter().filter(|(_, broker)| broker.is_active());
        active.map(|(id, _)| *id).collect()
    }

    fn place(
        &mut self,
        topic: TopicId,
        brokers: &[BrokerId],
        replicas: usize,
        start: usize,
        partitions: Range<i32>,
    ) {
        for (partition, replicas) in partitions.clone().zip(place(brokers, replicas, start, partitions)) {
            let state = PartitionState {
                isr: replicas.iter().copied().collect(),
                adding: BTreeSet::new(),
                removing: BTreeSet::new(),
                elr: BTreeSet::new(),
                leader: replicas.first().copied(),
                last_known_leader: None,
                leader_epoch: LeaderEpoch(0),
                partition_epoch: PartitionEpoch(0),
                replicas,
            };
            self.decide(MetadataRecord::Partition { topic, partition, state });
        }
    }

    fn id_of(&self, name: &str) -> Result<TopicId> {
        let unknown = || Error::UnknownTopicOrPartition { topic: name.to_owned(), partition: None };
        self.image.topic(name).map(|(id, _)| id).ok_or_else(unknown)
    }

    pub(super) fn delete_topic(&mut self, request: &DeleteTopicRequest) -> Result<Done> {
        let id = self.id_of(&request.name)?;
        self.decide(MetadataRecord::RemoveTopic { id });
        Ok(Done)
    }

    /// As many replicas as the topic's first partition has, placed behind those that are there.
    pub(super) fn create_partitions(&mut self, request: &CreatePartitionsRequest) -> Result<Done> {
        let (name, total) = (&request.topic, request.total);
        let id = self.id_of(name)?;
        let Some(topic) = self.image.topics.get(&id) else { return Ok(Done) };
        let before = topic.config.partition_count()?;
        let invalid = |reason| Error::InvalidPartitions { topic: name.clone(), reason };
        if total <= before {
            return Err(invalid(format!("it has {before}, and {total} are not more")));
        }
        let config = TopicConfig::from_stored(total, topic.config.values().clone());
        config.partition_count().map_err(|error| invalid(error.to_string()))?;
        let first = topic.partitions.get(&0).map(PartitionState::target).unwrap_or_default();
        let brokers = self.active_brokers();
        let factor = i16::try_from(first.len()).unwrap_or(i16::MAX);
        let replicas = TopicConfig::new().replication_factor(factor).replicas(brokers.len())?;
        let leads = |broker: &BrokerId| first.first() == Some(broker);
        let start = brokers.iter().position(leads).unwrap_or_default();
        self.decide(MetadataRecord::Topic { id, name: name.clone(), partitions: total });
        self.place(id, &brokers, replicas, start, before..total);
        Ok(Done)
    }

    pub(super) fn alter_configs(&mut self, request: &AlterConfigsRequest) -> Result<Done> {
        let id = self.id_of(&request.topic)?;
        let Some(topic) = self.image.topics.get(&id) else { return Ok(Done) };
        let altered = request.config.clone().or(&topic.config);
        if altered.partition_count()? != topic.config.partition_count()? {
            let (key, value) = ("num.partitions".to_owned(), altered.partition_count()?.to_string());
            let reason = "create_partitions adds partitions".to_owned();
            return Err(Error::InvalidConfig { key, value, reason });
        }
        altered.settings()?;
        let before = topic.config.values();
        let news = request.config.values().iter().filter(|(key, value)| before.get(*key) != Some(value));
        let news: Vec<MetadataRecord> = news
            .map(|(key, value)| MetadataRecord::Config { topic: id, key: key.clone(), value: value.clone() })
            .collect();
        let (minimum, partitions) = (topic.min_insync_replicas, topic.partitions.keys().copied());
        let partitions: Vec<i32> = partitions.collect();
        news.into_iter().for_each(|record| self.decide(record));
        let is_same = self.image.topics.get(&id).is_some_and(|topic| topic.min_insync_replicas == minimum);
        partitions.into_iter().for_each(|n| self.see_to_settings(id, n, is_same));
        Ok(Done)
    }

    /// With another minimum, others are eligible; where unclean leaders are allowed now, there may be one. The leader may not
    /// alter its ISR before it knows the minimum: it would raise the high watermark by the old one, which somebody who is
    /// eligible by the new one does not know of.
    fn see_to_settings(&mut self, topic: TopicId, partition: i32, has_same_minimum: bool) {
        let before = self.image.partition(topic, partition).cloned();
        self.change_partition((topic, partition), None, None, Election::Online);
        let unchanged = before.filter(|before| self.image.partition(topic, partition) == Some(before));
        if let Some(mut state) = unchanged.filter(|_| !has_same_minimum) {
            state.partition_epoch = PartitionEpoch(state.partition_epoch.0 + 1);
            self.decide(MetadataRecord::Partition { topic, partition, state });
        }
    }
}
