//! Writing batches.

use super::{
    BATCH_HEADER_LEN,
    error::BatchError,
    header::{Attributes, BatchHeader},
    headers::Header,
    valid::ValidBatch,
    varint::{size_of_varint, size_of_varlong, write_varint, write_varlong},
};
use crate::types::{LeaderEpoch, Offset, Timestamp};

/// The largest batch in bytes: Kafka counts the whole in an i32, not only what the length field counts.
const MAX_BATCH: usize = i32::MAX as usize;

/// A batch of no records that stands for the offsets from `base` to `base + last_delta` (inclusive), as a cleaner leaves
/// one.
pub(crate) fn empty_batch(
    base: Offset,
    last_delta: i32,
    epoch: LeaderEpoch,
    max_timestamp: i64,
) -> [u8; BATCH_HEADER_LEN] {
    let mut bytes = [0; BATCH_HEADER_LEN];
    let header = BatchHeader {
        base_offset: base,
        size: BATCH_HEADER_LEN,
        leader_epoch: epoch,
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: last_delta,
        base_timestamp: -1,
        max_timestamp,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: 0,
    };
    ValidBatch::seal(header, &mut bytes);
    bytes
}

/// Encodes records into one batch, in a buffer that its owner uses again and again.
#[derive(Debug)]
pub(crate) struct BatchWriter<'b> {
    buffer: &'b mut Vec<u8>,
    written: Written,
}

/// What is known of the records in a buffer that becomes a batch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl<'b> BatchWriter<'b> {
    /// An empty batch in `buffer`, whose bytes are forgotten and whose memory is kept.
    pub(crate) fn new(buffer: &'b mut Vec<u8>) -> Self {
        begin(buffer);
        Self { buffer, written: Written::default() }
    }

    /// Adds a record. Where that fails, the batch is what it was.
    #[inline]
    pub(crate) fn push(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BatchError> {
        self.written.push(self.buffer, timestamp, key, value, headers)
    }

    /// As `finish`: of a producer's transaction, or the marker that ends one.
    #[cfg(test)]
    pub(crate) fn finish_transactional(self, producer_id: i64, is_marker: bool) -> ValidBatch<'b> {
        let (attributes, base_sequence) = if is_marker { (0x30, -1) } else { (0x10, 0) };
        let attributes = Attributes::from_bits(attributes).unwrap_or_default();
        let header = self.written.header(self.buffer.len());
        let header = BatchHeader { attributes, producer_id, producer_epoch: 0, base_sequence, ..header };
        ValidBatch::seal(header, self.buffer)
    }

    #[cfg(test)]
    pub(crate) fn record_count(&self) -> i32 {
        self.written.record_count
    }

    /// The batch so far in bytes, its header included.
    pub(crate) fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The batch, of no producer, for a leader to place. Without any record it is one that stands for one offset
    /// and holds nothing, as compaction leaves them.
    pub(crate) fn finish(self) -> ValidBatch<'b> {
        self.written.finish(self.buffer)
    }
}

/// Leaves room for the header, and nothing else.
fn begin(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.extend_from_slice(&[0; BATCH_HEADER_LEN]);
}

impl Written {
    pub(crate) fn record_count(self) -> i32 {
        self.record_count
    }

    /// Adds a record to those in the buffer; where there is none, it becomes the first one. Where that fails, they are
    /// what they were.
    pub(crate) fn push(
        &mut self,
        buffer: &mut Vec<u8>,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), BatchError> {
        let timestamp = timestamp.as_millis();
        let (base, max) = match self.record_count {
            0 => (timestamp, timestamp),
            _ => (self.base_timestamp, self.max_timestamp.max(timestamp)),
        };
        if buffer.len() < BATCH_HEADER_LEN {
            begin(buffer);
        }
        let delta = timestamp.checked_sub(base).ok_or(BatchError::TimestampRange { timestamp, base })?;
        let body = body_size(delta, self.record_count, key, value, headers);
        let size = buffer.len().saturating_add(with_length(body));
        // A batch that fits has no length and no count that does not: every byte and every header is in its size.
        if size > MAX_BATCH {
            return Err(BatchError::TooLarge { size });
        }
        buffer.reserve(size - buffer.len());
        write_record(buffer, (body, delta, self.record_count), key, value, headers);
        self.record_count += 1;
        (self.base_timestamp, self.max_timestamp) = (base, max);
        Ok(())
    }

    /// The batch in the buffer, for a leader to place.
    pub(crate) fn finish(self, buffer: &mut Vec<u8>) -> ValidBatch<'_> {
        if buffer.len() < BATCH_HEADER_LEN {
            begin(buffer);
        }
        ValidBatch::seal(self.header(buffer.len()), buffer)
    }

    fn header(self, size: usize) -> BatchHeader {
        let (base_timestamp, max_timestamp) = match self.record_count {
            0 => (-1, -1),
            _ => (self.base_timestamp, self.max_timestamp),
        };
        BatchHeader {
            base_offset: Offset::ZERO,
            size,
            leader_epoch: LeaderEpoch(-1),
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: self.record_count.saturating_sub(1).max(0),
            base_timestamp,
            max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: self.record_count,
        }
    }
}

/// Writes a record: the size of its body, its timestamp and its offset, these two counted from those of the batch.
#[inline]
fn write_record(
    out: &mut Vec<u8>,
    (body, timestamp_delta, offset_delta): (usize, i64, i32),
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) {
    write_varint(out, body as i32);
    out.push(0);
    write_varlong(out, timestamp_delta);
    write_varint(out, offset_delta);
    write_nullable(out, key);
    write_nullable(out, value);
    write_varint(out, headers.len() as i32);
    for header in headers {
        write_nullable(out, Some(header.key.as_bytes()));
        write_nullable(out, header.value);
    }
}

/// How many bytes a record takes in a batch, its length included. The deltas are those to the batch's base.
pub(crate) fn record_size(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> usize {
    with_length(body_size(timestamp_delta, offset_delta, key, value, headers))
}

/// What the record's length counts. More than an i32 is refused later, so that its own size need not be exact.
fn with_length(body: usize) -> usize {
    body.saturating_add(size_of_varlong(body as i64))
}

#[inline]
fn body_size(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) -> usize {
    let numbers = 1 + size_of_varlong(timestamp_delta) + size_of_varint(offset_delta);
    let mut size = (numbers + size_of_varlong(headers.len() as i64))
        .saturating_add(nullable_size(key))
        .saturating_add(nullable_size(value));
    for header in headers {
        let pair = nullable_size(Some(header.key.as_bytes())).saturating_add(nullable_size(header.value));
        size = size.saturating_add(pair);
    }
    size
}

#[inline]
pub(super) fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| bytes.len() + size_of_varlong(bytes.len() as i64))
}

#[inline]
pub(super) fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            write_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
        None => write_varint(out, -1),
    }
}
