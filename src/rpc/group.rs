//! Groups and their offsets.

use crate::types::{BrokerId, Generation, GroupState, OffsetAndMetadata, Offsets, TopicId, TopicPartition};
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
pub(crate) struct FindCoordinatorRequest {
    pub(crate) group: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct FindCoordinatorResponse {
    pub(crate) broker: BrokerId,
}

#[derive(Debug, Clone)]
pub(crate) struct JoinGroupRequest {
    pub(crate) group: String,
}

/// A member's place in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberIdentity {
    pub(crate) member_id: String,
    pub(crate) generation: Generation,
}

#[derive(Debug, Clone)]
pub(crate) struct JoinGroupResponse {
    pub(crate) member: MemberIdentity,
}

#[derive(Debug, Clone)]
pub(crate) struct LeaveGroupRequest {
    pub(crate) group: String,
    pub(crate) member_id: String,
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
    /// Their ids.
    pub(crate) members: Vec<String>,
    /// All that is committed for topics that are there.
    pub(crate) offsets: Offsets,
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
