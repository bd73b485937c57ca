//! Reading.

use super::PartitionRef;
use crate::{
    env::Bytes,
    error::Result,
    types::{Instant, Offset},
};

#[derive(Debug, Clone)]
pub(crate) struct FetchRequest {
    /// Until when the broker may wait for `min_bytes`.
    pub(crate) deadline: Instant,
    pub(crate) min_bytes: usize,
    /// For all partitions together; but the first batch of the first partition that has one always comes (rule 5).
    pub(crate) max_bytes: usize,
    pub(crate) partitions: Vec<FetchPartition>,
}

#[derive(Debug, Clone)]
pub(crate) struct FetchPartition {
    pub(crate) partition: PartitionRef,
    pub(crate) offset: Offset,
    pub(crate) max_bytes: usize,
}

/// An answer for each partition of the request, in its order.
#[derive(Debug)]
pub(crate) struct FetchResponse {
    pub(crate) partitions: Vec<Result<Fetched>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// Whole batches, from the one on that holds the offset that was asked for; the last one may be cut short.
    pub(crate) records: Bytes,
    /// Exclusive: what lies below it can be read.
    pub(crate) high_watermark: Offset,
    pub(crate) log_start_offset: Offset,
}
