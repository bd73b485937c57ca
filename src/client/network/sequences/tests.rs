//! What a partition's batches go through, one history at a time; and all of them at random (`simulation.rs`).

mod simulation;

use super::*;
use crate::{
    error::Error,
    types::{Durability, Offset, TopicPartition},
};
use std::time::Duration;

const PARTITION: PartitionId = (TopicId::from_bytes([7; 16]), 0);
const ID: i64 = 4000;

struct Producer {
    sequences: Sequences,
    now: Instant,
    /// What was sent and is not answered.
    sent: Vec<(BatchId, u32, Stamp)>,
    answers: Vec<(BatchId, Result<i64, Error>)>,
    wants_id: usize,
}

impl Producer {
    /// One without an id.
    fn new() -> Self {
        let (sent, answers) = (Vec::new(), Vec::new());
        Self { sequences: Sequences::default(), now: Instant::default(), sent, answers, wants_id: 0 }
    }

    /// One that a leader knows already: the next sequence is 1.
    fn known() -> Self {
        let mut producer = Self::new();
        producer.put(1);
        producer.id(Some(ID));
        producer.there(1, 0);
        producer.answers.clear();
        producer
    }

    fn take(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send { batch, attempt, stamp, .. } => self.sent.push((batch, attempt, stamp)),
                Act::Answer { batch, answer } => {
                    self.answers.push((batch, answer.map(|at| at.base_offset.get())))
                }
                Act::WantId => self.wants_id += 1,
                Act::Wake { .. } => {}
            }
        }
    }

    /// Produces a batch of so many records, with 30 s for it.
    fn put(&mut self, records: i32) -> BatchId {
        let deadline = self.now.plus(Duration::from_secs(30));
        let (batch, acts) = self.sequences.produce(PARTITION, records, deadline, self.now);
        self.take(acts);
        batch
    }

    fn id(&mut self, id: Option<i64>) {
        let acts = self.sequences.id_came(id, self.now);
        self.take(acts);
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        let acts = self.sequences.wake(PARTITION, self.now);
        self.take(acts);
    }

    fn answer(&mut self, batch: BatchId, answer: Result<ProduceResponse>) {
        let at = self.sent.iter().position(|(sent, ..)| *sent == batch).expect("it is under way");
        let (batch, attempt, _) = self.sent.remove(at);
        let acts = self.sequences.answered(PARTITION, (batch, attempt), answer, self.now);
        self.take(acts);
    }

    fn there(&mut self, batch: BatchId, at: i64) {
        let (base_offset, durability) = (Offset::new(at), Durability::Buffered);
        self.answer(batch, Ok(ProduceResponse { base_offset, log_append_time: None, durability }));
    }

    fn fails(&mut self, batch: BatchId, error: Error) {
        self.answer(batch, Err(error));
    }

    /// What is under way: batch, epoch and sequence.
    fn under_way(&self) -> Vec<(BatchId, i16, i32)> {
        self.sent.iter().map(|(batch, _, stamp)| (*batch, stamp.epoch, stamp.sequence)).collect()
    }

    fn answer_of(&self, batch: BatchId) -> Option<&Result<i64, Error>> {
        self.answers.iter().find(|(of, _)| *of == batch).map(|(_, answer)| answer)
    }
}

const SOON: Duration = Duration::from_millis(100);

fn too_large() -> Error {
    Error::MessageTooLarge { size: 2, limit: 1 }
}

fn out_of_order() -> Error {
    let partition = TopicPartition::new("t", 0);
    Error::OutOfOrderSequenceNumber { partition, producer_id: ID, sequence: 0, expected: 0 }
}

#[test]
fn batches_wait_for_an_id_and_one_is_asked_for_once() {
    let mut producer = Producer::new();
    producer.put(1);
    producer.put(1);
    assert_eq!((producer.wants_id, producer.under_way().len()), (1, 0));
    producer.id(None);
    producer.advance(SOON);
    assert_eq!(producer.wants_id, 2, "the first time there was none");
    producer.id(Some(ID));
    assert_eq!(producer.under_way(), [(1, 0, 0)]);
}

#[test]
fn five_are_under_way_once_the_leader_knows_the_producer_and_one_before() {
    let mut producer = Producer::new();
    producer.id(Some(ID));
    (0..8).for_each(|_| assert!(producer.put(3) > 0));
    assert_eq!(producer.under_way(), [(1, 0, 0)], "a leader that knows nothing takes any sequence");
    producer.there(1, 0);
    let next: Vec<_> = (2..7).map(|batch| (batch, 0, (batch as i32 - 1) * 3)).collect();
    assert_eq!(producer.under_way(), next);
}

#[test]
fn rule_23_sequences_wrap_behind_the_largest_one() {
    let mut producer = Producer::known();
    let large = producer.put(i32::MAX - 2);
    producer.there(large, 1);
    let (inside, behind) = (producer.put(3), producer.put(1));
    assert_eq!(producer.under_way(), [(inside, 0, i32::MAX - 1), (behind, 0, 1)]);
}

#[test]
fn rule_20_what_may_be_there_is_sent_again_with_the_same_sequence() {
    let mut producer = Producer::known();
    let (first, second) = (producer.put(2), producer.put(1));
    producer.fails(first, Error::RequestTimedOut);
    producer.fails(second, out_of_order());
    producer.advance(SOON);
    assert_eq!(producer.under_way(), [(first, 0, 1)], "in order, one at a time");
    producer.fails(first, Error::NetworkException);
    producer.advance(SOON);
    producer.there(first, 1);
    producer.advance(SOON);
    assert_eq!(producer.under_way(), [(second, 0, 3)]);
    producer.there(second, 3);
    assert!(matches!(producer.answers[..], [(_, Ok(1)), (_, Ok(3))]), "{:?}", producer.answers);
}

#[test]
fn behind_one_that_is_refused_for_good_the_others_begin_a_new_epoch() {
    let mut producer = Producer::known();
    let batches: Vec<BatchId> = (0..3).map(|_| producer.put(1)).collect();
    producer.fails(batches[0], too_large());
    assert!(matches!(producer.answer_of(batches[0]), Some(Err(Error::MessageTooLarge { .. }))));
    producer.fails(batches[1], out_of_order());
    assert_eq!(producer.under_way(), [(batches[2], 0, 3)], "nobody knows yet what becomes of this one");
    producer.fails(batches[2], out_of_order());
    assert_eq!(producer.under_way(), [(batches[1], 1, 0)]);
    producer.there(batches[1], 1);
    assert_eq!(producer.under_way(), [(batches[2], 1, 1)]);
}

#[test]
fn one_that_may_be_there_keeps_its_epoch_behind_a_hole_and_fails_in_doubt() {
    let mut producer = Producer::known();
    let (first, second, third) = (producer.put(1), producer.put(1), producer.put(1));
    producer.fails(second, Error::RequestTimedOut);
    producer.fails(third, out_of_order());
    producer.fails(first, too_large());
    producer.advance(SOON);
    assert_eq!(producer.under_way(), [(second, 0, 2)]);
    producer.fails(second, out_of_order());
    assert!(producer.answer_of(second).unwrap().as_ref().is_err_and(Error::is_indeterminate));
    assert_eq!(producer.under_way(), [(third, 1, 0)]);
}

#[test]
fn one_that_is_not_there_does_not_come_behind_a_later_one_that_may_be() {
    let mut producer = Producer::known();
    let (hole, lost, doubted) = (producer.put(1), producer.put(1), producer.put(1));
    producer.fails(lost, Error::NotLeaderOrFollower);
    producer.fails(doubted, Error::NetworkException);
    producer.fails(hole, too_large());
    producer.advance(SOON);
    producer.fails(doubted, out_of_order());
    let told = producer.answer_of(lost).unwrap().as_ref().unwrap_err();
    assert!(matches!(told, Error::NotLeaderOrFollower), "{told}");
    let next = producer.put(1);
    assert_eq!(producer.under_way(), [(next, 1, 0)]);
}

#[test]
fn a_leader_that_lacks_what_was_acknowledged_gets_a_new_epoch() {
    let mut producer = Producer::known();
    let batch = producer.put(1);
    producer.fails(batch, out_of_order());
    assert_eq!(producer.under_way(), [(batch, 1, 0)]);
}

#[test]
fn when_its_time_is_over_a_batch_fails_as_it_stands_and_the_next_ones_go_on() {
    let mut producer = Producer::known();
    let (doubted, refused, early) = (producer.put(1), producer.put(1), producer.put(1));
    producer.fails(doubted, Error::RequestTimedOut);
    producer.fails(refused, Error::NotLeaderOrFollower);
    producer.fails(early, out_of_order());
    producer.advance(SOON);
    producer.advance(Duration::from_secs(29));
    let waits = producer.put(1);
    producer.advance(Duration::from_secs(1));
    assert!(producer.answer_of(doubted).is_none(), "it is under way");
    let last_of = |answer: Option<&Result<i64, Error>>| match answer {
        Some(Err(Error::DeliveryTimedOut { last })) => *last.clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(last_of(producer.answer_of(refused)), Error::NotLeaderOrFollower));
    let told = producer.answer_of(early).unwrap().as_ref().unwrap_err();
    assert!(told.is_retriable() && !told.is_indeterminate(), "{told}");
    producer.fails(doubted, Error::LeaderNotAvailable);
    assert!(matches!(last_of(producer.answer_of(doubted)), Error::RequestTimedOut), "it may be there");
    assert_eq!(producer.under_way(), [(waits, 1, 0)]);
}

#[test]
fn whoever_was_never_sent_is_told_that_nobody_was_asked() {
    let mut producer = Producer::new();
    let batch = producer.put(1);
    producer.advance(Duration::from_secs(30));
    let told = producer.answer_of(batch).unwrap().as_ref().unwrap_err();
    assert!(told.is_retriable() && !told.is_indeterminate(), "{told}");
}

#[test]
fn an_unknown_topic_is_asked_for_a_few_times() {
    let mut producer = Producer::known();
    let batch = producer.put(1);
    for n in 0..5 {
        assert!(producer.answer_of(batch).is_none());
        let unknown = Error::UnknownTopicId { topic: "t".to_owned() };
        // Nobody leads a partition of it, either.
        producer.fails(batch, if n == 0 { unknown } else { Error::LeaderNotAvailable });
        producer.advance(SOON);
    }
    assert!(matches!(producer.answer_of(batch), Some(Err(Error::UnknownTopicId { .. }))));
}

#[test]
fn rule_27_a_producer_that_somebody_else_has_fenced_takes_another_id() {
    let mut producer = Producer::known();
    let batch = producer.put(1);
    let partition = TopicPartition::new("t", 0);
    producer.fails(batch, Error::InvalidProducerEpoch { partition, producer_id: ID });
    assert_eq!((producer.under_way().len(), producer.wants_id), (0, 2));
    producer.id(Some(ID + 1));
    assert_eq!(producer.sent[0].2, Stamp { producer_id: ID + 1, epoch: 0, sequence: 0 });
}

#[test]
fn when_the_epochs_are_used_up_there_is_another_id() {
    let mut producer = Producer::known();
    for _ in 0..i16::MAX {
        let batch = producer.put(1);
        producer.fails(batch, too_large());
    }
    let batch = producer.put(1);
    assert_eq!(producer.under_way(), [(batch, i16::MAX, 0)]);
    producer.fails(batch, too_large());
    producer.put(1);
    assert_eq!((producer.under_way().len(), producer.wants_id), (0, 2));
    producer.id(Some(ID + 1));
    assert_eq!(producer.sent[0].2, Stamp { producer_id: ID + 1, epoch: 0, sequence: 0 });
}
