//! The consumer's pure core: where it stands, what to ask next, what to hand out. Events go in, what to do next comes
//! out; no clock, no thread, no service.

#[cfg(test)]
mod tests;

use super::{
    buffer::Buffer,
    records::{Part, Records},
};
use crate::{
    config::{AutoOffsetReset, ConsumerConfig},
    error::{Error, Result},
    rpc::{
        FetchPartition, FetchRequest, FetchResponse, Fetched, ListOffsetsRequest, MetadataRequest,
        MetadataResponse, OffsetFetchRequest, OffsetFetchResponse, OffsetForLeaderEpochRequest, PartitionRef,
        Request, Response, TopicMetadata,
    },
    types::{
        BrokerId, Instant, IsolationLevel, LeaderEpoch, Offset, OffsetAndMetadata, OffsetSpec, Offsets,
        TopicPartition,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a consumer.
#[derive(Debug)]
pub(super) enum Event {
    /// The application wants records, and waits for them until the deadline.
    Poll {
        deadline: Instant,
    },
    /// The application wants to know its partitions.
    Assign,
    /// The application wants to know positions.
    Locate,
    /// What was asked was answered.
    Answered(Response),
    Fetched(FetchResponse),
    /// A fetch was not answered in the time of the poll.
    TimedOut,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Action {
    Call(Request),
    Fetch(BrokerId, FetchRequest),
    /// The poll is at its end; no records if its time is up.
    Deliver(Records),
    /// What the application wants to know is known.
    Located,
}

/// What the consumer reads.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// All partitions of these topics.
    Topics(BTreeSet<String>),
    Partitions(BTreeSet<TopicPartition>),
}

#[derive(Debug)]
pub(super) struct ConsumerCore {
    config: ConsumerConfig,
    wanted: Wanted,
    /// Topics that a broker is to be asked for.
    unresolved: BTreeSet<String>,
    /// That of what is known of the topics; 0 is nobody's.
    metadata_version: u64,
    partitions: BTreeMap<TopicPartition, Partition>,
    asks_for: Purpose,
    /// Whether this poll has fetched.
    fetched: bool,
    asked: Asked,
    /// The partition that was served last; the next one goes first.
    served: Option<TopicPartition>,
}

/// What the application waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Partitions,
    Positions,
    Records { until: Instant },
}

/// What an answer is awaited for.
#[derive(Debug, Default)]
enum Asked {
    #[default]
    Nothing,
    Metadata,
    Committed(Vec<TopicPartition>),
    EpochEnd(TopicPartition, Offset),
    Offset(TopicPartition),
    Fetch(Vec<TopicPartition>),
}

#[derive(Debug)]
struct Partition {
    reference: PartitionRef,
    leader: BrokerId,
    leader_epoch: LeaderEpoch,
    place: Place,
    buffer: Option<Buffer>,
}

/// Where a consumer stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// To be asked of the group.
    Unknown,
    /// Committed in this epoch: the log may have been cut since (KIP-320).
    Unchecked(Offset, LeaderEpoch),
    /// To be asked of the partition.
    Named(OffsetSpec),
    /// The next record's offset, and the leader epoch of the last one that was handed out, or -1.
    At(Offset, i32),
}

impl ConsumerCore {
    pub(super) fn new(config: ConsumerConfig, wanted: Wanted) -> Self {
        let unresolved = match &wanted {
            Wanted::Topics(topics) => topics.clone(),
            Wanted::Partitions(partitions) => partitions.iter().map(|p| p.topic().to_owned()).collect(),
        };
        Self {
            config,
            wanted,
            unresolved,
            metadata_version: 0,
            partitions: BTreeMap::new(),
            asks_for: Purpose::Partitions,
            fetched: false,
            asked: Asked::Nothing,
            served: None,
        }
    }

    /// Takes an event in, and says what to do next. After an error the next poll goes on from where this one was.
    pub(super) fn step(&mut self, event: Event, now: Instant) -> Result<Action> {
        match event {
            Event::Poll { deadline } => {
                (self.asks_for, self.fetched) = (Purpose::Records { until: deadline }, false)
            }
            Event::Assign => self.asks_for = Purpose::Partitions,
            Event::Locate => self.asks_for = Purpose::Positions,
            Event::Answered(response) => self.answered(response)?,
            Event::Fetched(response) => self.fetched(response)?,
            Event::TimedOut => {
                self.asked = Asked::Nothing;
                return Ok(Action::Deliver(Records::default()));
            }
        }
        self.next(now)
    }

    fn next(&mut self, now: Instant) -> Result<Action> {
        if let Purpose::Records { .. } = self.asks_for {
            let records = self.drain()?;
            if !records.is_empty() {
                return Ok(Action::Deliver(records));
            }
        }
        if let Some(request) = self.question()? {
            return Ok(Action::Call(request));
        }
        let Purpose::Records { until } = self.asks_for else { return Ok(Action::Located) };
        if self.fetched && now >= until {
            return Ok(Action::Deliver(Records::default()));
        }
        Ok(self.fetch(until))
    }

    /// What has to be known before anything can be fetched.
    fn question(&mut self) -> Result<Option<Request>> {
        if !self.unresolved.is_empty() {
            self.asked = Asked::Metadata;
            return Ok(Some(MetadataRequest { topics: Some(self.unresolved()) }.into()));
        }
        if self.asks_for == Purpose::Partitions {
            return Ok(None);
        }
        if let Some(group) = &self.config.group {
            let unknown = self.partitions.iter().filter(|(_, partition)| partition.place == Place::Unknown);
            let partitions: Vec<TopicPartition> = unknown.map(|(of, _)| of.clone()).collect();
            if !partitions.is_empty() {
                self.asked = Asked::Committed(partitions.clone());
                return Ok(Some(OffsetFetchRequest { group: group.clone(), partitions }.into()));
            }
        }
        let reset = self.config.auto_offset_reset;
        let isolation = self.config.isolation_level;
        for (of, partition) in &mut self.partitions {
            if partition.place == Place::Unknown {
                let nowhere = || Error::NoOffsetForPartition { partition: of.clone() };
                partition.place = Place::Named(reset_to(reset).ok_or_else(nowhere)?);
            }
            let reference = partition.reference;
            match partition.place {
                Place::Unchecked(offset, leader_epoch) => {
                    self.asked = Asked::EpochEnd(of.clone(), offset);
                    return Ok(Some(
                        OffsetForLeaderEpochRequest { partition: reference, leader_epoch }.into(),
                    ));
                }
                Place::Named(spec) => {
                    self.asked = Asked::Offset(of.clone());
                    return Ok(Some(ListOffsetsRequest { partition: reference, spec, isolation }.into()));
                }
                Place::Unknown | Place::At(..) => {}
            }
        }
        Ok(None)
    }

    /// A fetch for the partitions of one leader, beginning behind the one that was served last.
    fn fetch(&mut self, deadline: Instant) -> Action {
        let order = self.in_turn();
        let leader =
            order.first().and_then(|of| self.partitions.get(of)).map_or(BrokerId::from(-1), |p| p.leader);
        let mut asked = Vec::new();
        let mut partitions = Vec::new();
        for of in order {
            let Some(partition) = self.partitions.get(&of).filter(|partition| partition.leader == leader)
            else {
                continue;
            };
            if let Place::At(offset, _) = partition.place {
                let max_bytes = self.config.max_partition_fetch_bytes;
                let (reference, current_leader_epoch) = (partition.reference, partition.leader_epoch);
                partitions.push(FetchPartition {
                    partition: reference,
                    offset,
                    current_leader_epoch,
                    max_bytes,
                });
                asked.push(of);
            }
        }
        self.asked = Asked::Fetch(asked);
        self.fetched = true;
        Action::Fetch(
            leader,
            FetchRequest {
                isolation: self.config.isolation_level,
                deadline,
                min_bytes: 1,
                max_bytes: self.config.fetch_max_bytes,
                partitions,
                metadata_version: self.wants_all().then_some(self.metadata_version),
            },
        )
    }

    /// All partitions, beginning behind the one that was served last.
    fn in_turn(&self) -> Vec<TopicPartition> {
        let (first, then): (Vec<_>, Vec<_>) =
            self.partitions.keys().cloned().partition(|of| Some(of) > self.served.as_ref());
        first.into_iter().chain(then).collect()
    }

    fn answered(&mut self, response: Response) -> Result<()> {
        match (std::mem::take(&mut self.asked), response) {
            (Asked::Metadata, Response::Metadata(metadata)) => self.learn(metadata),
            (Asked::Committed(partitions), Response::OffsetFetch(committed)) => {
                self.start_from(partitions, committed)
            }
            (Asked::EpochEnd(of, committed), Response::OffsetForLeaderEpoch(answer)) => {
                let offset = answer.end_offset.map_or(committed, |end| end.min(committed));
                self.place(&of, Place::At(offset, -1));
                Ok(())
            }
            (Asked::Offset(of), Response::ListOffsets(answer)) => {
                // No record is as young as was asked for: the end is where one will be.
                let place =
                    answer.offset.map_or(Place::Named(OffsetSpec::Latest), |offset| Place::At(offset, -1));
                self.place(&of, place);
                Ok(())
            }
            (asked, other) => {
                Err(Error::IllegalState(format!("an answer to {asked:?} that is not one: {other:?}")))
            }
        }
    }

    /// Whether all partitions of its topics are read, also those that come.
    fn wants_all(&self) -> bool {
        matches!(self.wanted, Wanted::Topics(_))
    }

    /// Has the broker asked again for the topics, if what is known of them is not what holds now. `true`: it has to be.
    pub(super) fn check_version(&mut self, now: u64) -> bool {
        match &self.wanted {
            Wanted::Topics(topics) if now != self.metadata_version => {
                self.unresolved.extend(topics.iter().cloned());
                // A poll that does not wait has not looked at what is new yet.
                self.fetched = false;
                true
            }
            _ => false,
        }
    }

    /// The topics that a broker is to be asked for.
    pub(super) fn unresolved(&self) -> Vec<String> {
        self.unresolved.iter().cloned().collect()
    }

    fn place(&mut self, of: &TopicPartition, place: Place) {
        if let Some(partition) = self.partitions.get_mut(of) {
            partition.place = place;
            partition.buffer = None;
        }
    }

    /// Takes in what a broker says of the topics it was asked for.
    pub(super) fn learn(&mut self, metadata: MetadataResponse) -> Result<()> {
        let all = matches!(&self.wanted, Wanted::Topics(topics) if *topics == self.unresolved);
        for name in std::mem::take(&mut self.unresolved) {
            let topic = metadata.topics.iter().find(|topic| *topic.name == *name);
            if let Err(error) = self.learn_topic(&name, topic) {
                self.unresolved.insert(name);
                return Err(error);
            }
        }
        if all {
            self.metadata_version = metadata.version;
        }
        Ok(())
    }

    fn learn_topic(&mut self, name: &str, topic: Option<&TopicMetadata>) -> Result<()> {
        let unknown = |partition| Error::UnknownTopicOrPartition { topic: name.to_owned(), partition };
        let topic = topic.ok_or_else(|| unknown(None))?;
        let numbers: Vec<i32> = match &self.wanted {
            Wanted::Topics(_) => topic.partitions.iter().map(|there| there.partition.partition).collect(),
            Wanted::Partitions(some) => {
                some.iter().filter(|of| of.topic() == name).map(|of| of.partition()).collect()
            }
        };
        let mut learnt = Vec::new();
        for number in numbers {
            let there = usize::try_from(number).ok().and_then(|number| topic.partitions.get(number));
            let there = there.ok_or_else(|| unknown(Some(number)))?;
            let (reference, leader, leader_epoch) = (there.partition, there.leader, there.leader_epoch);
            let of = TopicPartition::shared(topic.name.clone(), number);
            // Another leader of the same topic: the place stays what it was.
            let known =
                self.partitions.get(&of).filter(|known| known.reference.topic_id == reference.topic_id);
            let place = known.map_or(Place::Unknown, |known| known.place.clone());
            learnt.push((of, Partition { reference, leader, leader_epoch, place, buffer: None }));
        }
        self.partitions.retain(|of, _| of.topic() != name);
        self.partitions.extend(learnt);
        Ok(())
    }

    fn start_from(&mut self, partitions: Vec<TopicPartition>, committed: OffsetFetchResponse) -> Result<()> {
        let reset = self.config.auto_offset_reset;
        let mut nowhere = None;
        for (of, committed) in partitions.into_iter().zip(committed.offsets) {
            let place = match committed {
                Some(OffsetAndMetadata { offset, leader_epoch: Some(epoch), .. }) => {
                    Place::Unchecked(Offset::new(offset), LeaderEpoch(epoch))
                }
                Some(committed) => Place::At(Offset::new(committed.offset), -1),
                None => match reset_to(reset) {
                    Some(spec) => Place::Named(spec),
                    // An error, now and of each later poll, since the place stays unknown: until somebody seeks.
                    None => {
                        nowhere.get_or_insert(of);
                        continue;
                    }
                },
            };
            self.place(&of, place);
        }
        nowhere.map_or(Ok(()), |partition| Err(Error::NoOffsetForPartition { partition }))
    }

    fn fetched(&mut self, response: FetchResponse) -> Result<()> {
        let Asked::Fetch(asked) = std::mem::take(&mut self.asked) else {
            return Err(Error::IllegalState("records that nobody asked for".to_owned()));
        };
        self.check_version(response.metadata_version);
        let mut first_error = None;
        for (of, result) in asked.iter().zip(response.partitions) {
            if let Err(error) =
                result.and_then(|fetched| self.buffer(of, fetched)).or_else(|e| self.failed(of, e))
            {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn buffer(&mut self, of: &TopicPartition, fetched: Fetched) -> Result<()> {
        if let Some(partition) = self.partitions.get_mut(of).filter(|_| !fetched.records.is_empty()) {
            let (isolation, limit) = (self.config.isolation_level, self.config.max_decompressed_bytes);
            partition.buffer = Some(Buffer::new(fetched, isolation, limit));
        }
        Ok(())
    }

    fn failed(&mut self, of: &TopicPartition, error: Error) -> Result<()> {
        match error {
            // Rule 2.
            Error::OffsetOutOfRange { .. } => {
                let spec = reset_to(self.config.auto_offset_reset).ok_or(error)?;
                self.place(of, Place::Named(spec));
                // A poll that does not wait has not looked there yet.
                self.fetched = false;
                Ok(())
            }
            // Rule 10: somebody else leads by now.
            Error::FencedLeaderEpoch | Error::UnknownLeaderEpoch | Error::NotLeaderOrFollower => {
                self.unresolved.insert(of.topic().to_owned());
                Ok(())
            }
            // Rule 11: what was known of the old topic does not apply to the new one.
            Error::UnknownTopicId { .. } => {
                self.unresolved.insert(of.topic().to_owned());
                self.place(of, Place::Unknown);
                Err(Error::UnknownTopicId { topic: of.topic().to_owned() })
            }
            other => Err(other),
        }
    }

    /// Hands out what was fetched, as many records as one poll may have.
    fn drain(&mut self) -> Result<Records> {
        let mut left = self.config.max_poll_records;
        let mut parts = Vec::new();
        for of in self.in_turn() {
            if left == 0 {
                break;
            }
            let Some(partition) = self.partitions.get_mut(&of).filter(|partition| partition.buffer.is_some())
            else {
                continue;
            };
            let before = partition.place.clone();
            match partition.take(&of, left) {
                Ok(Some(part)) => {
                    left -= part.len;
                    parts.push(part);
                    self.served = Some(of);
                }
                // Markers, or what was aborted, and nothing behind it yet: there may be records further on.
                Ok(None) => self.fetched &= partition.place == before,
                // What was taken goes out first; the error comes with the next poll, since the buffer stays. After that
                // it is the others' turn: they are fetched, and served, before the error comes again.
                Err(error) if parts.is_empty() => {
                    partition.buffer = None;
                    self.served = Some(of);
                    return Err(error);
                }
                Err(_) => break,
            }
        }
        parts.sort_by(|a: &Part, b| a.partition.cmp(&b.partition));
        Ok(Records::new(parts))
    }

    pub(super) fn isolation(&self) -> IsolationLevel {
        self.config.isolation_level
    }

    /// The partitions that the consumer reads.
    pub(super) fn assignment(&self) -> Vec<TopicPartition> {
        self.partitions.keys().cloned().collect()
    }

    /// Where each partition's next record is, as far as that is known: what to commit.
    pub(super) fn positions(&self) -> Offsets {
        let at = |(of, partition): (&TopicPartition, &Partition)| match partition.place {
            Place::At(offset, epoch) => {
                Some((of.clone(), OffsetAndMetadata::with_epoch(offset.get(), epoch)))
            }
            _ => None,
        };
        self.partitions.iter().filter_map(at).collect()
    }

    /// The broker's name for a partition of the assignment.
    pub(super) fn reference(&self, of: &TopicPartition) -> Result<PartitionRef> {
        let known = self.partitions.get(of).map(|partition| partition.reference);
        known.ok_or_else(|| Error::IllegalState(format!("{of} is not assigned to this consumer")))
    }

    /// Goes elsewhere in a partition.
    pub(super) fn seek(&mut self, of: &TopicPartition, to: OffsetSpec) -> Result<()> {
        self.reference(of)?;
        let place = match to {
            OffsetSpec::At(offset) if offset < 0 => {
                return Err(Error::IllegalState(format!("{of}: the offset {offset} is negative")));
            }
            OffsetSpec::At(offset) => Place::At(Offset::new(offset), -1),
            other => Place::Named(other),
        };
        self.place(of, place);
        Ok(())
    }
}

fn reset_to(reset: AutoOffsetReset) -> Option<OffsetSpec> {
    match reset {
        AutoOffsetReset::Earliest => Some(OffsetSpec::Earliest),
        AutoOffsetReset::Latest => Some(OffsetSpec::Latest),
        AutoOffsetReset::None => None,
    }
}

impl Partition {
    /// Takes up to `limit` records out of the buffer, and moves the position behind them.
    fn take(&mut self, of: &TopicPartition, limit: usize) -> Result<Option<Part>> {
        let (Some(buffer), Place::At(offset, epoch)) = (&mut self.buffer, &self.place) else {
            return Ok(None);
        };
        let mut next = (*offset, *epoch);
        let (part, exhausted) = buffer.take(of, &mut next, limit)?;
        if exhausted {
            self.buffer = None;
        }
        self.place = Place::At(next.0, next.1);
        Ok(part)
    }
}
