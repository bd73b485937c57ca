//! Damaged batches are errors, and nothing damaged panics or takes memory.

use super::*;
use proptest::{collection::vec, prelude::*};

fn read_all(bytes: &[u8]) {
    let _ = decode(bytes);
    let _ = ValidBatch::validate(&mut bytes.to_vec()).map(|batch| batch.records().count());
    for record in Batch::unchecked(bytes).iter().flat_map(Batch::records) {
        let _ = (record.headers.iter().count(), format!("{record:?}"));
    }
}

#[test]
fn every_flipped_bit_that_the_decoder_answers_for_is_an_error() {
    // Another batch follows, so that a longer length has bytes to take.
    let batch = sample();
    let log = [&batch[..], &sample(), &sample()].concat();
    for at in (8..12).chain(16..batch.len()) {
        for bit in 0..8 {
            let mut log = log.clone();
            log[at] ^= 1 << bit;
            assert!(decode(&log).is_err(), "byte {at}, bit {bit}");
        }
    }
    // The others are the log's to check: offset and leader epoch.
    for at in (1..8).chain(12..16) {
        let mut log = log.clone();
        log[at] ^= 1;
        assert!(Batch::check(&log).is_ok(), "byte {at}");
    }
}

#[test]
fn every_cut_is_an_error_that_says_how_many_bytes_are_missing() {
    let batch = sample();
    for len in 0..batch.len() {
        let needed = if len < BATCH_HEADER_LEN { BATCH_HEADER_LEN } else { batch.len() };
        let error = BatchError::TooShort { needed, have: len };
        assert_eq!(Batch::check(&batch[..len]).unwrap_err(), error);
        assert!(Batch::unchecked(&batch[..len]).is_none());
        assert!(error.is_corrupt());
    }
    assert!(BatchHeader::parse(&batch[..BATCH_HEADER_LEN]).is_ok());
}

#[test]
fn what_is_no_batch_is_told_by_its_length_and_magic() {
    assert_eq!(Batch::check(&[0; 100]).unwrap_err(), BatchError::Length(0));
    assert_eq!(Batch::check(&[0xff; 100]).unwrap_err(), BatchError::Length(-1));
    for (length, error) in [
        (48, BatchError::Length(48)),
        (i32::MIN, BatchError::Length(i32::MIN)),
        (
            i32::MAX,
            BatchError::TooShort { needed: i32::MAX as usize + BATCH_PREFIX_LEN, have: sample().len() },
        ),
    ] {
        assert_eq!(Batch::check(&patched(&sample(), 8, &length.to_be_bytes())).unwrap_err(), error);
    }
    for magic in [0, 1, 3, -1] {
        let batch = patched(&sample(), 16, &i8::to_be_bytes(magic));
        assert_eq!(Batch::check(&batch).unwrap_err(), BatchError::Magic(magic));
    }
}

#[test]
fn a_header_that_contradicts_itself_is_refused() {
    for (at, value) in [
        (0, &i64::MIN.to_be_bytes()[..]),
        (0, &(i64::MAX - 2).to_be_bytes()),
        (23, &(-1i32).to_be_bytes()),
        (57, &(-1i32).to_be_bytes()),
        (57, &4i32.to_be_bytes()),
        (57, &i32::MAX.to_be_bytes()),
        (22, &[7]),
    ] {
        let batch = patched(&sample(), at, value);
        assert!(matches!(BatchHeader::parse(&batch), Err(BatchError::Header(_))), "{at}");
        assert!(matches!(Batch::check(&batch), Err(BatchError::Header(_))), "{at}");
        assert!(Batch::unchecked(&batch).is_none());
    }
    let last = patched(&sample(), 0, &(i64::MAX - 3).to_be_bytes());
    assert_eq!(BatchHeader::parse(&last).unwrap().next_offset().get(), i64::MAX);
}

/// Counts and lengths as large as can be: reading stops at the bytes that are there.
#[test]
fn claims_of_two_thousand_million_are_refused_at_once() {
    let max = [0xfe, 0xff, 0xff, 0xff, 0x0f];
    let records = patched(&patched(&sample(), 57, &i32::MAX.to_be_bytes()), 23, &i32::MAX.to_be_bytes());
    assert!(matches!(
        Batch::check(&records).unwrap().check_records(),
        Err(BatchError::Record { index: 3, .. })
    ));
    assert_eq!(Batch::unchecked(&records).unwrap().records().count(), 3);
    // A record of one claim after another: its own length, its key's, its value's, its header count.
    let fields: [&[u8]; 4] = [&max, &[12, 0, 0, 0, 0xfe], &[14, 0, 0, 0, 1], &[16, 0, 0, 0, 1, 1]];
    for fields in fields {
        let mut batch = encode(&[text("key", "a value that has room for it")]);
        batch[61..61 + fields.len()].copy_from_slice(fields);
        let at = 61 + fields.len();
        batch[at..at + 5].copy_from_slice(&max);
        let batch = sealed(batch);
        assert!(matches!(
            Batch::check(&batch).unwrap().check_records(),
            Err(BatchError::Record { index: 0, .. })
        ));
        let headers = Batch::unchecked(&batch).unwrap().records().flat_map(|record| record.headers).count();
        assert_eq!(headers, 0);
    }
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn mutations_never_panic(at in 0..sample().len(), value in vec(any::<u8>(), 1..12), cut in 0..200usize) {
        let mut batch = sample();
        let end = batch.len().min(at + value.len());
        batch[at..end].copy_from_slice(&value[..end - at]);
        read_all(&batch);
        // With a good checksum and a length that fits, so that the records are reached.
        batch.truncate(batch.len() - cut.min(batch.len() - BATCH_HEADER_LEN));
        let length = (batch.len() - BATCH_PREFIX_LEN) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        read_all(&sealed(batch));
    }

    #[test]
    fn garbage_for_records_never_panics(body in vec(prop_oneof![0..24u8, any::<u8>()], 0..200), count in 0..20i32) {
        let mut batch = encode(&[]);
        batch.extend_from_slice(&body);
        let length = (batch.len() - BATCH_PREFIX_LEN) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[23..27].copy_from_slice(&19i32.to_be_bytes());
        batch[57..61].copy_from_slice(&count.to_be_bytes());
        read_all(&sealed(batch));
    }
}
