//! What a cluster's brokers say to its active controller.

use crate::types::{
    BrokerEpoch, BrokerId, ElectionType, LeaderEpoch, Offset, PartitionEpoch, TopicId, TopicPartition,
};

/// A broker's process has begun, or the controller does not know it any more. It is fenced until it has caught up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RegisterBrokerRequest {
    pub(crate) id: BrokerId,
    /// Of this process: whoever asks again has the same one, and gets the same epoch.
    pub(crate) incarnation: u64,
    /// Only if the broker knows that it has every byte that it ever had under that epoch. Without it, or where the broker was
    /// there under a later one, it counts as having lost data.
    pub(crate) previous_epoch: Option<BrokerEpoch>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct RegisterBrokerResponse {
    pub(crate) epoch: BrokerEpoch,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct BrokerHeartbeatRequest {
    pub(crate) id: BrokerId,
    pub(crate) epoch: BrokerEpoch,
    /// The last entry of the metadata log, inclusive, that the broker has applied.
    pub(crate) caught_up_to: Offset,
    pub(crate) wants_shutdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokerHeartbeatResponse {
    pub(crate) fenced: bool,
    pub(crate) may_shut_down: bool,
}

/// A leader asks for another ISR. The answer is how the partition is then.
#[derive(Debug, Clone)]
pub(crate) struct AlterPartitionRequest {
    pub(crate) broker: BrokerId,
    pub(crate) broker_epoch: BrokerEpoch,
    pub(crate) topic_id: TopicId,
    pub(crate) partition: i32,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) partition_epoch: PartitionEpoch,
    /// Each with the epoch that the leader knows it by; `None`: whatever it is.
    pub(crate) new_isr: Vec<(BrokerId, Option<BrokerEpoch>)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct AllocateProducerIdsRequest {
    pub(crate) broker: BrokerId,
    pub(crate) broker_epoch: BrokerEpoch,
}

/// The ids from `first` on, `count` of them, are the broker's to give out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AllocateProducerIdsResponse {
    pub(crate) first: i64,
    pub(crate) count: i64,
}

#[derive(Debug, Clone)]
pub(crate) struct ElectLeadersRequest {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) election: ElectionType,
}

/// Which brokers are to have a partition.
#[derive(Debug, Clone)]
pub(crate) struct AlterPartitionReassignmentsRequest {
    pub(crate) partition: TopicPartition,
    /// In order of preference as leaders; `None`: those that had it before the reassignment that goes on.
    pub(crate) replicas: Option<Vec<BrokerId>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ListPartitionReassignmentsRequest;

#[derive(Debug, Clone, Default)]
pub(crate) struct ListPartitionReassignmentsResponse {
    /// In order of the partitions.
    pub(crate) reassignments: Vec<Reassignment>,
}

/// A partition whose replicas change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reassignment {
    pub(crate) partition: TopicPartition,
    /// All that have a copy, or are to have one.
    pub(crate) replicas: Vec<BrokerId>,
    pub(crate) adding: Vec<BrokerId>,
    pub(crate) removing: Vec<BrokerId>,
}

/// A broker that is gone for good is to be forgotten.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnregisterBrokerRequest {
    pub(crate) id: BrokerId,
}

/// A broker is to vote on who the controller is. (KIP-853)
#[derive(Debug, Clone, Copy)]
pub(crate) struct AddRaftVoterRequest {
    pub(crate) id: BrokerId,
}

/// A broker is to vote no more. (KIP-853)
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoveRaftVoterRequest {
    pub(crate) id: BrokerId,
}
