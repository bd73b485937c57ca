//! The sequence numbers of producers: which batch is there already, which one is next, and which is neither. (Kafka:
//! `ProducerStateEntry`, `ProducerAppendInfo`)

use super::Log;
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    record::BatchHeader,
    types::Offset,
};
use std::collections::VecDeque;

/// How many of a producer's last batches are known again: as many as it may have under way. (Kafka: `NUM_BATCHES_TO_RETAIN`)
const REMEMBERED: usize = 5;

/// A batch that a producer has sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownBatch {
    first_sequence: i32,
    last_sequence: i32,
    last_offset: Offset,
    offset_delta: i32,
    /// The largest of its records, in ms.
    pub(crate) timestamp: i64,
}

impl KnownBatch {
    pub(super) fn of(header: &BatchHeader) -> Self {
        Self {
            first_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp: header.max_timestamp,
        }
    }

    /// As a snapshot tells of it; `None` where it tells of none.
    pub(super) fn last(
        last_sequence: i32,
        last_offset: i64,
        offset_delta: i32,
        timestamp: i64,
    ) -> Option<Self> {
        let is_one = last_sequence >= 0
            && offset_delta >= 0
            && (i64::from(offset_delta)..i64::MAX).contains(&last_offset);
        let first = (i64::from(last_sequence) - i64::from(offset_delta)).rem_euclid(1 << 31);
        is_one.then_some(Self {
            first_sequence: first as i32,
            last_sequence,
            last_offset: Offset::new(last_offset),
            offset_delta,
            timestamp,
        })
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.last_offset.plus(-i64::from(self.offset_delta))
    }

    /// The offset behind it.
    pub(crate) fn end(&self) -> Offset {
        self.last_offset.plus(1)
    }
}

/// The last batches of a producer in its epoch, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Window(VecDeque<KnownBatch>);

impl Window {
    pub(super) fn push(&mut self, batch: KnownBatch) {
        if self.0.len() >= REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(batch);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The batch with just these sequences (rule 22).
    pub(super) fn find(&self, header: &BatchHeader) -> Option<KnownBatch> {
        let sequences = (header.base_sequence, header.last_sequence());
        self.0.iter().find(|batch| (batch.first_sequence, batch.last_sequence) == sequences).copied()
    }
}

/// Why a batch is not a producer's next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    OlderEpoch,
    /// The sequence that would have been the next one.
    Sequence(i32),
}

/// Whether a batch is the next one of its producer, whose epoch and last sequence are `known`: rules 23 to 25 and 27.
pub(super) fn check_next(known: Option<(i16, i32)>, header: &BatchHeader) -> Result<(), Refusal> {
    let Some((epoch, last)) = known else {
        // Nothing is left of what it has sent; of a transaction nothing can be gone that is not over.
        let starts = header.base_sequence == 0 || !header.attributes.is_transactional();
        return if starts { Ok(()) } else { Err(Refusal::Sequence(0)) };
    };
    if header.producer_epoch < epoch {
        return Err(Refusal::OlderEpoch);
    }
    let next = if header.producer_epoch > epoch || last == i32::MAX { 0 } else { last.saturating_add(1) };
    if header.base_sequence == next { Ok(()) } else { Err(Refusal::Sequence(next)) }
}

impl Log {
    /// What a leader asks before it appends a producer's batch: `Some` where the batch is in the log already.
    ///
    /// # Errors
    /// [`Error::OutOfOrderSequenceNumber`], [`Error::InvalidProducerEpoch`].
    #[cold]
    pub(crate) fn find_duplicate(&self, header: &BatchHeader) -> Result<Option<KnownBatch>> {
        // A marker is the coordinator's, and has no sequence.
        if header.producer_id < 0 || header.attributes.is_control() || bugs::is(Bug::SkipSequenceCheck) {
            return Ok(None);
        }
        let (partition, producer_id) = (|| self.config.partition.clone(), header.producer_id);
        self.producers.check(header).map_err(|refusal| match refusal {
            Refusal::OlderEpoch => Error::InvalidProducerEpoch { partition: partition(), producer_id },
            Refusal::Sequence(expected) => Error::OutOfOrderSequenceNumber {
                partition: partition(),
                producer_id,
                sequence: header.base_sequence,
                expected,
            },
        })
    }
}

#[cfg(test)]
mod tests;
