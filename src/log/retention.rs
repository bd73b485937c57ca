//! Where a log begins, and how that moves up: by age, by size, and because somebody asks for it.
//!
//! A start moves in steps, so that a crash between any two loses nothing but time: it is moved in memory, noted
//! durably by the broker, then whole segments below it are renamed, and removed later.

use super::{Log, Segment, interrupted::DELETED, names::LEADER_EPOCHS};
use crate::{
    bugs::{self, Bug},
    error::Result,
    types::{Offset, Timestamp, millis},
};
use std::{path::PathBuf, time::Duration};

impl Log {
    /// Where the log should begin by its topic's retention, if that is further up: a prefix of segments that lie wholly
    /// below `high_watermark`. Where every one of them has expired, another is begun at the log's end (rules 36 to 38).
    pub(crate) fn retention_start(
        &mut self,
        now: Timestamp,
        high_watermark: Offset,
    ) -> Result<Option<Offset>> {
        if !self.config.settings.cleanup_policy.deletes() {
            return Ok(None);
        }
        let by_time = self.expired_before(now, high_watermark)?;
        let start = self.oversized_before(by_time.unwrap_or(self.log_start), high_watermark)?.or(by_time);
        if start.is_some_and(|start| start == self.end()) && self.last_segment().is_some_and(|s| s.size() > 0)
        {
            self.roll()?;
        }
        Ok(start.filter(|start| *start > self.log_start))
    }

    /// The segments that may go, oldest first, each with the offset behind it: where the next one begins.
    fn removable(&self, from: Offset, high_watermark: Offset) -> Vec<(Offset, Offset)> {
        let bases = self.segments.keys().copied();
        let ends = self.segments.keys().copied().skip(1).chain([self.end()]);
        let wanted = |(base, end): &(Offset, Offset)| *end > from && *end <= high_watermark && base < end;
        bases.zip(ends).filter(wanted).collect()
    }

    fn expired_before(&mut self, now: Timestamp, high_watermark: Offset) -> Result<Option<Offset>> {
        let keep = self.config.settings.retention_time;
        if keep == Duration::MAX {
            return Ok(None);
        }
        let mut start = None;
        for (base, end) in self.removable(self.log_start, high_watermark) {
            match self.youngest(base)? {
                Some(youngest) if now.as_millis().saturating_sub(youngest.as_millis()) > millis(keep) => {}
                _ => break,
            }
            start = Some(end);
        }
        Ok(start)
    }

    /// The largest timestamp of a segment, as the log itself says it; that of the file where no record has one.
    fn youngest(&mut self, base: Offset) -> Result<Option<Timestamp>> {
        if let Some(known) = self.largest_of_closed(base).filter(|largest| *largest >= 0) {
            return Ok(Some(Timestamp::from_millis(known)));
        }
        let interval = self.config.settings.index_interval_bytes;
        let youngest = self.segment(base)?.largest_timestamp(interval)?;
        self.note_rebuilt(base);
        Ok(youngest)
    }

    fn oversized_before(&mut self, from: Offset, high_watermark: Offset) -> Result<Option<Offset>> {
        let Some(keep) = self.config.settings.retention_bytes else { return Ok(None) };
        let mut excess = self.size_from(from)?.saturating_sub(keep);
        let mut start = None;
        for (base, end) in self.removable(from, high_watermark) {
            let size = self.bytes_of(base)?;
            if size > excess {
                break;
            }
            excess -= size;
            start = Some(end);
        }
        Ok(start)
    }

    /// The bytes of the segments that reach beyond `from`.
    fn size_from(&mut self, from: Offset) -> Result<u64> {
        let first = self.segment_of(from).unwrap_or(from);
        self.sizes(first).sum()
    }

    /// Moves the log's start up to `to`, for this process. Lower down it does not go. The leader epochs begin there, too:
    /// theirs is the second file that says so.
    ///
    /// # Errors
    /// `OffsetOutOfRange` beyond the log's end.
    pub(crate) fn move_start(&mut self, to: Offset) -> Result<()> {
        if to > self.end() {
            return Err(self.out_of_range(to));
        }
        if to <= self.log_start {
            return Ok(());
        }
        self.log_start = to;
        self.epochs_dirty |= self.epochs.truncate_start(to);
        if bugs::is(Bug::CallRemovedDurable) {
            self.synced = self.synced.max(self.log_start);
        }
        self.check();
        Ok(())
    }

    /// The segments wholly below the log's start.
    pub(crate) fn below_start(&self) -> Vec<Offset> {
        let first = self.segment_of(self.log_start).unwrap_or_default();
        self.segments.range(..first).map(|(base, _)| *base).collect()
    }

    /// Takes the segments wholly below the log's start out of the log, and gives the files that are to be removed, under
    /// the names that they have now. The start must be durable; no flush may be under way.
    pub(crate) fn drop_below_start(&mut self) -> Result<Vec<PathBuf>> {
        let below = self.below_start();
        if below.is_empty() {
            return Ok(Vec::new());
        }
        self.rename_deleted(&below)
    }

    /// The leader-epoch checkpoint that is to be written, if it is. No flush may be under way until it is.
    pub(crate) fn unwritten_epochs(&self) -> Option<(PathBuf, String)> {
        self.epochs_dirty.then(|| (self.config.dir.join(LEADER_EPOCHS), self.epochs.to_text()))
    }

    /// Says that the leader epochs were written as `text`.
    pub(crate) fn epochs_written(&mut self, text: &str) {
        self.epochs_dirty &= *text != *self.epochs.to_text();
    }

    /// Takes segments out of the log, oldest first, so that what is left has no hole after a crash.
    fn rename_deleted(&mut self, bases: &[Offset]) -> Result<Vec<PathBuf>> {
        let dir = self.config.dir.clone();
        let there = self.storage.list(&dir)?.unwrap_or_default();
        let mut renamed = Vec::new();
        for base in bases {
            let prefix = format!("{:020}.", base.get());
            let of_segment = |name: &str| name.starts_with(&prefix) && !name.ends_with(DELETED);
            for entry in there.iter().filter(|entry| of_segment(&entry.name)) {
                let to = dir.join(format!("{}{DELETED}", entry.name));
                self.storage.rename(&dir.join(&entry.name), &to)?;
                renamed.push(to);
            }
            self.segments.remove(base);
            self.idle.forget(*base);
            self.unflushed.remove(base);
            self.dirty_dirs.insert(dir.clone());
        }
        Ok(renamed)
    }
}

impl Segment {
    /// The largest timestamp, checked once against the log; the file's own where no record has one.
    fn largest_timestamp(&mut self, interval: u32) -> Result<Option<Timestamp>> {
        self.check_times(interval)?;
        match self.largest().0 {
            none if none < 0 => self.file().modified(),
            largest => Ok(Some(Timestamp::from_millis(largest))),
        }
    }
}
