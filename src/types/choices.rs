//! Choices that Kafka has a word for.

use std::fmt;

/// How the records of a batch are compressed.
///
/// Each codec but `None` is a Cargo feature of the same name, on by default. A build without one cannot write it, and
/// gives an error that names the feature when it meets a batch of it.
///
/// ```
/// # use brooklet::*;
/// assert_eq!(Compression::Zstd.to_string(), "zstd");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Deflate in a gzip member.
    Gzip,
    /// Snappy in xerial's framing, as Kafka's Java client has it.
    Snappy,
    /// An LZ4 frame.
    Lz4,
    /// A Zstandard frame.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// Where a record's timestamp comes from.
///
/// ```
/// # use brooklet::*;
/// assert_eq!(TimestampType::LogAppendTime.to_string(), "LogAppendTime");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// From who produced it.
    #[default]
    CreateTime,
    /// From the broker's clock when it was appended; all records of a batch have the same.
    LogAppendTime,
}

impl fmt::Display for TimestampType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateTime => "CreateTime",
            Self::LogAppendTime => "LogAppendTime",
        })
    }
}

/// What becomes of a topic's old records.
///
/// ```
/// # use brooklet::*;
/// assert_eq!(TopicConfig::new().cleanup_policy(CleanupPolicy::CompactDelete).get("cleanup.policy"), Some("compact,delete"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CleanupPolicy {
    /// Whole segments go when they are older than `retention_time`, or when the partition is larger than
    /// `retention_bytes`.
    #[default]
    Delete,
    /// The last record of each key stays.
    Compact,
    /// Both.
    CompactDelete,
    /// Nothing is removed unless somebody asks for it.
    None,
}

impl CleanupPolicy {
    /// Whether old segments go by their age and size.
    pub(crate) const fn deletes(self) -> bool {
        matches!(self, Self::Delete | Self::CompactDelete)
    }

    /// Whether older records of a key go.
    pub(crate) const fn compacts(self) -> bool {
        matches!(self, Self::Compact | Self::CompactDelete)
    }
}

/// Which records a consumer gets of transactions.
///
/// ```
/// # use brooklet::*;
/// let audit = ConsumerConfig::new("audit").isolation_level(IsolationLevel::ReadCommitted);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IsolationLevel {
    /// All of them, also of transactions that are open or were aborted.
    #[default]
    ReadUncommitted,
    /// Those of transactions that were committed, and those of none; up to the last stable offset, where the first open
    /// transaction begins.
    ReadCommitted,
}

/// How many replicas have a record when its sender is told that it is there.
///
/// ```
/// # use brooklet::*;
/// assert_eq!(Acks::default(), Acks::All);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Acks {
    /// None needs to: the sender does not wait, and gets no answer. So it has no [offset](crate::RecordMetadata::offset), and is not
    /// told if the record is refused or lost.
    Zero,
    /// The leader.
    One,
    /// All that are in sync.
    #[default]
    All,
}
