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
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

/// What a writer knows of the records in its buffer, for one that goes on later.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl Written {
    pub(crate) fn record_count(self) -> i32 {
        self.record_count
    }
}

impl<'b> BatchWriter<'b> {
    /// An empty batch in `buffer`, whose bytes are forgotten and whose memory is kept.
    pub(crate) fn new(buffer: &'b mut Vec<u8>) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&[0; BATCH_HEADER_LEN]);
        Self { buffer, record_count: 0, base_timestamp: -1, max_timestamp: -1 }
    }

    /// Goes on with a batch that another writer left in `buffer`.
    pub(crate) fn resume(buffer: &'b mut Vec<u8>, written: Written) -> Self {
        let Written { record_count, base_timestamp, max_timestamp } = written;
        match record_count {
            0 => Self::new(buffer),
            _ => Self { buffer, record_count, base_timestamp, max_timestamp },
        }
    }

    /// Leaves the batch in its buffer, for another writer to go on with.
    pub(crate) fn suspend(self) -> Written {
        let Self { record_count, base_timestamp, max_timestamp, .. } = self;
        Written { record_count, base_timestamp, max_timestamp }
    }

    /// Adds a record. Where that fails, the batch is what it was.
    pub(crate) fn push(
        &mut self,
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
        let delta = timestamp.checked_sub(base).ok_or(BatchError::TimestampRange { timestamp, base })?;
        let body = body_size(delta, self.record_count, key, value, headers);
        let size = self.buffer.len().saturating_add(with_length(body));
        // A batch that fits has no length and no count that does not: every byte and every header is in its size.
        if size > MAX_BATCH {
            return Err(BatchError::TooLarge { size });
        }
        self.buffer.reserve(size - self.buffer.len());
        self.write(body, delta, key, value, headers);
        self.record_count += 1;
        (self.base_timestamp, self.max_timestamp) = (base, max);
        Ok(())
    }

    #[inline]
    fn write(
        &mut self,
        body: usize,
        delta: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        let out = &mut *self.buffer;
        write_varint(out, body as i32);
        out.push(0);
        write_varlong(out, delta);
        write_varint(out, self.record_count);
        write_nullable(out, key);
        write_nullable(out, value);
        write_varint(out, headers.len() as i32);
        for header in headers {
            write_nullable(out, Some(header.key.as_bytes()));
            write_nullable(out, header.value);
        }
    }

    /// As `finish`: of a producer's transaction, or the marker that ends one.
    #[cfg(test)]
    pub(crate) fn finish_transactional(self, producer_id: i64, is_marker: bool) -> ValidBatch<'b> {
        let (attributes, base_sequence) = if is_marker { (0x30, -1) } else { (0x10, 0) };
        let header = BatchHeader {
            size: self.buffer.len(),
            attributes: Attributes::from_bits(attributes).unwrap_or_default(),
            last_offset_delta: self.record_count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id,
            producer_epoch: 0,
            base_sequence,
            record_count: self.record_count,
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch(-1),
            crc: 0,
        };
        ValidBatch::seal(header, self.buffer)
    }

    #[cfg(test)]
    pub(crate) fn record_count(&self) -> i32 {
        self.record_count
    }

    /// The batch so far in bytes, its header included.
    pub(crate) fn size(&self) -> usize {
        self.buffer.len()
    }

    /// The batch, of no producer, for a leader to place. Without any record it is one that stands for one offset
    /// and holds nothing, as compaction leaves them.
    pub(crate) fn finish(self) -> ValidBatch<'b> {
        let header = BatchHeader {
            base_offset: Offset::ZERO,
            size: self.buffer.len(),
            leader_epoch: LeaderEpoch(-1),
            crc: 0,
            attributes: Attributes::default(),
            last_offset_delta: self.record_count.saturating_sub(1).max(0),
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: self.record_count,
        };
        ValidBatch::seal(header, self.buffer)
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
fn nullable_size(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| bytes.len() + size_of_varlong(bytes.len() as i64))
}

#[inline]
fn write_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            write_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
        None => write_varint(out, -1),
    }
}
