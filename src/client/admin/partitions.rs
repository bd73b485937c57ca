//! More partitions for a topic.

use super::Admin;
use crate::{error::Result, rpc::CreatePartitionsRequest};

impl Admin {
    /// Adds partitions to a topic, so that it has `total` of them, at most 100,000. It is durable when this returns. A
    /// number of partitions only grows.
    ///
    /// Records stay where they are, but a key may belong to another partition from now on: what is produced later with
    /// the same key is then in no order with what was produced before. Producers know the new partitions at once; who is
    /// subscribed to the topic reads them from its next poll on, or within one that is waiting, and begins in each as its
    /// `auto_offset_reset` says.
    ///
    /// # Errors
    /// - [`Error::InvalidPartitions`](crate::Error::InvalidPartitions) unless `total` is more than there are, and at most
    ///   100,000.
    /// - [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition);
    ///   [`Error::InvalidTopic`](crate::Error::InvalidTopic) for an internal topic;
    ///   [`Error::KafkaStorageError`](crate::Error::KafkaStorageError) if a directory of such a name has records already.
    /// - The disk's. Then it may or may not be done.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// broker.admin().create_partitions("orders", 3)?;
    /// broker.produce(Record::to("orders").value("3 apples").partition(2))?;
    /// assert_eq!(consumer.poll(Duration::ZERO)?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn create_partitions(&self, topic: &str, total: i32) -> Result<()> {
        let done = self.client.call(CreatePartitionsRequest { topic: topic.to_owned(), total });
        // Also after an error: it may be done all the same.
        self.client.forget(topic);
        done.map(drop)
    }
}
