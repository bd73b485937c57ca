//! Groups and their offsets.

use crate::types::{BrokerId, Generation, GroupState, OffsetAndMetadata, Offsets, TopicId, TopicPartition};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

#[derive(Debug, Clone)]
pub(crate) struct FindCoordinatorRequest {
    pub(crate) group: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct FindCoordinatorResponse {
    pub(crate) broker: BrokerId,
}

/// A consumer wants to be a member, or to be one of the next generation too.
#[derive(Debug, Clone)]
pub(crate) struct JoinGroupRequest {
    pub(crate) group: String,
    /// Empty: it is none yet.
    pub(crate) member_id: String,
    /// Of a static member, which may be gone for a while without a rebalance (KIP-345).
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    /// How long it may be silent.
    pub(crate) session_timeout: Duration,
    /// How long the others wait for it to join once more.
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    /// The assignors that it can do with, the one it likes best first, and what it tells each.
    pub(crate) protocols: Vec<(String, Arc<[u8]>)>,
    /// Whether it comes back with the id that it is given, before it counts (KIP-394): then nobody waits for one whose answer
    /// was lost.
    pub(crate) requires_known_member_id: bool,
    /// Whom to tell that a rebalance has begun; the member learns it by its next heartbeat in any case.
    pub(crate) notify: Option<Weak<dyn Notify>>,
}

/// Somebody to whom it is worth something to know early that the group has begun a rebalance.
pub(crate) trait Notify: Send + Sync + fmt::Debug {
    /// Called with no lock held. Must not wait.
    fn rebalance_began(&self);
}

/// A member's place in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberIdentity {
    pub(crate) member_id: String,
    pub(crate) generation: Generation,
    pub(crate) instance_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum JoinGroupResponse {
    /// It is to join with this id.
    MemberIdRequired(String),
    Joined(Joined),
}

/// A generation of a group, as one of its members is told of it.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub(crate) member_id: String,
    pub(crate) generation: Generation,
    /// The assignor that all agreed on.
    pub(crate) protocol: String,
    /// The id of the member that assigns.
    pub(crate) leader: String,
    /// All of them, for the leader.
    pub(crate) members: Vec<JoinedMember>,
    /// The leader has nothing to assign: all is as it was (KIP-814).
    pub(crate) skip_assignment: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct JoinedMember {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    /// What it has told the assignor.
    pub(crate) metadata: Arc<[u8]>,
}

/// A member asks for its part; the leader brings all parts.
#[derive(Debug, Clone)]
pub(crate) struct SyncGroupRequest {
    pub(crate) group: String,
    pub(crate) member: MemberIdentity,
    pub(crate) protocol: String,
    /// By member id.
    pub(crate) assignments: Vec<(String, Arc<[u8]>)>,
}

#[derive(Debug, Clone)]
pub(crate) struct SyncGroupResponse {
    /// Empty: nothing.
    pub(crate) assignment: Arc<[u8]>,
}

#[derive(Debug, Clone)]
pub(crate) struct HeartbeatRequest {
    pub(crate) group: String,
    pub(crate) member: MemberIdentity,
}

#[derive(Debug, Clone)]
pub(crate) struct LeaveGroupRequest {
    pub(crate) group: String,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct OffsetCommitRequest {
    pub(crate) group: String,
    /// `None`: from outside the group, which passes only while it has no members (rule 46).
    pub(crate) member: Option<MemberIdentity>,
    pub(crate) offsets: Offsets,
    /// By name, of those topics whose records the committer has read: what is committed is meant for no other topic.
    pub(crate) topic_ids: BTreeMap<String, TopicId>,
}

#[derive(Debug, Clone)]
pub(crate) struct OffsetFetchRequest {
    pub(crate) group: String,
    pub(crate) partitions: Vec<TopicPartition>,
}

/// An answer for each partition of the request, in its order.
#[derive(Debug, Clone)]
pub(crate) struct OffsetFetchResponse {
    pub(crate) offsets: Vec<Option<OffsetAndMetadata>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ListGroupsRequest;

/// The groups that the broker is the coordinator of, sorted.
#[derive(Debug, Clone)]
pub(crate) struct ListGroupsResponse {
    pub(crate) groups: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct DescribeGroupRequest {
    pub(crate) group: String,
}

#[derive(Debug, Clone)]
pub(crate) struct DescribeGroupResponse {
    pub(crate) state: GroupState,
    /// The assignor that its members agreed on.
    pub(crate) protocol: Option<String>,
    /// By id.
    pub(crate) members: Vec<DescribedMember>,
    /// All that is committed for topics that are there.
    pub(crate) offsets: Offsets,
}

#[derive(Debug, Clone)]
pub(crate) struct DescribedMember {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    /// What it has told the assignor that was agreed on; empty while there is none.
    pub(crate) metadata: Arc<[u8]>,
    pub(crate) assignment: Arc<[u8]>,
}

#[derive(Debug, Clone)]
pub(crate) struct DeleteGroupRequest {
    pub(crate) group: String,
}

#[derive(Debug, Clone)]
pub(crate) struct OffsetDeleteRequest {
    pub(crate) group: String,
    pub(crate) partitions: Vec<TopicPartition>,
}
