//! Partitions that move from some brokers to others while they are in use. (KIP-455)

use super::{Controller, Election, election::Assignment};
use crate::{
    error::{Error, Result},
    rpc::{
        AlterPartitionReassignmentsRequest, Done, ListPartitionReassignmentsResponse, Reassignment,
        metadata_record::PartitionState,
    },
    types::{BrokerId, TopicPartition},
};
use std::collections::BTreeSet;

impl Controller {
    /// The brokers that are to have a partition get copies; when all are in sync the others' go. Without brokers: what goes on is
    /// taken back.
    pub(super) fn reassign(&mut self, request: &AlterPartitionReassignmentsRequest) -> Result<Done> {
        let of = &request.partition;
        let (at, state) = self.partition_of(of.topic(), of.partition())?;
        let assignment = match &request.replicas {
            Some(target) => self.check_target(of, target).map(|()| assignment(state, target))?,
            None if !state.is_reassigning() => return Err(Error::NoReassignmentInProgress),
            None => {
                let (adding, removing) = (BTreeSet::new(), BTreeSet::new());
                Assignment { replicas: state.origin(), adding, removing }
            }
        };
        // It may have come so far that only those are in sync that were added.
        if !assignment.replicas.iter().any(|broker| state.isr.contains(broker)) {
            let reason = "none of those who would have it is in sync".to_owned();
            return Err(Error::InvalidReplicaAssignment { partition: of.clone(), reason });
        }
        let needed = self.image.topics.get(&at.0).map_or(1, |topic| topic.min_insync_replicas);
        let assignment = keeping_safe(assignment, state, needed);
        self.change(at, Some(assignment), None, None, Election::Online);
        Ok(Done)
    }

    fn check_target(&self, of: &TopicPartition, target: &[BrokerId]) -> Result<()> {
        let invalid = |reason: String| Err(Error::InvalidReplicaAssignment { partition: of.clone(), reason });
        if target.is_empty() {
            return invalid("it needs a replica".to_owned());
        }
        if BTreeSet::from_iter(target).len() < target.len() {
            return invalid("a broker is named twice".to_owned());
        }
        match target.iter().find(|id| self.image.broker(**id).is_none()) {
            Some(id) => invalid(format!("there is no broker {id}")),
            None => Ok(()),
        }
    }

    pub(super) fn list_reassignments(&self) -> ListPartitionReassignmentsResponse {
        let mut reassignments = Vec::new();
        for topic in self.image.topics.values() {
            let moving = topic.partitions.iter().filter(|(_, state)| state.is_reassigning());
            reassignments.extend(moving.map(|(number, state)| Reassignment {
                partition: TopicPartition::new(&topic.name, *number),
                replicas: state.replicas.clone(),
                adding: state.adding.iter().copied().collect(),
                removing: state.removing.iter().copied().collect(),
            }));
        }
        reassignments.sort_by(|a, b| a.partition.cmp(&b.partition));
        ListPartitionReassignmentsResponse { reassignments }
    }
}

/// Who was added by a reassignment that is given up stays for a while where too few others have all that was acknowledged. (Kafka keeps
/// them whenever another one takes its place, and never when it is taken back.)
fn keeping_safe(to: Assignment, state: &PartitionState, min_insync_replicas: usize) -> Assignment {
    let Assignment { mut replicas, mut adding, mut removing } = to;
    let target = replicas.iter().filter(|broker| !removing.contains(broker)).count();
    let (have_all, others): (Vec<BrokerId>, Vec<BrokerId>) =
        state.isr.union(&state.elr).partition(|broker| replicas.contains(broker));
    if have_all.len() < min_insync_replicas.min(target) {
        replicas.extend(&others);
        adding.extend(&others);
        removing.extend(&others);
    }
    Assignment { replicas, adding, removing }
}

/// From the replicas that were there before any reassignment to others: one that goes on is given up for this one.
fn assignment(state: &PartitionState, target: &[BrokerId]) -> Assignment {
    let origin = state.origin();
    let (before, after): (BTreeSet<BrokerId>, BTreeSet<BrokerId>) =
        (origin.iter().copied().collect(), target.iter().copied().collect());
    let removing: BTreeSet<BrokerId> = before.difference(&after).copied().collect();
    let leaving = origin.iter().filter(|broker| removing.contains(broker));
    Assignment {
        replicas: target.iter().chain(leaving).copied().collect(),
        adding: after.difference(&before).copied().collect(),
        removing,
    }
}
