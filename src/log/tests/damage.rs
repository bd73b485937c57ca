//! A closed log whose files are not what they were: altered records never come out of it, and what is derived is made
//! anew.

use super::*;
use crate::env::{DiskFault, DiskOp};

/// A closed log of several segments and two epochs, with some of every segment above its last index entry.
fn closed() -> (Store, Offset, Vec<i64>) {
    let mut store = Store::new(1024, 250);
    let mut times = Vec::new();
    for n in 0..30 {
        if n == 20 {
            store.crash_and_reopen();
        }
        let batch: Vec<i64> = (0..n % 3 + 1).map(|k| 1000 + n * 10 + (n * 7 + k * 5) % 23).collect();
        store.append(&batch);
        times.extend(batch);
    }
    let end = store.close();
    assert!(store.log.segments.len() >= 3);
    (store, end, times)
}

/// The records that were read from `from` on are those that were written, as far as they go.
fn check_records(times: &[i64], from: usize, records: &[Read], what: &str) {
    assert!(from + records.len() <= times.len(), "{what}: more records than were written, from {from}");
    let expected = expected(times, from, from + records.len());
    let altered = records.iter().zip(&expected).find(|(read, written)| read != written);
    assert!(altered.is_none(), "{what}: read and written: {altered:?}, from {from}");
}

/// Opens what is there now. Either that fails, or all that can be read is what was written, up to an error.
fn check_honest(store: &Store, from: LoadedFrom, times: &[i64], what: &str) -> bool {
    let Ok(mut log) = store.reopen(from) else { return true };
    let (records, error) = read(&mut log, 0, 100_000);
    check_records(times, 0, &records, what);
    assert!(error.is_some() || records.len() == times.len(), "{what}: records are missing without an error");
    let mut found = error.is_some();
    for time in (995..1330).step_by(11) {
        let first = times.iter().position(|t| *t >= time).map(|n| Offset::new(n as i64));
        match log.find_time(Timestamp::from_millis(time)) {
            Ok(offset) => assert_eq!(offset, first, "{what}: at {time} ms"),
            Err(_) => found = true,
        }
    }
    // From the middle, too: there an index decides where reading begins.
    for start in [5, 30, 50] {
        let (records, error) = read(&mut log, start, 300);
        assert_eq!(
            records,
            expected(times, start as usize, start as usize + records.len()),
            "{what} from {start}"
        );
        found |= error.is_some();
    }
    found
}

#[test]
fn a_flipped_bit_of_a_log_never_alters_a_record() {
    let (store, end, times) = closed();
    let mut flips = 0;
    for path in store.files(".log") {
        let good = store.content(&path);
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            store.overwrite(&path, &flipped);
            let what = format!("bit {} of byte {} of {}", bit % 8, bit / 8, path.display());
            assert!(
                check_honest(&store, LoadedFrom::CleanClose(end), &times, &what),
                "{what} was not noticed"
            );
            flips += 1;
        }
        store.overwrite(&path, &good);
    }
    println!("{flips} flips");
    assert!(flips > 20_000);
}

#[test]
fn a_log_that_is_cut_anywhere_is_noticed() {
    let (store, end, times) = closed();
    for path in store.files(".log") {
        let good = store.content(&path);
        for len in 0..good.len() {
            store.overwrite(&path, &good[..len]);
            let what = format!("{} cut to {len} bytes", path.display());
            assert!(
                check_honest(&store, LoadedFrom::CleanClose(end), &times, &what),
                "{what} was not noticed"
            );
        }
        store.overwrite(&path, &good);
    }
}

#[test]
fn a_log_that_is_missing_is_noticed() {
    let (store, end, times) = closed();
    for path in store.files(".log") {
        let good = store.content(&path);
        for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
            store.storage.remove_file(&path).unwrap();
            let what = format!("{} is missing, {from:?}", path.display());
            assert!(check_honest(&store, from, &times, &what), "{what}, and it was not noticed");
            store.overwrite(&path, &good);
        }
    }
}

#[test]
fn a_first_or_a_last_segment_that_is_missing_is_noticed_when_the_log_is_opened() {
    let (store, end, _) = closed();
    let logs = store.files(".log");
    for path in [&logs[0], &logs[logs.len() - 1]] {
        let good = store.content(path);
        store.storage.remove_file(path).unwrap();
        for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
            let opened = store.reopen(from);
            assert!(matches!(opened, Err(Error::KafkaStorageError { .. })), "{}: {opened:?}", path.display());
        }
        store.overwrite(path, &good);
    }
    store.reopen(LoadedFrom::CleanClose(end)).unwrap();
}

/// Opens what is there now: everything is found, offsets and times, whatever the derived files say.
fn check_healed(store: &Store, end: Offset, times: &[i64], what: &str) {
    let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap_or_else(|error| panic!("{what}: {error}"));
    for time in 995..1330 {
        let first = times.iter().position(|t| *t >= time).map(|n| Offset::new(n as i64));
        assert_eq!(log.find_time(Timestamp::from_millis(time)).unwrap(), first, "{what}: at {time} ms");
    }
    for start in [0, 5, 30, 50] {
        let (records, error) = read(&mut log, start, 300);
        assert_eq!(error, None, "{what}: from {start}");
        assert_eq!(records, expected(times, start as usize, times.len()), "{what}: from {start}");
    }
}

#[test]
fn indexes_that_are_missing_cut_garbled_or_anothers_are_made_anew() {
    let (store, end, times) = closed();
    let paths = [store.files(".index"), store.files(".timeindex")].concat();
    for path in &paths {
        let good = store.content(path);
        store.storage.remove_file(path).unwrap();
        check_healed(&store, end, &times, &format!("{} is missing", path.display()));
        for len in 0..good.len() {
            store.overwrite(path, &good[..len]);
            check_healed(&store, end, &times, &format!("{} cut to {len} bytes", path.display()));
        }
        for bit in 0..good.len() * 8 {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            store.overwrite(path, &flipped);
            check_healed(&store, end, &times, &format!("{} with bit {bit} flipped", path.display()));
        }
        for byte in [0, 1, 0x7f, 0xff] {
            store.overwrite(path, &vec![byte; good.len() + 5]);
            check_healed(&store, end, &times, &format!("{} is all {byte}", path.display()));
        }
        for other in &paths {
            store.overwrite(path, &store.content(other));
            check_healed(&store, end, &times, &format!("{} is {}", path.display(), other.display()));
        }
        store.overwrite(path, &good);
    }
}

#[test]
fn an_index_that_names_another_offset_or_another_place_is_not_believed() {
    let (store, end, times) = closed();
    let mut lies = 0;
    for path in store.files(".index") {
        let good = store.content(&path);
        let entries: Vec<[u8; 8]> = good.as_chunks().0.to_vec();
        for (n, entry) in entries.iter().enumerate() {
            let [offset, place] = [&entry[..4], &entry[4..]];
            let said = u32::from_be_bytes(offset.try_into().unwrap());
            let others =
                entries.iter().filter(|other| *other != entry).map(|other| [offset, &other[4..]].concat());
            let shifted = [said - 1, said + 1].map(|other| [&other.to_be_bytes(), place].concat());
            for lie in others.chain(shifted) {
                let mut lying = good.clone();
                lying[n * 8..n * 8 + 8].copy_from_slice(&lie);
                store.overwrite(&path, &lying);
                for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
                    let mut log = store.reopen(from).unwrap();
                    for start in 0..end.get() {
                        let (records, error) = read(&mut log, start, 300);
                        let all = expected(&times, start as usize, times.len());
                        assert!(records == all && error.is_none(), "{} from {start}", path.display());
                    }
                }
                lies += 1;
            }
        }
        store.overwrite(&path, &good);
    }
    assert!(lies >= 30, "{lies}");
}

#[test]
fn a_disk_that_fails_while_indexes_are_made_anew_does_not_move_the_end() {
    let (mut failed, mut n) = (0, 0);
    loop {
        let (store, end, times) = closed();
        store.files(".timeindex").iter().for_each(|path| store.overwrite(path, &store.content(path)[..12]));
        let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
        let fault = store.disk.intercept(DiskOp::Read).skip(n).times(1).fail(DiskFault::Eio);
        let found = log.find_time(Timestamp::from_millis(i64::MAX));
        let hits = fault.hits();
        fault.remove();
        assert_eq!((found.is_err(), log.end()), (hits > 0, end), "read {n}");
        let mut store = Store { log, ..store };
        store.append(&[5]);
        let all = [times.as_slice(), &[5]].concat();
        assert_eq!(read(&mut store.log, 0, 100_000), (expected(&all, 0, all.len()), None), "read {n}");
        if hits == 0 {
            break;
        }
        (failed, n) = (failed + 1, n + 1);
    }
    assert!(failed > 5, "{failed}");
}

#[test]
fn what_a_failed_append_left_behind_the_end_is_not_taken_in_with_an_index() {
    let (store, end, times) = closed();
    let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    let (file, size) = log.ahead().unwrap();
    let mut store = Store { log: store.reopen(LoadedFrom::CleanClose(end)).unwrap(), ..store };
    store.append(&[5]);
    let whole = store.content(store.files(".log").last().unwrap());
    let left = Batch::check(&whole[size as usize..]).unwrap().bytes().to_vec();
    file.write_at(size, &left).unwrap();
    log.find_time(Timestamp::from_millis(i64::MAX)).unwrap();
    assert_eq!(log.end(), end);
    assert_eq!(read(&mut log, 0, 100_000), (expected(&times, 0, times.len()), None));
}

#[test]
fn indexes_that_were_made_anew_are_written_by_the_next_flush() {
    let (store, end, times) = closed();
    let paths = [store.files(".index"), store.files(".timeindex")].concat();
    let good: Vec<_> = paths.iter().map(|path| store.content(path)).collect();
    paths.iter().for_each(|path| store.storage.remove_file(path).unwrap());
    let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    assert_eq!(read(&mut log, 0, 1 << 20).0.len(), times.len());
    log.prepare_close().unwrap();
    let flush = log.begin_flush(Extent::Everything).unwrap();
    let result = flush.run(&*store.storage);
    log.end_flush(&flush, result).unwrap();
    for (path, good) in paths.iter().zip(good) {
        assert_eq!(store.content(path), good, "{}", path.display());
    }
}

#[test]
fn leader_epochs_that_are_missing_or_garbled_are_found_in_the_log() {
    let (store, end, times) = closed();
    let path = store.config.dir.join(names::LEADER_EPOCHS);
    let good = store.content(&path);
    for bad in [&b""[..], b"nonsense", b"0\n5\n0 0\n", b"0\n1\n0 x\n", &[0xff; 40]] {
        store.overwrite(&path, bad);
        let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
        assert_eq!(log.epochs.to_text().as_bytes(), good, "{bad:?}");
        assert_eq!(log.epoch(), LeaderEpoch(1), "the next record goes on in the epoch of before");
        assert_eq!(read(&mut log, 0, 1 << 20).0.len(), times.len());
        assert_eq!(store.reopen(LoadedFrom::Crash(end)).unwrap().epoch(), LeaderEpoch(2), "{bad:?}");
    }
    // One that is well formed and wrong is told from the log, and not followed.
    for wrong in ["0\n1\n0 0\n", "0\n1\n7 0\n", "0\n2\n0 0\n1 3\n", "0\n2\n0 0\n3 40\n"] {
        store.overwrite(&path, wrong.as_bytes());
        assert!(
            check_honest(&store, LoadedFrom::CleanClose(end), &times, wrong),
            "{wrong:?} was not noticed"
        );
    }
}

#[test]
fn other_files_and_directories_are_left_alone() {
    let (store, end, times) = closed();
    let dir = &store.config.dir;
    let files = ["notes.txt", "notes.log.deleted", "7.log", "x.index", "00000000000000000003-9.0.cut"];
    files.iter().for_each(|name| store.overwrite(&dir.join(name), b"somebody's"));
    for name in ["00000000000000000900.log", "backup"] {
        store.storage.create_dir(&dir.join(name)).unwrap();
    }
    for from in [LoadedFrom::CleanClose(end), LoadedFrom::Crash(end)] {
        let mut log = store.reopen(from).unwrap();
        assert_eq!(read(&mut log, 0, 1 << 20), (expected(&times, 0, times.len()), None));
    }
    files.iter().for_each(|name| assert_eq!(store.content(&dir.join(name)), b"somebody's"));
}

#[test]
fn another_segment_behind_the_end_is_noticed_and_kept() {
    let (store, end, times) = closed();
    let stranger = names::segment_file(&store.config.dir, end.plus(100), names::Kind::Log);
    store.overwrite(&stranger, &store.content(&store.files(".log")[0]));
    assert!(store.reopen(LoadedFrom::CleanClose(end)).is_err());
    let mut log = store.reopen(LoadedFrom::Crash(end)).unwrap();
    assert_eq!(read(&mut log, 0, 1 << 20), (expected(&times, 0, times.len()), None));
    assert_eq!(store.files(".cut").len(), 1);
}
