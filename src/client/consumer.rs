//! The consumer: a blocking shell over its core.

use super::{
    Client, REQUEST_TIMEOUT, Records,
    consumer_core::{Action, ConsumerCore, Event, Wanted},
};
use crate::{
    config::ConsumerConfig,
    error::{Error, Result},
    rpc::{
        Answer, FetchRequest, FetchResponse, FindCoordinatorRequest, JoinGroupRequest, LeaveGroupRequest,
        ListOffsetsRequest, MemberIdentity, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
        Request, Ticket,
    },
    sync::{AtomicBool, Mutex, Ordering},
    types::{
        BrokerId, Instant, IsolationLevel, Offset, OffsetAndMetadata, OffsetSpec, Offsets, TopicPartition,
    },
};
use std::{cell::RefCell, sync::Arc, time::Duration};

/// The topics that a consumer reads: `"orders"`, or `["orders", "payments"]`.
///
/// ```
/// # use brooklet::*;
/// let one: Subscription = "orders".into();
/// let two: Subscription = ["orders", "payments"].into();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    topics: Vec<String>,
}

impl From<&str> for Subscription {
    fn from(topic: &str) -> Self {
        Self { topics: vec![topic.to_owned()] }
    }
}

impl<const N: usize> From<[&str; N]> for Subscription {
    fn from(topics: [&str; N]) -> Self {
        Self { topics: topics.into_iter().map(ToOwned::to_owned).collect() }
    }
}

impl From<&[&str]> for Subscription {
    fn from(topics: &[&str]) -> Self {
        Self { topics: topics.iter().map(|topic| (*topic).to_owned()).collect() }
    }
}

impl From<Vec<String>> for Subscription {
    fn from(topics: Vec<String>) -> Self {
        Self { topics }
    }
}

/// A consumer in the making, from [`Client::consumer`](crate::Client::consumer).
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// let builder = broker.consumer("billing");
/// let consumer = builder.subscribe(["orders"])?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a consumer reads once it has topics: subscribe or assign"]
pub struct ConsumerBuilder {
    client: Client,
    config: ConsumerConfig,
}

impl ConsumerBuilder {
    pub(super) fn new(client: Client, config: ConsumerConfig) -> Self {
        Self { client, config }
    }

    /// Reads all partitions of some topics; as the member of its group, if it has one.
    ///
    /// In this version a group has one member. The topics must be there.
    ///
    /// # Errors
    /// - [`Error::GroupMaxSizeReached`]: another consumer is subscribed in this group.
    /// - [`Error::UnknownTopicOrPartition`], [`Error::InvalidGroupId`], [`Error::InvalidConfig`], [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::{Broker, Error, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let first = broker.consumer("billing").subscribe("orders")?;
    /// let second = broker.consumer("billing").subscribe("orders");
    /// assert!(matches!(second, Err(Error::GroupMaxSizeReached { .. })));
    /// # Ok(()) }
    /// ```
    pub fn subscribe(self, topics: impl Into<Subscription>) -> Result<Consumer> {
        let topics = topics.into().topics;
        if topics.is_empty() {
            return Err(Error::IllegalState("a subscription to no topic".to_owned()));
        }
        self.config.check()?;
        let mut consumer = self.consumer(Wanted::Topics(topics.into_iter().collect()))?;
        if let Some(group) = consumer.group.clone() {
            consumer.member =
                Some(consumer.client.call_to(consumer.coordinator, JoinGroupRequest { group })?.member);
        }
        Ok(consumer)
    }

    /// Reads these partitions, without being a member of the group. If it has a group, it begins at what is committed
    /// there, and may commit as long as the group has no member (rule 46).
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`], [`Error::InvalidGroupId`], [`Error::InvalidConfig`], [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::{Broker, ConsumerConfig, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// let consumer = broker.consumer(ConsumerConfig::standalone()).assign([("orders", 1)])?;
    /// # Ok(()) }
    /// ```
    pub fn assign<P: Into<TopicPartition>>(
        self,
        partitions: impl IntoIterator<Item = P>,
    ) -> Result<Consumer> {
        let partitions: std::collections::BTreeSet<TopicPartition> =
            partitions.into_iter().map(Into::into).collect();
        if partitions.is_empty() {
            return Err(Error::IllegalState("an assignment of no partition".to_owned()));
        }
        self.config.check()?;
        self.consumer(Wanted::Partitions(partitions))
    }

    fn consumer(self, wanted: Wanted) -> Result<Consumer> {
        let Self { client, config } = self;
        let group = config.group.clone();
        let coordinator = match group.clone() {
            Some(group) => client.call(FindCoordinatorRequest { group })?.broker,
            None => client.bootstrap,
        };
        let shared = Arc::new(Shared { woken: AtomicBool::new(false), waiting: Mutex::new(None) });
        let mut core = ConsumerCore::new(config, wanted);
        core.learn(client.call(MetadataRequest { topics: Some(core.unresolved()) })?)?;
        let core = RefCell::new(core);
        Ok(Consumer { client, group, coordinator, member: None, core, shared })
    }
}

/// Reads records, in order within each partition.
///
/// `poll` hands records out and moves the position; [`commit_offset`](Self::commit_offset) makes the position last, so
/// that the next consumer of the group goes on there: after a crash, records since the last commit come again (rule
/// 47). A consumer is for one thread at a time (`Send`, not `Sync`); what other threads may do goes through a
/// [`handle`](Self::handle). Dropping it leaves the group and does nothing else: it commits nothing.
///
/// ```
/// # use brooklet::{Broker, Record, TopicConfig};
/// # use std::time::Duration;
/// # fn main() -> brooklet::Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(3))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// let mut consumer = broker.consumer("billing").subscribe(["orders"])?;
/// while !consumer.is_caught_up()? {
///     for record in &consumer.poll(Duration::from_millis(100))? {
///         println!("{}@{}: {:?}", record.topic_partition(), record.offset(), record.value_str());
///     }
///     consumer.commit_offset()?;
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    group: Option<String>,
    /// Who keeps the group.
    coordinator: BrokerId,
    member: Option<MemberIdentity>,
    core: RefCell<ConsumerCore>,
    shared: Arc<Shared>,
}

/// What a consumer shares with its handles.
#[derive(Debug)]
struct Shared {
    woken: AtomicBool,
    waiting: Mutex<Option<Ticket<FetchResponse>>>,
}

impl Consumer {
    /// Hands out records, at most `max_poll_records`; waits for them until `timeout` is up and then gives none.
    /// [`Duration::ZERO`] does not wait, [`Duration::MAX`] waits for ever; it wakes on the append.
    ///
    /// # Errors
    /// No record was spent by an error: the next poll goes on where this one was.
    /// - [`Error::Wakeup`]: from [`ConsumerHandle::wakeup`], once.
    /// - [`Error::CorruptMessage`], which says how to go on behind it.
    /// - [`Error::OffsetOutOfRange`] and [`Error::NoOffsetForPartition`]: only without an `auto_offset_reset`.
    /// - [`Error::UnknownTopicId`]: a topic was deleted. The next poll looks for a new one of that name.
    /// - [`Error::Timeout`]: only on a [`ManualClock`](crate::ManualClock), after a day of its time, if `timeout` has no end.
    /// - [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// for record in &consumer.poll(Duration::from_millis(100))? {
    ///     assert_eq!(record.value(), Some(&b"3 apples"[..]));
    /// }
    /// assert!(consumer.poll(Duration::ZERO)?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn poll(&mut self, timeout: Duration) -> Result<Records> {
        let deadline = self.now().plus(timeout);
        match self.run(Event::Poll { deadline })? {
            Action::Deliver(records) => Ok(records),
            _ => Ok(Records::default()),
        }
    }

    /// Does what the core says, until it is done.
    fn run(&self, event: Event) -> Result<Action> {
        let polls = matches!(event, Event::Poll { .. });
        let mut event = event;
        loop {
            // A wakeup is for polls: the short questions of other calls leave it to the next one.
            if polls && self.shared.woken.swap(false, Ordering::AcqRel) {
                return Err(Error::Wakeup);
            }
            let action = self.core.borrow_mut().step(event, self.now())?;
            event = match action {
                Action::Call(request) => {
                    let service = &self.client.service;
                    let deadline = self.now().plus(REQUEST_TIMEOUT);
                    let of_the_group = matches!(request, Request::OffsetFetch(_));
                    let to = if of_the_group { self.coordinator } else { self.client.bootstrap };
                    let answer = service.call(to, request);
                    Event::Answered(answer.wait(service.clock(), deadline)?)
                }
                Action::Fetch(leader, request) => {
                    self.fetch(leader, &request)?.map_or(Event::TimedOut, Event::Fetched)
                }
                done => return Ok(done),
            };
        }
    }

    /// Fetches, and waits for the answer. `None`: nobody has answered in time.
    fn fetch(&self, leader: BrokerId, request: &FetchRequest) -> Result<Option<FetchResponse>> {
        let service = &self.client.service;
        let ticket = match service.fetch(leader, request) {
            Answer::Ready(response) => return response.map(Some).map_err(|error| *error),
            Answer::Parked(ticket) => ticket,
        };
        *self.shared.waiting.lock() = Some(Arc::clone(&ticket));
        if self.shared.woken.load(Ordering::Acquire) {
            ticket.fill(Err(Error::Wakeup));
        }
        let response = ticket.wait(service.clock(), request.deadline);
        *self.shared.waiting.lock() = None;
        match response {
            Some(Err(Error::Wakeup)) => {
                self.shared.woken.store(false, Ordering::Release);
                Err(Error::Wakeup)
            }
            Some(response) => response.map(Some),
            None => {
                // Whoever would answer now need not.
                ticket.fill(Err(Error::Timeout));
                // Only a manual clock gives up on a wait without an end.
                if request.deadline == Instant::MAX { Err(Error::Timeout) } else { Ok(None) }
            }
        }
    }

    fn now(&self) -> Instant {
        self.client.service.clock().now()
    }

    /// Commits the positions: all that `poll` has handed out is done. They are in the log when this returns, flushed
    /// within the flush interval.
    ///
    /// # Errors
    /// - [`Error::IllegalState`]: the consumer has no group.
    /// - [`Error::UnknownMemberId`], [`Error::IllegalGeneration`]: the group knows this consumer no more, or, for an
    ///   assigned one, has a member now.
    /// - The disk's, and [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.poll(Duration::ZERO)?;
    /// consumer.commit_offset()?;
    /// drop(consumer);
    /// let mut next = broker.consumer("billing").subscribe("orders")?;
    /// assert!(next.poll(Duration::ZERO)?.is_empty(), "it goes on where the last one stopped");
    /// # Ok(()) }
    /// ```
    pub fn commit_offset(&self) -> Result<()> {
        let positions = self.core.borrow().positions();
        self.commit_offsets(positions)
    }

    /// Commits just these: records that are done, or offsets to go on at.
    ///
    /// # Errors
    /// As [`commit_offset`](Self::commit_offset), and [`Error::UnknownTopicOrPartition`],
    /// [`Error::OffsetMetadataTooLarge`], and [`Error::IllegalState`] for a negative offset.
    ///
    /// ```
    /// # use brooklet::{Broker, Record, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// for record in &consumer.poll(Duration::from_millis(100))? {
    ///     consumer.commit_offsets(record)?; // through this one; no "+ 1"
    /// }
    /// assert_eq!(consumer.committed(("orders", 0))?.map(|o| o.offset), Some(1));
    /// # Ok(()) }
    /// ```
    pub fn commit_offsets(&self, done: impl Into<Offsets>) -> Result<()> {
        let group = self.group()?;
        let request = OffsetCommitRequest { group, member: self.member.clone(), offsets: done.into() };
        self.client.call_to(self.coordinator, request)?;
        Ok(())
    }

    fn isolation(&self) -> IsolationLevel {
        self.core.borrow().isolation()
    }

    fn group(&self) -> Result<String> {
        let none = || Error::IllegalState("a consumer without a group has no committed offsets".to_owned());
        self.group.clone().ok_or_else(none)
    }

    /// What the group has committed for a partition: the next offset to read. `None` if nothing.
    ///
    /// # Errors
    /// [`Error::IllegalState`] without a group; [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(consumer.committed(("orders", 0))?, None);
    /// consumer.commit_offsets(Offsets::from([(("orders", 0), 0)]))?;
    /// assert_eq!(consumer.committed(("orders", 0))?.map(|o| o.offset), Some(0));
    /// # Ok(()) }
    /// ```
    pub fn committed(&self, of: impl Into<TopicPartition>) -> Result<Option<OffsetAndMetadata>> {
        let request = OffsetFetchRequest { group: self.group()?, partitions: vec![of.into()] };
        Ok(self.client.call_to(self.coordinator, request)?.offsets.into_iter().next().flatten())
    }

    /// The offset of the next record that `poll` hands out of a partition.
    ///
    /// # Errors
    /// [`Error::IllegalState`] if the partition is not assigned; those of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let partition = records.partitions().next().unwrap();
    /// assert_eq!(consumer.position(partition)?, 1);
    /// # Ok(()) }
    /// ```
    pub fn position(&self, of: impl Into<TopicPartition>) -> Result<i64> {
        self.run(Event::Locate)?;
        let of = of.into();
        let positions = self.core.borrow().positions();
        let position = positions.get(&of).map(|position| position.offset);
        position.ok_or_else(|| Error::IllegalState(format!("{of} is not assigned to this consumer")))
    }

    /// The offset that `spec` names in a partition of the assignment. `None`: no record is that young.
    ///
    /// # Errors
    /// [`Error::IllegalState`] if the partition is not assigned; those of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(consumer.offset(("orders", 0), OffsetSpec::Earliest)?, Some(0));
    /// assert_eq!(consumer.offset(("orders", 0), broker.now() + Duration::from_secs(60))?, None);
    /// # Ok(()) }
    /// ```
    pub fn offset(&self, of: impl Into<TopicPartition>, spec: impl Into<OffsetSpec>) -> Result<Option<i64>> {
        self.run(Event::Assign)?;
        let partition = self.core.borrow().reference(&of.into())?;
        let answer = self.client.call(ListOffsetsRequest {
            partition,
            spec: spec.into(),
            isolation: self.isolation(),
        })?;
        Ok(answer.offset.map(Offset::get))
    }

    /// The partitions that this consumer reads, sorted.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(consumer.assignment(), [("orders", 0).into(), ("orders", 1).into()]);
    /// # Ok(()) }
    /// ```
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.core.borrow().assignment()
    }

    /// Whether there is nothing left to poll now: each position is at its partition's high watermark.
    ///
    /// # Errors
    /// Those of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert!(!consumer.is_caught_up()?);
    /// consumer.poll(Duration::ZERO)?;
    /// assert!(consumer.is_caught_up()?);
    /// # Ok(()) }
    /// ```
    pub fn is_caught_up(&self) -> Result<bool> {
        loop {
            self.run(Event::Locate)?;
            let positions = self.core.borrow().positions();
            let mut versions = Vec::new();
            for (of, position) in positions.iter() {
                let partition = self.core.borrow().reference(of)?;
                let (spec, isolation) = (OffsetSpec::Latest, self.isolation());
                let answer = self.client.call(ListOffsetsRequest { partition, spec, isolation })?;
                if answer.offset.is_some_and(|end| end.get() > position.offset) {
                    return Ok(false);
                }
                versions.push(answer.metadata_version);
            }
            // There may be partitions that this consumer does not know yet.
            let newest = versions.pop();
            if !newest.is_some_and(|newest| self.core.borrow_mut().check_version(newest)) {
                return Ok(true);
            }
        }
    }

    /// Moves the position of a partition: the next poll begins there. To commit it is another matter.
    ///
    /// # Errors
    /// [`Error::IllegalState`] if the partition is not assigned, or for a negative offset; those of
    /// [`poll`](Self::poll). An offset outside the log is noticed by the next poll, which resets (rule 2).
    ///
    /// ```
    /// # use brooklet::{Broker, ConsumerConfig, OffsetSpec, Record, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("orders")?;
    /// # consumer.poll(Duration::ZERO)?;
    /// consumer.seek(("orders", 0), OffsetSpec::Earliest)?;
    /// assert_eq!(consumer.poll(Duration::from_millis(100))?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn seek(&mut self, of: impl Into<TopicPartition>, to: impl Into<OffsetSpec>) -> Result<()> {
        self.run(Event::Assign)?;
        self.core.borrow_mut().seek(&of.into(), to.into())
    }

    /// Moves the position of every partition of the assignment, as [`seek`](Self::seek) does.
    ///
    /// # Errors
    /// As [`seek`](Self::seek).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.poll(Duration::ZERO)?;
    /// consumer.seek_all(OffsetSpec::Earliest)?;
    /// assert_eq!(consumer.poll(Duration::ZERO)?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn seek_all(&mut self, to: impl Into<OffsetSpec>) -> Result<()> {
        let to = to.into();
        self.run(Event::Assign)?;
        let assignment = self.assignment();
        let mut core = self.core.borrow_mut();
        assignment.iter().try_for_each(|of| core.seek(of, to))
    }

    /// What other threads may do with this consumer.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let handle = consumer.handle();
    /// handle.wakeup();
    /// assert!(matches!(consumer.poll(Duration::MAX), Err(Error::Wakeup)));
    /// # Ok(()) }
    /// ```
    pub fn handle(&self) -> ConsumerHandle {
        ConsumerHandle { shared: Arc::clone(&self.shared) }
    }

    /// Leaves the group. Nothing is committed.
    ///
    /// # Errors
    /// [`Error::Closed`], and others if the group could not be left; the consumer is gone all the same.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.close()?;
    /// let next = broker.consumer("billing").subscribe("orders")?;
    /// # Ok(()) }
    /// ```
    pub fn close(mut self) -> Result<()> {
        self.leave()
    }

    fn leave(&mut self) -> Result<()> {
        let (Some(group), Some(member)) = (self.group.clone(), self.member.take()) else { return Ok(()) };
        self.client.call_to(self.coordinator, LeaveGroupRequest { group, member_id: member.member_id })?;
        Ok(())
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // There is nobody left to tell; a group that is gone with its broker needs no goodbye.
        drop(self.leave());
    }
}

/// What other threads may do with a [`Consumer`]. `Clone + Send + Sync`.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
/// let handle: ConsumerHandle = consumer.handle();
/// std::thread::spawn(move || handle.wakeup()).join().unwrap();
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct ConsumerHandle {
    shared: Arc<Shared>,
}

impl ConsumerHandle {
    /// Ends this poll of the consumer, or else the next one, with [`Error::Wakeup`], once.
    ///
    /// ```
    /// # use brooklet::{Broker, Error, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let handle = consumer.handle();
    /// let worker = std::thread::spawn(move || consumer.poll(Duration::MAX));
    /// handle.wakeup();
    /// assert!(matches!(worker.join().unwrap(), Err(Error::Wakeup)));
    /// # Ok(()) }
    /// ```
    pub fn wakeup(&self) {
        self.shared.woken.store(true, Ordering::Release);
        let waiting = self.shared.waiting.lock().take();
        if let Some(ticket) = waiting {
            ticket.fill(Err(Error::Wakeup));
        }
    }
}
