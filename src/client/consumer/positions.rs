//! Where a consumer stands in its partitions, and how it goes elsewhere.

use super::{super::consumer_core::Event, Consumer};
use crate::{
    error::Result,
    rpc::{ListOffsetsRequest, ListOffsetsResponse},
    types::{Offset, OffsetSpec, TopicPartition},
};

/// How often a consumer looks at its topics until what it knows of them is what holds.
const LOOKS: u32 = 3;

impl Consumer {
    /// The offset of the next record that `poll` hands out of a partition.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if the partition is not assigned; those of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let partition = records.partitions().next().unwrap();
    /// assert_eq!(consumer.position(partition)?, 1);
    /// # Ok(()) }
    /// ```
    pub fn position(&self, of: impl Into<TopicPartition>) -> Result<i64> {
        self.run(Event::Locate)?;
        let of = of.into();
        let positions = self.core.borrow().positions();
        let position = positions.get(&of).map(|position| position.offset);
        position.ok_or_else(|| self.core.borrow().not_here(&of))
    }

    /// The offset that `spec` names in a partition of the assignment, without going there: [`seek`](Self::seek) does.
    ///
    /// [`OffsetSpec::Earliest`] is the log start offset. [`OffsetSpec::Latest`] is the end of what this consumer may
    /// read, exclusive: the high watermark, or the last stable offset for one that reads
    /// only what is [committed](crate::IsolationLevel::ReadCommitted) (rule 7). A [`Timestamp`](crate::Timestamp) is
    /// the first record of that time or a later one, and `None` if no record is that young (rule 8).
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if the partition is not assigned; those of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(1))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(consumer.offset(("orders", 0), OffsetSpec::Earliest)?, Some(0));
    /// assert_eq!(consumer.offset(("orders", 0), OffsetSpec::Latest)?, Some(1));
    /// assert_eq!(consumer.offset(("orders", 0), Timestamp::from_millis(0))?, Some(0));
    /// assert_eq!(consumer.offset(("orders", 0), broker.now() + Duration::from_secs(60))?, None);
    /// # Ok(()) }
    /// ```
    pub fn offset(&self, of: impl Into<TopicPartition>, spec: impl Into<OffsetSpec>) -> Result<Option<i64>> {
        self.run(Event::Assign)?;
        self.offset_in(&of.into(), spec.into())
    }

    fn offset_in(&self, of: &TopicPartition, spec: OffsetSpec) -> Result<Option<i64>> {
        Ok(self.list_offset(of, spec)?.offset.map(Offset::get))
    }

    fn list_offset(&self, of: &TopicPartition, spec: OffsetSpec) -> Result<ListOffsetsResponse> {
        let (partition, isolation) = {
            let core = self.core.borrow();
            (core.reference(of)?, core.isolation())
        };
        self.client().call(ListOffsetsRequest { partition, spec, isolation })
    }

    /// How far this consumer is behind in a partition: from its [`position`](Self::position) to the end of what it may
    /// read, as [`offset`](Self::offset) tells it for [`OffsetSpec::Latest`]. Counted in offsets, `>= 0`: that many
    /// records, or fewer where compaction or transactions have left gaps.
    ///
    /// The lag of the group is another one: that counts from what is [`committed`](Self::committed).
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if the partition is not assigned; those of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// for fruit in ["3 apples", "2 pears"] {
    ///     broker.produce(Record::to("orders").value(fruit))?;
    /// }
    /// assert_eq!(consumer.lag(("orders", 0))?, 2);
    /// consumer.poll_one(Duration::ZERO)?;
    /// assert_eq!(consumer.lag(("orders", 0))?, 1);
    /// # Ok(()) }
    /// ```
    pub fn lag(&self, of: impl Into<TopicPartition>) -> Result<i64> {
        let of = of.into();
        let position = self.position(&of)?;
        let end = self.offset_in(&of, OffsetSpec::Latest)?;
        // Behind the end lies who has sought there.
        Ok(end.map_or(0, |end| end.saturating_sub(position).max(0)))
    }

    /// The partitions that this consumer reads, sorted.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(consumer.assignment(), [("orders", 0).into(), ("orders", 1).into()]);
    /// # Ok(()) }
    /// ```
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.core.borrow().assignment()
    }

    /// Whether there is nothing left to poll now: there is an assignment, and each position is at the end of what this
    /// consumer may read, so that every [`lag`](Self::lag) is 0. Partitions that are [paused](Self::pause) count as the others
    /// do. `false` while nothing is assigned: no topic [matches](crate::Subscription::matching), or all are gone.
    ///
    /// # Errors
    /// Those of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert!(!consumer.is_caught_up()?);
    /// consumer.poll(Duration::ZERO)?;
    /// assert!(consumer.is_caught_up()?);
    /// # Ok(()) }
    /// ```
    pub fn is_caught_up(&self) -> Result<bool> {
        // Whoever is asked for topics may be behind the one who tells of them: then it is not known.
        for _ in 0..LOOKS {
            self.run(Event::Locate)?;
            let positions = self.core.borrow().positions();
            let mut newest = None;
            for (of, position) in positions.iter() {
                let answer = match self.list_offset(of, OffsetSpec::Latest) {
                    Ok(answer) => answer,
                    Err(error) => {
                        self.core.borrow_mut().leave_if_gone(of, error)?;
                        continue;
                    }
                };
                if answer.offset.is_some_and(|end| end.get() > position.offset) {
                    return Ok(false);
                }
                newest = Some(answer.metadata_version);
            }
            // There may be partitions that this consumer does not know yet.
            let Some(newest) = newest else { return Ok(false) };
            if !self.core.borrow_mut().check_version(newest) {
                return Ok(!self.core.borrow().is_rebalancing());
            }
        }
        Ok(false)
    }

    /// Moves the position of a partition: the next poll begins there. To commit it is another matter.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if the partition is not assigned, or for a negative offset; those of
    /// [`poll`](Self::poll). An offset outside the log is noticed by the next poll, which resets (rule 2).
    ///
    /// ```
    /// # use brooklet::{Broker, ConsumerConfig, OffsetSpec, Record, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("orders")?;
    /// # consumer.poll(Duration::ZERO)?;
    /// consumer.seek(("orders", 0), OffsetSpec::Earliest)?;
    /// assert_eq!(consumer.poll(Duration::from_millis(100))?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn seek(&mut self, of: impl Into<TopicPartition>, to: impl Into<OffsetSpec>) -> Result<()> {
        self.seek_to(&of.into(), to.into())
    }

    pub(super) fn seek_to(&self, of: &TopicPartition, to: OffsetSpec) -> Result<()> {
        self.run(Event::Assign)?;
        self.core.borrow_mut().seek(of, to)
    }

    /// Moves the position of every partition of the assignment, as [`seek`](Self::seek) does.
    ///
    /// # Errors
    /// As [`seek`](Self::seek).
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
    /// consumer.seek_all(OffsetSpec::Earliest)?;
    /// assert_eq!(consumer.poll(Duration::ZERO)?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn seek_all(&mut self, to: impl Into<OffsetSpec>) -> Result<()> {
        let to = to.into();
        self.run(Event::Assign)?;
        let assignment = self.assignment();
        let mut core = self.core.borrow_mut();
        assignment.iter().try_for_each(|of| core.seek(of, to))
    }

    /// Goes back in every partition, so that what is not committed comes again, as it would after a crash: to what the
    /// group has committed; else to where this consumer began, which is the lowest offset that it has handed out a
    /// record from; and if it has handed out none, the position stays. Without a group nothing is committed. For a retry
    /// after records could not be worked on.
    ///
    /// # Errors
    /// Those of [`poll`](Self::poll); the positions stay where they were then.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # for fruit in ["3 apples", "2 pears"] {
    /// #     broker.produce(Record::to("orders").value(fruit))?;
    /// # }
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let first = consumer.poll_one(Duration::ZERO)?;
    /// consumer.commit_offset()?;
    /// let second = consumer.poll_one(Duration::ZERO)?.map(|record| record.offset());
    /// consumer.seek_to_committed()?; // the second one failed
    /// assert_eq!(consumer.poll_one(Duration::ZERO)?.map(|record| record.offset()), second);
    /// # Ok(()) }
    /// ```
    pub fn seek_to_committed(&mut self) -> Result<()> {
        self.run(Event::Assign)?;
        let committed = self.committed_of_all(self.assignment())?;
        self.core.borrow_mut().seek_to_committed(&committed);
        Ok(())
    }
}
