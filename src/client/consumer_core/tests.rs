//! The core, driven by hand: every answer is made up here.

use super::*;
use crate::{
    config::TopicConfig,
    env::Bytes,
    record::BatchWriter,
    rpc::{
        ListOffsetsResponse, MetadataResponse, OffsetForLeaderEpochResponse, PartitionMetadata, TopicMetadata,
    },
    types::{Timestamp, TopicId},
};

const NOW: Instant = Instant::from_nanos(0);
const LATER: Instant = Instant::from_nanos(1000);

/// A batch of `count` records from offset `base` on, whose values tell their offsets.
fn batch(base: i64, count: i64, epoch: i32) -> Vec<u8> {
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    for offset in base..base + count {
        writer.push(Timestamp::from_millis(offset), None, Some(offset.to_string().as_bytes()), &[]).unwrap();
    }
    let mut batch = writer.finish();
    batch.place(Offset::new(base), LeaderEpoch(epoch));
    batch.bytes().to_vec()
}

/// Makes a transaction's marker of a batch.
fn control(mut batch: Vec<u8>) -> Vec<u8> {
    batch[22] |= 0x20;
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn fetched(records: impl Into<Vec<u8>>) -> Result<Fetched> {
    let records = Bytes::from(records.into());
    Ok(Fetched {
        records,
        high_watermark: Offset::new(1000),
        log_start_offset: Offset::ZERO,
        last_stable_offset: Offset::ZERO,
        aborted: Vec::new(),
    })
}

fn metadata(topic_id: u8, partitions: i32) -> MetadataResponse {
    let id = TopicId::from_bytes([topic_id; 16]);
    let partition = |partition: i32| PartitionMetadata {
        partition: PartitionRef { topic_id: id, partition, slot: partition as u32 },
        leader: 1.into(),
        leader_epoch: LeaderEpoch(0),
    };
    let partitions = (0..partitions).map(partition).collect();
    MetadataResponse {
        topics: vec![TopicMetadata { name: "t".into(), id, config: TopicConfig::new(), partitions }],
        version: 0,
    }
}

fn core(config: ConsumerConfig, partitions: i32) -> ConsumerCore {
    // A member of a group would have to join first.
    let wanted = match &config.group {
        Some(_) => Wanted::Partitions((0..partitions).map(|number| ("t", number).into()).collect()),
        None => Wanted::Topics(["t".to_owned()].into()),
    };
    let mut core = ConsumerCore::new(config, wanted);
    core.learn(metadata(1, partitions)).unwrap();
    core
}

/// A consumer of one partition that stands at `offset`.
fn at(offset: i64, config: ConsumerConfig) -> ConsumerCore {
    let mut core = core(config, 1);
    core.seek(&("t", 0).into(), OffsetSpec::At(offset)).unwrap();
    core
}

fn poll(core: &mut ConsumerCore) -> Result<Action> {
    core.step(Event::Poll { deadline: LATER, most: usize::MAX }, NOW)
}

/// The partitions and offsets that a fetch asks for.
#[track_caller]
fn asks(action: Action) -> Vec<(i32, i64)> {
    let Action::Fetch(_, request) = action else { panic!("not a fetch: {action:?}") };
    request.partitions.iter().map(|wanted| (wanted.partition.partition, wanted.offset.get())).collect()
}

/// Until when there is nothing to read.
#[track_caller]
fn waits(action: Action) -> Instant {
    match action {
        Action::Fetch(_, request) if request.partitions.is_empty() => request.deadline,
        other => panic!("not a fetch of nothing: {other:?}"),
    }
}

/// The offsets that are handed out.
#[track_caller]
fn gives(action: Action) -> Vec<i64> {
    let Action::Deliver(records) = action else { panic!("no records: {action:?}") };
    let offsets: Vec<i64> = records.iter().map(|record| record.offset()).collect();
    let values: Vec<String> = records.iter().map(|record| record.value_str().unwrap().to_owned()).collect();
    assert_eq!(values, offsets.iter().map(ToString::to_string).collect::<Vec<_>>());
    offsets
}

fn answer(core: &mut ConsumerCore, partitions: Vec<Result<Fetched>>) -> Result<Action> {
    core.step(Event::Fetched(FetchResponse { partitions, metadata_version: 0 }), NOW)
}

fn position(core: &ConsumerCore) -> (i64, Option<i32>) {
    let positions = core.positions();
    let position = positions.get(("t", 0)).unwrap();
    (position.offset, position.leader_epoch)
}

#[test]
fn a_batch_that_is_cut_short_waits_for_the_next_fetch() {
    let two = [batch(0, 3, 0), batch(3, 2, 0)].concat();
    let first = batch(0, 3, 0).len();
    for len in first..two.len() {
        let mut core = at(0, ConsumerConfig::standalone());
        assert_eq!(asks(poll(&mut core).unwrap()), [(0, 0)]);
        assert_eq!(gives(answer(&mut core, vec![fetched(&two[..len])]).unwrap()), [0, 1, 2], "{len} bytes");
        assert_eq!(asks(poll(&mut core).unwrap()), [(0, 3)], "{len} bytes");
        assert_eq!(gives(answer(&mut core, vec![fetched(batch(3, 2, 0))]).unwrap()), [3, 4], "{len} bytes");
    }
}

#[test]
fn a_batch_is_split_over_polls_without_another_fetch() {
    let mut core = at(1, ConsumerConfig::standalone().max_poll_records(2));
    poll(&mut core).unwrap();
    let records = [batch(0, 6, 3), batch(6, 1, 4), batch(7, 2, 4)].concat();
    assert_eq!(gives(answer(&mut core, vec![fetched(records)]).unwrap()), [1, 2]);
    assert_eq!(position(&core), (3, Some(3)));
    assert_eq!(gives(poll(&mut core).unwrap()), [3, 4]);
    assert_eq!(gives(poll(&mut core).unwrap()), [5, 6]);
    assert_eq!(position(&core), (7, Some(4)));
    assert_eq!(gives(poll(&mut core).unwrap()), [7, 8]);
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 9)]);
}

/// The offset that the error names to go on at, of a first batch that is damaged.
fn leads_on_to(records: Vec<u8>) -> i64 {
    let mut core = at(0, ConsumerConfig::standalone());
    poll(&mut core).unwrap();
    match answer(&mut core, vec![fetched(records)]) {
        Err(Error::CorruptMessage { offset: 0, next_offset, .. }) => next_offset,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_header_does_not_lead_beyond_the_records_that_there_are() {
    let mut bad = batch(0, 3, 0);
    bad[23] = 1; // its last offset, 16777218 then
    assert_eq!(leads_on_to(bad.clone()), 1, "there is no telling");
    assert_eq!(leads_on_to([bad, batch(3, 1, 0)].concat()), 3, "the batch behind it tells");
}

#[test]
fn a_commit_in_the_middle_of_a_batch_names_the_next_record() {
    let mut core = at(0, ConsumerConfig::standalone().max_poll_records(2));
    poll(&mut core).unwrap();
    let Action::Deliver(records) = answer(&mut core, vec![fetched(batch(0, 5, 7))]).unwrap() else {
        panic!()
    };
    let next = records.next_offsets();
    let next = next.get(("t", 0)).unwrap();
    assert_eq!((next.offset, next.leader_epoch), (2, Some(7)));
}

#[test]
fn rule_06_gaps_in_the_offsets_are_passed_over() {
    let mut core = at(5, ConsumerConfig::standalone());
    poll(&mut core).unwrap();
    let records = [batch(10, 2, 0), batch(20, 1, 0)].concat();
    assert_eq!(gives(answer(&mut core, vec![fetched(records)]).unwrap()), [10, 11, 20]);
    assert_eq!(position(&core).0, 21);
}

#[test]
fn rule_28_markers_are_not_handed_out_and_move_the_position() {
    let mut core = at(0, ConsumerConfig::standalone());
    poll(&mut core).unwrap();
    let records = [control(batch(0, 1, 0)), batch(1, 1, 0), control(batch(2, 1, 0)), batch(3, 1, 0)].concat();
    assert_eq!(gives(answer(&mut core, vec![fetched(records)]).unwrap()), [1, 3]);
    poll(&mut core).unwrap();
    let only_a_marker = answer(&mut core, vec![fetched(control(batch(4, 1, 0)))]).unwrap();
    assert_eq!(asks(only_a_marker), [(0, 5)], "and the poll goes on");
}

#[test]
fn good_batches_before_a_corrupt_one_come_first_and_the_error_until_somebody_seeks() {
    let mut core = at(0, ConsumerConfig::standalone());
    poll(&mut core).unwrap();
    let mut bad = batch(2, 3, 0);
    let last = bad.len() - 1;
    bad[last] ^= 1;
    let behind = [bad, batch(5, 1, 0)].concat();
    let records = [batch(0, 2, 0), behind.clone()].concat();
    assert_eq!(gives(answer(&mut core, vec![fetched(records)]).unwrap()), [0, 1]);
    let mut failed = poll(&mut core);
    for _ in 0..3 {
        let error = failed.unwrap_err();
        assert!(matches!(error, Error::CorruptMessage { offset: 2, next_offset: 5, .. }), "{error:?}");
        assert_eq!(position(&core).0, 2);
        assert_eq!(asks(poll(&mut core).unwrap()), [(0, 2)]);
        failed = answer(&mut core, vec![fetched(behind.clone())]);
    }
    core.seek(&("t", 0).into(), OffsetSpec::At(5)).unwrap();
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 5)]);
    assert_eq!(gives(answer(&mut core, vec![fetched(batch(5, 1, 0))]).unwrap()), [5]);
}

#[test]
fn a_corrupt_partition_does_not_keep_others_from_being_read() {
    let mut core = core(ConsumerConfig::standalone(), 2);
    (0..2).for_each(|n| core.seek(&("t", n).into(), OffsetSpec::At(0)).unwrap());
    let mut bad = batch(0, 1, 0);
    bad[30] ^= 1;
    let (mut next, mut errors) = (0, 0);
    for _ in 0..20 {
        let mut action = poll(&mut core);
        if let Ok(Action::Fetch(_, request)) = &action {
            let of = |wanted: &FetchPartition| match wanted.partition.partition {
                0 => fetched(bad.clone()),
                _ => fetched(batch(wanted.offset.get(), 2, 0)),
            };
            let response = request.partitions.iter().map(of).collect();
            action = answer(&mut core, response);
        }
        match action {
            Ok(records) => {
                assert_eq!(gives(records), [next, next + 1]);
                next += 2;
            }
            Err(error) => {
                assert!(matches!(error, Error::CorruptMessage { offset: 0, .. }), "{error:?}");
                errors += 1;
            }
        }
    }
    assert!(next >= 10 && errors >= 5, "{next} records and {errors} errors");
}

#[test]
fn bytes_that_are_no_batch_are_an_error_and_no_panic() {
    let good = batch(0, 3, 0);
    for bad in [vec![0; 61], vec![0xff; 200], good[..61].to_vec(), good[..good.len() - 1].to_vec(), vec![1]] {
        let mut core = at(0, ConsumerConfig::standalone());
        poll(&mut core).unwrap();
        let error = answer(&mut core, vec![fetched(bad)]).unwrap_err();
        assert!(matches!(error, Error::CorruptMessage { offset: 0, .. }), "{error:?}");
        assert_eq!(position(&core).0, 0);
    }
}

#[test]
fn rule_02_a_position_out_of_range_is_reset_and_fetched_in_the_same_poll() {
    let out_of_range = || {
        let partition = ("t", 0).into();
        Err(Error::OffsetOutOfRange { partition, offset: 9, log_start_offset: 2, log_end_offset: 5 })
    };
    let mut core = at(9, ConsumerConfig::standalone());
    core.step(Event::Poll { deadline: NOW, most: usize::MAX }, NOW).unwrap();
    let asked = answer(&mut core, vec![out_of_range()]).unwrap();
    assert!(matches!(&asked, Action::Call(Request::ListOffsets(_))), "{asked:?}");
    let earliest =
        Response::ListOffsets(ListOffsetsResponse { offset: Some(Offset::new(2)), metadata_version: 0 });
    assert_eq!(asks(core.step(Event::Answered(earliest), NOW).unwrap()), [(0, 2)]);
    assert_eq!(gives(answer(&mut core, vec![fetched(batch(2, 3, 0))]).unwrap()), [2, 3, 4]);

    let mut core = at(9, ConsumerConfig::standalone().auto_offset_reset(AutoOffsetReset::None));
    for _ in 0..2 {
        assert_eq!(asks(poll(&mut core).unwrap()), [(0, 9)]);
        let error = answer(&mut core, vec![out_of_range()]).unwrap_err();
        assert!(matches!(error, Error::OffsetOutOfRange { .. }), "{error:?}");
    }
}

fn committed(offset: i64, leader_epoch: Option<i32>) -> Response {
    let mut committed = OffsetAndMetadata::from(offset);
    committed.leader_epoch = leader_epoch;
    Response::OffsetFetch(OffsetFetchResponse { offsets: vec![Some(committed)] })
}

#[test]
fn a_commit_with_an_epoch_is_held_against_the_log() {
    for (end, expected) in [(Some(30), 30), (Some(50), 42), (None, 42)] {
        let mut core = core(ConsumerConfig::new("g"), 1);
        assert!(matches!(poll(&mut core).unwrap(), Action::Call(Request::OffsetFetch(_))));
        let asked = core.step(Event::Answered(committed(42, Some(3))), NOW).unwrap();
        let Action::Call(Request::OffsetForLeaderEpoch(request)) = asked else { panic!("{asked:?}") };
        assert_eq!(request.leader_epoch, LeaderEpoch(3));
        let end_offset = end.map(Offset::new);
        let answer = Response::OffsetForLeaderEpoch(OffsetForLeaderEpochResponse { end_offset });
        assert_eq!(asks(core.step(Event::Answered(answer), NOW).unwrap()), [(0, expected)]);
    }
    let mut core = core(ConsumerConfig::new("g"), 1);
    poll(&mut core).unwrap();
    assert_eq!(asks(core.step(Event::Answered(committed(42, None)), NOW).unwrap()), [(0, 42)]);
}

#[test]
fn without_a_commit_and_without_a_reset_each_poll_asks_once_and_fails() {
    let mut core = core(ConsumerConfig::new("g").auto_offset_reset(AutoOffsetReset::None), 1);
    for _ in 0..3 {
        assert!(matches!(poll(&mut core).unwrap(), Action::Call(Request::OffsetFetch(_))));
        let nothing = Response::OffsetFetch(OffsetFetchResponse { offsets: vec![None] });
        let error = core.step(Event::Answered(nothing), NOW).unwrap_err();
        assert!(matches!(error, Error::NoOffsetForPartition { .. }), "{error:?}");
        assert!(matches!(core.step(Event::Assign, NOW).unwrap(), Action::Located));
    }
}

#[test]
fn the_partition_behind_the_one_that_was_served_goes_first() {
    let mut core = core(ConsumerConfig::standalone().max_poll_records(2), 3);
    (0..3).for_each(|n| core.seek(&("t", n).into(), OffsetSpec::At(0)).unwrap());
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 0), (1, 0), (2, 0)]);
    let all = || vec![fetched(batch(0, 3, 0)), fetched(batch(0, 3, 0)), fetched(batch(0, 3, 0))];
    let served = |action: Action| {
        let Action::Deliver(records) = action else { panic!("{action:?}") };
        records.iter().map(|record| record.partition()).collect::<Vec<_>>()
    };
    assert_eq!(served(answer(&mut core, all()).unwrap()), [0, 0]);
    assert_eq!(served(poll(&mut core).unwrap()), [1, 1]);
    assert_eq!(served(poll(&mut core).unwrap()), [2, 2]);
    assert_eq!(served(poll(&mut core).unwrap()), [0, 1]);
    assert_eq!(served(poll(&mut core).unwrap()), [2]);
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 3), (1, 3), (2, 3)]);
    assert_eq!(
        served(answer(&mut core, vec![fetched([]), fetched(batch(3, 2, 0)), fetched([])]).unwrap()),
        [1, 1]
    );
    assert_eq!(asks(poll(&mut core).unwrap()), [(2, 3), (0, 3), (1, 5)]);
}

#[test]
fn a_seek_forgets_what_was_fetched() {
    let mut core = at(0, ConsumerConfig::standalone().max_poll_records(1));
    poll(&mut core).unwrap();
    assert_eq!(gives(answer(&mut core, vec![fetched(batch(0, 5, 0))]).unwrap()), [0]);
    core.seek(&("t", 0).into(), OffsetSpec::At(3)).unwrap();
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 3)]);
    assert_eq!(gives(answer(&mut core, vec![fetched(batch(0, 5, 0))]).unwrap()), [3]);
}

#[test]
fn a_poll_ends_when_its_time_is_up() {
    let mut core = at(0, ConsumerConfig::standalone());
    asks(poll(&mut core).unwrap());
    let too_early = core
        .step(Event::Fetched(FetchResponse { partitions: vec![fetched([])], metadata_version: 0 }), NOW)
        .unwrap();
    assert_eq!(asks(too_early), [(0, 0)], "an empty answer before that is asked for again");
    let response = FetchResponse { partitions: vec![fetched([])], metadata_version: 0 };
    assert_eq!(gives(core.step(Event::Fetched(response), LATER).unwrap()), []);
    asks(poll(&mut core).unwrap());
    assert_eq!(gives(core.step(Event::TimedOut, LATER).unwrap()), []);
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 0)]);
}

#[test]
fn rule_11_another_topic_of_the_same_name_is_begun_anew() {
    let mut core = at(7, ConsumerConfig::standalone());
    poll(&mut core).unwrap();
    let gone = Err(Error::UnknownTopicId { topic: "by its id".to_owned() });
    let error = answer(&mut core, vec![gone]).unwrap_err();
    assert!(matches!(&error, Error::UnknownTopicId { topic } if topic == "t"), "{error:?}");
    assert!(matches!(poll(&mut core).unwrap(), Action::Call(Request::Metadata(_))));
    let asked = core.step(Event::Answered(Response::Metadata(metadata(2, 1))), NOW).unwrap();
    let Action::Call(Request::ListOffsets(request)) = asked else { panic!("{asked:?}") };
    assert_eq!(
        (request.partition.topic_id, request.spec),
        (TopicId::from_bytes([2; 16]), OffsetSpec::Earliest)
    );
}

#[test]
fn rule_10_a_new_leader_is_looked_up_and_the_place_stays() {
    let mut core = at(7, ConsumerConfig::standalone());
    poll(&mut core).unwrap();
    let asked = answer(&mut core, vec![Err(Error::FencedLeaderEpoch)]).unwrap();
    assert!(matches!(asked, Action::Call(Request::Metadata(_))), "{asked:?}");
    let asked = core.step(Event::Answered(Response::Metadata(metadata(1, 1))), NOW).unwrap();
    assert_eq!(asks(asked), [(0, 7)]);
}

#[test]
fn an_answer_to_another_question_is_an_error() {
    let mut core = at(0, ConsumerConfig::standalone());
    poll(&mut core).unwrap();
    assert!(core.step(Event::Answered(committed(1, None)), NOW).is_err());
    assert!(answer(&mut core, vec![fetched(batch(0, 1, 0))]).is_err(), "nobody waits for it any more");
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 0)]);
}

#[test]
fn what_was_fetched_of_a_paused_partition_is_kept_and_comes_after_the_resume() {
    let mut core = core(ConsumerConfig::standalone().max_poll_records(2), 2);
    (0..2).for_each(|n| core.seek(&("t", n).into(), OffsetSpec::At(0)).unwrap());
    poll(&mut core).unwrap();
    let both = vec![fetched(batch(0, 4, 0)), fetched(batch(0, 1, 0))];
    assert_eq!(gives(answer(&mut core, both).unwrap()), [0, 1], "of the first");
    core.set_paused(&[("t", 0).into()], true).unwrap();
    assert_eq!(core.paused(), [("t", 0).into()]);
    assert_eq!(gives(poll(&mut core).unwrap()), [0], "of the second");
    assert_eq!(asks(poll(&mut core).unwrap()), [(1, 1)], "the first is not fetched");
    assert_eq!(position(&core).0, 2);
    core.set_paused(&[("t", 0).into()], false).unwrap();
    assert_eq!(gives(poll(&mut core).unwrap()), [2, 3], "without another fetch");
}

#[test]
fn a_poll_with_all_paused_waits_until_its_time_is_up() {
    let mut core = at(5, ConsumerConfig::standalone());
    core.set_paused(&[("t", 0).into()], true).unwrap();
    assert_eq!(waits(poll(&mut core).unwrap()), LATER);
    assert_eq!(
        waits(answer(&mut core, vec![]).unwrap()),
        LATER,
        "a broker has told of what is nothing to it"
    );
    assert_eq!(gives(core.step(Event::TimedOut, LATER).unwrap()), []);
    assert_eq!(position(&core).0, 5);
    core.seek(&("t", 0).into(), OffsetSpec::At(7)).unwrap();
    assert_eq!(waits(poll(&mut core).unwrap()), LATER, "a seek resumes nothing");
    core.set_paused(&[("t", 0).into()], false).unwrap();
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 7)]);
}

#[test]
fn a_partition_stays_paused_under_a_new_leader() {
    let mut core = at(7, ConsumerConfig::standalone());
    poll(&mut core).unwrap();
    answer(&mut core, vec![Err(Error::FencedLeaderEpoch)]).unwrap();
    core.set_paused(&[("t", 0).into()], true).unwrap();
    assert_eq!(waits(core.step(Event::Answered(Response::Metadata(metadata(1, 1))), NOW).unwrap()), LATER);
}

#[test]
fn nothing_is_paused_if_one_of_them_is_not_assigned() {
    let mut core = core(ConsumerConfig::standalone(), 2);
    let error = core.set_paused(&[("t", 0).into(), ("t", 2).into()], true).unwrap_err();
    assert!(matches!(error, Error::IllegalState(_)), "{error:?}");
    assert!(core.paused().is_empty());
}

#[test]
fn a_poll_for_one_record_moves_the_position_by_one_and_keeps_the_rest() {
    let mut core = at(0, ConsumerConfig::standalone());
    let one = |core: &mut ConsumerCore| core.step(Event::Poll { deadline: LATER, most: 1 }, NOW).unwrap();
    asks(one(&mut core));
    assert_eq!(gives(answer(&mut core, vec![fetched(batch(0, 5, 0))]).unwrap()), [0]);
    assert_eq!(position(&core).0, 1);
    assert_eq!(gives(one(&mut core)), [1]);
    assert_eq!(position(&core).0, 2);
    assert_eq!(gives(poll(&mut core).unwrap()), [2, 3, 4]);
}

/// A consumer that commits every 1000 ns, and has handed out three of five records at 0 ns.
fn committing() -> ConsumerCore {
    let interval = std::time::Duration::from_nanos(1000);
    let config = ConsumerConfig::new("g").enable_auto_commit(true).auto_commit_interval(interval);
    let mut core = at(0, config.max_poll_records(3));
    asks(poll(&mut core).unwrap());
    assert_eq!(gives(answer(&mut core, vec![fetched(batch(0, 5, 0))]).unwrap()), [0, 1, 2]);
    core
}

fn poll_at(core: &mut ConsumerCore, nanos: u64) -> Action {
    let now = Instant::from_nanos(nanos);
    core.step(Event::Poll { deadline: now, most: usize::MAX }, now).unwrap()
}

/// The offset that a poll commits first of all.
#[track_caller]
fn commits(action: &Action) -> i64 {
    let Action::Commit(offsets) = action else { panic!("not a commit: {action:?}") };
    offsets.get(("t", 0)).unwrap().offset
}

#[test]
fn an_automatic_commit_is_due_after_its_interval_and_names_what_was_handed_out() {
    let mut core = committing();
    assert_eq!(gives(poll_at(&mut core, 999)), [3, 4], "not yet");
    assert_eq!(commits(&poll_at(&mut core, 1500)), 5);
    let now = Instant::from_nanos(1500);
    assert_eq!(asks(core.step(Event::Committed(Ok(())), now).unwrap()), [(0, 5)]);
    assert_eq!(gives(answer(&mut core, vec![fetched(batch(5, 1, 0))]).unwrap()), [5]);
    assert_eq!(asks(poll_at(&mut core, 2499)), [(0, 6)]);
    assert_eq!(commits(&poll_at(&mut core, 2500)), 6, "the interval counts from the last commit");
    core.step(Event::Committed(Ok(())), Instant::from_nanos(2500)).unwrap();
    assert_eq!(core.last_commit(), None);
    assert_eq!(asks(poll_at(&mut core, 9000)), [(0, 6)], "nothing moved");
}

#[test]
fn an_automatic_commit_that_may_succeed_later_is_tried_again_by_the_next_poll() {
    let mut core = committing();
    assert_eq!(commits(&poll_at(&mut core, 1000)), 3);
    let failed = core.step(Event::Committed(Err(Error::Timeout)), Instant::from_nanos(1000));
    assert_eq!(gives(failed.unwrap()), [3, 4], "and this poll goes on");
    assert_eq!(commits(&poll_at(&mut core, 1001)), 5);
    assert_eq!(core.last_commit().unwrap().get(("t", 0)).unwrap().offset, 5);
}

#[test]
fn an_automatic_commit_that_is_refused_fails_its_poll_and_waits_for_its_next_time() {
    let mut core = committing();
    assert_eq!(commits(&poll_at(&mut core, 1000)), 3);
    let refused = Err(Error::UnknownMemberId { group: "g".to_owned() });
    let error = core.step(Event::Committed(refused), Instant::from_nanos(1000)).unwrap_err();
    assert!(error.is_fenced(), "{error:?}");
    assert_eq!(gives(poll_at(&mut core, 1999)), [3, 4], "no record was spent");
    assert_eq!(commits(&poll_at(&mut core, 2000)), 5);
}

#[test]
fn the_way_back_leads_to_the_commit_else_to_the_lowest_place_that_was_served() {
    let mut core = at(3, ConsumerConfig::new("g").max_poll_records(2));
    core.seek_to_committed(&Offsets::new());
    assert_eq!(position(&core).0, 3, "nothing was handed out");
    asks(poll(&mut core).unwrap());
    assert_eq!(gives(answer(&mut core, vec![fetched(batch(0, 9, 5))]).unwrap()), [3, 4]);
    for to in [6, 1, 7] {
        core.seek(&("t", 0).into(), OffsetSpec::At(to)).unwrap();
        asks(poll(&mut core).unwrap());
        assert_eq!(gives(answer(&mut core, vec![fetched(batch(0, 9, 5))]).unwrap()), [to, to + 1]);
    }
    core.seek_to_committed(&Offsets::new());
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 1)], "what was fetched further on does not count");
    core.seek_to_committed(&Offsets::from([(("t", 0), 4)]));
    assert_eq!(position(&core).0, 4);
    let with_epoch = OffsetAndMetadata::with_epoch(4, 5);
    core.seek_to_committed(&[(TopicPartition::new("t", 0), with_epoch)].into_iter().collect());
    let asked = poll(&mut core).unwrap();
    assert!(
        matches!(asked, Action::Call(Request::OffsetForLeaderEpoch(_))),
        "it may have been cut: {asked:?}"
    );
}

#[test]
fn a_fetch_is_held_back_for_so_many_bytes_and_so_long() {
    let wait = |core: &mut ConsumerCore, until: u64| {
        let deadline = Instant::from_nanos(until);
        let action = core.step(Event::Poll { deadline, most: usize::MAX }, NOW).unwrap();
        let Action::Fetch(_, request) = action else { panic!("not a fetch: {action:?}") };
        (request.min_bytes, request.deadline)
    };
    let mut core = at(0, ConsumerConfig::standalone());
    assert_eq!(wait(&mut core, 9000), (1, Instant::from_nanos(9000)));
    let held_back = std::time::Duration::from_nanos(500);
    let mut core = at(0, ConsumerConfig::standalone().fetch_min_bytes(7).fetch_max_wait(held_back));
    assert_eq!(wait(&mut core, 9000), (7, Instant::from_nanos(500)));
    let until = |action: &Action, nanos: u64| matches!(action, Action::Fetch(_, request) if request.deadline == Instant::from_nanos(nanos));
    let now = Instant::from_nanos(500);
    assert!(until(&core.step(Event::TimedOut, now).unwrap(), 500), "it takes what there is");
    let nothing = FetchResponse { partitions: vec![fetched([])], metadata_version: 0 };
    assert!(until(&core.step(Event::Fetched(nothing), now).unwrap(), 1000), "and waits again");
    let end = Instant::from_nanos(9000);
    assert!(until(&core.step(Event::TimedOut, end).unwrap(), 9000), "at the end of the poll too");
    assert_eq!(gives(core.step(Event::TimedOut, end).unwrap()), [] as [i64; 0], "but once");
    assert_eq!(wait(&mut core, 300), (7, Instant::from_nanos(300)), "never longer than the poll");
}

fn no_such_topic() -> Response {
    Response::Metadata(MetadataResponse { topics: Vec::new(), version: 0 })
}

/// The names of the topics that a broker is asked for.
#[track_caller]
fn looks_for(action: Result<Action>) -> Vec<String> {
    match action {
        Ok(Action::Call(Request::Metadata(request))) => request.topics.unwrap(),
        other => panic!("not a look for topics: {other:?}"),
    }
}

#[test]
fn a_topic_that_is_gone_is_told_of_once_and_looked_for_by_each_poll() {
    let mut core = at(7, ConsumerConfig::standalone());
    asks(poll(&mut core).unwrap());
    let gone = || Err(Error::UnknownTopicId { topic: "by its id".to_owned() });
    assert!(matches!(answer(&mut core, vec![gone()]), Err(Error::UnknownTopicId { topic }) if topic == "t"));
    assert!(core.assignment().is_empty());
    for _ in 0..2 {
        assert_eq!(looks_for(poll(&mut core)), ["t"]);
        assert_eq!(waits(core.step(Event::Answered(no_such_topic()), NOW).unwrap()), LATER);
        assert_eq!(looks_for(core.step(Event::TimedOut, LATER)), ["t"]);
        assert_eq!(gives(core.step(Event::Answered(no_such_topic()), LATER).unwrap()), []);
    }
    assert_eq!(looks_for(poll(&mut core)), ["t"]);
    let asked = core.step(Event::Answered(Response::Metadata(metadata(2, 1))), NOW).unwrap();
    assert!(matches!(asked, Action::Call(Request::ListOffsets(_))), "it is begun anew: {asked:?}");
    assert_eq!(core.assignment(), [("t", 0).into()]);
}

#[test]
fn a_poll_that_waits_looks_for_what_is_gone_now_and_then() {
    let mut core = at(7, ConsumerConfig::standalone());
    asks(poll(&mut core).unwrap());
    answer(&mut core, vec![Err(Error::UnknownTopicId { topic: String::new() })]).unwrap_err();
    let mut now = NOW;
    let mut action = core.step(Event::Poll { deadline: Instant::MAX, most: 1 }, now);
    for _ in 0..3 {
        assert_eq!(looks_for(action), ["t"]);
        let until = waits(core.step(Event::Answered(no_such_topic()), now).unwrap());
        assert_eq!(until.since(now), std::time::Duration::from_secs(1));
        now = until;
        action = core.step(Event::TimedOut, now);
    }
}

#[test]
fn a_topic_that_is_gone_before_its_first_record_is_told_of_once() {
    let mut core = core(ConsumerConfig::standalone(), 1);
    let asked = poll(&mut core).unwrap();
    assert!(matches!(asked, Action::Call(Request::ListOffsets(_))), "{asked:?}");
    let gone = Error::UnknownTopicId { topic: "t".to_owned() };
    let error = core.step(Event::Failed(gone), NOW).unwrap_err();
    assert!(matches!(error, Error::UnknownTopicId { .. }), "{error:?}");
    assert_eq!(looks_for(poll(&mut core)), ["t"]);
    waits(core.step(Event::Answered(no_such_topic()), NOW).unwrap());
}

#[test]
fn an_assigned_partition_that_a_new_topic_does_not_have_does_not_keep_the_others_from_being_read() {
    let wanted = [("t", 0).into(), ("t", 2).into()].into();
    let mut core = ConsumerCore::new(ConsumerConfig::standalone(), Wanted::Partitions(wanted));
    core.learn(metadata(1, 3)).unwrap();
    assert_eq!(core.assignment(), [("t", 0).into(), ("t", 2).into()]);
    [0, 2].into_iter().for_each(|n| core.seek(&("t", n).into(), OffsetSpec::At(5)).unwrap());
    asks(poll(&mut core).unwrap());
    let gone = || Err(Error::UnknownTopicId { topic: String::new() });
    answer(&mut core, vec![gone(), gone()]).unwrap_err();
    looks_for(poll(&mut core));
    core.step(Event::Answered(Response::Metadata(metadata(2, 1))), NOW).unwrap();
    let error = core.reference(&("t", 2).into()).unwrap_err();
    assert!(matches!(error, Error::UnknownTopicOrPartition { partition: Some(2), .. }), "{error:?}");
    assert_eq!(core.assignment(), [("t", 0).into()]);
    core.seek(&("t", 0).into(), OffsetSpec::At(1)).unwrap();
    for offset in [1, 3] {
        looks_for(poll(&mut core));
        assert_eq!(
            asks(core.step(Event::Answered(Response::Metadata(metadata(2, 1))), NOW).unwrap()),
            [(0, offset)]
        );
        assert_eq!(
            gives(answer(&mut core, vec![fetched(batch(offset, 2, 0))]).unwrap()),
            [offset, offset + 1]
        );
    }
}

#[test]
fn a_topic_that_got_partitions_is_asked_for_again_and_nothing_is_handed_out_twice() {
    let mut core = core(ConsumerConfig::standalone(), 1);
    core.seek(&("t", 0).into(), OffsetSpec::At(0)).unwrap();
    assert_eq!(asks(poll(&mut core).unwrap()), [(0, 0)]);
    let response = FetchResponse { partitions: vec![fetched(batch(0, 2, 0))], metadata_version: 7 };
    assert_eq!(gives(core.step(Event::Fetched(response), NOW).unwrap()), [0, 1]);
    let Action::Call(Request::Metadata(_)) = poll(&mut core).unwrap() else { panic!("not asked again") };
    let grown = Response::Metadata(MetadataResponse { version: 7, ..metadata(1, 2) });
    let Action::Call(Request::ListOffsets(asked)) = core.step(Event::Answered(grown), NOW).unwrap() else {
        panic!("where does the new one begin?")
    };
    assert_eq!(asked.partition.partition, 1);
    let start = ListOffsetsResponse { offset: Some(Offset::ZERO), metadata_version: 7 };
    let action = core.step(Event::Answered(Response::ListOffsets(start)), NOW).unwrap();
    let mut asked = asks(action);
    asked.sort_unstable();
    assert_eq!(asked, [(0, 2), (1, 0)]);
}
