//! One partition to each member in turn.

use super::{
    assignor::Assignor,
    member::{GroupMember, ranked},
};
use crate::types::TopicPartition;
use std::{collections::BTreeMap, sync::Arc};

/// Lays out all partitions of all topics, and gives one to each member in turn. Kafka's `roundrobin`.
///
/// Where all members subscribe to the same topics, the numbers of their partitions differ by at most 1. A member is
/// passed over where it does not subscribe, so that with different subscriptions some may get far more than others:
/// [`StickyAssignor`](crate::StickyAssignor) is better then. Nothing is done to leave partitions where they are: when a
/// member comes or goes, most of them move.
///
/// ```
/// use brooklet::{Assignor, GroupMember, RoundRobinAssignor};
/// use std::collections::BTreeMap;
///
/// let topics = BTreeMap::from([("orders".into(), 3), ("payments".into(), 3)]);
/// let members = ["a", "b"].map(|id| GroupMember::new(id, ["orders", "payments"]));
/// let assignment = RoundRobinAssignor.assign(&topics, &members);
/// assert_eq!(assignment["a"], [("orders", 0), ("orders", 2), ("payments", 1)].map(Into::into));
/// assert_eq!(assignment["b"], [("orders", 1), ("payments", 0), ("payments", 2)].map(Into::into));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoundRobinAssignor;

impl Assignor for RoundRobinAssignor {
    fn name(&self) -> &str {
        "roundrobin"
    }

    fn assign(
        &self,
        partitions: &BTreeMap<String, i32>,
        members: &[GroupMember],
    ) -> BTreeMap<String, Vec<TopicPartition>> {
        let members = ranked(members);
        let mut shares: Vec<(&GroupMember, Vec<TopicPartition>)> =
            members.into_iter().map(|member| (member, Vec::new())).collect();
        let mut next = 0;
        for (topic, &count) in partitions {
            let name: Arc<str> = topic.as_str().into();
            for partition in 0..count {
                let Some(at) = subscribed_from(&shares, next, topic) else { break };
                if let Some((_, share)) = shares.get_mut(at) {
                    share.push(TopicPartition::shared(Arc::clone(&name), partition));
                }
                next = at + 1;
            }
        }
        shares.into_iter().map(|(member, share)| (member.member_id.clone(), share)).collect()
    }
}

/// The first member from `next` on, and around, that subscribes to `topic`.
fn subscribed_from(
    shares: &[(&GroupMember, Vec<TopicPartition>)],
    next: usize,
    topic: &str,
) -> Option<usize> {
    let round = (next..shares.len()).chain(0..next.min(shares.len()));
    round.into_iter().find(|&at| shares.get(at).is_some_and(|(member, _)| member.topics.contains(topic)))
}
