//! What a consumer tells of itself in numbers.

use super::{ConsumerCore, Place};
use crate::types::TopicPartition;

/// What a consumer has done, and where it stands, from [`Consumer::metrics`](crate::Consumer::metrics).
///
/// Counters are totals since the consumer was made, and never go down; what says *now* is a gauge. All of it is what the consumer
/// knows by itself: no broker is asked.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// # broker.produce(Record::to("orders").value("3 apples"))?;
/// let mut consumer = broker.consumer("billing").subscribe("orders")?;
/// consumer.poll(Duration::ZERO)?;
/// let ConsumerMetrics { polls, records_consumed, partitions, .. } = consumer.metrics();
/// assert_eq!((polls, records_consumed), (1, 1));
/// assert_eq!((partitions[0].position, partitions[0].lag), (Some(1), Some(0)));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerMetrics {
    /// Calls of `poll` and `poll_one`.
    pub polls: u64,
    /// Records that these have handed out. (`records-consumed-total`)
    pub records_consumed: u64,
    /// Fetches that brought an answer in time, be it an empty one. (`fetch-total`)
    pub fetches: u64,
    /// The bytes that they brought: batches as they lie in the log, compressed, with their headers. What was fetched and then left,
    /// by a seek, is among them, and again if it is fetched again. (`bytes-consumed-total`)
    pub bytes_fetched: u64,
    /// Commits that succeeded, automatic ones and those of [handles](crate::ConsumerHandle) too. (`commit-total`)
    pub commits: u64,
    /// Commits that failed. One of a topic that is gone is tried again without it: that is a failure, and then perhaps a success.
    pub commits_failed: u64,
    /// How often a position lay outside its log, and `auto_offset_reset` said where to go on.
    pub positions_reset: u64,
    /// Each partition of the assignment, now, ordered by topic and partition.
    pub partitions: Vec<ConsumerPartitionMetrics>,
}

/// Where a consumer stands in a partition: a part of [`ConsumerMetrics`].
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// let consumer = broker.consumer("billing").subscribe("orders")?;
/// for ConsumerPartitionMetrics { partition, lag, .. } in consumer.metrics().partitions {
///     println!("{partition}: {lag:?} to go");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerPartitionMetrics {
    /// The partition.
    pub partition: TopicPartition,
    /// The offset of the next record that is handed out; `None` before the first poll, and where a seek is yet to be looked up.
    pub position: Option<i64>,
    /// From there to the end of what this consumer may read, as the last fetch told it, in offsets, `>= 0`; `None` until one has.
    /// [`Consumer::lag`](crate::Consumer::lag) asks the broker instead. (`records-lag`)
    pub lag: Option<i64>,
}

impl ConsumerCore {
    /// With the commits, which others may send.
    pub(in crate::client) fn metrics(&self, commits: u64, commits_failed: u64) -> ConsumerMetrics {
        let partitions = self.partitions.iter().map(|(of, partition)| {
            let position = match partition.place {
                Place::At(offset, _) => Some(offset),
                _ => None,
            };
            let lag = position.zip(partition.end).map(|(position, end)| end.since(position).max(0));
            let position = position.map(|position| position.get());
            ConsumerPartitionMetrics { partition: of.clone(), position, lag }
        });
        let partitions = partitions.collect();
        ConsumerMetrics { commits, commits_failed, partitions, ..self.metrics.clone() }
    }
}
