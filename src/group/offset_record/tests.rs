//! Real records, written by Kafka 4.3.1, and made up ones of older versions.

use super::*;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap()).collect()
}

fn commit<'a>(key: &'a [u8], value: &'a [u8]) -> (OffsetKey<'a>, OffsetValue<'a>) {
    match OffsetsRecord::decode(key, Some(value)) {
        Ok(OffsetsRecord::Commit { key, value: Some(value) }) => (key, value),
        other => panic!("not a commit: {other:?}"),
    }
}

const GROUP_CLASSIC_PLAIN_2: &str = "0001000d67726f75702d636c61737369630005706c61696e00000002";

#[test]
fn kafkas_commits_read_and_are_written_alike() {
    let note = "0004000000000000000900000000116e6f746520666f7220706c61696e2d32000001a20430597401001038a1ff5806d44417ac881196e7275389";
    let none = "00040000000000000000ffffffff01000001a20430591201001038a1ff5806d44417ac881196e7275389";
    let umlaut = "000400000000000000caffffffff1277c3b6726b20696e2070726f6772657373000001a204317c5801001038a1ff5806d44417ac881196e7275389";
    let in_transaction = "0004000000000000000bffffffff01000001a204305f9d00";
    let topic_id = TopicId::parse("OKH_WAbURBesiBGW5ydTiQ");
    let expected = [
        (note, 9, Some(0), "note for plain-2", 1_795_366_607_220, topic_id),
        (none, 0, None, "", 1_795_366_607_122, topic_id),
        (umlaut, 202, None, "wörk in progress", 1_795_366_681_688, topic_id),
        (in_transaction, 11, None, "", 1_795_366_608_797, None),
    ];
    for (bytes, offset, epoch, metadata, timestamp, topic_id) in expected {
        let (key_bytes, bytes) = (hex(GROUP_CLASSIC_PLAIN_2), hex(bytes));
        let (key, value) = commit(&key_bytes, &bytes);
        assert_eq!(key, OffsetKey { group: "group-classic", topic: "plain", partition: 2 });
        assert_eq!((value.offset, value.leader_epoch), (Offset::new(offset), epoch.map(LeaderEpoch)));
        assert_eq!((value.metadata, value.topic_id), (metadata, topic_id));
        assert_eq!(value.commit_timestamp, Timestamp::from_millis(timestamp));
        let (mut key_again, mut again) = (Vec::new(), Vec::new());
        key.encode(&mut key_again).unwrap();
        value.encode(&mut again).unwrap();
        assert_eq!((key_again, again), (key_bytes, bytes));
    }
}

#[test]
fn older_versions_read() {
    let expected = OffsetValue {
        offset: Offset::new(7),
        leader_epoch: None,
        metadata: "ab",
        commit_timestamp: Timestamp::from_millis(5),
        topic_id: None,
    };
    let key = hex("0000000167000174ffffffff");
    for (value, epoch) in [
        ("00000000000000000007000261620000000000000005", None),
        ("00010000000000000007000261620000000000000005ffffffffffffffff", None),
        ("0002000000000000000700026162 0000000000000005", None),
        ("00030000000000000007 00000003 00026162 0000000000000005", Some(LeaderEpoch(3))),
        // Zeros for a topic id, and a tag that is not known yet.
        (
            "00040000000000000007ffffffff0361620000000000000005020010000000000000000000000000000000000702ffff",
            None,
        ),
    ] {
        let value = hex(&value.replace(' ', ""));
        let (key, value) = commit(&key, &value);
        assert_eq!(key, OffsetKey { group: "g", topic: "t", partition: -1 });
        assert_eq!(value, OffsetValue { leader_epoch: epoch, ..expected });
    }
}

#[test]
fn kafkas_group_metadata_reads() {
    let key = hex("0002000d67726f75702d636c6173736963");
    let read = |value: &str| {
        let value = hex(value);
        let Ok(OffsetsRecord::GroupMetadata { group: "group-classic", value: Some(read) }) =
            OffsetsRecord::decode(&key, Some(&value))
        else {
            panic!("not group metadata");
        };
        let mut again = Vec::new();
        read.encode(&mut again).unwrap();
        assert!(value[..2] != [0, 3] || again == value, "written as Kafka writes it");
        let encoded = OffsetsRecord::decode(&key, Some(&again)).unwrap();
        assert_eq!(
            encoded,
            OffsetsRecord::GroupMetadata { group: "group-classic", value: Some(read.clone()) }
        );
        (read.protocol_type, read.generation.0, read.protocol, read.members.len())
    };
    let made = "0003000000000000ffffffff000001a20430575f00000000";
    assert_eq!(read(made), (String::new(), 0, None, 0));
    let emptied = "00030008636f6e73756d657200000002ffffffff000001a2043059a100000000";
    assert_eq!(read(emptied), ("consumer".to_owned(), 2, None, 0));
    let synced = "00030008636f6e73756d657200000001000572616e6765003d636f6e73756d65722d67726f75702d636c61737369632d312d32623365393761332d353362632d346530652d623732312d633230393932636361343138000001a2043057ca00000001003d636f6e73756d65722d67726f75702d636c61737369632d312d32623365393761332d353362632d346530652d623732312d633230393932636361343138ffff0018636f6e73756d65722d67726f75702d636c61737369632d31000a2f3132372e302e302e31000493e00000afc8000000250003000000020005706c61696e00087365676d656e7473ffffffff00000000ffffffffffff000000330003000000020005706c61696e0000000300000000000000010000000200087365676d656e74730000000100000000ffffffff";
    assert_eq!(read(synced), ("consumer".to_owned(), 1, Some("range".to_owned()), 1));
    // Version 0: no timestamp, and a member without rebalance timeout and instance id.
    let oldest = "0000 0008636f6e73756d6572 00000009 0001 72 0001 6d 00000001 0001 6d 0001 63 0001 68 00000005 00000001 aa ffffffff";
    assert_eq!(read(&oldest.replace(' ', "")), ("consumer".to_owned(), 9, Some("r".to_owned()), 1));
    // Version 4, flexible: a member with everything in it, and no tagged fields.
    let flexible = "0004 02 63 00000009 02 72 02 6d 0000000000000007 02 02 6d 00 02 63 02 68 00000001 00000005 02 aa 01 00 00";
    assert_eq!(read(&flexible.replace(' ', "")), ("c".to_owned(), 9, Some("r".to_owned()), 1));
}

#[test]
fn tombstones_and_other_kinds_of_groups_read() {
    let key = hex("00010004676f6e650005706c61696e00000001");
    let gone = OffsetKey { group: "gone", topic: "plain", partition: 1 };
    assert_eq!(OffsetsRecord::decode(&key, None), Ok(OffsetsRecord::Commit { key: gone, value: None }));
    let key = hex("00020004676f6e65");
    assert_eq!(
        OffsetsRecord::decode(&key, None),
        Ok(OffsetsRecord::GroupMetadata { group: "gone", value: None })
    );
    for key_type in [3, 6, 8, 15, 23, -1] {
        let key = [&i16::to_be_bytes(key_type)[..], b"whatever"].concat();
        assert_eq!(OffsetsRecord::decode(&key, Some(b"any")), Ok(OffsetsRecord::Unknown { key_type }));
    }
}

#[test]
fn malformed_records_are_errors() {
    let value = hex("00040000000000000000ffffffff01000001a20430591201001038a1ff5806d44417ac881196e7275389");
    let key = hex(GROUP_CLASSIC_PLAIN_2);
    for len in 0..key.len() {
        assert!(OffsetsRecord::decode(&key[..len], Some(&value)).is_err(), "{len}");
    }
    for len in 0..value.len() {
        assert!(OffsetsRecord::decode(&key, Some(&value[..len])).is_err(), "{len}");
    }
    for (at, byte) in [(1, 5), (0, 0xff), (14, 0), (14, 200), (23, 200), (25, 15)] {
        let mut value = value.clone();
        value[at] = byte;
        assert!(OffsetsRecord::decode(&key, Some(&value)).is_err(), "{at}");
    }
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    assert!(OffsetsRecord::decode(&longer(&key), None).is_err());
    assert!(OffsetsRecord::decode(&key, Some(&longer(&value))).is_err());
    let not_utf8 = hex("00020001ff");
    assert!(OffsetsRecord::decode(&not_utf8, None).is_err());
    let long = "x".repeat(40_000);
    let mut out = vec![1];
    assert!(OffsetKey { group: &long, topic: "t", partition: 0 }.encode(&mut out).is_err());
    assert_eq!(out, [1]);
}

/// A count or a length of 2147483647 must not take memory for so many.
#[test]
fn claims_of_members_that_are_not_there_are_errors() {
    let key = hex("0002000167");
    let value = hex("0003000000000000ffffffff000001a20430575f7fffffff");
    assert!(OffsetsRecord::decode(&key, Some(&value)).is_err());
}

#[test]
fn a_groups_partition_is_by_javas_hash_code() {
    // Hash codes as Java computes them; "polygenelubricants" has i32::MIN.
    for (group, hash) in
        [("", 0), ("a", 97), ("abc", 96_354), ("polygenelubricants", 0), ("é", 233), ("😀", 1_772_899)]
    {
        assert_eq!(partition_for_group(group, 50), hash % 50, "{group:?}");
    }
    // Where Kafka put these groups, of two partitions.
    for (group, partition) in [
        ("group-classic", 0),
        ("group-consumer", 0),
        ("group-txn", 0),
        ("tool group/2", 0),
        ("tool group/1", 1),
        ("gone", 1),
    ] {
        assert_eq!(partition_for_group(group, 2), partition, "{group:?}");
    }
    assert_eq!(partition_for_group("any", 0), 0);
}

proptest! {
    #[test]
    fn commits_read_back(
        (group, topic, partition) in ("\\PC{0,20}", "\\PC{0,20}", any::<i32>()),
        (offset, epoch, metadata) in (any::<i64>(), proptest::option::of(0..i32::MAX), "\\PC{0,200}"),
        (timestamp, id) in (any::<i64>(), proptest::option::of(any::<[u8; 16]>())),
    ) {
        let key = OffsetKey { group: &group, topic: &topic, partition };
        let value = OffsetValue {
            offset: Offset::new(offset),
            leader_epoch: epoch.map(LeaderEpoch),
            metadata: &metadata,
            commit_timestamp: Timestamp::from_millis(timestamp),
            topic_id: id.filter(|id| *id != [0; 16]).map(TopicId::from_bytes),
        };
        let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        key.encode(&mut key_bytes).unwrap();
        value.encode(&mut value_bytes).unwrap();
        prop_assert_eq!(commit(&key_bytes, &value_bytes), (key, value));
    }

    #[test]
    fn garbage_never_panics(
        version in 0..6u8,
        key_type in 0..4u8,
        key in proptest::collection::vec(any::<u8>(), 0..30),
        value in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let key = [&[0, key_type][..], &key].concat();
        let value = [&[0, version][..], &value].concat();
        let _ = OffsetsRecord::decode(&key, Some(&value));
        let _ = OffsetsRecord::decode(b"\0\x02\0\0", Some(&value));
        let _ = OffsetsRecord::decode(b"\0\x01\0\0\0\0\0\0\0\0", Some(&value));
    }
}

#[test]
fn the_end_of_a_group_reads_back_as_one() {
    let key = group_metadata_key("g\u{e9}").unwrap();
    let gone = OffsetsRecord::GroupMetadata { group: "g\u{e9}", value: None };
    assert_eq!(OffsetsRecord::decode(&key, None), Ok(gone));
    assert_eq!(group_metadata_key(&"x".repeat(32_768)), None);
}
