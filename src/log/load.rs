//! Opening a log: after a clean close by its checkpoint, after a crash by reading on from the recovery point.
//!
//! Two regions. Below the recovery point everything was made durable, so whatever is missing or bad there is damage
//! and an error. At or above it the first thing that is not the next batch ends the log, whatever follows: pages
//! reach a disk in any order. What is cut is kept aside in files that no loader reads.

use super::{
    LeaderEpochs, Log, LogConfig,
    clean::CleanState,
    idle::Idle,
    interrupted::finish_replacements,
    names::{LEADER_EPOCHS, base_of_log},
    producers::Producers,
    segment::Segment,
};
use crate::{
    bugs::{self, Bug},
    env::{File, Open, Storage, replace_file},
    error::{Error, Result},
    types::{Durability, LeaderEpoch, Offset},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

/// What the broker's own files say of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoadedFrom {
    /// It was made just now: there is nothing to load.
    New,
    /// It was closed, with this end.
    CleanClose(Offset),
    /// It was not closed; all below this offset was made durable.
    Crash(Offset),
}

impl LoadedFrom {
    /// Where the log ends at least.
    pub(super) fn end(self) -> Offset {
        match self {
            Self::New => Offset::ZERO,
            Self::CleanClose(end) | Self::Crash(end) => end,
        }
    }

    /// From where on bytes may be any, since nobody has made them durable; `None`: nowhere.
    pub(super) fn unsure_from(self) -> Option<Offset> {
        match self {
            Self::Crash(point) => Some(point),
            Self::New | Self::CleanClose(_) => None,
        }
    }
}

/// What opening a log found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    pub(crate) bytes_scanned: u64,
    /// Bytes that were cut, up to the last that was not zero. They are kept aside.
    pub(crate) bytes_cut: u64,
    /// Whether a whole batch with a right checksum was among them.
    pub(crate) good_batches_cut: bool,
    /// The files that they are in now.
    pub(crate) kept_aside: Vec<PathBuf>,
    /// How many segments' indexes were not their logs'.
    pub(crate) indexes_rebuilt: u32,
}

impl Log {
    /// Opens a log, or makes it where there is none. `start` is what the broker noted of where it begins; `None` if nobody
    /// has, so that its first segment tells.
    pub(crate) fn open(
        storage: &Arc<dyn Storage>,
        config: LogConfig,
        from: LoadedFrom,
        start: Option<Offset>,
    ) -> Result<(Self, Recovered)> {
        Self::open_telling(storage, config, (from, start), &mut |_| {})
    }

    /// As `open`; says now and then how many bytes were read.
    pub(crate) fn open_telling(
        storage: &Arc<dyn Storage>,
        config: LogConfig,
        (from, start): (LoadedFrom, Option<Offset>),
        tell: &mut dyn FnMut(u64),
    ) -> Result<(Self, Recovered)> {
        let mut log = Self {
            storage: Arc::clone(storage),
            segments: BTreeMap::new(),
            idle: Idle::default(),
            log_start: Offset::ZERO,
            synced: Offset::ZERO,
            recovery_point: Offset::ZERO,
            epochs: LeaderEpochs::default(),
            epoch: LeaderEpoch::default(),
            epochs_dirty: false,
            producers: Producers::default(),
            transactions: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            dirty_dirs: BTreeSet::new(),
            rolls: 0,
            unflushed: BTreeSet::new(),
            clean: CleanState::default(),
            poison: None,
            config,
        };
        log.find_segments()?;
        let mut recovered = Recovered::default();
        let epochs_known = log.load_epochs()?;
        let newest = log.epochs.latest();
        log.find_start(from, start, &mut recovered)?;
        match from {
            LoadedFrom::New => log.begin(),
            LoadedFrom::CleanClose(end) => log.load_closed(end, &mut recovered)?,
            LoadedFrom::Crash(recovery_point) => log.recover(recovery_point, &mut recovered, tell)?,
        }
        log.ensure_active_segment(&mut recovered)?;
        if !epochs_known && from != LoadedFrom::New {
            log.find_epochs()?;
        }
        if from != LoadedFrom::New {
            log.load_producers()?;
        }
        if let LoadedFrom::Crash(_) = from {
            log.take_snapshot();
        }
        log.lead(from, newest)?;
        Ok((log, recovered))
    }

    /// Takes up a log without anything in it: its directory's own name may not be durable yet.
    fn begin(&mut self) {
        let dir = self.config.dir.as_path();
        self.dirty_dirs = [Some(dir), dir.parent()].into_iter().flatten().map(Into::into).collect();
    }

    fn find_segments(&mut self) -> Result<()> {
        let dir = &self.config.dir;
        let entries = match self.storage.list(dir)? {
            Some(entries) => finish_replacements(&*self.storage, dir, entries)?,
            None => {
                self.storage.create_dir(dir)?;
                Vec::new()
            }
        };
        let logs = entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| base_of_log(&entry.name));
        self.segments = logs.map(|base| (base, None)).collect();
        Ok(())
    }

    /// Where the log begins: where the broker noted it, else where its first segment does. A first segment that begins
    /// later was lost, unless the leader epochs begin no earlier: a Kafka that had the directory meanwhile moves them with
    /// the log's start, and notes the start late, or not at all where the first segment tells. (Where nothing is known to
    /// be durable it may never have been.)
    fn find_start(
        &mut self,
        from: LoadedFrom,
        noted: Option<Offset>,
        recovered: &mut Recovered,
    ) -> Result<()> {
        let first = self.segments.keys().next().copied();
        let noted = noted.or(first).unwrap_or_default();
        let moved =
            first.filter(|first| *first > noted && self.epochs.start().is_some_and(|start| start >= *first));
        let start = moved.unwrap_or(noted);
        self.log_start = start;
        let kept = self.segment_of(start).unwrap_or(start);
        let below: Vec<Offset> = self.segments.range(..kept).map(|(base, _)| *base).collect();
        // What was about to be removed when it ended. But a checkpoint has no checksum: only if two files say that the log
        // begins there is it so.
        if self.epochs.start() == Some(start) {
            below.into_iter().rev().try_for_each(|base| self.remove(base))?;
        } else {
            below.into_iter().try_for_each(|base| self.set_aside(base, recovered))?;
        }
        match (first, from) {
            (Some(first), LoadedFrom::CleanClose(durable) | LoadedFrom::Crash(durable))
                if first > start && durable > start =>
            {
                Err(self.missing(start))
            }
            _ => Ok(()),
        }
    }

    /// Leader epochs are derived: a checkpoint that is not one counts as none, and is written anew.
    fn load_epochs(&mut self) -> Result<bool> {
        let parsed = LeaderEpochs::load(&*self.storage, &self.config.dir)?;
        self.epochs_dirty = parsed.is_none();
        self.epochs = parsed.unwrap_or_default();
        Ok(!self.epochs_dirty)
    }

    /// Reads the leader epochs from the batches themselves: where one of them is damaged nothing tells what they were.
    fn find_epochs(&mut self) -> Result<()> {
        self.epochs = LeaderEpochs::default();
        let interval = self.config.settings.index_interval_bytes;
        for base in self.segments.keys() {
            let mut whole = Segment::open(&*self.storage, &self.config, *base, Open::Read, *base)?;
            let scan = whole.scan(interval)?;
            for (epoch, start) in scan.epochs {
                if self.epochs.latest().is_some_and(|latest| epoch < latest) {
                    return Err(self.damage(whole.file(), start, "its leader epoch goes back"));
                }
                self.epochs.assign(epoch, start);
            }
            if let Some(why) = scan.bad {
                return Err(self.damage(whole.file(), whole.end(), &why));
            }
        }
        Ok(())
    }

    /// Takes up a log that was closed at `end`. Only the end of its last segment is read.
    fn load_closed(&mut self, end: Offset, recovered: &mut Recovered) -> Result<()> {
        let interval = self.config.settings.index_interval_bytes;
        let Some(base) = self.segments.keys().next_back().copied() else {
            self.begin();
            return if end == self.log_start { Ok(()) } else { Err(self.missing(self.log_start)) };
        };
        let mut segment = self.open_segment(base, Offset::new(i64::MAX))?;
        let scan = segment.scan(interval)?;
        if self.log_start > end {
            let why =
                format!("the log begins at offset {}, as noted, and was closed at {end}", self.log_start);
            return Err(self.damage(segment.file(), end, &why));
        }
        if segment.end() != end || scan.bad.is_some() {
            let ends = format!("the log ends at offset {} and was closed at {end}", segment.end());
            return Err(self.damage(segment.file(), segment.end(), &scan.bad.unwrap_or(ends)));
        }
        if !self.epochs_dirty {
            self.check_epochs(&segment, &scan.epochs)?;
        }
        self.segments.insert(base, Some(segment));
        (self.synced, self.recovery_point) = (end, end);
        recovered.bytes_scanned += scan.bytes_read;
        Ok(())
    }

    /// Takes up a log that was not closed: reads on from the recovery point, and ends the log at the first thing that
    /// is not the next batch.
    fn recover(
        &mut self,
        recovery_point: Offset,
        recovered: &mut Recovered,
        tell: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let interval = self.config.settings.index_interval_bytes;
        // A segment that ends just there may have been closed after that offset was noted: then its file still has the
        // zeros that were reserved.
        let holder = self.segment_of(recovery_point.plus(-1)).or_else(|| self.segment_of(recovery_point));
        let first = match holder {
            Some(holder) => holder,
            // Nothing was made durable of what is not removed since: the first segment may be missing, and others be there.
            None if recovery_point <= self.log_start => self
                .segments
                .keys()
                .next()
                .copied()
                .filter(|base| *base <= self.log_start)
                .unwrap_or(self.log_start),
            None => return Err(self.missing(recovery_point)),
        };
        // Of what was removed since, nothing need be there.
        let needed = if recovery_point > self.log_start { recovery_point } else { Offset::ZERO };
        let mut expected = first;
        let bases: Vec<Offset> = self.segments.range(first..).map(|(base, _)| *base).collect();
        for base in bases {
            // A cleaner leaves the first segment, be it empty, and what is not flushed.
            let behind_first = self.config.gaps && base > first && self.is_open(first);
            let may_skip = (behind_first && (self.config.gaps_anywhere || base <= recovery_point))
                || bugs::is(Bug::ResumeAfterHole);
            if base < expected || (base > expected && !may_skip) {
                if expected < needed {
                    return Err(self.missing(expected));
                }
                self.set_aside(base, recovered)?;
                continue;
            }
            let mut segment = self.open_segment(base, recovery_point)?;
            let (known, from, before) = (segment.size(), segment.end(), recovered.bytes_scanned);
            let scan = segment.scan_telling(interval, &mut |read| tell(before + read))?;
            recovered.bytes_scanned += scan.bytes_read;
            if base == first {
                self.take_up_epochs(&segment, from, recovery_point, &scan.epochs)?;
            }
            for (epoch, start) in scan.epochs {
                self.epochs.assign(epoch, start);
            }
            if let Some(why) = scan.bad {
                if segment.end() < needed {
                    return Err(self.damage(segment.file(), segment.end(), &why));
                }
                self.cut(&segment, recovered)?;
            }
            if !bugs::is(Bug::TrustWhatWasReadBack) {
                segment.doubt(known);
            }
            segment.note_largest_timestamp();
            recovered.indexes_rebuilt += u32::from(segment.is_rebuilt());
            expected = segment.end();
            self.unflushed.insert(base);
            self.segments.insert(base, Some(segment));
            self.idle.touch(base);
        }
        if expected < needed {
            return Err(self.missing(expected));
        }
        self.epochs.truncate_start(self.log_start);
        self.settle(recovery_point, expected, recovered)
    }

    /// Drops what the checkpoint says of the epochs from `from` on, where batches were read: it may be older than a
    /// truncation. Of what lies below the recovery point it must be right.
    fn take_up_epochs(
        &mut self,
        segment: &Segment,
        from: Offset,
        recovery_point: Offset,
        found: &[(LeaderEpoch, Offset)],
    ) -> Result<()> {
        if !self.epochs_dirty {
            let below = found.iter().copied().filter(|(_, start)| *start < recovery_point);
            self.check_epochs(segment, &below.collect::<Vec<_>>())?;
        }
        self.epochs.truncate_end(from);
        Ok(())
    }

    /// Makes durable what recovery did, before anything is appended: bytes that were cut must not come back from an
    /// older state of the disk and be taken for what follows. Where nothing was cut, what was read can wait for the next
    /// flush, like any record, unless the topic promises that what is read is flushed.
    fn settle(&mut self, recovery_point: Offset, end: Offset, recovered: &Recovered) -> Result<()> {
        let promised = self.config.settings.durability() == Durability::Flushed;
        let pretend = bugs::is(Bug::RecoverWithoutSync);
        for base in &self.unflushed {
            let Some(Some(segment)) = self.segments.get_mut(base) else { continue };
            if promised
                && !pretend
                && let Some((from, to)) = segment.unsure()
            {
                segment.file().write_again(from, to)?;
            }
            if (promised || recovered.bytes_cut > 0) && !pretend {
                segment.file().sync()?;
            }
            if promised || pretend {
                segment.trust();
            }
        }
        self.storage.sync_dir(&self.config.dir)?;
        if let Some(parent) = self.config.dir.parent() {
            self.storage.sync_dir(parent)?;
        }
        let sure = self.segments.values().flatten().all(|segment| segment.unsure().is_none());
        (self.synced, self.recovery_point) = (if sure { end } else { recovery_point }, recovery_point);
        Ok(())
    }

    fn is_open(&self, base: Offset) -> bool {
        matches!(self.segments.get(&base), Some(Some(_)))
    }

    fn open_segment(&self, base: Offset, trusted: Offset) -> Result<Segment> {
        let last = self.segments.keys().next_back() == Some(&base);
        let capacity = u64::from(self.config.settings.segment_bytes);
        let how = if last { Open::Append { capacity } } else { Open::Write };
        Segment::open(&*self.storage, &self.config, base, how, trusted)
    }

    /// The segment `base`, opened now if nobody has asked for it of late.
    pub(super) fn segment(&mut self, base: Offset) -> Result<&mut Segment> {
        let next = self.segments.range(base.plus(1)..).next().map(|(base, _)| *base);
        let closed = matches!(self.segments.get(&base), Some(None));
        if closed {
            let mut segment =
                Segment::open(&*self.storage, &self.config, base, Open::Read, Offset::new(i64::MAX))?;
            let scan = segment.scan(self.config.settings.index_interval_bytes)?;
            let gaps = self.config.gaps;
            let apart =
                next.is_some_and(|next| if gaps { segment.end() > next } else { segment.end() != next });
            if let Some(why) =
                scan.bad.or_else(|| apart.then(|| "it does not end where the next one begins".to_owned()))
            {
                return Err(self.damage(segment.file(), segment.end(), &why));
            }
            self.check_epochs(&segment, &scan.epochs)?;
            segment.seal();
            self.idle.times(base).into_iter().for_each(|known| segment.take_times_as(known));
            self.segments.insert(base, Some(segment));
            self.note_rebuilt(base);
        }
        self.idle.touch(base);
        if closed {
            self.close_idle();
        }
        let segment = self.segments.get_mut(&base).and_then(Option::as_mut);
        segment.ok_or_else(|| Error::IllegalState(format!("no segment at {base}")))
    }

    /// Refuses a segment whose batches are of other leader epochs than the log's.
    fn check_epochs(&self, segment: &Segment, found: &[(LeaderEpoch, Offset)]) -> Result<()> {
        // Of what lies before the log's start, inside its first segment, the epochs are not known.
        let wrong =
            |(epoch, start): &&(LeaderEpoch, Offset)| self.epochs.at(*start).is_some_and(|at| at != *epoch);
        match found.iter().find(wrong) {
            Some((epoch, start)) => {
                let expected = self.epochs.at(*start).unwrap_or_default();
                let why = format!("a batch of leader epoch {epoch} where {expected} should be");
                Err(self.damage(segment.file(), *start, &why))
            }
            None => Ok(()),
        }
    }

    /// Sees to it that there is a segment to append to. Where records were removed that did not survive anyway, the log
    /// goes on behind them: an offset is never given out twice.
    fn ensure_active_segment(&mut self, recovered: &mut Recovered) -> Result<()> {
        let open = matches!(self.segments.last_key_value(), Some((_, Some(_))));
        if open && self.end() >= self.log_start {
            return Ok(());
        }
        let bases: Vec<Offset> = self.segments.keys().copied().collect();
        bases.into_iter().try_for_each(|base| self.set_aside(base, recovered))?;
        self.unflushed.clear();
        let end = self.log_start.max(self.recovery_point);
        let segment = Segment::create(&*self.storage, &self.config, end)?;
        self.segments.insert(end, Some(segment));
        self.synced = self.synced.max(end);
        self.dirty_dirs.insert(self.config.dir.clone());
        Ok(())
    }

    /// Becomes leader: in the epoch of before after a clean close, in a new one after a crash, so that offsets which
    /// were cut and given out again can be told from each other (KIP-320). `newest` is the checkpoint's.
    fn lead(&mut self, from: LoadedFrom, newest: Option<LeaderEpoch>) -> Result<()> {
        let end = self.end();
        if self.config.replicated {
            self.epochs.truncate_end(end);
            self.epoch = self.epochs.latest().unwrap_or_default();
            self.epochs_dirty |= from != LoadedFrom::New;
            return Ok(());
        }
        let latest = self.epochs.latest().max(newest);
        let LoadedFrom::Crash(_) = from else {
            self.epoch = latest.unwrap_or_default();
            self.epochs_dirty |= self.epochs.assign(self.epoch, end);
            return Ok(());
        };
        // Newer than any that a record or a commit may carry, also one that was lost with the epoch's own entry: a
        // log begins in epoch 0, and a later epoch is durable, here, before its first record.
        self.epoch = LeaderEpoch(latest.unwrap_or_default().0.saturating_add(1));
        self.epochs.truncate_end(end);
        self.epochs.assign(self.epoch, end);
        let (path, text) = (self.config.dir.join(LEADER_EPOCHS), self.epochs.to_text());
        if bugs::is(Bug::EpochNotSynced) {
            self.storage.open(&path, Open::Write)?.write_at(0, text.as_bytes())?;
        } else {
            replace_file(&*self.storage, &path, text.as_bytes())?;
        }
        self.epochs_dirty = false;
        self.check();
        Ok(())
    }

    fn missing(&self, from: Offset) -> Error {
        self.damaged(self.config.dir.clone(), from, "a segment that was made durable is missing")
    }

    fn damage(&self, file: &Arc<dyn File>, from: Offset, why: &str) -> Error {
        self.damaged(file.path().to_owned(), from, why)
    }

    pub(super) fn damaged(&self, path: PathBuf, from: Offset, why: &str) -> Error {
        let partition = Some(self.config.partition.clone());
        let reason = format!("{} from offset {from} on: {why}", self.config.partition);
        Error::KafkaStorageError { path, partition, offset: Some(from.get()), reason }
    }
}
