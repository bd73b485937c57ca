mod codec;
mod cooperative;
mod properties;
mod range;
mod round_robin;
mod sticky;

use super::*;
use crate::types::TopicPartition;
use std::collections::BTreeMap;

/// Topics with their numbers of partitions.
fn topics(list: &[(&str, i32)]) -> BTreeMap<String, i32> {
    list.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect()
}

/// Partitions as they are shown, by member, sorted: `"topic1-0 topic1-2"`.
fn shown(assignment: &BTreeMap<String, Vec<TopicPartition>>) -> Vec<(String, String)> {
    let show = |partitions: &[TopicPartition]| {
        let sorted = member::sorted(partitions.to_vec());
        sorted.iter().map(TopicPartition::to_string).collect::<Vec<_>>().join(" ")
    };
    assignment.iter().map(|(member, partitions)| (member.clone(), show(partitions))).collect()
}

/// That `assignor` gives each member, by id, the partitions said.
#[track_caller]
fn gives(
    assignor: &dyn Assignor,
    partitions: &[(&str, i32)],
    members: &[GroupMember],
    expected: &[(&str, &str)],
) {
    let expected: Vec<_> = expected.iter().map(|(id, all)| ((*id).to_owned(), (*all).to_owned())).collect();
    assert_eq!(shown(&assignor.assign(&topics(partitions), members)), expected);
    let reversed: Vec<_> = members.iter().rev().cloned().collect();
    assert_eq!(shown(&assignor.assign(&topics(partitions), &reversed)), expected, "in another order");
}

/// That `assignor` gives two members that are new the partitions of all topics in turn.
#[track_caller]
fn gives_in_turn(assignor: &dyn Assignor) {
    let two = ["consumer1", "consumer2"].map(|id| member(id, "topic1 topic2"));
    let cases = [
        ([("topic1", 1), ("topic2", 0)], ["topic1-0", ""]),
        ([("topic1", 2), ("topic2", 0)], ["topic1-0", "topic1-1"]),
        ([("topic1", 3), ("topic2", 3)], ["topic1-0 topic1-2 topic2-1", "topic1-1 topic2-0 topic2-2"]),
    ];
    for (topics, [first, second]) in cases {
        gives(assignor, &topics, &two, &[("consumer1", first), ("consumer2", second)]);
    }
}

/// A member that subscribes to `topics`, separated by spaces.
fn member(id: &str, topics: &str) -> GroupMember {
    GroupMember::new(id, topics.split_whitespace())
}

/// A member that owns partitions as they are shown, separated by spaces, and says so to either sticky assignor.
fn owner(id: &str, topics: &str, owned: &str, generation: Option<i32>) -> GroupMember {
    let parse = |text: &str| {
        let (topic, partition) = text.rsplit_once('-').unwrap();
        TopicPartition::new(topic, partition.parse().unwrap())
    };
    owning(member(id, topics), owned.split_whitespace().map(parse).collect(), generation)
}

fn owning(member: GroupMember, owned: Vec<TopicPartition>, generation: Option<i32>) -> GroupMember {
    let said = StickyAssignor.user_data(&owned, generation).unwrap_or_default();
    GroupMember { generation, ..member.owned(owned).user_data(said) }
}

/// Members, as they are once they have what was assigned to them.
fn after(members: &[GroupMember], assignment: &BTreeMap<String, Vec<TopicPartition>>) -> Vec<GroupMember> {
    let next = |member: &GroupMember| {
        let owned = assignment.get(&member.member_id).cloned().unwrap_or_default();
        owning(member.clone(), owned, Some(member.generation.unwrap_or(0) + 1))
    };
    members.iter().map(next).collect()
}
