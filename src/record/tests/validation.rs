//! What a client may send.

use super::*;
use crate::types::Compression;
use proptest::prelude::*;

fn validate(bytes: &[u8]) -> Result<Vec<u8>, BatchError> {
    let mut bytes = bytes.to_vec();
    ValidBatch::validate(&mut bytes).map(|batch| batch.bytes().to_vec())
}

#[test]
fn what_is_in_order_stays_as_it_is() {
    assert_eq!(validate(&sample()), Ok(sample()));
    // A producer id with a sequence, a transaction, flags that mean nothing yet.
    for (at, value) in [(43, &[0; 14][..]), (21, &[0, 0x10]), (21, &[0x80, 0x80])] {
        let batch = patched(&sample(), at, value);
        assert_eq!(validate(&batch), Ok(batch));
    }
}

#[test]
fn rule_12_one_batch_from_offset_0_with_every_offset_and_a_sequence() {
    let two = [sample(), sample()].concat();
    let base_offset_1 = patched(&sample(), 7, &[1]);
    let more_offsets = patched(&sample(), 23, &3i32.to_be_bytes());
    let no_sequence = patched(&sample(), 43, &[0; 10]);
    for batch in [two, base_offset_1, more_offsets, no_sequence, encode(&[])] {
        let error = validate(&batch).unwrap_err();
        assert!(matches!(error, BatchError::Rejected(_)) && !error.is_corrupt(), "{error}");
    }
    let fewer_offsets = patched(&sample(), 23, &1i32.to_be_bytes());
    assert!(matches!(validate(&fewer_offsets), Err(BatchError::Header(_))));
    let mut flipped = sample();
    flipped[70] ^= 1;
    assert!(validate(&flipped).unwrap_err().is_corrupt());
}

#[test]
fn rule_12_a_wrong_max_timestamp_is_mended() {
    for wrong in [0i64, -1, i64::MAX, 999] {
        assert_eq!(validate(&patched(&sample(), 35, &wrong.to_be_bytes())), Ok(sample()));
    }
}

#[test]
fn rule_13_no_control_batch() {
    let control = patched(&sample(), 22, &[0x20]);
    assert!(matches!(validate(&control), Err(BatchError::Rejected(_))));
    let append_time = patched(&sample(), 22, &[0x08]);
    assert!(matches!(validate(&append_time), Err(BatchError::Rejected(_))));
}

#[test]
fn what_claims_to_be_compressed_and_is_not_is_refused() {
    let codecs =
        [(1, Compression::Gzip), (2, Compression::Snappy), (3, Compression::Lz4), (4, Compression::Zstd)];
    for (id, codec) in codecs {
        let batch = patched(&sample(), 22, &[id]);
        let off = BatchError::UnsupportedCodec(codec);
        let refused = validate(&batch);
        assert!(refused == Err(BatchError::Compressed(codec)) || refused == Err(off), "{refused:?}");
        assert_eq!(Batch::check(&batch).unwrap().records().count(), 0);
        assert!(off.to_string().contains(&format!("feature `{codec}`")));
    }
    assert!(matches!(validate(&patched(&sample(), 22, &[5])), Err(BatchError::Header(_))));
}

#[test]
fn records_that_contradict_the_batch_are_refused() {
    let three = encode(&[text("a", "1"), text("b", "2"), text("c", "3")]);
    // Each record has nine bytes: length, attributes, timestamp, offset, key and value of one byte each, no headers.
    assert_eq!(three.len(), 61 + 27);
    let record = |n: usize| 61 + 9 * n;
    let bad = [
        ("an offset twice", record(1) + 3, 0),
        ("an offset beyond the last", record(2) + 3, 6),
        ("a negative offset", record(0) + 3, 1),
        ("a longer record", record(0), 18),
        ("a shorter record", record(2), 14),
        ("a negative length", record(0), 15),
        ("no bytes at all", record(0), 0),
        ("a longer key", record(0) + 4, 20),
        ("a longer value", record(0) + 6, 4),
        ("a header that is not there", record(1) + 8, 2),
        ("a negative header count", record(1) + 8, 1),
    ];
    for (what, at, value) in bad {
        let batch = patched(&three, at, &[value]);
        let error = Batch::check(&batch).unwrap().check_records().unwrap_err();
        assert!(matches!(error, BatchError::Record { .. }), "{what}: {error}");
        assert!(!error.is_corrupt());
        assert!(validate(&batch).is_err(), "{what}");
        assert!(Batch::unchecked(&batch).unwrap().records().count() <= 3, "{what}");
    }
    let fewer = patched(&three, 57, &2i32.to_be_bytes());
    assert!(matches!(Batch::check(&fewer).unwrap().check_records(), Err(BatchError::Header(_))));
    let negative_null = patched(&encode(&[Owned { key: None, ..text("", "v") }]), 65, &[7]);
    assert_eq!(decode(&negative_null).unwrap()[0].key, None);
}

#[test]
fn headers_without_a_readable_key_are_refused() {
    let headers = vec![("k".to_owned(), Some(b"v".to_vec()))];
    let batch = encode(&[Owned { headers, ..text("a", "1") }]);
    let at = batch.len() - 4;
    assert_eq!(batch[at..], [2, b'k', 2, b'v']);
    for (what, value) in [
        ("a null key", [1, 2, 2, b'v']),
        ("a key that is not UTF-8", [2, 0xff, 2, b'v']),
        ("a key that is cut off", [8, b'k', 2, b'v']),
        ("a value that is cut off", [2, b'k', 4, b'v']),
        ("a byte too many", [2, b'k', 0, b'v']),
    ] {
        let batch = patched(&batch, at, &value);
        let error = Batch::check(&batch).unwrap().check_records().unwrap_err();
        assert!(matches!(error, BatchError::Record { index: 0, .. }), "{what}: {error}");
        let seen = Batch::unchecked(&batch).unwrap().records().flat_map(|record| record.headers).count();
        assert!(seen <= 1, "{what}");
    }
}

#[test]
fn timestamps_beyond_64_bits_are_refused() {
    let batch = encode(&[text("a", "1"), Owned { timestamp: 1001, ..text("b", "2") }]);
    let batch = patched(&batch, 27, &i64::MAX.to_be_bytes());
    let error = Batch::check(&batch).unwrap().check_records();
    assert!(matches!(error, Err(BatchError::Record { index: 1, .. })), "{error:?}");
    assert_eq!(Batch::unchecked(&batch).unwrap().records().count(), 2);
}

proptest! {
    /// Whatever the header says, under a good checksum: an error or a batch, and never a panic.
    #[test]
    fn any_header_is_read_or_refused(at in 0..61usize, value: [u8; 8]) {
        let value = &value[..value.len().min(61 - at)];
        let batch = patched(&sample(), at, value);
        let _ = validate(&batch);
        let _ = decode(&batch);
        let _ = Batch::unchecked(&batch).map(|batch| batch.records().flat_map(|record| record.headers).count());
    }
}
