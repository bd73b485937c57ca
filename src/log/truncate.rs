//! Cutting a log's end off, as a follower does whose leader has other records there.
//!
//! What was handed out never changes: the segment that is cut is copied, up to the cut, to a new file that takes its
//! name. The broker notes a recovery point at or below the cut before, so that a crash on the way leaves a longer log,
//! and no damage.

use super::{
    Log, active,
    aside::{copy_part, remove_derived},
    interrupted::CLEANED,
    names::{Kind, segment_file, unplaced_log},
    segment::Segment,
};
use crate::{
    bugs::{self, Bug},
    env::Open,
    error::Result,
    types::Offset,
};

impl Log {
    /// Says that a recovery is to begin where the segment of `to` does, or below, before the log is truncated there: where
    /// it will end is not known yet, since a batch around `to` goes as a whole. Gives the point to note.
    pub(crate) fn lower_recovery_point(&mut self, to: Offset) -> Offset {
        let lower = self.segment_of(to).unwrap_or(to);
        // What comes to lie there next is not cleaned.
        self.clean.to = self.clean.to.min(lower);
        if !bugs::is(Bug::KeepRecoveryPoint) {
            self.recovery_point = self.recovery_point.min(lower);
        }
        self.recovery_point
    }

    /// Cuts off all batches that reach to `to` or beyond; a batch around it goes as a whole. No flush may be under way, and
    /// the recovery point is noted. If nothing is left at the log's start or behind it, the log goes on there; if `to` lies
    /// below, which is noted too, the log begins and goes on at `to`.
    ///
    /// # Errors
    /// The disk's. Then nobody knows where the log ends, and it takes no records until it is opened anew.
    pub(crate) fn truncate(&mut self, to: Offset) -> Result<()> {
        if to >= self.end() {
            return Ok(());
        }
        let done = self.cut_end(to);
        if let Err(error) = &done
            && !bugs::is(Bug::GoOnAfterFailedTruncation)
        {
            self.poison = Some(error.clone());
            self.synced = self.synced.min(to).min(self.end());
            self.recovery_point = self.recovery_point.min(self.synced);
        }
        done
    }

    fn cut_end(&mut self, to: Offset) -> Result<()> {
        self.clean.cut(to);
        self.idle.forget_closed();
        let interval = self.config.settings.index_interval_bytes;
        let base = self.segment_of(to).unwrap_or(to);
        let (mut position, mut first) = (0, None);
        if self.segments.contains_key(&base) {
            let segment = self.segment(base)?;
            let found = segment.locate(to, interval)?;
            // A cleaner may have left nothing of what lies there.
            position = found.map_or(segment.size(), |found| found.position);
            first = found.map(|found| found.header.base_offset);
        }
        // Of a batch around the log's start nothing is left if it goes.
        let all = to < self.log_start || first.is_some_and(|first| first < self.log_start);
        let kept = Some(base).filter(|base| !all && self.segments.contains_key(base));
        // The youngest first: what a crash leaves has no hole.
        let gone = self.segments.keys().rev().copied().filter(|segment| all || *segment > base);
        for later in gone.collect::<Vec<_>>() {
            self.storage.remove_file(&segment_file(&self.config.dir, later, Kind::Log))?;
            remove_derived(&*self.storage, &self.config.dir, later)?;
            self.segments.remove(&later);
            self.unflushed.remove(&later);
        }
        self.storage.sync_dir(&self.config.dir)?;
        if let Some(base) = kept {
            self.rewrite(base, position)?;
        }
        self.log_start = self.log_start.min(to);
        self.end_truncation()
    }

    /// Has the first `len` bytes of a segment in a file of their own, which is the one to append to.
    fn rewrite(&mut self, base: Offset, len: u64) -> Result<()> {
        let interval = self.config.settings.index_interval_bytes;
        let path = segment_file(&self.config.dir, base, Kind::Log);
        let copy = unplaced_log(&self.config.dir, base, CLEANED);
        let file = std::sync::Arc::clone(self.segment(base)?.file());
        self.storage.remove_file(&copy)?;
        copy_part(&*self.storage, &*file, 0, len, &copy)?;
        self.storage.rename(&copy, &path)?;
        remove_derived(&*self.storage, &self.config.dir, base)?;
        self.storage.sync_dir(&self.config.dir)?;
        let capacity = u64::from(self.config.settings.segment_bytes);
        let how = Open::Append { capacity };
        let mut segment = Segment::open(&*self.storage, &self.config, base, how, Offset::new(i64::MAX))?;
        let scan = segment.scan(interval)?;
        if let Some(why) = scan.bad {
            return Err(self.damaged(path, segment.end(), &why));
        }
        self.unflushed.insert(base);
        self.segments.insert(base, Some(segment));
        Ok(())
    }

    fn end_truncation(&mut self) -> Result<()> {
        if self.segments.is_empty() {
            let start = self.log_start;
            let segment = Segment::create(&*self.storage, &self.config, start)?;
            self.segments.insert(start, Some(segment));
            self.dirty_dirs.insert(self.config.dir.clone());
        }
        active(&mut self.segments)?;
        let end = self.end();
        self.rolls += 1;
        self.epochs.truncate_end(end);
        self.epochs_dirty = true;
        self.synced = self.synced.min(end);
        self.recovery_point = self.recovery_point.min(end);
        self.reload_producers()?;
        self.check();
        Ok(())
    }
}
