//! What recovery cuts off a log is kept, in files that no loader reads.

use super::{
    Log, LogConfig,
    load::Recovered,
    names::{DERIVED, Kind, cut_file, segment_file},
    scan::{end_of_nonzero, find_batch},
    segment::Segment,
};
use crate::{
    env::{File, Open, Storage},
    error::{Error, Result},
    types::Offset,
};
use std::path::{Path, PathBuf};

/// How many files with cut bytes one place in a log can have.
const MAX_CUT_FILES: u32 = 10_000;

impl Log {
    /// Cuts a segment behind its last good batch, and keeps aside what was there.
    pub(super) fn cut(&self, segment: &Segment, recovered: &mut Recovered) -> Result<()> {
        let (file, size) = (segment.file(), segment.size());
        let len = file.len()?;
        let end = end_of_nonzero(&**file, size, len)?;
        if end > size {
            let path = free_cut_file(&*self.storage, &self.config, segment.base(), size)?;
            recovered.good_batches_cut |= find_batch(&**file, size, end)?.is_some();
            copy_part(&*self.storage, &**file, size, end, &path)?;
            recovered.bytes_cut += end - size;
            recovered.kept_aside.push(path);
        }
        file.set_len(size)
    }

    /// Takes a whole segment that is not of the log out of its directory.
    pub(super) fn set_aside(&mut self, base: Offset, recovered: &mut Recovered) -> Result<()> {
        let path = segment_file(&self.config.dir, base, Kind::Log);
        let file = self.storage.open(&path, Open::Read)?;
        let end = end_of_nonzero(&*file, 0, file.len()?)?;
        if end > 0 {
            let aside = free_cut_file(&*self.storage, &self.config, base, 0)?;
            recovered.good_batches_cut |= find_batch(&*file, 0, end)?.is_some();
            self.storage.rename(&path, &aside)?;
            recovered.bytes_cut += end;
            recovered.kept_aside.push(aside);
        } else {
            self.storage.remove_file(&path)?;
        }
        remove_derived(&*self.storage, &self.config.dir, base)?;
        self.segments.remove(&base);
        Ok(())
    }
}

impl Log {
    /// Removes a segment that is not needed any more.
    pub(super) fn remove(&mut self, base: Offset) -> Result<()> {
        remove_derived(&*self.storage, &self.config.dir, base)?;
        self.storage.remove_file(&segment_file(&self.config.dir, base, Kind::Log))?;
        self.segments.remove(&base);
        Ok(())
    }
}

/// Removes what can be made anew of a segment's log.
pub(super) fn remove_derived(storage: &dyn Storage, dir: &Path, base: Offset) -> Result<()> {
    DERIVED.into_iter().try_for_each(|kind| storage.remove_file(&segment_file(dir, base, kind)))
}

/// A name for bytes of the segment `base` from `position` on that no file has yet.
pub(super) fn free_cut_file(
    storage: &dyn Storage,
    config: &LogConfig,
    base: Offset,
    position: u64,
) -> Result<PathBuf> {
    let there = storage.list(&config.dir)?.unwrap_or_default();
    let is_free = |path: &PathBuf| !there.iter().any(|entry| path.ends_with(&entry.name));
    let mut names = (0..MAX_CUT_FILES).map(|attempt| cut_file(&config.dir, base, position, attempt));
    names.find(is_free).ok_or_else(|| Error::KafkaStorageError {
        path: config.dir.clone(),
        partition: Some(config.partition.clone()),
        offset: None,
        reason: format!("{MAX_CUT_FILES} files with bytes that were cut; move them away"),
    })
}

/// Copies a part of a file into a new one, durably.
pub(super) fn copy_part(
    storage: &dyn Storage,
    file: &dyn File,
    from: u64,
    to: u64,
    into: &Path,
) -> Result<()> {
    let copy = storage.open(into, Open::Write)?;
    in_chunks(file, from, to, |position, bytes| copy.write_at(position - from, bytes))?;
    copy.sync()
}

/// Reads a part of a file, and gives it on piece by piece with its positions.
pub(super) fn in_chunks(
    file: &dyn File,
    from: u64,
    to: u64,
    mut then: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX).min(1 << 20)];
    let mut position = from;
    while position < to {
        let want = usize::try_from(to - position).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read_at(position, buffer.get_mut(..want).unwrap_or_default())?;
        if read == 0 {
            break;
        }
        then(position, buffer.get(..read).unwrap_or_default())?;
        position += read as u64;
    }
    Ok(())
}
