//! What becomes of the records of a batch, told to those who sent them.

use super::{Inner, accumulator::Key};
use crate::{
    error::{Error, Result},
    rpc::ProduceResponse,
    sync::{AtomicUsize, Mutex, OnceLock, Ordering},
    trace,
    types::{Instant, RecordMetadata, Timestamp},
};
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

/// Told of a record's delivery.
type Callback = Box<dyn FnOnce(Result<RecordMetadata>) + Send>;

/// Each with its record's number in the batch, and its timestamp.
pub(super) type Callbacks = Vec<(i32, Timestamp, Callback)>;

/// A batch as its records' senders see it.
pub(super) struct Batch {
    /// Who sends it. Once that is gone, all is settled.
    producer: Weak<Inner>,
    key: Key,
    topic: Box<str>,
    outcome: OnceLock<Result<ProduceResponse>>,
    /// Taken together with the outcome's coming, so that each is called once.
    callbacks: Mutex<Callbacks>,
    /// How many of its records somebody has asked about.
    asked: AtomicUsize,
}

impl Batch {
    pub(super) fn new(producer: Weak<Inner>, key: Key, topic: &str) -> Self {
        let (outcome, callbacks) = (OnceLock::new(), Mutex::default());
        Self { producer, key, topic: topic.into(), outcome, callbacks, asked: AtomicUsize::new(0) }
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn is_done(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// How many of its records nobody has asked about, of `records`.
    pub(super) fn unasked(&self, records: usize) -> usize {
        records.saturating_sub(self.asked.load(Ordering::Acquire))
    }

    /// Notes what became of it, once, and gives those who are to be told.
    pub(super) fn settle(&self, outcome: Result<ProduceResponse>) -> Callbacks {
        let mut callbacks = self.callbacks.lock();
        drop(self.outcome.set(outcome));
        std::mem::take(&mut *callbacks)
    }

    /// Tells a subscriber, if it failed. To be called with no lock held.
    pub(super) fn report(&self, records: usize) {
        if let Some(Err(error)) = self.outcome.get() {
            trace::batch_failed(&self.topic, error, self.key.1, records as u64);
        }
    }

    /// Tells them. To be called with no lock held.
    pub(super) fn tell(&self, callbacks: Callbacks) {
        for (index, timestamp, then) in callbacks {
            if let Some(result) = self.result(index, timestamp) {
                then(result);
            }
        }
    }

    fn result(&self, index: i32, timestamp: Timestamp) -> Option<Result<RecordMetadata>> {
        let (_, partition) = self.key;
        let told = |sent: &ProduceResponse| {
            let timestamp = sent.log_append_time.unwrap_or(timestamp);
            RecordMetadata::new(partition, sent.offset_of(i64::from(index)), timestamp, sent.durability)
        };
        self.outcome.get().map(|outcome| outcome.as_ref().map(told).map_err(Error::clone))
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("key", &self.key)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// What becomes of a record that a [`Producer`](crate::Producer) was given.
///
/// It may be dropped: if the record then fails, [`flush`](crate::Producer::flush) or
/// [`close`](crate::Producer::close) says so in its place. `Send + Sync`.
///
/// ```
/// use brooklet::{Broker, Delivery, ProducerConfig, Record, TopicConfig};
/// # fn main() -> brooklet::Result<()> {
/// # let broker = Broker::temporary()?;
/// broker.create_topic("orders", TopicConfig::new())?;
/// let producer = broker.producer(ProducerConfig::new())?;
/// let deliveries: Vec<Delivery> =
///     ["a", "b"].iter().map(|value| producer.send(Record::to("orders").value(value))).collect::<Result<_, _>>()?;
/// for (n, delivery) in deliveries.into_iter().enumerate() {
///     assert_eq!(delivery.wait()?.offset, n as i64);
/// }
/// # Ok(()) }
/// ```
pub struct Delivery {
    pub(super) batch: Arc<Batch>,
    pub(super) index: i32,
    pub(super) timestamp: Timestamp,
}

impl Delivery {
    /// Waits until the record is acknowledged, and says where it is. Its batch is sent now, without the linger.
    ///
    /// # Errors
    /// Those of [`Client::produce`](crate::Client::produce).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// assert_eq!(producer.send(Record::to("orders").value("3 apples"))?.wait()?.offset, 0);
    /// # Ok(()) }
    /// ```
    pub fn wait(self) -> Result<RecordMetadata> {
        self.result_by(Instant::MAX).unwrap_or(Err(Error::Timeout))
    }

    /// As [`wait`](Self::wait), for `timeout` at most if other batches of the partition are under way; `None` then. What
    /// the record waits for goes on.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// let delivery = producer.send(Record::to("orders").value("3 apples"))?;
    /// let at = delivery.wait_timeout(Duration::from_secs(10)).expect("nobody else sends")?;
    /// assert_eq!(at.offset, 0);
    /// # Ok(()) }
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<RecordMetadata>> {
        let producer = self.batch.producer.upgrade();
        self.result_by(producer.map_or(Instant::MAX, |producer| producer.clock().now().plus(timeout)))
    }

    fn result_by(&self, deadline: Instant) -> Option<Result<RecordMetadata>> {
        let batch = &self.batch;
        if !batch.is_done()
            && let Some(producer) = batch.producer.upgrade()
        {
            producer.send_until(Some(batch.key), deadline, || batch.is_done());
        }
        let result = batch.result(self.index, self.timestamp)?;
        batch.asked.fetch_add(1, Ordering::AcqRel);
        Some(result)
    }

    /// Calls `then` once it is known what became of the record: now, if it is known, or else in the thread that learns it,
    /// where it holds up the records that come next; so it should be short. It may send. A panic in it is that thread's.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::sync::mpsc;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// let (told, offsets) = mpsc::channel();
    /// producer.send(Record::to("orders").value("3 apples"))?.on_complete(move |delivered| {
    ///     told.send(delivered.map(|at| at.offset)).unwrap();
    /// });
    /// producer.flush()?;
    /// assert_eq!(offsets.recv().unwrap()?, 0);
    /// # Ok(()) }
    /// ```
    pub fn on_complete(self, then: impl FnOnce(Result<RecordMetadata>) + Send + 'static) {
        self.batch.asked.fetch_add(1, Ordering::AcqRel);
        let known = {
            let mut callbacks = self.batch.callbacks.lock();
            let known = self.batch.result(self.index, self.timestamp);
            match known {
                Some(known) => Some((known, then)),
                None => {
                    callbacks.push((self.index, self.timestamp, Box::new(then)));
                    None
                }
            }
        };
        if let Some((known, then)) = known {
            then(known);
        }
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("batch", &self.batch)
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}
