//! What a consumer commits, and what its group has committed.

use super::{Consumer, PendingCommit};
use crate::{
    error::{Error, Result},
    rpc::OffsetFetchRequest,
    types::{OffsetAndMetadata, Offsets, TopicPartition},
};

impl Consumer {
    /// Commits the positions: all that `poll` has handed out is done. They are in the log when this returns, flushed
    /// within the flush interval.
    ///
    /// # Errors
    /// - [`Error::IllegalState`]: the consumer has no group.
    /// - [`Error::UnknownMemberId`], [`Error::IllegalGeneration`], [`Error::FencedInstanceId`]: the group has gone on without this
    ///   consumer, or, for an assigned one, has a member now. What was not committed comes again, perhaps elsewhere.
    /// - [`Error::RebalanceInProgress`]: the group divides its partitions anew; after the next poll it may be tried again.
    /// - The disk's, and [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.poll(Duration::ZERO)?;
    /// consumer.commit_offset()?;
    /// drop(consumer);
    /// let mut next = broker.consumer("billing").subscribe("orders")?;
    /// assert!(next.poll(Duration::ZERO)?.is_empty(), "it goes on where the last one stopped");
    /// # Ok(()) }
    /// ```
    pub fn commit_offset(&self) -> Result<()> {
        let positions = self.core.borrow().positions();
        self.commit_offsets(positions)
    }

    /// Commits just these: records that are done, or offsets to go on at.
    ///
    /// # Errors
    /// As [`commit_offset`](Self::commit_offset), and [`Error::CommitFailed`] for a partition that a member does not have any
    /// more, [`Error::UnknownTopicOrPartition`], [`Error::UnknownTopicId`] if a topic was deleted and made again since it was
    /// read (rule 11),
    /// [`Error::OffsetMetadataTooLarge`], and [`Error::IllegalState`] for a negative offset.
    ///
    /// ```
    /// # use brooklet::{Broker, Record, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// for record in &consumer.poll(Duration::from_millis(100))? {
    ///     consumer.commit_offsets(record)?; // through this one; no "+ 1"
    /// }
    /// assert_eq!(consumer.committed(("orders", 0))?.map(|o| o.offset), Some(1));
    /// # Ok(()) }
    /// ```
    pub fn commit_offsets(&self, done: impl Into<Offsets>) -> Result<()> {
        self.shared.commit(done.into())
    }

    /// As [`commit_offsets`](Self::commit_offsets), without waiting for the answer. Commits are applied in the order in which
    /// they are called for, so that a later one stands. Over a [`Broker`](crate::Broker), which is in the same process, the commit
    /// is in the log when this returns; the answer is known then.
    ///
    /// What is not done may be committed by it as little as by the others: with records on other threads see
    /// [`OffsetTracker`](crate::OffsetTracker).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// while let Some(record) = consumer.poll_one(Duration::ZERO)? {
    ///     drop(consumer.commit_async(&record));
    /// }
    /// assert_eq!(consumer.committed(("orders", 0))?.map(|o| o.offset), Some(1));
    /// # Ok(()) }
    /// ```
    pub fn commit_async(&self, done: impl Into<Offsets>) -> PendingCommit {
        self.handle().commit_async(done)
    }

    /// Commits for those topics that are still there: what was read of a topic that is gone by now cannot be committed,
    /// and must not keep the others from it. The next poll tells that it is gone.
    pub(super) fn commit_what_is_there(&self, mut offsets: Offsets) -> Result<()> {
        loop {
            let gone = match self.commit_offsets(offsets.clone()) {
                Err(Error::UnknownTopicOrPartition { topic, .. } | Error::UnknownTopicId { topic }) => topic,
                other => return other,
            };
            let before = offsets.len();
            offsets = offsets.into_iter().filter(|(of, _)| of.topic() != gone).collect();
            if offsets.len() == before {
                return Err(Error::UnknownTopicOrPartition { topic: gone, partition: None });
            }
        }
    }

    /// What the group has committed for a partition: the next offset to read. `None` if nothing.
    ///
    /// # Errors
    /// [`Error::IllegalState`] without a group; [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(consumer.committed(("orders", 0))?, None);
    /// consumer.commit_offsets(Offsets::from([(("orders", 0), 0)]))?;
    /// assert_eq!(consumer.committed(("orders", 0))?.map(|o| o.offset), Some(0));
    /// # Ok(()) }
    /// ```
    pub fn committed(&self, of: impl Into<TopicPartition>) -> Result<Option<OffsetAndMetadata>> {
        let request = OffsetFetchRequest { group: self.shared.group()?, partitions: vec![of.into()] };
        Ok(self.client().call_to(self.shared.coordinator, request)?.offsets.into_iter().next().flatten())
    }

    /// Nothing, for a consumer without a group.
    pub(super) fn committed_of_all(&self, partitions: Vec<TopicPartition>) -> Result<Offsets> {
        let Some(group) = self.shared.group.clone() else { return Ok(Offsets::new()) };
        let request = OffsetFetchRequest { group, partitions: partitions.clone() };
        let offsets = self.client().call_to(self.shared.coordinator, request)?.offsets;
        Ok(partitions.into_iter().zip(offsets).filter_map(|(of, committed)| Some((of, committed?))).collect())
    }
}
