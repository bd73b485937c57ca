//! What can be wrong with a batch.

use crate::types::Compression;

/// Why bytes are not a batch, or records cannot become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchError {
    /// The bytes end before the batch does.
    #[error("{have} bytes, where the batch needs {needed}")]
    TooShort { needed: usize, have: usize },
    /// A length field that no batch has.
    #[error("a batch length of {0}")]
    Length(i32),
    /// Another format, or none.
    #[error("magic {0}, where only 2 is known")]
    Magic(i8),
    /// The bytes are not those that were written.
    #[error("the checksum is {computed:#010x}, where {stored:#010x} is stored")]
    Crc { stored: u32, computed: u32 },
    /// The checksum is right, but the header contradicts itself.
    #[error("{0}")]
    Header(&'static str),
    /// The checksum is right, but a record cannot be read.
    #[error("record {index} of the batch: {reason}")]
    Record { index: i32, reason: &'static str },
    /// The records are compressed, in a way that this build cannot read.
    #[error("the batch is compressed with {0}: build with the feature `{0}` of brooklet")]
    UnsupportedCodec(Compression),
    /// The checksum is right, but what was compressed is not what the codec makes.
    #[error("its {0} data cannot be decompressed")]
    Compressed(Compression),
    /// The records take more memory than anybody allowed.
    #[error("its {codec} data has more than {limit} bytes uncompressed")]
    InflatedTooLarge { codec: Compression, limit: usize },
    /// A batch in order that a client may not send.
    #[error("{0}")]
    Rejected(&'static str),
    /// The batch would have more bytes than its length field can say.
    #[error("a batch of {size} bytes, where at most 2147483647 are possible")]
    TooLarge { size: usize },
    /// Timestamps further apart than 63 bits can say.
    #[error("the timestamp {timestamp} is too far from the batch's first, {base}")]
    TimestampRange { timestamp: i64, base: i64 },
}

impl BatchError {
    /// Whether the bytes are not what was written (Kafka's CorruptMessage), rather than written against the rules
    /// (its InvalidRecord).
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for batches from outside the process: a listener's, a follower's")
    )]
    pub(crate) const fn is_corrupt(&self) -> bool {
        matches!(self, Self::TooShort { .. } | Self::Length(_) | Self::Magic(_) | Self::Crc { .. })
    }
}
