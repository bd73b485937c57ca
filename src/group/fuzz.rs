//! What must hold of any record of `__consumer_offsets`.

#![allow(clippy::unwrap_used, reason = "what does not hold panics")]

use super::{
    commit::{CommitRecord, Committed},
    offset_record::partition_for_group,
    record::GroupRecord,
};
use crate::{
    record::{Batch, MAX_INFLATED},
    types::{LeaderEpoch, Offset, Timestamp, TopicId},
};

/// Takes the bytes for a key, with its length before it, and a value; a length that is negative says that there is no
/// value. A record that is read is written, and read back.
pub(crate) fn offsets_record(input: &[u8]) {
    let Some((len, rest)) = input.split_first_chunk() else { return };
    let len = i16::from_be_bytes(*len);
    let (key, value) = rest.split_at(rest.len().min(usize::from(len.unsigned_abs())));
    let value = (len >= 0).then_some(value);
    let Ok(Some(record)) = GroupRecord::decode(Some(key), value) else { return };
    check_group(record.group());
    // What is read of an older version may be longer than what is written.
    let Ok((key, value)) = record.encode() else { return };
    assert_eq!(GroupRecord::decode(Some(&key), value.as_deref()), Ok(Some(record)));
}

fn check_group(id: &str) {
    assert_eq!(partition_for_group(id, 1), 0);
    assert!((0..50).contains(&partition_for_group(id, 50)));
}

fn input(key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let len = i16::try_from(key.len()).unwrap();
    let len = if value.is_some() { len } else { -len };
    [&len.to_be_bytes(), key, value.unwrap_or_default()].concat()
}

/// Commits and the end of one.
pub(crate) fn records() -> Vec<Vec<u8>> {
    let committed = |epoch: Option<i32>, metadata: &str, topic_id| Committed {
        offset: Offset::new(42),
        leader_epoch: epoch.map(LeaderEpoch),
        metadata: metadata.to_owned(),
        at: Timestamp::from_millis(1_700_000_000_000),
        topic_id,
    };
    let id = TopicId::from_bytes([5; 16]);
    let all = [None, Some(committed(Some(3), "é", Some(id))), Some(committed(None, "", None))];
    let record = |committed| {
        let record = CommitRecord { group: "group".to_owned(), partition: ("topic", 7).into(), committed };
        let (key, value) = record.encode().unwrap();
        input(&key, value.as_deref())
    };
    all.map(record).to_vec()
}

/// The records of a log.
pub(crate) fn records_of(mut log: &[u8]) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    while let Ok(batch) = Batch::check(log) {
        let inflated = batch.inflate(MAX_INFLATED).unwrap_or_default();
        let plain = inflated.as_deref().and_then(Batch::unchecked).unwrap_or(batch);
        inputs.extend(plain.records().filter_map(|record| Some(input(record.key?, record.value))));
        log = log.get(batch.header().size..).unwrap_or_default();
    }
    inputs
}
