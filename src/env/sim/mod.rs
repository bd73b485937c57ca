//! A simulated disk: live bytes against durable ones, faults, and power cuts that a seed replays.

mod content;
mod disk;
mod fate;
mod fault;
mod file;
#[cfg(any(test, fuzzing))]
mod files;
mod rules;
mod storage;
#[cfg(test)]
mod tests;
mod tree;

pub use fault::{DiskFault, DiskOp, DiskOperation};
#[cfg(any(test, fuzzing))]
pub(crate) use files::Files;
pub use rules::{Fault, Intercept};
pub(crate) use rules::{Rules, What};

use super::{Clock, Storage};
use crate::sync::Ordering;
use disk::Disk;
use std::{fmt, sync::Arc, time::Duration};
use storage::SimStorage;
use tree::TreeHash;

/// A disk in memory, for crash tests: it forgets, at a power cut, what was never synced.
///
/// Each broker that is opened on it ([`BrokerBuilder::disk`](crate::BrokerBuilder::disk)) works on it until the power is
/// cut, by [`power_cut`](Self::power_cut) or in the middle of an operation by
/// [`intercept`](Self::intercept). From then on whatever that broker does with its files fails; a broker that is opened
/// after it finds what survived:
///
/// - Of a file's bytes and its length, what was synced survives. Of what was written since, each sector of 512 bytes
///   has, independently, what any prefix of the writes made of it; the length is one of those that the file had, and
///   bytes below it that never reached the disk are zero. A write that the power cut interrupts may end at any byte.
/// - Of names (files and directories made, renamed and removed), what was done before the last sync of their directory
///   survives. Each later change survives or not, independently of all others; a rename is one change.
/// - The time at which a file was last written to, by the clock of the broker that wrote, survives or not by itself.
/// - What a failed sync of a file should have made durable may be lost for good, even if a later sync succeeds: only
///   bytes that are written again come through. Names are kept by the file system's journal: those of a failed sync are
///   as if it had not been tried.
///
/// All choices come from the seed: the same operations on a disk of the same seed have the same outcome. Keep the disk
/// to one thread if runs are to be the same. Clones are the same disk.
///
/// # Panics
/// In builds with debug assertions an operation panics if it changes bytes of a file that were handed out to a reader:
/// that is a bug of brooklet's.
///
/// ```
/// use brooklet::{Broker, DiskOp, Durability, Record, SimDisk, TopicConfig};
/// # fn main() -> brooklet::Result<()> {
/// for n in 0.. {
///     let disk = SimDisk::new(7);
///     let fault = disk.intercept(DiskOp::Any).skip(n).power_cut();
///     let run = || -> brooklet::Result<i64> {
///         let broker = Broker::builder().disk(&disk).open("data")?;
///         broker.ensure_topic("orders", TopicConfig::new())?;
///         let record = Record::to("orders").value("3 apples").durability(Durability::Flushed);
///         Ok(broker.produce(record)?.offset)
///     };
///     let acknowledged = run();
///     let is_over = fault.hits() == 0; // the run has no more operations than that
///     fault.remove();
///     disk.power_cut();
///     let broker = Broker::builder().disk(&disk).open("data")?;
///     if acknowledged.is_ok() {
///         let end = broker.admin().describe_topic("orders")?.partitions[0].high_watermark;
///         assert_eq!(end, 1, "operation {n}: what was acknowledged as flushed is gone");
///     }
///     if is_over {
///         break;
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SimDisk {
    disk: Arc<Disk>,
}

impl SimDisk {
    /// An empty disk, whose power cuts `seed` decides.
    ///
    /// ```
    /// # use brooklet::*;
    /// let disk = SimDisk::new(7);
    /// ```
    pub fn new(seed: u64) -> Self {
        Self { disk: Arc::new(Disk::new(seed)) }
    }

    /// Cuts the power: what was not synced is lost, or torn, or kept, as the seed decides. Whoever has the disk open
    /// gets an error from each operation from now on; who opens it anew finds what survived.
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
    /// disk.power_cut();
    /// assert!(broker.create_topic("t", TopicConfig::new()).is_err());
    /// drop(broker);
    /// let broker = Broker::builder().disk(&disk).open("data")?;
    /// # Ok(()) }
    /// ```
    pub fn power_cut(&self) {
        self.disk.state.lock().power_cut();
    }

    /// Has the next power cut leave the `n`th of all outcomes that it can have, instead of one that the seed draws: each
    /// sector with so many of its writes, each length (and with it the time), each change of a name, one by one. They are
    /// counted from 0; behind the last comes the first. What a write that is interrupted had done by then is still drawn.
    ///
    /// [`outcomes`](Self::outcomes) tells afterwards how many there are, so that a test can try all, where they are few.
    ///
    /// ```
    /// use brooklet::{Broker, Record, SimDisk, TopicConfig};
    /// # fn main() -> brooklet::Result<()> {
    /// for n in 0.. {
    ///     let disk = SimDisk::new(7);
    ///     let broker = Broker::builder().disk(&disk).open("data")?;
    ///     broker.create_topic("orders", TopicConfig::new())?;
    ///     broker.flush()?;
    ///     broker.produce(Record::to("orders").value("3 apples"))?; // only buffered
    ///     disk.choose_outcome(n);
    ///     disk.power_cut();
    ///     Broker::builder().disk(&disk).open("data")?;
    ///     if n + 1 >= disk.outcomes() {
    ///         break;
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub fn choose_outcome(&self, n: u64) {
        self.disk.state.lock().chosen = Some(n);
    }

    /// How many outcomes the last power cut had to choose from of which one was [chosen](Self::choose_outcome): each is
    /// counted, also where two leave the same to see. 0 if none was chosen yet, `u64::MAX` if there are more.
    ///
    /// ```
    /// let disk = brooklet::SimDisk::new(7);
    /// disk.choose_outcome(0);
    /// disk.power_cut();
    /// assert_eq!(disk.outcomes(), 1); // there was nothing to lose
    /// ```
    pub fn outcomes(&self) -> u64 {
        self.disk.state.lock().outcomes
    }

    /// Makes operations of a kind fail, or cuts the power at one of them. Of several faults that an operation fits,
    /// the first that was put in place strikes.
    ///
    /// ```
    /// use brooklet::{DiskFault, DiskOp, SimDisk};
    /// let disk = SimDisk::new(1);
    /// let fault = disk.intercept(DiskOp::Flush).skip(2).times(1).fail(DiskFault::Eio);
    /// assert_eq!(fault.hits(), 0); // nothing has been flushed yet
    /// fault.remove();
    /// ```
    pub fn intercept(&self, what: DiskOp) -> Intercept<DiskOp> {
        Intercept::new(what, self.disk.rules.clone())
    }

    /// What was done, or tried, since the disk was made, in order; of more than 1,048,576 operations the last ones.
    /// The same workload gives the same list on every run.
    ///
    /// ```
    /// let disk = brooklet::SimDisk::new(1);
    /// assert!(disk.operations().is_empty());
    /// ```
    pub fn operations(&self) -> Vec<DiskOperation> {
        self.disk.state.lock().operations.iter().cloned().collect()
    }

    /// A hash over all names and bytes, as a reader sees them now: equal for equal contents.
    ///
    /// ```
    /// use brooklet::SimDisk;
    /// assert_eq!(SimDisk::new(1).contents_hash(), SimDisk::new(2).contents_hash()); // both are empty
    /// ```
    pub fn contents_hash(&self) -> u64 {
        TreeHash::of(&self.disk.state.lock().root)
    }

    /// How many times it was booted.
    pub(crate) fn sessions(&self) -> u64 {
        self.disk.state.lock().sessions
    }

    /// How often the power was cut.
    /// How much longer operations took than they do, that nobody has waited for.
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_nanos(self.disk.delay.load(Ordering::Relaxed))
    }

    /// Somebody waits for it.
    pub(crate) fn take_delay(&self) -> Duration {
        Duration::from_nanos(self.disk.delay.swap(0, Ordering::Relaxed))
    }

    pub(crate) fn power_cuts(&self) -> u64 {
        self.disk.state.lock().power_cuts
    }

    /// Storage on this disk, until the power is cut, for who goes by `clock`: files get their times from it.
    pub(crate) fn boot_at(&self, clock: &Clock) -> Arc<dyn Storage> {
        Arc::new(SimStorage::new(self.disk.clone(), clock.clone()))
    }

    /// As `boot_at`, where nobody asks for the time.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn boot(&self) -> Arc<dyn Storage> {
        self.boot_at(&Clock::Manual(super::ManualClock::new()))
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk").field("seed", &self.disk.seed).finish_non_exhaustive()
    }
}
