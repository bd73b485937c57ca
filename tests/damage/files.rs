//! Files that are missing, cut, empty, somebody else's, or too many.

use crate::store::{Image, Outcome, check, scratch};
use brooklet::{Broker, Error};
use std::fs;

/// What one may find in place of a file.
fn instead_of(good: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut instead = vec![
        ("empty".to_owned(), Vec::new()),
        ("nonsense".to_owned(), b"nonsense \xff\x00\n".repeat(20)),
        ("zeros".to_owned(), vec![0; good.len()]),
        ("longer by nonsense".to_owned(), [good, b"nonsense"].concat()),
        ("longer by a line".to_owned(), [good, b"t 0 1\n"].concat()),
        ("longer by zeros".to_owned(), [good, &[0; 100]].concat()),
        ("twice".to_owned(), [good, good].concat()),
    ];
    for part in [1, good.len() / 3, good.len() / 2, good.len().saturating_sub(1)] {
        instead.push((format!("cut to {part} bytes"), good[..part.min(good.len())].to_vec()));
    }
    instead.retain(|(_, bytes)| bytes != good);
    instead
}

/// Puts all of that in the place of each of the files, and takes each away.
fn replace(image: &Image, names: &[String]) -> Vec<(String, Outcome)> {
    let mut outcomes = Vec::new();
    for name in names {
        let what = format!("{name} is missing");
        outcomes.push((what.clone(), check(&image.without(name), true, &what)));
        for (how, bytes) in instead_of(&image.files[name]) {
            let what = format!("{name}: {how}");
            outcomes.push((what.clone(), check(&image.with(name, bytes), false, &what)));
        }
    }
    outcomes
}

#[test]
fn a_log_that_is_replaced_or_missing_is_refused() {
    let image = Image::new();
    let logs = image.logs();
    let some = [logs[0].clone(), logs[logs.len() / 2].clone(), logs[logs.len() - 1].clone()];
    for (what, outcome) in replace(&image, &some) {
        assert_eq!(outcome, Outcome::Refused, "{what}");
    }
}

#[test]
fn a_log_in_the_place_of_another_is_refused() {
    let image = Image::new();
    let logs = image.logs();
    for (here, there) in [(0, 1), (1, 0), (2, 1), (logs.len() - 1, 0)] {
        let what = format!("{} in the place of {}", logs[there], logs[here]);
        let outcome = check(&image.with(&logs[here], image.files[&logs[there]].clone()), true, &what);
        assert_eq!(outcome, Outcome::Refused, "{what}");
    }
}

#[test]
fn derived_files_are_healed() {
    let image = Image::new();
    let indexes = image.names(|name| name.starts_with("t-0/") && name.ends_with("index"));
    let (first, last) = (indexes[0..2].to_vec(), indexes[indexes.len() - 2..].to_vec());
    let others = ["t-0/partition.metadata", "meta.properties", ".lock"].map(str::to_owned);
    for (what, outcome) in replace(&image, &[first, last, others.to_vec()].concat()) {
        assert_eq!(outcome, Outcome::Whole, "{what}");
    }
}

#[test]
fn all_indexes_at_once_are_healed() {
    let mut image = Image::new();
    image.files.retain(|name, _| !name.ends_with("index"));
    assert_eq!(check(&image, true, "no index at all"), Outcome::Whole);
}

#[test]
fn epochs_are_healed_or_refused() {
    let image = Image::new();
    let name = "t-0/leader-epoch-checkpoint".to_owned();
    let outcomes = replace(&image, std::slice::from_ref(&name));
    assert_eq!(outcomes[0].1, Outcome::Whole, "missing");
}

#[test]
fn what_is_known_of_topics_is_refused_when_it_is_not_whole() {
    let image = Image::new();
    for (what, outcome) in replace(&image, &["brooklet.metadata".to_owned()]) {
        assert_eq!(outcome, Outcome::Refused, "{what}");
    }
}

#[test]
fn checkpoints_are_refused_or_not_needed() {
    let image = Image::new();
    replace(&image, &["recovery-point-offset-checkpoint".to_owned()]);
    for (what, outcome) in replace(&image, &[".kafka_cleanshutdown".to_owned()]) {
        assert_eq!(outcome, Outcome::Whole, "{what}");
    }
}

#[test]
fn a_partition_of_another_topic_is_refused() {
    let image = Image::new();
    let other = image.files["flushed-0/partition.metadata"].clone();
    let outcome = check(&image.with("t-0/partition.metadata", other), true, "another topic's id");
    assert_eq!(outcome, Outcome::Refused);
}

#[test]
fn a_directory_that_is_missing_is_refused_and_not_made_anew() {
    let mut image = Image::new();
    image.files.retain(|name, _| !name.starts_with("t-0/"));
    assert_eq!(check(&image, true, "no directory"), Outcome::Refused);
}

#[test]
fn commits_are_refused_when_their_log_is_not_whole() {
    let image = Image::new();
    let logs = image.names(|name| name.starts_with("__consumer_offsets") && name.ends_with(".log"));
    for (what, outcome) in replace(&image, &logs) {
        assert_eq!(outcome, Outcome::Refused, "{what}");
    }
    let mut without = image.clone();
    without.files.retain(|name, _| !name.starts_with("__consumer_offsets"));
    assert_eq!(check(&without, true, "no directory of commits"), Outcome::Refused);
}

#[test]
fn files_and_directories_of_others_are_left_alone() {
    let mut image = Image::new();
    let others = [
        "README",
        "t-0/notes.txt",
        "t-0/1.log.deleted",
        "t-0/7.log",
        "u-0/notes.txt",
        "lost+found/x",
        "backup-2024/t-0/00000000000000000000.log",
        "t-x/partition.metadata",
        "recovery-point-offset-checkpoint.bak",
    ];
    for name in others {
        image.files.insert(name.to_owned(), b"somebody's".to_vec());
    }
    let dir = scratch();
    image.write(dir.path());
    Broker::open(dir.path()).unwrap().close().unwrap();
    let after = Image::of(dir.path());
    others.iter().for_each(|name| assert_eq!(after.files[*name], b"somebody's", "{name}"));
    assert_eq!(check(&image, true, "files of others"), Outcome::Whole);
}

#[test]
fn records_of_a_topic_that_is_not_known_are_never_taken_over() {
    let image = Image::new();
    let dir = scratch();
    let log = image.files[&image.logs()[0]].clone();
    let image = image.with("stranger-0/00000000000000000000.log", log.clone());
    image.write(dir.path());
    let broker = Broker::open(dir.path()).unwrap();
    assert_eq!(broker.recovery().topics_adopted, ["stranger"]);
    let made = broker.create_topic("stranger", brooklet::TopicConfig::new());
    assert!(matches!(made, Err(Error::TopicAlreadyExists { .. })), "{made:?}");
    broker.close().unwrap();
    assert_eq!(fs::read(dir.path().join("stranger-0/00000000000000000000.log")).unwrap(), log);
    let again = Broker::open(dir.path()).unwrap();
    assert!(again.recovery().clean && again.recovery().topics_adopted.is_empty());
}

#[test]
fn a_file_in_the_place_of_the_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    fs::write(&path, "a file").unwrap();
    assert!(matches!(Broker::open(&path), Err(Error::Io { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"a file");
}
