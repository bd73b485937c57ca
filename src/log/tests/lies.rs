//! Indexes that say what is not so, and headers that do: what fuzzers found.

use super::*;
use crate::record::{BatchHeader, fuzz::seal};

fn index(entries: &[(u32, u32)]) -> Vec<u8> {
    entries.iter().flat_map(|(relative, at)| [relative.to_be_bytes(), at.to_be_bytes()].concat()).collect()
}

fn time_index(entries: &[(i64, u32)]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|(time, relative)| [&time.to_be_bytes()[..], &relative.to_be_bytes()].concat())
        .collect()
}

/// A closed log of one segment with a batch for each of these times, every one of them in the index.
fn closed(times: &[i64]) -> (Store, Offset) {
    let mut store = Store::new(1 << 20, 0);
    times.iter().for_each(|time| store.append(&[*time]));
    let end = store.close();
    (store, end)
}

fn positions(store: &Store) -> Vec<u32> {
    let log = store.content(&store.files(".log")[0]);
    let mut positions = vec![0];
    while let Ok(header) = BatchHeader::parse(&log[*positions.last().unwrap() as usize..]) {
        positions.push(positions.last().unwrap() + header.size as u32);
    }
    positions
}

#[test]
fn an_index_entry_with_too_low_an_offset_hides_no_record_of_a_cleaned_log() {
    let times: Vec<i64> = (0..20).collect();
    let (mut store, end) = closed(&times);
    store.config.gaps = true;
    let at = positions(&store);
    let path = store.files(".index")[0].clone();
    for lie in [&[(1, at[5]), (19, at[19])][..], &[(3, at[2]), (4, at[8]), (19, at[19])], &[(19, at[19])]] {
        store.overwrite(&path, &index(lie));
        for from in 0..20 {
            let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
            assert_eq!(read(&mut log, from, 200), (expected(&times, from as usize, 20), None), "{lie:?}");
        }
    }
}

#[test]
fn a_time_entry_that_fits_a_later_batch_hides_no_record() {
    // The first batch that reached 100 is that at offset 1, and the one at 3 is as old.
    let times = [50, 100, 200, 100, 150, 300, 90, 60];
    let (store, end) = closed(&times);
    store.overwrite(&store.files(".timeindex")[0], &time_index(&[(50, 0), (100, 3), (300, 5)]));
    let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    assert_eq!(log.find_time(Timestamp::from_millis(120)).unwrap(), Some(Offset::new(2)));
}

#[test]
fn a_look_up_that_meets_damage_leaves_the_indexes_that_lead_behind_it() {
    let times: Vec<i64> = (0..20).collect();
    let (store, end) = closed(&times);
    let path = store.files(".log")[0].clone();
    let mut bytes = store.content(&path);
    bytes[positions(&store)[3] as usize + 70] ^= 1;
    store.overwrite(&path, &bytes);
    store.overwrite(&store.files(".timeindex")[0], &time_index(&[(0, 0), (19, 19)]));
    for _ in 0..2 {
        let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
        assert!(log.find_time(Timestamp::from_millis(10)).is_err());
        assert_eq!(read(&mut log, 4, 200), (expected(&times, 4, 20), None));
        close(&store, log);
    }
}

#[test]
fn what_is_appended_never_comes_over_what_a_damaged_offset_hides() {
    let times: Vec<i64> = (0..20).collect();
    let (mut store, end) = closed(&times);
    store.config.gaps = true;
    let path = store.files(".log")[0].clone();
    let mut bytes = store.content(&path);
    bytes[positions(&store)[1] as usize + 5] = 1; // the second batch is at offset 65537 then
    store.overwrite(&path, &bytes);
    store.overwrite(&store.files(".timeindex")[0], &time_index(&[(0, 0), (19, 19)]));
    let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    assert!(log.find_time(Timestamp::from_millis(10)).is_err());
    assert_eq!(log.end(), end);
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    writer.push(Timestamp::from_millis(20), None, Some(b"record 20"), &[]).unwrap();
    assert_eq!(log.append(&mut writer.finish()).unwrap().base, end);
    close(&store, log);
    assert!(store.content(&path).starts_with(&bytes));
}

#[test]
fn a_batch_of_a_cleaned_log_that_leaves_no_room_for_the_next_one_is_not_handed_out() {
    let times: Vec<i64> = (0..20).collect();
    let mut store = Store::new(1024, 300);
    times.iter().for_each(|time| store.append(&[*time]));
    let end = store.close();
    store.config.gaps = true;
    let path = store.files(".log")[0].clone();
    let (whole, at) = (store.content(&path), positions(&store));
    assert!((5..15).contains(&at.len()) && bases(&store.log).len() == 2);
    for batch in 1..at.len() - 1 {
        for later in [1, 2, 7, 1 << 16] {
            let mut bytes = whole.clone();
            let lie = batch as u64 + later;
            bytes[at[batch] as usize..][..8].copy_from_slice(&lie.to_be_bytes());
            store.overwrite(&path, &bytes);
            let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
            for max_bytes in [1, 200, 1 << 20] {
                let (seen, error) = read(&mut log, 0, max_bytes);
                assert_eq!(seen, expected(&times, 0, seen.len()), "{batch} as {lie}, by {max_bytes}");
                assert!(seen.len() <= batch && error.is_some(), "{batch} as {lie}: {}", seen.len());
            }
            store.overwrite(&path, &whole);
        }
    }
}

#[test]
fn a_cleaned_log_without_its_first_segment_is_refused_or_what_follows_is_kept_aside() {
    let mut store = Store::new(1024, 300);
    (0..20).for_each(|time| store.append(&[time]));
    let end = store.close();
    store.config.gaps = true;
    for suffix in [".log", ".index", ".timeindex"] {
        store.storage.remove_file(&store.files(suffix)[0]).unwrap();
    }
    assert!(store.reopen(LoadedFrom::CleanClose(end)).is_err());
    assert!(store.reopen(LoadedFrom::Crash(end)).is_err());
    // Nothing was made durable, as far as is known: the records may be there without those before them.
    let log = store.reopen(LoadedFrom::Crash(Offset::ZERO)).unwrap();
    assert_eq!((log.start(), log.end()), (Offset::ZERO, Offset::ZERO));
    assert!(!store.files(".cut").is_empty());
    assert!(store.reopen(LoadedFrom::CleanClose(Offset::ZERO)).is_ok());
}

#[test]
fn a_record_is_not_found_by_time_in_a_batch_that_cannot_be_read() {
    let (store, end) = closed(&[10, 20]);
    let path = store.files(".log")[0].clone();
    let mut bytes = store.content(&path);
    bytes[64] = 1; // the offset of the first record is one below that of its batch
    seal(&mut bytes);
    store.overwrite(&path, &bytes);
    let mut log = store.reopen(LoadedFrom::CleanClose(end)).unwrap();
    let found = log.find_time(Timestamp::from_millis(10));
    assert!(matches!(found, Err(Error::KafkaStorageError { .. })), "{found:?}");
}

#[test]
fn an_offset_that_no_index_entry_can_say_is_found() {
    let (mut store, _) = closed(&[0, 1, 2]);
    store.config.gaps = true;
    let path = store.files(".log")[0].clone();
    let mut bytes = store.content(&path);
    bytes[positions(&store)[2] as usize + 2] = 3;
    store.overwrite(&path, &bytes);
    let mut log = store.reopen(LoadedFrom::Crash(Offset::ZERO)).unwrap();
    let last = Offset::new(0x300_0000_0002);
    assert_eq!(log.end(), last.plus(1));
    assert_eq!(*log.read(last, log.end(), 1, true).unwrap(), bytes[positions(&store)[2] as usize..]);
}

fn close(store: &Store, mut log: Log) {
    log.prepare_close().unwrap();
    let flush = log.begin_flush(Extent::Everything).unwrap();
    let result = flush.run(&*store.storage);
    log.end_flush(&flush, result).unwrap();
}
