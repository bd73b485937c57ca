//! The consumer: a blocking shell over its core.

mod commits;
mod handle;
mod membership;
mod metrics;
mod pausing;
mod positions;
mod rebalance;
mod subscription;

pub use handle::{ConsumerHandle, PendingCommit};
pub use rebalance::{RebalanceConsumer, RebalanceListener};
pub use subscription::Subscription;
pub(super) use subscription::{Pattern, Topics};

use super::{
    Client, OwnedRecord, REQUEST_TIMEOUT, Records,
    consumer_core::{Action, Change, ConsumerCore, Event, Wanted},
};
use crate::{
    config::ConsumerConfig,
    env::{Interrupt, Slot},
    error::{Error, Result},
    rpc::{Answer, FindCoordinatorRequest, MetadataRequest, Notify, Request, Response, Ticket},
    sync::Ordering,
    types::{Instant, TopicPartition, check_topic_name},
};
use handle::Shared;
use rebalance::Listener;
use std::{
    cell::RefCell,
    collections::BTreeSet,
    sync::{Arc, Weak},
    time::Duration,
};

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
    listener: Listener,
}

impl ConsumerBuilder {
    pub(super) fn new(client: Client, config: ConsumerConfig) -> Self {
        Self { client, config, listener: Listener::default() }
    }

    /// Is told by the listener which partitions the consumer gets and gives up.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// struct Say;
    ///
    /// impl RebalanceListener for Say {
    ///     fn assigned(&mut self, _: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
    ///         Ok(println!("got {partitions:?}"))
    ///     }
    /// }
    ///
    /// let mut consumer = broker.consumer("billing").on_rebalance(Say).subscribe("orders")?;
    /// consumer.poll(Duration::ZERO)?;
    /// # Ok(()) }
    /// ```
    pub fn on_rebalance(mut self, listener: impl RebalanceListener + 'static) -> Self {
        self.listener = Listener(Some(Box::new(listener)));
        self
    }

    /// Reads all partitions of some topics; or, as a member of its group, its share of them, which is another one when members
    /// come and go.
    ///
    /// The consumer joins its group at once, but does not wait: if it is the only member, it has its partitions when this
    /// returns; else the others have to [`poll`](Consumer::poll) first, and its own polls take what it is given. Topics of a
    /// group's need not be there: they are read when they come. Without a group they must be; see also
    /// [`Subscription::matching`].
    ///
    /// # Errors
    /// - [`Error::InvalidTopic`], [`Error::InvalidGroupId`], [`Error::InvalidConfig`], [`Error::InvalidSessionTimeout`].
    /// - [`Error::InconsistentGroupProtocol`]: the members have no assignor in common with this one.
    /// - [`Error::UnknownTopicOrPartition`]: only without a group.
    /// - [`Error::GroupMaxSizeReached`]: beyond 10,000 members. The disk's, and [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::{Broker, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// let mut first = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(first.assignment().len(), 2);
    /// let mut second = broker.consumer("billing").subscribe("orders")?;
    /// while second.assignment().is_empty() {
    ///     first.poll(Duration::ZERO)?;
    ///     second.poll(Duration::ZERO)?;
    /// }
    /// assert_eq!((first.assignment().len(), second.assignment().len()), (1, 1));
    /// # Ok(()) }
    /// ```
    pub fn subscribe(self, topics: impl Into<Subscription>) -> Result<Consumer> {
        let wanted = subscribed(topics.into())?;
        let consumer = self.consumer(wanted)?;
        if consumer.core.borrow().is_member() {
            consumer.shared.start_heart(consumer.now());
            consumer.run(Event::Join)?;
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
        let Self { client, config, listener } = self;
        config.check()?;
        let group = config.group.clone();
        let coordinator = match group.clone() {
            Some(group) => client.call(FindCoordinatorRequest { group })?.broker,
            None => client.bootstrap,
        };
        let shared = Shared::new(client, &config, coordinator);
        let mut core = ConsumerCore::new(config, wanted);
        core.tells = listener.0.is_some();
        let (core, listener) = (RefCell::new(core), RefCell::new(listener));
        let consumer = Consumer { core, shared, listener };
        if !consumer.core.borrow().is_member() {
            consumer.learn()?;
        }
        Ok(consumer)
    }
}

fn subscribed(to: Subscription) -> Result<Wanted> {
    match to.topics {
        Topics::Named(topics) if topics.is_empty() => {
            Err(Error::IllegalState("a subscription to no topic".to_owned()))
        }
        Topics::Named(topics) => {
            topics.iter().try_for_each(|topic| check_topic_name(topic))?;
            Ok(Wanted::Topics(topics))
        }
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
    listener: RefCell<Listener>,
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
        self.shared.heart.polls(now);
        let polled = self.run_from(Event::Poll { deadline, most }, now);
        self.shared.heart.has_polled();
        let Action::Deliver(records) = polled? else { return Ok(Records::default()) };
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
        let service = &self.client().service;
        let mut event = event;
        self.check_woken(polls)?;
        loop {
            // What has come as an answer is taken in before anything that has happened since.
            let answers = matches!(event, Event::Answered(_) | Event::Failed(_));
            if let Some(news) = Some(&self.shared).filter(|_| !answers).and_then(|shared| shared.news()) {
                self.core.borrow_mut().hear(news);
            }
            event = match self.step(event, now)? {
                Action::Fetch(leader, request) => {
                    let waits = now < request.deadline;
                    match service.fetch(leader.unwrap_or(self.client().bootstrap), &request) {
                        Answer::Ready(response) => {
                            event = Event::Fetched(response.map_err(|error| *error)?);
                            now = if waits { self.now_in(polls) } else { now };
                            continue;
                        }
                        Answer::Parked(ticket) => {
                            match self.wait(&ticket, request.deadline.plus(service.latency())) {
                                Some(response) => Event::Fetched(response?),
                                None => {
                                    self.check_woken(polls)?;
                                    Event::TimedOut
                                }
                            }
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
                Action::Send(request) => self.send(request),
                Action::Await(until) => match self.await_answer(until) {
                    Some(answer) => answer.map_or_else(Event::Failed, Event::Answered),
                    None => {
                        self.check_woken(polls)?;
                        Event::TimedOut
                    }
                },
                Action::Tell(change, partitions) => match self.tell(change, &partitions) {
                    Ok(()) => Event::Told,
                    Err(error) => {
                        self.core.borrow_mut().told();
                        self.note(&mut self.core.borrow_mut());
                        return Err(error);
                    }
                },
                Action::Commit(offsets) => Event::Committed(self.commit_what_is_there(offsets)),
                done => return Ok(done),
            };
            now = self.now_in(polls);
        }
    }

    /// A wakeup is for polls: the short questions of other calls leave it to the next one.
    fn check_woken(&self, polls: bool) -> Result<()> {
        let woken = &self.shared.woken;
        if polls && woken.load(Ordering::Acquire) && woken.swap(false, Ordering::AcqRel) {
            return Err(Error::Wakeup);
        }
        Ok(())
    }

    fn now_in(&self, polls: bool) -> Instant {
        let now = self.now();
        if polls {
            self.shared.heart.polls(now);
        }
        now
    }

    /// Sends something to the group; it may take the others long to let it answer.
    fn send(&self, mut request: Request) -> Event {
        if let Request::JoinGroup(join) = &mut request {
            let notify: Weak<dyn Notify> = Arc::<Shared>::downgrade(&self.shared) as Weak<dyn Notify>;
            join.notify = Some(notify);
        }
        self.shared.identity.lock().sent.begins(&request);
        match self.client().service.call(self.shared.coordinator, request) {
            Answer::Ready(answer) => {
                let answer = answer.map_err(|error| *error);
                self.shared.identity.lock().answered(&answer, &self.shared.heart);
                answer.map_or_else(Event::Failed, Event::Answered)
            }
            Answer::Parked(ticket) => {
                self.shared.identity.lock().sent.awaits(ticket);
                Event::TimedOut
            }
        }
    }

    /// The answer to what was sent, waited for until `until`.
    fn await_answer(&self, until: Instant) -> Option<Result<Response>> {
        let ticket = match self.shared.identity.lock().answer(&self.shared.heart) {
            Ok(answer) => return Some(answer),
            Err(ticket) => ticket?,
        };
        self.attend(&ticket, || {
            let came = ticket.wait(self.client().service.clock(), until);
            let mut identity = self.shared.identity.lock();
            match came {
                Some(answer) => {
                    identity.answered(&answer, &self.shared.heart);
                    Some(answer)
                }
                // Whoever has the heart beat may have taken it.
                None => identity.answer(&self.shared.heart).ok(),
            }
        })
    }

    /// Takes the core a step further, and notes for commits what it has learnt of topics, also with an error.
    fn step(&self, event: Event, now: Instant) -> Result<Action> {
        let mut core = self.core.borrow_mut();
        if core.counts_from_now() {
            core.tell_time(self.client().now());
        }
        let action = core.step(event, now);
        self.note(&mut core);
        action
    }

    /// Asks for the partitions of what is wanted; an error if a topic that is named is not there.
    fn learn(&self) -> Result<()> {
        let metadata = self.client().call(MetadataRequest { topics: self.core.borrow().names() })?;
        let mut core = self.core.borrow_mut();
        core.learn(metadata)?;
        self.note(&mut core);
        Ok(())
    }

    /// Notes for commits who the consumer is and what it reads now.
    fn note(&self, core: &mut ConsumerCore) {
        if let Some(topic_ids) = core.changed_topics() {
            let owned = core.is_member().then(|| core.assignment().into_iter().collect());
            self.shared.note(topic_ids, core.identity(), owned);
        }
    }

    /// Reads other topics from now on. What is kept of the assignment goes on where it is, also what is
    /// [paused](Self::pause); what is new begins at the group's commit, or as
    /// [`auto_offset_reset`](ConsumerConfig::auto_offset_reset) says. With
    /// [`enable_auto_commit`](ConsumerConfig::enable_auto_commit) the positions are committed before, as by a close.
    ///
    /// # Errors
    /// The consumer reads what it read before then. As a member of a group it joins anew, at once, or in the next poll if it has a
    /// [`RebalanceListener`] to tell.
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
        let wanted = subscribed(topics.into())?;
        if !self.core.borrow().is_member() {
            return self.read_instead(wanted);
        }
        self.commit_last()?;
        self.core.borrow_mut().subscribe_anew(wanted)?;
        let has_listener = self.listener.borrow().0.is_some();
        if !has_listener {
            self.run(Event::Join)?;
        }
        Ok(())
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
        self.note(&mut core);
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

    /// Waits for what may come into the ticket, at most until `deadline`; nobody need answer then.
    fn wait<T: Send + 'static>(&self, ticket: &Ticket<T>, deadline: Instant) -> Option<Result<T>> {
        let response = self.attend(ticket, || ticket.wait(self.client().service.clock(), deadline));
        if response.is_none() {
            ticket.fill(Err(Error::Timeout));
        }
        response
    }

    /// Waits, so that a wakeup, or news from the group, ends it.
    fn attend<T: Send + 'static, R>(&self, on: &Ticket<T>, wait: impl FnOnce() -> Option<R>) -> Option<R> {
        let shared = &self.shared;
        *shared.waiting.lock() = Some(Arc::<Slot<Result<T>>>::clone(on) as Arc<dyn Interrupt>);
        if shared.woken.load(Ordering::Acquire) || shared.heart.has_news() {
            shared.interrupt();
        }
        let came = wait();
        *shared.waiting.lock() = None;
        came
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
    /// before: to close is to say that all that `poll` has handed out is done. Without it nothing is. Then the
    /// [`RebalanceListener`] is told that all partitions are given up, and may commit.
    ///
    /// # Errors
    /// Those of the commit and the listener's, and others if the group could not be left; the consumer is gone all the same.
    /// Without anything to commit, it is no error that the broker is closed.
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
        let assignment = self.assignment();
        let gives_up = self.core.borrow().is_member() && !assignment.is_empty();
        let told = if gives_up { self.tell(Change::Revoked, &assignment) } else { self.commit_last() };
        told.and(match self.shared.leave() {
            // The group is gone with its broker.
            Err(Error::Closed) => Ok(()),
            left => left,
        })
    }

    /// Ends it as if its process had died, for tests: without a word to the group, which counts it as gone after the
    /// [`session_timeout`](ConsumerConfig::session_timeout), and with nothing committed.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let clock = ManualClock::new();
    /// let broker = Broker::builder().clock(&clock).open_temporary()?;
    /// broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// let dies = broker.consumer("billing").subscribe("orders")?;
    /// let mut lives = broker.consumer("billing").subscribe("orders")?;
    /// dies.abandon();
    /// clock.advance(Duration::from_secs(45));
    /// lives.poll(Duration::ZERO)?;
    /// assert_eq!(lives.assignment().len(), 2);
    /// # Ok(()) }
    /// ```
    pub fn abandon(self) {
        self.shared.go();
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // There is nobody left to tell; a group that is gone with its broker needs no goodbye.
        drop(self.shared.leave());
    }
}
