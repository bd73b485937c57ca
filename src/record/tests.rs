//! Tests of batches, all over slices.

#[cfg(all(feature = "gzip", feature = "snappy", feature = "lz4", feature = "zstd"))]
mod codecs;
mod damage;
mod kafka;
mod round_trip;
mod validation;

use super::{owned::Owned, *};
use crate::types::Timestamp;

fn text(key: &str, value: &str) -> Owned {
    Owned { timestamp: 1000, key: Some(key.into()), value: Some(value.into()), headers: Vec::new() }
}

fn encode(records: &[Owned]) -> Vec<u8> {
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    for record in records {
        record.push_to(&mut writer).unwrap();
    }
    writer.finish().bytes().to_vec()
}

/// A batch of three records, of which one has headers and one has nothing.
fn sample() -> Vec<u8> {
    let headers =
        vec![("a".to_owned(), Some(b"1".to_vec())), ("a".to_owned(), None), ("ü".to_owned(), Some(vec![]))];
    let empty = Owned { timestamp: -7, key: None, value: None, headers: vec![] };
    encode(&[text("k1", "one"), Owned { headers, ..text("k2", "two") }, empty])
}

fn decode(batch: &[u8]) -> Result<Vec<Owned>, BatchError> {
    let batch = Batch::check(batch)?;
    batch.check_records()?;
    Ok(batch.records().map(Owned::of).collect())
}

/// Writes `value` over the bytes at `at`, and the checksum anew.
fn patched(batch: &[u8], at: usize, value: &[u8]) -> Vec<u8> {
    let mut batch = batch.to_vec();
    batch[at..at + value.len()].copy_from_slice(value);
    sealed(batch)
}

fn sealed(mut batch: Vec<u8>) -> Vec<u8> {
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter_map(|c| char::from(c).to_digit(16)).map(|n| n as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
