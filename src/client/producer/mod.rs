//! A producer that sends records in batches: a thin shell around its [`Accumulator`].
//!
//! Batches are sent by whoever has a reason to: a thread of the producer's when they are full or have waited for long
//! enough, and the callers that wait for a record, or for room. On a manual clock there is no thread: the one who moves the
//! time sends what falls due. Where an answer takes time, nobody waits for it but those: it comes to whoever moves the time,
//! or to the cluster's thread.

mod accumulator;
mod delivery;

pub use delivery::Delivery;

use super::{
    Client,
    produce::{check_timestamp, record_error},
};
use crate::{
    config::{ProducerConfig, SharedPartitioner},
    env::{Clock, Driver, Monitor},
    error::{Error, Result},
    record::{Record, compression_is_there},
    rpc::{Answer, ProduceResponse},
    sync::{JoinHandle, Mutex, MutexGuard, is_current, spawn},
    types::{Acks, Compression, Instant, RecordMetadata},
};
use accumulator::{Accumulator, Key, Sending, key_of};
use delivery::Batch;
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

/// How many batches of a partition are under way at once, where answers take time: as many as a leader remembers.
/// (`max.in.flight.requests.per.connection`)
const MAX_IN_FLIGHT: usize = 5;

/// How many batches that failed are kept for a flush to tell of.
const MAX_FAILED: usize = 100;

/// Sends records in batches by partition: for those who have many and need not wait for each.
///
/// A batch is sent when it is full, when its first record has waited for the linger, or when somebody waits for one of
/// its records. Records of a partition stay in the order in which they were sent. What is sent is acknowledged as
/// by [`Client::produce`](crate::Client::produce): in the log, and flushed if the topic or one of the batch's records asks for that.
///
/// Clones are the same producer; it is `Send + Sync`. The last one, dropped, sends what is buffered; what fails then is told
/// to nobody: [`close`](Self::close) it.
///
/// On a [`ManualClock`](crate::ManualClock) the linger passes when the time is moved. Over a [`Cluster`](crate::Cluster) up to 5
/// batches of a partition are under way at once, or one without [`Acks::All`].
///
/// ```
/// use brooklet::{Broker, ProducerConfig, Record, TopicConfig};
/// # fn main() -> brooklet::Result<()> {
/// # let broker = Broker::temporary()?;
/// broker.create_topic("readings", TopicConfig::new().partitions(3))?;
/// let producer = broker.producer(ProducerConfig::new())?;
/// for n in 0..1000 {
///     // Dropped: the flush tells if one fails.
///     drop(producer.send(Record::to("readings").key("cellar").value(&format!("{n}")))?);
/// }
/// producer.flush()?;
/// assert_eq!(producer.metrics().records_sent, 1000);
/// # producer.close()
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// What all clones hold: the last one ends the producer.
struct Handle {
    inner: Arc<Inner>,
    /// The sender, by the wall clock.
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    me: Weak<Self>,
    client: Client,
    config: ProducerConfig,
    state: Monitor<State>,
}

#[derive(Debug)]
struct State {
    accumulator: Accumulator,
    closed: bool,
    failed: Vec<Failed>,
    metrics: ProducerMetrics,
    /// How many batches are done.
    done: u64,
}

/// A batch that failed.
#[derive(Debug)]
struct Failed {
    batch: Arc<Batch>,
    records: usize,
    error: Error,
}

/// What a producer has done so far.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// let producer = broker.producer(ProducerConfig::new())?;
/// producer.produce(Record::to("orders").value("3 apples"))?;
/// let ProducerMetrics { records_sent, batches_sent, .. } = producer.metrics();
/// assert_eq!((records_sent, batches_sent), (1, 1));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerMetrics {
    /// Records that were acknowledged.
    pub records_sent: u64,
    /// Records that failed.
    pub records_failed: u64,
    /// Batches that were acknowledged.
    pub batches_sent: u64,
    /// The bytes of these, as they were sent: compressed.
    pub bytes_sent: u64,
    /// The bytes of records that wait or are under way now, not compressed.
    pub buffered_bytes: u64,
}

impl Producer {
    pub(super) fn new(client: Client, config: ProducerConfig) -> Result<Self> {
        config.check()?;
        check_compression(config.compression)?;
        let pipelined = !client.service.latency().is_zero() && config.acks == Acks::All;
        let state = State {
            accumulator: Accumulator::new(config.batch_size, if pipelined { MAX_IN_FLIGHT } else { 1 }),
            closed: false,
            failed: Vec::new(),
            metrics: ProducerMetrics::default(),
            done: 0,
        };
        let state = Monitor::new(state);
        let inner = Arc::new_cyclic(|me| Inner { me: Weak::clone(me), client, config, state });
        let thread = match inner.clock() {
            Clock::Manual(manual) => {
                let driver: Weak<dyn Driver> = Arc::<Inner>::downgrade(&inner) as Weak<dyn Driver>;
                manual.attach(driver);
                None
            }
            Clock::System(_) => {
                let inner = Arc::clone(&inner);
                let started = spawn("brooklet-producer", move || inner.run());
                Some(started.map_err(|error| Error::Other(Arc::new(error)))?)
            }
        };
        Ok(Self { handle: Arc::new(Handle { inner, thread: Mutex::new(thread) }) })
    }

    /// Takes a record into a batch, and returns at once; while the buffer is full, when there is room. The record is copied.
    ///
    /// The partition is chosen as by [`Client::produce`](crate::Client::produce), or by the
    /// [`partitioner`](ProducerConfig::partitioner).
    ///
    /// # Errors
    /// - [`Error::UnknownTopicOrPartition`], [`Error::InvalidRecord`], [`Error::MessageTooLarge`] (more than 2 GiB): it is in no
    ///   batch. Larger than the topic takes is told by the [`Delivery`].
    /// - [`Error::Timeout`]: for [`max_block`](ProducerConfig::max_block) there was no room, or nobody who knows the topic.
    /// - [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// let delivery = producer.send(Record::to("orders").key("alice").value("3 apples"))?;
    /// // ... something else ...
    /// println!("is at offset {}", delivery.wait()?.offset);
    /// # Ok(()) }
    /// ```
    pub fn send(&self, record: Record<'_>) -> Result<Delivery> {
        self.handle.inner.send(record)
    }

    /// Sends a record, and waits until it is acknowledged. It goes together with those of its batch, at once.
    ///
    /// # Errors
    /// Those of [`send`](Self::send) and of [`Client::produce`](crate::Client::produce).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// assert_eq!(producer.produce(Record::to("orders").value("3 apples"))?.offset, 0);
    /// # Ok(()) }
    /// ```
    pub fn produce(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.send(record)?.wait()
    }

    /// Waits until all that was sent before is acknowledged. (Not [`Broker::flush`](crate::Broker::flush), which makes
    /// durable what is acknowledged.)
    ///
    /// # Errors
    /// The first error among the records whose [`Delivery`] nobody has asked; each is told once.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// drop(producer.send(Record::to("orders").value("3 apples"))?);
    /// producer.flush()?;
    /// # Ok(()) }
    /// ```
    pub fn flush(&self) -> Result<()> {
        self.handle.inner.flush()
    }

    /// As [`flush`](Self::flush); from now on all clones give [`Error::Closed`]. Fine if it is closed.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// drop(producer.send(Record::to("orders").value("3 apples"))?);
    /// producer.close()?;
    /// assert!(matches!(producer.send(Record::to("orders")), Err(Error::Closed)));
    /// # Ok(()) }
    /// ```
    pub fn close(&self) -> Result<()> {
        self.handle.inner.begin_close();
        let flushed = self.handle.inner.flush();
        self.handle.join();
        flushed
    }

    /// As [`close`](Self::close), for `timeout` at most: what has not been sent by then is not sent any more, and its
    /// [`Delivery`] gives [`Error::Closed`]. With [`Duration::ZERO`] nothing more is sent. What is under way by then is told by
    /// its delivery when it is known.
    ///
    /// # Errors
    /// [`Error::Timeout`] if something was not sent, or not acknowledged by then; else those of [`flush`](Self::flush).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// drop(producer.send(Record::to("orders").value("3 apples"))?);
    /// producer.close_timeout(Duration::from_secs(5))?;
    /// assert_eq!(producer.metrics().records_sent, 1);
    /// # Ok(()) }
    /// ```
    pub fn close_timeout(&self, timeout: Duration) -> Result<()> {
        let inner = &self.handle.inner;
        let deadline = inner.clock().now().plus(timeout);
        // Before the sender learns that it is to send all.
        let at_once = timeout.is_zero() && inner.abandon();
        inner.begin_close();
        if !self.handle.has_another_thread() {
            inner.send_ready(true);
        }
        let all_done = inner.wait_until_idle(deadline);
        if at_once || inner.abandon() || !all_done {
            return Err(Error::Timeout);
        }
        self.handle.join();
        inner.told()
    }

    /// What it has done so far.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// assert_eq!(producer.metrics().records_sent, 0);
    /// # Ok(()) }
    /// ```
    pub fn metrics(&self) -> ProducerMetrics {
        let state = self.handle.inner.state.lock();
        ProducerMetrics { buffered_bytes: state.accumulator.buffered() as u64, ..state.metrics }
    }
}

fn check_compression(codec: Compression) -> Result<()> {
    if compression_is_there(codec) {
        return Ok(());
    }
    let (key, value) = ("compression.type".to_owned(), format!("{codec:?}").to_lowercase());
    Err(Error::InvalidConfig {
        key,
        reason: format!("brooklet is built without its feature `{value}`"),
        value,
    })
}

/// Rule 17: what a broker says, if it is in this process and so cannot but say something, counts for nothing.
fn unanswered(sent: Answer<ProduceResponse>) -> Answer<ProduceResponse> {
    match sent {
        Answer::Ready(Err(error)) if !matches!(*error, Error::Closed) => {
            Answer::Ready(Ok(ProduceResponse::NONE))
        }
        Answer::Ready(Ok(_)) => Answer::Ready(Ok(ProduceResponse::NONE)),
        sent => sent,
    }
}

impl Inner {
    fn clock(&self) -> &Clock {
        self.client.service.clock()
    }

    fn send(self: &Arc<Self>, record: Record<'_>) -> Result<Delivery> {
        let record = &self.placed(record)?;
        let route = self.client.route_of(record, self.config.max_block).map_err(|error| *error)?;
        let timestamp = record.timestamp.unwrap_or_else(|| self.clock().wall());
        check_timestamp(timestamp)?;
        let key = key_of(&route);
        let mut state = self.room()?;
        let begin = || {
            let batch = Batch::new(Arc::downgrade(self), key, record.topic);
            (Arc::new(batch), self.clock().now().plus(self.config.linger))
        };
        let placed = state.accumulator.push(&route, record, timestamp, begin)?;
        drop(state);
        if placed.is_news {
            self.state.notify();
            if let Clock::Manual(_) = self.clock() {
                self.send_ready(false);
            }
        }
        Ok(Delivery { batch: placed.batch, index: placed.index, timestamp })
    }

    /// The record with the partition that the user's partitioner has chosen for it, if there is one.
    fn placed<'r>(&self, record: Record<'r>) -> Result<Record<'r>> {
        let Some(SharedPartitioner(partitioner)) = &self.config.partitioner else { return Ok(record) };
        if record.partition.is_some() {
            return Ok(record);
        }
        let partitions = self.client.partition_count(record.topic, self.config.max_block)?;
        let chosen = partitioner.partition(record.topic, record.key, record.value, partitions);
        Ok(record.partition(chosen))
    }

    /// The state, once there is room for another record. Who waits for that sends what there is meanwhile.
    fn room(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        let mut deadline = None;
        while !state.closed && state.accumulator.buffered() >= self.config.buffer_memory {
            let now = self.clock().now();
            if let Some(sending) = state.accumulator.take(None, true, now) {
                drop(state);
                self.deliver(sending);
                state = self.state.lock();
                continue;
            }
            let deadline = *deadline.get_or_insert_with(|| now.plus(self.config.max_block));
            let came;
            (state, came) = self.wait(state, deadline);
            if !came {
                return Err(Error::Timeout);
            }
        }
        if state.closed { Err(Error::Closed) } else { Ok(state) }
    }

    /// Sends batches, of one partition if one is named, until `done`, or until `deadline` where only others' are under way.
    fn send_until(&self, of: Option<Key>, deadline: Instant, done: impl Fn() -> bool) {
        let mut state = self.state.lock();
        while !done() {
            match state.accumulator.take(of, true, self.clock().now()) {
                Some(sending) => {
                    drop(state);
                    self.deliver(sending);
                    state = self.state.lock();
                }
                None => {
                    let came;
                    (state, came) = self.wait(state, deadline);
                    if !came {
                        return;
                    }
                }
            }
        }
    }

    /// Waits until a batch is done, or something else has changed, at most until `deadline`; `false`: that has come. Whoever waits
    /// for brokers on virtual time moves it.
    fn wait<'s>(&'s self, state: MutexGuard<'s, State>, deadline: Instant) -> (MutexGuard<'s, State>, bool) {
        if let Clock::Manual(clock) = self.clock()
            && !self.client.service.latency().is_zero()
        {
            let before = state.done;
            drop(state);
            let within = deadline.since(self.clock().now());
            let came = clock.run_until(within, || self.state.lock().done != before);
            return (self.state.lock(), came);
        }
        let mut state = state;
        let came = self.state.wait(&mut state, self.clock(), deadline);
        (state, came)
    }

    /// Sends what is full, or has waited for long enough; with `force` also what could wait.
    fn send_ready(&self, force: bool) {
        loop {
            let now = self.clock().now();
            let Some(sending) = self.state.lock().accumulator.take(None, force, now) else { return };
            self.deliver(sending);
        }
    }

    /// The sender's life.
    fn run(&self) {
        let mut state = self.state.lock();
        while !(state.closed && state.accumulator.is_idle()) {
            let closed = state.closed;
            match state.accumulator.take(None, closed, self.clock().now()) {
                Some(sending) => {
                    drop(state);
                    self.deliver(sending);
                    state = self.state.lock();
                }
                None => {
                    let due = state.accumulator.next_due().unwrap_or(Instant::MAX);
                    self.state.wait(&mut state, self.clock(), due);
                }
            }
        }
    }

    /// Sends a batch, and tells all who wait for it, when it is known what has become of it.
    fn deliver(&self, mut sending: Sending) {
        let records = usize::try_from(sending.written.record_count()).unwrap_or_default();
        let (answer, bytes) = self.transmit(&mut sending);
        let Sending { key, batch, .. } = sending;
        // Whoever is asked is there.
        if let Some(me) = self.me.upgrade() {
            answer.on_answer(move |outcome| me.delivered(key, &batch, (records, bytes), outcome));
        }
    }

    fn delivered(
        &self,
        key: Key,
        batch: &Arc<Batch>,
        (records, bytes): (usize, usize),
        outcome: Result<ProduceResponse>,
    ) {
        if let Err(Error::UnknownTopicId { .. }) = &outcome {
            // The next record asks for the topic that has its name now.
            self.client.forget(batch.topic());
        }
        let callbacks = {
            let mut state = self.state.lock();
            state.done += 1;
            state.accumulator.done(key, batch);
            state.note(batch, records, bytes, outcome.as_ref().err());
            batch.settle(outcome)
        };
        self.state.notify();
        batch.report(records);
        batch.tell(callbacks);
    }

    /// Sends a batch to its leader, anew where its topic turns out to have been made anew. Says how large it was.
    fn transmit(&self, sending: &mut Sending) -> (Answer<ProduceResponse>, usize) {
        let plain = sending.written.finish(&mut sending.encoded);
        let mut packed = Vec::new();
        let batch = match self.config.compression {
            Compression::None => Ok(plain),
            codec => plain.recompress(codec, &mut packed),
        };
        let mut batch = match batch {
            Ok(batch) => batch,
            Err(error) => {
                let refused = record_error(error, sending.route.max_batch);
                return (Answer::Ready(Err(refused.into())), 0);
            }
        };
        let size = batch.bytes().len();
        let topic = sending.batch.topic();
        let (durability, acks, limit) = (sending.durability, self.config.acks, sending.route.max_batch);
        if acks == Acks::Zero && size > limit {
            // No broker would say so.
            return (Answer::Ready(Err(Error::MessageTooLarge { size, limit }.into())), size);
        }
        let wanted = (acks, self.config.delivery_timeout);
        let sent = self.client.begin_send(&mut sending.route, topic, &mut batch, durability, wanted);
        (if acks == Acks::Zero { unanswered(sent) } else { sent }, size)
    }

    fn flush(&self) -> Result<()> {
        let outstanding = self.state.lock().accumulator.outstanding();
        self.send_until(None, Instant::MAX, || outstanding.iter().all(|batch| batch.is_done()));
        self.told()
    }

    /// Waits until all is done, without sending anything here, so that no slow disk holds up the deadline. `false`: that
    /// came before.
    fn wait_until_idle(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.accumulator.is_idle() {
            let came;
            (state, came) = self.wait(state, deadline);
            if !came {
                return false;
            }
        }
        true
    }

    /// Fails all that is not under way; says whether there was any.
    fn abandon(&self) -> bool {
        let mut told = Vec::new();
        {
            let mut state = self.state.lock();
            state.closed = true;
            for (batch, records) in state.accumulator.abandon() {
                state.note(&batch, records, 0, Some(&Error::Closed));
                let callbacks = batch.settle(Err(Error::Closed));
                told.push((batch, records, callbacks));
            }
        }
        self.state.notify();
        let any = !told.is_empty();
        for (batch, records, callbacks) in told {
            batch.report(records);
            batch.tell(callbacks);
        }
        any
    }

    /// The first error that nobody was told.
    fn told(&self) -> Result<()> {
        let failed = std::mem::take(&mut self.state.lock().failed);
        let unasked = failed.into_iter().find(|failed| failed.batch.unasked(failed.records) > 0);
        unasked.map_or(Ok(()), |failed| Err(failed.error))
    }

    fn begin_close(&self) {
        self.state.lock().closed = true;
        self.state.notify();
    }
}

impl State {
    fn note(&mut self, batch: &Arc<Batch>, records: usize, bytes: usize, error: Option<&Error>) {
        let Some(error) = error else {
            self.metrics.records_sent += records as u64;
            self.metrics.batches_sent += 1;
            self.metrics.bytes_sent += bytes as u64;
            return;
        };
        self.metrics.records_failed += records as u64;
        if self.failed.len() < MAX_FAILED {
            self.failed.push(Failed { batch: Arc::clone(batch), records, error: error.clone() });
        }
    }
}

impl Driver for Inner {
    fn next_timer(&self) -> Option<Instant> {
        let state = self.state.lock();
        let due = state.accumulator.next_due();
        // What is closed has nothing more to wait for.
        due.map(|due| if state.closed { Instant::default() } else { due })
    }

    fn fire(&self, _now: Instant) {
        let closed = self.state.lock().closed;
        self.send_ready(closed);
    }
}

impl Handle {
    /// Whether some thread but this one sends what is full or due.
    fn has_another_thread(&self) -> bool {
        self.thread.lock().as_ref().is_some_and(|thread| !is_current(thread))
    }

    /// Waits for the sender's end.
    fn join(&self) {
        let thread = self.thread.lock().take();
        if let Some(thread) = thread.filter(|thread| !is_current(thread)) {
            // One that panicked has said so on its own.
            drop(thread.join());
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.begin_close();
        self.inner.send_ready(true);
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("config", &self.config).finish_non_exhaustive()
    }
}
