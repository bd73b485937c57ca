//! Rolling, and what goes at a log's start.

use super::*;
use crate::config::TopicConfig;
use std::time::Duration;

const HOUR: i64 = 3_600_000;

fn offset(n: i64) -> Offset {
    Offset::new(n)
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// Segments of an hour: 0 to 2, 3 to 5, 6 to 8.
fn hours() -> Store {
    let config =
        TopicConfig::new().segment_time(Duration::from_secs(3599)).retention_time(Duration::from_secs(7200));
    let mut store = Store::of(config.index_interval_bytes(0));
    for hour in 0..3 {
        (0..3).for_each(|n| store.append(&[hour * HOUR + n]));
    }
    store
}

#[test]
fn rule_39_rolls_by_the_timestamps_of_records_strictly() {
    let mut store = Store::of(TopicConfig::new().segment_time(Duration::from_millis(100)));
    for time in [1000, 1100, 5, 1100] {
        store.append(&[time]);
    }
    assert_eq!(bases(&store.log), [0], "100 ms are within the span, and older ones are too");
    store.append(&[1101]);
    assert_eq!(bases(&store.log), [0, 4]);
    store.append(&[1000, 1202]);
    assert_eq!(bases(&store.log), [0, 4, 5], "a batch's largest timestamp counts");
    store.crash_and_reopen();
    store.append(&[1303]);
    assert_eq!(bases(&store.log), [0, 4, 5, 7], "counted from the segment's first batch, after a reopen too");
}

#[test]
fn rule_39_where_there_is_no_timestamp_nothing_rolls_by_time() {
    let mut store = Store::of(TopicConfig::new().segment_time(Duration::from_millis(100)));
    for time in [-1, 1000, -1, 9000] {
        store.append(&[time]);
    }
    assert_eq!(bases(&store.log), [0], "the first batch has none to measure from");
    store.crash_and_reopen();
    store.append(&[10_000]);
    assert_eq!(bases(&store.log), [0]);
}

#[test]
fn rolls_when_an_index_is_full() {
    let mut store = Store::of(TopicConfig::new().index_interval_bytes(0).segment_index_bytes(40));
    (0..12).for_each(|time| store.append(&[time]));
    let held: Vec<i64> = bases(&store.log).windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(held.len() >= 2 && held.iter().all(|records| *records <= 6), "{held:?}");
    store.close();
    for (suffix, entry) in [(".index", 8), (".timeindex", 12)] {
        assert!(store.files(suffix).iter().all(|path| store.content(path).len() <= 40 / entry * entry));
    }
}

#[test]
fn rolls_where_an_index_could_not_tell_the_offset() {
    let mut store = Store::of(TopicConfig::new());
    store.append(&[1]);
    store.close();
    let log = &store.files(".log")[0];
    let first = store.content(log);
    let mut far = first.clone();
    let last = i64::from(i32::MAX);
    far[..8].copy_from_slice(&(last - 1).to_be_bytes());
    store.overwrite(log, &[first, far].concat());
    store.config.gaps = true;
    store.log = store.reopen(LoadedFrom::Crash(Offset::ZERO)).unwrap();
    assert_eq!(store.log.end(), Offset::new(last));
    store.append(&[2]);
    assert_eq!(bases(&store.log), [0], "its relative offset is the largest of 32 bits");
    store.append(&[3]);
    assert_eq!(bases(&store.log), [0, last + 1]);
}

#[test]
fn rule_36_a_segment_goes_when_its_youngest_record_is_too_old() {
    let mut store = hours();
    let end = store.log.end();
    let mut start = |now| store.log.retention_start(at(now), end).unwrap().map(Offset::get);
    assert_eq!(start(2 + 2 * HOUR), None, "just as old as allowed");
    assert_eq!(start(3 + 2 * HOUR), Some(3));
    assert_eq!(start(3 + 3 * HOUR), Some(6));
}

#[test]
fn rule_36_a_young_record_pins_its_segment_and_those_behind_it() {
    let config = TopicConfig::new().segment_bytes(1024).retention_time(Duration::from_secs(1));
    let mut store = Store::of(config.index_interval_bytes(0));
    store.append(&[1, 2, 1_000_000, 3]);
    (0..100).for_each(|time| store.append(&[time]));
    let end = store.close();
    assert!(bases(&store.log).len() > 3);
    for mut log in
        [store.reopen(LoadedFrom::CleanClose(end)).unwrap(), store.reopen(LoadedFrom::Crash(end)).unwrap()]
    {
        assert_eq!(log.retention_start(at(1_000_500), end).unwrap(), None);
        assert!(log.retention_start(at(1_001_001), end).unwrap().is_some());
    }
}

#[test]
fn rule_36_an_index_that_lost_its_youngest_entry_removes_nothing() {
    let config = TopicConfig::new().segment_bytes(1024).retention_time(Duration::from_secs(1));
    let mut store = Store::of(config.index_interval_bytes(0));
    (0..3).for_each(|time| store.append(&[time]));
    store.append(&[1_000_000]);
    (0..30).for_each(|time| store.append(&[time]));
    let end = store.close();
    let times = &store.files(".timeindex")[0];
    let cut = &store.content(times)[..24];
    store.overwrite(times, cut);
    let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    assert_eq!(log.retention_start(at(900_000), end).unwrap(), None);
}

#[test]
fn rule_36_a_segment_without_timestamps_is_as_young_as_its_file() {
    const MINUTE: Duration = Duration::from_secs(60);
    let config = TopicConfig::new().segment_bytes(1024).retention_time(30 * MINUTE);
    let mut store = Store::of(config.index_interval_bytes(0));
    let begun = store.clock.now();
    for minutes in [0, 10, 20] {
        store.clock.advance(10 * MINUTE * u32::from(minutes > 0));
        (0..15).for_each(|_| store.append(&[-1]));
    }
    let (end, segments) = (store.log.end(), bases(&store.log));
    assert!(segments.len() > 3, "{segments:?}");
    let young_from = |log: &mut Log, minutes: u32| {
        let start = log.retention_start(begun + MINUTE * minutes + Duration::from_millis(1), end).unwrap();
        start.map_or(0, Offset::get)
    };
    // The second segment took its last batch, and was closed, ten minutes behind the first one.
    let expected = [(29, 0), (30, segments[1]), (39, segments[1]), (40, segments[2])];
    for (minutes, start) in expected {
        assert_eq!(young_from(&mut store.log, minutes), start, "after {minutes} minutes");
    }
    store.close();
    let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    for (minutes, start) in expected {
        assert_eq!(young_from(&mut log, minutes), start, "after {minutes} minutes, opened anew");
    }
}

#[test]
fn rule_36_one_timestamp_says_more_than_the_file() {
    let config = TopicConfig::new().segment_bytes(1024).retention_time(Duration::from_secs(60));
    let mut store = Store::of(config);
    let now = store.clock.now();
    store.append(&[-1]);
    store.append(&[now.as_millis() - 60_000, -1]);
    store.append(&[-1]);
    let end = store.log.end();
    assert_eq!(store.log.retention_start(now, end).unwrap(), None);
    let later = now + Duration::from_millis(1);
    assert_eq!(store.log.retention_start(later, end).unwrap(), Some(end), "the file is of this minute");
}

#[test]
fn rule_37_only_what_lies_wholly_below_the_high_watermark_goes() {
    let mut store = hours();
    let mut start = |watermark| store.log.retention_start(at(100 * HOUR), offset(watermark)).unwrap();
    assert_eq!(start(2), None);
    assert_eq!(start(5), Some(offset(3)));
    assert_eq!(start(6), Some(offset(6)));
    assert_eq!(bases(&store.log), [0, 3, 6]);
}

#[test]
fn rule_37_the_size_rule_keeps_at_least_so_many_bytes() {
    let mut store = Store::new(1024, 0);
    (0..60).for_each(|time| store.append(&[time]));
    let (sizes, end): (Vec<u64>, _) =
        (store.log.segments.values().flatten().map(Segment::size).collect(), store.log.end());
    let bases = bases(&store.log);
    let total: u64 = sizes.iter().sum();
    let mut start = |keep| {
        store.log.config.settings.retention_bytes = Some(keep);
        store.log.retention_start(at(0), end).unwrap().map(Offset::get)
    };
    assert_eq!(start(total), None);
    assert_eq!(start(total - sizes[0] + 1), None);
    assert_eq!(start(total - sizes[0]), Some(bases[1]));
    assert_eq!(start(total - sizes[0] - sizes[1]), Some(bases[2]));
}

#[test]
fn rule_38_when_all_is_too_old_an_empty_segment_stays_and_offsets_go_on() {
    let mut store = hours();
    let end = store.log.end();
    let start = store.log.retention_start(at(100 * HOUR), end).unwrap();
    assert_eq!(start, Some(end));
    store.log.move_start(end).unwrap();
    let renamed = store.log.drop_below_start().unwrap();
    assert!(renamed.iter().all(|path| path.to_string_lossy().ends_with(".deleted")), "{renamed:?}");
    assert_eq!(bases(&store.log), [9]);
    store.append(&[7]);
    assert_eq!(read(&mut store.log, 9, 1 << 20), (vec![(9, 7, "record 9".to_owned())], None));
    let end = store.close();
    let log = store.reopen_at(LoadedFrom::CleanClose(end), Some(offset(9))).unwrap();
    assert_eq!((log.start(), log.end()), (offset(9), offset(10)));
    assert!(store.files(".deleted").is_empty(), "what was removed is gone with the next open");
}

#[test]
fn rule_40_a_start_within_a_segment_and_a_batch_hides_what_lies_below() {
    let mut store = Store::new(1 << 20, 0);
    (0..4).for_each(|n| store.append(&[n, n + 10, n + 20]));
    store.log.move_start(offset(4)).unwrap();
    assert!(store.log.drop_below_start().unwrap().is_empty());
    for below in [0, 3] {
        assert!(matches!(
            store.log.read(offset(below), offset(12), 100, true),
            Err(Error::OffsetOutOfRange { .. })
        ));
    }
    assert_eq!(read(&mut store.log, 4, 1 << 20).0.first(), Some(&(4, 11, "record 4".to_owned())));
    assert_eq!(
        store.log.find_time(at(0)).unwrap(),
        Some(offset(4)),
        "a time leads to no record below the start"
    );
    assert_eq!(store.log.find_time(at(22)).unwrap(), Some(offset(8)));
    let end = store.close();
    for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end), LoadedFrom::Crash(Offset::ZERO)] {
        let mut log = store.reopen_at(from, Some(offset(4))).unwrap();
        assert_eq!((log.start(), log.end()), (offset(4), offset(12)));
        assert_eq!(read(&mut log, 4, 1 << 20).0.len(), 8);
    }
}

#[test]
fn a_start_moves_neither_back_nor_beyond_the_end() {
    let mut store = Store::new(1 << 20, 0);
    store.append(&[1, 2, 3]);
    store.log.move_start(offset(2)).unwrap();
    store.log.move_start(offset(1)).unwrap();
    assert_eq!(store.log.start(), offset(2));
    assert!(store.log.move_start(offset(4)).is_err());
}

#[test]
fn a_crash_before_segments_below_the_start_are_removed_loses_nothing_else() {
    let mut store = hours();
    let end = store.close();
    for from in [LoadedFrom::Crash(offset(1)), LoadedFrom::Crash(end), LoadedFrom::CleanClose(end)] {
        let store = hours();
        let mut log = { store }.also_closed().reopen_at(from, Some(offset(7))).unwrap();
        assert_eq!((log.start(), log.end(), bases(&log)), (offset(7), offset(9), vec![6]));
        assert_eq!(read(&mut log, 7, 1 << 20).0.len(), 2);
    }
}

#[test]
fn what_a_crash_brings_back_below_the_start_is_removed_where_two_files_say_so_and_else_kept() {
    for (noted, kept) in [(5, 0), (4, 1), (6, 2), (8, 2)] {
        let mut store = hours();
        store.log.move_start(offset(5)).unwrap();
        let end = store.close();
        for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
            let log = store.reopen_at(from, Some(offset(noted))).unwrap();
            assert_eq!((log.start(), log.end()), (offset(noted), end));
            let first = if noted < 6 { 3 } else { 6 };
            assert_eq!(bases(&log)[0], first, "noted: {noted}");
            assert_eq!(store.files(".cut").len(), kept, "noted: {noted}");
        }
    }
}

#[test]
fn offsets_that_were_removed_before_they_were_flushed_are_never_given_out_again() {
    let mut store = hours();
    store.log.move_start(offset(9)).unwrap();
    // All that was appended is lost, and the noted start is not.
    let mut store = Store::of(TopicConfig::new());
    store.close();
    let log = store.reopen_at(LoadedFrom::Crash(Offset::ZERO), Some(offset(9))).unwrap();
    assert_eq!((log.start(), log.end(), bases(&log)), (offset(9), offset(9), vec![9]));
}

#[test]
fn what_lies_below_a_start_that_does_not_last_is_flushed_with_the_rest() {
    for extent in [Extent::Records, Extent::Everything] {
        let mut store = hours();
        store.storage.sync_dir("".as_ref()).unwrap();
        // A record that is flushed, while the start is moved and cannot be noted.
        store.log.move_start(offset(6)).unwrap();
        let flush = store.log.begin_flush(extent).unwrap();
        let done = flush.run(&*store.storage);
        store.log.end_flush(&flush, done).unwrap();
        let recovery_point = store.log.recovery_point();
        store.disk.choose_outcome(0);
        store.disk.power_cut();
        let mut log = store.reopen(LoadedFrom::Crash(recovery_point)).unwrap();
        assert_eq!((log.start(), log.end()), (Offset::ZERO, offset(9)), "{extent:?}");
        assert_eq!(read(&mut log, 0, 1 << 20).0.len(), 9);
    }
}

#[test]
fn a_first_segment_that_is_gone_and_was_not_removed_is_damage() {
    let mut store = hours();
    let end = store.close();
    store.storage.remove_file(&store.files(".log")[0]).unwrap();
    for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
        assert!(store.reopen_at(from, Some(Offset::ZERO)).is_err());
        assert_eq!(store.reopen_at(from, Some(offset(3))).unwrap().start(), offset(3));
        assert_eq!(store.reopen_at(from, None).unwrap().start(), offset(3), "nobody noted where it begins");
    }
}

#[test]
fn a_start_that_a_kafka_moved_and_did_not_note_is_that_of_the_first_segment() {
    for (moved, start, bases_then) in [(3, 3, [3, 6].as_slice()), (4, 3, &[3, 6]), (6, 6, &[6])] {
        let mut store = hours();
        store.log.move_start(offset(moved)).unwrap();
        store.log.drop_below_start().unwrap();
        let end = store.close();
        for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
            let mut log = store.reopen_at(from, Some(Offset::ZERO)).unwrap();
            assert_eq!((log.start(), bases(&log)), (offset(start), bases_then.to_vec()));
            assert_eq!(read(&mut log, start, 1 << 20).0.len() as i64, end.get() - start);
        }
        // One segment more is gone, of which the leader epochs know.
        let victim = store.files(".log").into_iter().next().unwrap();
        store.storage.remove_file(&victim).unwrap();
        assert!(store.reopen_at(LoadedFrom::CleanClose(end), Some(Offset::ZERO)).is_err());
    }
}

impl Store {
    fn also_closed(mut self) -> Self {
        self.close();
        self
    }
}
