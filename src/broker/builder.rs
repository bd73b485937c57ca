//! A broker's settings.

use super::{Broker, Inner};
use crate::{
    client::Client,
    config::TopicConfig,
    env::{Clock, ManualClock, RealStorage, SimDisk, Storage},
    error::{Error, Result},
    node::{Node, NodeConfig},
    prng::Prng,
    rpc::Service,
    types::BrokerId,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

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
}

impl BrokerBuilder {
    pub(super) fn new() -> Self {
        let (topic_defaults, clock, disk, seed) = (TopicConfig::new(), None, None, None);
        Self { topic_defaults, clock, disk, seed, memory_maps: true }
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

    /// Opens the broker of a directory: see [`Broker::open`].
    ///
    /// # Errors
    /// Those of [`Broker::open`], and [`Error::InvalidConfig`] for the topics' defaults.
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
        let storage: Arc<dyn Storage> = match &self.disk {
            Some(disk) => disk.boot(),
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
            id: BrokerId::from(EMBEDDED),
            dir,
            storage,
            clock: self.clock.map_or_else(Clock::system, Clock::Manual),
            prng: ids.fork("broker"),
            topic_defaults: self.topic_defaults,
        };
        let (node, recovery) = Node::open(config)?;
        let service: Arc<dyn Service> = Arc::<Node>::clone(&node);
        let client = Client::new(service, BrokerId::from(EMBEDDED), prng.fork("client"));
        Ok(Broker { inner: Arc::new(Inner { node, client, recovery, temporary }) })
    }
}
