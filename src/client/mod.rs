//! The application's side: two pure cores, that of a producer and that of a consumer, under thin blocking shells. They
//! know a [`Service`], never a broker.

mod admin;
mod buffer;
mod consumer;
mod consumer_core;
pub(crate) mod network;
mod offset_tracker;
mod owned;
mod partitioner;
mod produce;
mod producer;
mod record_at;
mod records;
mod routing;

pub use admin::{
    Admin, GroupDescription, GroupPartition, LogDescription, MemberDescription, PartitionDescription,
    PartitionReassignment, TopicDescription,
};
pub use consumer::{
    Consumer, ConsumerBuilder, ConsumerHandle, PendingCommit, RebalanceConsumer, RebalanceListener,
    Subscription,
};
pub use consumer_core::{ConsumerMetrics, ConsumerPartitionMetrics};
pub use offset_tracker::OffsetTracker;
pub use owned::{OwnedRecord, SharedBytes};
pub use producer::{Delivery, Producer, ProducerMetrics};
pub use records::{ConsumerRecord, Records, RecordsIter};

use crate::{
    config::{ConsumerConfig, ProducerConfig, TopicConfig},
    error::{Error, Result},
    prng::Prng,
    record::Record,
    rpc::{self, Call, CreateTopicRequest, Service},
    sync::{Mutex, MutexGuard, Version},
    types::{BrokerId, RecordMetadata, Timestamp, TopicId},
};
use routing::Router;
use std::{sync::Arc, time::Duration};

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What an application works with: the same over whatever answers its requests.
///
/// [`Broker`](crate::Broker) forwards all of these methods; take a `&Client` in code that shall run over anything else
/// too. Clones are the same client; it is `Send + Sync`. It does not keep the broker open: once the broker is closed,
/// every call gives [`Error::Closed`].
///
/// ```
/// use brooklet::{Broker, Client, Record, Result, TopicConfig};
///
/// fn greet(client: &Client) -> Result<i64> {
///     Ok(client.produce(Record::to("greetings").value("hello"))?.offset)
/// }
///
/// # fn main() -> Result<()> {
/// let broker = Broker::temporary()?;
/// broker.create_topic("greetings", TopicConfig::new())?;
/// assert_eq!(greet(broker.client())?, 0);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    service: Arc<dyn Service>,
    /// Whom to ask first.
    bootstrap: BrokerId,
    producer: Arc<SharedProducer>,
}

#[derive(Debug)]
struct SharedProducer {
    core: Mutex<Router>,
    /// Of what the core knows of topics.
    version: Version,
}

impl Client {
    pub(crate) fn new(service: Arc<dyn Service>, bootstrap: BrokerId, prng: Prng) -> Self {
        let producer = SharedProducer { core: Mutex::new(Router::new(prng)), version: Version::default() };
        Self { service, bootstrap, producer: Arc::new(producer) }
    }

    fn core(&self) -> MutexGuard<'_, Router> {
        self.producer.core.lock()
    }

    pub(crate) fn call<C: Call>(&self, request: C) -> Result<C::Answer> {
        self.call_to(self.bootstrap, request)
    }

    /// Asks somebody else than whom to ask first.
    fn call_to<C: Call>(&self, to: BrokerId, request: C) -> Result<C::Answer> {
        let deadline = self.service.clock().now().plus(REQUEST_TIMEOUT);
        rpc::call(&*self.service, to, request, deadline)
    }

    /// As [`call`](Self::call), for less than a request may take.
    fn call_within<C: Call>(&self, within: Duration, request: C) -> Result<C::Answer> {
        let deadline = self.service.clock().now().plus(within.min(REQUEST_TIMEOUT));
        rpc::call(&*self.service, self.bootstrap, request, deadline)
    }

    /// Appends a record, and returns when it is in the log, as durable as its topic and the record ask for.
    ///
    /// The record goes to the partition that it names; else by its key (Kafka's murmur2), so that records of one key
    /// stay in order; else to one partition until that got about 16 KiB, then to another. A record without a timestamp
    /// gets the broker's time. Batching is up to the caller: see [`produce_all`](Self::produce_all).
    ///
    /// # Errors
    /// - [`Error::UnknownTopicOrPartition`]: make the topic first, with [`create_topic`](Self::create_topic).
    /// - [`Error::MessageTooLarge`], [`Error::RecordListTooLarge`], [`Error::InvalidTimestamp`]: nothing was appended.
    /// - [`Error::Io`] and [`Error::KafkaStorageError`]: the disk refused. If
    ///   [`is_indeterminate`](Error::is_indeterminate), the record may be in the log all the same.
    /// - [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::{Broker, Durability, Record, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(3))?;
    /// let at = broker.produce(Record::to("orders").key("alice").value("3 apples").durability(Durability::Flushed))?;
    /// assert_eq!((at.offset, at.durability), (0, Durability::Flushed));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn produce(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.produce_one(&record)
    }

    /// Appends many records, those of one partition together in batches of up to 1 MiB, in their order.
    ///
    /// It is not all or nothing.
    ///
    /// # Errors
    /// [`Error::PartialProduce`] if any record failed, with what became of each; the reasons are those of
    /// [`produce`](Self::produce). Records of one batch fail together.
    ///
    /// ```
    /// # use brooklet::{Broker, Record, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("numbers", TopicConfig::new())?;
    /// let numbers: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    /// let went = broker.produce_all(numbers.iter().map(|n| Record::to("numbers").value(n)))?;
    /// assert_eq!(went[999].offset, 999);
    /// # Ok(()) }
    /// ```
    pub fn produce_all<'a>(
        &self,
        records: impl IntoIterator<Item = Record<'a>>,
    ) -> Result<Vec<RecordMetadata>> {
        let records: Vec<Record<'a>> = records.into_iter().collect();
        self.produce_many(&records)
    }

    /// Makes a [`Producer`], which sends records in batches.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], also for a codec that brooklet is built without; [`Error::Other`] if the system has no
    /// room for another thread.
    ///
    /// ```
    /// # use brooklet::{Broker, ProducerConfig, Record, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let producer = broker.producer(ProducerConfig::new())?;
    /// let delivery = producer.send(Record::to("orders").value("3 apples"))?;
    /// assert_eq!(delivery.wait()?.offset, 0);
    /// # Ok(()) }
    /// ```
    pub fn producer(&self, config: ProducerConfig) -> Result<Producer> {
        Producer::new(self.clone(), config)
    }

    /// Begins a consumer: of a group, by its name, or as its [`ConsumerConfig`] says.
    ///
    /// ```
    /// # use brooklet::{Broker, ConsumerConfig, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let of_a_group = broker.consumer("billing").subscribe(["orders"])?;
    /// let on_its_own = broker.consumer(ConsumerConfig::standalone()).assign([("orders", 0)])?;
    /// # Ok(()) }
    /// ```
    pub fn consumer(&self, config: impl Into<ConsumerConfig>) -> ConsumerBuilder {
        ConsumerBuilder::new(self.clone(), config.into())
    }

    /// Topics: list, describe, delete.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// broker.client().admin().delete_topic("orders")?;
    /// # Ok(()) }
    /// ```
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// Makes a topic, and gives its id. It is durable when this returns.
    ///
    /// # Errors
    /// - [`Error::TopicAlreadyExists`].
    /// - [`Error::InvalidTopic`]: a name is 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`, and not `.` nor
    ///   `..`; two names that differ only by `.` and `_` collide.
    /// - [`Error::InvalidConfig`].
    ///
    /// ```
    /// # use brooklet::{Broker, Error, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("orders", TopicConfig::new().partitions(3))?;
    /// let again = broker.create_topic("orders", TopicConfig::new());
    /// assert!(matches!(again, Err(Error::TopicAlreadyExists { .. })));
    /// # Ok(()) }
    /// ```
    pub fn create_topic(&self, name: &str, config: TopicConfig) -> Result<TopicId> {
        Ok(self.call(CreateTopicRequest { name: name.to_owned(), config })?.id)
    }

    /// Makes a topic unless it is there: fine on every run of a program.
    ///
    /// # Errors
    /// As [`create_topic`](Self::create_topic), but for a topic that is there: [`Error::InvalidConfig`] if anything that
    /// is set in `config` is different there.
    ///
    /// ```
    /// # use brooklet::{Broker, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// let first = broker.ensure_topic("orders", TopicConfig::new().partitions(3))?;
    /// assert_eq!(broker.ensure_topic("orders", TopicConfig::new().partitions(3))?, first);
    /// assert!(broker.ensure_topic("orders", TopicConfig::new().partitions(4)).is_err());
    /// # Ok(()) }
    /// ```
    pub fn ensure_topic(&self, name: &str, config: TopicConfig) -> Result<TopicId> {
        config.settings()?;
        match self.create_topic(name, config.clone()) {
            Err(Error::TopicAlreadyExists { .. }) => {}
            result => return result,
        }
        let there = self.admin().describe_topic(name)?;
        match config.difference(&there.config) {
            Some((key, value, there)) => Err(Error::InvalidConfig {
                key,
                value,
                reason: format!("the topic {name} is there and has {there}"),
            }),
            None => Ok(there.id),
        }
    }

    /// The broker's time, of the calendar.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let yesterday = broker.client().now() - Duration::from_secs(24 * 3600);
    /// # Ok(()) }
    /// ```
    pub fn now(&self) -> Timestamp {
        self.service.clock().wall()
    }
}
