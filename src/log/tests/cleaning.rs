//! Rules 42 and 43 in the log itself: what stays, how it lies on the disk, and what a cleaning leaves alone.

use super::{
    keyed::{By, Pair, begin, clean, keyed, marker, seen, swap},
    *,
};
use crate::{
    config::TopicConfig,
    log::Step,
    record::{ValidBatch, compression_is_there},
    types::{CleanupPolicy, Compression},
};

/// In ms.
const RETENTION: i64 = 1000;

fn compacted() -> TopicConfig {
    TopicConfig::new()
        .cleanup_policy(CleanupPolicy::Compact)
        .delete_retention(std::time::Duration::from_millis(RETENTION as u64))
        .segment_bytes(1024)
        .index_interval_bytes(100)
}

fn store(settings: TopicConfig) -> Store {
    let mut store = Store::of(settings);
    // Logs are opened with recovery points that were never noted, too.
    (store.config.gaps, store.config.gaps_anywhere) = (true, true);
    store.log.config.gaps = true;
    store
}

impl Store {
    fn put_bytes(&mut self, mut bytes: Vec<u8>) -> i64 {
        let appended = self.log.append(&mut ValidBatch::of_leader(&mut bytes).unwrap()).unwrap();
        appended.base.get()
    }

    fn put(&mut self, pairs: &[Pair<'_>]) -> i64 {
        self.put_bytes(keyed(10, pairs, None, Compression::None))
    }

    fn put_by(&mut self, by: By, pairs: &[Pair<'_>]) -> i64 {
        self.put_bytes(keyed(10, pairs, Some(by), Compression::None))
    }

    /// Begins another segment.
    fn roll(&mut self) {
        self.log.roll().unwrap();
    }

    fn flush(&mut self) {
        let flush = self.log.begin_flush(Extent::Everything).unwrap();
        let result = flush.run(&*self.storage);
        self.log.end_flush(&flush, result).unwrap();
    }

    /// Closes the last segment, and cleans all before.
    fn clean(&mut self, now: i64) -> Cleaned {
        if self.log.last_segment().unwrap().size() > 0 {
            self.roll();
        }
        self.flush();
        clean(&mut self.log, now, 1000).unwrap().unwrap()
    }

    fn offsets(&mut self) -> Vec<i64> {
        seen(&mut self.log).0.iter().map(|record| record.offset).collect()
    }
}

const A: Pair<'_> = (Some("a"), Some("x"));
const B: Pair<'_> = (Some("b"), Some("x"));
const C: Pair<'_> = (Some("c"), Some("x"));
const NO_A: Pair<'_> = (Some("a"), None);

#[test]
fn rule_43_a_tombstone_is_told_when_it_may_go() {
    for codec in [Compression::None, Compression::Zstd] {
        if !compression_is_there(codec) {
            continue;
        }
        let mut store = store(compacted());
        store.put_bytes(keyed(10, &[A, B, A], None, codec));
        store.put_bytes(keyed(20, &[B, NO_A, C], None, codec));
        store.clean(500);
        let (records, headers) = seen(&mut store.log);
        let at: Vec<_> = records.iter().map(|r| (r.offset, r.at, r.value.is_some())).collect();
        assert_eq!(at, [(3, 20, true), (4, 20, false), (5, 20, true)], "{codec}");
        let header = headers.last().unwrap();
        assert!(header.attributes.has_delete_horizon());
        assert_eq!((header.base_timestamp, header.max_timestamp), (500 + RETENTION, 20));
        assert_eq!((header.base_offset, header.last_offset()), (Offset::new(3), Offset::new(5)));
        assert_eq!(header.attributes.codec(), codec);
        // It is told once.
        store.put(&[C]);
        store.clean(500 + RETENTION - 1);
        let (records, headers) = seen(&mut store.log);
        assert_eq!(records.iter().map(|r| r.offset).collect::<Vec<_>>(), [3, 4, 6]);
        assert!(headers.iter().any(|header| header.base_timestamp == 500 + RETENTION));
        store.clean(500 + RETENTION);
        assert_eq!(store.offsets(), [3, 6]);
    }
}

#[test]
fn rule_42_segments_that_became_small_are_merged() {
    let mut store = store(compacted());
    let long = "x".repeat(300);
    for n in 0..30 {
        let key = format!("k{}", n % 5);
        store.put(&[(Some(&key), Some(&long))]);
    }
    let before = bases(&store.log);
    assert!(before.len() >= 10);
    store.clean(500);
    let after = bases(&store.log);
    assert_eq!(after[0], 0, "the first one keeps its name");
    assert!(after.len() <= 4 && after.iter().all(|base| before.contains(base) || *base == 30), "{after:?}");
    for base in &after {
        assert!(store.log.bytes_of(Offset::new(*base)).unwrap() <= 1024);
    }
    assert_eq!(store.offsets(), [25, 26, 27, 28, 29]);
    assert_eq!(store.files(".deleted"), Vec::<PathBuf>::new());
    assert_eq!(store.files(".snapshot").len(), after.len() - 1, "{:?}", store.files(".snapshot"));
    let end = store.close();
    for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end), LoadedFrom::Crash(Offset::ZERO)] {
        store.log = store.reopen(from).unwrap();
        assert_eq!((bases(&store.log), store.offsets()), (after.clone(), vec![25, 26, 27, 28, 29]));
    }
}

#[test]
fn segments_are_not_merged_beyond_what_an_index_may_hold() {
    let mut store = store(compacted().segment_bytes(1 << 20).segment_index_bytes(60).index_interval_bytes(0));
    for n in 0..48 {
        let key = format!("{}", n % 40);
        store.put_bytes(keyed(n * 10, &[(Some(&key), Some("x"))], None, Compression::None));
    }
    let before = bases(&store.log).len();
    store.clean(500);
    assert_eq!(store.offsets().len(), 40);
    assert!(bases(&store.log).len() <= before, "{before}: {:?}", bases(&store.log));
    for path in [".index", ".timeindex"].map(|suffix| store.files(suffix)).concat() {
        assert!(store.content(&path).len() <= 60, "{}", path.display());
    }
}

#[test]
fn more_keys_than_there_is_room_for_take_several_passes() {
    let mut store = store(compacted());
    for n in 0..60 {
        let key = format!("{}", n % 20);
        store.put(&[(Some(&key), Some(&"x".repeat(100))), (Some("all"), Some("x"))]);
    }
    store.roll();
    store.flush();
    let mut passes = 0;
    loop {
        let cleaned = clean(&mut store.log, 500, 6).unwrap().unwrap();
        passes += 1;
        if !cleaned.is_full {
            break;
        }
        let there: Vec<_> =
            seen(&mut store.log).0.into_iter().filter(|r| r.offset >= cleaned.to.get()).collect();
        assert_eq!(there.len() as i64, 120 - cleaned.to.get(), "what comes later is not looked at");
    }
    assert!(passes > 5, "{passes}");
    let expected: Vec<i64> = (40..60).map(|n| 2 * n).chain([119]).collect();
    assert_eq!(store.offsets(), expected);
}

#[test]
fn a_producers_last_batch_and_the_last_of_all_stay_empty() {
    let mut store = store(compacted());
    store.put_by(By(5, false, 0), &[A, B]);
    store.put_by(By(5, false, 2), &[A, B]);
    store.put_by(By(6, false, 0), &[A]);
    store.roll();
    store.put(&[A, B]);
    store.put(&[A]);
    store.roll();
    store.put(&[A]);
    store.clean(500);
    assert_eq!(store.offsets(), [6, 8]);
    let (_, headers) = seen(&mut store.log);
    let rows: Vec<_> =
        headers.iter().map(|h| (h.base_offset.get(), h.last_offset().get(), h.record_count)).collect();
    assert_eq!(rows, [(2, 3, 0), (4, 4, 0), (5, 6, 1), (8, 8, 1)]);
    assert_eq!((headers[0].base_sequence, headers[0].last_sequence(), headers[0].base_timestamp), (2, 3, -1));
    let known: Vec<_> =
        store.log.producers.entries().map(|(id, p)| (*id, p.last_sequence, p.last_offset)).collect();
    assert_eq!(known, [(5, 3, 3), (6, 0, 4)]);
    // Without its snapshots it tells the same.
    let end = store.close();
    store.files(".snapshot").iter().for_each(|path| store.storage.remove_file(path).unwrap());
    let log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    let again: Vec<_> =
        log.producers.entries().map(|(id, p)| (*id, p.last_sequence, p.last_offset)).collect();
    assert_eq!(again, known);
    // The last batch that is cleaned stays, so that positions reach the end.
    store.log = log;
    store.put(&[B]);
    store.put(&[B]);
    store.roll();
    store.flush();
    store.put(&[B]);
    clean(&mut store.log, 500, 100).unwrap().unwrap();
    assert_eq!(store.log.end().get(), 12);
}

#[test]
fn rule_42_what_is_not_flushed_makes_nothing_go() {
    let mut store = store(compacted());
    store.put(&[A]);
    store.roll();
    store.flush();
    store.put(&[A]);
    store.roll();
    store.put(&[A]);
    let cleaned = clean(&mut store.log, 500, 100).unwrap().unwrap();
    assert_eq!((cleaned.to.get(), store.offsets()), (1, vec![0, 1, 2]));
    store.flush();
    clean(&mut store.log, 500, 100).unwrap().unwrap();
    assert_eq!(store.offsets(), [1, 2]);
}

#[test]
fn rule_42_an_open_transaction_holds_the_cleaner_up() {
    let mut store = store(compacted());
    store.put(&[A]);
    store.put(&[A]);
    store.roll();
    let first = store.put_by(By(5, true, 0), &[A]);
    store.put(&[B]);
    store.roll();
    store.put(&[B]);
    let cleaned = store.clean(500);
    assert_eq!(cleaned.to.get(), first);
    assert_eq!(store.offsets(), [1, 2, 3, 4]);
    store.put_bytes(marker(10, 5, false));
    store.clean(500);
    assert_eq!(store.offsets(), [2, 4]);
}

#[test]
fn aborted_records_go_and_supersede_nothing_and_markers_go_behind_them() {
    let mut store = store(compacted());
    store.put(&[A, B]);
    store.put_by(By(5, true, 0), &[A]);
    store.put_by(By(6, true, 0), &[B]);
    store.put_bytes(marker(10, 5, true));
    store.put_bytes(marker(10, 6, false));
    // Another batch of both, so that these are not their last ones.
    store.put_by(By(5, true, 1), &[C]);
    store.put_by(By(6, true, 1), &[C]);
    store.put_bytes(marker(10, 5, false));
    store.put_bytes(marker(10, 6, false));
    store.clean(500);
    let kept = |store: &mut Store| -> Vec<_> {
        let (records, headers) = seen(&mut store.log);
        assert!(records.iter().all(|record| !record.aborted));
        headers
            .iter()
            .map(|h| (h.base_offset.get(), h.record_count, h.attributes.has_delete_horizon()))
            .collect()
    };
    let first = [
        (0, 1, false),
        (3, 1, false),
        (4, 1, false),
        (5, 1, false),
        (6, 0, false),
        (7, 1, false),
        (8, 1, false),
        (9, 1, false),
    ];
    assert_eq!(kept(&mut store), first, "markers stay as long as something was there");
    let index = store.files(".txnindex");
    assert_eq!(store.content(&index[0]).len(), 34, "of the aborted one");
    store.clean(600);
    let told = kept(&mut store);
    assert_eq!(told[2], (4, 1, true), "the marker of nothing is told when it may go");
    assert_eq!(told[3], (5, 1, false));
    store.clean(600 + RETENTION - 1);
    assert_eq!(kept(&mut store), told);
    store.clean(600 + RETENTION);
    let left = kept(&mut store);
    assert!(!left.iter().any(|row| row.0 == 4), "{left:?}");
    assert_eq!(store.offsets(), [0, 3, 7]);
    let end = store.log.end();
    assert_eq!(store.log.last_stable(end), end);
    store.crash_and_reopen();
    assert_eq!((store.offsets(), store.log.last_stable(end)), (vec![0, 3, 7], end));
}

#[test]
fn a_transaction_that_ends_in_the_last_segment_is_not_cleaned_yet() {
    let mut store = store(compacted());
    store.put(&[A]);
    store.put_by(By(5, true, 0), &[A]);
    store.roll();
    store.put_bytes(marker(10, 5, true));
    store.flush();
    clean(&mut store.log, 500, 100).unwrap();
    assert_eq!(store.offsets(), [0, 1]);
    store.clean(500);
    assert_eq!(store.offsets(), [0]);
}

#[test]
fn a_damaged_batch_ends_the_cleaning_and_nothing_is_dropped() {
    for in_clean_part in [false, true] {
        let mut store = store(compacted());
        for _ in 0..2 {
            store.put(&[A, B]);
            store.put(&[A]);
            store.roll();
            if in_clean_part {
                store.clean(500);
            }
        }
        store.put(&[A]);
        store.roll();
        let end = store.close();
        let log = &store.files(".log")[0];
        let mut bytes = store.content(log);
        *bytes.last_mut().unwrap() ^= 1;
        store.overwrite(log, &bytes);
        let before = store.content(log);
        store.log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
        store.log.take_up_cleaned(Some(end).filter(|_| in_clean_part));
        let refused = clean(&mut store.log, 500, 100).unwrap_err();
        assert!(matches!(refused, Error::KafkaStorageError { offset: Some(_), .. }), "{refused}");
        assert_eq!(store.content(log), before);
        assert!(!store.log.is_poisoned());
    }
}

#[test]
fn a_batch_with_another_offset_or_leader_epoch_ends_the_cleaning() {
    for (at, what) in [(7, "at offset"), (15, "of leader epoch")] {
        let mut store = store(compacted());
        store.put(&[A, B]);
        store.put(&[A]);
        store.put(&[A]);
        store.roll();
        let end = store.close();
        let log = &store.files(".log")[0];
        let mut bytes = store.content(log);
        let second = Batch::check(&bytes).unwrap().header().size;
        bytes[second + at] = 1;
        store.overwrite(log, &bytes);
        store.log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
        let refused = clean(&mut store.log, 500, 100).unwrap_err().to_string();
        assert!(refused.contains(what), "{refused}");
    }
}

#[test]
fn a_log_that_changes_meanwhile_is_left_as_it_is() {
    for what in ["start", "end", "policy"] {
        let mut store = store(compacted().cleanup_policy(CleanupPolicy::CompactDelete));
        for _ in 0..3 {
            store.put(&[A, B]);
            store.put(&[A, B]);
            store.roll();
        }
        store.flush();
        let mut cleaning = begin(&mut store.log, 500, 100).unwrap().unwrap();
        let replacement = loop {
            match cleaning.step(10_000).unwrap() {
                Step::Swap(replacement) => break replacement,
                Step::More => {}
                other => panic!("{other:?}"),
            }
        };
        match what {
            "start" => {
                store.log.move_start(Offset::new(5)).unwrap();
                store.log.drop_below_start().unwrap();
            }
            "end" => store.log.truncate(Offset::new(6)).unwrap(),
            _ => store.log.config.settings.cleanup_policy = CleanupPolicy::Delete,
        }
        let before = store.offsets();
        assert!(!swap(&mut store.log, *replacement).unwrap(), "{what}");
        assert_eq!(store.offsets(), before, "{what}");
        assert_eq!(store.files(".cleaned"), Vec::<PathBuf>::new(), "{what}");
    }
}

#[test]
fn a_cleaned_segment_is_known_from_its_index_as_kafka_would_write_it() {
    let mut store = store(compacted());
    for n in 0..40 {
        store.put_bytes(keyed(n * 10, &[(Some(&format!("{}", n % 30)), Some("x"))], None, Compression::None));
    }
    store.clean(500);
    let end = store.close();
    let before: Vec<_> = [".index", ".timeindex"].map(|suffix| store.files(suffix)).concat();
    let contents: Vec<_> = before.iter().map(|path| store.content(path)).collect();
    assert!(contents.iter().any(|bytes| bytes.len() > 24));
    before.iter().for_each(|path| store.storage.remove_file(path).unwrap());
    store.log = store.reopen(LoadedFrom::Crash(Offset::ZERO)).unwrap();
    assert_eq!(store.close(), end);
    let again: Vec<_> = before.iter().map(|path| store.content(path)).collect();
    assert_eq!(again, contents);
    let found = store.log.find_time(Timestamp::from_millis(151)).unwrap();
    assert_eq!(found, Some(Offset::new(16)));
}

/// A batch whose codec this build does not have.
#[cfg(not(feature = "zstd"))]
#[test]
fn what_cannot_be_decompressed_stays_and_so_do_the_tombstones_behind_it() {
    let mut store = store(compacted());
    store.put(&[NO_A, C]);
    let mut bytes = keyed(10, &[B], None, Compression::None);
    bytes[22] = 4;
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let opaque = store.put_bytes(bytes.clone());
    store.put(&[(Some("b"), None), C]);
    store.clean(500);
    store.clean(500 + RETENTION);
    let (_, headers) = seen(&mut store.log);
    let left: Vec<_> = headers.iter().map(|h| (h.base_offset.get(), h.record_count)).collect();
    assert_eq!(left, [(opaque, 1), (3, 2)], "of what may be in it nothing is known");
    assert_eq!(store.log.cleaned_noted(), Some(Offset::new(opaque)), "another build has more to do");
}
