//! What every storage does alike: mapped files, positioned ones, and the simulated disk.

use super::*;
use crate::error::Error;
use std::{io::ErrorKind, path::PathBuf};

const APPEND: Open = Open::Append { capacity: 64 << 20 };

/// Runs a test on each storage, in an empty directory that is there.
fn on_each(test: impl Fn(&dyn Storage, &Path)) {
    for memory_maps in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        test(&RealStorage::new(memory_maps), dir.path());
    }
    let storage = SimDisk::new(1).boot();
    storage.create_dir(Path::new("data")).unwrap();
    test(&*storage, Path::new("data"));
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    match result {
        Err(Error::Io { source, .. }) => source.kind(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("no error"),
    }
}

fn content(file: &dyn File) -> Vec<u8> {
    let mut bytes = vec![0xee; file.len().unwrap() as usize];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

fn names(storage: &dyn Storage, dir: &Path) -> Vec<String> {
    storage.list(dir).unwrap().unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn what_is_written_is_read_now_and_after_reopening() {
    on_each(|storage, dir| {
        for how in [Open::Write, APPEND] {
            let path = dir.join(format!("{how:?}"));
            let file = storage.open(&path, how).unwrap();
            assert_eq!(file.path(), path);
            file.write_at(0, b"hello").unwrap();
            file.write_at(5, b" world").unwrap();
            file.write_at(0, b"J").unwrap();
            assert!(file.len().unwrap() >= 11);
            file.set_len(11).unwrap();
            file.sync().unwrap();
            assert_eq!(content(&*file), b"Jello world");
            drop(file);
            let file = storage.open(&path, how).unwrap();
            assert_eq!(content(&*file), b"Jello world", "opening cuts nothing");
            file.write_at(11, b"!").unwrap();
            assert_eq!(&content(&*file)[..12], b"Jello world!");
            let reader = storage.open(&path, Open::Read).unwrap();
            assert_eq!(&content(&*reader)[..12], b"Jello world!");
            assert_eq!(&*reader.bytes(6, 6).unwrap(), b"world!");
        }
    });
}

#[test]
fn a_file_knows_when_it_was_last_written_to() {
    on_each(|storage, dir| {
        for how in [Open::Write, APPEND] {
            let path = dir.join(format!("{how:?}"));
            let file = storage.open(&path, how).unwrap();
            let time = || file.modified().unwrap().unwrap();
            let made = time();
            file.write_at(0, b"hello").unwrap();
            file.sync().unwrap();
            file.set_len(5).unwrap();
            let written = time();
            assert!(made <= written, "{made} {written}");
            assert_eq!(storage.open(&path, Open::Read).unwrap().modified().unwrap(), Some(written));
            assert_eq!((content(&*file), time()), (b"hello".to_vec(), written), "reading is no writing");
        }
    });
}

#[test]
fn reads_beyond_the_end_give_what_there_is_and_bytes_beyond_it_are_an_error() {
    on_each(|storage, dir| {
        for how in [Open::Write, APPEND] {
            let file = storage.open(&dir.join(format!("{how:?}")), how).unwrap();
            file.write_at(0, b"0123456789").unwrap();
            file.set_len(10).unwrap();
            let mut buffer = [0; 8];
            assert_eq!(file.read_at(6, &mut buffer).unwrap(), 4);
            assert_eq!(&buffer[..4], b"6789");
            assert_eq!(file.read_at(10, &mut buffer).unwrap(), 0);
            assert_eq!(file.read_at(1 << 40, &mut buffer).unwrap(), 0);
            assert_eq!(&*file.bytes(6, 4).unwrap(), b"6789");
            assert_eq!(&*file.bytes(10, 0).unwrap(), b"");
            assert_eq!(kind(file.bytes(6, 5)), ErrorKind::UnexpectedEof);
            assert_eq!(kind(file.bytes(1 << 40, 1)), ErrorKind::UnexpectedEof);
        }
    });
}

#[test]
fn a_file_that_is_appended_to_holds_megabytes_and_hands_them_out_meanwhile() {
    on_each(|storage, dir| {
        let file = storage.open(&dir.join("log"), APPEND).unwrap();
        file.reserve(1 << 20).unwrap();
        assert_eq!(file.len().unwrap(), 1 << 20);
        let mut held = Vec::new();
        for n in 0..5000u64 {
            file.write_at(n * 1000, &[n as u8; 1000]).unwrap();
            held.push(file.bytes(n * 1000, 1000).unwrap());
        }
        file.set_len(5_000_000).unwrap();
        file.sync().unwrap();
        for (n, bytes) in held.iter().enumerate() {
            assert_eq!(**bytes, [n as u8; 1000]);
        }
        for (n, part) in content(&*file).chunks(1000).enumerate() {
            assert_eq!(part, [n as u8; 1000]);
        }
    });
}

#[test]
fn writes_beyond_the_capacity_are_done_all_the_same() {
    on_each(|storage, dir| {
        let file = storage.open(&dir.join("log"), Open::Append { capacity: 100 }).unwrap();
        file.write_at(0, &[1; 90]).unwrap();
        file.write_at(90, &[2; 50]).unwrap();
        file.set_len(140).unwrap();
        assert_eq!(&*file.bytes(80, 60).unwrap(), [[1; 10].as_slice(), &[2; 50]].concat());
        drop(file);
        let file = storage.open(&dir.join("log"), Open::Append { capacity: 10 }).unwrap();
        file.write_at(140, &[3; 5]).unwrap();
        assert_eq!(&*file.bytes(135, 10).unwrap(), [[2; 5], [3; 5]].concat());
    });
}

#[test]
fn set_len_cuts_and_lengthens_with_zeros_and_what_was_cut_does_not_come_back() {
    on_each(|storage, dir| {
        for how in [Open::Write, APPEND] {
            let file = storage.open(&dir.join(format!("{how:?}")), how).unwrap();
            file.write_at(0, &[1; 10_000]).unwrap();
            file.set_len(5_000).unwrap();
            file.set_len(20_000).unwrap();
            assert_eq!(content(&*file), [vec![1; 5_000], vec![0; 15_000]].concat());
            file.write_at(19_000, &[2; 3_000]).unwrap();
            file.set_len(22_000).unwrap();
            assert_eq!(content(&*file), [vec![1; 5_000], vec![0; 14_000], vec![2; 3_000]].concat());
            assert_eq!(&*file.bytes(18_999, 2).unwrap(), [0, 2]);
        }
    });
}

#[test]
fn reserving_keeps_what_is_there_and_never_cuts() {
    on_each(|storage, dir| {
        for how in [Open::Write, APPEND] {
            let file = storage.open(&dir.join(format!("{how:?}")), how).unwrap();
            file.write_at(0, b"abc").unwrap();
            file.reserve(2_000_000).unwrap();
            file.reserve(10).unwrap();
            assert_eq!(&content(&*file)[..5], b"abc\0\0");
            file.write_at(1_999_999, b"zz").unwrap();
            assert_eq!(&*file.bytes(1_999_999, 2).unwrap(), b"zz");
        }
    });
}

#[test]
fn bytes_stay_valid_after_the_file_is_renamed_and_removed() {
    on_each(|storage, dir| {
        let (old, new) = (dir.join("old"), dir.join("new"));
        let file = storage.open(&old, APPEND).unwrap();
        file.write_at(0, b"keep me").unwrap();
        let from_writer = file.bytes(0, 7).unwrap();
        let from_reader = storage.open(&old, Open::Read).unwrap().bytes(5, 2).unwrap();
        storage.rename(&old, &new).unwrap();
        file.write_at(7, b"!").unwrap();
        storage.remove_file(&new).unwrap();
        assert_eq!(&*file.bytes(0, 8).unwrap(), b"keep me!", "the handle still works");
        drop(file);
        assert_eq!((&*from_writer, &*from_reader), (&b"keep me"[..], &b"me"[..]));
        assert!(names(storage, dir).is_empty());
    });
}

#[test]
fn lists_are_sorted_and_tell_directories_from_files() {
    on_each(|storage, dir| {
        for name in ["b", "a", "c"] {
            storage.open(&dir.join(name), Open::Write).unwrap();
        }
        storage.create_dir(&dir.join("aa/deep")).unwrap();
        storage.create_dir(&dir.join("aa/deep")).unwrap();
        let entry = |name: &str, is_dir| Entry { name: name.to_owned(), is_dir };
        let entries = [entry("a", false), entry("aa", true), entry("b", false), entry("c", false)];
        assert_eq!(storage.list(dir).unwrap().unwrap(), entries);
        assert_eq!(storage.list(&dir.join("none")).unwrap(), None);
        assert_eq!(kind(storage.list(&dir.join("a"))), ErrorKind::NotADirectory);
    });
}

#[test]
fn renaming_replaces_a_file_and_moves_a_directory_with_what_is_in_it() {
    on_each(|storage, dir| {
        storage.open(&dir.join("a"), Open::Write).unwrap().write_at(0, b"a").unwrap();
        storage.open(&dir.join("b"), Open::Write).unwrap().write_at(0, b"bbb").unwrap();
        storage.rename(&dir.join("a"), &dir.join("b")).unwrap();
        assert_eq!(content(&*storage.open(&dir.join("b"), Open::Read).unwrap()), b"a");
        storage.create_dir(&dir.join("d")).unwrap();
        storage.open(&dir.join("d/x"), Open::Write).unwrap();
        storage.rename(&dir.join("d"), &dir.join("e")).unwrap();
        assert_eq!(names(storage, dir), ["b", "e"]);
        assert_eq!(names(storage, &dir.join("e")), ["x"]);
        assert_eq!(kind(storage.rename(&dir.join("none"), &dir.join("f"))), ErrorKind::NotFound);
    });
}

#[test]
fn removing_is_fine_twice_and_takes_a_directory_with_all_in_it() {
    on_each(|storage, dir| {
        storage.open(&dir.join("a"), Open::Write).unwrap();
        storage.create_dir(&dir.join("d/e")).unwrap();
        storage.open(&dir.join("d/e/f"), Open::Write).unwrap();
        for _ in 0..2 {
            storage.remove_file(&dir.join("a")).unwrap();
            storage.remove_dir(&dir.join("d")).unwrap();
        }
        assert!(names(storage, dir).is_empty());
    });
}

#[test]
fn what_is_missing_is_not_found_and_the_error_names_it() {
    on_each(|storage, dir| {
        let path = dir.join("missing/file");
        for how in [Open::Read, Open::Write, APPEND] {
            let error = storage.open(&path, how).unwrap_err();
            assert!(matches!(&error, Error::Io { path: named, .. } if *named == path), "{error}");
            assert_eq!(kind::<()>(Err(error)), ErrorKind::NotFound);
        }
        assert_eq!(kind(storage.open(&dir.join("file"), Open::Read)), ErrorKind::NotFound);
        assert_eq!(kind(storage.sync_dir(&dir.join("missing"))), ErrorKind::NotFound);
        storage.sync_dir(dir).unwrap();
    });
}

#[test]
fn a_file_opened_for_reading_is_not_written() {
    on_each(|storage, dir| {
        storage.open(&dir.join("a"), APPEND).unwrap().write_at(0, b"abc").unwrap();
        let file = storage.open(&dir.join("a"), Open::Read).unwrap();
        assert_eq!(&*file.bytes(0, 3).unwrap(), b"abc");
        assert!(file.write_at(0, b"x").is_err());
        assert!(file.set_len(0).is_err());
        assert_eq!(&*file.bytes(0, 3).unwrap(), b"abc");
    });
}

#[test]
fn a_locked_directory_is_locked_for_all_until_the_guard_is_dropped() {
    on_each(|storage, dir| {
        let guard = storage.lock(dir).unwrap();
        assert!(matches!(storage.lock(dir), Err(Error::Locked { path }) if path == dir));
        drop(guard);
        let _guard = storage.lock(dir).unwrap();
        assert_eq!(names(storage, dir), [".lock"]);
    });
}

#[test]
fn small_files_are_replaced_as_a_whole_and_read_up_to_a_limit() {
    on_each(|storage, dir| {
        let path = dir.join("checkpoint");
        assert_eq!(read_file(storage, &path, 10).unwrap(), None);
        replace_file(storage, &path, b"a longer text").unwrap();
        replace_file(storage, &path, b"short").unwrap();
        assert_eq!(read_file(storage, &path, 5).unwrap().unwrap(), b"short");
        assert!(matches!(read_file(storage, &path, 4), Err(Error::KafkaStorageError { .. })));
        assert_eq!(names(storage, dir), ["checkpoint"]);
    });
}

#[test]
#[cfg(unix)]
fn what_is_made_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let temporary = tempfile::tempdir().unwrap();
    let storage = RealStorage::new(true);
    let dir = temporary.path().join("a/b");
    storage.create_dir(&dir).unwrap();
    storage.open(&dir.join("file"), APPEND).unwrap();
    let _lock = storage.lock(&dir).unwrap();
    let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(temporary.path().join("a")), mode(dir.clone())], [0o700; 2]);
    assert_eq!([mode(dir.join("file")), mode(dir.join(".lock"))], [0o600; 2]);
}

#[test]
#[cfg(target_os = "linux")]
fn beyond_the_limit_of_maps_files_are_written_and_read_by_position() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, maps) = RealStorage::with_map_limit(2);
    let files: Vec<_> =
        (0..4).map(|n| storage.open(&dir.path().join(n.to_string()), APPEND).unwrap()).collect();
    for file in &files {
        file.write_at(0, b"abc").unwrap();
        assert_eq!(&*file.bytes(0, 3).unwrap(), b"abc");
    }
    assert_eq!(maps.live(), 2);
    let held = files[0].bytes(0, 3).unwrap();
    drop(files);
    assert_eq!((maps.live(), &*held), (1, &b"abc"[..]), "what was handed out keeps its map");
}

#[test]
#[cfg(target_os = "linux")]
fn a_map_takes_space_before_it_is_written_and_bytes_of_it_cost_no_copy() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let file = RealStorage::new(true).open(&path, APPEND).unwrap();
    file.write_at(0, b"abc").unwrap();
    let taken = path.metadata().unwrap();
    if taken.len() == 3 {
        return; // a file system that does not keep space
    }
    assert_eq!(taken.len(), 1 << 20);
    assert!(taken.blocks() * 512 >= 1 << 20, "{}", taken.blocks());
    let (one, other) = (file.bytes(0, 3).unwrap(), file.bytes(0, 3).unwrap());
    assert_eq!(one.as_ptr(), other.as_ptr());
}

#[test]
#[cfg(target_os = "linux")]
fn more_space_than_the_system_gives_is_an_error_and_the_file_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for memory_maps in [true, false] {
        let capacity = 1 << 50;
        let path = dir.path().join(memory_maps.to_string());
        let file = RealStorage::new(memory_maps).open(&path, Open::Append { capacity }).unwrap();
        file.write_at(0, b"abc").unwrap();
        assert!(matches!(file.reserve(1 << 50), Err(Error::Io { path: named, .. }) if named == path));
        file.write_at(3, b"def").unwrap();
        assert_eq!(&*file.bytes(0, 6).unwrap(), b"abcdef");
    }
}
