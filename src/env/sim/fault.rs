//! What can be made to go wrong: one grammar, `intercept(what)`, then which, then what happens.

use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use std::{io, path::Path, sync::Arc};

/// A kind of operation on a simulated disk.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DiskOp {
    /// Each operation of any kind, reads included. For [`SimDisk::intercept`](crate::SimDisk::intercept) only.
    Any,
    /// A file is opened, and made if there is none.
    Open,
    /// Bytes of a file are read.
    Read,
    /// Bytes are written to a file.
    Write,
    /// Space is taken for bytes that are to be written to a file.
    Reserve,
    /// A file's bytes and length are made durable: fsync.
    Flush,
    /// A file is cut or lengthened.
    SetLen,
    /// A file or directory gets another name. The path is the old one.
    Rename,
    /// A file is removed, or a directory with all that is in it.
    Remove,
    /// A directory is made.
    CreateDir,
    /// The names in a directory are made durable.
    SyncDir,
    /// The names in a directory are read.
    List,
}

/// How an operation on a simulated disk fails.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiskFault {
    /// The disk cannot do it (EIO). A write that fails so may have been done in part. What a failed
    /// [`Flush`](DiskOp::Flush) was to make durable may be lost at a power cut, even if a later one succeeds, as on
    /// Linux.
    Eio,
    /// The disk is full (ENOSPC). A write that fails so may have been done in part.
    Enospc,
    /// A write stops in its middle, behind the first byte and before the last (`WriteZero`). Any other operation fails
    /// with the same error.
    ShortWrite,
}

impl DiskFault {
    pub(super) fn error(self) -> io::Error {
        #[cfg(unix)]
        return match self {
            Self::Eio => rustix::io::Errno::IO.into(),
            Self::Enospc => rustix::io::Errno::NOSPC.into(),
            Self::ShortWrite => io::ErrorKind::WriteZero.into(),
        };
        #[cfg(not(unix))]
        match self {
            Self::Eio => io::Error::other("Input/output error"),
            Self::Enospc => io::ErrorKind::StorageFull.into(),
            Self::ShortWrite => io::ErrorKind::WriteZero.into(),
        }
    }
}

/// One operation that was done, or tried, on a simulated disk.
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
/// for operation in disk.operations() {
///     println!("{operation:?}");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskOperation {
    /// What was done; never [`DiskOp::Any`].
    pub op: DiskOp,
    /// To what, by the name that it was opened by.
    pub path: Arc<Path>,
    /// From where in the file, in bytes; 0 where that has no meaning.
    pub offset: u64,
    /// How many bytes, or which length; 0 where that has no meaning.
    pub len: u64,
}

/// What becomes of an operation that a rule strikes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Then {
    Fail(DiskFault),
    PowerCut,
}

#[derive(Debug)]
struct Rule<W> {
    what: W,
    path: String,
    skip: u64,
    times: u64,
    then: Then,
    struck: Arc<Struck>,
}

#[derive(Debug)]
struct Struck {
    hits: AtomicU64,
    active: AtomicBool,
}

/// The rules of one disk, oldest first.
#[derive(Debug)]
pub(super) struct Rules<W>(Mutex<Vec<Rule<W>>>);

impl<W> Default for Rules<W> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl Rules<DiskOp> {
    /// What the rules say of an operation; the first that strikes decides, and those behind it do not count it.
    pub(super) fn strike(&self, op: DiskOp, path: &Path) -> Option<Then> {
        let mut rules = self.0.lock();
        if rules.is_empty() {
            return None;
        }
        rules.retain(|rule| rule.times > 0 && rule.struck.active.load(Ordering::Relaxed));
        let path = path.to_string_lossy();
        let matching = |rule: &&mut Rule<DiskOp>| {
            (rule.what == DiskOp::Any || rule.what == op) && path.contains(rule.path.as_str())
        };
        for rule in rules.iter_mut().filter(matching) {
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times -= 1;
            rule.struck.hits.fetch_add(1, Ordering::Relaxed);
            return Some(rule.then);
        }
        None
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
pub struct Intercept<W> {
    what: W,
    path: String,
    skip: u64,
    times: Option<u64>,
    rules: Arc<Rules<W>>,
}

impl<W> Intercept<W> {
    pub(super) fn new(what: W, rules: Arc<Rules<W>>) -> Self {
        Self { what, path: String::new(), skip: 0, times: None, rules }
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

    fn install(self, then: Then, default_times: u64) -> Fault {
        let struck = Arc::new(Struck { hits: AtomicU64::new(0), active: AtomicBool::new(true) });
        let times = self.times.unwrap_or(default_times);
        let rule =
            Rule { what: self.what, path: self.path, skip: self.skip, times, then, struck: struck.clone() };
        self.rules.0.lock().push(rule);
        Fault { struck }
    }
}

impl Intercept<DiskOp> {
    /// Only operations on paths that contain this text. Default: on all.
    ///
    /// ```
    /// use brooklet::{DiskFault, DiskOp, SimDisk};
    /// let disk = SimDisk::new(1);
    /// let full = disk.intercept(DiskOp::Write).path(".log").fail(DiskFault::Enospc);
    /// # let _ = full;
    /// ```
    pub fn path(mut self, contains: &str) -> Self {
        contains.clone_into(&mut self.path);
        self
    }

    /// Such an operation fails.
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
    pub fn fail(self, with: DiskFault) -> Fault {
        self.install(Then::Fail(with), u64::MAX)
    }

    /// The power is cut before or in the middle of such an operation, as the disk's seed decides: a write may have
    /// been done in part. It fails, and so does all that follows, until the disk is opened anew.
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
    /// disk.intercept(DiskOp::Flush).path("t-0").power_cut();
    /// assert!(broker.produce(Record::to("t")).is_err());
    /// # Ok(()) }
    /// ```
    pub fn power_cut(self) -> Fault {
        self.install(Then::PowerCut, 1)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(rules: &Rules<DiskOp>, op: DiskOp, path: &str) -> bool {
        rules.strike(op, Path::new(path)).is_some()
    }

    #[test]
    fn skip_and_times_count_only_what_matches() {
        let rules = Arc::new(Rules::default());
        let fault =
            Intercept::new(DiskOp::Write, rules.clone()).skip(1).times(2).path("log").fail(DiskFault::Eio);
        assert!(!struck(&rules, DiskOp::Read, "a.log"));
        assert!(!struck(&rules, DiskOp::Write, "a.index"));
        assert!(!struck(&rules, DiskOp::Write, "a.log"), "skipped");
        assert!(struck(&rules, DiskOp::Write, "a.log"));
        assert!(struck(&rules, DiskOp::Write, "b.log"));
        assert!(!struck(&rules, DiskOp::Write, "a.log"), "twice is enough");
        assert_eq!(fault.hits(), 2);
    }

    #[test]
    fn a_dropped_fault_stays_and_a_removed_one_does_not() {
        let rules = Arc::new(Rules::default());
        drop(Intercept::new(DiskOp::Any, rules.clone()).fail(DiskFault::Eio));
        assert!(struck(&rules, DiskOp::List, "a"));
        let rules = Arc::new(Rules::default());
        Intercept::new(DiskOp::Any, rules.clone()).fail(DiskFault::Eio).remove();
        assert!(!struck(&rules, DiskOp::List, "a"));
    }

    #[test]
    fn a_power_cut_strikes_once() {
        let rules = Arc::new(Rules::default());
        let _fault = Intercept::new(DiskOp::Any, rules.clone()).power_cut();
        assert!(struck(&rules, DiskOp::Open, "a"));
        assert!(!struck(&rules, DiskOp::Open, "a"));
    }
}
