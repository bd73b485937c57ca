//! Batches that may be appended.

use super::{
    BATCH_HEADER_LEN,
    compression::{MAX_INFLATED, compress},
    decode::{Batch, RecordIter, crc},
    error::BatchError,
    header::BatchHeader,
};
use crate::types::{Compression, LeaderEpoch, Offset, Timestamp};

/// A batch that a leader may append, after it has placed it.
///
/// There are two ways to one: [`BatchWriter::finish`](super::BatchWriter::finish), which wrote it, and
/// [`validate`](Self::validate), which checked it. So in process nothing is checked twice, and nothing foreign is
/// appended unchecked.
#[derive(Debug)]
pub(crate) struct ValidBatch<'a> {
    header: BatchHeader,
    bytes: &'a mut [u8],
}

impl<'a> ValidBatch<'a> {
    /// Writes `header` before the records that `bytes` holds behind the room for it.
    pub(super) fn seal(header: BatchHeader, bytes: &'a mut [u8]) -> Self {
        let mut batch = Self { header, bytes };
        batch.write_header();
        batch
    }

    /// Checks what a client sent: one batch, whole, of readable records, that keeps rules 12 and 13. A wrong max
    /// timestamp is mended.
    pub(crate) fn validate(bytes: &'a mut [u8]) -> Result<Self, BatchError> {
        let batch = Batch::check(bytes)?;
        let mut header = *batch.header();
        if header.size != bytes.len() {
            return Err(BatchError::Rejected("more than one batch for a partition"));
        }
        check_rules(&header)?;
        let max_timestamp = batch.scan()?.unwrap_or(header.max_timestamp);
        if max_timestamp == header.max_timestamp {
            return Ok(Self { header, bytes });
        }
        header.max_timestamp = max_timestamp;
        Ok(Self::seal(header, bytes))
    }

    /// Takes a batch as a leader has it, markers too.
    #[cfg(test)]
    pub(crate) fn of_leader(bytes: &'a mut [u8]) -> Result<Self, BatchError> {
        let header = *Batch::check(bytes)?.header();
        Ok(Self { header, bytes })
    }

    pub(crate) fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// All of the batch, and nothing else.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// The records in order. Their offsets count from 0 until the batch is placed.
    #[cfg_attr(
        not(any(test, fuzzing)),
        expect(dead_code, reason = "for batches from outside the process: a listener's, a follower's")
    )]
    pub(crate) fn records(&self) -> RecordIter<'_> {
        Batch::of(self.header, self.bytes).records()
    }

    /// The same batch, to be read, with its records uncompressed; `None` where they are not compressed.
    pub(crate) fn inflate(&self) -> Result<Option<Vec<u8>>, BatchError> {
        Batch::of(self.header, self.bytes).inflate(MAX_INFLATED)
    }

    /// The same records compressed in another way, in `buffer`.
    pub(crate) fn recompress<'b>(
        &self,
        codec: Compression,
        buffer: &'b mut Vec<u8>,
    ) -> Result<ValidBatch<'b>, BatchError> {
        let inflated = self.inflate()?;
        let batch = inflated.as_deref().unwrap_or(self.bytes);
        buffer.clear();
        buffer.resize(BATCH_HEADER_LEN, 0);
        compress(codec, batch.get(BATCH_HEADER_LEN..).unwrap_or_default(), buffer)?;
        let attributes = self.header.attributes.with_codec(codec);
        if buffer.len() > i32::MAX as usize {
            return Err(BatchError::TooLarge { size: buffer.len() });
        }
        Ok(ValidBatch::seal(BatchHeader { size: buffer.len(), attributes, ..self.header }, buffer))
    }

    /// Gives the batch its place in a log. The checksum leaves both numbers out, and stays.
    pub(crate) fn place(&mut self, base: Offset, epoch: LeaderEpoch) {
        (self.header.base_offset, self.header.leader_epoch) = (base, epoch);
        if let Some(bytes) = self.bytes.first_chunk_mut::<16>() {
            bytes[0..8].copy_from_slice(&base.get().to_be_bytes());
            bytes[12..16].copy_from_slice(&epoch.0.to_be_bytes());
        }
    }

    /// Makes it a batch of a producer's, whose records begin with this sequence.
    pub(crate) fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.header = BatchHeader { producer_id, producer_epoch, base_sequence, ..self.header };
        self.write_header();
    }

    /// Rule 16: every record reads as of `now` from here on. Base timestamp and deltas stay.
    pub(crate) fn set_log_append_time(&mut self, now: Timestamp) {
        self.header.attributes = self.header.attributes.with_log_append_time();
        self.header.max_timestamp = now.as_millis();
        self.write_header();
    }

    /// Writes the header anew, with the checksum that the bytes then have.
    fn write_header(&mut self) {
        let Some(head) = self.bytes.first_chunk_mut() else { return };
        self.header.write(head);
        self.header.crc = crc(self.bytes);
        if let Some(head) = self.bytes.first_chunk_mut::<BATCH_HEADER_LEN>() {
            head[17..21].copy_from_slice(&self.header.crc.to_be_bytes());
        }
    }
}

/// Rules 12 and 13. That offsets count up by one follows from the count, once the records are known to be in order.
fn check_rules(header: &BatchHeader) -> Result<(), BatchError> {
    let reject = |reason| Err(BatchError::Rejected(reason));
    if header.base_offset != Offset::ZERO {
        return reject("a client's batch does not begin at offset 0");
    }
    if i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1 {
        return reject("a client's batch has not as many records as offsets");
    }
    if header.attributes.is_control() {
        return reject("a client sends a control batch");
    }
    if header.producer_id >= 0 && header.base_sequence < 0 {
        return reject("a batch has a producer id and no sequence");
    }
    // The leader's to set. Kafka refuses it too.
    if header.attributes.is_log_append_time() {
        return reject("a client sets LogAppendTime");
    }
    Ok(())
}
