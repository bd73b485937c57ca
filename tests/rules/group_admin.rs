//! Groups, seen and changed from outside.

use crate::common::{
    Backend, assert_refused, committed, offsets, on_every_backend, put_numbers, rest, topic,
};
use brooklet::{Error, GroupState, OffsetAndMetadata, OffsetSpec, Offsets, Record, Timestamp};

on_every_backend![
    groups_are_listed_that_have_or_had_a_member_or_have_offsets,
    a_group_is_described_with_its_lag,
    a_group_is_deleted_with_its_offsets_and_stays_deleted,
    a_group_with_a_member_is_not_changed_from_outside,
    what_is_not_there_is_said,
    offsets_are_altered_and_deleted_one_by_one,
    a_group_is_reset_to_where_it_is_told,
    offsets_of_a_topic_that_was_deleted_are_not_shown,
];

fn groups(backend: &Backend) -> Vec<String> {
    backend.client().admin().list_groups().unwrap()
}

fn groups_are_listed_that_have_or_had_a_member_or_have_offsets(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    assert!(groups(backend).is_empty());
    let member = client.consumer("b").subscribe("t").unwrap();
    client.admin().alter_group_offsets("a", [(("t", 0), 0)]).unwrap();
    client.admin().alter_group_offsets("c", Offsets::new()).unwrap();
    assert_eq!(groups(backend), ["a", "b"]);
    drop(member);
    assert_eq!(client.admin().describe_group("b").unwrap().state, GroupState::Empty);
    backend.reopen();
    assert_eq!(groups(backend), ["a", "b"], "without being asked for by name");
    backend.client().admin().delete_group("b").unwrap();
    assert_eq!(groups(backend), ["a"]);
}

fn a_group_is_described_with_its_lag(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    put_numbers(&client, "t", 10);
    let member = client.consumer("g").subscribe("t").unwrap();
    let note = OffsetAndMetadata::new(4, "a note");
    member.commit_offsets(Offsets::from([(("t", 0), note.clone())])).unwrap();
    member.commit_offsets([(("t", 2), 7)]).unwrap();
    let there = client.admin().describe_group("g").unwrap();
    assert_eq!((&*there.group, there.state, there.members.len()), ("g", GroupState::Stable, 1));
    assert_eq!(there.partitions.iter().map(|p| p.partition.partition()).collect::<Vec<_>>(), [0, 2]);
    assert_eq!((&there.partitions[0].committed, there.partitions[0].log_end_offset), (&note, 10));
    assert_eq!((there.partitions[0].lag(), there.partitions[1].lag(), there.lag()), (6, 0, 6));
    let id = there.members[0].member_id.clone();
    drop(member);
    let member = client.consumer("g").subscribe("t").unwrap();
    assert_ne!(client.admin().describe_group("g").unwrap().members[0].member_id, id);
    drop(member);
    backend.reopen();
    let there = backend.client().admin().describe_group("g").unwrap();
    assert_eq!((there.state, there.members.len(), there.lag()), (GroupState::Empty, 0, 6));
}

fn a_group_is_deleted_with_its_offsets_and_stays_deleted(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put_numbers(&client, "t", 3);
    client.admin().alter_group_offsets("g", [(("t", 0), 2), (("t", 1), 0)]).unwrap();
    client.admin().alter_group_offsets("h", [(("t", 0), 1)]).unwrap();
    client.admin().delete_group("g").unwrap();
    for _ in 0..2 {
        let client = backend.client();
        assert_eq!(groups(backend), ["h"]);
        assert!(client.admin().group_offsets("g").unwrap().is_empty());
        assert_refused!(client.admin().delete_group("g"), Error::GroupIdNotFound { .. });
        backend.reopen();
    }
    let mut member = backend.client().consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut member)), [0, 1, 2], "it begins anew");
    member.commit_offset().unwrap();
    assert_eq!(groups(backend), ["g", "h"]);
}

fn a_group_with_a_member_is_not_changed_from_outside(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let member = client.consumer("g").subscribe("t").unwrap();
    member.commit_offsets([(("t", 0), 3)]).unwrap();
    let admin = client.admin();
    assert_refused!(admin.delete_group("g"), Error::NonEmptyGroup { group, .. } if group == "g");
    assert_refused!(admin.alter_group_offsets("g", [(("t", 0), 1)]), Error::NonEmptyGroup { .. });
    assert_refused!(admin.delete_group_offsets("g", [("t", 0)]), Error::NonEmptyGroup { .. });
    let refused = admin.reset_group_offsets("g", "t", OffsetSpec::Earliest);
    assert_refused!(refused, Error::NonEmptyGroup { group, .. } if group == "g");
    assert_eq!(committed(&member, "t", 0), Some(3));
    member.commit_offsets([(("t", 0), 4)]).unwrap();
}

fn what_is_not_there_is_said(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let admin = client.admin();
    assert_refused!(admin.describe_group("g"), Error::GroupIdNotFound { group, .. } if group == "g");
    assert_refused!(admin.delete_group_offsets("g", [("t", 0)]), Error::GroupIdNotFound { .. });
    assert_refused!(admin.alter_group_offsets("g", [(("u", 0), 1)]), Error::UnknownTopicOrPartition { .. });
    assert_refused!(admin.alter_group_offsets("g", [(("t", 1), 1)]), Error::UnknownTopicOrPartition { .. });
    assert_refused!(admin.alter_group_offsets("g", [(("t", 0), -1)]), Error::IllegalState(_));
    let unknown = admin.reset_group_offsets("g", "u", OffsetSpec::Latest);
    assert_refused!(unknown, Error::UnknownTopicOrPartition { .. });
    for group in ["", &"g".repeat(32_768)] {
        assert_refused!(admin.describe_group(group), Error::InvalidGroupId { .. });
        assert_refused!(admin.delete_group(group), Error::InvalidGroupId { .. });
        assert_refused!(admin.group_offsets(group), Error::InvalidGroupId { .. });
    }
    assert!(groups(backend).is_empty(), "asking makes no group");
}

fn offsets_are_altered_and_deleted_one_by_one(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    let admin = client.admin();
    admin.alter_group_offsets("g", [(("t", 0), 1), (("t", 1), 2)]).unwrap();
    admin.alter_group_offsets("g", [(("t", 1), 5), (("t", 2), 6)]).unwrap();
    assert_eq!(
        admin.group_offsets("g").unwrap(),
        Offsets::from([(("t", 0), 1), (("t", 1), 5), (("t", 2), 6)])
    );
    admin.delete_group_offsets("g", [("t", 0), ("t", 2), ("other", 9)]).unwrap();
    admin.delete_group_offsets("g", [("t", 0)]).unwrap();
    backend.reopen();
    let admin = backend.client().admin();
    assert_eq!(admin.group_offsets("g").unwrap(), Offsets::from([(("t", 1), 5)]));
    admin.delete_group_offsets("g", [("t", 1)]).unwrap();
    assert!(groups(backend).is_empty());
}

fn a_group_is_reset_to_where_it_is_told(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    for n in 0..10 {
        let record = Record::to("t").partition(0).timestamp(Timestamp::from_millis(n * 100));
        client.produce(record).unwrap();
    }
    let admin = client.admin();
    admin.delete_records(("t", 0), 2).unwrap();
    let cases: [(OffsetSpec, i64); 7] = [
        (OffsetSpec::Earliest, 2),
        (OffsetSpec::Latest, 10),
        (OffsetSpec::At(5), 5),
        (OffsetSpec::At(0), 2),
        (OffsetSpec::At(99), 10),
        (Timestamp::from_millis(650).into(), 7),
        (Timestamp::from_millis(901).into(), 10),
    ];
    for (to, expected) in cases {
        let went = admin.reset_group_offsets("g", "t", to).unwrap();
        assert_eq!(went, Offsets::from([(("t", 0), expected), (("t", 1), 0)]), "{to:?}");
        assert_eq!(admin.group_offsets("g").unwrap(), went);
    }
    admin.reset_group_offsets("g", "t", 8).unwrap();
    let mut member = client.consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut member)), [8, 9]);
}

fn offsets_of_a_topic_that_was_deleted_are_not_shown(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    topic(&client, "u", 1);
    client.admin().alter_group_offsets("g", [(("t", 0), 1), (("u", 0), 2)]).unwrap();
    client.admin().delete_topic("t").unwrap();
    topic(&client, "t", 1);
    let there = client.admin().describe_group("g").unwrap();
    assert_eq!(there.partitions.len(), 1);
    assert_eq!(client.admin().group_offsets("g").unwrap(), Offsets::from([(("u", 0), 2)]));
}
