//! The consumer: a blocking shell over its core.

mod commits;
mod handle;
mod metrics;
mod pausing;
mod positions;
mod subscription;

pub use handle::{ConsumerHandle, PendingCommit};
pub use subscription::Subscription;
pub(super) use subscription::{Pattern, Topics};

use super::{
    Client, OwnedRecord, REQUEST_TIMEOUT, Records,
    consumer_core::{Action, ConsumerCore, Event, Wanted},
};
use crate::{
    config::ConsumerConfig,
    env::Slot,
    error::{Error, Result},
    rpc::{
        Answer, FetchResponse, FindCoordinatorRequest, JoinGroupRequest, MetadataRequest, Request, Ticket,
    },
    sync::Ordering,
    types::{Instant, TopicPartition},
};
use handle::Shared;
use std::{cell::RefCell, collections::BTreeSet, sync::Arc, time::Duration};

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
    /// In this version a group has one member. Topics that are named must be there; for those that come see
    /// [`Subscription::matching`].
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
        let wanted = subscribed(topics.into())?;
        let consumer = self.consumer(wanted)?;
        if let Some(group) = consumer.shared.group.clone() {
            let coordinator = consumer.shared.coordinator;
            consumer
                .shared
                .joined(consumer.client().call_to(coordinator, JoinGroupRequest { group })?.member);
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
        let wanted = assigned(partitions)?;
        self.consumer(wanted)
    }

    fn consumer(self, wanted: Wanted) -> Result<Consumer> {
        let Self { client, config } = self;
        config.check()?;
        let group = config.group.clone();
        let coordinator = match group.clone() {
            Some(group) => client.call(FindCoordinatorRequest { group })?.broker,
            None => client.bootstrap,
        };
        let shared = Arc::new(Shared::new(client, group, coordinator));
        let consumer = Consumer { core: RefCell::new(ConsumerCore::new(config, wanted)), shared };
        consumer.learn()?;
        Ok(consumer)
    }
}

fn subscribed(to: Subscription) -> Result<Wanted> {
    match to.topics {
        Topics::Named(topics) if topics.is_empty() => {
            Err(Error::IllegalState("a subscription to no topic".to_owned()))
        }
        Topics::Named(topics) => Ok(Wanted::Topics(topics)),
        Topics::Matching(pattern) => Ok(Wanted::Matching(pattern)),
    }
}

fn assigned<P: Into<TopicPartition>>(partitions: impl IntoIterator<Item = P>) -> Result<Wanted> {
    let partitions: BTreeSet<TopicPartition> = partitions.into_iter().map(Into::into).collect();
    if partitions.is_empty() {
        return Err(Error::IllegalState("an assignment of no partition".to_owned()));
    }
    Ok(Wanted::Partitions(partitions))
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
    core: RefCell<ConsumerCore>,
    shared: Arc<Shared>,
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
    /// - [`Error::UnknownTopicId`] or [`Error::UnknownTopicOrPartition`]: a topic was deleted; told once. The polls after it
    ///   go on with the other topics, and each looks for a new one of that name, once a second while it waits.
    /// - [`Error::Timeout`]: only on a [`ManualClock`](crate::ManualClock), after a day of its time, if `timeout` has no end.
    /// - Those of [`commit_offset`](Self::commit_offset), with
    ///   [`enable_auto_commit`](ConsumerConfig::enable_auto_commit); the next poll goes on without the commit.
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
        self.poll_some(timeout, usize::MAX)
    }

    /// Hands out one record, and moves the position of its partition by this one only, so that
    /// [`commit_offset`](Self::commit_offset) between two calls commits record by record. Waits as [`poll`](Self::poll)
    /// does; `None` when `timeout` is up. What was fetched with the record is kept for the next calls, and partitions
    /// take turns.
    ///
    /// # Errors
    /// Those of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # broker.produce(Record::to("orders").value("2 pears"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// while let Some(record) = consumer.poll_one(Duration::ZERO)? {
    ///     assert_eq!(consumer.position(record.topic_partition())?, record.offset() + 1);
    ///     consumer.commit_offset()?;
    /// }
    /// # assert_eq!(consumer.committed(("orders", 0))?.map(|o| o.offset), Some(2));
    /// # Ok(()) }
    /// ```
    pub fn poll_one(&mut self, timeout: Duration) -> Result<Option<OwnedRecord>> {
        Ok(self.poll_some(timeout, 1)?.into_iter().next())
    }

    fn poll_some(&mut self, timeout: Duration, most: usize) -> Result<Records> {
        let (now, clock) = (self.now(), self.client().service.clock());
        let deadline = clock.patience(now.plus(timeout));
        let Action::Deliver(records) = self.run_from(Event::Poll { deadline, most }, now)? else {
            return Ok(Records::default());
        };
        // Only a manual clock gives up on a wait without an end.
        let gave_up = records.is_empty() && deadline < now.plus(timeout);
        if gave_up { Err(Error::Timeout) } else { Ok(records) }
    }

    /// Does what the core says, until it is done.
    fn run(&self, event: Event) -> Result<Action> {
        self.run_from(event, self.now())
    }

    /// As `run`, where it is known what time it is. A poll that does not wait need not read the clock again.
    fn run_from(&self, event: Event, mut now: Instant) -> Result<Action> {
        let polls = matches!(event, Event::Poll { .. });
        let (service, woken) = (&self.client().service, &self.shared.woken);
        let mut event = event;
        loop {
            // A wakeup is for polls: the short questions of other calls leave it to the next one.
            if polls && woken.load(Ordering::Acquire) && woken.swap(false, Ordering::AcqRel) {
                return Err(Error::Wakeup);
            }
            event = match self.step(event, now)? {
                Action::Fetch(leader, request) => {
                    let waits = now < request.deadline;
                    match service.fetch(leader.unwrap_or(self.client().bootstrap), &request) {
                        Answer::Ready(response) => {
                            event = Event::Fetched(response.map_err(|error| *error)?);
                            now = if waits { self.now() } else { now };
                            continue;
                        }
                        Answer::Parked(ticket) => {
                            self.wait(&ticket, request.deadline)?.map_or(Event::TimedOut, Event::Fetched)
                        }
                    }
                }
                Action::Call(request) => {
                    let of_the_group = matches!(request, Request::OffsetFetch(_));
                    let to = if of_the_group { self.shared.coordinator } else { self.client().bootstrap };
                    let answer = service.call(to, request);
                    let answer = answer.wait(service.clock(), now.plus(REQUEST_TIMEOUT));
                    answer.map_or_else(Event::Failed, Event::Answered)
                }
                Action::Commit(offsets) => Event::Committed(self.commit_what_is_there(offsets)),
                Action::Wait(until) => {
                    self.wait(&Ticket::new(Slot::new()), until)?;
                    Event::TimedOut
                }
                done => return Ok(done),
            };
            now = self.now();
        }
    }

    /// Takes the core a step further, and notes for commits what it has learnt of topics, also with an error.
    fn step(&self, event: Event, now: Instant) -> Result<Action> {
        let mut core = self.core.borrow_mut();
        if core.counts_from_now() {
            core.tell_time(self.client().now());
        }
        let action = core.step(event, now);
        self.note_topics(&mut core);
        action
    }

    /// Asks for the partitions of what is wanted; an error if a topic that is named is not there.
    fn learn(&self) -> Result<()> {
        let metadata = self.client().call(MetadataRequest { topics: self.core.borrow().names() })?;
        let mut core = self.core.borrow_mut();
        core.learn(metadata)?;
        self.note_topics(&mut core);
        Ok(())
    }

    /// Notes for commits which topics are read now.
    fn note_topics(&self, core: &mut ConsumerCore) {
        if let Some(topic_ids) = core.changed_topics() {
            self.shared.reads(topic_ids);
        }
    }

    /// Reads other topics from now on. What is kept of the assignment goes on where it is, also what is
    /// [paused](Self::pause); what is new begins at the group's commit, or as
    /// [`auto_offset_reset`](ConsumerConfig::auto_offset_reset) says. With
    /// [`enable_auto_commit`](ConsumerConfig::enable_auto_commit) the positions are committed before, as by a close.
    ///
    /// # Errors
    /// The consumer reads what it read before then.
    /// - [`Error::IllegalState`]: the consumer was made by [`assign`](ConsumerBuilder::assign), or there is no topic.
    /// - [`Error::UnknownTopicOrPartition`], [`Error::Closed`], and those of a commit.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.create_topic("returns", TopicConfig::new())?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.subscribe(["orders", "returns"])?;
    /// assert_eq!(consumer.assignment().len(), 2);
    /// # Ok(()) }
    /// ```
    pub fn subscribe(&mut self, topics: impl Into<Subscription>) -> Result<()> {
        self.read_instead(subscribed(topics.into())?)
    }

    /// Reads other partitions from now on, as [`subscribe`](Self::subscribe) does other topics.
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe); [`Error::IllegalState`] if the consumer was made by
    /// [`subscribe`](ConsumerBuilder::subscribe).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// let mut consumer = broker.consumer(ConsumerConfig::standalone()).assign([("orders", 0)])?;
    /// consumer.assign([("orders", 1)])?;
    /// assert_eq!(consumer.assignment(), [("orders", 1).into()]);
    /// # Ok(()) }
    /// ```
    pub fn assign<P: Into<TopicPartition>>(&mut self, partitions: impl IntoIterator<Item = P>) -> Result<()> {
        self.read_instead(assigned(partitions)?)
    }

    fn read_instead(&mut self, wanted: Wanted) -> Result<()> {
        self.commit_last()?;
        let next = self.core.borrow().instead(wanted)?;
        let metadata = self.client().call(MetadataRequest { topics: next.names() })?;
        let mut core = self.core.borrow_mut();
        core.replace(next, metadata)?;
        self.note_topics(&mut core);
        Ok(())
    }

    /// With automatic commits: of the positions, due or not.
    fn commit_last(&self) -> Result<()> {
        let offsets = self.core.borrow().last_commit();
        offsets.map_or(Ok(()), |offsets| self.commit_what_is_there(offsets))
    }

    fn client(&self) -> &Client {
        &self.shared.client
    }

    /// Waits for what may come into the ticket, at most until `deadline`. A wakeup ends it.
    fn wait(&self, ticket: &Ticket<FetchResponse>, deadline: Instant) -> Result<Option<FetchResponse>> {
        let service = &self.client().service;
        *self.shared.waiting.lock() = Some(Arc::clone(ticket));
        if self.shared.woken.load(Ordering::Acquire) {
            ticket.fill(Err(Error::Wakeup));
        }
        let response = ticket.wait(service.clock(), deadline);
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
                Ok(None)
            }
        }
    }

    fn now(&self) -> Instant {
        self.client().service.clock().now()
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

    /// Leaves the group. With [`enable_auto_commit`](ConsumerConfig::enable_auto_commit) the positions are committed
    /// before: to close is to say that all that `poll` has handed out is done. Without it nothing is.
    ///
    /// # Errors
    /// Those of the commit, and others if the group could not be left; the consumer is gone all the same. Without anything
    /// to commit, it is no error that the broker is closed.
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
    pub fn close(self) -> Result<()> {
        let committed = self.commit_last();
        committed.and(match self.shared.leave() {
            // The group is gone with its broker.
            Err(Error::Closed) => Ok(()),
            left => left,
        })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // There is nobody left to tell; a group that is gone with its broker needs no goodbye.
        drop(self.shared.leave());
    }
}
