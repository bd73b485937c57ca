//! Faults that are put in place: one grammar, `intercept(what)`, then which, then what happens.

use crate::{
    env::{Clock, Slot},
    error::{Error, Result},
    sync::{AtomicBool, AtomicU64, Mutex, Ordering},
};
use std::{fmt::Debug, sync::Arc, time::Duration};

/// How long [`Fault::wait`] waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can be intercepted.
pub trait What: Copy + Debug {
    /// What tells one of a kind from another.
    type Which: Default + Debug;
    /// What becomes of it.
    type Then: Clone + Debug;
}

#[derive(Debug)]
struct Rule<W: What> {
    what: W,
    which: W::Which,
    skip: u64,
    times: u64,
    then: W::Then,
    struck: Arc<Struck>,
}

#[derive(Debug)]
struct Struck {
    hits: AtomicU64,
    active: AtomicBool,
    /// Filled when it strikes.
    first: Slot<()>,
}

/// The rules of one place, oldest first.
#[derive(Debug)]
pub(crate) struct Rules<W: What>(Mutex<Vec<Rule<W>>>);

impl<W: What> Default for Rules<W> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<W: What> Rules<W> {
    /// What is to become of something; the first rule that strikes decides, and those behind it do not count it.
    pub(crate) fn first(&self, matches: impl Fn(W, &W::Which) -> bool) -> Option<W::Then> {
        let mut rules = self.0.lock();
        if rules.is_empty() {
            return None;
        }
        rules.retain(|rule| rule.times > 0 && rule.struck.active.load(Ordering::Relaxed));
        for rule in rules.iter_mut().filter(|rule| matches(rule.what, &rule.which)) {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            rule.struck.hits.fetch_add(1, Ordering::Relaxed);
            rule.struck.first.fill(());
            return Some(rule.then.clone());
        }
        None
    }

    /// Takes all rules away.
    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}

/// Says which operations of a kind a fault strikes: at first all of them, from now on.
///
/// Nothing happens before the last word: [`fail`](Self::fail) or [`power_cut`](Self::power_cut).
/// See [`SimDisk::intercept`](crate::SimDisk::intercept).
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
/// broker.create_topic("t", TopicConfig::new().durability(Durability::Flushed))?;
/// let fault = disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
/// assert!(broker.produce(Record::to("t")).is_err());
/// assert_eq!(fault.hits(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "nothing is intercepted before it is said what shall happen"]
pub struct Intercept<W: What> {
    what: W,
    pub(crate) which: W::Which,
    skip: u64,
    times: Option<u64>,
    rules: Arc<Rules<W>>,
    clock: Option<Clock>,
}

impl<W: What> Intercept<W> {
    pub(crate) fn new(what: W, rules: Arc<Rules<W>>) -> Self {
        Self { what, which: W::Which::default(), skip: 0, times: None, rules, clock: None }
    }

    /// The clock that whoever waits for the fault goes by.
    pub(crate) fn clock(mut self, clock: &Clock) -> Self {
        self.clock = Some(clock.clone());
        self
    }

    /// Lets the first `n` operations that match pass. Default 0.
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
    /// broker.create_topic("t", TopicConfig::new().durability(Durability::Flushed))?;
    /// let second = disk.intercept(DiskOp::Flush).path("t-0").skip(1).times(1).fail(DiskFault::Eio);
    /// assert!(broker.produce(Record::to("t")).is_ok());
    /// assert!(broker.produce(Record::to("t")).is_err());
    /// # Ok(()) }
    /// ```
    pub fn skip(mut self, n: u64) -> Self {
        self.skip = n;
        self
    }

    /// Strikes `n` operations at most. Default: all; for a power cut 1.
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
    /// broker.create_topic("t", TopicConfig::new().durability(Durability::Flushed))?;
    /// let fault = disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
    /// assert!(broker.produce(Record::to("t")).is_err());
    /// assert_eq!(fault.hits(), 1);
    /// # Ok(()) }
    /// ```
    pub fn times(mut self, n: u64) -> Self {
        self.times = Some(n);
        self
    }

    pub(crate) fn install(self, then: W::Then, default_times: u64) -> Fault {
        let (hits, active, first) = (AtomicU64::new(0), AtomicBool::new(true), Slot::new());
        let struck = Arc::new(Struck { hits, active, first });
        let times = self.times.unwrap_or(default_times);
        let Self { what, which, skip, rules, clock, .. } = self;
        rules.0.lock().push(Rule { what, which, skip, times, then, struck: Arc::clone(&struck) });
        Fault { struck, clock }
    }
}

/// A fault that was put in place. Dropped, it stays; only [`remove`](Self::remove) ends it.
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
/// broker.create_topic("t", TopicConfig::new().durability(Durability::Flushed))?;
/// let fault = disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
/// assert!(broker.produce(Record::to("t")).is_err());
/// assert_eq!(fault.hits(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Fault {
    struck: Arc<Struck>,
    clock: Option<Clock>,
}

impl Fault {
    /// How many operations it has struck so far.
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
    /// broker.create_topic("t", TopicConfig::new().durability(Durability::Flushed))?;
    /// let fault = disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
    /// assert!(broker.produce(Record::to("t")).is_err());
    /// assert_eq!(fault.hits(), 1);
    /// # Ok(()) }
    /// ```
    pub fn hits(&self) -> u64 {
        self.struck.hits.load(Ordering::Relaxed)
    }

    /// Waits until it has struck for the first time, for up to a minute; on virtual time, which it moves. One of a disk that is
    /// not a cluster's has struck already, or the wait fails at once.
    ///
    /// # Errors
    /// [`Error::Timeout`]: it has not struck.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let lost = cluster.intercept(ApiKey::Produce).times(1).drop_response();
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// lost.wait()?;
    /// # Ok(()) }
    /// ```
    pub fn wait(&self) -> Result<()> {
        let has_struck = || self.hits() > 0;
        if let Some(clock) = self.clock.as_ref().filter(|_| !has_struck()) {
            self.struck.first.wait(clock, clock.now().plus(PATIENCE));
        }
        if has_struck() { Ok(()) } else { Err(Error::Timeout) }
    }

    /// Ends it: no more operations are struck.
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
    /// broker.create_topic("t", TopicConfig::new().durability(Durability::Flushed))?;
    /// let fault = disk.intercept(DiskOp::Write).path("t-0").fail(DiskFault::Enospc);
    /// assert!(broker.produce(Record::to("t")).is_err());
    /// fault.remove();
    /// assert!(broker.produce(Record::to("t")).is_ok());
    /// # Ok(()) }
    /// ```
    pub fn remove(self) {
        self.struck.active.store(false, Ordering::Relaxed);
    }
}
