//! What an application hears of rebalances, and what it may do then.

use super::Consumer;
use crate::{
    client::consumer_core::Change,
    error::Result,
    types::{OffsetAndMetadata, OffsetSpec, Offsets, TopicPartition},
};
use std::fmt;

/// Is told which partitions a consumer gets and gives up. It runs inside [`poll`](Consumer::poll) and
/// [`close`](Consumer::close), on their thread, with no lock held. An error comes out of that call; the rebalance goes on with
/// the next.
///
/// With an eager assignor, such as [`RangeAssignor`](crate::RangeAssignor), all partitions are revoked at each rebalance, and
/// those that are assigned begin at what is committed. With a cooperative one only those are that move.
///
/// ```
/// use brooklet::*;
/// use std::time::Duration;
///
/// struct CommitFirst;
///
/// impl RebalanceListener for CommitFirst {
///     fn revoked(&mut self, consumer: &mut RebalanceConsumer<'_>, _: &[TopicPartition]) -> Result<()> {
///         consumer.commit_offset() // what was handed out is done: the next owner goes on behind it
///     }
/// }
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// # broker.produce(Record::to("orders").value("3 apples"))?;
/// let mut consumer = broker.consumer("billing").on_rebalance(CommitFirst).subscribe("orders")?;
/// assert_eq!(consumer.poll(Duration::from_secs(1))?.len(), 1);
/// consumer.close()?;
/// let committed = broker.admin().group_offsets("billing")?;
/// assert_eq!(committed.get(("orders", 0)).map(|committed| committed.offset), Some(1));
/// # Ok(()) }
/// ```
pub trait RebalanceListener: Send {
    /// The consumer has got these, beside those that it keeps; perhaps none. It may [`seek`](RebalanceConsumer::seek).
    ///
    /// # Errors
    /// Whatever is to come out of the poll.
    fn assigned(
        &mut self,
        consumer: &mut RebalanceConsumer<'_>,
        partitions: &[TopicPartition],
    ) -> Result<()> {
        let _ = (consumer, partitions);
        Ok(())
    }

    /// The consumer is about to give these up. They are its own until this returns: what is done can be committed.
    ///
    /// # Errors
    /// Whatever is to come out of the poll, or the close. They are given up all the same.
    fn revoked(&mut self, consumer: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        let _ = (consumer, partitions);
        Ok(())
    }

    /// These were taken away: the group has not heard of the consumer for too long, or it has not polled. Others may have them
    /// by now, and nothing can be committed. As [`revoked`](Self::revoked) unless it is written.
    ///
    /// # Errors
    /// Whatever is to come out of the poll.
    fn lost(&mut self, consumer: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        self.revoked(consumer, partitions)
    }
}

/// What a [`RebalanceListener`] may do with the consumer: everything but poll and subscribe (KIP-1306).
///
/// ```
/// # use brooklet::*;
/// struct FromTheStart;
///
/// impl RebalanceListener for FromTheStart {
///     fn assigned(&mut self, consumer: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
///         partitions.iter().try_for_each(|of| consumer.seek(of, OffsetSpec::Earliest))
///     }
/// }
/// ```
#[derive(Debug)]
pub struct RebalanceConsumer<'c> {
    consumer: &'c Consumer,
}

impl RebalanceConsumer<'_> {
    /// As [`Consumer::commit_offset`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # use brooklet::*;
    /// fn revoked(consumer: &mut RebalanceConsumer<'_>) -> Result<()> {
    ///     consumer.commit_offset()
    /// }
    /// ```
    pub fn commit_offset(&self) -> Result<()> {
        self.consumer.commit_offset()
    }

    /// As [`Consumer::commit_offsets`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # use brooklet::*;
    /// fn revoked(consumer: &mut RebalanceConsumer<'_>, tracker: &OffsetTracker) -> Result<()> {
    ///     consumer.commit_offsets(tracker.committable())
    /// }
    /// ```
    pub fn commit_offsets(&self, done: impl Into<Offsets>) -> Result<()> {
        self.consumer.commit_offsets(done)
    }

    /// As [`Consumer::committed`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # use brooklet::*;
    /// fn assigned(consumer: &mut RebalanceConsumer<'_>) -> Result<bool> {
    ///     Ok(consumer.committed(("orders", 0))?.is_some())
    /// }
    /// ```
    pub fn committed(&self, of: impl Into<TopicPartition>) -> Result<Option<OffsetAndMetadata>> {
        self.consumer.committed(of)
    }

    /// As [`Consumer::position`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # use brooklet::*;
    /// fn assigned(consumer: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
    ///     partitions.iter().try_for_each(|of| Ok(println!("{of} from {} on", consumer.position(of)?)))
    /// }
    /// ```
    pub fn position(&self, of: impl Into<TopicPartition>) -> Result<i64> {
        self.consumer.position(of)
    }

    /// As [`Consumer::assignment`].
    ///
    /// ```
    /// # use brooklet::*;
    /// fn assigned(consumer: &mut RebalanceConsumer<'_>) {
    ///     println!("{} partitions now", consumer.assignment().len());
    /// }
    /// ```
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.consumer.assignment()
    }

    /// As [`Consumer::seek`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # use brooklet::*;
    /// fn assigned(consumer: &mut RebalanceConsumer<'_>, of: &TopicPartition) -> Result<()> {
    ///     consumer.seek(of, OffsetSpec::Latest)
    /// }
    /// ```
    pub fn seek(&mut self, of: impl Into<TopicPartition>, to: impl Into<OffsetSpec>) -> Result<()> {
        self.consumer.seek_to(&of.into(), to.into())
    }

    /// As [`Consumer::pause`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # use brooklet::*;
    /// fn assigned(consumer: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
    ///     consumer.pause(partitions)
    /// }
    /// ```
    pub fn pause<P: Into<TopicPartition>>(&mut self, partitions: impl IntoIterator<Item = P>) -> Result<()> {
        self.consumer.set_paused(partitions, true)
    }

    /// As [`Consumer::resume`].
    ///
    /// # Errors
    /// As there.
    ///
    /// ```
    /// # use brooklet::*;
    /// fn assigned(consumer: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
    ///     consumer.resume(partitions)
    /// }
    /// ```
    pub fn resume<P: Into<TopicPartition>>(&mut self, partitions: impl IntoIterator<Item = P>) -> Result<()> {
        self.consumer.set_paused(partitions, false)
    }
}

/// The application's listener, if it has one.
#[derive(Default)]
pub(super) struct Listener(pub(super) Option<Box<dyn RebalanceListener>>);

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.0.is_some()).finish()
    }
}

impl Consumer {
    /// Tells the application of a change that is about to be, or was. What is given up is committed before, with automatic
    /// commits; an error of either is for the call that it runs in.
    pub(super) fn tell(&self, change: Change, partitions: &[TopicPartition]) -> Result<()> {
        let committed = if change == Change::Revoked { self.commit_last() } else { Ok(()) };
        let purpose = self.core.borrow().purpose();
        let listener = self.listener.borrow_mut().0.take();
        let Some(mut listener) = listener else { return committed };
        let mut consumer = RebalanceConsumer { consumer: self };
        let told = match change {
            Change::Assigned => listener.assigned(&mut consumer, partitions),
            Change::Revoked => listener.revoked(&mut consumer, partitions),
            Change::Lost => listener.lost(&mut consumer, partitions),
        };
        self.listener.borrow_mut().0 = Some(listener);
        self.core.borrow_mut().go_back_to(purpose);
        committed.and(told)
    }
}
