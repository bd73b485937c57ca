//! The 61 bytes that a batch begins with.

use super::error::BatchError;
use crate::types::{Compression, LeaderEpoch, Offset};

/// Every batch is at least this long, in bytes.
pub(crate) const BATCH_HEADER_LEN: usize = 61;
/// Base offset and length: what comes before the bytes that the length counts.
pub(crate) const BATCH_PREFIX_LEN: usize = 12;
/// Where the bytes that the checksum covers begin. Before them: offset, length, leader epoch, magic, checksum.
pub(super) const CRC_START: usize = 21;
const MAGIC: i8 = 2;

/// A batch's flags. The unused ones (7 to 15) are kept as they are, as Kafka keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Attributes(i16);

impl Attributes {
    const CODEC: i16 = 0b111;
    const LOG_APPEND_TIME: i16 = 1 << 3;
    const TRANSACTIONAL: i16 = 1 << 4;
    const CONTROL: i16 = 1 << 5;
    const DELETE_HORIZON: i16 = 1 << 6;

    /// `None` for codecs that do not exist.
    pub(crate) const fn from_bits(bits: i16) -> Option<Self> {
        if bits & Self::CODEC <= 4 { Some(Self(bits)) } else { None }
    }

    #[cfg_attr(not(test), expect(dead_code, reason = "compaction and transactions will ask"))]
    pub(crate) const fn bits(self) -> i16 {
        self.0
    }

    pub(crate) const fn codec(self) -> Compression {
        match self.0 & Self::CODEC {
            1 => Compression::Gzip,
            2 => Compression::Snappy,
            3 => Compression::Lz4,
            4 => Compression::Zstd,
            _ => Compression::None,
        }
    }

    /// Whether every record's timestamp is the batch's max timestamp, set by the leader.
    pub(crate) const fn is_log_append_time(self) -> bool {
        self.0 & Self::LOG_APPEND_TIME != 0
    }

    pub(crate) const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds a transaction's marker, and no one's data.
    pub(crate) const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether the base timestamp is the time from which the batch's tombstones may go.
    pub(crate) const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    pub(super) const fn with_codec(self, codec: Compression) -> Self {
        let bits = match codec {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        };
        Self(self.0 & !Self::CODEC | bits)
    }

    pub(super) const fn with_delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }

    /// Those of a batch whose records are gone.
    pub(super) const fn emptied(self) -> Self {
        Self(self.0 & (Self::LOG_APPEND_TIME | Self::TRANSACTIONAL | Self::CONTROL))
    }

    pub(super) const fn with_log_append_time(self) -> Self {
        Self(self.0 | Self::LOG_APPEND_TIME)
    }
}

/// What a batch says of itself. Timestamps are in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    /// The first record's offset, while none was compacted away.
    pub(crate) base_offset: Offset,
    /// The whole batch in bytes: the length field and the twelve bytes that it leaves out.
    pub(crate) size: usize,
    /// That of the leader that appended it; -1 before one did.
    pub(crate) leader_epoch: LeaderEpoch,
    /// CRC-32C of the bytes from 21 on.
    pub(crate) crc: u32,
    pub(crate) attributes: Attributes,
    /// How far the last offset lies behind the base offset.
    pub(crate) last_offset_delta: i32,
    /// What the records' timestamps are counted from; the delete horizon, where there is one.
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
    /// -1 where there is none; then the epoch is too.
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) base_sequence: i32,
    /// 0 in a batch that compaction emptied.
    pub(crate) record_count: i32,
}

/// The bytes of a field.
#[inline(always)]
fn at<const N: usize>(head: &[u8; BATCH_HEADER_LEN], offset: usize) -> Option<[u8; N]> {
    head.get(offset..)?.first_chunk().copied()
}

impl BatchHeader {
    /// Reads and checks a batch's first 61 bytes. Whether the rest is there, and is right, is
    /// [`Batch::check`](super::Batch::check)'s to say.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let header = Self::read(bytes)?;
        header.check()?;
        Ok(header)
    }

    /// How long a batch says that it is, be it whole or not; `None` for what is no batch.
    pub(crate) fn claimed_size(bytes: &[u8]) -> Option<usize> {
        Self::read(bytes).ok().map(|header| header.size)
    }

    /// The fields, of which only length and magic are checked: enough to find and compare the checksum, which tells
    /// damage from a batch that was written wrong.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BatchError> {
        let short = BatchError::TooShort { needed: BATCH_HEADER_LEN, have: bytes.len() };
        let (length, magic, header) = Self::fields(bytes).ok_or(short)?;
        if (length as usize) < BATCH_HEADER_LEN - BATCH_PREFIX_LEN || length < 0 {
            return Err(BatchError::Length(length));
        }
        if magic != MAGIC {
            return Err(BatchError::Magic(magic));
        }
        Ok(header)
    }

    #[inline]
    fn fields(bytes: &[u8]) -> Option<(i32, i8, Self)> {
        // All of it at once: then no field has to ask whether it is there.
        let head: &[u8; BATCH_HEADER_LEN] = bytes.first_chunk()?;
        let length = i32::from_be_bytes(at(head, 8)?);
        let header = Self {
            base_offset: Offset::new(i64::from_be_bytes(at(head, 0)?)),
            size: usize::try_from(length).unwrap_or(0) + BATCH_PREFIX_LEN,
            leader_epoch: LeaderEpoch(i32::from_be_bytes(at(head, 12)?)),
            crc: u32::from_be_bytes(at(head, 17)?),
            attributes: Attributes(i16::from_be_bytes(at(head, 21)?)),
            last_offset_delta: i32::from_be_bytes(at(head, 23)?),
            base_timestamp: i64::from_be_bytes(at(head, 27)?),
            max_timestamp: i64::from_be_bytes(at(head, 35)?),
            producer_id: i64::from_be_bytes(at(head, 43)?),
            producer_epoch: i16::from_be_bytes(at(head, 51)?),
            base_sequence: i32::from_be_bytes(at(head, 53)?),
            record_count: i32::from_be_bytes(at(head, 57)?),
        };
        Some((length, i8::from_be_bytes(at(head, 16)?), header))
    }

    pub(super) fn check(&self) -> Result<(), BatchError> {
        let fail = |reason| Err(BatchError::Header(reason));
        let last_delta = i64::from(self.last_offset_delta);
        if self.base_offset < Offset::ZERO {
            return fail("the base offset is negative");
        }
        if last_delta < 0 {
            return fail("the last offset lies before the base offset");
        }
        // Offsets past this one could not be told apart any more.
        if self.base_offset.get() > i64::MAX - 1 - last_delta {
            return fail("the last offset is beyond what 63 bits can say");
        }
        if self.record_count < 0 {
            return fail("the record count is negative");
        }
        if i64::from(self.record_count) > last_delta + 1 {
            return fail("there are more records than offsets");
        }
        if Attributes::from_bits(self.attributes.0).is_none() {
            return fail("there is no such codec");
        }
        Ok(())
    }

    /// Writes the 61 bytes. A size that does not fit the length field was refused before there was a header.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8; BATCH_HEADER_LEN]) {
        let length = self.size.saturating_sub(BATCH_PREFIX_LEN) as i32;
        out[0..8].copy_from_slice(&self.base_offset.get().to_be_bytes());
        out[8..12].copy_from_slice(&length.to_be_bytes());
        out[12..16].copy_from_slice(&self.leader_epoch.0.to_be_bytes());
        out[16..17].copy_from_slice(&MAGIC.to_be_bytes());
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
    }

    /// The header of the same batch where its records are not compressed and it has `size` bytes.
    pub(super) fn uncompressed(&self, size: usize) -> Self {
        Self { size, attributes: self.attributes.with_codec(Compression::None), ..*self }
    }

    /// The last offset that the batch stands for (inclusive); its record may have been compacted away.
    pub(crate) const fn last_offset(&self) -> Offset {
        self.base_offset.plus(self.last_offset_delta as i64)
    }

    /// The sequence of the last record; wraps at the end of what 31 bits can say (rule 23).
    pub(crate) const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return self.base_sequence;
        }
        let last = self.base_sequence as i64 + self.last_offset_delta as i64;
        (last % (1 << 31)) as i32
    }

    /// Rule 6: where to go on behind the batch.
    pub(crate) const fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }
}
