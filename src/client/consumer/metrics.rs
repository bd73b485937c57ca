//! What a consumer has done, in numbers.

use super::Consumer;
use crate::client::ConsumerMetrics;

impl Consumer {
    /// What it has done so far, and where it stands. Asks no broker, and waits for nothing.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce_all(["3 apples", "2 pears"].map(|value| Record::to("orders").value(value)))?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.poll_one(Duration::ZERO)?;
    /// assert_eq!(consumer.metrics().partitions[0].lag, Some(1));
    /// # Ok(()) }
    /// ```
    pub fn metrics(&self) -> ConsumerMetrics {
        let (commits, commits_failed) = self.shared.commits();
        self.core.borrow().metrics(commits, commits_failed)
    }
}
