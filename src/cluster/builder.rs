//! A cluster in the making.

use super::{
    Cluster,
    host::Timing,
    machine::Site,
    time::Time,
    world::{MAX_BROKERS, Settings, World},
};
use crate::{
    config::TopicConfig,
    env::ManualClock,
    error::{Error, Result},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a start may take: an election, and a registration of each broker.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// A [`Cluster`] in the making.
///
/// ```
/// use brooklet::{Cluster, TopicConfig};
/// # fn main() -> brooklet::Result<()> {
/// let cluster = Cluster::builder().brokers(3).seed(7).topic("orders", TopicConfig::new().partitions(3)).start()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a cluster begins with start"]
pub struct ClusterBuilder {
    brokers: u16,
    seed: u64,
    /// `None`: the wall clock.
    clock: Option<ManualClock>,
    timing: Timing,
    max_lag: Duration,
    topic_defaults: TopicConfig,
    offsets_partitions: i32,
    bytes_between_snapshots: u64,
    topics: Vec<(String, TopicConfig)>,
    check_invariants: bool,
    /// `None`: simulated disks.
    directory: Option<PathBuf>,
}

impl ClusterBuilder {
    pub(super) fn new() -> Self {
        Self {
            brokers: 3,
            seed: 0,
            clock: Some(ManualClock::new()),
            timing: Timing::default(),
            max_lag: Duration::from_secs(10),
            topic_defaults: TopicConfig::new(),
            offsets_partitions: 50,
            bytes_between_snapshots: 1 << 17,
            topics: Vec::new(),
            check_invariants: false,
            directory: None,
        }
    }

    /// How many brokers, 1 to 100. Their ids count from 1. Default 3.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(5).start()?;
    /// assert_eq!(cluster.brokers().len(), 5);
    /// # Ok(()) }
    /// ```
    pub fn brokers(mut self, count: u16) -> Self {
        self.brokers = count;
        self
    }

    /// All that is random comes from it: elections, latencies, what a power cut leaves. The same seed and the same calls give the
    /// same run. Default 0.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// for seed in seeds(3) {
    ///     let cluster = Cluster::builder().seed(seed).start()?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Goes by this clock, so that others can too. Default: one of its own.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let clock = ManualClock::new();
    /// let cluster = Cluster::builder().clock(&clock).start()?;
    /// clock.advance(Duration::from_secs(60));
    /// # Ok(()) }
    /// ```
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Lets time pass by the wall clock, in a thread of the cluster's: for tests with threads of their own. Messages take no time then,
    /// unless [`set_latency`](Cluster::set_latency) says otherwise; timeouts are as long as they are, and two runs are not alike.
    ///
    /// # Panics
    /// The drop of the last handle, if something has panicked in that thread: a broken [invariant](Self::check_invariants), or a
    /// [callback](crate::Delivery::on_complete). From then on every call gives [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().wall_clock().topic("orders", TopicConfig::new()).start()?;
    /// let producers: Vec<_> = (0..4)
    ///     .map(|n: i32| {
    ///         let client = cluster.client().clone();
    ///         std::thread::spawn(move || client.produce(Record::to("orders").value(&n.to_string())))
    ///     })
    ///     .collect();
    /// for producer in producers {
    ///     producer.join().unwrap()?;
    /// }
    /// assert_eq!(cluster.high_watermark("orders", 0)?, 4);
    /// # Ok(()) }
    /// ```
    pub fn wall_clock(mut self) -> Self {
        self.clock = None;
        self
    }

    /// Keeps the brokers' files in this directory, made where there is none: `broker-1` and so on, each as a [`Broker`](crate::Broker) has its own.
    /// Default: on simulated disks.
    ///
    /// A cluster that was there before is taken up: topics, records, what groups have committed, who led what. After
    /// [`close`](Cluster::close) nothing is read again. After a process that was killed, or a cluster that was dropped, the logs
    /// are brought into order, and nothing is lost, since what was written is with the system. After a crash of the machine what was not flushed may be
    /// missing, and brokers tell the controller so, as Kafka's do. (Which of both it was is known on Linux; elsewhere it is taken for the latter.)
    ///
    /// One process has the directory, and each broker's in it, at a time. Disks cannot be made to fail, nor the power be cut:
    /// [`disk`](Cluster::disk) and [`power_cut`](Cluster::power_cut) are errors. On a [manual clock](Self::clock), which is the default, time begins where
    /// it did before, unless the clock is moved on.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let scratch = tempfile::tempdir().unwrap();
    /// # let dir = scratch.path().join("cluster");
    /// let start = || Cluster::builder().brokers(3).directory(&dir).topic("orders", TopicConfig::new()).start();
    /// let cluster = start()?;
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// cluster.close()?;
    ///
    /// let cluster = start()?;
    /// assert_eq!(cluster.high_watermark("orders", 0)?, 1);
    /// # Ok(()) }
    /// ```
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.directory = Some(path.as_ref().to_owned());
        self
    }

    /// How long a broker may be silent before the controller takes its partitions from it. (`broker.session.timeout.ms`) At least
    /// 1 s. Default 3 s (Kafka: 9 s).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().broker_session_timeout(Duration::from_secs(9)).start()?;
    /// # Ok(()) }
    /// ```
    pub fn broker_session_timeout(mut self, timeout: Duration) -> Self {
        self.timing.session_timeout = timeout;
        self.timing.heartbeat = (timeout / 4).min(Duration::from_secs(2));
        self
    }

    /// How often the controller looks at whether partitions are led by the first of their replicas, which is preferred, and has those
    /// elected that could, where a broker does not lead more than a tenth of what prefers it. `None`: never. Default: 5 minutes.
    /// (`auto.leader.rebalance.enable`, `leader.imbalance.check.interval.seconds`)
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let builder = Cluster::builder().leader_imbalance_check_interval(Some(Duration::from_secs(10)));
    /// let cluster = builder.topic("orders", TopicConfig::new()).start()?;
    /// let preferred = cluster.leader("orders", 0)?;
    /// cluster.stop(preferred)?;
    /// cluster.restart(preferred)?;
    /// cluster.run_until(Duration::from_secs(60), |c| c.leader("orders", 0).is_ok_and(|id| id == preferred))?;
    /// # Ok(()) }
    /// ```
    pub fn leader_imbalance_check_interval(mut self, interval: Option<Duration>) -> Self {
        self.timing.leader_check = interval;
        self
    }

    /// How long a follower may lag behind its leader before it is not in sync any more. (`replica.lag.time.max.ms`) Default 10 s
    /// (Kafka: 30 s).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().replica_lag_time_max(Duration::from_secs(2)).start()?;
    /// # Ok(()) }
    /// ```
    pub fn replica_lag_time_max(mut self, most: Duration) -> Self {
        self.max_lag = most;
        self
    }

    /// What holds for topics that do not say otherwise.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let safe = TopicConfig::new().replication_factor(3).min_insync_replicas(2);
    /// let cluster = Cluster::builder().topic_defaults(safe).start()?;
    /// # Ok(()) }
    /// ```
    pub fn topic_defaults(mut self, config: TopicConfig) -> Self {
        self.topic_defaults = config;
        self
    }

    /// How many partitions `__consumer_offsets` has. (`offsets.topic.num.partitions`) Default 50. Few start faster.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().offsets_topic_partitions(1).topic("orders", TopicConfig::new()).start()?;
    /// let consumer = cluster.consumer("billing").subscribe("orders")?;
    /// # Ok(()) }
    /// ```
    pub fn offsets_topic_partitions(mut self, count: i32) -> Self {
        self.offsets_partitions = count;
        self
    }

    /// How many bytes a broker's log of the metadata grows by until the broker takes a snapshot of what it has come to.
    /// (`metadata.log.max.record.bytes.between.snapshots`) A broker that restarts reads the snapshot and what follows it, and one that has
    /// missed what is in no log any more gets the snapshot. At least 1. Default 128 KiB (Kafka: 20 MiB). Few have a test come upon all that.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let builder = Cluster::builder().metadata_max_bytes_between_snapshots(1 << 10);
    /// let cluster = builder.topic("orders", TopicConfig::new().partitions(30)).start()?;
    /// cluster.kill(1)?;
    /// cluster.restart(1)?;
    /// # Ok(()) }
    /// ```
    pub fn metadata_max_bytes_between_snapshots(mut self, bytes: u64) -> Self {
        self.bytes_between_snapshots = bytes;
        self
    }

    /// Makes a topic when the cluster has started, unless it is there already, in the cluster's [directory](Self::directory): see
    /// [`Client::ensure_topic`](crate::Client::ensure_topic).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// # Ok(()) }
    /// ```
    pub fn topic(mut self, name: &str, config: TopicConfig) -> Self {
        self.topics.push((name.to_owned(), config));
        self
    }

    /// Looks after everything that happens at whether the cluster keeps what it promises: one controller in a term and one leader
    /// in an epoch, copies that agree, high watermarks that everybody in sync has reached, nothing lost that was acknowledged or read,
    /// commits and generations of groups that do not go back.
    /// Default: not, which is faster. The looks read the brokers' logs, and these reads count as operations of their
    /// [disks](Cluster::disk).
    ///
    /// # Panics
    /// Whatever moves the time, if a promise is broken, which is a bug of brooklet's: with the seed, and all that happened. By
    /// [the wall clock](Self::wall_clock) that is a thread of the cluster's.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).check_invariants(true).start()?;
    /// cluster.kill(1)?;
    /// cluster.advance(Duration::from_secs(10));
    /// # Ok(()) }
    /// ```
    pub fn check_invariants(mut self, check: bool) -> Self {
        self.check_invariants = check;
        self
    }

    /// Starts all brokers, and returns when they have a controller and all of them are registered.
    ///
    /// # Errors
    /// - [`Error::InvalidConfig`] for a number of brokers that cannot be, or is not that of the cluster in the
    ///   [directory](Self::directory).
    /// - [`Error::Locked`] if somebody else has that directory; [`Error::KafkaStorageError`] if it is not a cluster's, or damaged;
    ///   [`Error::Io`].
    /// - Those of [`Client::ensure_topic`](crate::Client::ensure_topic).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.controller()?;
    /// # Ok(()) }
    /// ```
    pub fn start(self) -> Result<Cluster> {
        self.check()?;
        let settings = Settings {
            seed: self.seed,
            brokers: self.brokers,
            timing: self.timing,
            max_lag: self.max_lag,
            topic_defaults: self.topic_defaults.clone(),
            check_invariants: self.check_invariants,
            offsets_partitions: self.offsets_partitions,
            bytes_between_snapshots: self.bytes_between_snapshots,
        };
        let site = match &self.directory {
            Some(path) => Site::open(path, self.brokers, self.seed)?,
            None => Site::simulated(self.seed, self.brokers),
        };
        let world = World::new(Time::clock(self.clock.as_ref()), settings, site);
        if self.clock.is_none() {
            world.post.network(|network| network.set_latency(Duration::ZERO, Duration::ZERO));
        }
        let cluster = Cluster::new(world, self.seed)?;
        for id in cluster.brokers() {
            cluster.restart(id)?;
        }
        cluster.run_until(STARTS_WITHIN, Cluster::is_complete)?;
        for (name, config) in self.topics {
            cluster.client().ensure_topic(&name, config)?;
        }
        Ok(cluster)
    }

    fn check(&self) -> Result<()> {
        self.topic_defaults.settings()?;
        TopicConfig::offsets_topic(self.offsets_partitions).partition_count()?;
        let invalid = |key: &str, value: String, reason: &str| {
            let (key, reason) = (key.to_owned(), reason.to_owned());
            Err(Error::InvalidConfig { key, value, reason })
        };
        if !(1..=MAX_BROKERS).contains(&self.brokers) {
            return invalid("brokers", self.brokers.to_string(), "1 to 100 is allowed");
        }
        if self.bytes_between_snapshots == 0 {
            let key = "metadata.log.max.record.bytes.between.snapshots";
            return invalid(key, "0".to_owned(), "1 or more is allowed");
        }
        let timeout = self.timing.session_timeout;
        if timeout < Duration::from_secs(1) {
            return invalid("broker.session.timeout.ms", format!("{timeout:?}"), "1 s or more is allowed");
        }
        Ok(())
    }
}
