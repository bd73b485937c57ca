//! What brokers say to each other of a partition's copies.

use super::PartitionRef;
use crate::{
    env::Bytes,
    error::Result,
    types::{BrokerId, Instant, LeaderEpoch, Offset},
};

/// A follower copies from a leader.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaFetchRequest {
    pub(crate) from: BrokerId,
    /// Under which registration it does.
    pub(crate) broker_epoch: i64,
    /// Until when the leader may wait for something to answer with.
    pub(crate) deadline: Instant,
    /// For all partitions together; but the first batch of the first partition that has one always comes.
    pub(crate) max_bytes: usize,
    pub(crate) partitions: Vec<ReplicaFetchPartition>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplicaFetchPartition {
    pub(crate) partition: PartitionRef,
    /// The leader epoch that the follower knows.
    pub(crate) current_leader_epoch: LeaderEpoch,
    /// Where its log ends.
    pub(crate) offset: Offset,
    /// The epoch of its last record; `None` where it has none.
    pub(crate) last_fetched_epoch: Option<LeaderEpoch>,
    /// Where its log begins: it is told at once if it is to begin later.
    pub(crate) log_start: Offset,
    /// The high watermark that it knows: it is told at once of another.
    pub(crate) high_watermark: Offset,
}

/// An answer for each partition of the request, in its order.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaFetchResponse {
    pub(crate) partitions: Vec<Result<ReplicaFetched>>,
}

#[derive(Debug, Clone)]
pub(crate) enum ReplicaFetched {
    /// The follower's log is no part of the leader's: the leader's records of `epoch`, the newest that both may have, end
    /// at `end_offset`.
    Diverging { epoch: LeaderEpoch, end_offset: Offset },
    /// Whole batches from the follower's end on.
    Records { records: Bytes, high_watermark: Offset, log_start_offset: Offset },
}
