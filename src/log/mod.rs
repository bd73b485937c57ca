//! One partition's log: segments of record batches, the indexes over them, leader epochs, and how they come back
//! after a crash. No locks and no clock: whoever owns a [`Log`] brings both.
//!
//! Invariant, asserted in one place: log start <= durable end <= log end, and recovery point <= synced end.

mod aside;
mod checkpoint;
mod clean;
mod damage;
mod epochs;
mod flush;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod idle;
mod interrupted;
mod load;
mod names;
mod offset_index;
mod producers;
mod progress;
mod read;
mod remains;
mod repair;
mod replicate;
mod retention;
mod salvage;
mod scan;
mod segment;
mod sequences;
mod snapshot;
#[cfg(test)]
mod tests;
mod time_index;
mod transactions;
mod truncate;
mod txn_index;
mod verify;

pub(crate) use checkpoint::{
    CLEANED, HIGH_WATERMARKS, LOG_STARTS, OffsetsByPartition, RECOVERY_POINTS, read_checkpoint,
    write_checkpoint,
};
pub(crate) use clean::{Cleaned, Cleaning, How, KeyHash, Replacement, Step};
pub use damage::Damage;
pub(crate) use epochs::LeaderEpochs;
pub(crate) use flush::{Extent, Flush};
pub(crate) use load::LoadedFrom;
pub(crate) use names::{PARTITION_METADATA, base_of_log};
pub(crate) use progress::bytes_to_scan;
pub(crate) use salvage::{Salvaged, salvage};
pub(crate) use sequences::KnownBatch;

use crate::{
    bugs::{self, Bug},
    config::TopicSettings,
    env::{File, Storage},
    error::{Error, Result},
    record::{BatchHeader, ValidBatch},
    types::{LeaderEpoch, Offset, Timestamp, TopicPartition},
};
use clean::CleanState;
use idle::Idle;
use producers::Producers;
use segment::Segment;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};
use transactions::Transactions;

/// What a log is, before it is opened.
#[derive(Debug, Clone)]
pub(crate) struct LogConfig {
    pub(crate) partition: TopicPartition,
    pub(crate) dir: PathBuf,
    pub(crate) settings: TopicSettings,
    /// Whether offsets may be missing between batches: a cleaner is, or may have been, at work.
    pub(crate) gaps: bool,
    /// Whether that may be so from one segment to the next above the recovery point too: a Kafka cleaned it, or nobody knows
    /// where that point was. Here nothing is cleaned that is not flushed.
    pub(crate) gaps_anywhere: bool,
    /// Whether this is one of several copies: then a controller says in which epoch somebody leads, and an open begins none.
    pub(crate) replicated: bool,
}

/// What an append did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appended {
    /// The batch's base offset.
    pub(crate) base: Offset,
    /// The log's end behind it, exclusive.
    pub(crate) end: Offset,
    /// Whether a segment was closed for it, which a background flush should now make durable.
    pub(crate) rolled: bool,
    /// Whether it is time to [run ahead](Log::ahead) of the appends.
    pub(crate) run_ahead: bool,
}

/// How much is appended until the file is made to run ahead once more, in bytes.
const STRIDE: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Log {
    config: LogConfig,
    storage: Arc<dyn Storage>,
    /// By base offset. `None`: not open, since nobody has asked for it of late. Never empty, and the last one is open.
    segments: BTreeMap<Offset, Option<Segment>>,
    idle: Idle,
    log_start: Offset,
    /// Exclusive: what lies below it was synced, be it above the log's start or below. A start may not last.
    synced: Offset,
    /// Below it, too, indexes and leader epochs are durable: a recovery starts there.
    recovery_point: Offset,
    epochs: LeaderEpochs,
    epoch: LeaderEpoch,
    epochs_dirty: bool,
    /// At the log's end.
    producers: Producers,
    /// Of the segments that were asked for it, by their base offsets.
    transactions: BTreeMap<Offset, Transactions>,
    /// Files with states of the producers that are yet to be written.
    snapshots: BTreeMap<PathBuf, Vec<u8>>,
    /// Directories whose names are not durable.
    dirty_dirs: BTreeSet<PathBuf>,
    /// How many segments were begun.
    rolls: u64,
    /// Segments below the active one that are not durable or whose indexes are not.
    unflushed: BTreeSet<Offset>,
    clean: CleanState,
    /// Set by a flush that failed: what the disk holds is not known any more, until the log is opened anew.
    poison: Option<Error>,
}

impl Log {
    /// Appends a batch, and says where, and whether a segment was closed for it.
    ///
    /// # Errors
    /// [`Error::MessageTooLarge`], [`Error::RecordListTooLarge`], or the disk's. Then nothing is appended.
    pub(crate) fn append(&mut self, batch: &mut ValidBatch<'_>) -> Result<Appended> {
        self.check_append(batch)?;
        let epoch = self.epoch;
        batch.place(active(&mut self.segments)?.end(), epoch);
        self.append_placed(batch.bytes(), batch.header())
    }

    /// Appends a batch that has its offset and its leader epoch.
    #[inline]
    fn append_placed(&mut self, bytes: &[u8], header: &BatchHeader) -> Result<Appended> {
        let interval = self.config.settings.index_interval_bytes;
        let mut active = active(&mut self.segments)?;
        let rolled = !active.has_room(bytes.len(), header, &self.config.settings);
        if rolled {
            self.roll()?;
            active = self::active(&mut self.segments)?;
        }
        let from = active.size();
        active.append(bytes, header, interval)?;
        let run_ahead = from / STRIDE != active.size() / STRIDE;
        if header.producer_id >= 0 {
            self.note_producer(header, bytes);
        }
        Ok(Appended { base: header.base_offset, end: header.next_offset(), rolled, run_ahead })
    }

    pub(crate) fn partition(&self) -> &TopicPartition {
        &self.config.partition
    }

    pub(crate) fn settings(&self) -> &TopicSettings {
        &self.config.settings
    }

    /// Has other settings hold from the next append on, and for what is there: its age, its size.
    pub(crate) fn alter(&mut self, settings: TopicSettings, gaps: bool) {
        self.config.settings = settings;
        self.config.gaps |= gaps;
    }

    /// How many segments were begun behind others since the log was opened.
    pub(crate) fn rolls(&self) -> u64 {
        self.rolls
    }

    /// Whether a flush has failed, so that nothing more is taken.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poison.is_some()
    }

    /// After a flush that failed nobody knows what the disk holds: nothing more is taken.
    fn check_poison(&self) -> Result<()> {
        self.poison.clone().map_or(Ok(()), Err)
    }

    fn check_append(&self, batch: &ValidBatch<'_>) -> Result<()> {
        self.check_poison()?;
        let (size, settings) = (batch.bytes().len(), &self.config.settings);
        if size > settings.max_message_bytes {
            return Err(Error::MessageTooLarge { size, limit: settings.max_message_bytes });
        }
        if size > settings.segment_bytes as usize {
            return Err(Error::RecordListTooLarge { size, limit: settings.segment_bytes as usize });
        }
        Ok(())
    }

    /// Closes the active segment and begins another at the log's end. On an error the log goes on in the old one.
    fn roll(&mut self) -> Result<()> {
        let active = active(&mut self.segments)?;
        active.trim()?;
        active.note_largest_timestamp();
        let (old, end) = (active.base(), active.end());
        let new = Segment::create(&*self.storage, &self.config, end)?;
        self.rolls += 1;
        self.unflushed.insert(old);
        self.dirty_dirs.insert(self.config.dir.clone());
        self.segments.insert(end, Some(new));
        self.idle.touch(old);
        self.take_snapshot();
        Ok(())
    }

    pub(crate) fn has_segment(&self, base: Offset) -> bool {
        self.segments.contains_key(&base)
    }

    /// The file that is appended to, and where: what runs ahead of the appends needs no lock on the log.
    pub(crate) fn ahead(&self) -> Option<(Arc<dyn File>, u64)> {
        self.last_segment().map(|active| (Arc::clone(active.file()), active.size()))
    }

    fn last_segment(&self) -> Option<&Segment> {
        self.segments.last_key_value().and_then(|(_, segment)| segment.as_ref())
    }

    /// The offset of the next record, exclusive end of the log.
    pub(crate) fn end(&self) -> Offset {
        self.last_segment().map_or(self.log_start, Segment::end)
    }

    pub(crate) fn start(&self) -> Offset {
        self.log_start
    }

    /// Exclusive: what lies below it survives a power cut, or is removed.
    pub(crate) fn durable(&self) -> Offset {
        self.synced.max(self.log_start)
    }

    /// Exclusive: what lies below it was synced, and survives a power cut even if the log's start does not.
    pub(crate) fn synced(&self) -> Offset {
        self.synced
    }

    /// Where a recovery would start.
    pub(crate) fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    pub(crate) fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Where the records of `epoch` end. (KIP-320)
    pub(crate) fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<Offset> {
        self.epochs.end_offset(epoch, self.end())
    }

    /// Whether a flush has anything to do, or to say.
    pub(crate) fn is_dirty(&self) -> bool {
        let behind = self.recovery_point < self.end() || self.epochs_dirty || !self.dirty_dirs.is_empty();
        let is_rebuilt = |base: &Offset| {
            self.segments.get(base).is_some_and(|s| s.as_ref().is_some_and(Segment::is_rebuilt))
        };
        behind || self.poison.is_some() || self.unflushed.iter().any(is_rebuilt)
    }

    /// The first record, at or beyond the log's start, with a timestamp of `timestamp` or later.
    pub(crate) fn find_time(&mut self, timestamp: Timestamp) -> Result<Option<Offset>> {
        let interval = self.config.settings.index_interval_bytes;
        let log_start = self.log_start;
        let first = self.segment_of(log_start).unwrap_or(log_start);
        let bases: Vec<Offset> = self.segments.range(first..).map(|(base, _)| *base).collect();
        for base in bases {
            if self.largest_of_closed(base).is_some_and(|largest| largest < timestamp.as_millis()) {
                continue;
            }
            let found = self.segment(base)?.find_time(timestamp.as_millis(), log_start, interval)?;
            self.note_rebuilt(base);
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn out_of_range(&self, offset: Offset) -> Error {
        Error::OffsetOutOfRange {
            partition: self.config.partition.clone(),
            offset: offset.get(),
            log_start_offset: self.log_start.get(),
            log_end_offset: self.end().get(),
        }
    }

    fn segment_of(&self, offset: Offset) -> Option<Offset> {
        self.segments.range(..=offset).next_back().map(|(base, _)| *base)
    }

    /// Notes what a flush has to sync. A log whose flush failed before gives that failure again.
    pub(crate) fn begin_flush(&mut self, extent: Extent) -> Result<Flush> {
        self.check_poison()?;
        let everything = extent == Extent::Everything;
        if everything {
            self.derive_transactions()?;
        }
        let active = self.segments.last_key_value().map(|(base, _)| *base);
        let touched = self.unflushed.iter().copied().chain(active);
        let segments: Vec<&Segment> = touched.filter_map(|base| self.segments.get(&base)?.as_ref()).collect();
        let indexed = segments.iter().filter(|_| everything);
        let synced = || segments.iter().filter(|s| everything || s.end() > self.synced);
        let unsure = |s: &&Segment| s.unsure().map(|(from, to)| (Arc::clone(s.file()), from, to));
        Ok(Flush {
            extent,
            up_to: self.end(),
            active,
            rolls: self.rolls,
            files: synced().map(|s| Arc::clone(s.file())).collect(),
            unsure: synced().filter_map(unsure).collect(),
            indexes: indexed.map(|segment| (segment.base(), segment.unpersisted())).collect(),
            epochs: (everything && self.epochs_dirty)
                .then(|| (self.config.dir.join(names::LEADER_EPOCHS), self.epochs.to_text())),
            txn_indexes: if everything { self.txn_index_files() } else { Vec::new() },
            snapshots: if everything { self.snapshots.clone() } else { BTreeMap::new() },
            dirs: self.dirty_dirs.iter().rev().cloned().collect(),
        })
    }

    /// Notes what became of a flush. A failed one poisons the log: what the disk holds is not known any more.
    pub(crate) fn end_flush(&mut self, flush: &Flush, result: Result<()>) -> Result<()> {
        if let Err(error) = result {
            self.poison = Some(error.clone()).filter(|_| !bugs::is(Bug::ForgetFailedFlush));
            return Err(error);
        }
        self.synced = self.synced.max(flush.up_to);
        if !flush.unsure.is_empty() {
            // Nothing becomes unsure while a log is open.
            self.segments.values_mut().flatten().for_each(Segment::trust);
        }
        // What an append did while the disk worked is for the next flush: a segment that was closed meanwhile was noted
        // as the active one, with the records of then, and a name may have come after the sync of its directory.
        if flush.rolls == self.rolls {
            self.dirty_dirs.retain(|dir| !flush.dirs.contains(dir));
        }
        if flush.extent == Extent::Everything {
            for (base, update) in &flush.indexes {
                if let Some(Some(segment)) = self.segments.get_mut(base) {
                    segment.persisted(update);
                }
            }
            let flushed = |base: &Offset| flush.indexes.iter().any(|(flushed, _)| flushed == base);
            self.unflushed.retain(|base| !flushed(base) || Some(*base) >= flush.active);
            self.epochs_dirty &= flush.epochs.as_ref().is_none_or(|(_, text)| *text != self.epochs.to_text());
            self.transactions_persisted(&flush.txn_indexes);
            self.snapshots.retain(|path, bytes| flush.snapshots.get(path) != Some(bytes));
            self.recovery_point = self.recovery_point.max(flush.up_to);
            self.close_idle();
        }
        self.check();
        Ok(())
    }

    fn check(&self) {
        assert!(
            self.log_start <= self.durable() && self.durable() <= self.end(),
            "durable end outside the log: {self:?}"
        );
        assert!(self.recovery_point <= self.synced, "recovery point beyond the synced end: {self:?}");
    }

    /// Cuts what is reserved off the active segment, and notes its largest timestamp: before the last flush. Where no flush
    /// can come any more the files stay as they are: what is cut now would be back after a power cut.
    pub(crate) fn prepare_close(&mut self) -> Result<()> {
        self.check_poison()?;
        let active = active(&mut self.segments)?;
        active.note_largest_timestamp();
        active.trim()?;
        self.take_snapshot();
        Ok(())
    }
}

/// The segment that is appended to.
#[inline]
fn active(segments: &mut BTreeMap<Offset, Option<Segment>>) -> Result<&mut Segment> {
    let last = segments.last_entry().and_then(|entry| entry.into_mut().as_mut());
    last.ok_or_else(|| Error::IllegalState("a log without an active segment".to_owned()))
}
