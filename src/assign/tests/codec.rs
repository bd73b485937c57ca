//! What members and leader tell each other, byte for byte.

use super::*;
use crate::prng::Prng;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn partitions(list: &[(&str, i32)]) -> Vec<TopicPartition> {
    list.iter().map(|&it| it.into()).collect()
}

/// Version 3 of all that can be said: topics `a` and `bc`, user data 1 2, owned `a-2` `bc-0` `bc-1`, generation 7, rack `r`.
const FULL: &str = "0003 00000002 0001 61 0002 6263 00000002 0102
    00000002 0001 61 00000001 00000002 0002 6263 00000002 00000000 00000001 00000007 0001 72";

fn full() -> MemberSubscription {
    MemberSubscription {
        topics: ["bc", "a"].map(str::to_owned).into(),
        user_data: Some(vec![1, 2]),
        owned: partitions(&[("a", 2), ("bc", 0), ("bc", 1)]),
        generation: Some(7),
        rack: Some("r".to_owned()),
    }
}

#[test]
fn a_subscription_is_written_sorted_and_reads_back() {
    assert_eq!(full().encode(), hex(FULL));
    assert_eq!(MemberSubscription::decode(&hex(FULL)), Ok(full()));
    let mut unsorted = full();
    unsorted.owned.reverse();
    assert_eq!(unsorted.encode(), hex(FULL));

    let nothing = hex("0003 00000000 ffffffff 00000000 ffffffff ffff");
    assert_eq!(MemberSubscription::default().encode(), nothing);
    assert_eq!(MemberSubscription::decode(&nothing), Ok(MemberSubscription::default()));
    // User data of no bytes is not the same as none.
    let empty = MemberSubscription { user_data: Some(Vec::new()), ..MemberSubscription::default() };
    assert_eq!(MemberSubscription::decode(&empty.encode()), Ok(empty));
}

#[test]
fn what_a_kafka_client_said_reads_and_is_written_alike() {
    // Of a consumer of Kafka 4.3.1, from its group's record in `__consumer_offsets`.
    let said = hex("0003 00000002 0005 706c61696e 0008 7365676d656e7473 ffffffff 00000000 ffffffff ffff");
    let subscription = MemberSubscription::decode(&said).unwrap();
    let topics = ["plain", "segments"].map(str::to_owned).into();
    assert_eq!(subscription, MemberSubscription { topics, ..MemberSubscription::default() });
    assert_eq!(subscription.encode(), said);

    let got = hex("0003 00000002 0005 706c61696e 00000003 00000000 00000001 00000002
        0008 7365676d656e7473 00000001 00000000 ffffffff");
    let assignment = MemberAssignment::decode(&got).unwrap();
    let all = [("plain", 0), ("plain", 1), ("plain", 2), ("segments", 0)];
    assert_eq!(assignment, MemberAssignment { partitions: partitions(&all), user_data: None });
    assert_eq!(assignment.encode(), got);
}

#[test]
fn older_and_newer_versions_of_a_subscription_read() {
    let v0 = MemberSubscription { owned: Vec::new(), generation: None, rack: None, ..full() };
    let v1 = MemberSubscription { generation: None, rack: None, ..full() };
    let v2 = MemberSubscription { rack: None, ..full() };
    let bytes = hex(FULL);
    let version = |version: u8, end: usize| [&[0, version], &bytes[2..end]].concat();
    assert_eq!(MemberSubscription::decode(&version(0, 19)), Ok(v0.clone()));
    assert_eq!(MemberSubscription::decode(&version(1, 50)), Ok(v1));
    assert_eq!(MemberSubscription::decode(&version(2, 54)), Ok(v2));
    // Of a newer version what is known is read, and what follows is let be.
    for newer in [4, 9] {
        assert_eq!(
            MemberSubscription::decode(&[&version(newer, bytes.len())[..], b"more"].concat()),
            Ok(full())
        );
    }
    assert_eq!(MemberSubscription::decode(&version(0, bytes.len())), Ok(v0));
}

#[test]
fn an_assignment_is_written_grouped_by_topic_and_every_version_reads() {
    let assignment =
        MemberAssignment { partitions: partitions(&[("a", 2), ("bc", 0), ("bc", 1)]), user_data: None };
    let fields = "00000002 0001 61 00000001 00000002 0002 6263 00000002 00000000 00000001 ffffffff";
    assert_eq!(assignment.encode(), hex(&format!("0003 {fields}")));
    for version in 0..6 {
        let bytes = hex(&format!("000{version} {fields}"));
        assert_eq!(MemberAssignment::decode(&bytes), Ok(assignment.clone()), "version {version}");
    }
    let said = MemberAssignment { user_data: Some(vec![9]), ..MemberAssignment::default() };
    assert_eq!(said.encode(), hex("0003 00000000 00000001 09"));
    assert_eq!(MemberAssignment::decode(&said.encode()), Ok(said));
}

#[test]
fn names_that_no_topic_has_are_left_out_as_they_have_no_encoding() {
    let long = "x".repeat(32_768);
    let mut subscription = full();
    subscription.topics.insert(long.clone());
    subscription.owned.push(TopicPartition::new(&long, 0));
    assert_eq!(subscription.encode(), hex(FULL));
    subscription.rack = Some(long);
    assert_eq!(
        MemberSubscription::decode(&subscription.encode()),
        Ok(MemberSubscription { rack: None, ..full() })
    );
}

#[test]
fn malformed_bytes_say_what_is_wrong() {
    let cases = [
        ("", "cut off"),
        ("00", "cut off"),
        ("ffff 00000000 ffffffff", "version is negative"),
        ("0000 ffffffff ffffffff", "array is null"),
        ("0000 7fffffff ffffffff", "count is larger"),
        ("0000 00000001 ffff ffffffff", "text is null"),
        ("0000 00000001 0001 ff ffffffff", "not UTF-8"),
        ("0000 00000000 7fffffff 00", "cut off"),
        ("0001 00000000 ffffffff 00000001 0001 61 00000001 ffffffff", "number is negative"),
        ("0001 00000000 ffffffff 00000001 0001 61 40000001 00000001", "count is larger"),
        ("0003 00000000 ffffffff 00000000 00000000", "cut off"),
    ];
    for (bytes, expected) in cases {
        let error = MemberSubscription::decode(&hex(bytes)).unwrap_err().to_string();
        assert!(error.contains(expected), "{bytes}: {error}");
    }
    let error: MalformedProtocol =
        MemberAssignment::decode(&hex("0003 00000002 0001 61 0000 0000")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "malformed bytes of the consumer protocol: a count is larger than what follows"
    );
}

#[test]
fn a_member_is_what_it_said_when_it_joined() {
    let joined = GroupMember::joined("m".to_owned(), Some("i".to_owned()), full());
    let built = GroupMember::new("m", ["a", "bc"]).group_instance_id("i").generation(7).user_data([1, 2]);
    assert_eq!(joined, built.owned([("bc", 1), ("bc", 0), ("a", 2), ("a", 2)]));
}

#[test]
fn every_cut_of_a_subscription_is_an_error() {
    let bytes = hex(FULL);
    for end in 0..bytes.len() {
        assert!(MemberSubscription::decode(&bytes[..end]).is_err(), "{end}");
    }
}

/// Whatever the bytes: an error, or something that is written and read back alike.
fn check(bytes: &[u8]) {
    if let Ok(subscription) = MemberSubscription::decode(bytes) {
        assert_eq!(MemberSubscription::decode(&subscription.encode()), Ok(subscription), "{bytes:02x?}");
    }
    if let Ok(assignment) = MemberAssignment::decode(bytes) {
        assert_eq!(MemberAssignment::decode(&assignment.encode()), Ok(assignment), "{bytes:02x?}");
    }
}

#[test]
fn bytes_that_were_tampered_with_are_refused_or_read_as_something_that_has_an_encoding() {
    for seed in crate::seeds(2_000) {
        let mut prng = Prng::new(seed);
        let mut bytes = if seed.is_multiple_of(2) {
            full().encode()
        } else {
            hex("0003 00000001 0001 61 00000001 00000002 ffffffff")
        };
        for _ in 0..1 + prng.below(4) {
            let at = prng.below(bytes.len() as u64) as usize;
            match prng.below(4) {
                0 => bytes[at] = prng.next_u64() as u8,
                1 => bytes[at] ^= 1 << prng.below(8),
                2 => bytes.truncate(at.max(1)),
                _ => bytes.insert(at, prng.next_u64() as u8),
            }
        }
        check(&bytes);
    }
}
