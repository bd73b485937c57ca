//! A topic's settings.

use super::Admin;
use crate::{config::TopicConfig, error::Result, rpc::AlterConfigsRequest};

impl Admin {
    /// A topic's settings, by Kafka's names: what was set, and the defaults for the rest.
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition), [`Error::Closed`](crate::Error::Closed).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("orders", TopicConfig::new().segment_bytes(1 << 20))?;
    /// let there = broker.admin().describe_configs("orders")?;
    /// assert_eq!(there.get("segment.bytes"), Some("1048576"));
    /// assert_eq!(there.get("retention.ms"), Some("604800000"));
    /// # Ok(()) }
    /// ```
    pub fn describe_configs(&self, topic: &str) -> Result<TopicConfig> {
        Ok(self.client.metadata(topic)?.config.with_defaults())
    }

    /// Alters a topic's settings: those that are set in `config`, all of them or none. The others stay what they are. It is
    /// durable when this returns, and holds for what is appended from then on. Records that are there already stay as they
    /// are, but how long they are kept goes by the new settings from the next check on, and segments that are full by a
    /// new size are closed by the next append.
    ///
    /// A topic whose records shall be flushed from now on ([`TopicConfig::durability`]) is flushed first.
    ///
    /// # Errors
    /// - [`Error::InvalidConfig`](crate::Error::InvalidConfig) for a value out of its range, and for another number of
    ///   partitions: see [`create_partitions`](Self::create_partitions). Nothing is altered.
    /// - [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition);
    ///   [`Error::InvalidTopic`](crate::Error::InvalidTopic) for an internal topic.
    /// - The disk's. Then it may or may not be done.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("orders", TopicConfig::new().retention_bytes(1 << 30))?;
    /// let a_day = Duration::from_secs(24 * 3600);
    /// broker.admin().alter_configs("orders", TopicConfig::new().retention_time(a_day))?;
    /// let there = broker.admin().describe_configs("orders")?;
    /// assert_eq!(there.get("retention.ms"), Some("86400000"));
    /// assert_eq!(there.get("retention.bytes"), Some("1073741824"), "stays what it was");
    /// # Ok(()) }
    /// ```
    pub fn alter_configs(&self, topic: &str, config: TopicConfig) -> Result<()> {
        let done = self.client.call(AlterConfigsRequest { topic: topic.to_owned(), config });
        // What fits into a batch may be another size now.
        self.client.forget(topic);
        done.map(drop)
    }
}
