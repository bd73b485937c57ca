//! How the partitions of a group's topics are spread over its members: assignors, and what members and leader tell
//! each other, byte for byte as Kafka's consumer protocol has it.
//!
//! An assignor is a function of its arguments: no clock, no random numbers, no order of hashes, no memory. All that a
//! sticky one knows of the past comes from the members.

mod assignment;
mod assignor;
mod member;
mod range;
mod round_robin;
mod sticky;
mod subscription;
mod wire;

pub(crate) use assignment::MemberAssignment;
pub use assignor::{Assignor, RebalanceProtocol};
pub use member::GroupMember;
pub use range::RangeAssignor;
pub use round_robin::RoundRobinAssignor;
pub use sticky::{CooperativeStickyAssignor, StickyAssignor};
pub(crate) use subscription::MemberSubscription;
pub(crate) use wire::MalformedProtocol;

/// What consumers call themselves among groups of other kinds.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";

#[cfg(test)]
mod tests;
