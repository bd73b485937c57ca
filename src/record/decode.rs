//! Reading batches and their records, where they lie.

use super::{
    compression::{MAX_INFLATED, decompress},
    error::BatchError,
    header::{BatchHeader, CRC_START},
    headers::{Headers, read_nullable},
    read::{take, take_array},
    varint::{read_varint, read_varlong},
};
use crate::types::{Compression, Offset, Timestamp};

/// A batch whose bytes are all there and are those that were written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    header: BatchHeader,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The batch that `bytes` begins with, if it is whole and its checksum is right. What follows it is not looked
    /// at. A wrong checksum is told before a header that makes no sense, which it explains.
    pub(crate) fn check(bytes: &'a [u8]) -> Result<Self, BatchError> {
        let header = BatchHeader::read(bytes)?;
        let short = BatchError::TooShort { needed: header.size, have: bytes.len() };
        let bytes = bytes.get(..header.size).ok_or(short)?;
        let computed = crc(bytes);
        if computed != header.crc {
            return Err(BatchError::Crc { stored: header.crc, computed });
        }
        header.check()?;
        Ok(Self { header, bytes })
    }

    /// The batch that `bytes` begins with, for bytes that were checked before. `None` where that cannot be so.
    pub(crate) fn unchecked(bytes: &'a [u8]) -> Option<Self> {
        let header = BatchHeader::parse(bytes).ok()?;
        Some(Self { header, bytes: bytes.get(..header.size)? })
    }

    /// A batch from parts that belong together.
    pub(super) fn of(header: BatchHeader, bytes: &'a [u8]) -> Self {
        Self { header, bytes }
    }

    /// Whether every record can be read, and they are as many as the header says, in order, and fill the batch.
    pub(crate) fn check_records(&self) -> Result<(), BatchError> {
        self.scan().map(|_| ())
    }

    /// Checks the records; the largest of their own timestamps, if there are any.
    pub(super) fn scan(&self) -> Result<Option<i64>, BatchError> {
        match self.inflate(MAX_INFLATED)? {
            Some(inflated) => Batch::of(self.header.uncompressed(inflated.len()), &inflated).visit(|_, _| {}),
            None => self.visit(|_, _| {}),
        }
    }

    /// Checks the records, which are not compressed, and shows each of them, with its place: before it is known that all
    /// are as they should be. The largest of their own timestamps, if there are any.
    #[inline]
    pub(crate) fn visit(
        &self,
        mut each: impl FnMut(&RecordRef<'a>, Place),
    ) -> Result<Option<i64>, BatchError> {
        let header = &self.header;
        let mut rest = self.body();
        let append_time = self.append_time();
        let mut last_delta = -1;
        let mut max_timestamp = None;
        for index in 0..header.record_count {
            let fail = |reason| BatchError::Record { index, reason };
            let place = Place { start: self.bytes.len() - rest.len(), index };
            let raw = RawRecord::read(&mut rest).map_err(fail)?;
            raw.headers.check().map_err(fail)?;
            if raw.offset_delta <= last_delta || raw.offset_delta > header.last_offset_delta {
                return Err(fail("its offset is out of order"));
            }
            last_delta = raw.offset_delta;
            let timestamp = header.base_timestamp.checked_add(raw.timestamp_delta);
            let timestamp = timestamp.ok_or(fail("its timestamp is beyond what 64 bits can say"))?;
            max_timestamp = max_timestamp.max(Some(timestamp));
            each(&raw.at(header.base_offset, append_time.unwrap_or(timestamp)), place);
        }
        if rest.is_empty() {
            Ok(max_timestamp)
        } else {
            Err(BatchError::Header("bytes follow the last record"))
        }
    }

    pub(crate) fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// All of the batch, and nothing else.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The same batch with its records uncompressed, for those who only read it: its checksum is not computed anew. `None`
    /// where they are not compressed. At most `limit` bytes of records are read.
    #[inline]
    pub(crate) fn inflate(&self, limit: usize) -> Result<Option<Vec<u8>>, BatchError> {
        match self.header.attributes.codec() {
            Compression::None => Ok(None),
            codec => self.decompressed(codec, limit).map(Some),
        }
    }

    #[cold]
    fn decompressed(&self, codec: Compression, limit: usize) -> Result<Vec<u8>, BatchError> {
        let mut inflated = vec![0; super::BATCH_HEADER_LEN];
        decompress(codec, self.body(), &mut inflated, limit)?;
        let header = self.header.uncompressed(inflated.len());
        if let Some(head) = inflated.first_chunk_mut() {
            header.write(head);
        }
        Ok(inflated)
    }

    fn body(&self) -> &'a [u8] {
        self.bytes.get(super::BATCH_HEADER_LEN..).unwrap_or_default()
    }

    /// The records in order. Ends at the first that cannot be read, of which [`check_records`](Self::check_records)
    /// found none; of a compressed batch there is nothing to go through.
    pub(crate) fn records(&self) -> RecordIter<'a> {
        self.records_from(Place { start: super::BATCH_HEADER_LEN, index: 0 })
    }

    /// As [`records`](Self::records), from one of them on.
    pub(crate) fn records_from(&self, place: Place) -> RecordIter<'a> {
        let header = &self.header;
        let readable = header.attributes.codec() == Compression::None;
        let rest = self.bytes.get(place.start..).filter(|_| readable);
        RecordIter {
            rest: rest.unwrap_or_default(),
            len: self.bytes.len(),
            index: place.index,
            record_count: header.record_count,
            base_offset: header.base_offset,
            base_timestamp: header.base_timestamp,
            append_time: self.append_time(),
        }
    }

    fn append_time(&self) -> Option<i64> {
        self.header.attributes.is_log_append_time().then_some(self.header.max_timestamp)
    }
}

/// Where a record is in its batch: how many bytes lie before it, and how many records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    start: usize,
    index: i32,
}

/// CRC-32C of all that the checksum covers of a whole batch.
pub(super) fn crc(batch: &[u8]) -> u32 {
    crc32c(batch.get(CRC_START..).unwrap_or_default())
}

/// CRC-32C, the checksum of all of Kafka's files.
#[inline]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    // It comes as 64 bits for the sake of longer checksums; this one has 32.
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// A record, where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordRef<'a> {
    pub(crate) offset: Offset,
    /// The record's own, or the leader's where the batch says so.
    pub(crate) timestamp: Timestamp,
    pub(crate) key: Option<&'a [u8]>,
    /// `None` is null: a tombstone.
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Headers<'a>,
}

/// Goes through a batch's records. Headers are passed over, and read when they are asked for.
#[derive(Debug, Clone)]
pub(crate) struct RecordIter<'a> {
    rest: &'a [u8],
    /// How many bytes the batch has.
    len: usize,
    /// That of the next record, from 0.
    index: i32,
    record_count: i32,
    base_offset: Offset,
    base_timestamp: i64,
    append_time: Option<i64>,
}

impl RecordIter<'_> {
    /// That of the next record; `None` if there is none.
    pub(crate) fn place(&self) -> Option<Place> {
        let place = Place { start: self.len - self.rest.len(), index: self.index };
        (self.index < self.record_count).then_some(place)
    }
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = RecordRef<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<RecordRef<'a>> {
        if self.index >= self.record_count {
            return None;
        }
        let Ok(raw) = RawRecord::read(&mut self.rest) else {
            self.index = self.record_count;
            return None;
        };
        self.index += 1;
        let own = self.base_timestamp.saturating_add(raw.timestamp_delta);
        Some(raw.at(self.base_offset, self.append_time.unwrap_or(own)))
    }
}

/// A record as encoded: its numbers count from those of its batch.
struct RawRecord<'a> {
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> RawRecord<'a> {
    /// The record in a batch that begins at `base`.
    #[inline(always)]
    fn at(&self, base: Offset, timestamp: i64) -> RecordRef<'a> {
        RecordRef {
            offset: base.plus(i64::from(self.offset_delta)),
            timestamp: Timestamp::from_millis(timestamp),
            key: self.key,
            value: self.value,
            headers: self.headers,
        }
    }

    /// Takes a record off the front of `rest`. All of it is read but the headers, whose count is only bounded.
    #[inline(always)]
    fn read(rest: &mut &'a [u8]) -> Result<Self, &'static str> {
        let len = read_varint(rest).ok_or("it has no length")?;
        let len = usize::try_from(len).map_err(|_| "its length is negative")?;
        let body = &mut take(rest, len).ok_or("it is cut off")?;
        // As Kafka does: a record's own attributes mean nothing yet.
        let [_attributes] = take_array(body).ok_or("it is empty")?;
        let timestamp_delta = read_varlong(body).ok_or("its timestamp cannot be read")?;
        let offset_delta = read_varint(body).ok_or("its offset cannot be read")?;
        let key = read_nullable(body).ok_or("its key is cut off")?;
        let value = read_nullable(body).ok_or("its value is cut off")?;
        let count = read_varint(body).ok_or("its header count cannot be read")?;
        let headers_fit = usize::try_from(count).is_ok_and(|count| count <= body.len() / 2);
        if !headers_fit {
            return Err("its header count cannot be right");
        }
        Ok(Self { timestamp_delta, offset_delta, key, value, headers: Headers::new(body, count) })
    }
}
