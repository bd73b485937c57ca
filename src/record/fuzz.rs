//! What must hold of any bytes that are taken for a batch.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "what does not hold panics")]

use super::{
    BATCH_HEADER_LEN, Batch, BatchError, BatchHeader, BatchWriter, MAX_INFLATED, ValidBatch,
    header::CRC_START, owned::Owned,
};
use crate::types::{Compression, LeaderEpoch, Offset, Timestamp};

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// Takes bytes for a batch, as they are and with the checksum that they should have.
pub(crate) fn batch(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    seal(&mut sealed);
    for bytes in [bytes, &sealed] {
        if let Ok(batch) = Batch::check(bytes) {
            whole(batch);
        }
        let mut bytes = bytes.to_vec();
        let valid = ValidBatch::validate(&mut bytes).is_ok();
        if valid {
            appendable(&bytes);
        }
    }
}

/// Gives the batch that `bytes` begin with, if they begin with the header of one, a right checksum. Says how long it is.
pub(crate) fn seal(bytes: &mut [u8]) -> Option<usize> {
    let size = BatchHeader::read(bytes).ok()?.size;
    let crc = super::crc32c(bytes.get(CRC_START..size)?);
    bytes.get_mut(17..CRC_START)?.copy_from_slice(&crc.to_be_bytes());
    Some(size)
}

/// A batch with a right checksum.
fn whole(batch: Batch<'_>) {
    let header = batch.header();
    let mut head = [0; BATCH_HEADER_LEN];
    header.write(&mut head);
    assert_eq!(head, batch.bytes()[..BATCH_HEADER_LEN], "the header is written as it was read");
    assert_eq!(BatchHeader::parse(batch.bytes()), Ok(*header));
    assert_eq!(Batch::unchecked(batch.bytes()).map(|batch| *batch.header()), Some(*header));
    batch.marker();
    for limit in [0, 100] {
        let inflated = batch.inflate(limit).ok().flatten().unwrap_or_default();
        assert!(inflated.len() <= BATCH_HEADER_LEN + limit, "{} bytes, {limit} allowed", inflated.len());
    }
    let inflated = match batch.inflate(MAX_INFLATED) {
        Ok(inflated) => inflated,
        Err(error) => return assert_eq!(batch.check_records(), Err(error)),
    };
    let plain = inflated.as_deref().map_or(batch, |bytes| Batch::unchecked(bytes).unwrap());
    let records: Vec<Owned> = plain.records().map(Owned::of).collect();
    assert!(records.len() <= header.record_count as usize);
    if batch.check_records().is_ok() {
        readable(plain, &records);
    }
}

/// A batch of records that can all be read.
fn readable(batch: Batch<'_>, records: &[Owned]) {
    let header = batch.header();
    let offsets: Vec<Offset> = batch.records().map(|record| record.offset).collect();
    assert_eq!(offsets.len(), header.record_count as usize);
    assert!(offsets.is_sorted_by(|a, b| a < b));
    assert!(offsets.iter().all(|offset| (header.base_offset..=header.last_offset()).contains(offset)));
    if header.attributes.is_log_append_time() {
        assert!(records.iter().all(|record| record.timestamp == header.max_timestamp));
    }
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    for record in records {
        match record.push_to(&mut writer) {
            Err(BatchError::TimestampRange { .. }) => return,
            pushed => pushed.unwrap(),
        }
    }
    let written = writer.finish();
    assert_eq!(decoded(written.bytes()), records, "what was read is written and read back");
    let mut buffer = Vec::new();
    let codec = CODECS[header.crc as usize % CODECS.len()];
    let packed = match written.recompress(codec, &mut buffer) {
        Err(BatchError::UnsupportedCodec(_)) => return,
        packed => packed.unwrap(),
    };
    assert_eq!(packed.header().attributes.codec(), codec);
    assert_eq!(decoded(packed.bytes()), records, "so it is with {codec}");
}

fn decoded(bytes: &[u8]) -> Vec<Owned> {
    let batch = Batch::check(bytes).unwrap();
    batch.check_records().unwrap();
    let inflated = batch.inflate(MAX_INFLATED).unwrap();
    let batch = inflated.as_deref().map_or(batch, |bytes| Batch::unchecked(bytes).unwrap());
    batch.records().map(Owned::of).collect()
}

/// A batch that was found fit to be appended, and mended if its max timestamp was wrong.
fn appendable(bytes: &[u8]) {
    let records = decoded(bytes);
    let mut again = bytes.to_vec();
    let mut valid = ValidBatch::validate(&mut again).unwrap();
    assert_eq!(valid.bytes(), bytes, "nothing is left to mend");
    let header = *valid.header();
    if header.attributes.codec() == Compression::None {
        assert!(valid.records().map(Owned::of).eq(records.iter().cloned()));
    }
    assert_eq!(header.base_offset, Offset::ZERO);
    assert!(!header.attributes.is_control());
    let youngest = records.iter().map(|record| record.timestamp).max();
    assert!(youngest.is_none_or(|youngest| youngest == header.max_timestamp));
    valid.place(Offset::new(1 << 40), LeaderEpoch(7));
    assert_eq!(decoded(valid.bytes()), records, "a place changes no record");
    valid.set_log_append_time(Timestamp::from_millis(5));
    let stamped = decoded(valid.bytes());
    let same = |(stamped, own): (&Owned, &Owned)| *stamped == Owned { timestamp: 5, ..own.clone() };
    assert!(stamped.len() == records.len() && stamped.iter().zip(&records).all(same));
}

/// A batch of a producer with an id, or of a coordinator's marker, as the attributes say.
pub(crate) fn of_producer(id: i64, sequence: i32, attributes: i16, records: &[Owned]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = BatchWriter::new(&mut bytes);
    records.iter().for_each(|record| record.push_to(&mut writer).unwrap());
    writer.finish();
    bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
    bytes[43..51].copy_from_slice(&id.to_be_bytes());
    bytes[51..53].copy_from_slice(&0i16.to_be_bytes());
    bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
    seal(&mut bytes);
    bytes
}

impl<'a> ValidBatch<'a> {
    /// A batch that nobody but a leader could have made, for a log to take.
    pub(crate) fn trusted(bytes: &'a mut [u8]) -> Self {
        Self::seal(BatchHeader::parse(bytes).unwrap(), bytes)
    }
}

/// Batches of all kinds.
pub(crate) fn batches() -> Vec<Vec<u8>> {
    let record = |n: i64, headers: usize| Owned {
        timestamp: 1_700_000_000_000 - n % 3 * 1000,
        key: (n % 4 > 0).then(|| format!("key {n}").into_bytes()),
        value: (n % 5 > 0).then(|| vec![b'v'; n as usize * 7]),
        headers: (0..headers).map(|h| (format!("h{h}"), (h % 2 > 0).then(|| vec![9; h]))).collect(),
    };
    let mut batches: Vec<Vec<u8>> = vec![
        of_producer(-1, -1, 0, &[]),
        of_producer(-1, -1, 0, &[record(1, 0)]),
        of_producer(-1, -1, 0, &[record(6, 3), record(3, 0), record(5, 1)]),
        of_producer(4000, 17, 0x10, &[record(2, 0), record(4, 2)]),
        of_producer(4000, -1, 0x30, &[marker(true)]),
        of_producer(4000, -1, 0x30, &[marker(false)]),
        of_producer(-1, -1, 0x08, &[record(7, 0), record(8, 0)]),
    ];
    let mut many = of_producer(-1, -1, 0, &[3, 4, 5, 6].map(|n| record(n, 1)));
    for codec in &CODECS[1..] {
        let mut buffer = Vec::new();
        let packed = ValidBatch::trusted(&mut many).recompress(*codec, &mut buffer).map(drop);
        // Not without the codec's feature.
        batches.extend(packed.is_ok().then_some(buffer));
    }
    batches
}

/// The batches of a log.
pub(crate) fn batches_of(mut log: &[u8]) -> Vec<Vec<u8>> {
    let mut batches = Vec::new();
    while let Ok(batch) = Batch::check(log) {
        batches.push(batch.bytes().to_vec());
        log = &log[batch.header().size..];
    }
    batches
}

/// The record by which a transaction ends.
pub(crate) fn marker(is_abort: bool) -> Owned {
    let key = [0i16, i16::from(!is_abort)].map(i16::to_be_bytes).concat();
    let value = vec![0, 0, 0, 0, 0, 3];
    Owned { timestamp: 1_700_000_000_000, key: Some(key), value: Some(value), headers: Vec::new() }
}
