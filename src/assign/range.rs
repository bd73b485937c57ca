//! Ranges of each topic.

use super::{
    assignor::Assignor,
    member::{GroupMember, ranked},
};
use crate::types::TopicPartition;
use std::{collections::BTreeMap, sync::Arc};

/// Divides each topic on its own: the first partitions to the first member, the next to the second, and so on. Kafka's
/// `range`.
///
/// Members go by instance id if they are static, then by member id; where a topic does not divide evenly, the first
/// ones get one more. Topics with as many partitions and the same members are divided alike, so that one member reads
/// partition 3 of all of them: choose it to join topics that have the same keys.
///
/// With many topics of few partitions the first members get most; nothing is done to leave partitions where they are.
///
/// ```
/// use brooklet::{Assignor, GroupMember, RangeAssignor};
/// use std::collections::BTreeMap;
///
/// let topics = BTreeMap::from([("orders".into(), 3), ("payments".into(), 3)]);
/// let members = ["a", "b"].map(|id| GroupMember::new(id, ["orders", "payments"]));
/// let assignment = RangeAssignor.assign(&topics, &members);
/// assert_eq!(assignment["a"], [("orders", 0), ("orders", 1), ("payments", 0), ("payments", 1)].map(Into::into));
/// assert_eq!(assignment["b"], [("orders", 2), ("payments", 2)].map(Into::into));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RangeAssignor;

impl Assignor for RangeAssignor {
    fn name(&self) -> &str {
        "range"
    }

    fn assign(
        &self,
        partitions: &BTreeMap<String, i32>,
        members: &[GroupMember],
    ) -> BTreeMap<String, Vec<TopicPartition>> {
        let members = ranked(members);
        let mut assignment: BTreeMap<_, _> =
            members.iter().map(|member| (member.member_id.clone(), Vec::new())).collect();
        for (topic, &count) in partitions {
            let name: Arc<str> = topic.as_str().into();
            let subscribed: Vec<_> = members.iter().filter(|member| member.topics.contains(topic)).collect();
            for (member, range) in subscribed.iter().zip(ranges(count, subscribed.len())) {
                let range = range.map(|partition| TopicPartition::shared(Arc::clone(&name), partition));
                assignment.entry(member.member_id.clone()).or_default().extend(range);
            }
        }
        assignment
    }
}

/// `0..count` cut in `parts`, each at most one longer than the next.
fn ranges(count: i32, parts: usize) -> impl Iterator<Item = std::ops::Range<i32>> {
    let mut start = 0;
    (0..parts).map(move |part| {
        let left = i32::try_from(parts - part).unwrap_or(i32::MAX);
        let rest = count.max(start) - start;
        let length = rest / left + i32::from(rest % left > 0);
        let range = start..start + length;
        start = range.end;
        range
    })
}
