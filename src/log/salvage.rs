//! Putting a damaged log in order, so that it opens: every batch that is as it was written stays, at its offset. Where
//! records are lost a batch of none stands for their offsets, as where a cleaner was at work.
//!
//! A segment is replaced as a whole, by a new file that takes its name when it is durable; the bytes that are bad are
//! kept aside before. So a crash leaves each segment as it was or in order, and salvage may begin anew.
//!
//! What lies at or above the recovery point is left to recovery, which ends the log at the first bad byte.

use super::{
    Damage, LeaderEpochs, LoadedFrom, LogConfig,
    aside::{copy_part, free_cut_file, remove_derived},
    interrupted::{CLEANED, SWAP, finish_replacements},
    names::{Kind, LEADER_EPOCHS, base_of_log, segment_file, unplaced_log},
    repair::{Around, Repaired, repair},
    scan::end_of_nonzero,
};
use crate::{
    env::{File, Open, Storage},
    error::Result,
    record::empty_batch,
    types::{LeaderEpoch, Offset},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The longest run of lost offsets that is believed: a file with a name further up is not of the log.
const MAX_HOLE: i64 = 1 << 37;

/// What salvage found and did.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    pub(crate) damage: Vec<Damage>,
    /// Files with the bytes that were bad.
    pub(crate) kept_aside: Vec<PathBuf>,
    pub(crate) bytes_scanned: u64,
    /// Where the log begins: where it was said to, unless nothing is left of it.
    pub(crate) start: Option<Offset>,
    /// All below it is in order now, exclusive.
    pub(crate) end: Offset,
}

/// Puts a log in order. `known` is what the broker's files say of its end; where they say nothing, all that is there counts.
/// `start` is where the log begins, if that is known.
pub(crate) fn salvage(
    storage: &dyn Storage,
    config: &LogConfig,
    known: Option<LoadedFrom>,
    start: Option<Offset>,
) -> Result<Salvaged> {
    let entries = storage.list(&config.dir)?.unwrap_or_default();
    let entries = finish_replacements(storage, &config.dir, entries)?;
    let logs = entries.iter().filter(|entry| !entry.is_dir);
    let mut bases: Vec<Offset> = logs.filter_map(|entry| base_of_log(&entry.name)).collect();
    bases.sort_unstable();
    let epochs = LeaderEpochs::load(storage, &config.dir).ok().flatten();
    let found = Salvaged { start, end: start.unwrap_or_default(), ..Salvaged::default() };
    let mut salvage = Salvage { storage, config, known, epochs, epochs_wrong: false, found };
    match (bases.is_empty(), known.map(LoadedFrom::end)) {
        (false, _) => salvage.run(&bases)?,
        (true, Some(end)) if end > salvage.found.end => {
            salvage.lost(&config.dir, salvage.found.end, end, "all segments are missing");
            (salvage.found.start, salvage.found.end) = (Some(end), end);
        }
        (true, _) => return Ok(salvage.found),
    }
    if salvage.epochs_wrong {
        // Derived: opening the log finds them in its batches.
        let path = config.dir.join(LEADER_EPOCHS);
        storage.remove_file(&path)?;
        let start = bases.first().copied().unwrap_or_default();
        salvage.lost(&path, start, start, "it says other leader epochs than the batches");
    }
    if !salvage.found.damage.is_empty() && !bases.is_empty() {
        storage.sync_dir(&config.dir)?;
    }
    Ok(salvage.found)
}

/// A log that is being put in order.
struct Salvage<'s> {
    storage: &'s dyn Storage,
    config: &'s LogConfig,
    known: Option<LoadedFrom>,
    /// What the checkpoint says, if it says anything.
    epochs: Option<LeaderEpochs>,
    /// Whether batches, together, say otherwise.
    epochs_wrong: bool,
    found: Salvaged,
}

impl Salvage<'_> {
    fn run(&mut self, bases: &[Offset]) -> Result<()> {
        let start = self.found.start;
        let bases = self.set_strangers_aside(bases, start)?;
        let last = bases.last().copied().or(start).unwrap_or_default();
        // A number that cannot be one says nothing.
        self.known = self.known.filter(|known| known.end().since(last) <= MAX_HOLE);
        let unsure = self.known.and_then(LoadedFrom::unsure_from).unwrap_or(Offset::new(i64::MAX));
        let mut expected = start.or(bases.first().copied()).unwrap_or_default();
        let first = bases.first().map_or(expected, |first| unsure.min(*first));
        if expected < first {
            let dir = self.config.dir.clone();
            self.lost(&dir, expected, first, "a segment is missing");
            self.fill(expected, first, LeaderEpoch::default(), -1)?;
        }
        let mut survey = self.survey(&bases)?;
        if self.epochs_wrong {
            // The batches tell better without it.
            self.epochs = None;
            survey = self.survey(&bases)?;
        }
        for (base, next, found) in survey {
            if found.changed {
                self.replace(base, next)?;
            }
            expected = found.lost_to;
        }
        self.found.end = self.known.map_or(expected, |known| known.end().max(expected));
        Ok(())
    }

    /// Looks at the segments that hold what was made durable, without changing any.
    fn survey(&mut self, bases: &[Offset]) -> Result<Vec<(Offset, Option<Offset>, Repaired)>> {
        let mut survey = Vec::new();
        for (n, base) in bases.iter().enumerate() {
            let next = bases.get(n + 1).copied();
            if self.known.and_then(LoadedFrom::unsure_from).is_some_and(|unsure| *base >= unsure) {
                break;
            }
            let file = self.open(*base)?;
            let found = repair(self.around(*base, next), (&*file, file.len()?), &mut |_, _| {}, None)?;
            self.found.bytes_scanned += found.bytes_read;
            self.epochs_wrong |= found.epochs_wrong;
            let stopped = found.stopped;
            survey.push((*base, next, found));
            if stopped {
                break;
            }
        }
        Ok(survey)
    }

    /// Files whose names are too far from the log to be of it.
    fn set_strangers_aside(&mut self, bases: &[Offset], start: Option<Offset>) -> Result<Vec<Offset>> {
        let mut kept: Vec<Offset> = Vec::new();
        for base in bases {
            let before = kept.last().copied().or(start).unwrap_or(*base);
            if base.since(before) <= MAX_HOLE {
                kept.push(*base);
                continue;
            }
            let path = segment_file(&self.config.dir, *base, Kind::Log);
            let aside = free_cut_file(self.storage, self.config, *base, 0)?;
            self.storage.rename(&path, &aside)?;
            remove_derived(self.storage, &self.config.dir, *base)?;
            self.lost(&path, *base, *base, "it is named too far behind all others");
            self.found.kept_aside.push(aside);
        }
        Ok(kept)
    }

    fn lost(&mut self, path: &Path, from: Offset, to: Offset, reason: &str) {
        let (offset, next_offset, reason) = (from.get(), to.get(), reason.to_owned());
        self.found.damage.push(Damage { path: path.to_owned(), offset, next_offset, reason });
    }

    fn open(&self, base: Offset) -> Result<Arc<dyn File>> {
        self.storage.open(&segment_file(&self.config.dir, base, Kind::Log), Open::Read)
    }

    fn around(&self, base: Offset, next: Option<Offset>) -> Around<'_> {
        let Self { config, known, .. } = *self;
        Around { config, base, next, known, epochs: self.epochs.as_ref() }
    }

    /// Replaces a segment's log by what is good of it.
    fn replace(&mut self, base: Offset, next: Option<Offset>) -> Result<()> {
        let cleaned = unplaced_log(&self.config.dir, base, CLEANED);
        self.storage.remove_file(&cleaned)?;
        let out: Arc<dyn File> = self.storage.open(&cleaned, Open::Write)?;
        let file = self.open(base)?;
        let found = repair(self.around(base, next), (&*file, file.len()?), &mut |_, _| {}, Some(out))?;
        self.found.damage.extend(found.damage);
        self.keep_aside(&*file, base, &found.bad)?;
        self.put_in_place(base)?;
        self.fill(found.end, found.lost_to, found.epoch.unwrap_or_default(), found.max_timestamp)
    }

    fn keep_aside(&mut self, file: &dyn File, base: Offset, bad: &[(u64, u64)]) -> Result<()> {
        for (from, to) in bad {
            let end = end_of_nonzero(file, *from, (*to).min(file.len()?))?;
            if end > *from {
                let aside = free_cut_file(self.storage, self.config, base, *from)?;
                copy_part(self.storage, file, *from, end, &aside)?;
                self.found.kept_aside.push(aside);
            }
        }
        Ok(())
    }

    /// Gives a replacement, which is durable, its name.
    fn put_in_place(&self, base: Offset) -> Result<()> {
        let swap = unplaced_log(&self.config.dir, base, SWAP);
        self.storage.rename(&unplaced_log(&self.config.dir, base, CLEANED), &swap)?;
        self.storage.sync_dir(&self.config.dir)?;
        remove_derived(self.storage, &self.config.dir, base)?;
        self.storage.rename(&swap, &segment_file(&self.config.dir, base, Kind::Log))?;
        self.storage.sync_dir(&self.config.dir)
    }

    /// Makes segments that stand for lost offsets, each of one batch of no records.
    fn fill(&mut self, from: Offset, to: Offset, epoch: LeaderEpoch, max_timestamp: i64) -> Result<()> {
        let mut base = from;
        while base < to {
            let last_delta = i32::try_from(to.since(base) - 1).unwrap_or(i32::MAX);
            let epoch = self.epochs.as_ref().and_then(|epochs| epochs.at(base)).unwrap_or(epoch);
            let file = self.storage.open(&unplaced_log(&self.config.dir, base, CLEANED), Open::Write)?;
            file.set_len(0)?;
            file.write_at(0, &empty_batch(base, last_delta, epoch, max_timestamp))?;
            file.sync()?;
            self.put_in_place(base)?;
            base = base.plus(i64::from(last_delta) + 1);
        }
        Ok(())
    }
}
