//! What other threads may do with a consumer: end its poll, and commit.

use super::membership::{Heart, Sent};
use crate::{
    client::Client,
    config::ConsumerConfig,
    env::Interrupt,
    error::{Error, Result},
    rpc::{LeaveGroupRequest, MemberIdentity, OffsetCommitRequest},
    sync::{AtomicBool, AtomicU64, Mutex, Ordering},
    types::{BrokerId, Offsets, TopicId, TopicPartition},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
};

/// What a consumer shares with its handles, and with whoever has its heart beat.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) me: Weak<Self>,
    pub(super) client: Client,
    pub(super) group: Option<String>,
    /// Who keeps the group.
    pub(super) coordinator: BrokerId,
    pub(super) woken: AtomicBool,
    /// What the consumer's thread waits for.
    pub(super) waiting: Mutex<Option<Arc<dyn Interrupt>>>,
    pub(super) identity: Mutex<Identity>,
    pub(super) heart: Heart,
    /// Commits that succeeded, and those that failed.
    commits: [AtomicU64; 2],
}

/// In whose name commits are, and for which topics.
#[derive(Debug, Default)]
pub(super) struct Identity {
    pub(super) member: Option<MemberIdentity>,
    /// What a member has; `None`: it is none, and says itself what it reads.
    owned: Option<BTreeSet<TopicPartition>>,
    topic_ids: BTreeMap<String, TopicId>,
    /// What is under way to the group.
    pub(super) sent: Sent,
    /// The consumer is no more.
    pub(super) gone: bool,
}

impl Shared {
    pub(super) fn new(client: Client, config: &ConsumerConfig, coordinator: BrokerId) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            client,
            group: config.group.clone(),
            coordinator,
            woken: AtomicBool::new(false),
            waiting: Mutex::default(),
            identity: Mutex::default(),
            heart: Heart::new(config),
            commits: Default::default(),
        })
    }

    /// Notes who the consumer is and what it reads. Offsets of its topics are meant for no others of their names.
    pub(super) fn note(
        &self,
        topic_ids: BTreeMap<String, TopicId>,
        member: Option<MemberIdentity>,
        owned: Option<BTreeSet<TopicPartition>>,
    ) {
        let mut identity = self.identity.lock();
        (identity.topic_ids, identity.member, identity.owned) = (topic_ids, member, owned);
    }

    /// Has the consumer's thread look up from what it waits for.
    pub(super) fn interrupt(&self) {
        if let Some(waiting) = &*self.waiting.lock() {
            waiting.interrupt();
        }
    }

    /// Is the consumer's no more. No commit comes through after that, and no heart beats. Gives the member that it was.
    pub(super) fn go(&self) -> Option<MemberIdentity> {
        let mut identity = self.identity.lock();
        identity.gone = true;
        let member = identity.known_as(&self.heart);
        (identity.member, identity.sent) = (None, Sent::default());
        member
    }

    /// Leaves the group, if the consumer is a member. A static one stays for its session (KIP-345).
    pub(super) fn leave(&self) -> Result<()> {
        let (Some(group), Some(member)) = (self.group.clone(), self.go()) else { return Ok(()) };
        let MemberIdentity { member_id, instance_id, .. } = member;
        if instance_id.is_some() {
            return Ok(());
        }
        match self.client.call_to(self.coordinator, LeaveGroupRequest { group, member_id, instance_id }) {
            // The group has given it up before.
            Err(Error::UnknownMemberId { .. }) => Ok(()),
            result => result.map(drop),
        }
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
            if let Some(owned) = &identity.owned
                && let Some((partition, _)) = offsets.iter().find(|(of, _)| !owned.contains(*of))
            {
                return Err(Error::CommitFailed { partition: partition.clone() });
            }
            // Who has lost its place does not commit as somebody from outside.
            if identity.owned.is_some() && identity.member.is_none() && !offsets.is_empty() {
                return Err(Error::UnknownMemberId { group });
            }
            (identity.member.clone(), identity.topic_ids.clone())
        };
        if offsets.is_empty() {
            return Ok(());
        }
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
        self.shared.interrupt();
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
