//! Brokers that replicate, in one process: the public handle.

mod builder;
mod converged;
mod directory;
mod faults;
mod host;
mod intercept;
mod invariants;
mod machine;
mod marks;
mod metadata_log;
mod network;
mod post;
mod scale;
#[cfg(test)]
mod tests;
mod time;
mod trace;
mod transport;
mod upkeep;
mod witness;
mod world;

pub use builder::ClusterBuilder;
pub use intercept::ApiKey;
#[doc(hidden)]
pub use marks::Mark;
pub use trace::ClusterTrace;

use crate::{
    client::{Admin, Client, ConsumerBuilder, Producer, network::NetworkClient},
    config::{ConsumerConfig, ProducerConfig, TopicConfig},
    error::{Error, Result},
    prng::Prng,
    record::Record,
    rpc::{Service, metadata_record::PartitionState},
    sync::is_panicking,
    types::{BrokerId, RecordMetadata, Timestamp, TopicId},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use time::Time;
use transport::Transport;
use world::World;

/// Several brokers in this process, on disks and a network that are simulated: a Kafka cluster for tests. The disks may be
/// [real](ClusterBuilder::directory).
///
/// Clients work with it as with a [`Broker`](crate::Broker). Partitions are copied to as many brokers as their topic's
/// [`replication_factor`](TopicConfig::replication_factor) says, a controller that the brokers elect sees to it that each has a leader, and
/// records are lost when, and only when, Kafka's rules allow it.
///
/// What is produced for all replicas in sync, as it is by default, is idempotent: it is sent again when a leader dies, and is there
/// once, in the order of sending. Where nobody can say in [time](crate::ProducerConfig::delivery_timeout) what has become of it,
/// the error [is indeterminate](Error::is_indeterminate).
///
/// Time is virtual: a call that waits moves it on, and with it all brokers; [`advance`](Self::advance) and
/// [`run_until`](Self::run_until) do so too. One seed, and the same calls from one thread, give the same run; its
/// [`trace`](Self::trace) tells what happened. For tests with many threads the time may pass by
/// [the wall clock](ClusterBuilder::wall_clock).
///
/// Clones are handles to the same cluster. A cluster that is dropped in a panic prints its seed. One on real files ends with its last
/// handle, as if its process had been killed: clients that are left get [`Error::Closed`], and the directory is free. On simulated disks
/// it goes on as long as a client has it.
///
/// ```
/// use brooklet::{Cluster, ConsumerConfig, Record, TopicConfig};
/// use std::time::Duration;
/// # fn main() -> brooklet::Result<()> {
/// let cluster = Cluster::builder().brokers(3).seed(7).start()?;
/// cluster.create_topic("orders", TopicConfig::new().replication_factor(3).min_insync_replicas(2))?;
/// cluster.produce(Record::to("orders").value("3 apples"))?;
///
/// let leader = cluster.leader("orders", 0)?;
/// cluster.kill(leader)?;
/// cluster.produce(Record::to("orders").value("2 pears"))?; // to whoever leads by then
/// assert_ne!(cluster.leader("orders", 0)?, leader);
///
/// let mut consumer = cluster.consumer(ConsumerConfig::standalone()).subscribe("orders")?;
/// let mut values = Vec::new();
/// while values.len() < 2 {
///     values.extend(consumer.poll(Duration::from_secs(1))?.iter().map(|r| r.value_str().unwrap().to_owned()));
/// }
/// assert_eq!(values, ["3 apples", "2 pears"]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    world: Arc<World>,
    time: Time,
    client: Client,
    /// Keeps what clients know of the brokers.
    network: Arc<NetworkClient>,
    seed: u64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if is_panicking() {
            eprintln!("the cluster's seed was {}; what happened last:", self.seed);
            let trace = self.world.trace.snapshot();
            let skipped = trace.lines().len().saturating_sub(30);
            trace.lines().iter().skip(skipped).for_each(|line| eprintln!("{line}"));
        }
        self.world.abandon();
        if matches!(self.time, Time::Wall(_)) && self.world.is_broken() && !is_panicking() {
            panic!("the cluster's thread has panicked, and said why");
        }
    }
}

impl Cluster {
    fn new(world: Arc<World>, seed: u64) -> Result<Self> {
        let time = Time::start(&world)?;
        let transport: Arc<dyn Service> = Arc::new(Transport(Arc::clone(&world)));
        let network = NetworkClient::new(transport, world.ids());
        let service: Arc<dyn Service> = Arc::<NetworkClient>::clone(&network);
        // Members of another start, of whom the brokers may know, are not to have the same ids.
        let prng = match world.starts_before() {
            0 => Prng::new(seed).fork("client"),
            starts => Prng::new(seed).fork(&format!("client {starts}")),
        };
        let client = Client::new(service, BrokerId::NOBODY, prng);
        Ok(Self { inner: Arc::new(Inner { world, time, client, network, seed }) })
    }

    /// A cluster in the making.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).seed(7).start()?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::new()
    }

    /// What an application works with.
    ///
    /// ```
    /// # use brooklet::*;
    /// fn greet(client: &Client) -> Result<i64> {
    ///     Ok(client.produce(Record::to("greetings").value("hello"))?.offset)
    /// }
    ///
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("greetings", TopicConfig::new()).start()?;
    /// assert_eq!(greet(cluster.client())?, 0);
    /// # Ok(()) }
    /// ```
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The ids of all brokers, in order, whether they run or not.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// assert_eq!(Cluster::builder().brokers(2).start()?.brokers(), [1.into(), 2.into()]);
    /// # Ok(()) }
    /// ```
    pub fn brokers(&self) -> Vec<BrokerId> {
        self.inner.world.ids()
    }

    /// The active controller, as most of the running brokers know it.
    ///
    /// # Errors
    /// [`Error::NotController`] while there is none.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().start()?;
    /// assert!(cluster.brokers().contains(&cluster.controller()?));
    /// # Ok(()) }
    /// ```
    pub fn controller(&self) -> Result<BrokerId> {
        let acting = self.inner.world.survey(|id, running| running.controls().map(|term| (term, id)));
        acting.into_iter().flatten().max().map(|(_, id)| id).ok_or(Error::NotController)
    }

    /// Who leads a partition, as the newest word of the controller says.
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`]; [`Error::LeaderNotAvailable`] while nobody leads.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let leader = cluster.leader("orders", 0)?;
    /// # Ok(()) }
    /// ```
    pub fn leader(&self, topic: &str, partition: i32) -> Result<BrokerId> {
        self.partition_state(topic, partition)?.leader.ok_or(Error::LeaderNotAvailable)
    }

    /// Who is in sync with the leader, that among them, in order of the ids, as the newest word of the controller says.
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new()).start()?;
    /// assert_eq!(cluster.isr("orders", 0)?.len(), 3);
    /// # Ok(()) }
    /// ```
    pub fn isr(&self, topic: &str, partition: i32) -> Result<Vec<BrokerId>> {
        Ok(self.partition_state(topic, partition)?.isr.into_iter().collect())
    }

    /// Who has a partition, or is to get it, as the newest word of the controller says. The first one is preferred as the leader.
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new()).start()?;
    /// assert_eq!(cluster.leader("orders", 0)?, cluster.replicas("orders", 0)?[0]);
    /// # Ok(()) }
    /// ```
    pub fn replicas(&self, topic: &str, partition: i32) -> Result<Vec<BrokerId>> {
        Ok(self.partition_state(topic, partition)?.replicas)
    }

    /// How far a partition may be read, exclusive: what all replicas in sync have, as the leader knows it.
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`]; [`Error::LeaderNotAvailable`] if nobody leads it.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// assert_eq!(cluster.high_watermark("orders", 0)?, 1);
    /// # Ok(()) }
    /// ```
    pub fn high_watermark(&self, topic: &str, partition: i32) -> Result<i64> {
        let leader = self.leader(topic, partition)?;
        let known = self.inner.world.survey(|id, running| {
            let (topic, _) = running.image().topic(topic).filter(|_| id == leader)?;
            running.node.view((topic, partition)).map(|view| view.high_watermark.get())
        });
        known.into_iter().flatten().next().ok_or(Error::LeaderNotAvailable)
    }

    fn partition_state(&self, topic: &str, partition: i32) -> Result<PartitionState> {
        let known = self.inner.world.survey(|_, running| {
            let (_, there) = running.image().topic(topic)?;
            there.partitions.get(&partition).cloned()
        });
        let newest =
            known.into_iter().flatten().max_by_key(|state| (state.leader_epoch, state.partition_epoch));
        let unknown =
            || Error::UnknownTopicOrPartition { topic: topic.to_owned(), partition: Some(partition) };
        newest.ok_or_else(unknown)
    }

    /// Whether there is a controller, and every broker is registered and in its place.
    fn is_complete(&self) -> bool {
        let count = self.brokers().len();
        let complete = |brokers: usize| brokers == count;
        let active = self
            .inner
            .world
            .survey(|_, running| if running.serves() { running.image().active_brokers() } else { 0 });
        self.controller().is_ok() && complete(active.len()) && active.into_iter().all(complete)
    }

    /// Moves the time on, and has all that is due on the way happen. By the wall clock it waits for so long.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().start()?;
    /// cluster.advance(Duration::from_secs(60));
    /// # Ok(()) }
    /// ```
    pub fn advance(&self, by: Duration) {
        self.inner.time.advance(by);
    }

    /// Moves the time on until `condition` holds; it is asked after everything that happens. By the wall clock it waits for that.
    ///
    /// # Errors
    /// [`Error::Timeout`] if it does not hold within that time.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new()).start()?;
    /// let leader = cluster.leader("orders", 0)?;
    /// cluster.kill(leader)?;
    /// cluster.run_until(Duration::from_secs(10), |cluster| {
    ///     cluster.leader("orders", 0).is_ok_and(|now| now != leader)
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn run_until(&self, within: Duration, mut condition: impl FnMut(&Self) -> bool) -> Result<()> {
        if self.inner.time.run_until(within, || condition(self)) { Ok(()) } else { Err(Error::Timeout) }
    }

    /// What the cluster's clock shows.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// println!("{}", Cluster::builder().start()?.now());
    /// # Ok(()) }
    /// ```
    pub fn now(&self) -> Timestamp {
        self.inner.time.now()
    }

    /// What has happened so far.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// println!("{}", Cluster::builder().start()?.trace());
    /// # Ok(()) }
    /// ```
    pub fn trace(&self) -> ClusterTrace {
        self.inner.world.trace.snapshot()
    }

    /// What this run has come upon, and how often.
    #[doc(hidden)]
    pub fn marks(&self) -> BTreeMap<Mark, u64> {
        let mut marks = self.inner.world.trace.marks();
        marks.extend(self.inner.world.post.network(|network| network.marks().clone()));
        marks
    }

    /// Ends all brokers in order, for good: whatever is asked of them from now on gives [`Error::Closed`].
    ///
    /// # Errors
    /// The first that a broker's disk gives.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// Cluster::builder().start()?.close()?;
    /// # Ok(()) }
    /// ```
    pub fn close(&self) -> Result<()> {
        self.inner.world.close()
    }

    /// See [`Client::create_topic`].
    ///
    /// # Errors
    /// Those of [`Client::create_topic`], and [`Error::InvalidReplicationFactor`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.create_topic("orders", TopicConfig::new().partitions(6).replication_factor(2))?;
    /// # Ok(()) }
    /// ```
    pub fn create_topic(&self, name: &str, config: TopicConfig) -> Result<TopicId> {
        self.inner.client.create_topic(name, config)
    }

    /// See [`Client::produce`].
    ///
    /// # Errors
    /// Those of [`Client::produce`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// assert_eq!(cluster.produce(Record::to("orders").value("3 apples"))?.offset, 0);
    /// # Ok(()) }
    /// ```
    pub fn produce(&self, record: Record<'_>) -> Result<RecordMetadata> {
        self.inner.client.produce(record)
    }

    /// See [`Client::producer`].
    ///
    /// # Errors
    /// Those of [`Client::producer`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let producer = cluster.producer(ProducerConfig::new())?;
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
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// let mut consumer = cluster.consumer(ConsumerConfig::standalone()).subscribe("orders")?;
    /// assert_eq!(consumer.poll(Duration::from_secs(1))?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn consumer(&self, config: impl Into<ConsumerConfig>) -> ConsumerBuilder {
        self.inner.client.consumer(config)
    }

    /// See [`Client::admin`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// assert_eq!(cluster.admin().list_topics()?, ["orders"]);
    /// # Ok(()) }
    /// ```
    pub fn admin(&self) -> Admin {
        self.inner.client.admin()
    }
}

impl AsRef<Client> for Cluster {
    fn as_ref(&self) -> &Client {
        self.client()
    }
}
