//! How many segments are open, and what is known of those that are not.

use super::*;

/// A log of a hundred segments, all flushed; `time` gives each record's timestamp by its offset.
fn hundred(time: impl Fn(i64) -> i64) -> Store {
    let mut store = Store::of(TopicConfig::new().segment_bytes(1024).index_interval_bytes(0));
    while bases(&store.log).len() < 100 {
        let time = time(store.log.end().get());
        store.append(&[time]);
        if store.log.unflushed.len() > 4 {
            flush(&mut store);
            assert!(open(&store.log) <= 9, "8 and the active one");
        }
    }
    store
}

fn seconds(offset: i64) -> i64 {
    1000 * offset
}

fn flush(store: &mut Store) {
    let flush = store.log.begin_flush(Extent::Everything).unwrap();
    let result = flush.run(&*store.storage);
    store.log.end_flush(&flush, result).unwrap();
}

fn open(log: &Log) -> usize {
    log.segments.values().flatten().count()
}

#[test]
fn a_log_of_many_segments_keeps_few_open_and_reads_them_all() {
    let mut store = hundred(seconds);
    let end = store.close();
    let all: Vec<i64> = (0..end.get()).collect();
    for from in [None, Some(LoadedFrom::CleanClose(end)), Some(LoadedFrom::Crash(Offset::ZERO))] {
        if let Some(from) = from {
            store.log = store.reopen(from).unwrap();
        }
        flush(&mut store);
        let (records, error) = read(&mut store.log, 0, 300);
        assert_eq!((records.iter().map(|record| record.0).collect::<Vec<_>>(), error), (all.clone(), None));
        assert!(open(&store.log) <= 9, "{from:?}");
        for offset in [0, 50, 7, 200, end.get() - 1] {
            assert_eq!(read(&mut store.log, offset, 300).0[0].0, offset);
        }
        assert!(open(&store.log) <= 9, "{from:?}");
    }
}

#[test]
fn what_was_checked_once_is_not_read_again_to_find_a_time() {
    let mut store = hundred(seconds);
    let end = store.close();
    store.log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    let find = |store: &mut Store, offset: i64| {
        let before = store.disk.operations().len();
        let found = store.log.find_time(Timestamp::from_millis(1000 * offset)).unwrap();
        assert_eq!(found, Some(Offset::new(offset)));
        assert!(open(&store.log) <= 9);
        store.disk.operations().len() - before
    };
    let last = end.get() - 1;
    let first_time = find(&mut store, last);
    let again = find(&mut store, last);
    assert!(again * 20 < first_time, "{first_time} operations, then {again}");
    find(&mut store, 3);
}

#[test]
fn a_time_index_that_changed_while_its_segment_was_closed_is_checked_again() {
    const LATE: i64 = 500_000_000;
    let mut store = hundred(|offset| if offset == 1 { LATE } else { 1000 * offset });
    let end = store.close();
    store.log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    let find = |store: &mut Store| store.log.find_time(Timestamp::from_millis(LATE)).unwrap();
    assert_eq!(find(&mut store), Some(Offset::new(1)));
    read(&mut store.log, 0, 300);
    assert!(matches!(store.log.segments.first_key_value(), Some((_, None))), "the first is closed by now");
    let first = &store.files(".timeindex")[0];
    let content = store.content(first);
    // Who trusts what is left takes all records for older.
    store.overwrite(first, &content[..12]);
    store.log.segment(Offset::ZERO).unwrap();
    assert_eq!(find(&mut store), Some(Offset::new(1)));
}
