//! What may go wrong in a cluster, as a test says it.

use super::{ApiKey, Cluster, marks::Mark, trace::Fact};
use crate::{
    env::{Intercept, SimDisk},
    error::Result,
    types::BrokerId,
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long a controlled shutdown may take.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

impl Cluster {
    fn hit(&self, mark: Mark) {
        self.inner.world.trace.hit(mark);
    }

    /// Ends a broker's process as `kill -9` does. What it has written stays on its machine, flushed or not; connections to it
    /// break. Fine if it does not run.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.kill(2)?;
    /// cluster.restart(2)?;
    /// # Ok(()) }
    /// ```
    pub fn kill(&self, broker: impl Into<BrokerId>) -> Result<()> {
        self.inner.world.kill(broker.into())
    }

    /// Starts a broker that does not run, on what its disk holds.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker; the disk's.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.power_cut(2)?;
    /// cluster.restart(2)?;
    /// assert!(cluster.is_running(2)?);
    /// # Ok(()) }
    /// ```
    pub fn restart(&self, broker: impl Into<BrokerId>) -> Result<()> {
        self.inner.world.start(broker.into())
    }

    /// Cuts the power of a broker's machine: what was not flushed may be lost, or torn, as the seed decides.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker, or its files are
    /// [real](crate::ClusterBuilder::directory).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.power_cut(1)?;
    /// assert!(!cluster.is_running(1)?);
    /// # Ok(()) }
    /// ```
    pub fn power_cut(&self, broker: impl Into<BrokerId>) -> Result<()> {
        self.inner.world.power_cut(broker.into())
    }

    /// Ends a broker's process in order: the controller moves the partitions that it leads to others, then all is flushed, and its
    /// directory is marked as closed. (A controlled shutdown.)
    ///
    /// It waits until all the others know who leads instead, at most 5 s. Where most of the brokers are not there it does not
    /// wait: nobody could decide.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker; the disk's.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new()).start()?;
    /// let leader = cluster.leader("orders", 0)?;
    /// cluster.stop(leader)?;
    /// assert_ne!(cluster.leader("orders", 0)?, leader); // at once
    /// # Ok(()) }
    /// ```
    pub fn stop(&self, broker: impl Into<BrokerId>) -> Result<()> {
        let (world, broker) = (&self.inner.world, broker.into());
        if world.begin_stop(broker)? {
            // Who is not let go by then goes nevertheless.
            self.inner.time.run_until(STOPS_WITHIN, || world.may_stop(broker));
        }
        world.stop(broker)
    }

    /// Halts a broker's process, as a debugger or a long garbage collection does: what arrives waits until it
    /// [goes on](Self::resume).
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.pause(1)?;
    /// cluster.advance(Duration::from_secs(10));
    /// cluster.resume(1)?;
    /// # Ok(()) }
    /// ```
    pub fn pause(&self, broker: impl Into<BrokerId>) -> Result<()> {
        self.inner.world.pause(broker.into())
    }

    /// Lets a process that was [paused](Self::pause) go on.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.pause(1)?;
    /// cluster.resume(1)?;
    /// # Ok(()) }
    /// ```
    pub fn resume(&self, broker: impl Into<BrokerId>) -> Result<()> {
        self.inner.world.resume(broker.into())
    }

    /// Whether a broker's process runs; one that is paused does.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// assert!(Cluster::builder().start()?.is_running(1)?);
    /// # Ok(()) }
    /// ```
    pub fn is_running(&self, broker: impl Into<BrokerId>) -> Result<bool> {
        self.inner.world.is_running(broker.into())
    }

    /// Cuts a broker off from all others and from all clients, both ways, until the network [heals](Self::heal).
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// let controller = cluster.controller()?;
    /// cluster.isolate(controller)?;
    /// cluster.run_until(Duration::from_secs(10), |cluster| {
    ///     cluster.controller().is_ok_and(|now| now != controller)
    /// })?;
    /// # Ok(()) }
    /// ```
    pub fn isolate(&self, broker: impl Into<BrokerId>) -> Result<()> {
        self.hit(Mark::Isolated);
        self.inner.world.isolate(broker.into())
    }

    /// Lets nothing pass between brokers of the one side and of the other, until the network [heals](Self::heal). Clients reach
    /// both.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(5).start()?;
    /// cluster.partition_network([1, 2], [3, 4, 5])?;
    /// # Ok(()) }
    /// ```
    pub fn partition_network<A: Into<BrokerId>, B: Into<BrokerId>>(
        &self,
        one: impl IntoIterator<Item = A>,
        other: impl IntoIterator<Item = B>,
    ) -> Result<()> {
        let one: BTreeSet<BrokerId> = one.into_iter().map(Into::into).collect();
        let other: BTreeSet<BrokerId> = other.into_iter().map(Into::into).collect();
        self.hit(Mark::LinkBlocked);
        self.inner.world.partition(&one, &other)
    }

    /// Lets nothing pass from one broker to another, one way, until the network [heals](Self::heal).
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.block_link(1, 2)?;
    /// # Ok(()) }
    /// ```
    pub fn block_link(&self, from: impl Into<BrokerId>, to: impl Into<BrokerId>) -> Result<()> {
        self.hit(Mark::LinkBlocked);
        self.inner.world.block(from.into(), to.into())
    }

    /// Loses messages between brokers at random, `per_mille` of a thousand, until the network [heals](Self::heal).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.lose_messages(50);
    /// # Ok(()) }
    /// ```
    pub fn lose_messages(&self, per_mille: u16) {
        self.inner.world.post.network(|network| network.set_loss(u64::from(per_mille)));
        self.inner.world.log(Fact::Loss(per_mille));
    }

    /// Has messages between brokers come twice at random, `per_mille` of a thousand, until the network [heals](Self::heal).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.duplicate_messages(50);
    /// # Ok(()) }
    /// ```
    pub fn duplicate_messages(&self, per_mille: u16) {
        self.inner.world.post.network(|network| network.set_duplicates(u64::from(per_mille)));
        self.inner.world.log(Fact::Duplicates(per_mille));
    }

    /// Lets messages between brokers overtake the one before them at random, `per_mille` of a thousand, until the network
    /// [heals](Self::heal). How often one does depends on how long [messages take](Self::set_latency).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.reorder_messages(1000); // any may
    /// # Ok(()) }
    /// ```
    pub fn reorder_messages(&self, per_mille: u16) {
        self.inner.world.post.network(|network| network.set_reorders(u64::from(per_mille)));
        self.inner.world.log(Fact::Reordered(per_mille));
    }

    /// Holds messages between brokers up at random, `per_mille` of a thousand, each for so long beyond what it
    /// [takes](Self::set_latency), until the network [heals](Self::heal). Those behind it go on.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.delay_messages(50, Duration::from_secs(1));
    /// # Ok(()) }
    /// ```
    pub fn delay_messages(&self, per_mille: u16, by: Duration) {
        self.inner.world.post.network(|network| network.set_delays(u64::from(per_mille), by));
        self.inner.world.log(Fact::Delays { per_mille, by });
    }

    /// How long a message takes, at least and at most. At first 0.2 to 0.8 ms.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.set_latency(Duration::from_millis(20), Duration::from_millis(80));
    /// # Ok(()) }
    /// ```
    pub fn set_latency(&self, least: Duration, most: Duration) {
        self.inner.world.post.network(|network| network.set_latency(least, most));
        self.inner.world.log(Fact::Latency { least, most });
    }

    /// Has the network work again: nothing is cut off, lost, doubled, overtaken, held up or [intercepted](Self::intercept). Latencies stay;
    /// so do brokers that do not run.
    ///
    /// # Errors
    /// None now; as the other verbs.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// cluster.isolate(1)?;
    /// cluster.heal()?;
    /// # Ok(()) }
    /// ```
    pub fn heal(&self) -> Result<()> {
        self.inner.world.post.network(super::network::Network::heal);
        self.inner.world.rules.clear();
        self.inner.world.log(Fact::Healed);
        Ok(())
    }

    /// Sets how far a broker's calendar is ahead of the cluster's, in milliseconds; behind, if it is negative. Default: 0.
    ///
    /// Only what goes by the calendar goes by it: the time of records that a topic has stamped when they are appended, retention,
    /// compaction, the expiry of offsets. Sessions and timeouts do not. A step of the clock is another skew. It stays when the broker
    /// starts anew; [`heal`](Self::heal) does not end it.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let config = TopicConfig::new().timestamp_type(TimestampType::LogAppendTime);
    /// let cluster = Cluster::builder().brokers(1).topic("orders", config).start()?;
    /// cluster.set_clock_skew(1, 3_600_000)?;
    /// let stamped = cluster.produce(Record::to("orders").value("3 apples"))?.timestamp;
    /// assert!(stamped.as_millis() >= cluster.now().as_millis() + 3_600_000 - 1000);
    /// # Ok(()) }
    /// ```
    pub fn set_clock_skew(&self, broker: impl Into<BrokerId>, millis: i64) -> Result<()> {
        self.inner.world.set_clock_skew(broker.into(), millis)
    }

    /// Says what is to become of requests of a kind, of clients or of brokers: refused, lost, or late. At first of all of them, from
    /// now on; [`heal`](Self::heal) ends it.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(1).topic("orders", TopicConfig::new()).start()?;
    /// let fault = cluster.intercept(ApiKey::Produce).topic("orders").times(3).fail(Error::NotLeaderOrFollower);
    /// cluster.produce(Record::to("orders").value("3 apples"))?; // tried again inside
    /// assert_eq!(fault.hits(), 3);
    /// # Ok(()) }
    /// ```
    pub fn intercept(&self, what: ApiKey) -> Intercept<ApiKey> {
        let world = &self.inner.world;
        Intercept::new(what, Arc::clone(&world.rules)).clock(world.post.clock())
    }

    /// A broker's disk, to have it fail.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if there is no such broker, or its files are
    /// [real](crate::ClusterBuilder::directory).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// let fault = cluster.disk(2)?.intercept(DiskOp::Flush).fail(DiskFault::Eio);
    /// # Ok(()) }
    /// ```
    pub fn disk(&self, broker: impl Into<BrokerId>) -> Result<SimDisk> {
        self.inner.world.disk(broker.into())
    }
}
