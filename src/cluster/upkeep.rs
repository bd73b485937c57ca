//! What brokers see to from time to time, at once; and what they count.

use super::Cluster;
use crate::{
    error::{Error, Result},
    node::{BrokerMetrics, Node},
    types::BrokerId,
};
use std::sync::Arc;

impl Cluster {
    /// Has each running broker remove what topics need not keep any more, as [`Broker::apply_retention_now`] does: for tests.
    ///
    /// # Errors
    /// Those of [`Broker::apply_retention_now`]. Other brokers see to theirs all the same.
    ///
    /// [`Broker::apply_retention_now`]: crate::Broker::apply_retention_now
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let brief = TopicConfig::new().retention_time(Duration::from_secs(3600));
    /// let cluster = Cluster::builder().topic("ticks", brief).start()?;
    /// let yesterday = cluster.now() - Duration::from_secs(24 * 3600);
    /// cluster.produce(Record::to("ticks").value("tick").timestamp(yesterday))?;
    /// cluster.apply_retention_now()?;
    /// assert_eq!(cluster.admin().describe_topic("ticks")?.partitions[0].log_start_offset, 1);
    /// # Ok(()) }
    /// ```
    pub fn apply_retention_now(&self) -> Result<()> {
        self.on_each(|node| node.apply_retention())
    }

    /// Has each running broker clean its copies of compacted topics, or of this one, as [`Broker::compact_now`] does: for tests.
    ///
    /// # Errors
    /// Those of [`Broker::compact_now`]. Other brokers see to theirs all the same.
    ///
    /// [`Broker::compact_now`]: crate::Broker::compact_now
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let config = TopicConfig::new().cleanup_policy(CleanupPolicy::Compact).segment_bytes(1024);
    /// let cluster = Cluster::builder().topic("prices", config).start()?;
    /// for price in 100..200 {
    ///     cluster.produce(Record::to("prices").key("apples").value(&price.to_string()))?;
    /// }
    /// cluster.compact_now(Some("prices"))?;
    /// # Ok(()) }
    /// ```
    pub fn compact_now(&self, topic: Option<&str>) -> Result<()> {
        self.on_each(|node| node.compact_now(topic))
    }

    /// What a broker counts.
    ///
    /// # Errors
    /// [`Error::BrokerNotAvailable`] if it does not run.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// assert_eq!(cluster.metrics(1)?.topics.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn metrics(&self, broker: impl Into<BrokerId>) -> Result<BrokerMetrics> {
        let broker = broker.into();
        let running = self.nodes().into_iter().find(|(id, _)| *id == broker);
        running.map(|(_, node)| node.metrics()).ok_or(Error::BrokerNotAvailable)
    }

    fn nodes(&self) -> Vec<(BrokerId, Arc<Node>)> {
        self.inner.world.survey(|id, running| (id, Arc::clone(&running.node)))
    }

    /// The first error.
    fn on_each(&self, mut work: impl FnMut(&Node) -> Result<()>) -> Result<()> {
        // Where brokers are killed by other threads meanwhile, a node that is no broker's any more must not touch its files.
        self.inner.world.survey(|_, running| work(&running.node)).into_iter().collect()
    }
}
