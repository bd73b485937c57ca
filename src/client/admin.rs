//! What is done to topics, and asked of them.

mod configs;
mod groups;
mod log_dirs;
mod partitions;
mod reassignments;

pub use groups::{GroupDescription, GroupPartition, MemberDescription};
pub use log_dirs::LogDescription;
pub use reassignments::PartitionReassignment;

use super::Client;
use crate::{
    config::TopicConfig,
    error::{Error, Result},
    rpc::{DeleteRecordsRequest, DeleteTopicRequest, ListOffsetsRequest, MetadataRequest, TopicMetadata},
    types::{BrokerId, IsolationLevel, OffsetSpec, TopicId, TopicPartition},
};

/// Topics: list, describe, grow, alter, delete, and delete their records. Groups: list, describe,
/// delete, and read, alter, delete and reset their offsets. From [`Client::admin`](crate::Client::admin).
///
/// ```
/// # use brooklet::{Broker, TopicConfig};
/// # fn main() -> brooklet::Result<()> {
/// # let broker = Broker::temporary()?;
/// let admin = broker.admin();
/// broker.create_topic("orders", TopicConfig::new().partitions(3))?;
/// assert_eq!(admin.list_topics()?, ["orders"]);
/// assert_eq!(admin.describe_topic("orders")?.partitions.len(), 3);
/// admin.delete_topic("orders")?;
/// assert!(admin.list_topics()?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

/// What a topic is.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// let orders = broker.admin().describe_topic("orders")?;
/// assert_eq!((&*orders.name, orders.partitions.len()), ("orders", 2));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Its id: a topic that is deleted and made again has another.
    pub id: TopicId,
    /// What was set; what was not has its default.
    pub config: TopicConfig,
    /// By number, from 0 on.
    pub partitions: Vec<PartitionDescription>,
}

/// What a partition is.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// let orders = broker.admin().describe_topic("orders")?;
/// let records: i64 = orders.partitions.iter().map(|p| p.high_watermark - p.log_start_offset).sum();
/// assert_eq!(records, 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionDescription {
    /// Its number, `>= 0`.
    pub partition: i32,
    /// The broker that takes its records.
    pub leader: BrokerId,
    /// The first offset that is there.
    pub log_start_offset: i64,
    /// The offset below which consumers can read, exclusive.
    pub high_watermark: i64,
}

impl Admin {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The names of all topics, sorted; without the internal ones, whose names begin with two underscores.
    ///
    /// # Errors
    /// [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// assert_eq!(broker.admin().list_topics()?, ["orders"]);
    /// # Ok(()) }
    /// ```
    pub fn list_topics(&self) -> Result<Vec<String>> {
        let answer = self.client.call(MetadataRequest { topics: None })?;
        let names = answer.topics.iter().map(|topic| topic.name.to_string());
        Ok(names.filter(|name| !name.starts_with("__")).collect())
    }

    /// What a topic is.
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`], [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// assert!(broker.admin().describe_topic("orders").is_ok());
    /// assert!(broker.admin().describe_topic("nothing").is_err());
    /// # Ok(()) }
    /// ```
    pub fn describe_topic(&self, name: &str) -> Result<TopicDescription> {
        let TopicMetadata { name, id, config, partitions } = self.client.metadata(name)?;
        let described = partitions.iter().map(|there| {
            let ask = |spec| -> Result<i64> {
                let answer = self.client.call(ListOffsetsRequest {
                    partition: there.partition,
                    spec,
                    isolation: IsolationLevel::default(),
                })?;
                Ok(answer.offset.map_or(0, crate::types::Offset::get))
            };
            Ok(PartitionDescription {
                partition: there.partition.partition,
                leader: there.leader,
                log_start_offset: ask(OffsetSpec::Earliest)?,
                high_watermark: ask(OffsetSpec::Latest)?,
            })
        });
        Ok(TopicDescription {
            partitions: described.collect::<Result<_>>()?,
            name: name.to_string(),
            id,
            config,
        })
    }

    /// Deletes a topic with all its records, and what groups have committed for it (rule 11). Who holds records of it
    /// keeps them. A topic that is made again under this name is another.
    ///
    /// # Errors
    /// [`Error::UnknownTopicOrPartition`]; [`Error::InvalidTopic`] for an internal topic; the disk's, and then the
    /// deletion is ended by the next [`create_topic`](Client::create_topic) or open.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// broker.admin().delete_topic("orders")?;
    /// assert!(broker.produce(Record::to("orders")).is_err());
    /// # Ok(()) }
    /// ```
    pub fn delete_topic(&self, name: &str) -> Result<()> {
        self.client.call(DeleteTopicRequest { name: name.to_owned() })?;
        Ok(())
    }

    /// Deletes the records of a partition below an offset (rules 40 and 41), and gives the first offset that is there then.
    /// It is durable when this returns. [`OffsetSpec::Latest`] is the high watermark: all that consumers can read goes.
    /// [`OffsetSpec::Timestamp`] is the first record that is as young, or the high watermark if none is.
    ///
    /// The offsets of other records stay what they are. Consumers below the new start go on as `auto_offset_reset` tells
    /// them. Segments that lie wholly below it are removed; a part of one stays on the disk, unreadable.
    ///
    /// # Errors
    /// - [`Error::OffsetOutOfRange`] above the high watermark, or negative.
    /// - [`Error::PolicyViolation`] for a topic that is compacted and nothing else; [`Error::InvalidTopic`] for an internal
    ///   topic; [`Error::UnknownTopicOrPartition`].
    /// - The disk's. Then it may or may not be done.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("orders", TopicConfig::new())?;
    /// for n in 0..5 {
    ///     broker.produce(Record::to("orders").value(&format!("order {n}")))?;
    /// }
    /// assert_eq!(broker.admin().delete_records(("orders", 0), 3)?, 3);
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let left = consumer.poll(Duration::ZERO)?;
    /// assert_eq!(left.iter().map(|record| record.offset()).collect::<Vec<_>>(), [3, 4]);
    /// # Ok(()) }
    /// ```
    pub fn delete_records(
        &self,
        partition: impl Into<TopicPartition>,
        before: impl Into<OffsetSpec>,
    ) -> Result<i64> {
        let of = partition.into();
        let there = self.client.metadata(of.topic())?.partitions;
        let number = usize::try_from(of.partition()).ok();
        let unknown = || Error::UnknownTopicOrPartition {
            topic: of.topic().to_owned(),
            partition: Some(of.partition()),
        };
        let partition = number.and_then(|number| there.get(number)).ok_or_else(unknown)?.partition;
        let answer = self.client.call(DeleteRecordsRequest { partition, before: before.into() })?;
        Ok(answer.log_start_offset.get())
    }
}

impl Client {
    /// What the broker says of a topic.
    pub(super) fn metadata(&self, topic: &str) -> Result<TopicMetadata> {
        let answer = self.call(MetadataRequest { topics: Some(vec![topic.to_owned()]) })?;
        let unknown = || Error::UnknownTopicOrPartition { topic: topic.to_owned(), partition: None };
        answer.topics.into_iter().next().ok_or_else(unknown)
    }
}
