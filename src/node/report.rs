//! What opening a store found.

use crate::types::TopicPartition;
use std::{fmt, time::Duration};

/// What [`Broker::open`](crate::Broker::open) found and did. Shown, it is a few lines for a log file.
///
/// ```
/// # fn main() -> brooklet::Result<()> {
/// let broker = brooklet::Broker::temporary()?;
/// assert!(broker.recovery().clean);
/// println!("{}", broker.recovery());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Whether the store was new or had been closed. If not, every partition was read from its recovery point on.
    pub clean: bool,
    /// How long opening took.
    pub elapsed: Duration,
    /// How many bytes of log were read.
    pub bytes_scanned: u64,
    /// A line for each partition, ordered by topic and partition.
    pub partitions: Vec<PartitionRecovery>,
}

/// What opening one partition found and did.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// for partition in &broker.recovery().partitions {
///     println!("{} ends at {}", partition.partition, partition.log_end_offset);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionRecovery {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the next record, exclusive.
    pub log_end_offset: i64,
    /// How many bytes of its log were read.
    pub bytes_scanned: u64,
    /// How many bytes behind the last good batch were cut off: records that were never flushed, in part or out of
    /// order. They are kept aside, in files of the partition's directory whose names end in `.cut`.
    pub bytes_cut: u64,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.clean { "clean" } else { "not closed before: recovered" };
        let (count, bytes, elapsed) = (self.partitions.len(), self.bytes_scanned, self.elapsed);
        write!(f, "{state}, {count} partitions, {bytes} bytes read in {elapsed:.1?}")?;
        for cut in self.partitions.iter().filter(|partition| partition.bytes_cut > 0) {
            let PartitionRecovery { partition, log_end_offset, bytes_cut, .. } = cut;
            write!(
                f,
                "\n{partition}: {bytes_cut} bytes cut behind offset {log_end_offset} (exclusive) and kept aside"
            )?;
        }
        Ok(())
    }
}
