//! Partitions that a consumer leaves alone for a while.

use super::{super::consumer_core::Event, Consumer};
use crate::{error::Result, types::TopicPartition};

impl Consumer {
    /// Hands out nothing of these partitions until they are [resumed](Self::resume). They stay assigned, and their
    /// positions stay where they are: what was fetched of them already comes after the resume. To pause what is paused
    /// is fine.
    ///
    /// While some of the assignment is paused, [`is_caught_up`](Self::is_caught_up) and [`lag`](Self::lag) count it
    /// as before.
    ///
    /// # Errors
    /// [`Error::IllegalState`](crate::Error::IllegalState) if one of them is not assigned, and then none is paused; those
    /// of [`poll`](Self::poll).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").value("3 apples").partition(0))?;
    /// # broker.produce(Record::to("orders").value("2 pears").partition(1))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.pause([("orders", 0)])?;
    /// let values = |records: Records| records.iter().map(|r| r.value_str().unwrap().to_owned()).collect::<Vec<_>>();
    /// assert_eq!(values(consumer.poll(Duration::ZERO)?), ["2 pears"]);
    /// consumer.resume(consumer.paused())?;
    /// assert_eq!(values(consumer.poll(Duration::ZERO)?), ["3 apples"]);
    /// # Ok(()) }
    /// ```
    pub fn pause<P: Into<TopicPartition>>(&mut self, partitions: impl IntoIterator<Item = P>) -> Result<()> {
        self.set_paused(partitions, true)
    }

    /// Hands out records of these partitions again, from where they were [paused](Self::pause). To resume what is not
    /// paused is fine.
    ///
    /// # Errors
    /// As [`pause`](Self::pause); none is resumed then.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.pause([("orders", 0)])?;
    /// assert!(consumer.poll(Duration::ZERO)?.is_empty());
    /// consumer.resume([("orders", 0)])?;
    /// assert_eq!(consumer.poll(Duration::ZERO)?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn resume<P: Into<TopicPartition>>(&mut self, partitions: impl IntoIterator<Item = P>) -> Result<()> {
        self.set_paused(partitions, false)
    }

    /// The partitions that are [paused](Self::pause), sorted.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.pause([("orders", 1)])?;
    /// assert_eq!(consumer.paused(), [("orders", 1).into()]);
    /// # Ok(()) }
    /// ```
    pub fn paused(&self) -> Vec<TopicPartition> {
        self.core.borrow().paused()
    }

    pub(super) fn set_paused<P: Into<TopicPartition>>(
        &self,
        partitions: impl IntoIterator<Item = P>,
        paused: bool,
    ) -> Result<()> {
        self.run(Event::Assign)?;
        let partitions: Vec<TopicPartition> = partitions.into_iter().map(Into::into).collect();
        self.core.borrow_mut().set_paused(&partitions, paused)
    }
}
