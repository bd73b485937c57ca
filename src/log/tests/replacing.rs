//! Logs that a cleaner was at, and replacements that a crash interrupted.

use super::*;

fn offset(n: i64) -> Offset {
    Offset::new(n)
}

/// A log of batches of one record each.
fn ten() -> (Store, Offset, Vec<i64>) {
    let mut store = Store::new(1024, 0);
    (0..40).for_each(|n| store.append(&[n]));
    let end = store.close();
    (store, end, (0..40).collect())
}

/// What is left of a segment's bytes without some of its batches, counted from 0.
fn without(bytes: &[u8], gone: impl Fn(usize) -> bool) -> Vec<u8> {
    let (mut kept, mut rest, mut n) = (Vec::new(), bytes, 0);
    while let Ok(batch) = Batch::check(rest) {
        if !gone(n) {
            kept.extend_from_slice(batch.bytes());
        }
        rest = &rest[batch.header().size..];
        n += 1;
    }
    kept
}

fn offsets(log: &mut Log) -> Vec<i64> {
    let (records, error) = read(log, log.start().get(), 300);
    assert_eq!(error, None);
    records.into_iter().map(|(offset, ..)| offset).collect()
}

fn remove_indexes(store: &Store) {
    for suffix in [".index", ".timeindex"] {
        store.files(suffix).iter().for_each(|path| store.storage.remove_file(path).unwrap());
    }
}

#[test]
fn rule_42_a_cleaned_log_keeps_its_offsets_and_has_gaps() {
    for sparse in [false, true] {
        let (mut store, end, times) = ten();
        (store.config.gaps, store.config.gaps_anywhere) = (true, true);
        let logs = store.files(".log");
        let first = without(&store.content(&logs[0]), |n| n % 3 != 1);
        store.overwrite(&logs[0], &first);
        // A segment of which nothing is left is legal, and so is one that begins behind its name.
        store.overwrite(&logs[1], &[]);
        let third = without(&store.content(&logs[2]), |n| n == 0);
        store.overwrite(&logs[2], &third);
        if sparse {
            remove_indexes(&store);
        }
        let bases: Vec<i64> = store.log.segments.keys().map(|base| base.get()).collect();
        let kept = |n: &i64| match n {
            n if *n < bases[1] => n % 3 == 1,
            n if *n < bases[2] => false,
            n => *n != bases[2],
        };
        let expected: Vec<i64> = (0..times.len() as i64).filter(kept).collect();
        for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end), LoadedFrom::Crash(Offset::ZERO)] {
            let mut log = store.reopen(from).unwrap();
            assert_eq!((log.start(), log.end()), (Offset::ZERO, end), "the start does not move by it");
            assert_eq!(offsets(&mut log), expected, "{from:?}");
            for from in 0..end.get() {
                let (records, error) = read(&mut log, from, 300);
                assert_eq!(error, None);
                assert_eq!(
                    records.first().map(|record| record.0),
                    expected.iter().copied().find(|n| *n >= from)
                );
                let found = log.find_time(Timestamp::from_millis(from)).unwrap();
                assert_eq!(found.map(Offset::get), expected.iter().copied().find(|n| *n >= from));
            }
        }
    }
}

#[test]
fn a_gap_where_nothing_cleans_is_damage() {
    let (store, end, _) = ten();
    let logs = store.files(".log");
    let bytes = without(&store.content(&logs[0]), |n| n == 2);
    store.overwrite(&logs[0], &bytes);
    remove_indexes(&store);
    assert!(read(&mut store.reopen(LoadedFrom::CleanClose(end)).unwrap(), 0, 300).1.is_some());
    assert!(
        store.reopen(LoadedFrom::Crash(end)).and_then(|mut log| log.read(offset(3), end, 300, true)).is_err()
    );
}

#[test]
fn replacements_that_are_whole_take_the_place_of_what_they_replace_and_others_go() {
    let (mut store, end, _) = ten();
    store.config.gaps = true;
    let logs = store.files(".log");
    let (first, second) = (store.content(&logs[0]), store.content(&logs[1]));
    let named = |path: &Path, suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    // One segment in the place of two; and one that was not ready.
    let merged = without(&[first, second].concat(), |n| n % 2 == 0);
    store.overwrite(&named(&logs[0], ".swap"), &merged);
    store.overwrite(&named(&logs[3], ".cleaned"), b"half of it");
    store.overwrite(&named(&logs[3], ".swap"), b"never to be looked at");
    store.overwrite(&named(&logs[2], ".deleted"), b"gone");
    let third = store.log.segments.keys().nth(2).unwrap().get();
    let expected: Vec<i64> = (0..third).filter(|n| n % 2 == 1).chain(third..end.get()).collect();
    for _ in 0..2 {
        let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
        assert_eq!(offsets(&mut log), expected);
        assert_eq!(log.segments.len(), logs.len() - 1);
        for suffix in [".swap", ".cleaned", ".deleted"] {
            assert_eq!(store.files(suffix), Vec::<PathBuf>::new());
        }
    }
}
