//! What the leader of a group does: it has an assignor divide the partitions.

use crate::{
    assign::{GroupMember, MemberAssignment, MemberSubscription},
    config::Assignors,
    error::{Error, Result},
    rpc::{JoinedMember, TopicMetadata},
    types::TopicPartition,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What there was to divide.
#[derive(Debug)]
pub(super) struct Divided {
    /// The topics that members subscribe to, be they there or not.
    pub(super) topics: BTreeSet<String>,
    /// How many partitions those have that are there.
    pub(super) partitions: BTreeMap<String, i32>,
}

pub(super) fn partition_count(topic: &TopicMetadata) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}

/// The members as an assignor sees them. One whose words cannot be read subscribes to nothing.
pub(super) fn group_members(joined: &[JoinedMember]) -> Vec<GroupMember> {
    let member = |joined: &JoinedMember| {
        let said = MemberSubscription::decode(&joined.metadata).unwrap_or_default();
        GroupMember::joined(joined.member_id.clone(), joined.instance_id.clone(), said)
    };
    joined.iter().map(member).collect()
}

/// Has the assignor that was agreed on divide the partitions.
pub(super) fn assign(
    assignors: &Assignors,
    protocol: &str,
    partitions: &BTreeMap<String, i32>,
    members: &[GroupMember],
) -> Result<Vec<(String, Arc<[u8]>)>> {
    let unknown =
        || Error::IllegalState(format!("the group has agreed on {protocol}, which is no assignor here"));
    let assignor = assignors.by_name(protocol).ok_or_else(unknown)?;
    let mut assigned = assignor.assign(partitions, members);
    check_assignment(&assigned, partitions)?;
    let encoded = members.iter().map(|member| {
        let mut partitions = assigned.remove(&member.member_id).unwrap_or_default();
        partitions.sort();
        let assignment = MemberAssignment { partitions, user_data: None };
        (member.member_id.clone(), assignment.encode().into())
    });
    Ok(encoded.collect())
}

/// No partition for two members, and none that is not there: an assignor of the application's may be wrong.
fn check_assignment(
    assigned: &BTreeMap<String, Vec<TopicPartition>>,
    partitions: &BTreeMap<String, i32>,
) -> Result<()> {
    let mut taken = BTreeSet::new();
    for of in assigned.values().flatten() {
        let is_there = partitions.get(of.topic()).is_some_and(|count| (0..*count).contains(&of.partition()));
        if !is_there || !taken.insert(of) {
            let what = if is_there { "to two members" } else { "that is not there" };
            return Err(Error::IllegalState(format!("the assignor gave {of} {what}")));
        }
    }
    Ok(())
}
