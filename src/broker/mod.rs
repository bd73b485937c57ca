//! The embedded broker, as an application holds it.

mod builder;

pub use builder::BrokerBuilder;

use crate::{
    client::{Admin, Client, ConsumerBuilder},
    config::{ConsumerConfig, TopicConfig},
    error::Result,
    node::{Node, RecoveryReport},
    record::Record,
    types::{Offset, RecordMetadata, Timestamp, TopicId},
};
use std::{path::Path, sync::Arc};

/// A message log with Kafka's model, in this process, in local files.
///
/// Clones are handles to the same broker; it is `Send + Sync`. The last handle, dropped, closes it. One process has
/// its directory at a time. Unless it is on a manual clock it has two threads, one for timers and one for the disk.
///
/// ```
/// use brooklet::{Broker, Record, TopicConfig};
/// use std::time::Duration;
///
/// # fn main() -> brooklet::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let dir = dir.path().join("data");
/// let broker = Broker::open(&dir)?;
/// broker.ensure_topic("orders", TopicConfig::new().partitions(3))?;
/// broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
///
/// let mut consumer = broker.consumer("billing").subscribe(["orders"])?;
/// while !consumer.is_caught_up()? {
///     for record in &consumer.poll(Duration::from_millis(100))? {
///         println!("{record:?}");
///     }
///     consumer.commit_offset()?;
/// }
/// broker.close()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Broker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    node: Arc<Node>,
    client: Client,
    recovery: RecoveryReport,
    /// Removed behind the broker, if it is a temporary one's.
    temporary: Option<tempfile::TempDir>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Whoever wants to know how closing went calls `close`. What was promised to be flushed is.
        drop(self.node.close());
        drop(self.temporary.take());
    }
}

impl Broker {
    /// Opens the broker of a directory, made (0700) where there is none.
    ///
    /// If it was not closed, what was in its logs is read again from their recovery points on: see
    /// [`recovery`](Self::recovery). All that was acknowledged as flushed is there; all that was acknowledged is, unless
    /// the power went.
    ///
    /// # Errors
    /// - [`Error::Locked`](crate::Error::Locked), at once, if another broker has it, in this process or another.
    /// - [`Error::KafkaStorageError`](crate::Error::KafkaStorageError) if what was durable is damaged. What
    ///   is damaged was not changed.
    /// - [`Error::Io`](crate::Error::Io).
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::builder().open(dir)
    }

    /// Opens a broker in a new directory that goes when the broker is closed: for tests.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io).
    ///
    /// ```
    /// # fn main() -> brooklet::Result<()> {
    /// let broker = brooklet::Broker::temporary()?;
    /// # Ok(()) }
    /// ```
    pub fn temporary() -> Result<Self> {
        Self::builder().open_temporary()
    }

    /// Begins a broker with settings of its own: defaults for topics, a manual clock, a simulated disk.
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    /// What application code works with: pass it on as `&Client`. The broker forwards its methods.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// What opening found and did.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.recovery
    }

    /// Makes durable all records that were acknowledged so far, in all topics: a barrier against power cuts. (Not
    /// Kafka's `Producer.flush`, which waits for acknowledgements.)
    ///
    /// # Errors
    /// The disk's. A partition whose flush failed takes no more records until the broker is opened anew, since what the
    /// disk holds is not known any more.
    ///
    /// ```
    /// # use brooklet::{Broker, Record, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// for n in 0..1000 {
    ///     broker.produce(Record::to("orders").value(&format!("order {n}")))?;
    /// }
    /// broker.flush()?;
    /// assert_eq!(broker.durable_offset("orders", 0)?, 1000);
    /// # Ok(()) }
    /// ```
    pub fn flush(&self) -> Result<()> {
        self.inner.node.flush_all()
    }

    /// The offset below which the records of a partition survive a power cut, exclusive.
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition), [`Error::Closed`](crate::Error::Closed).
    pub fn durable_offset(&self, topic: &str, partition: i32) -> Result<i64> {
        self.inner.node.durable_offset(topic, partition).map(Offset::get)
    }

    /// Flushes everything and closes the directory; the next open reads nothing again. From here on every handle,
    /// client, consumer of it gives [`Error::Closed`](crate::Error::Closed); a second close does nothing. Records that
    /// were polled stay.
    ///
    /// # Errors
    /// The disk's. The directory is then left as after a crash.
    pub fn close(&self) -> Result<()> {
        self.inner.node.close()
    }

    /// See [`Client::produce`].
    ///
    /// # Errors
    /// Those of [`Client::produce`].
    #[inline]
    pub fn produce(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.inner.client.produce(record)
    }

    /// See [`Client::produce_all`].
    ///
    /// # Errors
    /// Those of [`Client::produce_all`].
    pub fn produce_all<'a>(
        &self,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> Result<Vec<RecordMetadata>> {
        self.inner.client.produce_all(records)
    }

    /// See [`Client::consumer`].
    pub fn consumer(&self, config: impl Into<ConsumerConfig>) -> ConsumerBuilder {
        self.inner.client.consumer(config)
    }

    /// See [`Client::admin`].
    pub fn admin(&self) -> Admin {
        self.inner.client.admin()
    }

    /// See [`Client::create_topic`].
    ///
    /// # Errors
    /// Those of [`Client::create_topic`].
    pub fn create_topic(&self, name: &str, config: TopicConfig) -> Result<TopicId> {
        self.inner.client.create_topic(name, config)
    }

    /// See [`Client::ensure_topic`].
    ///
    /// # Errors
    /// Those of [`Client::ensure_topic`].
    pub fn ensure_topic(&self, name: &str, config: TopicConfig) -> Result<TopicId> {
        self.inner.client.ensure_topic(name, config)
    }

    /// See [`Client::now`].
    pub fn now(&self) -> Timestamp {
        self.inner.client.now()
    }
}

impl AsRef<Client> for Broker {
    fn as_ref(&self) -> &Client {
        self.client()
    }
}
