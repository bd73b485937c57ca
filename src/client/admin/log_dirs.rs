//! What lies on the disk.

use super::Admin;
use crate::{
    error::Result,
    rpc::{DescribeLogDirsRequest, LogMetadata},
    types::TopicPartition,
};

/// The log of a partition.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// broker.create_topic("orders", TopicConfig::new())?;
/// broker.produce(Record::to("orders").value("3 apples"))?;
/// let orders: LogDescription = broker.admin().describe_log_dirs()?.remove(0);
/// assert_eq!((orders.partition.topic(), orders.segments), ("orders", 1));
/// assert!(orders.size > 8);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogDescription {
    /// The partition.
    pub partition: TopicPartition,
    /// The bytes of its record batches, in all its segments: also of those below the log start offset that are in a
    /// segment with others. Not its indexes, nor space that is taken ahead.
    pub size: u64,
    /// How many segments it has, at least 1.
    pub segments: usize,
    /// The first offset that is there.
    pub log_start_offset: i64,
    /// The offset below which consumers can read, exclusive.
    pub high_watermark: i64,
    /// The offset of the next record, exclusive. It is ahead of the high watermark while a record of a topic that promises
    /// flushed ones waits for its flush.
    pub log_end_offset: i64,
}

impl Admin {
    /// The logs of all partitions that have one, sorted by partition; those of internal topics, too.
    ///
    /// # Errors
    /// [`Error::Closed`](crate::Error::Closed), or the disk's.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// broker.produce(Record::to("orders").value("3 apples").partition(1))?;
    /// let logs = broker.admin().describe_log_dirs()?;
    /// assert_eq!(logs.iter().map(|log| log.log_end_offset).collect::<Vec<_>>(), [0, 1]);
    /// # Ok(()) }
    /// ```
    pub fn describe_log_dirs(&self) -> Result<Vec<LogDescription>> {
        let described = |log: LogMetadata| LogDescription {
            partition: log.partition,
            size: log.size,
            segments: log.segments,
            log_start_offset: log.start.get(),
            high_watermark: log.high_watermark.get(),
            log_end_offset: log.end.get(),
        };
        Ok(self.client.call(DescribeLogDirsRequest)?.logs.into_iter().map(described).collect())
    }
}
