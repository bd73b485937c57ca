//! What other threads may do with a consumer: end its poll, and commit.

use crate::{
    client::Client,
    error::{Error, Result},
    rpc::{FetchResponse, LeaveGroupRequest, MemberIdentity, OffsetCommitRequest, Ticket},
    sync::{AtomicBool, AtomicU64, Mutex, Ordering},
    types::{BrokerId, Offsets, TopicId},
};
use std::{collections::BTreeMap, sync::Arc};

/// What a consumer shares with its handles.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) group: Option<String>,
    /// Who keeps the group.
    pub(super) coordinator: BrokerId,
    pub(super) woken: AtomicBool,
    pub(super) waiting: Mutex<Option<Ticket<FetchResponse>>>,
    identity: Mutex<Identity>,
    /// Commits that succeeded, and those that failed.
    commits: [AtomicU64; 2],
}

/// In whose name commits are, and for which topics.
#[derive(Debug, Default)]
struct Identity {
    member: Option<MemberIdentity>,
    topic_ids: BTreeMap<String, TopicId>,
    /// The consumer is no more.
    gone: bool,
}

impl Shared {
    pub(super) fn new(client: Client, group: Option<String>, coordinator: BrokerId) -> Self {
        let (woken, waiting) = (AtomicBool::new(false), Mutex::new(None));
        let (identity, commits) = (Mutex::default(), Default::default());
        Self { client, group, coordinator, woken, waiting, identity, commits }
    }

    pub(super) fn joined(&self, member: MemberIdentity) {
        self.identity.lock().member = Some(member);
    }

    /// Offsets of these topics are meant for no others of their names.
    pub(super) fn reads(&self, topic_ids: BTreeMap<String, TopicId>) {
        self.identity.lock().topic_ids = topic_ids;
    }

    /// Leaves the group, if the consumer is a member. No commit comes through after that.
    pub(super) fn leave(&self) -> Result<()> {
        let member = {
            let mut identity = self.identity.lock();
            identity.gone = true;
            identity.member.take()
        };
        let (Some(group), Some(member)) = (self.group.clone(), member) else { return Ok(()) };
        self.client.call_to(self.coordinator, LeaveGroupRequest { group, member_id: member.member_id })?;
        Ok(())
    }

    pub(super) fn group(&self) -> Result<String> {
        let none = || Error::IllegalState("a consumer without a group has no committed offsets".to_owned());
        self.group.clone().ok_or_else(none)
    }

    pub(super) fn commit(&self, offsets: Offsets) -> Result<()> {
        let committed = self.send_commit(offsets);
        let [succeeded, failed] = &self.commits;
        let count = if committed.is_ok() { succeeded } else { failed };
        count.fetch_add(1, Ordering::Relaxed);
        committed
    }

    /// How many commits succeeded, and how many failed.
    pub(super) fn commits(&self) -> (u64, u64) {
        let [succeeded, failed] = &self.commits;
        (succeeded.load(Ordering::Relaxed), failed.load(Ordering::Relaxed))
    }

    fn send_commit(&self, offsets: Offsets) -> Result<()> {
        let group = self.group()?;
        let (member, topic_ids) = {
            let identity = self.identity.lock();
            if identity.gone {
                return Err(Error::Closed);
            }
            (identity.member.clone(), identity.topic_ids.clone())
        };
        self.client.call_to(self.coordinator, OffsetCommitRequest { group, member, offsets, topic_ids })?;
        Ok(())
    }
}

/// What other threads may do with a [`Consumer`](crate::Consumer). `Clone + Send + Sync`. It does not keep the consumer.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
/// let handle: ConsumerHandle = consumer.handle();
/// std::thread::spawn(move || handle.wakeup()).join().unwrap();
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct ConsumerHandle {
    pub(super) shared: Arc<Shared>,
}

impl ConsumerHandle {
    /// Ends this poll of the consumer, or else the next one, with [`Error::Wakeup`], once.
    ///
    /// ```
    /// # use brooklet::{Broker, Error, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let handle = consumer.handle();
    /// let worker = std::thread::spawn(move || consumer.poll(Duration::MAX));
    /// handle.wakeup();
    /// assert!(matches!(worker.join().unwrap(), Err(Error::Wakeup)));
    /// # Ok(()) }
    /// ```
    pub fn wakeup(&self) {
        self.shared.woken.store(true, Ordering::Release);
        let waiting = self.shared.waiting.lock().take();
        if let Some(ticket) = waiting {
            ticket.fill(Err(Error::Wakeup));
        }
    }

    /// As [`Consumer::commit_offsets`](crate::Consumer::commit_offsets), from any thread: for workers that are done with what
    /// the consumer's thread has polled. With [`OffsetTracker`](crate::OffsetTracker) what is committed has no hole.
    ///
    /// # Errors
    /// Those of [`Consumer::commit_offsets`](crate::Consumer::commit_offsets); [`Error::Closed`] also if the consumer was closed
    /// or dropped.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let (records, handle) = (consumer.poll(Duration::from_secs(1))?, consumer.handle());
    /// std::thread::spawn(move || handle.commit_offsets(&records)).join().unwrap()?;
    /// assert_eq!(consumer.committed(("orders", 0))?.map(|o| o.offset), Some(1));
    /// # Ok(()) }
    /// ```
    pub fn commit_offsets(&self, done: impl Into<Offsets>) -> Result<()> {
        self.shared.commit(done.into())
    }

    /// As [`Consumer::commit_async`](crate::Consumer::commit_async), from any thread.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::from_secs(1))?;
    /// consumer.handle().commit_async(&records).on_complete(|done| done.unwrap());
    /// # Ok(()) }
    /// ```
    pub fn commit_async(&self, done: impl Into<Offsets>) -> PendingCommit {
        PendingCommit { outcome: self.shared.commit(done.into()) }
    }
}

/// What becomes of a commit that was [not waited for](crate::Consumer::commit_async). It may be dropped: an error is told to
/// nobody then, and a later commit makes up for it. `Send + Sync`.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// # broker.produce(Record::to("orders").value("3 apples"))?;
/// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
/// let records = consumer.poll(Duration::from_secs(1))?;
/// let commit: PendingCommit = consumer.commit_async(&records);
/// commit.wait()?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct PendingCommit {
    outcome: Result<()>,
}

impl PendingCommit {
    /// Waits until the commit is in the log.
    ///
    /// # Errors
    /// Those of [`Consumer::commit_offsets`](crate::Consumer::commit_offsets).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # let consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.commit_async([(("orders", 0), 0)]).wait()?;
    /// # Ok(()) }
    /// ```
    pub fn wait(self) -> Result<()> {
        self.outcome
    }

    /// Calls `then` once it is known what became of the commit; now, if it is known.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # let consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.commit_async([(("orders", 0), 0)]).on_complete(|committed| {
    ///     if let Err(error) = committed {
    ///         eprintln!("not committed: {error}");
    ///     }
    /// });
    /// # Ok(()) }
    /// ```
    pub fn on_complete(self, then: impl FnOnce(Result<()>) + Send + 'static) {
        then(self.outcome);
    }
}
