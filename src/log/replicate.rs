//! A log that is one of several copies of a partition: what its leader and its followers do with it, by leader epochs.

use super::{
    Appended, Log,
    aside::remove_derived,
    names::{Kind, segment_file},
    producers::Producers,
    segment::Segment,
};
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    record::{Batch, BatchHeader},
    types::{LeaderEpoch, Offset},
};

impl Log {
    /// This copy is the leader's from now on, in an epoch that begins at its end.
    pub(crate) fn begin_epoch(&mut self, epoch: LeaderEpoch) {
        self.epoch = epoch;
        let end = self.end();
        self.epochs_dirty |= self.epochs.assign(epoch, end);
    }

    /// The leader epoch of the last record; `None` where there is no record.
    pub(crate) fn last_epoch(&self) -> Option<LeaderEpoch> {
        let end = self.end();
        if end > self.log_start { self.epochs.at(end.plus(-1)) } else { None }
    }

    /// Where the copy of a follower, whose last record is of `epoch` and whose log ends at `end`, parts from this one: the
    /// newest epoch that is no newer and that is known here, with the end of its records. `None`: it is a part of this one.
    pub(crate) fn divergence_from(&self, epoch: LeaderEpoch, end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if bugs::is(Bug::SkipDivergence) {
            return None;
        }
        let (known, epoch_end) = self.epochs.newest_until(epoch, self.end())?;
        (known < epoch || epoch_end < end).then_some((known, epoch_end))
    }

    /// Where this log and a leader's part, if the leader says that `epoch` ends at `leader_end`: never by the high
    /// watermark (rule 54).
    pub(crate) fn divergence(&self, epoch: LeaderEpoch, leader_end: Offset) -> Offset {
        let own = self.epochs.end_offset(epoch, self.end()).unwrap_or(self.log_start);
        own.min(leader_end).max(self.log_start)
    }

    /// Appends a batch as the leader has it, at its offset and with its epoch. A log without records may begin in the midst of its first
    /// batch, as the leader's does whose records were deleted up to there; no flush may be under way then.
    ///
    /// # Errors
    /// [`Error::CorruptMessage`] for one that is not the next, or whose bytes are not what was written; the disk's.
    pub(crate) fn append_of_leader(&mut self, bytes: &[u8]) -> Result<Appended> {
        self.check_poison()?;
        let end = self.end();
        let batch = Batch::check(bytes).map_err(|error| self.not_next(end, error.to_string()))?;
        let header = *batch.header();
        if self.begins_within(&header) {
            self.begin_below(header.base_offset)?;
        }
        let end = self.end();
        // An epoch in which this copy led, and took nothing, may be newer than records that it lacks.
        if !bugs::is(Bug::KeepEmptyEpochs) {
            self.epochs.truncate_end(end);
        }
        let (base, epoch) = (header.base_offset, header.leader_epoch);
        let follows = if self.config.gaps { base >= end } else { base == end };
        if !follows || self.epochs.latest().is_some_and(|latest| epoch < latest) {
            let reason = format!("its leader sends offset {} of epoch {epoch}", base.get());
            return Err(self.not_next(end, reason));
        }
        let appended = self.append_placed(batch.bytes(), &header);
        if self.end() < self.log_start {
            // A log that ends before it begins takes nothing more until it is opened anew.
            self.poison = appended.as_ref().err().cloned();
        }
        let appended = appended?;
        if bugs::is(Bug::ForgetDedupWindow) {
            self.producers = Producers::default();
        }
        self.epoch = epoch;
        self.epochs_dirty |= self.epochs.assign(epoch, base);
        Ok(appended)
    }

    /// Goes on at `start`, further up than anything that this copy has: its leader has nothing left of what lies between. The
    /// start is noted; no flush may be under way.
    pub(crate) fn restart_at(&mut self, start: Offset) -> Result<()> {
        if start <= self.end() {
            return Ok(());
        }
        self.truncate(self.log_start)?;
        self.replace_empty(start)?;
        (self.log_start, self.synced) = (start, start);
        self.epochs_dirty = true;
        self.epochs.truncate_end(Offset::ZERO);
        self.reload_producers()
    }

    /// Whether a batch has the record at which this log begins, which has none yet, and others before that.
    fn begins_within(&self, batch: &BatchHeader) -> bool {
        let start = self.log_start;
        let is_empty = self.segments.len() == 1 && self.segments.contains_key(&start) && self.end() == start;
        is_empty && batch.base_offset < start && start < batch.next_offset()
    }

    /// Has a log without records take those from `base` on, though it begins behind that. If it ends before it has them, it is found
    /// without any, and goes on where it begins.
    fn begin_below(&mut self, base: Offset) -> Result<()> {
        self.replace_empty(base)?;
        (self.synced, self.recovery_point) = (self.synced.min(base), self.recovery_point.min(base));
        Ok(())
    }

    /// Puts another segment, of this base, in the place of the only one, which is empty.
    fn replace_empty(&mut self, base: Offset) -> Result<()> {
        let (empty, new) = (self.end(), Segment::create(&*self.storage, &self.config, base)?);
        self.segments.insert(base, Some(new));
        self.storage.remove_file(&segment_file(&self.config.dir, empty, Kind::Log))?;
        remove_derived(&*self.storage, &self.config.dir, empty)?;
        self.segments.remove(&empty);
        self.unflushed.remove(&empty);
        self.dirty_dirs.insert(self.config.dir.clone());
        self.rolls += 1;
        Ok(())
    }

    fn not_next(&self, end: Offset, reason: String) -> Error {
        let (partition, offset) = (self.config.partition.clone(), end.get());
        Error::CorruptMessage { partition, offset, next_offset: offset, reason }
    }
}
