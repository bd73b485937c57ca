//! Each anomaly by a history that has it, beside one that has not.

use super::{Anomaly::*, Outcome::*, *};

const P: Partition = ("orders", 0);
const Q: Partition = ("orders", 1);
/// A consumer without a group.
const C: (u32, u32) = (1, 0);

fn log(records: &[(i64, u64)]) -> BTreeMap<Partition, BTreeMap<i64, u64>> {
    [(P, records.iter().copied().collect())].into()
}

/// Three values that were acknowledged, and read by one consumer from the beginning on.
fn good() -> History {
    let mut history = History::default();
    (0..3).for_each(|n| history.sent(Some(1), P, 10 + n, Acknowledged(n as i64)));
    history.moved(C, P, Some(0));
    history.polled(C, P, &[(0, 10), (1, 11)]);
    history.polled(C, P, &[(2, 12)]);
    history.finished(1, P);
    history
}

fn good_log() -> BTreeMap<Partition, BTreeMap<i64, u64>> {
    log(&[(0, 10), (1, 11), (2, 12)])
}

#[test]
fn a_history_that_can_be_has_no_anomaly() {
    let mut history = good();
    history.sent(Some(2), P, 20, InDoubt);
    history.sent(Some(2), P, 21, InDoubt);
    history.sent(Some(2), P, 22, Refused);
    history.polled(C, P, &[(3, 20)]);
    // It goes back, and is given the same again.
    history.moved(C, P, Some(1));
    history.polled(C, P, &[(1, 11), (2, 12), (3, 20)]);
    let mut log = good_log();
    log.entry(P).or_default().insert(3, 20);
    assert_eq!(history.anomalies(&log), []);
}

#[test]
fn a_write_that_is_lost() {
    let mut history = History::default();
    history.sent(Some(1), P, 10, Acknowledged(0));
    assert_eq!(history.anomalies(&log(&[])), [LostWrite { partition: P, offset: 0, value: 10 }]);
    assert_eq!(history.anomalies(&log(&[(0, 10)])), []);
    history.given_up(P);
    assert_eq!(history.anomalies(&log(&[])), [], "nobody promises it after an unclean election");
}

#[test]
fn a_record_that_is_there_twice() {
    let mut history = good();
    history.sent(Some(2), P, 20, InDoubt);
    history.polled(C, P, &[(3, 20), (4, 20)]);
    let mut log = good_log();
    log.entry(P).or_default().extend([(3, 20), (4, 20)]);
    assert_eq!(history.anomalies(&log), [Duplicate { value: 20, first: (P, 3), second: (P, 4) }]);
}

#[test]
fn a_record_that_is_in_two_partitions() {
    let history = good();
    let mut log = good_log();
    log.insert(Q, [(0, 10)].into());
    assert_eq!(history.anomalies(&log), [Duplicate { value: 10, first: (P, 0), second: (Q, 0) }]);
}

#[test]
fn an_offset_with_two_values() {
    let mut history = good();
    history.sent(Some(2), P, 20, InDoubt);
    history.polled((2, 0), P, &[(1, 20)]);
    let found = history.anomalies(&good_log());
    assert_eq!(found, [InconsistentOffset { partition: P, offset: 1, first: 11, second: 20 }]);
}

#[test]
fn a_poll_that_skips() {
    let mut history = good();
    history.moved((2, 0), P, Some(0));
    history.polled((2, 0), P, &[(0, 10), (2, 12)]);
    let skip = PollSkip { reader: 2, partition: P, from: 1, skipped: 1, to: 2 };
    assert_eq!(history.anomalies(&good_log()), [skip]);
    let mut history = good();
    history.moved((2, 0), P, Some(0));
    history.polled((2, 0), P, &[(1, 11), (2, 12)]);
    let skip = PollSkip { reader: 2, partition: P, from: 0, skipped: 0, to: 1 };
    assert_eq!(history.anomalies(&good_log()), [skip], "from where it was moved to");
}

#[test]
fn an_offset_that_holds_no_record_is_not_skipped() {
    let mut history = History::default();
    history.sent(Some(1), P, 10, Acknowledged(0));
    history.sent(Some(1), P, 12, Acknowledged(2));
    history.polled(C, P, &[(0, 10), (2, 12)]);
    assert_eq!(history.anomalies(&log(&[(0, 10), (2, 12)])), []);
}

#[test]
fn a_poll_that_goes_back() {
    let mut history = good();
    history.polled(C, P, &[(1, 11), (2, 12)]);
    let back = NonMonotonicPoll { reader: 1, partition: P, before: 2, offset: 1 };
    assert_eq!(history.anomalies(&good_log()), [back]);
}

#[test]
fn a_new_generation_may_go_on_anywhere_and_each_is_strict() {
    let mut history = good();
    history.polled((1, 1), P, &[(1, 11), (2, 12)]);
    assert_eq!(history.anomalies(&good_log()), []);
    history.polled((1, 1), P, &[(1, 11)]);
    let back = NonMonotonicPoll { reader: 1, partition: P, before: 2, offset: 1 };
    assert_eq!(history.anomalies(&good_log()), [back]);
}

#[test]
fn a_record_that_a_reader_at_the_end_was_never_given() {
    let mut history = good();
    history.polled((2, 0), P, &[(0, 10)]);
    history.polled((2, 1), P, &[(1, 11)]);
    assert_eq!(history.anomalies(&good_log()), [], "it is not at the end");
    history.finished(2, P);
    assert_eq!(history.anomalies(&good_log()), [Unseen { reader: 2, partition: P, offset: 2, value: 12 }]);
}

#[test]
fn a_failed_write_that_is_there() {
    let mut history = good();
    history.sent(Some(2), P, 20, Refused);
    history.polled(C, P, &[(3, 20)]);
    let mut log = good_log();
    log.entry(P).or_default().insert(3, 20);
    assert_eq!(history.anomalies(&log), [RefusedSeen { partition: P, offset: 3, value: 20 }]);
}

#[test]
fn a_value_that_nobody_has_sent() {
    let mut log = good_log();
    log.entry(P).or_default().insert(3, 99);
    let found = good().anomalies(&log);
    let unseen = Unseen { reader: 1, partition: P, offset: 3, value: 99 };
    assert_eq!(found, [NeverSent { partition: P, offset: 3, value: 99 }, unseen]);
}

#[test]
fn a_producers_records_that_come_in_another_order() {
    let mut history = History::default();
    history.sent(Some(1), P, 10, Acknowledged(1));
    history.sent(Some(1), P, 11, Acknowledged(0));
    let found = history.anomalies(&log(&[(0, 11), (1, 10)]));
    assert_eq!(found, [NonMonotonicSend { producer: 1, partition: P, before: 1, offset: 0 }]);
}

#[test]
fn a_producer_with_several_batches_under_way_promises_no_order() {
    let mut history = History::default();
    history.sent(None, P, 10, Acknowledged(1));
    history.sent(None, P, 11, Acknowledged(0));
    assert_eq!(history.anomalies(&log(&[(0, 11), (1, 10)])), []);
}

#[test]
fn a_value_of_a_compacted_topic_may_go_once_there_is_a_later_one_of_its_key() {
    let mut history = good();
    [(10, 1), (11, 2), (12, 1)].into_iter().for_each(|(value, key)| history.keyed(value, key));
    assert_eq!(history.anomalies(&log(&[(1, 11), (2, 12)])), []);
    assert_eq!(history.superseded(&log(&[(1, 11), (2, 12)])), 1);
    let lost = |offset, value| LostWrite { partition: P, offset, value };
    assert_eq!(history.anomalies(&log(&[(0, 10), (2, 12)])), [lost(1, 11)], "the only one of its key");
    assert_eq!(history.anomalies(&log(&[(0, 10), (1, 11)])), [lost(2, 12)], "the last one of its key");
}

#[test]
fn a_record_that_was_deleted_and_comes_back() {
    let mut history = good();
    history.deleted(P, 1, true);
    assert_eq!(history.anomalies(&log(&[(1, 11), (2, 12)])), []);
    let back = Undeleted { partition: P, offset: 0 };
    assert_eq!(history.anomalies(&good_log()), [back]);
    let lost = LostWrite { partition: P, offset: 1, value: 11 };
    assert_eq!(history.anomalies(&log(&[(2, 12)])), [lost], "it was not to be deleted");
    history.deleted(P, 2, false);
    assert_eq!(history.anomalies(&log(&[(1, 11), (2, 12)])), [], "nobody knows");
    assert_eq!(history.anomalies(&log(&[(2, 12)])), []);
}

/// Each broker cleans for itself: another one may still have what was not there for a consumer.
#[test]
fn a_value_that_made_room_for_a_later_one_need_not_be_given() {
    let mut history = good();
    [(10, 1), (11, 2), (12, 1)].into_iter().for_each(|(value, key)| history.keyed(value, key));
    history.moved((2, 0), P, Some(0));
    history.polled((2, 0), P, &[(1, 11), (2, 12)]);
    history.finished(2, P);
    assert_eq!(history.anomalies(&good_log()), []);
    history.moved((3, 0), P, Some(0));
    history.polled((3, 0), P, &[(2, 12)]);
    history.finished(3, P);
    let skip = PollSkip { reader: 3, partition: P, from: 0, skipped: 1, to: 2 };
    let unseen = Unseen { reader: 3, partition: P, offset: 1, value: 11 };
    assert_eq!(history.anomalies(&good_log()), [skip, unseen], "the only one of its key");
}
