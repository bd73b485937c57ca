//! Batches that Kafka 4.3.1 wrote.

use super::*;
use crate::types::Compression;
use crate::types::{LeaderEpoch, Offset};

/// Twelve records of all kinds: null and empty keys and values, headers twice and null and not ASCII, timestamps
/// that go back.
const PLAIN: &str = include_str!("golden_batch.hex");
const IDEMPOTENT: &str = "0000000000000002000000a80000000002d37c5a3e0000000000020000018bcfe568020000018bcfe5680800\
    00000000000000000000000000000000035a00000004693234666c696768742034302064656c6179656420666c69676874203206\
    02610231026102320262014e0004020469343e666c69676874203239342064656c6179656420666c696768742034302064650040\
    000c0404693804666c0400001ec3bc6ec3af63c3b664c3a92ded82a406eab092";
/// Of four offsets the first has a record left, and its timestamp counts from the delete horizon.
const COMPACTED: &str = "00000000000001b8000000770000000002aadfa176004000000003000001a209569de90000018bd1783d00ffffff\
    ffffffffffffffffffffff00000001880100d183f3fdc60500066b33346c666c69676874203238392064656c6179656420666c69676874203435\
    332064656c6179656420666c696768742036352064656c61796500";
/// The end of a transaction: a commit.
const MARKER: &str = "0000000000000005000000420000000002338a9546003000000000000001a20430344d000001a20430344d00000000\
    000000020001ffffffff000000012000000008000000010c00000000000000";

#[test]
fn the_checksum_is_crc_32c() {
    assert_eq!(crc32c::crc32c(b"Some String"), 608_512_271);
}

#[test]
fn kafkas_batch_is_written_again_byte_for_byte() {
    let golden = hex(PLAIN);
    let records = decode(&golden).unwrap();
    let mut bytes = encode(&records);
    let mut batch = ValidBatch::validate(&mut bytes).unwrap();
    batch.place(Offset::new(32), LeaderEpoch(0));
    assert_eq!(batch.bytes(), golden);
    assert_eq!(*batch.header(), BatchHeader::parse(&golden).unwrap());
    let offsets: Vec<_> = batch.records().map(|record| record.offset.get()).collect();
    assert_eq!(offsets, (32..44).collect::<Vec<_>>());

    assert_eq!(records[0].key.as_deref(), Some(&b"key-17"[..]));
    let timestamps: Vec<_> = records.iter().take(3).map(|record| record.timestamp).collect();
    assert_eq!(timestamps, [1_700_000_276_255, 1_700_000_461_594, 1_699_999_805_491]);
    let expected = [("a", Some(&b"1"[..])), ("a", Some(b"2")), ("b", None)];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.map(<[u8]>::to_vec)));
    assert_eq!((records[3].key.as_deref(), &records[3].headers[..]), (Some(&[][..]), &expected[..]));
    assert_eq!((records[11].timestamp, &records[11].value), (1_700_000_310_689, &None));
    let header = BatchHeader::parse(&golden).unwrap();
    assert_eq!((header.max_timestamp, header.crc), (1_700_000_475_546, 0x4bb4_e8cd));
}

#[test]
fn a_producers_batch_differs_in_the_producers_fields_only() {
    let golden = hex(IDEMPOTENT);
    let mut ours = encode(&decode(&golden).unwrap());
    let header = BatchHeader::parse(&golden).unwrap();
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (0, 0, 0));
    assert_eq!(header.last_offset(), Offset::new(4));
    ours[43..57].copy_from_slice(&golden[43..57]);
    let mut ours = sealed(ours);
    ValidBatch::validate(&mut ours).unwrap().place(Offset::new(2), LeaderEpoch(0));
    assert_eq!(ours, golden);
}

#[test]
fn a_compacted_batch_keeps_its_offsets_and_timestamps() {
    let bytes = hex(COMPACTED);
    let batch = Batch::check(&bytes).unwrap();
    batch.check_records().unwrap();
    let header = batch.header();
    assert!(header.attributes.has_delete_horizon() && !header.attributes.is_log_append_time());
    assert_eq!((header.record_count, header.next_offset()), (1, Offset::new(444)));
    let record = batch.records().next().unwrap();
    assert_eq!((record.offset, record.key), (Offset::new(440), Some(&b"k34"[..])));
    assert_eq!(record.timestamp, Timestamp::from_millis(header.max_timestamp));
}

#[test]
fn a_marker_is_a_control_batch() {
    let bytes = hex(MARKER);
    let batch = Batch::check(&bytes).unwrap();
    batch.check_records().unwrap();
    let attributes = batch.header().attributes;
    assert!(attributes.is_control() && attributes.is_transactional());
    assert_eq!((attributes.bits(), attributes.codec()), (0x30, Compression::None));
    let record = batch.records().next().unwrap();
    assert_eq!((record.key, record.value), (Some(&[0, 0, 0, 1][..]), Some(&[0; 6][..])));
    assert_eq!(batch.bytes(), bytes);
}
