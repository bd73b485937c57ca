//! What a crash leaves of a replacement of segments, by brooklet or by Kafka: new segments are written as `.cleaned`,
//! take the name `.swap` when they are whole and durable, and take the place of what they replace; what was removed
//! is called `.deleted` for a while. (Kafka: `LogLoader`)

use super::{
    names::{Kind, base_of, base_of_log, segment_file, unplaced_log},
    scan::{Found, Scanner},
};
use crate::{
    env::{Entry, Open, Storage},
    error::{Error, Result},
    types::Offset,
};
use std::path::Path;

pub(crate) const DELETED: &str = ".deleted";
pub(crate) const CLEANED: &str = ".cleaned";
pub(super) const SWAP: &str = ".swap";

/// Ends or undoes what was begun in a partition's directory, and gives what it holds then.
pub(super) fn finish_replacements(
    storage: &dyn Storage,
    dir: &Path,
    entries: Vec<Entry>,
) -> Result<Vec<Entry>> {
    let base = |entry: &Entry| base_of(entry.name.split('.').next().unwrap_or_default());
    let is =
        |entry: &Entry, suffix: &str| !entry.is_dir && entry.name.ends_with(suffix) && base(entry).is_some();
    if !entries.iter().any(|entry| [DELETED, CLEANED, SWAP].iter().any(|suffix| is(entry, suffix))) {
        return Ok(entries);
    }
    let unfinished = entries.iter().filter(|entry| is(entry, CLEANED)).filter_map(base).min();
    let mut swaps: Vec<Offset> = Vec::new();
    for entry in &entries {
        let abandoned = unfinished.is_some_and(|least| base(entry) >= Some(least));
        let log = entry.name.strip_suffix(SWAP).filter(|_| !entry.is_dir && !abandoned).and_then(base_of_log);
        match log {
            Some(log) => swaps.push(log),
            // Indexes are derived: those of a replacement are made anew.
            None if [DELETED, CLEANED, SWAP].iter().any(|suffix| is(entry, suffix)) => {
                storage.remove_file(&dir.join(&entry.name))?;
            }
            None => {}
        }
    }
    if !swaps.is_empty() {
        swap(storage, dir, &entries, &swaps)?;
    }
    storage.sync_dir(dir)?;
    Ok(storage.list(dir)?.unwrap_or_default())
}

/// Puts replacements in the place of all segments in their range.
fn swap(storage: &dyn Storage, dir: &Path, entries: &[Entry], swaps: &[Offset]) -> Result<()> {
    let first = swaps.iter().min().copied().unwrap_or_default();
    let mut end = first;
    for base in swaps {
        end = end.max(end_of(storage, &unplaced_log(dir, *base, SWAP), *base)?);
    }
    for entry in entries.iter().filter(|entry| !entry.is_dir && !entry.name.ends_with(SWAP)) {
        let replaced = base_of(entry.name.split('.').next().unwrap_or_default());
        // Of a segment that begins where a replacement does, only the log has a successor: it is renamed over.
        let is_log = base_of_log(&entry.name).is_some_and(|base| swaps.contains(&base));
        if replaced.is_some_and(|base| first <= base && base < end) && !is_log {
            storage.remove_file(&dir.join(&entry.name))?;
        }
    }
    // A replacement that has its name is not to meet what it replaces, after another crash.
    storage.sync_dir(dir)?;
    swaps.iter().try_for_each(|base| {
        storage.rename(&unplaced_log(dir, *base, SWAP), &segment_file(dir, *base, Kind::Log))
    })
}

/// The offset behind the last record of a replacement, which was made durable before it got its name.
fn end_of(storage: &dyn Storage, path: &Path, base: Offset) -> Result<Offset> {
    let file = storage.open(path, Open::Read)?;
    let mut scanner = Scanner::new(&*file, 0, file.len()?);
    let mut end = base;
    loop {
        match scanner.next()? {
            Found::Batch(header) => end = header.next_offset(),
            Found::End => return Ok(end.max(base.plus(1))),
            Found::Bad(error) => {
                let reason = format!("at byte {}: {error}", scanner.position());
                let offset = Some(end.get());
                return Err(Error::KafkaStorageError {
                    path: path.to_owned(),
                    partition: None,
                    offset,
                    reason,
                });
            }
        }
    }
}
