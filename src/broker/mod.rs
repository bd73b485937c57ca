//! The embedded broker, as an application holds it.

mod builder;

pub use builder::BrokerBuilder;

use crate::{
    client::{Admin, Client, ConsumerBuilder, Producer},
    config::{ConsumerConfig, ProducerConfig, TopicConfig},
    error::Result,
    node::{BrokerMetrics, Node, Progress, RecoveryReport, VerifyReport},
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
    /// A log directory of Kafka's is opened as it is, and so are single directories of partitions that were put there
    /// while the broker was closed: each topic is there with its id, its records and what groups have committed. Its
    /// settings are not in these files, so nothing of it is removed on its own.
    ///
    /// # Errors
    /// - [`Error::Locked`](crate::Error::Locked), at once, if another broker has it, in this process or another.
    /// - [`Error::KafkaStorageError`](crate::Error::KafkaStorageError) if what was durable is damaged, or if directories
    ///   of partitions contradict each other or what is known of topics. What is damaged was not changed.
    /// - [`Error::Io`](crate::Error::Io).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # drop(broker);
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let data = dir.path().join("data");
    /// let broker = Broker::open(&data)?;
    /// assert!(matches!(Broker::open(&data), Err(Error::Locked { .. })));
    /// # Ok(()) }
    /// ```
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
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let broker = Broker::builder().topic_defaults(TopicConfig::new().partitions(4)).open_temporary()?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::new()
    }

    /// What application code works with: pass it on as `&Client`. The broker forwards its methods.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let client: Client = broker.client().clone(); // for another thread, or another module
    /// client.produce(Record::to("orders").value("4 pears"))?;
    /// # Ok(()) }
    /// ```
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// What opening found and did.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// if !broker.recovery().clean {
    ///     eprintln!("{}", broker.recovery());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.recovery
    }

    /// What the broker has done since it was opened, and what it holds, in numbers. It costs a look at each partition; appends and
    /// reads keep no more than a few sums for it. What it is after a [`close`](Self::close) tells nothing of the logs.
    ///
    /// With the feature `metrics`, the same is published each second: [`BrokerMetrics`] says under which names.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// broker.produce(Record::to("orders").value("3 apples"))?;
    /// broker.flush()?;
    /// let metrics = broker.metrics();
    /// assert_eq!((metrics.records_appended, metrics.flushes, metrics.flush_failures), (1, 1, 0));
    /// # Ok(()) }
    /// ```
    pub fn metrics(&self) -> BrokerMetrics {
        self.inner.node.metrics()
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

    /// The offset below which the records of a partition are known to survive a power cut, exclusive.
    ///
    /// After an open that was not clean it is lower than before the crash at first: nobody knows which of the records that
    /// were found behind the last recovery point have reached the disk. The first flush makes all of them durable, a second
    /// after the open by default, and at once where the topic has [`Durability::Flushed`](crate::Durability::Flushed).
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition), [`Error::Closed`](crate::Error::Closed).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// broker.flush()?;
    /// let offsets = [broker.durable_offset("orders", 0)?, broker.durable_offset("orders", 1)?];
    /// assert_eq!(offsets.iter().sum::<i64>(), 1);
    /// # Ok(()) }
    /// ```
    pub fn durable_offset(&self, topic: &str, partition: i32) -> Result<i64> {
        self.inner.node.durable_offset(topic, partition).map(Offset::get)
    }

    /// Reads everything that is in the logs now, and says whether it is as it was written: checksums, offsets, leader
    /// epochs, the structure of each record, the offset indexes. Appends and reads go on meanwhile, and nothing is changed;
    /// what is appended after a log was begun with is not looked at. `on_progress` is told of each partition's reading.
    ///
    /// It sees what the system gives it, which may be a copy in memory of what is on the disk. What is damaged can be put
    /// in order by an open with [`salvage`](BrokerBuilder::salvage).
    ///
    /// # Errors
    /// The disk's: what cannot be read at all. What was read and is not right is no error, but in the report.
    ///
    /// ```
    /// # use brooklet::{Broker, Record, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// broker.produce(Record::to("orders").value("3 apples"))?;
    /// let report = broker.verify(|progress| {
    ///     eprintln!("{}: {} of {}", progress.partition, progress.bytes_done, progress.bytes_total);
    /// })?;
    /// assert!(report.is_intact(), "{report}");
    /// # Ok(()) }
    /// ```
    pub fn verify(&self, on_progress: impl Fn(&Progress)) -> Result<VerifyReport> {
        self.inner.node.verify(&on_progress)
    }

    /// Removes now what topics need not keep any more by their `retention_time` and `retention_bytes`, as the timer does it
    /// every [`retention_check_interval`](BrokerBuilder::retention_check_interval): for tests. Where logs begin then is
    /// durable when it returns. Files go after the topic's `file_delete_delay`; who holds records of them keeps these.
    ///
    /// # Errors
    /// The disk's; [`Error::KafkaStorageError`](crate::Error::KafkaStorageError) for a log that is damaged. Other
    /// partitions are seen to all the same.
    ///
    /// ```
    /// # use brooklet::{Broker, OffsetSpec, Record, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("ticks", TopicConfig::new().retention_time(Duration::from_secs(3600)))?;
    /// let yesterday = broker.now() - Duration::from_secs(24 * 3600);
    /// broker.produce(Record::to("ticks").value("tick").timestamp(yesterday))?;
    /// broker.apply_retention_now()?;
    /// assert_eq!(broker.admin().describe_topic("ticks")?.partitions[0].log_start_offset, 1);
    /// # Ok(()) }
    /// ```
    pub fn apply_retention_now(&self) -> Result<()> {
        self.inner.node.apply_retention()
    }

    /// Cleans now what can be cleaned of a compacted topic, or of all of them, as the background does it when enough of a log is
    /// dirty: of each key only the last record stays, at its offset. For tests, and before a copy is made. Other topics stay as they
    /// are.
    ///
    /// Never cleaned are a partition's last segment, what may still be aborted, and what is younger than the topic's
    /// `min_compaction_lag`. A tombstone stays for the topic's `delete_retention`, from its first cleaning on. Everything in the topic
    /// is flushed first. Files that were replaced go after its `file_delete_delay`; who holds records of them keeps these. Takes
    /// up to 128 MiB of memory for the keys of a partition.
    ///
    /// # Errors
    /// - [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition) for a topic that does not exist.
    /// - [`Error::KafkaStorageError`](crate::Error::KafkaStorageError) for a log that is damaged, of which nothing is dropped.
    /// - The disk's. If it fails while a cleaned segment takes its place the partition takes no records until the broker is opened
    ///   anew.
    ///
    /// Other partitions are seen to all the same.
    ///
    /// ```
    /// # use brooklet::{Broker, CleanupPolicy, ConsumerConfig, Record, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// let config = TopicConfig::new().cleanup_policy(CleanupPolicy::Compact).segment_bytes(1024);
    /// broker.create_topic("prices", config)?;
    /// for price in 100..200 {
    ///     broker.produce(Record::to("prices").key("apples").value(&price.to_string()))?;
    /// }
    /// broker.compact_now(Some("prices"))?;
    /// let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("prices")?;
    /// let mut left = 0;
    /// while !consumer.is_caught_up()? {
    ///     left += consumer.poll(Duration::ZERO)?.iter().count();
    /// }
    /// assert!(left < 20, "what the last segment has, and little else: {left}");
    /// # Ok(()) }
    /// ```
    pub fn compact_now(&self, topic: Option<&str>) -> Result<()> {
        self.inner.node.compact_now(topic)
    }

    /// Flushes everything and closes the directory; the next open reads nothing again. From here on every handle,
    /// client, consumer of it gives [`Error::Closed`](crate::Error::Closed); a second close does nothing. Records that
    /// were polled stay.
    ///
    /// # Errors
    /// The disk's. The directory is then left as after a crash.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// broker.close()?;
    /// assert!(matches!(broker.produce(Record::to("orders")), Err(Error::Closed)));
    /// # Ok(()) }
    /// ```
    pub fn close(&self) -> Result<()> {
        self.inner.node.close()
    }

    /// Moves the clock, which stands still in this build, and wakes the thread of the timers: what is due by then it runs.
    #[cfg(brooklet_shuttle)]
    #[doc(hidden)]
    pub fn let_time_pass(&self, by: std::time::Duration) {
        self.inner.node.let_time_pass(by);
    }

    /// See [`Client::produce`].
    ///
    /// # Errors
    /// Those of [`Client::produce`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// assert_eq!(broker.produce(Record::to("orders").partition(1).value("4 pears"))?.partition, 1);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn produce(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.inner.client.produce(record)
    }

    /// See [`Client::produce_all`].
    ///
    /// # Errors
    /// Those of [`Client::produce_all`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let went = broker.produce_all(["1", "2"].iter().map(|n| Record::to("orders").key("bob").value(n)))?;
    /// assert_eq!(went[1].offset, went[0].offset + 1);
    /// # Ok(()) }
    /// ```
    pub fn produce_all<'a>(
        &self,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> Result<Vec<RecordMetadata>> {
        self.inner.client.produce_all(records)
    }

    /// See [`Client::producer`].
    ///
    /// # Errors
    /// Those of [`Client::producer`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// drop(producer.send(Record::to("orders").value("3 apples"))?);
    /// producer.close()?;
    /// # Ok(()) }
    /// ```
    pub fn producer(&self, config: ProducerConfig) -> Result<Producer> {
        self.inner.client.producer(config)
    }

    /// See [`Client::consumer`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(consumer.poll(Duration::ZERO)?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn consumer(&self, config: impl Into<ConsumerConfig>) -> ConsumerBuilder {
        self.inner.client.consumer(config)
    }

    /// See [`Client::admin`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// assert_eq!(broker.admin().list_topics()?, ["orders"]);
    /// # Ok(()) }
    /// ```
    pub fn admin(&self) -> Admin {
        self.inner.client.admin()
    }

    /// See [`Client::create_topic`].
    ///
    /// # Errors
    /// Those of [`Client::create_topic`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// broker.create_topic("payments", TopicConfig::new())?;
    /// # Ok(()) }
    /// ```
    pub fn create_topic(&self, name: &str, config: TopicConfig) -> Result<TopicId> {
        self.inner.client.create_topic(name, config)
    }

    /// See [`Client::ensure_topic`].
    ///
    /// # Errors
    /// Those of [`Client::ensure_topic`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// broker.ensure_topic("orders", TopicConfig::new().partitions(2))?;
    /// # Ok(()) }
    /// ```
    pub fn ensure_topic(&self, name: &str, config: TopicConfig) -> Result<TopicId> {
        self.inner.client.ensure_topic(name, config)
    }

    /// See [`Client::now`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// assert!(broker.now() > "2024-01-01T00:00:00Z".parse().unwrap());
    /// # Ok(()) }
    /// ```
    pub fn now(&self) -> Timestamp {
        self.inner.client.now()
    }
}

impl AsRef<Client> for Broker {
    fn as_ref(&self) -> &Client {
        self.client()
    }
}
