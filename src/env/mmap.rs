//! Files as memory: the only `unsafe` code of the crate.
//!
//! # Invariants that the users of a [`Map`] keep
//! They are those of [`File`](super::File), which alone makes maps:
//! - One thread writes at a time, and never where bytes were handed out. What is handed out was written before, and
//!   became known to the other thread through a lock or an atomic. So no byte is written while a reference to it
//!   exists, and no read races with a write.
//! - Bytes beyond the file's length are neither read nor written, although the map reaches further, and no file is cut
//!   below what was handed out: touching a page that has no file behind it ends the process with SIGBUS.

#![allow(unsafe_code)]

use crate::sync::{AtomicUsize, Ordering};
use memmap2::{Advice, MmapOptions, MmapRaw};
use std::{fmt, fs::File, io, slice, sync::Arc};

/// How many maps one storage may have. Linux gives a process 65,530 by default (`vm.max_map_count`), and the
/// allocator, the threads' stacks and other brokers of the process need theirs.
pub(super) const MAX_MAPS: usize = 16_384;

/// Lines that a write has the processor fetch for those that come: as many as a short record has, a few records ahead.
const LINES_AHEAD: usize = 3;
const BYTES_AHEAD: usize = 512;

/// Counts the maps that live.
#[derive(Debug)]
pub(super) struct Maps {
    live: AtomicUsize,
    limit: usize,
}

impl Maps {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { live: AtomicUsize::new(0), limit })
    }

    fn admit(self: &Arc<Self>) -> io::Result<Permit> {
        let permit = Permit(self.clone());
        if self.live.fetch_add(1, Ordering::Relaxed) < self.limit {
            Ok(permit)
        } else {
            Err(io::Error::other("as many files are mapped as may be"))
        }
    }

    #[cfg(test)]
    pub(super) fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }
}

struct Permit(Arc<Maps>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A file, or the file that it will become, as memory.
pub(crate) struct Map {
    memory: MmapRaw,
    writable: bool,
    _permit: Permit,
}

impl Map {
    /// Maps the first `capacity` bytes of a file that may still be shorter.
    pub(super) fn writable(file: &File, capacity: usize, maps: &Arc<Maps>) -> io::Result<Self> {
        let permit = maps.admit()?;
        let memory = MmapOptions::new().len(capacity).map_raw(file)?;
        Ok(Self { memory, writable: true, _permit: permit })
    }

    /// Maps the first `len` bytes of a file for reading.
    pub(super) fn read_only(file: &File, len: usize, maps: &Arc<Maps>) -> io::Result<Self> {
        let permit = maps.admit()?;
        let memory = MmapOptions::new().len(len).map_raw_read_only(file)?;
        Ok(Self { memory, writable: false, _permit: permit })
    }

    /// How far the map reaches, in bytes; the file may be shorter.
    pub(super) fn len(&self) -> usize {
        self.memory.len()
    }

    /// Copies `bytes` to `start`. `false`, and nothing is written, if they would not lie within the map.
    /// The file must reach as far, and nobody may hold any of the bytes there.
    pub(super) fn write(&self, start: usize, bytes: &[u8]) -> bool {
        let fits = start.checked_add(bytes.len()).is_some_and(|end| end <= self.memory.len());
        if !fits || !self.writable {
            return false;
        }
        // SAFETY: the target lies within the mapping, as just checked, which is writable and lives as long as `self`.
        // `bytes` cannot overlap it: that would be a reference to bytes that were handed out, and those are never
        // written again; no other thread touches the target, by the invariants above.
        unsafe { self.memory.as_mut_ptr().add(start).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.fetch_ahead(start + bytes.len());
        true
    }

    /// Has the processor fetch lines that the next writes are likely to go to.
    #[inline]
    fn fetch_ahead(&self, from: usize) {
        #[cfg(target_arch = "x86_64")]
        for line in 0..LINES_AHEAD {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            let at = self.memory.as_ptr().wrapping_add(from + BYTES_AHEAD + line * 64);
            // SAFETY: a prefetch is a hint: it neither faults nor changes anything, wherever it points.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) };
        }
    }

    /// The bytes from `start` to `end` (exclusive), which were written before; none if they do not lie within the map.
    pub(crate) fn written(&self, start: usize, end: usize) -> &[u8] {
        if start > end || end > self.memory.len() {
            return &[];
        }
        // SAFETY: the range lies within the mapping, as just checked, and the mapping lives as long as `self`. Every
        // byte of a file is an initialised `u8`, and these are never written again, by the invariants above.
        unsafe { slice::from_raw_parts(self.memory.as_ptr().add(start), end - start) }
    }

    /// Makes the pages of a range present and writable at once, which costs less than a fault at the first touch of
    /// each, and turns a fault that would end the process into an error. Does nothing on a kernel before 5.14.
    pub(super) fn populate(&self, start: usize, len: usize) -> io::Result<()> {
        use rustix::io::Errno;
        let Err(error) = self.memory.advise_range(Advice::PopulateWrite, start, len) else { return Ok(()) };
        match Errno::from_io_error(&error) {
            Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            Some(Errno::FAULT) => {
                let reason = "the disk gave no page for a part of the file that was reserved";
                Err(io::Error::new(io::ErrorKind::StorageFull, reason))
            }
            _ => Err(error),
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("len", &self.len())
            .field("writable", &self.writable)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_stay_within_the_map() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let maps = Maps::new(2);
        let map = Map::writable(&file, 1 << 20, &maps).unwrap();
        assert!(map.write(10, b"abc"));
        assert_eq!(map.written(10, 13), b"abc");
        assert!(!map.write((1 << 20) - 2, b"abc"));
        assert!(!map.write(usize::MAX, b"abc"));
        assert!(map.written(0, (1 << 20) + 1).is_empty());
        assert!(map.written(3, 2).is_empty());
    }

    #[test]
    fn a_map_for_reading_refuses_writes() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10).unwrap();
        let map = Map::read_only(&file, 10, &Maps::new(1)).unwrap();
        assert!(!map.write(0, b"a"));
        assert_eq!(map.written(0, 10), [0; 10]);
    }

    #[test]
    fn populating_beyond_the_file_is_an_error_and_not_the_end_of_the_process() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let map = Map::writable(&file, 1 << 20, &Maps::new(1)).unwrap();
        map.populate(0, 4096).unwrap();
        assert_eq!(map.populate(4096, 4096).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn no_more_maps_than_allowed_and_a_dropped_one_makes_room() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10).unwrap();
        let maps = Maps::new(1);
        let first = Map::read_only(&file, 10, &maps).unwrap();
        Map::read_only(&file, 10, &maps).unwrap_err();
        drop(first);
        Map::read_only(&file, 10, &maps).unwrap();
        assert_eq!(maps.live(), 0);
    }
}
