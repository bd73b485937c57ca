//! Topics, and questions about partitions.

use super::PartitionRef;
use crate::{
    config::TopicConfig,
    types::{BrokerId, IsolationLevel, LeaderEpoch, Offset, OffsetSpec, TopicId, TopicPartition},
};
use std::sync::Arc;

/// Nothing to say but that it was done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done;

#[derive(Debug, Clone)]
pub(crate) struct MetadataRequest {
    /// `None`: all topics. Of topics that are named and not there, nothing is answered.
    pub(crate) topics: Option<Vec<String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct MetadataResponse {
    /// Ordered by name.
    pub(crate) topics: Vec<TopicMetadata>,
    /// Another one when there are new topics or partitions since: what a client knows is to be asked for again.
    pub(crate) version: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct TopicMetadata {
    pub(crate) name: Arc<str>,
    pub(crate) id: TopicId,
    pub(crate) config: TopicConfig,
    /// By number, from 0 on.
    pub(crate) partitions: Vec<PartitionMetadata>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct PartitionMetadata {
    pub(crate) partition: PartitionRef,
    pub(crate) leader: BrokerId,
    pub(crate) leader_epoch: LeaderEpoch,
}

#[derive(Debug, Clone)]
pub(crate) struct CreateTopicRequest {
    pub(crate) name: String,
    pub(crate) config: TopicConfig,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct CreateTopicResponse {
    pub(crate) id: TopicId,
}

#[derive(Debug, Clone)]
pub(crate) struct DeleteTopicRequest {
    pub(crate) name: String,
}

#[derive(Debug, Clone)]
pub(crate) struct CreatePartitionsRequest {
    pub(crate) topic: String,
    /// How many there shall be, with those that are there.
    pub(crate) total: i32,
}

#[derive(Debug, Clone)]
pub(crate) struct AlterConfigsRequest {
    pub(crate) topic: String,
    /// What is set here is set there; the rest stays.
    pub(crate) config: TopicConfig,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct DescribeLogDirsRequest;

/// The logs that are there, sorted by partition.
#[derive(Debug, Clone)]
pub(crate) struct DescribeLogDirsResponse {
    pub(crate) logs: Vec<LogMetadata>,
}

#[derive(Debug, Clone)]
pub(crate) struct LogMetadata {
    pub(crate) partition: TopicPartition,
    /// Of all segments' batches, in bytes.
    pub(crate) size: u64,
    pub(crate) segments: usize,
    pub(crate) start: Offset,
    pub(crate) high_watermark: Offset,
    pub(crate) end: Offset,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ListOffsetsRequest {
    pub(crate) partition: PartitionRef,
    pub(crate) spec: OffsetSpec,
    /// What "latest" means, and what a time leads to at most.
    pub(crate) isolation: IsolationLevel,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ListOffsetsResponse {
    /// `None`: no record is that young.
    pub(crate) offset: Option<Offset>,
    /// That of the metadata now.
    pub(crate) metadata_version: u64,
}

/// KIP-320: where did the records of this epoch end, here?
#[derive(Debug, Clone, Copy)]
pub(crate) struct OffsetForLeaderEpochRequest {
    pub(crate) partition: PartitionRef,
    pub(crate) leader_epoch: LeaderEpoch,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct OffsetForLeaderEpochResponse {
    /// Exclusive. `None`: nothing is known of the epoch, nor of an older one.
    pub(crate) end_offset: Option<Offset>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct DeleteRecordsRequest {
    pub(crate) partition: PartitionRef,
    /// What goes lies below it. On the wire -1 is [`OffsetSpec::Latest`], the high watermark.
    pub(crate) before: OffsetSpec,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct DeleteRecordsResponse {
    /// Where the log begins now.
    pub(crate) log_start_offset: Offset,
}
