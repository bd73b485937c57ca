//! The seams to the world outside: time, storage and memory. All that is not a function of its inputs comes in
//! here, and has a stand-in that a seed replays.
//!
//! | | real | stand-in |
//! |---|---|---|
//! | [`Clock`] | the system's two clocks | [`ManualClock`], moved by the test |
//! | [`Storage`], [`File`] | [`RealStorage`]: files, mapped or not | [`SimDisk`]: live against durable bytes, faults |
//! | [`Bytes`] | a range of a mapped file, or of heap memory | heap memory |

// The place for what is banned everywhere else: the system's clocks and files.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod boot;
mod bytes;
mod clock;
mod lock;
#[cfg(target_os = "linux")]
mod mmap;
mod real;
mod sim;
#[cfg(test)]
mod tests;
mod timer_queue;
mod wait;

pub(crate) use boot::boot;
pub(crate) use bytes::Bytes;
pub use clock::ManualClock;
pub(crate) use clock::{Clock, Driver};
pub(crate) use real::RealStorage;
#[cfg(any(test, fuzzing))]
pub(crate) use sim::Files;
pub use sim::{DiskFault, DiskOp, DiskOperation, Fault, Intercept, SimDisk};
pub(crate) use sim::{Rules, What};
pub(crate) use timer_queue::{TimerId, TimerQueue};
pub(crate) use wait::{Alarm, Interrupt, Monitor, Slot};

use crate::{error::Result, types::Timestamp};
use std::{fmt, path::Path, sync::Arc};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// To be read; it must exist.
    Read,
    /// To be read and written; made, empty, where there is none. What is there stays.
    Write,
    /// As `Write`, for a file that grows up to `capacity` bytes and whose written bytes are handed out while it
    /// does: a mapping, where there are mappings, is made for all of it at once. Space is taken in steps, so that the
    /// file may be longer, by zeros, than what was written, until [`File::set_len`] cuts it.
    Append {
        /// The largest size that the file will reach by writing.
        capacity: u64,
    },
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) is_dir: bool,
}

/// A directory tree on a disk. Errors are [`Error::Io`](crate::Error::Io) with the path.
///
/// Nothing is durable until it is synced: a file's bytes and length by [`File::sync`], the names in a directory (made,
/// renamed, removed) by [`sync_dir`](Self::sync_dir) of that directory.
pub(crate) trait Storage: Send + Sync + fmt::Debug {
    /// Opens a file. A new one is for its owner alone (0600).
    fn open(&self, path: &Path, how: Open) -> Result<Arc<dyn File>>;
    /// What a directory holds, sorted by name; names that are not UTF-8 are left out. `None`: there is none.
    fn list(&self, dir: &Path) -> Result<Option<Vec<Entry>>>;
    /// Makes a directory and those above it, each for its owner alone (0700). Fine if it is there.
    fn create_dir(&self, dir: &Path) -> Result<()>;
    /// Removes a file. Fine if there is none. Who has its bytes keeps them.
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// Removes a directory with all that is in it. Fine if there is none.
    fn remove_dir(&self, dir: &Path) -> Result<()>;
    /// Gives a file or directory another name in the same directory (so that there is one to sync), in place of a file
    /// that has it, at once for every onlooker.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;
    /// Takes the directory for this broker alone, by its file `.lock`, until the returned guard is dropped.
    /// [`Error::Locked`](crate::Error::Locked) if somebody has it.
    fn lock(&self, dir: &Path) -> Result<Box<dyn Send + Sync>>;
}

/// An open file. Errors are [`Error::Io`](crate::Error::Io) with the path.
///
/// # Invariants that the caller keeps
/// One thread writes at a time. A byte that was handed out by [`bytes`](Self::bytes) is never written again, nor cut
/// off by [`set_len`](Self::set_len).
pub(crate) trait File: Send + Sync + fmt::Debug {
    fn path(&self) -> &Path;
    fn len(&self) -> Result<u64>;
    /// When the file was last written to or cut, by the calendar; `None` where there is no telling. Where it is written
    /// through a mapping, the time may be that of the sync, or of the write, before the last one.
    fn modified(&self) -> Result<Option<Timestamp>>;
    /// Fills `buffer` from `offset` on, as far as the file goes; gives how much that was. Always a positioned read,
    /// so that a failing disk is an error here.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
    /// Writes all of `bytes`; the file grows as needed. On an error any part of them may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;
    /// Writes the bytes from `from` to `to` over themselves, so that the next sync writes them to the disk. After a sync that
    /// failed, in this process or one before it, a system may take what it could not write for written: it is read back
    /// as if it were there, and no later sync writes it. Others may have the bytes, or write elsewhere, meanwhile.
    fn write_again(&self, from: u64, to: u64) -> Result<()>;
    /// Sees to it that writes below `len` need no more space, where the system can promise that; the file may get
    /// longer by it, up to `len`, with zeros.
    #[cfg_attr(
        not(test),
        expect(
            dead_code,
            reason = "writes reserve on their own; to reserve ahead of them comes with the background work"
        )
    )]
    fn reserve(&self, len: u64) -> Result<()>;
    /// Does now, without changing the file, what would hold up the writes that come at `from` and behind it. For a
    /// thread that has the time, beside the one that writes.
    fn run_ahead(&self, _from: u64) -> Result<()> {
        Ok(())
    }
    /// Cuts the file, or lengthens it with zeros.
    fn set_len(&self, len: u64) -> Result<()>;
    /// Makes the file's bytes and its length durable.
    fn sync(&self) -> Result<()>;
    /// Bytes that were written, without a copy where there is a mapping. An error if the file ends before them.
    fn bytes(&self, offset: u64, len: usize) -> Result<Bytes>;
}

/// All of a file, read by positioned reads; `None` if there is none. More than `limit` bytes are an error.
pub(crate) fn read_file(storage: &dyn Storage, path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let dir = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let there = storage.list(dir)?.is_some_and(|entries| entries.iter().any(|e| e.name == name && !e.is_dir));
    if !there {
        return Ok(None);
    }
    let file = storage.open(path, Open::Read)?;
    let len = file.len()?;
    if len > limit {
        let reason = format!("{len} bytes are more than the {limit} that it can have");
        return Err(crate::Error::KafkaStorageError {
            path: path.to_owned(),
            partition: None,
            offset: None,
            reason,
        });
    }
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Replaces a small file as a whole, durably: whoever opens it, after whatever crash, finds the old bytes or the new.
pub(crate) fn replace_file(storage: &dyn Storage, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let file = storage.open(temporary, Open::Write)?;
    file.set_len(0)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    drop(file);
    storage.rename(temporary, path)?;
    storage.sync_dir(path.parent().unwrap_or(Path::new("")))
}
