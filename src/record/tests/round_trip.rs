//! What is written reads back.

use super::*;
use crate::types::{LeaderEpoch, Offset};
use proptest::{collection::vec, option, prelude::*};

fn bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    option::weighted(0.8, prop_oneof![8 => vec(any::<u8>(), 0..70), 1 => vec(any::<u8>(), 8_000..20_000)])
}

fn records(timestamps: impl Strategy<Value = i64>) -> impl Strategy<Value = Vec<Owned>> {
    // Few keys, so that duplicates are common.
    let header = (prop_oneof!["[ab]?", "\\PC{0,80}"], option::of(vec(any::<u8>(), 0..20)));
    let record = (timestamps, bytes(), bytes(), vec(header, 0..5));
    let record = record.prop_map(|(timestamp, key, value, headers)| Owned { timestamp, key, value, headers });
    vec(record, 1..20)
}

proptest! {
    #[test]
    fn records_read_back_in_order_with_everything_in_them(records in records(-5000..5000i64), base in 0..i64::MAX / 2) {
        let mut buffer = vec![9; 30];
        let mut writer = BatchWriter::new(&mut buffer);
        for (n, record) in records.iter().enumerate() {
            let before = writer.size();
            record.push_to(&mut writer).unwrap();
            let delta = record.timestamp - records[0].timestamp;
            let size = record_size(delta, n as i32, record.key.as_deref(), record.value.as_deref(), &record.headers());
            prop_assert_eq!(writer.size(), before + size);
            prop_assert_eq!(writer.record_count(), n as i32 + 1);
        }
        let size = writer.size();
        let mut batch = writer.finish();
        batch.place(Offset::new(base), LeaderEpoch(7));
        prop_assert_eq!(batch.bytes().len(), size);
        let read = Batch::check(batch.bytes()).unwrap();
        read.check_records().unwrap();
        prop_assert_eq!(read.header(), batch.header());
        let header = read.header();
        prop_assert_eq!((header.size, header.record_count as usize), (size, records.len()));
        prop_assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (-1, -1, -1));
        prop_assert_eq!(Some(header.max_timestamp), records.iter().map(|record| record.timestamp).max());
        prop_assert_eq!(header.next_offset(), Offset::new(base + records.len() as i64));
        let offsets: Vec<_> = read.records().map(|record| record.offset.get() - base).collect();
        prop_assert_eq!(offsets, (0..records.len() as i64).collect::<Vec<_>>());
        prop_assert_eq!(read.records().map(Owned::of).collect::<Vec<_>>(), records);
    }

    #[test]
    fn timestamps_of_the_whole_range_read_back_or_are_refused(records in records(any::<i64>())) {
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        let mut kept = Vec::new();
        for record in records {
            let first = kept.first().map_or(record.timestamp, |first: &Owned| first.timestamp);
            let fits = record.timestamp.checked_sub(first).is_some();
            prop_assert_eq!(record.push_to(&mut writer).is_ok(), fits);
            kept.extend(fits.then_some(record));
        }
        prop_assert_eq!(decode(writer.finish().bytes()), Ok(kept));
    }
}

#[test]
fn a_record_that_cannot_be_added_leaves_the_batch_as_it_was() {
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    let first = Owned { timestamp: i64::MIN, ..text("k", "v") };
    first.push_to(&mut writer).unwrap();
    let before = writer.size();
    let late = Owned { timestamp: 0, ..text("k", "v") };
    let refused = Err(BatchError::TimestampRange { timestamp: 0, base: i64::MIN });
    assert_eq!(late.push_to(&mut writer), refused);
    // Sixteen times one value makes more than an i32 holds, out of little memory.
    let huge = vec![0; 1 << 27];
    let headers = [Header { key: "h", value: Some(&huge) }; 16];
    let at = Timestamp::from_millis(i64::MIN);
    assert!(matches!(writer.push(at, None, None, &headers), Err(BatchError::TooLarge { .. })));
    assert_eq!((writer.size(), writer.record_count()), (before, 1));
    assert_eq!(decode(writer.finish().bytes()), Ok(vec![first]));
    assert!(buffer.capacity() < 1000);
}

#[test]
fn a_batch_without_records_stands_for_one_offset() {
    let batch = encode(&[]);
    assert_eq!(batch.len(), BATCH_HEADER_LEN);
    assert_eq!(decode(&batch), Ok(vec![]));
    let header = BatchHeader::parse(&batch).unwrap();
    assert_eq!((header.record_count, header.next_offset()), (0, Offset::new(1)));
}

#[test]
fn the_last_header_of_a_key_counts() {
    let batch = sample();
    let records: Vec<_> = Batch::check(&batch).unwrap().records().collect();
    let headers = records[1].headers;
    assert_eq!((headers.len(), headers.is_empty()), (3, false));
    assert_eq!(headers.last("a"), Some(Header { key: "a", value: None }));
    assert_eq!(headers.last("ü"), Some(Header { key: "ü", value: Some(&[]) }));
    assert_eq!(headers.last("b"), None);
    assert!(records[0].headers.is_empty() && records[0].headers.last("a").is_none());
    let shown = r#"[Header { key: "a", value: Some([49]) }, Header { key: "a", value: None }, Header { key: "ü", value: Some([]) }]"#;
    assert_eq!(format!("{headers:?}"), shown);
    assert_eq!(format!("{:?}", headers.iter()), shown);
}

#[test]
fn rule_16_log_append_time_changes_attributes_max_timestamp_and_checksum() {
    let mut bytes = sample();
    let before = BatchHeader::parse(&bytes).unwrap();
    let mut batch = ValidBatch::validate(&mut bytes).unwrap();
    batch.set_log_append_time(Timestamp::from_millis(5555));
    let header = *batch.header();
    assert!(batch.records().all(|record| record.timestamp == Timestamp::from_millis(5555)));
    let read = Batch::check(&bytes).unwrap();
    read.check_records().unwrap();
    assert_eq!(*read.header(), header);
    assert_eq!((header.attributes.bits(), header.max_timestamp), (8, 5555));
    assert_eq!(header.base_timestamp, before.base_timestamp);
    assert_eq!(bytes[61..], sample()[61..]);
    assert!(read_back(&bytes).iter().all(|record| record.timestamp == 5555));
}

fn read_back(batch: &[u8]) -> Vec<Owned> {
    Batch::unchecked(batch).unwrap().records().map(Owned::of).collect()
}
