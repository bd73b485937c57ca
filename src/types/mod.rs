//! Words that every layer shares: what is counted, where, and when.

mod choices;
mod election;
mod group_state;
mod ids;
mod numbers;
mod offsets;
mod timestamp;

pub use choices::{Acks, CleanupPolicy, Compression, IsolationLevel, TimestampType};
pub use election::ElectionType;
pub use group_state::GroupState;
pub use ids::{BrokerId, TopicId, TopicPartition};
pub(crate) use ids::{OFFSETS_TOPIC, check_group_id, check_topic_name};
pub(crate) use numbers::{BrokerEpoch, Generation, LeaderEpoch, Offset, PartitionEpoch};
pub use offsets::{OffsetAndMetadata, OffsetSpec, Offsets};
pub(crate) use timestamp::{Instant, millis};
pub use timestamp::{ParseTimestampError, Timestamp};

/// How far an acknowledged record has come on the disk that holds it.
///
/// Ordered: `Buffered < Flushed`. Where a topic, and a record ask for different ones, the strictest wins.
///
/// ```
/// # use brooklet::*;
/// assert!(Durability::Buffered < Durability::Flushed);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Durability {
    /// In the operating system's page cache: survives the end of the process, `kill -9` included, but not a power
    /// cut. A background flush follows within the topic's `flush_interval`.
    #[default]
    Buffered,
    /// Synced to the disk: survives a power cut.
    Flushed,
}

/// Where a produced record went.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// let at: RecordMetadata = broker.produce(Record::to("orders").partition(0).timestamp(Timestamp::from_millis(7)))?;
/// assert_eq!((at.partition, at.timestamp.as_millis()), (0, 7));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordMetadata {
    /// The partition, `>= 0`.
    pub partition: i32,
    /// The record's offset in that partition, `>= 0`; -1 with [`Acks::Zero`], where nobody tells.
    pub offset: i64,
    /// The record's timestamp as stored.
    pub timestamp: Timestamp,
    /// How far the record had come when the call returned; at least what was asked for.
    pub durability: Durability,
}

impl RecordMetadata {
    pub(crate) fn new(partition: i32, offset: i64, timestamp: Timestamp, durability: Durability) -> Self {
        Self { partition, offset, timestamp, durability }
    }
}
