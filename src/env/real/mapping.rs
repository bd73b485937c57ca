//! The map of a real file, and how far it may be touched.

use super::{
    super::{
        Bytes, Open,
        mmap::{Map, Maps},
    },
    space,
};
use crate::sync::{AtomicU64, Mutex, OnceLock, Ordering};
use std::{fs::File, io, sync::Arc};

/// Space is taken in steps of as much as the file has already, within these bounds.
const LEAST_STEP: u64 = 1 << 20;
const LARGEST_STEP: u64 = 16 << 20;

/// How much of the space is made present in memory at once. Measured with writes of 100 bytes on ext4: the same 45 to
/// 50 ns each on average as without it, but instead of one write in 40 that takes 2 us for its page, one in 2,600
/// takes 55 us (the 99.9th percentile falls from 2.1 to 0.3 us). All of a step would be too much: each such page is
/// dirty, so that the next flush would write megabytes of zeros for a few records.
/// A file begins with less, and doubles it: a thousand small ones would have 256 MiB of it.
const WINDOW: u64 = 256 << 10;
const FIRST_WINDOW: u64 = 16 << 10;

/// How far ahead of the appends a thread that has the time makes pages ready. Measured with appends of 100 bytes on two
/// cores, the other one idle: 135 ns each instead of 180.
const AHEAD: u64 = 2 << 20;

/// The map, made when it is first needed. Space comes first (an error on a full disk), then pages, then bytes:
/// `ready <= growth.reserved <= length of the file`.
#[derive(Debug)]
pub(super) struct Mapping {
    maps: Arc<Maps>,
    /// How far the file will be written; `None`: it is only read.
    capacity: Option<u64>,
    /// `None` inside: there is no map to be had, and all is positioned I/O, for good.
    map: OnceLock<Option<Arc<Map>>>,
    /// What ends here or below may be copied into the map.
    ready: AtomicU64,
    /// The file is known to be as long as this.
    length: AtomicU64,
    growth: Mutex<Growth>,
}

#[derive(Debug, Default)]
struct Growth {
    /// The space of the file is taken up to here.
    reserved: u64,
    /// The file was cut since it was last written: it shall not grow before somebody writes again.
    cut: bool,
    /// The file system does not keep space for a file: no writing into the map.
    refused: bool,
}

impl Mapping {
    pub(super) fn new(maps: &Arc<Maps>, how: Open) -> Option<Self> {
        let capacity = match how {
            Open::Read => None,
            Open::Append { capacity } => Some(capacity),
            // Small files that are replaced as a whole are not worth a map.
            Open::Write => return None,
        };
        Some(Self {
            maps: maps.clone(),
            capacity,
            map: OnceLock::new(),
            ready: AtomicU64::new(0),
            length: AtomicU64::new(0),
            growth: Mutex::default(),
        })
    }

    /// Copies the bytes into the map if all is ready for them. This is the hot path: two loads, and the copy.
    #[inline]
    pub(super) fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        let Some(end) = offset.checked_add(bytes.len() as u64) else { return false };
        match self.map.get() {
            Some(Some(map)) if end <= self.ready.load(Ordering::Acquire) => map.write(offset as usize, bytes),
            _ => false,
        }
    }

    /// Makes ready for a write from `offset` to `end`. `false`: it must be a positioned one.
    pub(super) fn prepare(&self, file: &File, offset: u64, end: u64) -> io::Result<bool> {
        let mut growth = self.growth.lock();
        growth.cut = false;
        let Some(map) = self.map_to_write(file, &growth, end) else { return Ok(false) };
        if end > growth.reserved {
            let step = growth.reserved.clamp(LEAST_STEP, LARGEST_STEP);
            let target = growth.reserved.saturating_add(step).min(map.len() as u64).max(end);
            match self.take_space(file, &mut growth, target) {
                // The last bytes of a disk are good for what has to be written now.
                Err(error) if error.kind() == io::ErrorKind::StorageFull && target > end => {
                    self.take_space(file, &mut growth, end)?;
                }
                other => other?,
            }
        }
        self.make_ready(map, &growth, offset, end)?;
        Ok(!growth.refused)
    }

    /// Takes the space, and makes the pages present, that the next appends will need. A file that was cut meanwhile does
    /// not grow by it. The lock is given back between the windows: an append that comes this far need not wait for all.
    pub(super) fn run_ahead(&self, file: &File, from: u64) -> io::Result<()> {
        let target = from.saturating_add(AHEAD);
        while self.ready.load(Ordering::Acquire) < target {
            let mut growth = self.growth.lock();
            let map = self.map_to_write(file, &growth, target);
            let Some(map) = map.filter(|_| !growth.cut) else { return Ok(()) };
            if growth.reserved < target {
                let step = growth.reserved.clamp(LEAST_STEP, LARGEST_STEP);
                let to = growth.reserved.saturating_add(step).min(map.len() as u64);
                self.take_space(file, &mut growth, to)?;
            }
            self.make_ready(map, &growth, from, from)?;
            if growth.refused {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Takes the space up to `len`, and makes the first new pages ready. `false`: that has to be done without a map.
    pub(super) fn reserve(&self, file: &File, len: u64) -> io::Result<bool> {
        let mut growth = self.growth.lock();
        let Some(map) = self.map_to_write(file, &growth, len) else { return Ok(false) };
        if len <= growth.reserved {
            return Ok(true);
        }
        let old_len = file.metadata()?.len();
        self.take_space(file, &mut growth, len)?;
        self.make_ready(map, &growth, old_len.min(len), old_len.min(len))?;
        Ok(!growth.refused)
    }

    fn map_to_write(&self, file: &File, growth: &Growth, end: u64) -> Option<&Arc<Map>> {
        if growth.refused || end > self.capacity? {
            return None;
        }
        self.map(file).filter(|map| end <= map.len() as u64)
    }

    fn take_space(&self, file: &File, growth: &mut Growth, to: u64) -> io::Result<()> {
        // The first time from the start: what was there before may have holes.
        let first = growth.reserved == 0;
        if (first && !space::writes_in_place(file)) || !space::allocate(file, growth.reserved, to)? {
            growth.refused = true;
            return Ok(());
        }
        growth.reserved = to;
        self.length.fetch_max(to, Ordering::AcqRel);
        Ok(())
    }

    /// Makes the pages from `offset` to `end`, and some that follow, present.
    fn make_ready(&self, map: &Map, growth: &Growth, offset: u64, end: u64) -> io::Result<()> {
        let from = self.ready.load(Ordering::Acquire).max(offset);
        let window = from.clamp(FIRST_WINDOW, WINDOW);
        let to = from.saturating_add(window).max(end).min(growth.reserved);
        if growth.refused || from >= to {
            return Ok(());
        }
        map.populate(from as usize, (to - from) as usize)?;
        self.ready.store(to, Ordering::Release);
        Ok(())
    }

    /// What lies from `offset` to `end`, out of the map; `None` where there is no map, or the file is not that long.
    pub(super) fn bytes(&self, file: &File, offset: u64, end: u64) -> io::Result<Option<Bytes>> {
        if end > self.length.load(Ordering::Acquire) {
            // Under the lock, lest a length from before a cut be noted after it.
            let _growth = self.growth.lock();
            let len = file.metadata()?.len();
            self.length.store(len, Ordering::Release);
            if end > len {
                return Ok(None);
            }
        }
        let map = self.map(file).filter(|map| end <= map.len() as u64);
        Ok(map.map(|map| Bytes::mapped(map.clone(), offset as usize, end as usize)))
    }

    /// Cuts or lengthens the file.
    pub(super) fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        let mut growth = self.growth.lock();
        // Before the pages are gone. A longer file has a hole at its end, whose space is not taken.
        growth.reserved = growth.reserved.min(len);
        growth.cut = true;
        self.ready.fetch_min(len, Ordering::AcqRel);
        self.length.fetch_min(len, Ordering::AcqRel);
        file.set_len(len)
    }

    fn map(&self, file: &File) -> Option<&Arc<Map>> {
        self.map.get_or_init(|| self.make_map(file).ok().map(Arc::new)).as_ref()
    }

    /// No map is no error: there may be too many, or the file system or a 32-bit process may not have room for it.
    fn make_map(&self, file: &File) -> io::Result<Map> {
        let len = file.metadata()?.len();
        let reach =
            |len: u64| usize::try_from(len.max(1)).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory));
        match self.capacity {
            Some(capacity) => Map::writable(file, reach(capacity.max(len))?, &self.maps),
            None => Map::read_only(file, reach(len)?, &self.maps),
        }
    }
}
