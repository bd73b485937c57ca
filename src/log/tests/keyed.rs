//! Batches with keys, of producers and transactions; cleaning a log as a broker does, and reading one as a consumer of what is
//! committed does.

use super::*;
use crate::{
    log::{Cleaned, Cleaning, How, KeyHash, Replacement, Step},
    prng::Prng,
    record::{BatchError, BatchHeader},
    rpc::AbortedTransaction,
    types::Compression,
};
use std::collections::BTreeSet;

/// Key and value of a record.
pub(super) type Pair<'p> = (Option<&'p str>, Option<&'p str>);

/// A producer's id, whether it is in a transaction, and the sequence of the batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct By(pub(super) i64, pub(super) bool, pub(super) i32);

/// A batch as a leader has it, of nobody or of a producer.
pub(super) fn keyed(at: i64, pairs: &[Pair<'_>], by: Option<By>, codec: Compression) -> Vec<u8> {
    let (mut buffer, mut packed) = (Vec::new(), Vec::new());
    let mut writer = BatchWriter::new(&mut buffer);
    for (key, value) in pairs {
        let at = Timestamp::from_millis(at);
        writer.push(at, key.map(str::as_bytes), value.map(str::as_bytes), &[]).unwrap();
    }
    let plain = writer.finish();
    let mut bytes = plain.bytes().to_vec();
    // Without its feature it stays as it is.
    if let Ok(batch) = plain.recompress(codec, &mut packed) {
        bytes = batch.bytes().to_vec();
    }
    if let Some(By(id, is_transactional, sequence)) = by {
        let attributes = i16::from_be_bytes([bytes[21], bytes[22]]) | if is_transactional { 0x10 } else { 0 };
        seal(&mut bytes, id, attributes, sequence);
    }
    bytes
}

/// The marker that ends a producer's transaction.
pub(super) fn marker(at: i64, id: i64, is_abort: bool) -> Vec<u8> {
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    let key = [0, 0, 0, u8::from(!is_abort)];
    writer.push(Timestamp::from_millis(at), Some(&key), Some(&[0; 6]), &[]).unwrap();
    let mut bytes = writer.finish().bytes().to_vec();
    seal(&mut bytes, id, 0x30, -1);
    bytes
}

/// Makes a batch a producer's, and mends its checksum.
pub(super) fn seal(bytes: &mut [u8], id: i64, attributes: i16, sequence: i32) {
    bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
    bytes[43..51].copy_from_slice(&id.to_be_bytes());
    bytes[51..53].copy_from_slice(&0_i16.to_be_bytes());
    bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
}

/// A cleaning with room for `keys` keys, step by step; what is left of it when something fails is left to the next open.
pub(super) fn clean(log: &mut Log, now: i64, keys: usize) -> Result<Option<Cleaned>> {
    let Some(mut cleaning) = begin(log, now, keys)? else { return Ok(None) };
    loop {
        match cleaning.step(200)? {
            Step::More => {}
            Step::Void => return Ok(None),
            Step::Swap(replacement) => {
                if !swap(log, *replacement)? {
                    return Ok(None);
                }
            }
            Step::Done(cleaned) => {
                log.end_cleaning(&cleaned);
                return Ok(Some(cleaned));
            }
        }
    }
}

pub(super) fn begin(log: &mut Log, now: i64, keys: usize) -> Result<Option<Cleaning>> {
    let how = How { hash: KeyHash::new(&mut Prng::new(7)), memory: keys * 32 * 10 / 9 + 1, thorough: true };
    let end = log.end();
    log.begin_cleaning(Timestamp::from_millis(now), end, how)
}

/// As a broker puts a segment in place.
pub(super) fn swap(log: &mut Log, by: Replacement) -> Result<bool> {
    let storage = Arc::clone(&log.storage);
    if !log.can_replace(&by) {
        by.abandon(&*storage);
        return Ok(false);
    }
    if let Err((error, undone)) = by.announce(&*storage) {
        if !undone {
            log.give_up(&error);
        }
        return Err(error);
    }
    let (base, dir) = (by.base(), by.dir().to_owned());
    let put = || -> Result<()> {
        let files = log.replace(by)?;
        storage.sync_dir(&dir)?;
        log.end_replace(base)?;
        storage.sync_dir(&dir)?;
        files.iter().try_for_each(|file| storage.remove_file(file))
    };
    let done = put();
    if let Err(error) = &done {
        log.give_up(error);
    }
    done.map(|()| true)
}

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) offset: i64,
    pub(super) at: i64,
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
    /// Whether a consumer of what is committed passes over it.
    pub(super) aborted: bool,
}

/// As `try_seen`, of a disk that works.
pub(super) fn seen(log: &mut Log) -> (Vec<Seen>, Vec<BatchHeader>) {
    try_seen(log).unwrap()
}

/// All records from the log's start on, and the headers of all batches.
pub(super) fn try_seen(log: &mut Log) -> Result<(Vec<Seen>, Vec<BatchHeader>)> {
    let (start, end) = (log.start(), log.end());
    let mut aborted: Vec<AbortedTransaction> = log.aborted(start, end)?;
    aborted.sort_by_key(|aborted| aborted.first_offset);
    aborted.reverse();
    let (mut active, mut records, mut headers) = (BTreeSet::new(), Vec::new(), Vec::new());
    let mut from = start;
    while from < end {
        let bytes = log.read(from, end, 1 << 20, true)?;
        assert!(!bytes.is_empty(), "nothing leads from {from} to {end}");
        let mut rest = &*bytes;
        while let Ok(batch) = Batch::check(rest) {
            let header = *batch.header();
            while let Some(next) = aborted.last().filter(|next| next.first_offset <= header.last_offset()) {
                active.insert(next.producer_id);
                aborted.pop();
            }
            if header.attributes.is_control() {
                if batch.marker().is_some_and(|marker| marker.is_abort()) {
                    active.remove(&header.producer_id);
                }
            } else {
                let is_aborted = header.attributes.is_transactional() && active.contains(&header.producer_id);
                read_batch(&batch, start, is_aborted, &mut records);
            }
            headers.push(header);
            (from, rest) = (header.next_offset(), &rest[header.size..]);
        }
    }
    Ok((records, headers))
}

fn read_batch(batch: &Batch<'_>, start: Offset, aborted: bool, into: &mut Vec<Seen>) {
    match batch.check_records() {
        // Without its feature.
        Err(BatchError::UnsupportedCodec(_)) => return,
        checked => checked.unwrap(),
    }
    let inflated = batch.inflate(1 << 20).unwrap();
    let readable = Batch::unchecked(inflated.as_deref().unwrap_or(batch.bytes())).unwrap();
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    into.extend(readable.records().filter(|record| record.offset >= start).map(|record| Seen {
        offset: record.offset.get(),
        at: record.timestamp.as_millis(),
        key: text(record.key),
        value: text(record.value),
        aborted,
    }));
}
