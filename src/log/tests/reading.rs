//! Appending, rolling, and reading wherever one may begin.

use super::*;

/// Batches of one to three records; about every second time is older than the one before.
fn some(count: usize, segment_bytes: u32, interval: u32) -> (Store, Vec<i64>) {
    let mut store = Store::new(segment_bytes, interval);
    let mut times = Vec::new();
    for n in 0..count {
        let batch: Vec<i64> = (0..n % 3 + 1).map(|k| (1000 + n * 10 + (n * 7 + k * 5) % 23) as i64).collect();
        store.append(&batch);
        times.extend(batch);
    }
    (store, times)
}

fn check(log: &mut Log, times: &[i64]) {
    for from in 0..=times.len() {
        for max_bytes in [1, 200, 100_000] {
            let (records, error) = read(log, from as i64, max_bytes);
            assert_eq!(error, None, "from {from}, {max_bytes} bytes at a time");
            assert_eq!(
                records,
                expected(times, from, times.len()),
                "from {from}, {max_bytes} bytes at a time"
            );
        }
    }
    for time in 990..1500 {
        let first = times.iter().position(|t| *t >= time).map(|n| Offset::new(n as i64));
        assert_eq!(log.find_time(Timestamp::from_millis(time)).unwrap(), first, "at {time} ms");
    }
}

#[test]
fn every_offset_and_every_time_is_found_across_segments() {
    for interval in [0, 300, 1 << 20] {
        let (mut store, times) = some(40, 1024, interval);
        assert!(store.files(".log").len() > 3);
        check(&mut store.log, &times);
        let end = store.close();
        check(&mut store.reopen(LoadedFrom::CleanClose(end)).unwrap(), &times);
        check(&mut store.reopen(LoadedFrom::Crash(end)).unwrap(), &times);
    }
}

#[test]
fn a_segment_is_rolled_when_the_next_batch_does_not_fit() {
    let mut store = Store::new(1024, 4096);
    let mut rolled = Vec::new();
    for n in 0..30 {
        let before = store.files(".log").len();
        store.append(&[1000 + n]);
        if store.files(".log").len() > before {
            rolled.push(n);
        }
    }
    let names: Vec<i64> = store.log.segments.keys().map(|base| base.get()).collect();
    assert_eq!(names[1..], rolled, "named by the first offset in them");
    store.close();
    let sizes: Vec<usize> = store.files(".log").iter().map(|file| store.content(file).len()).collect();
    let batch = sizes[0] / rolled[0] as usize;
    assert!(sizes.iter().all(|size| *size <= 1024), "{sizes:?}");
    assert!(sizes.iter().rev().skip(1).all(|size| *size + batch + 2 > 1024), "{sizes:?}");
}

#[test]
fn a_read_ends_below_the_offset_that_it_is_told() {
    let (mut store, times) = some(20, 1 << 20, 100);
    for below in 1..=times.len() as i64 {
        // Where a batch ends: a high watermark is never inside of one.
        let (all, _) = read(&mut store.log, 0, 1);
        assert_eq!(all.len(), times.len());
        let bytes = store.log.read(Offset::ZERO, Offset::new(below), 1 << 20, true).unwrap();
        let mut rest = &*bytes;
        let mut last = -1;
        while !rest.is_empty() {
            let batch = Batch::check(rest).unwrap();
            last = batch.header().last_offset().get();
            rest = &rest[batch.header().size..];
        }
        assert!(last < below, "{last} is not below {below}");
        assert!(last >= below - 3, "{last} is far below {below}");
    }
    let end = store.log.end();
    assert!(store.log.read(end, end, 1 << 20, true).unwrap().is_empty());
    assert!(store.log.read(Offset::new(5), Offset::new(5), 1 << 20, true).unwrap().is_empty());
    assert!(store.log.read(end.plus(1), end, 1 << 20, true).is_err());
    assert!(store.log.read(Offset::new(-1), end, 1 << 20, true).is_err());
}

#[test]
fn a_batch_that_is_too_large_comes_whole_or_not_at_all() {
    let (mut store, _) = some(3, 1 << 20, 4096);
    let end = store.log.end();
    assert!(store.log.read(Offset::ZERO, end, 1, false).unwrap().is_empty());
    let whole = store.log.read(Offset::ZERO, end, 1, true).unwrap();
    assert_eq!(Batch::check(&whole).unwrap().bytes().len(), whole.len());
}

#[test]
fn an_unclean_open_begins_an_epoch_and_a_clean_one_does_not() {
    let mut store = Store::new(1 << 20, 4096);
    let mut epochs = Vec::new();
    for round in 0..3 {
        store.append(&[1000 + round]);
        epochs.push(store.log.epoch().0);
        store.crash_and_reopen();
        let end = store.close();
        store.log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    }
    assert_eq!(epochs, [0, 1, 2]);
    let ends: Vec<_> =
        (0..4).map(|e| store.log.end_offset_for_epoch(LeaderEpoch(e)).unwrap().get()).collect();
    assert_eq!(ends, [1, 2, 3, 3]);
}
