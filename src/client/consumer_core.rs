//! The consumer's pure core: where it stands, what to ask next, what to hand out. Events go in, what to do next comes
//! out; no clock, no thread, no service.

mod auto_commit;
mod dividing;
mod membership;
mod metrics;
mod pausing;
#[cfg(test)]
mod tests;
mod topics;

pub(super) use self::membership::{Change, News};
pub use self::metrics::{ConsumerMetrics, ConsumerPartitionMetrics};

use self::{auto_commit::AutoCommit, membership::Membership};
use super::{
    buffer::Buffer,
    consumer::Pattern,
    records::{Part, Records},
};
use crate::{
    config::{AutoOffsetReset, ConsumerConfig},
    error::{Error, Result},
    rpc::{
        FetchPartition, FetchRequest, FetchResponse, Fetched, ListOffsetsRequest, OffsetFetchRequest,
        OffsetFetchResponse, OffsetForLeaderEpochRequest, PartitionRef, Request, Response,
    },
    trace,
    types::{
        BrokerId, Instant, IsolationLevel, LeaderEpoch, Offset, OffsetAndMetadata, OffsetSpec, Offsets,
        Timestamp, TopicPartition,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// What happens to a consumer.
#[derive(Debug)]
pub(super) enum Event {
    /// The application wants records, `most` of them at most, and waits for them until the deadline.
    Poll {
        deadline: Instant,
        most: usize,
    },
    /// The application is to have a part of what its group reads, as soon as that can be.
    Join,
    /// The application was told what was to be told.
    Told,
    /// The application wants to know its partitions.
    Assign,
    /// The application wants to know positions.
    Locate,
    /// What was asked was answered.
    Answered(Response),
    /// What was asked was answered with an error.
    Failed(Error),
    Fetched(FetchResponse),
    /// How an automatic commit ended.
    Committed(Result<()>),
    /// A fetch was not answered by its deadline, or a wait is over.
    TimedOut,
}

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Action {
    Call(Request),
    /// Something for the group, which may take long to answer.
    Send(Request),
    /// Wait for the answer to that until then.
    Await(Instant),
    /// Tell the application what becomes of these partitions.
    Tell(Change, Vec<TopicPartition>),
    /// An automatic commit.
    Commit(Offsets),
    /// From this broker; from any, if there is no partition to read: it tells of news of topics, and of its end.
    Fetch(Option<BrokerId>, FetchRequest),
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
    /// All partitions of all topics that match.
    Matching(Pattern),
    Partitions(BTreeSet<TopicPartition>),
}

#[derive(Debug)]
pub(super) struct ConsumerCore {
    config: ConsumerConfig,
    wanted: Wanted,
    /// Of its group, unless the application says which partitions it reads.
    membership: Option<Membership>,
    /// Whether the application wants to hear of what it gets.
    pub(super) tells: bool,
    /// Topics that a broker is to be asked for.
    unresolved: BTreeSet<String>,
    /// Whether it is to be asked for all topics: some may match that are not known.
    relist: bool,
    /// Whether what is read has changed since somebody asked.
    changed: bool,
    /// Those among them that are gone, which the application was told.
    gone: BTreeSet<String>,
    /// Those among them that the application is yet to be told of.
    untold: BTreeSet<String>,
    /// Whether they were looked for since the application's last call, or since the last fetch.
    looked: bool,
    /// That of what is known of the topics; 0 is nobody's.
    metadata_version: u64,
    partitions: BTreeMap<TopicPartition, Partition>,
    asks_for: Purpose,
    /// Whether this poll has fetched.
    fetched: bool,
    /// Whether the next fetch takes what there is.
    hurries: bool,
    asked: Asked,
    /// The partition that was served last; the next one goes first.
    served: Option<TopicPartition>,
    auto_commit: Option<AutoCommit>,
    /// The broker's clock, as it was told last.
    wall: Timestamp,
    /// But for the partitions, and the commits.
    metrics: ConsumerMetrics,
}

/// What the application waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Membership,
    Partitions,
    Positions,
    Records { until: Instant, most: usize },
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
    /// Where that what may be read ends, exclusive, when it was fetched last.
    end: Option<Offset>,
    buffer: Option<Buffer>,
    paused: bool,
    /// The lowest place that records were handed out from.
    began: Option<(Offset, i32)>,
}

/// Where a consumer stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// To be asked of the group.
    Unknown,
    /// Committed, or read, in this epoch: the log may have been cut since (KIP-320).
    Unchecked(Offset, LeaderEpoch),
    /// To be asked of the partition.
    Named(OffsetSpec),
    /// The next record's offset, and the leader epoch of the last one that was handed out, or -1.
    At(Offset, i32),
}

impl ConsumerCore {
    pub(super) fn new(config: ConsumerConfig, wanted: Wanted) -> Self {
        let subscribes = !matches!(wanted, Wanted::Partitions(_));
        let membership = config.group.clone().filter(|_| subscribes).map(Membership::new);
        let unresolved = match &wanted {
            Wanted::Topics(_) if membership.is_some() => BTreeSet::new(),
            Wanted::Topics(topics) => topics.clone(),
            Wanted::Matching(_) => BTreeSet::new(),
            Wanted::Partitions(partitions) => partitions.iter().map(|p| p.topic().to_owned()).collect(),
        };
        Self {
            relist: matches!(wanted, Wanted::Matching(_)),
            changed: false,
            auto_commit: AutoCommit::new(&config),
            config,
            wanted,
            membership,
            tells: false,
            unresolved,
            gone: BTreeSet::new(),
            untold: BTreeSet::new(),
            looked: false,
            metadata_version: 0,
            partitions: BTreeMap::new(),
            asks_for: Purpose::Partitions,
            fetched: false,
            hurries: false,
            asked: Asked::Nothing,
            served: None,
            wall: Timestamp::default(),
            metrics: ConsumerMetrics::default(),
        }
    }

    /// Takes an event in, and says what to do next. After an error the next poll goes on from where this one was.
    pub(super) fn step(&mut self, event: Event, now: Instant) -> Result<Action> {
        self.looked &=
            matches!(event, Event::Answered(_) | Event::Failed(_) | Event::Committed(_) | Event::Told);
        match event {
            Event::Poll { deadline: until, most } => {
                self.metrics.polls += 1;
                self.asks_for = Purpose::Records { until, most };
                (self.fetched, self.hurries) = (false, false);
                self.look_for_answer();
                if let Some(offsets) = self.commit_that_is_due(now) {
                    return Ok(Action::Commit(offsets));
                }
            }
            Event::Join => {
                self.asks_for = Purpose::Membership;
                self.look_for_answer();
            }
            Event::Told => self.told(),
            Event::Assign => self.asks_for = Purpose::Partitions,
            Event::Locate => self.asks_for = Purpose::Positions,
            Event::Answered(response) => self.answered(response)?,
            Event::Failed(error) => self.refused(error)?,
            Event::Fetched(response) => self.fetched(response)?,
            Event::Committed(result) => self.auto_committed(result, now)?,
            Event::TimedOut => self.timed_out(),
        }
        self.next(now)
    }

    fn next(&mut self, now: Instant) -> Result<Action> {
        if matches!(self.asks_for, Purpose::Records { .. } | Purpose::Membership) {
            if let Some(topic) = self.untold.pop_first() {
                return Err(Error::UnknownTopicId { topic });
            }
            if let Some(action) = self.membership_step(now)? {
                return Ok(action);
            }
            if self.asks_for == Purpose::Membership {
                return Ok(Action::Located);
            }
        }
        if let Purpose::Records { most, .. } = self.asks_for {
            let records = self.drain(most)?;
            if !records.is_empty() {
                return Ok(Action::Deliver(records));
            }
        }
        if let Some(request) = self.question()? {
            return Ok(Action::Call(request));
        }
        let Purpose::Records { until, .. } = self.asks_for else { return Ok(Action::Located) };
        if self.fetched && now >= until {
            return Ok(Action::Deliver(Records::default()));
        }
        let deadline = if self.hurries { now } else { until.min(self.look_again(now)) };
        Ok(self.fetch(deadline))
    }

    /// What has to be known before anything can be fetched.
    fn question(&mut self) -> Result<Option<Request>> {
        if self.looks_for_topics() {
            return Ok(Some(self.ask_for_topics()));
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
        let reset = self.reset();
        let isolation = self.config.isolation_level;
        for (of, partition) in &mut self.partitions {
            if partition.place == Place::Unknown {
                let nowhere = || Error::NoOffsetForPartition { partition: of.clone() };
                partition.place = Place::Named(reset.ok_or_else(nowhere)?);
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

    /// A fetch for all partitions, beginning behind the one that was served last.
    fn fetch(&mut self, deadline: Instant) -> Action {
        self.fetched = true;
        let order = self.in_turn();
        let leader = order.first().and_then(|of| self.partitions.get(of)).map(|p| p.leader);
        let mut asked = Vec::new();
        let mut partitions = Vec::new();
        for of in order {
            let Some(partition) = self.partitions.get(&of) else { continue };
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
        Action::Fetch(
            leader,
            FetchRequest {
                isolation: self.config.isolation_level,
                deadline,
                min_bytes: self.config.fetch_min_bytes,
                max_bytes: self.config.fetch_max_bytes,
                partitions,
                metadata_version: self.wants_all().then_some(self.metadata_version),
            },
        )
    }

    fn answered(&mut self, response: Response) -> Result<()> {
        match (std::mem::take(&mut self.asked), response) {
            (Asked::Nothing, Response::JoinGroup(answer)) => self.join_answered(answer),
            (Asked::Nothing, Response::SyncGroup(answer)) => self.sync_answered(&answer),
            (Asked::Metadata, Response::Metadata(metadata)) => self.learn(metadata),
            (Asked::Committed(partitions), Response::OffsetFetch(committed)) => {
                self.start_from(partitions, committed)
            }
            (Asked::EpochEnd(of, committed), Response::OffsetForLeaderEpoch(answer)) => {
                let offset = answer.end_offset.map_or(committed, |end| end.min(committed));
                if offset < committed {
                    trace::position_cut(&of, committed.get(), offset.get());
                }
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

    fn refused(&mut self, error: Error) -> Result<()> {
        if self.awaits_group() {
            return self.membership_refused(error);
        }
        match (std::mem::take(&mut self.asked), error) {
            (Asked::Offset(of) | Asked::EpochEnd(of, _), error @ Error::UnknownTopicId { .. }) => {
                self.failed(&of, error)
            }
            (_, error) => Err(error),
        }
    }

    /// Whether all partitions of its topics are read, also those that come.
    fn wants_all(&self) -> bool {
        matches!(self.wanted, Wanted::Topics(_) | Wanted::Matching(_))
    }

    /// Has a broker asked again for the topics, if there is something newer than what is known of them. `true`: it has to be. (Of a
    /// cluster's brokers some may be behind.)
    pub(super) fn check_version(&mut self, now: u64) -> bool {
        if now <= self.metadata_version || !self.wants_all() {
            return false;
        }
        match &self.wanted {
            Wanted::Topics(topics) if self.membership.is_none() => {
                self.unresolved.extend(topics.iter().cloned());
            }
            _ => self.relist = true,
        }
        // A poll that does not wait has not looked at what is new yet.
        self.fetched = false;
        true
    }

    fn place(&mut self, of: &TopicPartition, place: Place) {
        if let Some(partition) = self.partitions.get_mut(of) {
            partition.place = place;
            partition.buffer = None;
        }
    }

    fn start_from(&mut self, partitions: Vec<TopicPartition>, committed: OffsetFetchResponse) -> Result<()> {
        let reset = self.reset();
        let mut nowhere = None;
        for (of, committed) in partitions.into_iter().zip(committed.offsets) {
            let place = match committed {
                Some(committed) => Place::committed(&committed),
                None => match reset {
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

    /// What the broker held back for want of bytes is fetched once more, without waiting.
    fn timed_out(&mut self) {
        let fetch = matches!(std::mem::take(&mut self.asked), Asked::Fetch(_));
        self.hurries = fetch && !self.hurries && self.config.fetch_min_bytes > 1;
        self.fetched &= !self.hurries;
    }

    fn fetched(&mut self, response: FetchResponse) -> Result<()> {
        let Asked::Fetch(asked) = std::mem::take(&mut self.asked) else {
            return Err(Error::IllegalState("records that nobody asked for".to_owned()));
        };
        self.hurries = false;
        self.metrics.fetches += 1;
        self.check_version(response.metadata_version);
        let mut first_error = None;
        for (of, result) in asked.iter().zip(response.partitions) {
            // Topics that are gone are told of one at a time: the next fetch tells of another one.
            if first_error.is_some() && matches!(result, Err(Error::UnknownTopicId { .. })) {
                continue;
            }
            if let Err(error) =
                result.and_then(|fetched| self.buffer(of, fetched)).or_else(|e| self.failed(of, e))
            {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    fn buffer(&mut self, of: &TopicPartition, fetched: Fetched) -> Result<()> {
        let Some(partition) = self.partitions.get_mut(of) else { return Ok(()) };
        let (isolation, limit) = (self.config.isolation_level, self.config.max_decompressed_bytes);
        partition.end = Some(fetched.end(isolation));
        if !fetched.records.is_empty() {
            self.metrics.bytes_fetched += fetched.records.len() as u64;
            partition.buffer = Some(Buffer::new(fetched, isolation, limit));
        }
        Ok(())
    }

    fn failed(&mut self, of: &TopicPartition, error: Error) -> Result<()> {
        match error {
            // Rule 2.
            Error::OffsetOutOfRange { .. } => {
                let spec = self.reset().ok_or_else(|| error.clone())?;
                self.metrics.positions_reset += 1;
                trace::position_reset(of, &error);
                self.place(of, Place::Named(spec));
                // A poll that does not wait has not looked there yet.
                self.fetched = false;
                Ok(())
            }
            // Rule 10: somebody else leads by now.
            Error::FencedLeaderEpoch | Error::UnknownLeaderEpoch | Error::NotLeaderOrFollower => {
                self.ask_again(of.topic());
                Ok(())
            }
            Error::UnknownTopicId { .. } => self.forget_topic(of.topic()),
            // Its leader was asked, too, and has not answered yet.
            Error::Timeout => Ok(()),
            other => Err(other),
        }
    }

    /// Hands out what was fetched, as many records as one poll may have and wants.
    fn drain(&mut self, most: usize) -> Result<Records> {
        if self.partitions.values().all(|partition| partition.buffer.is_none()) {
            return Ok(Records::default());
        }
        let mut left = self.config.max_poll_records.min(most);
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
                    left -= part.records.len();
                    self.metrics.records_consumed += part.records.len() as u64;
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

    /// Whether it has to be told the time.
    pub(super) fn counts_from_now(&self) -> bool {
        matches!(self.config.auto_offset_reset, AutoOffsetReset::ByDuration(_))
    }

    /// What to count back from where a partition begins a while ago.
    pub(super) fn tell_time(&mut self, wall: Timestamp) {
        self.wall = wall;
    }

    /// Where a partition without a usable position begins; `None`: nowhere.
    fn reset(&self) -> Option<OffsetSpec> {
        match self.config.auto_offset_reset {
            AutoOffsetReset::Earliest => Some(OffsetSpec::Earliest),
            AutoOffsetReset::Latest => Some(OffsetSpec::Latest),
            AutoOffsetReset::ByDuration(ago) => {
                Some(OffsetSpec::Timestamp((self.wall - ago).max(Timestamp::default())))
            }
            AutoOffsetReset::None => None,
        }
    }

    /// What the application waits for; a call within a call puts it back.
    pub(super) fn purpose(&self) -> Purpose {
        self.asks_for
    }

    pub(super) fn go_back_to(&mut self, purpose: Purpose) {
        self.asks_for = purpose;
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
        known.ok_or_else(|| self.not_here(of))
    }

    /// Goes back in all partitions: to what is committed, else to where the consumer began. A partition of which nothing
    /// was handed out stays where it is.
    pub(super) fn seek_to_committed(&mut self, committed: &Offsets) {
        let back = |(of, partition): (&TopicPartition, &Partition)| {
            let committed = committed.get(of).map(Place::committed);
            let place = committed.or_else(|| partition.began.map(|(offset, epoch)| Place::At(offset, epoch)));
            Some((of.clone(), place?))
        };
        let places: Vec<_> = self.partitions.iter().filter_map(back).collect();
        places.into_iter().for_each(|(of, place)| self.place(&of, place));
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

impl Place {
    fn committed(committed: &OffsetAndMetadata) -> Self {
        let offset = Offset::new(committed.offset);
        committed
            .leader_epoch
            .map_or(Self::At(offset, -1), |epoch| Self::Unchecked(offset, LeaderEpoch(epoch)))
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
        if part.is_some() {
            let here = (*offset, *epoch);
            self.began = Some(self.began.map_or(here, |began| if here.0 < began.0 { here } else { began }));
        }
        if exhausted {
            self.buffer = None;
        }
        self.place = Place::At(next.0, next.1);
        Ok(part)
    }
}
