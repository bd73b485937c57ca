//! Writing a batch anew with some of its records, or none, as a cleaner leaves it. Its offsets and its sequence stay.

use super::{
    BATCH_HEADER_LEN,
    compression::compress,
    decode::{Batch, RecordRef},
    encode::{nullable_size, write_nullable},
    error::BatchError,
    header::BatchHeader,
    valid::ValidBatch,
    varint::{size_of_varint, size_of_varlong, write_varint, write_varlong},
};

/// Writes a batch with those records that are to be kept to `out`, in the codec that it had, and gives its header. `readable`
/// is the batch with its records uncompressed, `stored` the header that it has in the log. With a `horizon`, the base
/// timestamp is that from then on, and says when tombstones may go.
pub(crate) fn keep_records(
    readable: &Batch<'_>,
    stored: &BatchHeader,
    horizon: Option<i64>,
    keep: &mut dyn FnMut(&RecordRef<'_>) -> bool,
    out: &mut Vec<u8>,
) -> Result<BatchHeader, BatchError> {
    let base = horizon.unwrap_or(stored.base_timestamp);
    let (mut records, mut count, mut max) = (Vec::new(), 0, i64::MIN);
    for record in readable.records().filter(|record| keep(record)) {
        write_record(&mut records, &record, stored, base)?;
        count += 1;
        max = max.max(record.timestamp.as_millis());
    }
    out.clear();
    out.resize(BATCH_HEADER_LEN, 0);
    compress(stored.attributes.codec(), &records, out)?;
    if out.len() > i32::MAX as usize {
        return Err(BatchError::TooLarge { size: out.len() });
    }
    let attributes = match horizon {
        Some(_) => stored.attributes.with_delete_horizon(),
        None => stored.attributes,
    };
    let max_timestamp = if attributes.is_log_append_time() { stored.max_timestamp } else { max };
    let (size, base_timestamp) = (out.len(), base);
    let header =
        BatchHeader { size, attributes, base_timestamp, max_timestamp, record_count: count, ..*stored };
    Ok(*ValidBatch::seal(header, out).header())
}

/// The same batch without its records: it stands for its offsets, and for its producer's sequence.
pub(crate) fn emptied(stored: &BatchHeader) -> ([u8; BATCH_HEADER_LEN], BatchHeader) {
    let mut bytes = [0; BATCH_HEADER_LEN];
    let header = BatchHeader {
        size: BATCH_HEADER_LEN,
        attributes: stored.attributes.emptied(),
        base_timestamp: -1,
        record_count: 0,
        ..*stored
    };
    let header = *ValidBatch::seal(header, &mut bytes).header();
    (bytes, header)
}

fn write_record(
    out: &mut Vec<u8>,
    record: &RecordRef<'_>,
    stored: &BatchHeader,
    base: i64,
) -> Result<(), BatchError> {
    let timestamp = record.timestamp.as_millis();
    let delta = timestamp.checked_sub(base).ok_or(BatchError::TimestampRange { timestamp, base })?;
    let offset_delta = record.offset.since(stored.base_offset) as i32;
    let (headers, count) = record.headers.raw();
    let numbers = 1 + size_of_varlong(delta) + size_of_varint(offset_delta) + size_of_varint(count);
    let size = numbers + nullable_size(record.key) + nullable_size(record.value) + headers.len();
    let body = i32::try_from(size).map_err(|_| BatchError::TooLarge { size })?;
    write_varint(out, body);
    out.push(0);
    write_varlong(out, delta);
    write_varint(out, offset_delta);
    write_nullable(out, record.key);
    write_nullable(out, record.value);
    write_varint(out, count);
    out.extend_from_slice(headers);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{BatchWriter, Header, compression_is_there},
        types::{Compression, Offset, Timestamp},
    };

    fn kept(codec: Compression, horizon: Option<i64>, wanted: &[i64]) -> (BatchHeader, Vec<u8>) {
        let (mut plain, mut packed) = (Vec::new(), Vec::new());
        let mut writer = BatchWriter::new(&mut plain);
        for n in 0..6_i64 {
            let (key, value) = (format!("k{n}"), "x".repeat(100));
            let headers = [Header { key: "h", value: Some(b"v") }, Header { key: "h", value: None }];
            let value = Some(value.as_bytes()).filter(|_| n % 2 == 0);
            writer.push(Timestamp::from_millis(500 - n), Some(key.as_bytes()), value, &headers).unwrap();
        }
        let mut batch = writer.finish();
        batch.place(Offset::new(40), crate::types::LeaderEpoch(3));
        let stored = batch.recompress(codec, &mut packed).unwrap();
        let (header, bytes) = (*stored.header(), stored.bytes().to_vec());
        let inflated = Batch::check(&bytes).unwrap().inflate(1 << 20).unwrap();
        let readable = Batch::unchecked(inflated.as_deref().unwrap_or(&bytes)).unwrap();
        let mut out = Vec::new();
        let mut keep = |record: &RecordRef<'_>| wanted.contains(&record.offset.get());
        let written = keep_records(&readable, &header, horizon, &mut keep, &mut out).unwrap();
        assert_eq!((written.base_offset, written.last_offset()), (header.base_offset, header.last_offset()));
        assert_eq!(written.leader_epoch, header.leader_epoch);
        (written, out)
    }

    #[test]
    fn what_is_kept_reads_as_before_in_every_codec() {
        let all =
            [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
        for codec in all.into_iter().filter(|codec| compression_is_there(*codec)) {
            for horizon in [None, Some(1_000_000)] {
                let (header, bytes) = kept(codec, horizon, &[41, 44]);
                let batch = Batch::check(&bytes).unwrap();
                assert_eq!((*batch.header(), header.attributes.codec()), (header, codec));
                assert_eq!((header.record_count, header.max_timestamp), (2, 499));
                assert_eq!(header.attributes.has_delete_horizon(), horizon.is_some());
                assert_eq!(header.base_timestamp, horizon.unwrap_or(500));
                let inflated = batch.inflate(1 << 20).unwrap();
                let readable = Batch::unchecked(inflated.as_deref().unwrap_or(&bytes)).unwrap();
                readable.check_records().unwrap();
                let read: Vec<_> = readable
                    .records()
                    .map(|r| {
                        (r.offset.get(), r.timestamp.as_millis(), r.value.is_some(), r.headers.iter().count())
                    })
                    .collect();
                assert_eq!(read, [(41, 499, false, 2), (44, 496, true, 2)], "{codec} {horizon:?}");
            }
        }
    }

    #[test]
    fn an_emptied_batch_stands_for_its_offsets() {
        let (stored, _) = kept(Compression::None, Some(7), &[40]);
        let (bytes, header) = emptied(&stored);
        let batch = Batch::check(&bytes).unwrap();
        batch.check_records().unwrap();
        assert_eq!((*batch.header(), header.last_offset()), (header, Offset::new(45)));
        assert_eq!((header.record_count, header.base_timestamp, header.max_timestamp), (0, -1, 500));
        assert_eq!(header.attributes.codec(), Compression::None);
        assert!(!header.attributes.has_delete_horizon());
    }

    #[test]
    fn a_horizon_that_no_record_can_be_counted_from_is_refused() {
        let mut plain = Vec::new();
        let mut writer = BatchWriter::new(&mut plain);
        writer.push(Timestamp::from_millis(i64::MIN), Some(b"k"), None, &[]).unwrap();
        let bytes = writer.finish().bytes().to_vec();
        let batch = Batch::check(&bytes).unwrap();
        let refused = keep_records(&batch, batch.header(), Some(1), &mut |_| true, &mut Vec::new());
        assert!(matches!(refused, Err(BatchError::TimestampRange { .. })), "{refused:?}");
    }
}
