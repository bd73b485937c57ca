//! Sticky, by the eager protocol.

use super::{claims::Claimed, spread, user_data};
use crate::{
    assign::{assignor::Assignor, member::GroupMember},
    types::TopicPartition,
};
use std::collections::BTreeMap;

/// As balanced as can be, and then with as much left where it was as can be. Kafka's `sticky`.
///
/// The numbers of partitions of any two members differ by at most 1, unless their subscriptions differ such that
/// nothing can be moved to bring them closer: no assignment is more balanced. Within that, members get back what they
/// had: when one leaves, only its partitions move; when one comes, it gets just its share. (Where subscriptions differ,
/// one more than need be may move, rarely.)
///
/// All members give up everything during the rebalance all the same, and get most of it back: choose it when what a
/// member keeps for its partitions (a cache, say) is costly to make anew. With
/// [`CooperativeStickyAssignor`](crate::CooperativeStickyAssignor) they read on meanwhile.
///
/// What a member had goes to the leader as [user data](Assignor::user_data), which grows with it: about four bytes a
/// partition. Of two members that say they had the same partition, the one that had it in the higher generation is
/// believed, and neither where that is the same; static members have no precedence.
///
/// ```
/// use brooklet::{Assignor, GroupMember, StickyAssignor};
/// use std::collections::BTreeMap;
///
/// let topics = BTreeMap::from([("orders".into(), 6)]);
/// let member = |id| GroupMember::new(id, ["orders"]);
/// let first = StickyAssignor.assign(&topics, &["a", "b", "c"].map(member));
/// assert_eq!(first["a"], [("orders", 0), ("orders", 3)].map(Into::into));
///
/// // b leaves: a and c keep what they had.
/// let again = |id| member(id).user_data(StickyAssignor.user_data(&first[id], Some(1)).unwrap());
/// let second = StickyAssignor.assign(&topics, &["a", "c"].map(again));
/// assert_eq!(second["a"], [("orders", 0), ("orders", 1), ("orders", 3)].map(Into::into));
/// assert_eq!(second["c"], [("orders", 2), ("orders", 4), ("orders", 5)].map(Into::into));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StickyAssignor;

impl Assignor for StickyAssignor {
    fn name(&self) -> &str {
        "sticky"
    }

    fn user_data(&self, owned: &[TopicPartition], generation: Option<i32>) -> Option<Vec<u8>> {
        let is_new = owned.is_empty() && generation.is_none();
        (!is_new).then(|| user_data::previous_assignment(owned, generation))
    }

    fn assign(
        &self,
        partitions: &BTreeMap<String, i32>,
        members: &[GroupMember],
    ) -> BTreeMap<String, Vec<TopicPartition>> {
        let (topics, board, _) = spread(partitions, members, claimed);
        let shares = topics.members.iter().zip(board.into_shares());
        shares.map(|(member, share)| (member.member_id.clone(), topics.named(share))).collect()
    }
}

/// User data that makes no sense is none, as with Kafka: the member is like a new one.
fn claimed(member: &GroupMember) -> Claimed {
    let said = member.user_data.as_deref().map(user_data::read_previous_assignment);
    said.and_then(Result::ok).unwrap_or_default()
}
