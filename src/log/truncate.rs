//! Cutting a log's end off, as a follower does whose leader has other records there.
//!
//! What was handed out never changes: the segment that is cut is copied, up to the cut, to a new file that takes its
//! name. The broker notes a recovery point at or below the cut before, so that a crash on the way leaves a longer log,
//! and no damage.

use super::{
    Log, active,
    aside::{copy_part, remove_derived},
    interrupted::CLEANED,
    names::{Kind, segment_file},
    segment::Segment,
};
use crate::{
    env::Open,
    error::Result,
    types::{LeaderEpoch, Offset},
};

#[cfg_attr(not(test), expect(dead_code, reason = "followers will truncate"))]
impl Log {
    /// Where this log and a leader's part, if the leader says that `epoch` ends at `leader_end`: never by the high
    /// watermark (rule 54).
    pub(crate) fn divergence(&self, epoch: LeaderEpoch, leader_end: Offset) -> Offset {
        let own = self.epochs.end_offset(epoch, self.end()).unwrap_or(self.log_start);
        own.min(leader_end).max(self.log_start)
    }

    /// Says that a recovery is to begin at `to` or below, before the log is truncated there. Gives the point to note.
    pub(crate) fn lower_recovery_point(&mut self, to: Offset) -> Offset {
        self.recovery_point = self.recovery_point.min(to);
        self.recovery_point
    }

    /// Cuts off all batches that reach to `to` or beyond; a batch around it goes as a whole. No flush may be under way, and
    /// the recovery point is noted. Below the log's start nothing is left, and the log goes on at `to`.
    pub(crate) fn truncate(&mut self, to: Offset) -> Result<()> {
        if to >= self.end() {
            return Ok(());
        }
        let interval = self.config.settings.index_interval_bytes;
        let base = self.segment_of(to).unwrap_or(to);
        let cut = match self.segments.contains_key(&base) {
            true => self.segment(base)?.locate(to, interval)?.map_or(0, |found| found.position),
            false => 0,
        };
        // The youngest first: what a crash leaves has no hole.
        let behind: Vec<Offset> = self.segments.range(base.plus(1)..).rev().map(|(base, _)| *base).collect();
        for later in behind {
            self.storage.remove_file(&segment_file(&self.config.dir, later, Kind::Log))?;
            remove_derived(&*self.storage, &self.config.dir, later)?;
            self.segments.remove(&later);
            self.unflushed.remove(&later);
        }
        self.storage.sync_dir(&self.config.dir)?;
        if self.segments.contains_key(&base) {
            self.rewrite(base, cut)?;
        }
        if to < self.log_start {
            self.log_start = to;
        }
        self.end_truncation(to)
    }

    /// Has the first `len` bytes of a segment in a file of their own, which is the one to append to.
    fn rewrite(&mut self, base: Offset, len: u64) -> Result<()> {
        let interval = self.config.settings.index_interval_bytes;
        let path = segment_file(&self.config.dir, base, Kind::Log);
        let mut copy = path.clone().into_os_string();
        copy.push(CLEANED);
        let file = std::sync::Arc::clone(self.segment(base)?.file());
        self.storage.remove_file(copy.as_ref())?;
        copy_part(&*self.storage, &*file, 0, len, copy.as_ref())?;
        self.storage.rename(copy.as_ref(), &path)?;
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

    fn end_truncation(&mut self, to: Offset) -> Result<()> {
        if self.segments.is_empty() {
            let segment = Segment::create(&*self.storage, &self.config, to)?;
            self.segments.insert(to, Some(segment));
            self.dirty_dirs.insert(self.config.dir.clone());
        }
        active(&mut self.segments)?;
        let end = self.end();
        self.rolls += 1;
        self.epochs.truncate_end(end);
        self.epochs_dirty = true;
        self.durable = self.durable.min(end).max(self.log_start);
        self.recovery_point = self.recovery_point.min(end);
        self.reload_producers()?;
        self.check();
        Ok(())
    }
}
