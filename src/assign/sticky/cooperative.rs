//! Sticky, by the cooperative protocol.

use super::{claims::Claimed, spread, user_data};
use crate::{
    assign::{
        assignor::{Assignor, RebalanceProtocol},
        member::GroupMember,
    },
    types::TopicPartition,
};
use std::collections::BTreeMap;

/// Balanced and sticky as [`StickyAssignor`](crate::StickyAssignor) is, and members read on while the group
/// rebalances. Kafka's `cooperative-sticky`.
///
/// A partition that is to move takes two rebalances: in the first it is nobody's, and its owner gives it up; then the
/// group rebalances once more, and its new owner gets it. All others are read throughout. Choose it unless there is a
/// reason not to.
///
/// All members of the group must use it, and none of another protocol.
///
/// ```
/// use brooklet::{Assignor, CooperativeStickyAssignor, GroupMember, TopicPartition};
/// use std::collections::BTreeMap;
///
/// let topics = BTreeMap::from([("orders".into(), 3)]);
/// let assign = |owned: [&[(&str, i32)]; 2]| {
///     let [a, b] = owned.map(|partitions| partitions.iter().copied());
///     let a = GroupMember::new("a", ["orders"]).owned(a).generation(7);
///     let b = GroupMember::new("b", ["orders"]).owned(b).generation(7);
///     CooperativeStickyAssignor.assign(&topics, &[a, b])
/// };
/// // b is new. What it is to get is still a's, who gives it up.
/// let first = assign([&[("orders", 0), ("orders", 1), ("orders", 2)], &[]]);
/// assert_eq!(first["a"], [("orders", 0), ("orders", 1)].map(Into::into));
/// assert!(first["b"].is_empty());
/// // Then it is b's.
/// let second = assign([&[("orders", 0), ("orders", 1)], &[]]);
/// assert_eq!(second["b"], [("orders", 2).into()]);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CooperativeStickyAssignor;

impl Assignor for CooperativeStickyAssignor {
    fn name(&self) -> &str {
        "cooperative-sticky"
    }

    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Cooperative
    }

    /// The generation alone: subscriptions tell what a member owns, but older ones not since when.
    fn user_data(&self, _owned: &[TopicPartition], generation: Option<i32>) -> Option<Vec<u8>> {
        Some(user_data::generation_to_bytes(generation).to_vec())
    }

    fn assign(
        &self,
        partitions: &BTreeMap<String, i32>,
        members: &[GroupMember],
    ) -> BTreeMap<String, Vec<TopicPartition>> {
        let (topics, board, claims) = spread(partitions, members, claimed);
        let mut assignment = BTreeMap::new();
        for (number, (member, mut share)) in topics.members.iter().zip(board.into_shares()).enumerate() {
            share.retain(|&partition| !claims.is_held_against(number, partition));
            assignment.insert(member.member_id.clone(), topics.named(share));
        }
        assignment
    }
}

fn claimed(member: &GroupMember) -> Claimed {
    let older = || member.user_data.as_deref().and_then(user_data::read_generation);
    Claimed { partitions: member.owned.clone(), generation: member.generation.or_else(older) }
}
