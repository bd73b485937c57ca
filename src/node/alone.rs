//! What an embedded broker says to what a cluster's controller is asked: it has, and leads, the only copy of all.

use super::Node;
use crate::{
    error::{Error, Result},
    rpc::{AlterPartitionReassignmentsRequest, Done, ElectLeadersRequest},
};

impl Node {
    pub(super) fn handle_elect_leaders(&self, request: &ElectLeadersRequest) -> Result<Done> {
        self.check_partition(&request.topic, request.partition)?;
        Err(Error::ElectionNotNeeded)
    }

    pub(super) fn handle_reassign(&self, request: &AlterPartitionReassignmentsRequest) -> Result<Done> {
        let of = &request.partition;
        self.check_partition(of.topic(), of.partition())?;
        match request.replicas.as_deref() {
            None => Err(Error::NoReassignmentInProgress),
            Some([id]) if *id == self.id => Ok(Done),
            Some(_) => {
                let reason = format!("broker {} is the only one", self.id);
                Err(Error::InvalidReplicaAssignment { partition: of.clone(), reason })
            }
        }
    }

    fn check_partition(&self, topic: &str, partition: i32) -> Result<()> {
        let topics = self.topics.read();
        let unknown = |partition| Error::UnknownTopicOrPartition { topic: topic.to_owned(), partition };
        let count = topics.get(topic).ok_or_else(|| unknown(None))?.partitions.len();
        let is_there = usize::try_from(partition).is_ok_and(|number| number < count);
        if is_there { Ok(()) } else { Err(unknown(Some(partition))) }
    }
}
