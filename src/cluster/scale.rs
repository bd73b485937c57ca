//! A cluster that grows and shrinks.

use super::Cluster;
use crate::{error::Result, types::BrokerId};
use std::time::Duration;

/// How long it may take until a broker is registered and in its place.
const JOINS_WITHIN: Duration = Duration::from_secs(60);

impl Cluster {
    /// Adds a broker, with an empty disk, and waits until it is in its place, at most 60 s. Its id is the highest one and 1.
    ///
    /// Partitions that are made from now on may come to it; those that are there stay where they are. It has no vote on who the controller
    /// is.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) where there are 100 brokers; [`Error::Timeout`](crate::Error::Timeout) if nobody
    /// could register it, in which case it is there and goes on trying.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// let fourth = cluster.add_broker()?;
    /// assert_eq!(cluster.brokers().last(), Some(&fourth));
    /// cluster.create_topic("orders", TopicConfig::new().replication_factor(4))?;
    /// assert!(cluster.isr("orders", 0)?.contains(&fourth));
    /// # Ok(()) }
    /// ```
    pub fn add_broker(&self) -> Result<BrokerId> {
        let id = self.inner.world.add_broker()?;
        self.inner.network.set_brokers(self.brokers());
        self.run_until(JOINS_WITHIN, |cluster| cluster.is_in_place(id))?;
        Ok(id)
    }

    /// Whether a broker knows that it is registered, and not fenced.
    fn is_in_place(&self, id: BrokerId) -> bool {
        let known = self.inner.world.survey(|of, running| of == id && running.image().is_active(id));
        known.into_iter().any(|active| active)
    }
}
