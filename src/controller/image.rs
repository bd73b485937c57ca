//! All that a cluster's metadata says, made from its records.

use crate::{
    config::TopicConfig,
    rpc::metadata_record::{MetadataRecord, PartitionState},
    types::{BrokerEpoch, BrokerId, TopicId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What records have made. Two members that have applied the same records have the same one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Image {
    pub(super) brokers: BTreeMap<BrokerId, RegisteredBroker>,
    pub(super) topics: BTreeMap<TopicId, TopicImage>,
    names: BTreeMap<Arc<str>, TopicId>,
    pub(super) next_producer_id: i64,
    /// Empty: those whom the cluster began with.
    voters: BTreeSet<BrokerId>,
    /// How many records have said something of topics.
    changes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RegisteredBroker {
    pub(crate) epoch: BrokerEpoch,
    /// The last epoch in which it was not fenced: in a later one it can have got no data.
    pub(super) served_in: Option<BrokerEpoch>,
    /// Of its process.
    pub(crate) incarnation: u64,
    /// It is not there, as far as the controller knows, or not yet.
    pub(crate) fenced: bool,
    pub(crate) shutting_down: bool,
}

impl RegisteredBroker {
    /// Whether it may lead, and be in sync.
    pub(crate) fn is_active(&self) -> bool {
        !self.fenced && !self.shutting_down
    }

    fn put_records(&self, id: BrokerId, records: &mut Vec<MetadataRecord>) {
        let Self { epoch, served_in, incarnation, fenced, shutting_down } = *self;
        let register = |epoch| MetadataRecord::RegisterBroker { id, epoch, incarnation };
        let change =
            |epoch, fenced, shutting_down| MetadataRecord::BrokerChange { id, epoch, fenced, shutting_down };
        // That it served once is what being unfenced once leaves behind.
        if let Some(served_in) = served_in {
            records.extend([register(served_in), change(served_in, false, false)]);
        }
        let registered_anew = served_in != Some(epoch);
        records.extend(registered_anew.then(|| register(epoch)));
        if (fenced, shutting_down) != (registered_anew, false) {
            records.push(change(epoch, fenced, shutting_down));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicImage {
    pub(crate) name: Arc<str>,
    /// As it was made and altered.
    pub(crate) config: TopicConfig,
    /// By number.
    pub(crate) partitions: BTreeMap<i32, PartitionState>,
    /// These two are of `config`, for elections.
    pub(super) min_insync_replicas: usize,
    pub(super) unclean_leader_election: bool,
}

impl TopicImage {
    fn new(name: &str, config: TopicConfig) -> Self {
        let topic = Self {
            name: name.into(),
            config: TopicConfig::new(),
            partitions: BTreeMap::new(),
            min_insync_replicas: 1,
            unclean_leader_election: false,
        };
        topic.with(config)
    }

    fn put_records(&self, id: TopicId, records: &mut Vec<MetadataRecord>) {
        let Self { name, config, partitions, min_insync_replicas: _, unclean_leader_election: _ } = self;
        let count = config.partition_count().unwrap_or(1);
        records.push(MetadataRecord::Topic { id, name: name.to_string(), partitions: count });
        let setting = |(key, value): (&String, &String)| MetadataRecord::Config {
            topic: id,
            key: key.clone(),
            value: value.clone(),
        };
        records.extend(config.values().iter().map(setting));
        let partition = |(number, state): (&i32, &PartitionState)| MetadataRecord::Partition {
            topic: id,
            partition: *number,
            state: state.clone(),
        };
        records.extend(partitions.iter().map(partition));
    }

    fn with(mut self, config: TopicConfig) -> Self {
        if let Ok(settings) = config.settings() {
            self.min_insync_replicas = settings.min_insync_replicas;
            self.unclean_leader_election = settings.unclean_leader_election;
        }
        Self { config, ..self }
    }
}

impl Image {
    /// What these records make of nothing.
    pub(crate) fn of(records: &[MetadataRecord]) -> Self {
        let mut image = Self::default();
        records.iter().for_each(|record| image.apply(record));
        image
    }

    /// Takes in a record. One about something that is not there says nothing.
    pub(crate) fn apply(&mut self, record: &MetadataRecord) {
        self.changes += u64::from(record.is_of_topics());
        match record {
            MetadataRecord::Changes { count } => self.changes = *count,
            MetadataRecord::Topic { id, name, partitions } => self.apply_topic(*id, name, *partitions),
            MetadataRecord::Config { topic, key, value } => self.apply_config(*topic, key, value),
            MetadataRecord::RemoveTopic { id } => {
                if let Some(topic) = self.topics.remove(id) {
                    self.names.remove(&topic.name);
                }
            }
            MetadataRecord::RegisterBroker { id, epoch, incarnation } => {
                let broker = RegisteredBroker {
                    epoch: *epoch,
                    served_in: self.brokers.get(id).and_then(|broker| broker.served_in),
                    incarnation: *incarnation,
                    fenced: true,
                    shutting_down: false,
                };
                self.brokers.insert(*id, broker);
            }
            MetadataRecord::BrokerChange { id, epoch, fenced, shutting_down } => {
                if let Some(broker) = self.brokers.get_mut(id).filter(|broker| broker.epoch == *epoch) {
                    (broker.fenced, broker.shutting_down) = (*fenced, *shutting_down);
                    broker.served_in = if *fenced { broker.served_in } else { Some(*epoch) };
                }
            }
            MetadataRecord::Partition { topic, partition, state } => {
                if let Some(topic) = self.topics.get_mut(topic) {
                    topic.partitions.insert(*partition, state.clone());
                }
            }
            MetadataRecord::UnregisterBroker { id } => drop(self.brokers.remove(id)),
            MetadataRecord::ProducerIds { next } => self.next_producer_id = *next,
            MetadataRecord::Voters { voters } => self.voters.clone_from(voters),
            // What only an embedded broker notes.
            MetadataRecord::Gaps { .. } | MetadataRecord::Adopting { .. } => {}
        }
    }

    /// Records that make an equal one of nothing: as few as there are things, not as many as were ever said.
    pub(crate) fn records(&self) -> Vec<MetadataRecord> {
        // Named one by one, so that nothing that is added is forgotten here.
        let Self { brokers, topics, names: _, next_producer_id, voters, changes } = self;
        let mut records = Vec::new();
        brokers.iter().for_each(|(id, broker)| broker.put_records(*id, &mut records));
        topics.iter().for_each(|(id, topic)| topic.put_records(*id, &mut records));
        if *next_producer_id != Self::default().next_producer_id {
            records.push(MetadataRecord::ProducerIds { next: *next_producer_id });
        }
        if !voters.is_empty() {
            records.push(MetadataRecord::Voters { voters: voters.clone() });
        }
        // The last one: those before are counted, too, as they are applied.
        if *changes > 0 {
            records.push(MetadataRecord::Changes { count: *changes });
        }
        records
    }

    /// A topic, or more partitions of one.
    fn apply_topic(&mut self, id: TopicId, name: &str, partitions: i32) {
        let topic = self.topics.remove(&id);
        let values = topic.as_ref().map(|topic| topic.config.values().clone()).unwrap_or_default();
        let config = TopicConfig::from_stored(partitions, values);
        let topic = topic.unwrap_or_else(|| TopicImage::new(name, TopicConfig::new())).with(config);
        self.names.insert(Arc::clone(&topic.name), id);
        self.topics.insert(id, topic);
    }

    fn apply_config(&mut self, id: TopicId, key: &str, value: &str) {
        if let Some(topic) = self.topics.remove(&id) {
            let mut values = topic.config.values().clone();
            values.insert(key.to_owned(), value.to_owned());
            let count = topic.config.partition_count().unwrap_or(1);
            let topic = topic.with(TopicConfig::from_stored(count, values));
            self.topics.insert(id, topic);
        }
    }

    /// As if they were over: for a bug on purpose.
    pub(super) fn forget_reassignments(&mut self) {
        for state in self.topics.values_mut().flat_map(|topic| topic.partitions.values_mut()) {
            state.adding.clear();
            state.removing.clear();
        }
    }

    /// How often something was said of topics: the version of what clients are told. Who has applied as much has the same one.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// By number.
    pub(crate) fn brokers(&self) -> &BTreeMap<BrokerId, RegisteredBroker> {
        &self.brokers
    }

    pub(crate) fn broker(&self, id: BrokerId) -> Option<&RegisteredBroker> {
        self.brokers.get(&id)
    }

    pub(crate) fn is_active(&self, id: BrokerId) -> bool {
        self.brokers.get(&id).is_some_and(RegisteredBroker::is_active)
    }

    pub(crate) fn topics(&self) -> &BTreeMap<TopicId, TopicImage> {
        &self.topics
    }

    pub(crate) fn topic(&self, name: &str) -> Option<(TopicId, &TopicImage)> {
        let id = self.names.get(name)?;
        self.topics.get(id).map(|topic| (*id, topic))
    }

    /// How many brokers are in their places.
    pub(crate) fn active_brokers(&self) -> usize {
        self.brokers.values().filter(|broker| broker.is_active()).count()
    }

    pub(crate) fn topic_by_id(&self, id: TopicId) -> Option<&TopicImage> {
        self.topics.get(&id)
    }

    pub(crate) fn partition(&self, topic: TopicId, partition: i32) -> Option<&PartitionState> {
        self.topics.get(&topic)?.partitions.get(&partition)
    }

    /// The partitions of which this holds.
    pub(super) fn partitions_where(&self, holds: impl Fn(&PartitionState) -> bool) -> Vec<(TopicId, i32)> {
        let partitions = self.topics.iter().flat_map(|(id, topic)| {
            topic.partitions.iter().map(move |(partition, state)| (*id, *partition, state))
        });
        partitions.filter(|(_, _, state)| holds(state)).map(|(id, partition, _)| (id, partition)).collect()
    }
}
