mod codec;
mod range;
mod round_robin;

use super::*;
use crate::types::TopicPartition;
use std::collections::BTreeMap;

/// `["a:3", "b:2"]`: topics with their numbers of partitions.
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

/// A member that subscribes to `topics`, separated by spaces.
fn member(id: &str, topics: &str) -> GroupMember {
    GroupMember::new(id, topics.split_whitespace())
}
