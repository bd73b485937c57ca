//! Which partitions the wanted topics have, and topics that are gone: each is told of once, does not keep the others from
//! being read, and is taken up anew when a topic of its name is there again.

use super::{ConsumerCore, Partition, Place, Wanted};
use crate::{
    error::{Error, Result},
    rpc::{MetadataResponse, PartitionMetadata, TopicMetadata},
    types::{Instant, TopicId, TopicPartition},
};
use std::{collections::BTreeMap, time::Duration};

/// How long a poll that waits lets pass between two looks for topics that are gone: Kafka's longest `retry.backoff.ms`.
const LOOK_FOR_TOPICS: Duration = Duration::from_secs(1);

impl ConsumerCore {
    /// The topics that a broker is to be asked for.
    pub(in crate::client) fn unresolved(&self) -> Vec<String> {
        self.unresolved.iter().cloned().collect()
    }

    /// Which topics the consumer reads: offsets of theirs are meant for no others of their names.
    pub(in crate::client) fn topic_ids(&self) -> BTreeMap<String, TopicId> {
        let mut ids = BTreeMap::new();
        for (of, partition) in &self.partitions {
            if !ids.contains_key(of.topic()) {
                ids.insert(of.topic().to_owned(), partition.reference.topic_id);
            }
        }
        ids
    }

    /// Whether to ask for them now. Those that are known to be gone are looked for once a call, not over and over.
    pub(super) fn looks_for_topics(&self) -> bool {
        let gone = |name: &String| self.looked && self.gone.contains(name);
        self.unresolved.iter().any(|name| !gone(name))
    }

    /// Takes in what a broker says of the topics it was asked for.
    pub(in crate::client) fn learn(&mut self, metadata: MetadataResponse) -> Result<()> {
        self.looked = true;
        let mut told = None;
        if matches!(&self.wanted, Wanted::Topics(topics) if *topics == self.unresolved) {
            self.metadata_version = metadata.version;
        }
        for name in std::mem::take(&mut self.unresolved) {
            let topic = metadata.topics.iter().find(|topic| *topic.name == *name);
            match self.learn_topic(&name, topic) {
                Ok(()) => drop(self.gone.remove(&name)),
                Err(error) => {
                    // One at a time; the next call tells of another one.
                    if told.is_none() && self.gone.insert(name.clone()) {
                        told = Some(error);
                    }
                    self.unresolved.insert(name);
                }
            }
        }
        told.map_or(Ok(()), Err)
    }

    /// Takes up all partitions that are wanted and there; an error if some are not.
    fn learn_topic(&mut self, name: &str, topic: Option<&TopicMetadata>) -> Result<()> {
        let mut known: BTreeMap<_, _> = self.partitions.extract_if(.., |of, _| of.topic() == name).collect();
        let unknown = |partition| Error::UnknownTopicOrPartition { topic: name.to_owned(), partition };
        let topic = topic.ok_or_else(|| unknown(None))?;
        let numbers: Vec<i32> = match &self.wanted {
            Wanted::Topics(_) => topic.partitions.iter().map(|there| there.partition.partition).collect(),
            Wanted::Partitions(some) => {
                some.iter().filter(|of| of.topic() == name).map(|of| of.partition()).collect()
            }
        };
        let mut missing = None;
        for number in numbers {
            match usize::try_from(number).ok().and_then(|number| topic.partitions.get(number)) {
                Some(there) => {
                    let of = TopicPartition::shared(topic.name.clone(), number);
                    let partition = Partition::learnt(there, known.remove(&of));
                    self.partitions.insert(of, partition);
                }
                None => drop(missing.get_or_insert(number)),
            }
        }
        missing.map_or(Ok(()), |number| Err(unknown(Some(number))))
    }

    /// Rule 11: what was known of a topic that was deleted does not apply to another one of its name.
    pub(super) fn forget_topic(&mut self, name: &str) -> Error {
        self.partitions.retain(|of, _| of.topic() != name);
        self.unresolved.insert(name.to_owned());
        self.gone.insert(name.to_owned());
        self.forget_last_commit();
        Error::UnknownTopicId { topic: name.to_owned() }
    }

    /// Why there is nothing to tell of a partition.
    pub(in crate::client) fn not_here(&self, of: &TopicPartition) -> Error {
        if self.gone.contains(of.topic()) {
            let (topic, partition) = (of.topic().to_owned(), Some(of.partition()));
            return Error::UnknownTopicOrPartition { topic, partition };
        }
        Error::IllegalState(format!("{of} is not assigned to this consumer"))
    }

    /// When to look anew for what no append tells of. Without such there is no point in waking up before the poll's end.
    pub(super) fn look_again(&self, now: Instant) -> Instant {
        let held_back = self.config.fetch_min_bytes > 1;
        let more_bytes = held_back.then(|| now.plus(self.config.fetch_max_wait));
        let topics = (!self.gone.is_empty()).then(|| now.plus(LOOK_FOR_TOPICS));
        more_bytes.into_iter().chain(topics).min().unwrap_or(Instant::MAX)
    }
}

impl Partition {
    /// A partition as a broker has it. If it is the one that was known, it goes on where that was, under whatever leader.
    fn learnt(there: &PartitionMetadata, known: Option<Self>) -> Self {
        let (reference, leader, leader_epoch) = (there.partition, there.leader, there.leader_epoch);
        let paused = known.as_ref().is_some_and(|known| known.paused);
        match known.filter(|known| known.reference.topic_id == reference.topic_id) {
            Some(known) => Self { reference, leader, leader_epoch, ..known },
            None => Self {
                reference,
                leader,
                leader_epoch,
                place: Place::Unknown,
                end: None,
                buffer: None,
                paused,
                began: None,
            },
        }
    }
}
