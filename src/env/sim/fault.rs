//! What can be made to go wrong on a disk.

use super::rules::{Fault, Intercept, Rules, What};
use std::{io, path::Path, sync::Arc, time::Duration};

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
pub enum Then {
    Fail(DiskFault),
    PowerCut,
    /// It is done, and takes so long.
    Delay(Duration),
}

impl What for DiskOp {
    /// What its path contains.
    type Which = String;
    type Then = Then;
}

impl Rules<DiskOp> {
    /// What the rules say of an operation.
    pub(super) fn strike(&self, op: DiskOp, path: &Path) -> Option<Then> {
        self.first(|what, part| {
            (what == DiskOp::Any || what == op) && path.to_string_lossy().contains(part.as_str())
        })
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
        contains.clone_into(&mut self.which);
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

    /// Such an operation takes so long. A broker of a [`Cluster`](crate::Cluster) does nothing else meanwhile; of a
    /// [`Broker`](crate::Broker) of its own the time is not moved by it.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let slow = cluster.disk(1)?.intercept(DiskOp::Write).delay(Duration::from_millis(20));
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// # slow.remove();
    /// # Ok(()) }
    /// ```
    pub fn delay(self, by: Duration) -> Fault {
        self.install(Then::Delay(by), u64::MAX)
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
