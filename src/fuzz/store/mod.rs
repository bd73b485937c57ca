//! A whole store whose files are not what they were, opened as an application does.

mod edits;
mod known;
mod reading;

use crate::{
    Broker, ManualClock, Record,
    env::{Files, SimDisk},
    error::{Error, Result},
    types::Durability,
};
use known::Known;
use reading::{Partition, read};

/// Changes the files of a store as the input says, and opens it, twice: every record that comes out was put in, whatever
/// else becomes of it.
pub(super) fn store(input: &[u8]) {
    let Some((mode, edits)) = input.split_first() else { return };
    let known = Known::of(mode & 1 > 0);
    let mut files = known.files.clone();
    let moved = edits::apply(edits, &mut files);
    if known.is_forged(&files) {
        return;
    }
    let disk = SimDisk::with_files(&files);
    let Ok((first, appended)) = session(&disk, |broker| {
        let strict = !moved && broker.recovery().topics_adopted.is_empty();
        let partitions = read(broker, &known, strict, &[]);
        let appended = append(broker, &partitions);
        (partitions, appended)
    }) else {
        assert!(session(&disk, |_| ()).is_err(), "what is refused once is refused again");
        return;
    };
    let second = session(&disk, |broker| {
        assert!(broker.recovery().clean, "it was closed");
        read(broker, &known, false, &appended)
    });
    let second = second.unwrap_or_else(|error| panic!("it was closed, and is not opened again: {error}"));
    assert_eq!(first.len(), second.len(), "topics have come or gone");
    for (before, after) in first.iter().zip(&second) {
        let added = appended.iter().filter(|(of, _)| *of == before.name).count();
        let (kept, new) = after.records.split_at(after.records.len().saturating_sub(added));
        assert_eq!((&before.name, &*before.records), (&after.name, kept), "what was there is there");
        let offsets = appended.iter().filter(|(of, _)| *of == before.name).map(|(_, offset)| *offset);
        assert!(new.iter().map(|record| record.offset).eq(offsets), "what was acknowledged is there");
    }
}

/// Opens the store, has some work done, and closes it. An error if it is refused.
fn session<T>(disk: &SimDisk, work: impl FnOnce(&Broker) -> T) -> Result<T> {
    let broker = Broker::builder().disk(disk).clock(&ManualClock::new()).open("data");
    let broker = broker.inspect_err(refused)?;
    assert!(!broker.recovery().to_string().is_empty());
    let done = work(&broker);
    broker.close().unwrap_or_else(|error| panic!("it cannot be closed: {error}"));
    Ok(done)
}

/// Says that an error is one by which damage is told.
fn refused(error: &Error) {
    let told = matches!(error, Error::KafkaStorageError { .. } | Error::CorruptMessage { .. });
    assert!(told && !error.to_string().is_empty(), "{error:?}");
}

/// Appends a record to each partition that can be read, and gives the partitions with the offsets.
fn append(broker: &Broker, partitions: &[Partition]) -> Vec<((String, i32), i64)> {
    let whole = partitions.iter().filter(|partition| partition.is_whole);
    let appended = whole.map(|partition| {
        let (topic, number) = &partition.name;
        let record = Record::to(topic).partition(*number).key("k").durability(Durability::Flushed);
        let at = broker.produce(record).unwrap();
        assert_eq!(at.offset, partition.high_watermark, "{topic} {number}");
        (partition.name.clone(), at.offset)
    });
    appended.collect()
}

/// Edits of all kinds.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let files = Known::of(false).files.len() as u8;
    // Findings: a batch of a compacted topic at an offset behind those that follow it.
    let behind_others = vec![1, 13, 0, 0, 1, 0, 0, 10, 4, 7, 9];
    // And what a group has committed, as a log of an application's topic.
    let committed = vec![1, 5, 11, 0, 3, 74, 0, 23, 3, 4, 7, 8, 9];
    let mut seeds = vec![vec![0], vec![1], behind_others, committed];
    for file in 0..files {
        let edit = |kind: u8| [file % 2, kind, file, 0, 40, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9].to_vec();
        seeds.extend((0..edits::KINDS).map(edit));
    }
    seeds
}
