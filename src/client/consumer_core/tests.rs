//! The core, driven by hand: every answer is made up here.

use super::*;
use crate::{
    config::TopicConfig,
    env::Bytes,
    record::BatchWriter,
    rpc::{ListOffsetsResponse, OffsetForLeaderEpochResponse, PartitionMetadata},
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
    let mut core = ConsumerCore::new(config, Wanted::Topics(["t".to_owned()].into()));
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
    core.step(Event::Poll { deadline: LATER }, NOW)
}

/// The partitions and offsets that a fetch asks for.
#[track_caller]
fn asks(action: Action) -> Vec<(i32, i64)> {
    let Action::Fetch(_, request) = action else { panic!("not a fetch: {action:?}") };
    request.partitions.iter().map(|wanted| (wanted.partition.partition, wanted.offset.get())).collect()
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
    core.step(Event::Poll { deadline: NOW }, NOW).unwrap();
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
    assert_eq!(gives(core.step(Event::TimedOut, NOW).unwrap()), []);
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
