//! What a partition knows of its producers: the last batches of each, and which transactions are open. (Kafka:
//! `ProducerStateManager`)
//!
//! It takes in what a log says, faithfully, in the order of the log; whether a producer may say it is a leader's to ask
//! before it appends (`sequences.rs`). Producers are not forgotten by age yet.

use super::sequences::{KnownBatch, Refusal, Window};
use crate::{
    record::{BatchHeader, ControlMarker},
    types::Offset,
};
use std::collections::BTreeMap;

/// A producer's last batch and open transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    /// -1 before its first batch of data.
    pub(crate) last_sequence: i32,
    /// -1 likewise.
    pub(crate) last_offset: i64,
    /// How far the last batch's last offset lies behind its first.
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
    /// That of its last marker; -1 before there was one.
    pub(crate) coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub(crate) transaction: Option<Offset>,
}

/// A transaction that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CompletedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: Offset,
    /// The marker's.
    pub(crate) last_offset: Offset,
    pub(crate) aborted: bool,
}

/// All producers of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Producers {
    by_id: BTreeMap<i64, Producer>,
    /// The last batches of each: more than a snapshot says of it.
    windows: BTreeMap<i64, Window>,
    /// The open transactions by their first offsets.
    open: BTreeMap<Offset, i64>,
    /// Ended ones, by their first offsets with their markers', until the high watermark is beyond the marker.
    ended: BTreeMap<Offset, Offset>,
}

impl Producers {
    pub(super) fn from_entries(entries: impl IntoIterator<Item = (i64, Producer)>) -> Self {
        let by_id: BTreeMap<i64, Producer> = entries.into_iter().collect();
        let open = by_id.iter().filter_map(|(id, producer)| Some((producer.transaction?, *id))).collect();
        let windows = by_id.iter().filter_map(|(id, producer)| Some((*id, producer.window()?))).collect();
        Self { by_id, windows, open, ended: BTreeMap::new() }
    }

    /// What is to become of a batch that a client sends: it is there already, or it is the next one, or neither.
    pub(super) fn check(&self, header: &BatchHeader) -> Result<Option<KnownBatch>, Refusal> {
        let producer = self.by_id.get(&header.producer_id);
        let known = self.windows.get(&header.producer_id).filter(|_| {
            // Batches of older epochs are none of this one's.
            producer.is_some_and(|producer| producer.epoch == header.producer_epoch)
        });
        if let Some(known) = known.and_then(|window| window.find(header)) {
            return Ok(Some(known));
        }
        let last = producer.map(|producer| (producer.epoch, producer.last_sequence));
        super::sequences::check_next(last, header).map(|()| None)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = (&i64, &Producer)> {
        self.by_id.iter()
    }

    /// Takes in a batch, with the marker that it holds if it holds one. Says which transaction it ended.
    pub(crate) fn append(
        &mut self,
        header: &BatchHeader,
        marker: Option<ControlMarker>,
    ) -> Option<CompletedTransaction> {
        if header.producer_id < 0 {
            return None;
        }
        if header.attributes.is_control() {
            // An emptied one is all that compaction left of a transaction.
            return marker.and_then(|marker| self.end_transaction(header, marker));
        }
        let producer = self.by_id.entry(header.producer_id).or_insert(Producer::NEW);
        let window = self.windows.entry(header.producer_id).or_default();
        if producer.epoch != header.producer_epoch {
            window.clear();
        }
        window.push(KnownBatch::of(header));
        producer.epoch = header.producer_epoch;
        producer.last_sequence = header.last_sequence();
        producer.last_offset = header.last_offset().get();
        producer.offset_delta = header.last_offset_delta;
        producer.timestamp = header.max_timestamp;
        // A batch that compaction emptied has nothing that could be aborted, and its marker may be gone.
        let opens = header.attributes.is_transactional() && header.record_count > 0;
        if opens && producer.transaction.is_none() {
            producer.transaction = Some(header.base_offset);
            self.open.insert(header.base_offset, header.producer_id);
        }
        None
    }

    fn end_transaction(
        &mut self,
        header: &BatchHeader,
        marker: ControlMarker,
    ) -> Option<CompletedTransaction> {
        let producer = self.by_id.entry(header.producer_id).or_insert(Producer::NEW);
        if producer.epoch != header.producer_epoch {
            // The next data of a new epoch begins with sequence 0.
            (producer.last_sequence, producer.last_offset, producer.offset_delta) = (-1, -1, 0);
            self.windows.remove(&header.producer_id);
        }
        producer.epoch = header.producer_epoch;
        producer.timestamp = header.max_timestamp;
        producer.coordinator_epoch = marker.coordinator_epoch;
        let first_offset = producer.transaction.take()?;
        self.open.remove(&first_offset);
        self.ended.insert(first_offset, header.last_offset());
        Some(CompletedTransaction {
            producer_id: header.producer_id,
            first_offset,
            last_offset: header.last_offset(),
            aborted: marker.is_abort(),
        })
    }

    /// What only a leader needs, at its log's end.
    pub(super) fn forget_windows(&mut self) {
        self.windows.clear();
    }

    /// Where the oldest open transaction begins.
    pub(crate) fn first_open(&self) -> Option<Offset> {
        self.open.first_key_value().map(|(first, _)| *first)
    }

    /// The last stable offset when `completed` has just ended: what its entry in the transaction index says.
    pub(crate) fn last_stable_after(&self, completed: &CompletedTransaction) -> Offset {
        self.first_open().unwrap_or(completed.last_offset.plus(1))
    }

    /// Rule 29: below it no transaction is undecided whose fate a consumer could not see.
    pub(crate) fn last_stable(&mut self, high_watermark: Offset) -> Offset {
        if self.open.is_empty() && self.ended.is_empty() {
            return high_watermark;
        }
        self.ended.retain(|_, marker| *marker >= high_watermark);
        let undecided = self.ended.first_key_value().map(|(first, _)| *first);
        let first = self.first_open().into_iter().chain(undecided).min();
        first.map_or(high_watermark, |first| first.min(high_watermark))
    }
}

impl Producer {
    const NEW: Self = Self {
        epoch: -1,
        last_sequence: -1,
        last_offset: -1,
        offset_delta: 0,
        timestamp: -1,
        coordinator_epoch: -1,
        transaction: None,
    };

    /// What a snapshot tells of its last batches: one at most (rule 26).
    fn window(&self) -> Option<Window> {
        let last = KnownBatch::last(self.last_sequence, self.last_offset, self.offset_delta, self.timestamp)?;
        let mut window = Window::default();
        window.push(last);
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Attributes;
    use crate::types::LeaderEpoch;

    const ABORT: ControlMarker = ControlMarker::new(true, 0);
    const COMMIT: ControlMarker = ControlMarker::new(false, 0);

    fn batch(at: i64, id: i64, attributes: i16) -> BatchHeader {
        BatchHeader {
            base_offset: Offset::new(at),
            size: 100,
            leader_epoch: LeaderEpoch(0),
            crc: 0,
            attributes: Attributes::from_bits(attributes).unwrap(),
            last_offset_delta: 0,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: id,
            producer_epoch: 0,
            base_sequence: if attributes & 0x20 == 0 { 0 } else { -1 },
            record_count: 1,
        }
    }

    fn data(at: i64, id: i64) -> BatchHeader {
        batch(at, id, 0x10)
    }

    #[test]
    fn rule_29_the_last_stable_offset_waits_for_the_high_watermark() {
        let mut producers = Producers::default();
        let mut at = |header: BatchHeader, marker, watermark| {
            producers.append(&header, marker);
            producers.last_stable(Offset::new(watermark)).get()
        };
        assert_eq!(at(data(0, 1), None, 1), 0);
        assert_eq!(at(data(1, 2), None, 2), 0);
        assert_eq!(at(batch(2, 1, 0x30), Some(COMMIT), 2), 0, "the marker is not below the high watermark");
        assert_eq!(at(batch(3, -1, 0), None, 3), 1, "the other one is open");
        assert_eq!(at(batch(4, 2, 0x30), Some(ABORT), 5), 5);
    }

    #[test]
    fn rule_31_an_aborted_transaction_is_told_with_what_was_stable_then() {
        let mut producers = Producers::default();
        for (offset, id) in [(0, 1), (1, 2), (2, 1)] {
            assert_eq!(producers.append(&data(offset, id), None), None);
        }
        let ended = producers.append(&batch(3, 1, 0x30), Some(ABORT)).unwrap();
        assert_eq!((ended.first_offset.get(), ended.last_offset.get(), ended.aborted), (0, 3, true));
        assert_eq!(producers.last_stable_after(&ended).get(), 1);
        let ended = producers.append(&batch(4, 2, 0x30), Some(ABORT)).unwrap();
        assert_eq!(producers.last_stable_after(&ended).get(), 5);
        assert_eq!(producers.append(&batch(5, 2, 0x30), Some(ABORT)), None, "a marker of no transaction");
    }

    #[test]
    fn what_compaction_emptied_opens_no_transaction() {
        let mut producers = Producers::default();
        producers.append(&BatchHeader { record_count: 0, ..data(0, 1) }, None);
        producers.append(&BatchHeader { record_count: 0, ..batch(1, 1, 0x30) }, None);
        assert_eq!(producers.last_stable(Offset::new(2)).get(), 2);
    }

    #[test]
    fn rule_23_sequences_wrap_within_a_batch() {
        let mut producers = Producers::default();
        let header = BatchHeader {
            base_sequence: i32::MAX - 1,
            last_offset_delta: 3,
            record_count: 4,
            ..batch(0, 1, 0)
        };
        producers.append(&header, None);
        assert_eq!(producers.entries().next().map(|(_, producer)| producer.last_sequence), Some(1));
    }
}
