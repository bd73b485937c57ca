//! Appending.

use super::PartitionRef;
use crate::{
    record::ValidBatch,
    types::{Acks, Durability, Offset, Timestamp},
};
use std::time::Duration;

/// One batch for one partition (rule 12).
#[derive(Debug)]
pub(crate) struct ProduceRequest<'r, 'b> {
    pub(crate) partition: &'r PartitionRef,
    pub(crate) acks: Acks,
    /// How long the broker may wait for the replicas that are to have it.
    pub(crate) timeout: Duration,
    /// At least this; the topic may ask for more.
    pub(crate) durability: Durability,
    /// The broker sets its base offset and leader epoch.
    pub(crate) batch: &'r mut ValidBatch<'b>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProduceResponse {
    pub(crate) base_offset: Offset,
    /// The time that all records have, where the topic's records have the broker's.
    pub(crate) log_append_time: Option<Timestamp>,
    /// What was reached.
    pub(crate) durability: Durability,
}

impl ProduceResponse {
    /// Rule 17: what stands in the place of an answer that nobody sends.
    pub(crate) const NONE: Self =
        Self { base_offset: Offset::new(-1), log_append_time: None, durability: Durability::Buffered };

    /// Where the `n`th record of the batch is; -1 where nobody has told.
    pub(crate) fn offset_of(&self, n: i64) -> i64 {
        if *self == Self::NONE { -1 } else { self.base_offset.plus(n).get() }
    }
}

/// A producer asks for an id that no other one has. Any broker of a cluster answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InitProducerIdRequest;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InitProducerIdResponse {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
}
