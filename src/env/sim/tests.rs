//! Power cuts and faults, over many seeds.

use super::*;
use crate::{
    env::{File, ManualClock, Open, replace_file},
    error::{Error, Result},
};
use std::{collections::BTreeSet, io::ErrorKind, path::Path, time::Duration};

const SEEDS: u64 = 300;
const APPEND: Open = Open::Append { capacity: 1 << 30 };

fn p(path: &str) -> &Path {
    Path::new(path)
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Err(Error::Io { source, .. }) => source.kind(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("no error"),
    }
}

fn message<T: fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}

/// The content of a file; `None` if there is none.
fn content(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
    let file = disk.boot().open(p(path), Open::Read).ok()?;
    let mut bytes = vec![0xee; file.len().unwrap() as usize];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    Some(bytes)
}

/// A storage with a durable directory `data`.
fn with_data(disk: &SimDisk) -> Arc<dyn Storage> {
    let storage = disk.boot();
    storage.create_dir(p("data")).unwrap();
    storage.sync_dir(p("")).unwrap();
    storage
}

#[test]
fn a_file_has_its_time_by_the_clock_of_who_wrote_it() {
    let (disk, clock) = (SimDisk::new(1), ManualClock::new());
    let storage = disk.boot_at(&Clock::Manual(clock.clone()));
    let file = storage.open(p("log"), Open::Write).unwrap();
    let made = clock.now();
    let time = || file.modified().unwrap().unwrap();
    assert_eq!(time(), made);
    clock.advance(Duration::from_secs(5));
    assert_eq!((content(&disk, "log"), time()), (Some(Vec::new()), made));
    file.write_at(0, b"x").unwrap();
    assert_eq!(time(), made + Duration::from_secs(5));
    clock.advance(Duration::from_secs(5));
    file.set_len(0).unwrap();
    assert_eq!(time(), made + Duration::from_secs(10));
}

#[test]
fn a_power_cut_may_take_the_time_of_a_file_that_was_not_synced() {
    let mut seen = BTreeSet::new();
    for seed in 0..30 {
        let (disk, clock) = (SimDisk::new(seed), ManualClock::new());
        let storage = disk.boot_at(&Clock::Manual(clock.clone()));
        storage.create_dir(p("data")).unwrap();
        let file = storage.open(p("log"), Open::Write).unwrap();
        file.write_at(0, b"x").unwrap();
        file.sync().unwrap();
        storage.sync_dir(p("")).unwrap();
        clock.advance(Duration::from_secs(5));
        file.write_at(0, b"y").unwrap();
        disk.power_cut();
        let found = disk.boot().open(p("log"), Open::Read).unwrap().modified().unwrap().unwrap();
        seen.insert(found.as_millis() - ManualClock::new().now().as_millis());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 5000]);
}

fn write(storage: &dyn Storage, path: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = storage.open(p(path), Open::Write).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

#[test]
fn what_was_synced_survives_every_power_cut() {
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        let file = write(&*storage, "data/log", &[1; 3000]);
        file.sync().unwrap();
        storage.sync_dir(p("data")).unwrap();
        file.write_at(3000, &[2; 3000]).unwrap();
        for _ in 0..3 {
            disk.power_cut();
            let bytes = content(&disk, "data/log").expect("a synced name");
            assert!(bytes.len() == 3000 || bytes.len() == 6000, "seed {seed}: {}", bytes.len());
            assert_eq!(bytes[..3000], [1; 3000], "seed {seed}");
        }
    }
}

#[test]
fn what_was_not_synced_comes_in_every_shape() {
    let (mut gone, mut whole, mut zeros, mut torn) = (0, 0, 0, 0);
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        let file = write(&*storage, "data/log", &[]);
        storage.sync_dir(p("data")).unwrap();
        (0..8).for_each(|n| file.write_at(n * 700, &[7; 700]).unwrap());
        disk.power_cut();
        let bytes = content(&disk, "data/log").unwrap();
        let sevens = bytes.iter().filter(|byte| **byte == 7).count();
        match (bytes.len(), sevens) {
            (0, _) => gone += 1,
            (5600, 5600) => whole += 1,
            (_, 0) => zeros += 1,
            (len, n) if n < len => torn += 1,
            _ => {}
        }
    }
    let seen = [gone, whole, zeros, torn];
    assert!(seen.iter().all(|n| *n > 10), "gone, whole, zeros, torn: {seen:?}");
}

#[test]
fn a_sync_of_the_bytes_does_not_keep_the_name_and_one_of_the_directory_not_the_bytes() {
    let (mut names_lost, mut bytes_lost) = (0, 0);
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        let named = write(&*storage, "data/named", b"abc");
        storage.sync_dir(p("data")).unwrap();
        write(&*storage, "data/unnamed", b"abc").sync().unwrap();
        drop(named);
        disk.power_cut();
        bytes_lost += usize::from(content(&disk, "data/named").expect("a synced name") != b"abc");
        match content(&disk, "data/unnamed") {
            Some(bytes) => assert_eq!(bytes, b"abc", "seed {seed}"),
            None => names_lost += 1,
        }
    }
    assert!((50..250).contains(&names_lost), "{names_lost}");
    assert!((50..290).contains(&bytes_lost), "{bytes_lost}");
}

#[test]
fn changes_of_names_survive_each_by_itself_until_their_directory_is_synced() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        for name in ["data/old", "data/removed"] {
            write(&*storage, name, name.as_bytes()).sync().unwrap();
        }
        storage.sync_dir(p("data")).unwrap();
        write(&*storage, "data/made", b"made").sync().unwrap();
        storage.rename(p("data/old"), p("data/new")).unwrap();
        storage.remove_file(p("data/removed")).unwrap();
        disk.power_cut();
        let is_there = |name| content(&disk, name).is_some();
        assert!(is_there("data/old") != is_there("data/new"), "seed {seed}: a rename is one change");
        seen.insert(["data/made", "data/new", "data/removed"].map(is_there));
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
}

#[test]
fn a_rename_survives_without_the_making_of_its_source() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        replace_file(&*storage, p("data/a"), b"old").unwrap();
        write(&*storage, "data/a.tmp", b"new").sync().unwrap();
        storage.rename(p("data/a.tmp"), p("data/a")).unwrap();
        disk.power_cut();
        let now = content(&disk, "data/a").expect("one of the two");
        assert!(now == b"old" || now == b"new", "seed {seed}");
        seen.insert((now, content(&disk, "data/a.tmp").is_some()));
    }
    // New with a left-over .tmp cannot be: the rename takes it away.
    let old = b"old".to_vec();
    assert_eq!(seen, BTreeSet::from([(old.clone(), false), (old, true), (b"new".to_vec(), false)]));
}

#[test]
fn a_directory_that_was_not_made_durable_may_go_with_all_in_it() {
    let mut gone = 0;
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = disk.boot();
        storage.create_dir(p("a/b")).unwrap();
        write(&*storage, "a/b/c", b"abc").sync().unwrap();
        storage.sync_dir(p("a/b")).unwrap();
        storage.sync_dir(p("a")).unwrap();
        disk.power_cut();
        match disk.boot().list(p("a")).unwrap() {
            None => gone += 1,
            Some(_) => assert_eq!(content(&disk, "a/b/c").unwrap(), b"abc", "seed {seed}"),
        }
    }
    assert!((80..220).contains(&gone), "{gone}");
}

#[test]
fn a_removed_directory_may_come_back_with_some_of_what_was_in_it() {
    let mut seen = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        storage.create_dir(p("data/d")).unwrap();
        for name in ["data/d/x", "data/d/y"] {
            write(&*storage, name, b"1");
        }
        storage.sync_dir(p("data/d")).unwrap();
        storage.sync_dir(p("data")).unwrap();
        storage.remove_dir(p("data/d")).unwrap();
        disk.power_cut();
        seen.insert(disk.boot().list(p("data/d")).unwrap().map(|left| left.len()));
    }
    assert_eq!(seen, BTreeSet::from([None, Some(0), Some(1), Some(2)]));
}

#[test]
fn after_a_power_cut_whoever_had_the_disk_gets_errors_and_a_new_boot_works() {
    let disk = SimDisk::new(3);
    let storage = with_data(&disk);
    let file = write(&*storage, "data/log", b"abc");
    let held = file.bytes(0, 3).unwrap();
    let guard = storage.lock(p("data")).unwrap();
    disk.power_cut();
    let cut = |message: String| assert!(message.ends_with("the power was cut"), "{message}");
    cut(message(file.write_at(0, b"x")));
    cut(message(file.len()));
    cut(message(file.sync()));
    cut(message(file.bytes(0, 1)));
    cut(message(storage.list(p("data"))));
    cut(message(storage.open(p("data/x"), Open::Write)));
    assert!(storage.lock(p("data")).is_err());
    assert_eq!(&*held, b"abc");
    let after = disk.boot();
    let _new_guard = after.lock(p("data")).unwrap();
    drop(guard);
    assert!(
        matches!(after.lock(p("data")), Err(Error::Locked { .. })),
        "the old guard gives up only its own"
    );
    write(&*after, "data/log", b"new");
}

#[test]
fn a_lock_dies_with_its_session() {
    let disk = SimDisk::new(3);
    let storage = with_data(&disk);
    std::mem::forget(storage.lock(p("data")).unwrap());
    assert!(matches!(disk.boot().lock(p("data")), Err(Error::Locked { .. })));
    drop(storage);
    disk.boot().lock(p("data")).unwrap();
}

#[test]
fn a_full_disk_is_an_error_and_a_failed_write_may_have_been_done_in_part() {
    let mut parts = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        let file = write(&*storage, "data/log", b"");
        let full = disk.intercept(DiskOp::Write).path("log").skip(1).times(1).fail(DiskFault::Enospc);
        file.write_at(0, b"ab").unwrap();
        assert_eq!(kind(file.write_at(2, b"cdef")), ErrorKind::StorageFull);
        let done = content(&disk, "data/log").unwrap();
        assert!(b"abcdef".starts_with(&done), "{done:?}");
        parts.insert(done.len());
        file.write_at(2, b"cdef").unwrap();
        assert_eq!((content(&disk, "data/log").unwrap(), full.hits()), (b"abcdef".to_vec(), 1));
    }
    assert_eq!(parts, BTreeSet::from([2, 3, 4, 5, 6]));
}

#[test]
fn every_kind_of_operation_can_be_made_to_fail_and_then_does_nothing() {
    type Try = fn(&dyn Storage, &dyn File) -> Result<()>;
    let tries: [(DiskOp, Try); 12] = [
        (DiskOp::Open, |storage, _| storage.open(p("data/new"), Open::Write).map(drop)),
        (DiskOp::Read, |_, file| file.read_at(0, &mut [0]).map(drop)),
        (DiskOp::Read, |_, file| file.bytes(0, 1).map(drop)),
        (DiskOp::Reserve, |_, file| file.reserve(1000)),
        (DiskOp::Flush, |_, file| file.sync()),
        (DiskOp::SetLen, |_, file| file.set_len(1)),
        (DiskOp::Rename, |storage, _| storage.rename(p("data/log"), p("data/b"))),
        (DiskOp::Remove, |storage, _| storage.remove_file(p("data/log"))),
        (DiskOp::CreateDir, |storage, _| storage.create_dir(p("data/d"))),
        (DiskOp::SyncDir, |storage, _| storage.sync_dir(p("data"))),
        (DiskOp::List, |storage, _| storage.list(p("data")).map(drop)),
        (DiskOp::Open, |storage, _| storage.lock(p("data")).map(drop)),
    ];
    for (op, attempt) in tries {
        let disk = SimDisk::new(1);
        let storage = with_data(&disk);
        let file = write(&*storage, "data/log", b"abc");
        let before = disk.contents_hash();
        let fault = disk.intercept(op).fail(DiskFault::Eio);
        let error = attempt(&*storage, &*file).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{op:?}: {error}");
        assert_eq!((fault.hits(), disk.contents_hash()), (1, before), "{op:?}");
        fault.remove();
        attempt(&*storage, &*file).unwrap();
    }
}

#[test]
fn names_of_a_failed_sync_of_a_directory_may_be_lost_and_come_through_by_a_later_one() {
    let mut lost = 0;
    for (seed, later) in (0..SEEDS).flat_map(|seed| [(seed, false), (seed, true)]) {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        write(&*storage, "data/a", b"a").sync().unwrap();
        disk.intercept(DiskOp::SyncDir).times(1).fail(DiskFault::Eio);
        storage.sync_dir(p("data")).unwrap_err();
        assert!(content(&disk, "data/a").is_some(), "seen until the power cut");
        if later {
            storage.sync_dir(p("data")).unwrap();
        }
        disk.power_cut();
        let gone = content(&disk, "data/a").is_none();
        assert!(!gone || !later, "seed {seed}: a sync succeeded");
        lost += usize::from(gone);
    }
    assert!((80..220).contains(&lost), "{lost}");
}

/// A workload with each kind of operation; ends at the first error.
fn workload(storage: &dyn Storage) -> Result<()> {
    storage.create_dir(p("data/t-0"))?;
    storage.sync_dir(p(""))?;
    storage.sync_dir(p("data"))?;
    let _lock = storage.lock(p("data"))?;
    let log = storage.open(p("data/t-0/0.log"), APPEND)?;
    log.reserve(8192)?;
    for n in 0..20u8 {
        log.write_at(u64::from(n) * 300, &[n + 1; 300])?;
        if n % 8 == 7 {
            log.sync()?;
            storage.sync_dir(p("data/t-0"))?;
        }
        log.bytes(u64::from(n) * 300, 300)?;
    }
    log.set_len(6000)?;
    replace_file(storage, p("data/meta"), b"first")?;
    replace_file(storage, p("data/meta"), b"second")?;
    storage.create_dir(p("data/t-1"))?;
    storage.remove_dir(p("data/t-1"))?;
    storage.list(p("data")).map(drop)
}

#[test]
fn the_same_seed_and_operations_give_the_same_operations_and_contents() {
    let run = |seed, n| {
        let disk = SimDisk::new(seed);
        let fault = disk.intercept(DiskOp::Any).skip(n).power_cut();
        let _ = workload(&*disk.boot());
        let first = disk.contents_hash();
        let _ = workload(&*disk.boot());
        disk.power_cut();
        (first, disk.contents_hash(), disk.operations(), fault.hits())
    };
    let mut outcomes = BTreeSet::new();
    for seed in 0..20 {
        for n in (0..60).step_by(7) {
            let one = run(seed, n);
            assert_eq!(one, run(seed, n), "seed {seed}, operation {n}");
            outcomes.insert((one.0, one.1));
        }
    }
    assert!(outcomes.len() > 80, "{}", outcomes.len());
}

#[test]
fn a_power_cut_at_any_operation_fails_it_and_leaves_what_was_synced() {
    let mut cuts = 0;
    for n in 0.. {
        for seed in 0..20 {
            let disk = SimDisk::new(seed);
            let fault = disk.intercept(DiskOp::Any).skip(n).power_cut();
            let result = workload(&*disk.boot());
            assert_eq!(result.is_err(), fault.hits() == 1, "operation {n}, seed {seed}");
            if fault.hits() == 0 {
                assert!(cuts > 1000, "{cuts}");
                return;
            }
            cuts += 1;
            assert!(message(result).ends_with("the power was cut"));
            if let Some(meta) = content(&disk, "data/meta") {
                assert!(meta == b"first" || meta == b"second", "operation {n}, seed {seed}: {meta:?}");
            }
            workload(&*disk.boot()).expect("a new boot works, whatever is there");
        }
    }
}

#[test]
fn an_interrupted_write_may_end_at_any_byte() {
    let mut ends = BTreeSet::new();
    for seed in 0..2000 {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        let file = write(&*storage, "data/log", &[1; 64]);
        file.sync().unwrap();
        storage.sync_dir(p("data")).unwrap();
        disk.intercept(DiskOp::Write).power_cut();
        file.write_at(0, &[2; 64]).unwrap_err();
        let bytes = content(&disk, "data/log").unwrap();
        let end = bytes.iter().position(|byte| *byte == 1).unwrap_or(64);
        assert!(bytes[end..].iter().all(|byte| *byte == 1), "{bytes:?}");
        ends.insert(end);
    }
    assert!(ends.len() > 60, "{ends:?}");
}

#[test]
#[should_panic(expected = "were handed out")]
fn a_reader_s_bytes_are_not_written_over_through_another_handle() {
    let disk = SimDisk::new(1);
    let storage = with_data(&disk);
    let writer = write(&*storage, "data/log", b"abc");
    let _bytes = storage.open(p("data/log"), Open::Read).unwrap().bytes(0, 3).unwrap();
    let _ = writer.write_at(2, b"x");
}

#[test]
fn who_opens_the_disk_anew_may_cut_what_an_earlier_session_handed_out() {
    let disk = SimDisk::new(1);
    let storage = with_data(&disk);
    let _bytes = write(&*storage, "data/log", b"abc").bytes(0, 3).unwrap();
    disk.boot().open(p("data/log"), Open::Write).unwrap().set_len(1).unwrap();
}

#[test]
fn operations_are_noted_with_their_place() {
    let disk = SimDisk::new(1);
    let storage = disk.boot();
    let file = storage.open(p("./log"), Open::Write).unwrap();
    file.write_at(10, b"abc").unwrap();
    file.set_len(12).unwrap();
    let noted: Vec<_> = disk
        .operations()
        .iter()
        .map(|o| (o.op, o.path.to_str().unwrap().to_owned(), o.offset, o.len))
        .collect();
    let log = || "./log".to_owned();
    let expected =
        [(DiskOp::Open, log(), 0, 0), (DiskOp::Write, log(), 10, 3), (DiskOp::SetLen, log(), 0, 12)];
    assert_eq!(noted, expected);
}

#[test]
fn only_what_is_seen_counts_for_the_hash() {
    let (one, other) = (SimDisk::new(1), SimDisk::new(2));
    let storage = with_data(&one);
    write(&*storage, "data/a", &[1, 0, 0]).sync().unwrap();
    write(&*storage, "data/b", b"").write_at(0, b"x").unwrap();
    let storage = with_data(&other);
    write(&*storage, "data/b", b"x");
    let file = write(&*storage, "data/a", &[1]);
    file.reserve(3).unwrap();
    assert_eq!(one.contents_hash(), other.contents_hash());
    file.reserve(4).unwrap();
    assert_ne!(one.contents_hash(), other.contents_hash());
}

#[test]
fn a_short_write_ends_behind_its_first_byte_and_before_its_last() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let storage = with_data(&disk);
        let short = disk.intercept(DiskOp::Write).fail(DiskFault::ShortWrite);
        let file = storage.open(p("data/a"), Open::Write).unwrap();
        assert_eq!(kind(file.write_at(0, b"abcdef")), ErrorKind::WriteZero);
        short.remove();
        lengths.insert(content(&disk, "data/a").unwrap().len());
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn every_combination_of_files_and_names_is_an_outcome_that_can_be_chosen() {
    let mut seen = BTreeSet::new();
    for n in 0.. {
        let disk = SimDisk::new(0);
        let storage = with_data(&disk);
        write(&*storage, "data/a", b"old").sync().unwrap();
        storage.sync_dir(p("data")).unwrap();
        storage.rename(p("data/a"), p("data/b")).unwrap();
        write(&*storage, "data/c", b"new");
        disk.choose_outcome(n);
        disk.power_cut();
        seen.insert(["data/a", "data/b", "data/c"].map(|path| content(&disk, path)));
        // Two changes of names, a sector and a length.
        assert_eq!(disk.outcomes(), 16);
        if n + 1 == disk.outcomes() {
            break;
        }
    }
    // `c` is not there, empty, zeros or whole (its length without the bytes, the bytes without the length).
    assert_eq!(seen.len(), 2 * 4);
    let drawn = SimDisk::new(0);
    drawn.power_cut();
    assert_eq!(drawn.outcomes(), 0, "nothing was chosen");
}
