//! A broker's settings.

use super::{Broker, Inner};
use crate::{
    client::Client,
    config::TopicConfig,
    env::{Clock, ManualClock, RealStorage, SimDisk, Storage},
    error::{Error, Result},
    group::Limits,
    node::{Node, NodeConfig, OnProgress, Progress},
    prng::Prng,
    rpc::Service,
    types::BrokerId,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Kafka's default.
const RETENTION_CHECK_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Kafka's default.
const OFFSETS_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// The id of an embedded broker.
const EMBEDDED: i32 = 1;

/// A broker in the making, from [`Broker::builder`].
///
/// ```
/// use brooklet::{Broker, ManualClock, SimDisk, TopicConfig};
///
/// # fn main() -> brooklet::Result<()> {
/// let (clock, disk) = (ManualClock::new(), SimDisk::new(7));
/// let broker = Broker::builder()
///     .topic_defaults(TopicConfig::new().partitions(4))
///     .clock(&clock)
///     .disk(&disk)
///     .open("data")?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it opens a broker"]
pub struct BrokerBuilder {
    topic_defaults: TopicConfig,
    clock: Option<ManualClock>,
    disk: Option<SimDisk>,
    seed: Option<u64>,
    memory_maps: bool,
    retention_check_interval: Duration,
    group_limits: Limits,
    offsets_retention: Duration,
    salvage: bool,
    on_progress: OnProgress,
}

impl BrokerBuilder {
    pub(super) fn new() -> Self {
        Self {
            topic_defaults: TopicConfig::new(),
            clock: None,
            disk: None,
            seed: None,
            memory_maps: true,
            retention_check_interval: RETENTION_CHECK_INTERVAL,
            group_limits: Limits::default(),
            offsets_retention: OFFSETS_RETENTION,
            salvage: false,
            on_progress: OnProgress::default(),
        }
    }

    /// What topics get that are made without it. Default: what [`TopicConfig`] says.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let broker = Broker::builder().topic_defaults(TopicConfig::new().partitions(4)).open_temporary()?;
    /// broker.create_topic("t", TopicConfig::new())?;
    /// assert_eq!(broker.admin().describe_topic("t")?.partitions.len(), 4);
    /// # Ok(()) }
    /// ```
    pub fn topic_defaults(mut self, config: TopicConfig) -> Self {
        self.topic_defaults = config;
        self
    }

    /// Runs on a clock that the caller moves, and without threads.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let clock = ManualClock::new();
    /// let broker = Broker::builder().clock(&clock).open_temporary()?;
    /// assert_eq!(broker.now(), clock.now());
    /// # Ok(()) }
    /// ```
    pub fn clock(mut self, clock: &ManualClock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Keeps its files on a simulated disk; the directory is a path there.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let disk = SimDisk::new(7);
    /// let broker = Broker::builder().disk(&disk).open("data")?;
    /// broker.close()?;
    /// assert!(!disk.operations().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn disk(mut self, disk: &SimDisk) -> Self {
        self.disk = Some(disk.clone());
        self
    }

    /// Where all that is random comes from: topic ids, member ids, the partitions of records without a key. On a manual
    /// clock and a simulated disk, two runs of one seed do the same. On a simulated disk each opening draws on in another
    /// way, and on real files ids come from the system whatever the seed: no two topics get the same. Default: 0 on a
    /// simulated disk, else a seed from the system.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let broker = Broker::builder().seed(42).open_temporary()?;
    /// # Ok(()) }
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whether files are mapped into memory, where the system can do that. Default true. Without maps a failing disk is
    /// an error for readers, too, and every read copies.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let broker = Broker::builder().memory_maps(false).open_temporary()?;
    /// # Ok(()) }
    /// ```
    pub fn memory_maps(mut self, on: bool) -> Self {
        self.memory_maps = on;
        self
    }

    /// How often logs are looked at for what their topics need not keep any more. (`log.retention.check.interval.ms`)
    /// Default 5 minutes, from 1 ms up; [`Duration::MAX`]: never, and then nothing is removed for its age or size. The
    /// first look comes 30 s after the open, if the interval is not shorter.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let clock = ManualClock::new();
    /// let every_second = Broker::builder().retention_check_interval(Duration::from_secs(1));
    /// let broker = every_second.clock(&clock).open_temporary()?;
    /// broker.create_topic("ticks", TopicConfig::new().retention_time(Duration::from_secs(10)))?;
    /// broker.produce(Record::to("ticks").value("tick"))?;
    /// clock.advance(Duration::from_secs(12));
    /// assert_eq!(broker.admin().describe_topic("ticks")?.partitions[0].log_start_offset, 1);
    /// # Ok(()) }
    /// ```
    pub fn retention_check_interval(mut self, interval: Duration) -> Self {
        self.retention_check_interval = interval;
        self
    }

    /// How long the first members of a group wait for others before partitions are assigned, so that many that start together
    /// need one rebalance. Default zero: at once. Kafka's `group.initial.rebalance.delay.ms`, 3 s there.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let builder = Broker::builder().group_initial_rebalance_delay(Duration::from_millis(50));
    /// ```
    pub fn group_initial_rebalance_delay(mut self, delay: Duration) -> Self {
        self.group_limits.initial_rebalance_delay = delay;
        self
    }

    /// The shortest [`session_timeout`](crate::ConsumerConfig::session_timeout) that a consumer may have. Default 6 s, as Kafka's
    /// `group.min.session.timeout.ms`. A test by the wall clock may want less.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let broker = Broker::builder().group_min_session_timeout(Duration::from_millis(10)).open_temporary()?;
    /// broker.create_topic("orders", TopicConfig::new())?;
    /// let impatient = ConsumerConfig::new("billing")
    ///     .session_timeout(Duration::from_millis(100))
    ///     .heartbeat_interval(Duration::from_millis(30));
    /// let consumer = broker.consumer(impatient).subscribe("orders")?;
    /// # Ok(()) }
    /// ```
    pub fn group_min_session_timeout(mut self, timeout: Duration) -> Self {
        self.group_limits.min_session_timeout = timeout;
        self
    }

    /// The longest [`session_timeout`](crate::ConsumerConfig::session_timeout) that a consumer may have. Default 30 min, as
    /// Kafka's `group.max.session.timeout.ms`.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let builder = Broker::builder().group_max_session_timeout(Duration::from_secs(3600));
    /// ```
    pub fn group_max_session_timeout(mut self, timeout: Duration) -> Self {
        self.group_limits.max_session_timeout = timeout;
        self
    }

    /// How long committed offsets are kept after a group has lost its last member, and those of a group without members ever
    /// after their commit; in a group that has members, those of topics that none subscribes to any more (rule 49). Default
    /// 7 days, as Kafka's `offsets.retention.minutes`; [`Duration::MAX`] keeps them. It is looked at every 10 minutes.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let clock = ManualClock::new();
    /// let broker = Broker::builder().clock(&clock).offsets_retention(Duration::from_secs(3600)).open_temporary()?;
    /// broker.create_topic("orders", TopicConfig::new())?;
    /// broker.admin().alter_group_offsets("billing", [(("orders", 0), 0)])?;
    /// clock.advance(Duration::from_secs(3600 + 600));
    /// assert!(broker.admin().list_groups()?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn offsets_retention(mut self, retention: Duration) -> Self {
        self.offsets_retention = retention;
        self
    }

    /// Whether a store that is damaged is put in order as far as it can be, instead of being refused (default: it is
    /// refused). For once, on a copy if there is room for one: all of every log is read.
    ///
    /// - Every record whose bytes are as they were written stays, at its offset. Those of a batch that is damaged are lost;
    ///   a batch of no records stands for their offsets, and consumers go on behind it.
    /// - The bytes that are bad are kept aside, in files of the partition's directory whose names end in `.cut`.
    /// - Topic metadata that is not to be read is found anew from the partitions' directories: the topics are there
    ///   with their ids and records, and with settings that keep everything.
    /// - Where only a checkpoint is not to be read, all that is in the logs counts.
    ///
    /// What was damaged is in [`RecoveryReport`](crate::RecoveryReport): its `kept_aside`, and each partition's `damage`. A
    /// disk that fails to read is an error here too: copy off it what can be copied, and open the copy. A transaction whose
    /// marker was lost stays open.
    ///
    /// ```
    /// # use brooklet::{Broker, Record, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path();
    /// # let broker = Broker::open(dir)?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # for n in 0..3 { broker.produce(Record::to("orders").value(&format!("order {n}")))?; }
    /// # broker.close()?;
    /// # let log = dir.join("orders-0/00000000000000000000.log");
    /// # let mut bytes = std::fs::read(&log).unwrap();
    /// # let middle = bytes.len() / 2;
    /// # bytes[middle] ^= 1;
    /// # std::fs::write(&log, bytes).unwrap();
    /// assert!(Broker::open(dir).is_err()); // a bit of the second record has flipped
    /// let broker = Broker::builder().salvage(true).open(dir)?;
    /// let damage = &broker.recovery().partitions[0].damage;
    /// assert_eq!((damage[0].offset, damage[0].next_offset), (1, 2));
    /// # Ok(()) }
    /// ```
    pub fn salvage(mut self, on: bool) -> Self {
        self.salvage = on;
        self
    }

    /// Calls `listener` while [`open`](Self::open) reads logs: before and behind each partition's, and in between while a
    /// long one is read. It is called on the thread that opens, with no lock held.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let listener = |at: &Progress| println!("{}: {}/{}", at.partition, at.bytes_done, at.bytes_total);
    /// let broker = Broker::builder().on_progress(listener).open_temporary()?;
    /// # Ok(()) }
    /// ```
    pub fn on_progress(mut self, listener: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = OnProgress(Some(Arc::new(listener)));
        self
    }

    /// Opens the broker of a directory: see [`Broker::open`].
    ///
    /// # Errors
    /// Those of [`Broker::open`], and [`Error::InvalidConfig`] for the topics' defaults and the settings of this builder.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let data = dir.path().join("data");
    /// let broker = Broker::builder().open(&data)?;
    /// # Ok(()) }
    /// ```
    pub fn open(self, dir: impl AsRef<Path>) -> Result<Broker> {
        let dir = dir.as_ref();
        if self.disk.is_some() {
            return self.open_at(dir.to_owned(), None);
        }
        let absolute = std::path::absolute(dir).map_err(|error| Error::io(dir, error))?;
        self.open_at(absolute, None)
    }

    /// Opens a broker in a new directory that goes when the broker is closed: see [`Broker::temporary`].
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let broker = Broker::builder().memory_maps(false).open_temporary()?;
    /// # Ok(()) }
    /// ```
    pub fn open_temporary(self) -> Result<Broker> {
        if self.disk.is_some() {
            return self.open_at(PathBuf::from("temporary"), None);
        }
        let failed = |error| Error::io(&std::env::temp_dir(), error);
        let temporary = tempfile::Builder::new().prefix("brooklet-").tempdir().map_err(failed)?;
        self.open_at(temporary.path().to_owned(), Some(temporary))
    }

    fn open_at(self, dir: PathBuf, temporary: Option<tempfile::TempDir>) -> Result<Broker> {
        let clock = self.clock.map_or_else(Clock::system, Clock::Manual);
        let storage: Arc<dyn Storage> = match &self.disk {
            Some(disk) => disk.boot_at(&clock),
            None => Arc::new(RealStorage::new(self.memory_maps)),
        };
        let prng = match (self.seed, &self.disk) {
            (seed, Some(disk)) => Prng::new(seed.unwrap_or(0)).fork(&format!("session {}", disk.sessions())),
            (Some(seed), None) => Prng::new(seed),
            (None, None) => Prng::from_entropy(),
        };
        // A topic that is made again has another id, also when the broker was opened anew with the same seed.
        let ids = if self.disk.is_some() { prng.clone() } else { Prng::from_entropy() };
        let config = NodeConfig {
            replication: None,
            id: BrokerId::from(EMBEDDED),
            dir,
            storage,
            skew: Arc::default(),
            clock,
            prng: ids.fork("broker"),
            topic_defaults: self.topic_defaults,
            retention_check_interval: self.retention_check_interval,
            group_limits: self.group_limits,
            offsets_retention: self.offsets_retention,
            salvage: self.salvage,
            on_progress: self.on_progress,
        };
        let (node, recovery) = Node::open(config)?;
        let service: Arc<dyn Service> = Arc::<Node>::clone(&node);
        let client = Client::new(service, BrokerId::from(EMBEDDED), prng.fork("client"));
        Ok(Broker { inner: Arc::new(Inner { node, client, recovery, temporary }) })
    }
}
