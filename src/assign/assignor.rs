//! What an assignor is.

use super::member::GroupMember;
use crate::types::TopicPartition;
use std::collections::BTreeMap;

/// What members do with the partitions that they have when their group rebalances.
///
/// All members of a group must follow the same one.
///
/// ```
/// # use brooklet::*;
/// assert_eq!(RangeAssignor.protocol(), RebalanceProtocol::Eager);
/// assert_eq!(CooperativeStickyAssignor.protocol(), RebalanceProtocol::Cooperative);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RebalanceProtocol {
    /// Each member gives up all that it has before it joins again: one rebalance is enough, and nobody reads
    /// meanwhile.
    Eager,
    /// Members keep what they have and read on; what must move is given up by its owner in one rebalance, and goes to
    /// its new owner in the next.
    Cooperative,
}

/// Spreads the partitions of a group's topics over its members. The group's leader runs it, at each rebalance.
///
/// Take one of [`RangeAssignor`](crate::RangeAssignor), [`RoundRobinAssignor`](crate::RoundRobinAssignor),
/// [`StickyAssignor`](crate::StickyAssignor) and [`CooperativeStickyAssignor`](crate::CooperativeStickyAssignor), or
/// write your own:
///
/// ```
/// use brooklet::{Assignor, GroupMember, TopicPartition};
/// use std::collections::BTreeMap;
///
/// /// All to one member, the others stand by.
/// struct Failover;
///
/// impl Assignor for Failover {
///     fn name(&self) -> &str {
///         "failover"
///     }
///
///     fn assign(
///         &self,
///         partitions: &BTreeMap<String, i32>,
///         members: &[GroupMember],
///     ) -> BTreeMap<String, Vec<TopicPartition>> {
///         let Some(first) = members.iter().min_by_key(|member| &member.member_id) else { return BTreeMap::new() };
///         let topics = partitions.iter().filter(|(topic, _)| first.topics.contains(*topic));
///         let all = topics.flat_map(|(topic, &n)| (0..n).map(move |p| TopicPartition::new(topic, p)));
///         BTreeMap::from([(first.member_id.clone(), all.collect())])
///     }
/// }
///
/// let members = [GroupMember::new("a", ["orders"]), GroupMember::new("b", ["orders"])];
/// let assignment = Failover.assign(&BTreeMap::from([("orders".into(), 3)]), &members);
/// assert_eq!(assignment["a"].len(), 3);
/// ```
pub trait Assignor: Send + Sync {
    /// The name by which the members of a group agree on an assignor: Kafka's `partition.assignment.strategy`. Of those
    /// that all members have, the group takes the one that most of them prefer.
    fn name(&self) -> &str;

    /// Whether members keep their partitions during a rebalance. Eager unless an assignor says otherwise.
    ///
    /// A [cooperative](RebalanceProtocol::Cooperative) assignor must not give a partition away while another member
    /// has it: it leaves the partition out, and gives it away in the rebalance that follows.
    fn protocol(&self) -> RebalanceProtocol {
        RebalanceProtocol::Eager
    }

    /// What a member tells the leader's assignor beside its topics: it comes there as [`GroupMember::user_data`].
    ///
    /// `owned` is what the member owned last, sorted, in `generation`; empty and `None` when it is new. Nothing unless
    /// an assignor says otherwise.
    fn user_data(&self, owned: &[TopicPartition], generation: Option<i32>) -> Option<Vec<u8>> {
        let _ = (owned, generation);
        None
    }

    /// The partitions for each member, by member id. A member without an entry gets none.
    ///
    /// `partitions` has the number of partitions of each topic that any member subscribes to; topics that do not exist
    /// are missing. No partition may go to two members, none to a member that does not subscribe to its topic, and the
    /// order of `members` should not matter. It is called with no lock held.
    fn assign(
        &self,
        partitions: &BTreeMap<String, i32>,
        members: &[GroupMember],
    ) -> BTreeMap<String, Vec<TopicPartition>>;
}
