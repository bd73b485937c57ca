//! The cleaner: of a compacted log only the last record of each key stays (Kafka's `Cleaner`).
//!
//! A cleaning goes through the closed segments three times, in steps of a bounded size, without a lock on the log: to see what
//! became of transactions, which it may leave out where there were none; to note the last offset of each key from where the
//! last cleaning ended; and to write what stays. Each group of segments that fit into one is put in place as soon as it is
//! written, the lower ones first: a tombstone never goes before what it deletes.

mod fates;
mod key_hash;
mod key_map;
mod output;
mod plan;
mod sieve;
mod swap;

pub(crate) use key_hash::KeyHash;
pub(crate) use swap::Replacement;

use super::{
    Log,
    interrupted::CLEANED,
    names::{Kind, segment_file},
    scan::{Found, Scanner},
};
use crate::{
    env::Storage,
    error::{Error, Result},
    record::{Batch, BatchError, BatchHeader},
    types::{Offset, Timestamp},
};
use fates::{Fates, Survey};
use key_map::KeyMap;
use output::Output;
use plan::Plan;
use sieve::{Sieve, inflated};
use std::sync::Arc;

/// What a log knows of its cleaning.
#[derive(Debug, Default)]
pub(super) struct CleanState {
    /// Up to here the log is cleaned, exclusive.
    pub(super) to: Offset,
    /// Where the first batch lies that the cleaner could not read, for want of a codec.
    opaque_from: Option<Offset>,
    /// No batch of a transaction lies below, exclusive: a cleaning has seen it.
    untransacted: Offset,
    /// How often segments were put in the place of others.
    replaced: u64,
    /// How often the log's end was cut off.
    cuts: u64,
}

impl CleanState {
    /// The log's end is about to be cut off at `to`, or below.
    pub(super) fn cut(&mut self, to: Offset) {
        self.cuts += 1;
        self.to = self.to.min(to);
        self.untransacted = self.untransacted.min(to);
    }
}

/// How a log is to be cleaned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) hash: KeyHash,
    /// What keys may take, in bytes.
    pub(crate) memory: usize,
    /// Whether it is to be gone through where nothing is dirty, for the tombstones that may go by now.
    pub(crate) thorough: bool,
}

/// What there is to do next in a cleaning.
#[derive(Debug)]
pub(crate) enum Step {
    /// Go on.
    More,
    /// Put this in place, and go on.
    Swap(Box<Replacement>),
    /// It is done.
    Done(Cleaned),
    /// The log is another by now: all that is not put in place yet is given up.
    Void,
}

/// What a cleaning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// From here on records were looked at for the first time.
    pub(crate) from: Offset,
    /// Up to here, exclusive, the log is clean now.
    pub(crate) to: Offset,
    /// Of the log's segments, before and now.
    pub(crate) bytes_before: u64,
    pub(crate) bytes_after: u64,
    /// Whether more keys are to be cleaned than the memory had room for.
    pub(crate) is_full: bool,
    /// Where the first batch lies that this build cannot read.
    opaque_from: Option<Offset>,
    /// No batch of a transaction lies below, exclusive.
    untransacted: Offset,
    cuts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Survey,
    Map,
    Write,
}

/// A place in a log.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    source: usize,
    position: u64,
    /// The offset behind the last batch that was read.
    next: Offset,
}

/// How far a reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// As far as it may for now.
    Paused,
    /// To the end of a segment.
    EndOfSource,
    /// To the end of all.
    EndOfAll,
    /// To where it was told to stop.
    Stopped,
    /// A segment is gone.
    Gone,
}

/// Why a batch cannot be taken in.
enum Trouble {
    Batch(BatchError),
    Disk(Error),
}

impl From<BatchError> for Trouble {
    fn from(error: BatchError) -> Self {
        Self::Batch(error)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Disk(error)
    }
}

type Each = fn(&mut Cleaning, &Batch<'_>) -> Result<bool, Trouble>;

/// A cleaning that is under way.
#[derive(Debug)]
pub(crate) struct Cleaning {
    storage: Arc<dyn Storage>,
    plan: Plan,
    map: KeyMap,
    thorough: bool,
    phase: Phase,
    cursor: Cursor,
    survey: Survey,
    fates: Fates,
    /// What lies here and further up is not cleaned.
    end: Offset,
    output: Option<Output>,
    /// The batch that is written anew.
    anew: Vec<u8>,
    opaque: bool,
    read: u64,
    done: Cleaned,
}

impl Log {
    /// Begins a cleaning; `None` if nothing can be cleaned.
    pub(crate) fn begin_cleaning(
        &mut self,
        now: Timestamp,
        high_watermark: Offset,
        how: How,
    ) -> Result<Option<Cleaning>> {
        let Some(plan) = self.plan_cleaning(now, high_watermark)? else { return Ok(None) };
        let end = plan.sources.last().map_or(plan.dirty_from, |last| last.next);
        let done = Cleaned {
            from: plan.dirty_from,
            to: end,
            bytes_before: 0,
            bytes_after: 0,
            is_full: false,
            opaque_from: None,
            untransacted: self.clean.untransacted,
            cuts: plan.cuts,
        };
        Ok(Some(Cleaning {
            storage: Arc::clone(&self.storage),
            cursor: Cursor::at(0, &plan),
            plan,
            map: KeyMap::new(how.hash, how.memory),
            thorough: how.thorough,
            phase: Phase::Survey,
            survey: Survey::default(),
            fates: Fates::default(),
            end,
            output: None,
            anew: Vec::new(),
            opaque: false,
            read: 0,
            done,
        }))
    }

    /// Notes what a cleaning did, once all of it is in place.
    pub(crate) fn end_cleaning(&mut self, cleaned: &Cleaned) {
        if cleaned.cuts == self.clean.cuts {
            self.clean.to = self.clean.to.max(cleaned.to);
            self.clean.opaque_from = cleaned.opaque_from;
            self.clean.untransacted = cleaned.untransacted;
        }
    }
}

impl Cursor {
    fn at(source: usize, plan: &Plan) -> Self {
        let next = plan.sources.get(source).map_or(plan.dirty_from, |source| source.base);
        Self { source, position: 0, next }
    }
}

impl Cleaning {
    /// Goes on, reading about `budget` bytes. An error leaves the log as it is, but for what is put in place by then.
    pub(crate) fn step(&mut self, budget: u64) -> Result<Step> {
        match self.phase {
            Phase::Survey => self.look_around(budget),
            Phase::Map => self.note_keys(budget),
            Phase::Write => self.write(budget),
        }
    }

    /// How many bytes were read by now.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Removes what was written and is not in place.
    pub(crate) fn abandon(self) {
        if let Some(output) = &self.output {
            output.abandon(&*self.storage, &self.plan.config);
        }
    }

    /// The first time: transactions, and, if records must have an age, that of the dirty segments as the log itself says it.
    fn look_around(&mut self, budget: u64) -> Result<Step> {
        let lag = self.plan.config.settings.min_compaction_lag;
        let dirty_from = self.plan.dirty_from;
        if let Some(source) = self.plan.sources.get(self.cursor.source)
            && (source.plain || source.next <= self.done.untransacted)
            && (lag == 0 || source.next <= dirty_from)
        {
            self.cursor = Cursor::at(self.cursor.source + 1, &self.plan);
            return Ok(Step::More);
        }
        let part = self.read(budget, |cleaning, batch| {
            let header = batch.header();
            cleaning.survey.take(header, || batch.marker());
            Ok(!cleaning.is_too_young(header))
        })?;
        match part {
            Part::Paused | Part::EndOfSource => return Ok(Step::More),
            Part::Gone => return Ok(Step::Void),
            Part::EndOfAll => {}
            Part::Stopped => {
                self.plan.sources.truncate(self.cursor.source);
                self.end = self.plan.sources.last().map_or(self.end, |last| last.next);
            }
        }
        if !self.survey.any {
            self.done.untransacted = self.done.untransacted.max(self.end);
        }
        // What becomes of a transaction that is open there is not known.
        self.end = self.survey.first_open().map_or(self.end, |first| first.min(self.end));
        if self.end <= dirty_from && !self.thorough {
            self.done.to = self.end;
            return Ok(Step::Done(self.done));
        }
        self.begin_map();
        Ok(Step::More)
    }

    fn is_too_young(&self, header: &BatchHeader) -> bool {
        let lag = self.plan.config.settings.min_compaction_lag;
        let source = self.plan.sources.get(self.cursor.source);
        let is_dirty = source.is_some_and(|source| source.next > self.plan.dirty_from);
        let youngest = self.plan.now.as_millis().saturating_sub(lag);
        lag > 0 && is_dirty && header.max_timestamp > youngest
    }

    fn begin_map(&mut self) {
        let dirty_from = self.plan.dirty_from;
        let first = self.plan.sources.iter().position(|source| source.next > dirty_from);
        self.cursor = Cursor::at(first.unwrap_or(self.plan.sources.len()), &self.plan);
        self.fates = self.survey.fates_from(self.cursor.next);
        self.phase = Phase::Map;
    }

    /// The second time: the last offset of each key.
    fn note_keys(&mut self, budget: u64) -> Result<Step> {
        match self.read(budget, Self::note_keys_of)? {
            Part::Paused | Part::EndOfSource => return Ok(Step::More),
            Part::Gone => return Ok(Step::Void),
            Part::EndOfAll | Part::Stopped => {}
        }
        self.done.to = self.end;
        let end = self.end;
        self.plan.sources.retain(|source| source.base < end);
        self.cursor = Cursor::at(0, &self.plan);
        self.fates = self.survey.fates_from(Offset::ZERO);
        self.phase = Phase::Write;
        Ok(Step::More)
    }

    fn note_keys_of(&mut self, batch: &Batch<'_>) -> Result<bool, Trouble> {
        let header = batch.header();
        if header.base_offset >= self.end {
            return Ok(false);
        }
        if header.attributes.is_control() {
            self.fates.is_over(header, batch.marker());
            return Ok(true);
        }
        if self.fates.is_aborted(header) || header.last_offset() < self.plan.dirty_from {
            return Ok(true);
        }
        let Some(inflated) = inflated(batch)? else { return Ok(true) };
        let readable = inflated.as_deref().map_or(Some(*batch), Batch::unchecked);
        let readable = readable.ok_or(BatchError::Compressed(header.attributes.codec()))?;
        let (from, mut end) = (self.plan.dirty_from, self.end);
        readable.visit(|record, _| {
            let Some(key) = record.key.filter(|_| record.offset >= from && record.offset < end) else {
                return;
            };
            if !self.map.put(key, record.offset) {
                end = record.offset;
            }
        })?;
        self.done.is_full |= end < self.end;
        self.end = end;
        Ok(!self.done.is_full)
    }

    /// The third time: what stays, group by group.
    fn write(&mut self, budget: u64) -> Result<Step> {
        let Some(source) = self.plan.sources.get(self.cursor.source) else {
            return self.end_group().map(|swap| swap.unwrap_or(Step::Done(self.done)));
        };
        if self.cursor.position == 0 {
            let (storage, config) = (&*self.storage, &self.plan.config);
            let joins = self.output.as_ref().map(|output| output.has_room_for(storage, config, source));
            match joins {
                Some(false) => return self.end_group().map(|swap| swap.unwrap_or(Step::More)),
                Some(true) => {}
                None => self.output = Some(Output::begin(storage, config, source)?),
            }
            self.output.iter_mut().for_each(|output| output.add(source));
        }
        match self.read(budget, Self::sift)? {
            Part::Gone => Ok(Step::Void),
            _ => Ok(Step::More),
        }
    }

    fn sift(&mut self, batch: &Batch<'_>) -> Result<bool, Trouble> {
        let settings = &self.plan.config.settings;
        let mut sieve = Sieve {
            map: &self.map,
            end: self.end,
            now: self.plan.now.as_millis(),
            delete_retention: settings.delete_retention,
            producers: &self.plan.producers,
            fates: &mut self.fates,
            opaque: &mut self.opaque,
        };
        let verdict = sieve.judge(batch, &mut self.anew)?;
        if self.opaque && self.done.opaque_from.is_none() {
            self.done.opaque_from = Some(batch.header().base_offset);
        }
        if let Some(output) = &mut self.output {
            output.take(batch, &verdict, &self.anew, settings.index_interval_bytes)?;
        }
        Ok(true)
    }

    /// Ends the segment that is being written. `None`: it is just what is there.
    fn end_group(&mut self) -> Result<Option<Step>> {
        let Some(output) = self.output.take() else { return Ok(None) };
        let before = output.bytes_before;
        self.done.bytes_before += before;
        let aborted = std::mem::take(&mut self.fates.index);
        let (storage, config, base) = (&*self.storage, &self.plan.config, output.base());
        let finished = output.finish(storage, config, &aborted, self.plan.cuts);
        let replacement =
            finished.inspect_err(|_| swap::remove_unplaced(storage, &config.dir, base, CLEANED))?;
        self.done.bytes_after += replacement.as_ref().map_or(before, Replacement::size);
        Ok(replacement.map(|replacement| Step::Swap(Box::new(replacement))))
    }

    /// Reads on in one segment, each batch checked, and shows each to `each`, which says whether to go on.
    fn read(&mut self, budget: u64, each: Each) -> Result<Part> {
        let Some(source) = self.plan.sources.get_mut(self.cursor.source) else { return Ok(Part::EndOfAll) };
        let Some(file) = source.open(&*self.storage, &self.plan.config)? else { return Ok(Part::Gone) };
        let (size, bound, from) = (source.size, source.next, self.cursor.position);
        let mut scanner = Scanner::new(&*file, from, size);
        while scanner.position() - from < budget {
            let header = match scanner.next()? {
                Found::Batch(header) => header,
                Found::Bad(error) => return Err(self.damage(self.cursor.next, &error.to_string())),
                Found::End => {
                    self.cursor = Cursor::at(self.cursor.source + 1, &self.plan);
                    return Ok(Part::EndOfSource);
                }
            };
            self.check_place(&header, bound)?;
            let damaged = || BatchError::Header("it cannot be read twice").to_string();
            let batch = Batch::unchecked(scanner.last(&header));
            let batch = batch.ok_or_else(|| self.damage(header.base_offset, &damaged()))?;
            let go_on = each(self, &batch).map_err(|trouble| match trouble {
                Trouble::Batch(error) => self.damage(header.base_offset, &error.to_string()),
                Trouble::Disk(error) => error,
            })?;
            (self.cursor.position, self.cursor.next) = (scanner.position(), header.next_offset());
            self.read += header.size as u64;
            if !go_on {
                return Ok(Part::Stopped);
            }
        }
        Ok(Part::Paused)
    }

    /// What no checksum covers: a batch lies behind the one before it, below the next segment, and is of its leader epoch.
    fn check_place(&self, header: &BatchHeader, bound: Offset) -> Result<()> {
        let (expected, found) = (self.cursor.next, header.base_offset);
        if found < expected || header.next_offset() > bound {
            let why = format!("a batch at offset {found} where {expected} should be");
            return Err(self.damage(expected, &why));
        }
        match self.plan.epochs.at(found) {
            Some(epoch) if epoch != header.leader_epoch => {
                let why = format!("a batch of leader epoch {} where {epoch} should be", header.leader_epoch);
                Err(self.damage(found, &why))
            }
            _ => Ok(()),
        }
    }

    fn damage(&self, from: Offset, why: &str) -> Error {
        let config = &self.plan.config;
        let base = self.plan.sources.get(self.cursor.source).map_or(from, |source| source.base);
        Error::KafkaStorageError {
            path: segment_file(&config.dir, base, Kind::Log),
            partition: Some(config.partition.clone()),
            offset: Some(from.get()),
            reason: format!("{} from offset {from} on: {why}", config.partition),
        }
    }
}
