//! Which partitions the wanted topics have, and topics that are gone: each is told of once, does not keep the others from
//! being read, and is taken up anew when a topic of its name is there again.

use super::{Asked, ConsumerCore, Partition, Place, Wanted};
use crate::{
    client::consumer::Pattern,
    error::{Error, Result},
    rpc::{MetadataRequest, MetadataResponse, PartitionMetadata, Request, TopicMetadata},
    types::{Instant, LeaderEpoch, TopicId, TopicPartition},
};
use std::{collections::BTreeMap, time::Duration};

/// How long a poll that waits lets pass between two looks for topics that are gone: Kafka's longest `retry.backoff.ms`.
const LOOK_FOR_TOPICS: Duration = Duration::from_secs(1);

impl ConsumerCore {
    /// The topics that a broker is to be asked for; `None`: all.
    pub(in crate::client) fn names(&self) -> Option<Vec<String>> {
        if self.membership.is_some() {
            return self.group_names();
        }
        (!self.relist).then(|| self.unresolved.iter().cloned().collect())
    }

    /// Which topics the consumer reads, if those have changed since the last call: offsets of theirs are meant for no others
    /// of their names.
    pub(in crate::client) fn changed_topics(&mut self) -> Option<BTreeMap<String, TopicId>> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut ids = BTreeMap::new();
        for (of, partition) in &self.partitions {
            if !ids.contains_key(of.topic()) {
                ids.insert(of.topic().to_owned(), partition.reference.topic_id);
            }
        }
        Some(ids)
    }

    /// Whether to ask for them now. Those that are known to be gone are looked for once a call, not over and over.
    pub(super) fn looks_for_topics(&self) -> bool {
        let gone = |name: &String| self.looked && self.gone.contains(name);
        self.relist || self.unresolved.iter().any(|name| !gone(name))
    }

    pub(super) fn ask_for_topics(&mut self) -> Request {
        self.asked = Asked::Metadata;
        MetadataRequest { topics: self.names() }.into()
    }

    /// What is known of a topic may not hold any more.
    pub(super) fn ask_again(&mut self, topic: &str) {
        match self.wanted {
            _ if self.membership.is_some() => self.relist = true,
            Wanted::Matching(_) => self.relist = true,
            _ => drop(self.unresolved.insert(topic.to_owned())),
        }
    }

    /// Takes in what a broker says of the topics it was asked for.
    pub(in crate::client) fn learn(&mut self, metadata: MetadataResponse) -> Result<()> {
        (self.looked, self.changed) = (true, true);
        if self.membership.is_some() {
            self.learn_as_member(metadata);
            return Ok(());
        }
        match &self.wanted {
            Wanted::Matching(pattern) => {
                let pattern = pattern.clone();
                return self.learn_matching(&pattern, &metadata);
            }
            Wanted::Topics(topics) if *topics == self.unresolved => {
                self.metadata_version = self.metadata_version.max(metadata.version);
            }
            _ => {}
        }
        let mut told = None;
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

    /// Reads all that matches, of all topics that there are.
    fn learn_matching(&mut self, pattern: &Pattern, metadata: &MetadataResponse) -> Result<()> {
        self.relist = false;
        self.metadata_version = self.metadata_version.max(metadata.version);
        let matching: Vec<&TopicMetadata> =
            metadata.topics.iter().filter(|topic| pattern.matches(&topic.name)).collect();
        self.partitions.retain(|of, _| matching.iter().any(|topic| *topic.name == *of.topic()));
        matching.into_iter().try_for_each(|topic| self.learn_topic(&topic.name, Some(topic)))
    }

    /// A core that wants something else, of the same consumer.
    pub(in crate::client) fn instead(&self, wanted: Wanted) -> Result<Self> {
        if matches!(self.wanted, Wanted::Partitions(_)) != matches!(wanted, Wanted::Partitions(_)) {
            return Err(Self::not_a_subscription());
        }
        Ok(Self::new(self.config.clone(), wanted))
    }

    pub(super) fn not_a_subscription() -> Error {
        let reason = "a consumer that was assigned partitions has no subscription, and the other way round";
        Error::IllegalState(reason.to_owned())
    }

    /// Becomes `next`, and takes along what is known of the partitions that stay. An error, and nothing has changed, if a
    /// topic is not there.
    pub(in crate::client) fn replace(&mut self, mut next: Self, metadata: MetadataResponse) -> Result<()> {
        next.learn(metadata)?;
        for (of, partition) in &mut next.partitions {
            let known = self.partitions.remove(of);
            if let Some(known) = known.filter(|k| k.reference.topic_id == partition.reference.topic_id) {
                let Partition { reference, leader, leader_epoch, .. } = *partition;
                *partition = Partition { reference, leader, leader_epoch, ..known };
            }
        }
        (next.auto_commit, next.served) = (self.auto_commit.take(), self.served.take());
        next.metrics = std::mem::take(&mut self.metrics);
        *self = next;
        Ok(())
    }

    /// Takes up all partitions that are wanted and there; an error if some are not.
    fn learn_topic(&mut self, name: &str, topic: Option<&TopicMetadata>) -> Result<()> {
        let mut known: BTreeMap<_, _> = self.partitions.extract_if(.., |of, _| of.topic() == name).collect();
        let unknown = |partition| Error::UnknownTopicOrPartition { topic: name.to_owned(), partition };
        let topic = topic.ok_or_else(|| unknown(None))?;
        let numbers: Vec<i32> = match &self.wanted {
            Wanted::Topics(_) | Wanted::Matching(_) => {
                topic.partitions.iter().map(|there| there.partition.partition).collect()
            }
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

    /// Rule 11: what was known of a topic that was deleted does not apply to another one of its name. The application is
    /// told of it, if it has named the topic.
    pub(super) fn forget_topic(&mut self, name: &str) -> Result<()> {
        self.partitions.retain(|of, _| of.topic() != name);
        self.changed = true;
        self.forget_last_commit();
        self.ask_again(name);
        if matches!(self.wanted, Wanted::Matching(_)) {
            return Ok(());
        }
        self.gone.insert(name.to_owned());
        Err(Error::UnknownTopicId { topic: name.to_owned() })
    }

    /// Leaves a topic that was deleted, where nobody has named it; gives the error back otherwise.
    pub(in crate::client) fn leave_if_gone(&mut self, of: &TopicPartition, error: Error) -> Result<()> {
        match (&self.wanted, error) {
            (Wanted::Matching(_), Error::UnknownTopicId { .. }) => self.forget_topic(of.topic()),
            (_, error) => Err(error),
        }
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
    pub(super) fn learnt(there: &PartitionMetadata, known: Option<Self>) -> Self {
        let (reference, leader, leader_epoch) = (there.partition, there.leader, there.leader_epoch);
        let paused = known.as_ref().is_some_and(|known| known.paused);
        match known.filter(|known| known.reference.topic_id == reference.topic_id) {
            // A broker that is cut off from the others tells of leaders of long ago.
            Some(known) if leader_epoch < known.leader_epoch => Self { reference, ..known },
            Some(known) => {
                let place = match known.place {
                    // A new leader may not have what was read last (KIP-320).
                    Place::At(offset, epoch) if epoch >= 0 && leader_epoch > known.leader_epoch => {
                        Place::Unchecked(offset, LeaderEpoch(epoch))
                    }
                    place => place,
                };
                Self { reference, leader, leader_epoch, place, ..known }
            }
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
