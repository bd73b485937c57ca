//! Compressed batches: those of Kafka's own producer, and ours.

use super::*;
use crate::types::Compression;
use proptest::prelude::*;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn inflated(batch: &[u8], limit: usize) -> Result<Vec<Owned>, BatchError> {
    let batch = Batch::check(batch)?;
    batch.check_records()?;
    let inflated = batch.inflate(limit)?;
    let batch = inflated.as_deref().map_or(batch, |bytes| Batch::unchecked(bytes).unwrap());
    Ok(batch.records().map(Owned::of).collect())
}

fn recompressed(batch: &[u8], codec: Compression) -> Vec<u8> {
    let mut batch = batch.to_vec();
    let mut buffer = Vec::new();
    ValidBatch::validate(&mut batch).unwrap().recompress(codec, &mut buffer).unwrap().bytes().to_vec()
}

#[test]
fn reads_what_kafkas_producer_compressed() {
    let batches: [(Compression, &[u8]); 4] = [
        (Compression::Gzip, include_bytes!("gzip.batch")),
        (Compression::Snappy, include_bytes!("snappy.batch")),
        (Compression::Lz4, include_bytes!("lz4.batch")),
        (Compression::Zstd, include_bytes!("zstd.batch")),
    ];
    for (codec, bytes) in batches {
        let batch = Batch::check(bytes).unwrap();
        assert_eq!(batch.header().attributes.codec(), codec);
        let records = inflated(bytes, 1 << 20).unwrap_or_else(|error| panic!("{codec}: {error}"));
        assert_eq!(records.len(), 12, "{codec}");
        let youngest = records.iter().map(|record| record.timestamp).max();
        assert_eq!(youngest, Some(batch.header().max_timestamp), "{codec}");
        // The same records, whatever they are compressed with next.
        let mut own = bytes.to_vec();
        own[..8].fill(0);
        CODECS
            .iter()
            .for_each(|next| assert_eq!(inflated(&recompressed(&own, *next), 1 << 20).unwrap(), records));
    }
}

#[test]
fn what_takes_more_memory_than_allowed_is_refused() {
    let zeros = encode(&[Owned { value: Some(vec![0; 1 << 20]), ..text("k", "") }]);
    for codec in &CODECS[1..] {
        let small = recompressed(&zeros, *codec);
        assert!(small.len() < 1 << 18, "{codec}: {}", small.len());
        assert_eq!(inflated(&small, 2 << 20).unwrap()[0].value.as_ref().map(Vec::len), Some(1 << 20));
        let error = Batch::check(&small).unwrap().inflate(1 << 20).unwrap_err();
        assert_eq!(error, BatchError::InflatedTooLarge { codec: *codec, limit: 1 << 20 });
    }
}

#[test]
fn rule_12_a_compressed_batch_is_checked_like_any_other() {
    for codec in &CODECS[1..] {
        let batch = recompressed(&sample(), *codec);
        let wrong_time = patched(&batch, 35, &0i64.to_be_bytes());
        let mut bytes = wrong_time.clone();
        assert_eq!(
            ValidBatch::validate(&mut bytes).unwrap().bytes(),
            batch,
            "a wrong max timestamp is mended"
        );
        let one_more = patched(&patched(&batch, 57, &4i32.to_be_bytes()), 23, &3i32.to_be_bytes());
        assert!(ValidBatch::validate(&mut one_more.clone()).is_err());
    }
}

proptest! {
    #[test]
    fn any_records_come_back_from_any_codec(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..20),
        codec in prop::sample::select(&CODECS[..]),
    ) {
        let records: Vec<Owned> =
            values.into_iter().map(|value| Owned { value: Some(value), ..text("k", "") }).collect();
        prop_assert_eq!(inflated(&recompressed(&encode(&records), codec), 1 << 20).unwrap(), records);
    }

    #[test]
    fn bytes_that_are_not_compressed_data_are_an_error_and_no_panic(
        at in 61usize..300,
        value in any::<u8>(),
        keep in 0usize..400,
        codec in prop::sample::select(&CODECS[1..]),
    ) {
        let records: Vec<Owned> = (0..20).map(|n| text(&n.to_string(), "some text, again and again")).collect();
        let batch = recompressed(&encode(&records), codec);
        let mut damaged = batch.clone();
        if let Some(byte) = damaged.get_mut(at) {
            *byte = value;
        }
        damaged.truncate(batch.len().min(61 + keep));
        let length = (damaged.len() as i32 - 12).to_be_bytes();
        damaged[8..12].copy_from_slice(&length);
        // The checksum is right: somebody wrote it so.
        if let Ok(read) = inflated(&sealed(damaged), 1 << 16) {
            prop_assert_eq!(read.len(), records.len());
        }
    }
}
