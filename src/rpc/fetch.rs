//! Reading.

use super::PartitionRef;
use crate::{
    env::Bytes,
    error::Result,
    types::{Instant, IsolationLevel, LeaderEpoch, Offset},
};

#[derive(Debug, Clone)]
pub(crate) struct FetchRequest {
    /// Read up to the high watermark, or up to the last stable offset.
    pub(crate) isolation: IsolationLevel,
    /// Until when the broker may wait for `min_bytes`.
    pub(crate) deadline: Instant,
    pub(crate) min_bytes: usize,
    /// For all partitions together; but the first batch of the first partition that has one always comes (rule 5).
    pub(crate) max_bytes: usize,
    pub(crate) partitions: Vec<FetchPartition>,
    /// That of the metadata that the client knows: it is answered at once, with what there is, when another holds.
    /// `None`: it does not want to know.
    pub(crate) metadata_version: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct FetchPartition {
    pub(crate) partition: PartitionRef,
    pub(crate) offset: Offset,
    /// The leader epoch that the client knows (rule 10).
    pub(crate) current_leader_epoch: LeaderEpoch,
    pub(crate) max_bytes: usize,
}

/// An answer for each partition of the request, in its order.
#[derive(Debug)]
pub(crate) struct FetchResponse {
    pub(crate) partitions: Vec<Result<Fetched>>,
    /// That of the metadata now.
    pub(crate) metadata_version: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// Whole batches, from the one on that holds the offset that was asked for; the last one may be cut short.
    pub(crate) records: Bytes,
    /// Exclusive: what lies below it can be read.
    pub(crate) high_watermark: Offset,
    #[expect(dead_code, reason = "part of Kafka's answer")]
    pub(crate) log_start_offset: Offset,
    /// Where the first transaction begins that is open, or the high watermark.
    pub(crate) last_stable_offset: Offset,
    /// The aborted transactions of which there may be records here, for a reader of what is committed.
    pub(crate) aborted: Vec<AbortedTransaction>,
}

impl Fetched {
    /// Where that what a reader may read ends, exclusive.
    pub(crate) fn end(&self, isolation: IsolationLevel) -> Offset {
        match isolation {
            IsolationLevel::ReadUncommitted => self.high_watermark,
            IsolationLevel::ReadCommitted => self.last_stable_offset,
        }
    }
}

/// Records of `producer_id` from `first_offset` on, up to its next abort marker, count for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: Offset,
}
