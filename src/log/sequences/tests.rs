use super::{super::producers::Producers, *};
use crate::{record::Attributes, types::LeaderEpoch};

const ID: i64 = 4000;

/// The batch of a producer with so many records.
fn batch(epoch: i16, sequence: i32, records: i32) -> BatchHeader {
    BatchHeader {
        base_offset: Offset::ZERO,
        size: 100,
        leader_epoch: LeaderEpoch(0),
        crc: 0,
        attributes: Attributes::default(),
        last_offset_delta: records - 1,
        base_timestamp: 0,
        max_timestamp: 0,
        producer_id: ID,
        producer_epoch: epoch,
        base_sequence: sequence,
        record_count: records,
    }
}

#[derive(Default)]
struct Leader {
    producers: Producers,
    end: i64,
}

impl Leader {
    /// Where a batch is, and whether it was there before.
    fn take(&mut self, header: BatchHeader) -> Result<(i64, bool), Refusal> {
        if let Some(known) = self.producers.check(&header)? {
            assert_eq!(known.end().since(known.base_offset()), i64::from(header.record_count));
            return Ok((known.base_offset().get(), true));
        }
        let base = self.end;
        self.producers.append(&BatchHeader { base_offset: Offset::new(base), ..header }, None);
        self.end += i64::from(header.record_count);
        Ok((base, false))
    }
}

#[test]
fn rule_22_the_last_five_batches_are_known_again_and_nothing_else() {
    let mut leader = Leader::default();
    for n in 0..6 {
        assert_eq!(leader.take(batch(0, n * 3, 3)), Ok((i64::from(n) * 3, false)));
    }
    for n in 1..6 {
        assert_eq!(leader.take(batch(0, n * 3, 3)), Ok((i64::from(n) * 3, true)));
    }
    let wrong = [
        (0, 3, "older than the last five"),
        (15, 2, "a part"),
        (16, 2, "the end of one"),
        (15, 4, "one, and more"),
        (12, 6, "two at once"),
        (17, 3, "an overlap"),
        (19, 3, "a gap"),
    ];
    for (sequence, records, what) in wrong {
        assert_eq!(leader.take(batch(0, sequence, records)), Err(Refusal::Sequence(18)), "{what}");
    }
    assert_eq!(leader.take(batch(0, 18, 1)), Ok((18, false)));
}

#[test]
fn rule_23_sequences_wrap_from_the_largest_to_0() {
    let mut leader = Leader::default();
    assert_eq!(leader.take(batch(0, i32::MAX - 1, 4)), Ok((0, false)), "inside a batch");
    assert_eq!(leader.take(batch(0, 2, 1)), Ok((4, false)));
    assert_eq!(leader.take(batch(0, i32::MAX - 1, 4)), Ok((0, true)));
    let mut leader = Leader::default();
    assert_eq!(leader.take(batch(0, i32::MAX, 1)), Ok((0, false)));
    assert_eq!(leader.take(batch(0, 1, 1)), Err(Refusal::Sequence(0)));
    assert_eq!(leader.take(batch(0, 0, 1)), Ok((1, false)), "behind a batch");
}

#[test]
fn rule_24_a_new_epoch_begins_with_sequence_0_and_nothing_of_an_older_one_is_known() {
    let mut leader = Leader::default();
    leader.take(batch(0, 0, 1)).unwrap();
    assert_eq!(leader.take(batch(1, 1, 1)), Err(Refusal::Sequence(0)));
    assert_eq!(leader.take(batch(2, 0, 1)), Ok((1, false)));
    assert_eq!(leader.take(batch(2, 0, 1)), Ok((1, true)));
    assert_eq!(leader.take(batch(2, 2, 1)), Err(Refusal::Sequence(1)));
}

#[test]
fn rule_25_of_whom_nothing_is_known_any_sequence_is_taken_but_in_a_transaction() {
    let mut leader = Leader::default();
    assert_eq!(leader.take(batch(3, 1000, 1)), Ok((0, false)));
    let attributes = Attributes::from_bits(0x10).unwrap();
    let in_transaction = |sequence| BatchHeader { attributes, ..batch(0, sequence, 1) };
    let mut leader = Leader::default();
    assert_eq!(leader.take(in_transaction(1000)), Err(Refusal::Sequence(0)));
    assert_eq!(leader.take(in_transaction(0)), Ok((0, false)));
}

#[test]
fn rule_26_a_snapshot_knows_just_the_last_batch() {
    let mut leader = Leader::default();
    for n in 0..3 {
        leader.take(batch(0, n * 2, 2)).unwrap();
    }
    let snapshot = super::super::snapshot::encode(&leader.producers);
    leader.producers = super::super::snapshot::decode(&snapshot).unwrap();
    assert_eq!(leader.take(batch(0, 4, 2)), Ok((4, true)));
    assert_eq!(leader.take(batch(0, 2, 2)), Err(Refusal::Sequence(6)));
    assert_eq!(leader.take(batch(0, 6, 2)), Ok((6, false)));
    assert_eq!(leader.take(batch(0, 4, 2)), Ok((4, true)), "what came since is known besides");
}

#[test]
fn rule_27_an_older_epoch_is_refused() {
    let mut leader = Leader::default();
    leader.take(batch(1, 0, 1)).unwrap();
    assert_eq!(leader.take(batch(0, 0, 1)), Err(Refusal::OlderEpoch));
    assert_eq!(leader.take(batch(0, 1, 1)), Err(Refusal::OlderEpoch));
}

#[test]
fn a_snapshot_that_tells_of_what_cannot_be_tells_of_no_batch() {
    for (last, offset, delta) in [(-1, 5, 0), (5, 1, 2), (5, 5, -1), (5, i64::MAX, 0), (0, -1, 0)] {
        assert_eq!(KnownBatch::last(last, offset, delta, 0), None, "{last} {offset} {delta}");
    }
    assert_eq!(KnownBatch::last(1, 3, 3, 0).map(|known| known.first_sequence), Some(i32::MAX - 1));
}
