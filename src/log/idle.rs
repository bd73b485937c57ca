//! Which segments are open. Each takes a file handle and its indexes in memory, and a log may have thousands: of those that
//! nobody appends to and no flush is to come for, only the ones that were used last stay open.

use super::{
    Log,
    names::{Kind, segment_file},
};
use crate::{env::Open, error::Result, types::Offset};
use std::collections::BTreeMap;

/// How many segments a log keeps open that need not be.
const MAX_IDLE: usize = 8;

/// What tells which segments to close, and what is kept of those that are.
#[derive(Debug, Default)]
pub(super) struct Idle {
    /// The open ones that somebody has asked for, or that were rolled or recovered; the one used last is the last.
    used: Vec<Offset>,
    /// Of those that were closed after their times had been checked against the log.
    times: BTreeMap<Offset, KnownTimes>,
    /// The bytes of the logs of those that are not open, where somebody has asked.
    sizes: BTreeMap<Offset, u64>,
}

/// What a segment's time index said when it was known to be the log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownTimes {
    /// The largest timestamp; negative if no record has one.
    pub(super) largest: i64,
    /// Of its entries.
    pub(super) checksum: u32,
}

impl Idle {
    /// Notes that the segment `base` is in use.
    pub(super) fn touch(&mut self, base: Offset) {
        if self.used.last() != Some(&base) {
            self.used.retain(|used| *used != base);
            self.used.push(base);
        }
    }

    /// What was known of the times of a segment when it was closed.
    pub(super) fn times(&self, base: Offset) -> Option<KnownTimes> {
        self.times.get(&base).copied()
    }

    /// A segment is closed: what is known of it is kept.
    pub(super) fn keep(&mut self, base: Offset, segment: &super::segment::Segment) {
        self.times.extend(segment.known_times().map(|known| (base, known)));
        self.sizes.insert(base, segment.size());
    }

    /// A segment is no more.
    pub(super) fn forget(&mut self, base: Offset) {
        self.times.remove(&base);
        self.sizes.remove(&base);
    }

    /// Segments may be others than they were.
    pub(super) fn forget_closed(&mut self) {
        self.times.clear();
        self.sizes.clear();
    }
}

impl Log {
    /// Closes the segments that were not used for longest, where more are open than need be.
    pub(super) fn close_idle(&mut self) {
        let active = self.segments.keys().next_back().copied();
        let segments = &self.segments;
        self.idle.used.retain(|base| matches!(segments.get(base), Some(Some(_))));
        let may_close = |base: &&Offset| Some(**base) != active && !self.unflushed.contains(base);
        let idle: Vec<Offset> = self.idle.used.iter().filter(may_close).copied().collect();
        let most = idle.len().saturating_sub(MAX_IDLE);
        for base in idle.into_iter().take(most) {
            let closed = self.segments.insert(base, None).flatten();
            self.idle
                .times
                .extend(closed.and_then(|segment| segment.known_times()).map(|known| (base, known)));
        }
    }

    /// The bytes of a segment's log. Of one that is not open, which is cut to its batches, the file's: asked once.
    pub(super) fn bytes_of(&mut self, base: Offset) -> Result<u64> {
        if let Some(Some(segment)) = self.segments.get(&base) {
            return Ok(segment.size());
        }
        if let Some(known) = self.idle.sizes.get(&base) {
            return Ok(*known);
        }
        let file = self.storage.open(&segment_file(&self.config.dir, base, Kind::Log), Open::Read)?;
        let len = file.len()?;
        self.idle.sizes.insert(base, len);
        Ok(len)
    }

    /// The bytes of some segments' logs, in order.
    pub(super) fn sizes(&mut self, from: Offset) -> impl Iterator<Item = Result<u64>> {
        let bases: Vec<Offset> = self.segments.range(from..).map(|(base, _)| *base).collect();
        bases.into_iter().map(|base| self.bytes_of(base))
    }

    /// How many segments there are, and the bytes of their logs together.
    pub(crate) fn size(&mut self) -> Result<(usize, u64)> {
        let bytes = self.sizes(Offset::ZERO).sum::<Result<u64>>()?;
        Ok((self.segments.len(), bytes))
    }

    /// As `size`; what cannot be told counts as nothing.
    pub(crate) fn size_as_known(&mut self) -> (usize, u64) {
        let bytes = self.sizes(Offset::ZERO).map(Result::unwrap_or_default).sum();
        (self.segments.len(), bytes)
    }

    /// The largest timestamp of a segment that is not open, if it is known; negative if no record has one.
    pub(super) fn largest_of_closed(&self, base: Offset) -> Option<i64> {
        let closed = matches!(self.segments.get(&base), Some(None));
        self.idle.times(base).filter(|_| closed).map(|known| known.largest)
    }

    /// Has the next flush write the indexes of a segment that turned out not to be its log's.
    pub(super) fn note_rebuilt(&mut self, base: Offset) {
        if matches!(self.segments.get(&base), Some(Some(segment)) if segment.is_rebuilt()) {
            self.unflushed.insert(base);
        }
    }
}
