//! Going through one segment that may be damaged, batch by batch: which ones are good, where they belong, and what is lost
//! between them. Done twice: once to see whether anything is wrong, and once to write what is right.
//!
//! The base offset and the leader epoch of a batch have no checksum. They are believed where they agree with what is
//! around: the place in the file, the next batch, the next segment's name, the leader-epoch checkpoint. One that does not
//! is mended if its place tells what it was; else its batch is given up, since a record at a wrong offset is worse than
//! none.

use super::{
    Damage, LeaderEpochs, LoadedFrom, LogConfig,
    aside::in_chunks,
    names::{Kind, segment_file},
    remains::{Look, Remains, Remnant},
    scan::end_of_nonzero,
};
use crate::{
    env::File,
    error::Result,
    record::{BatchHeader, empty_batch},
    types::{LeaderEpoch, Offset},
};
use std::{path::PathBuf, sync::Arc};

/// A segment, and what is known of it from elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) config: &'a LogConfig,
    pub(super) base: Offset,
    /// Where the next segment begins.
    pub(super) next: Option<Offset>,
    /// What the broker's files say of the log's end, if they say anything.
    pub(super) known: Option<LoadedFrom>,
    pub(super) epochs: Option<&'a LeaderEpochs>,
}

impl Around<'_> {
    /// Whether what is expected at this offset was perhaps never made durable.
    fn is_unsure(&self, expected: Offset) -> bool {
        self.known.and_then(LoadedFrom::unsure_from).is_some_and(|unsure| expected >= unsure)
    }
}

/// What there was to find in a segment.
#[derive(Debug, Default)]
pub(super) struct Repaired {
    /// Whether the file is not what it should be.
    pub(super) changed: bool,
    /// Whether it ends at bytes that were never made durable: recovery's to see to.
    pub(super) stopped: bool,
    /// The offset behind the last one that it stands for now.
    pub(super) end: Offset,
    /// Up to here offsets are lost: what the segment cannot stand for others must.
    pub(super) lost_to: Offset,
    pub(super) damage: Vec<Damage>,
    /// The bytes that are not taken over, as ranges of positions.
    pub(super) bad: Vec<(u64, u64)>,
    /// Whether batches, together, say other leader epochs than the checkpoint.
    pub(super) epochs_wrong: bool,
    /// Of the last batch.
    pub(super) epoch: Option<LeaderEpoch>,
    pub(super) max_timestamp: i64,
    pub(super) bytes_read: u64,
}

/// Goes through the first `len` bytes of a segment's log, shows each good batch to `look`, and writes what is right to `out`.
pub(super) fn repair(
    around: Around<'_>,
    (file, len): (&dyn File, u64),
    look: Look<'_>,
    out: Option<Arc<dyn File>>,
) -> Result<Repaired> {
    let path = segment_file(&around.config.dir, around.base, Kind::Log);
    let found = Repaired { end: around.base, max_timestamp: -1, ..Repaired::default() };
    let mut repair = Repair { around, path, file, len, out, written: 0, read_to: 0, trouble: None, found };
    let mut remains = Remains::new(file, len, look);
    let mut next = remains.next()?;
    while let Some(current) = next.take() {
        next = remains.next()?;
        if !repair.take(&current, next.as_ref())? {
            break;
        }
    }
    if !repair.found.stopped {
        repair.end(&remains)?;
    }
    repair.found.bytes_read = remains.bytes_read();
    if let Some(out) = &repair.out {
        out.sync()?;
    }
    Ok(repair.found)
}

struct Repair<'a> {
    around: Around<'a>,
    path: PathBuf,
    file: &'a dyn File,
    len: u64,
    out: Option<Arc<dyn File>>,
    /// How much was written.
    written: u64,
    /// Where in the file the last batch ends that was taken over.
    read_to: u64,
    /// What is wrong with the bytes from there on.
    trouble: Option<String>,
    found: Repaired,
}

impl Repair<'_> {
    /// Takes a batch over, or gives it up. `false`: the log ends before it.
    fn take(&mut self, batch: &Remnant, next: Option<&Remnant>) -> Result<bool> {
        if let Some(bad) = &batch.before {
            self.trouble.get_or_insert_with(|| bad.clone());
        }
        let (header, said) = (&batch.header, batch.header.base_offset);
        let expected = self.found.end;
        let place = self.place(header, next);
        let in_order = self.trouble.is_none() && place == Some(said);
        let follows = in_order && (said == expected || self.around.config.gaps);
        if !follows && self.around.is_unsure(expected) {
            self.stop()?;
            return Ok(false);
        }
        let Some(base) = place else {
            let why = || format!("a batch at offset {said} where {expected} should be");
            self.trouble.get_or_insert_with(why);
            return Ok(true);
        };
        if self.trouble.is_some() || (base > expected && !self.around.config.gaps) {
            self.lose(batch.position, base)?;
        }
        let epoch = self.epoch(header, base, next);
        if base != said {
            self.note(base, base, &format!("a base offset of {said} was mended"));
        }
        if epoch != header.leader_epoch {
            self.note(base, base, &format!("a leader epoch of {} was mended", header.leader_epoch));
        }
        self.write(batch, base, epoch)?;
        Ok(true)
    }

    /// Where a batch belongs; `None` if that cannot be told.
    fn place(&self, header: &BatchHeader, next: Option<&Remnant>) -> Option<Offset> {
        let gaps = self.around.config.gaps;
        let (said, expected) = (header.base_offset, self.found.end);
        let bound = self.around.next.unwrap_or(Offset::new(i64::MAX));
        let behind = |base: Offset| base.plus(i64::from(header.last_offset_delta) + 1);
        let fits = |base: Offset| {
            let expressible = i32::try_from(behind(base).since(self.around.base) - 1).is_ok();
            base >= expected && behind(base) <= bound && expressible
        };
        let next = next.filter(|next| next.before.is_none()).map(|next| next.header.base_offset);
        let here = self.trouble.is_none() && !gaps;
        let place = match next {
            _ if here && said == expected => expected,
            Some(next) if here && next == behind(expected) => expected,
            Some(next) if !gaps && next == behind(said) => said,
            Some(next) if gaps && (next >= behind(said) || next < expected) => said,
            Some(_) => return None,
            // The last of the file, or of what is good of it. If bytes are missing before it, the next segment tells.
            None if here && behind(said) != bound => expected,
            None => said,
        };
        fits(place).then_some(place)
    }

    /// The leader epoch that a batch is of: as it says, unless the checkpoint says otherwise, which one batch alone does
    /// not overrule.
    fn epoch(&mut self, header: &BatchHeader, base: Offset, next: Option<&Remnant>) -> LeaderEpoch {
        let said = header.leader_epoch;
        let noted = |at: Offset| self.around.epochs.and_then(|epochs| epochs.at(at));
        let before = self.found.epoch;
        let behind = next.map(|next| next.header.leader_epoch);
        let epoch = match noted(base) {
            Some(noted) if noted == said => said,
            Some(as_noted) => {
                let also = next.is_some_and(|next| {
                    next.header.leader_epoch == said && noted(next.header.base_offset) != Some(said)
                });
                let overruled = also || (self.found.epochs_wrong && before == Some(said));
                self.found.epochs_wrong |= overruled;
                if overruled { said } else { as_noted }
            }
            None if before.is_none_or(|before| before <= said)
                && behind.is_none_or(|behind| said <= behind) =>
            {
                said
            }
            None => before.or(behind).unwrap_or(said),
        };
        self.found.epoch = Some(epoch);
        epoch
    }

    /// Writes a batch at its place.
    fn write(&mut self, batch: &Remnant, base: Offset, epoch: LeaderEpoch) -> Result<()> {
        let header = &batch.header;
        let end = batch.position + header.size as u64;
        if let Some(out) = &self.out {
            let at = self.written;
            in_chunks(self.file, batch.position, end, |position, bytes| {
                out.write_at(at + (position - batch.position), bytes)
            })?;
            out.write_at(at, &base.get().to_be_bytes())?;
            out.write_at(at + 12, &epoch.0.to_be_bytes())?;
        }
        self.written += header.size as u64;
        self.read_to = end;
        self.found.end = base.plus(i64::from(header.last_offset_delta) + 1);
        self.found.max_timestamp = header.max_timestamp;
        Ok(())
    }

    /// Notes that what the bytes up to `position` held, and the records below `to`, are lost.
    fn lose(&mut self, position: u64, to: Offset) -> Result<()> {
        let reason = self.trouble.take().unwrap_or_else(|| "batches are missing".to_owned());
        let from = self.found.end;
        self.note(from, to, &reason);
        if position > self.read_to {
            self.found.bad.push((self.read_to, position));
        }
        self.read_to = position;
        self.stand_for(to)
    }

    /// Has a batch of no records stand for the offsets up to `to`, as far as the segment's numbers go.
    fn stand_for(&mut self, to: Offset) -> Result<()> {
        let from = self.found.end;
        let most = self.around.base.plus(i64::from(i32::MAX) + 1);
        let last_delta = i32::try_from(to.min(most).since(from) - 1).unwrap_or(i32::MAX);
        if last_delta < 0 {
            return Ok(());
        }
        let noted = self.around.epochs.and_then(|epochs| epochs.at(from));
        let epoch = noted.or(self.found.epoch).unwrap_or_default();
        if let Some(out) = &self.out {
            out.write_at(self.written, &empty_batch(from, last_delta, epoch, self.found.max_timestamp))?;
        }
        self.written += crate::record::BATCH_HEADER_LEN as u64;
        self.found.end = from.plus(i64::from(last_delta) + 1);
        Ok(())
    }

    fn note(&mut self, from: Offset, to: Offset, reason: &str) {
        self.found.changed = true;
        let (offset, next_offset, reason) = (from.get(), to.get(), reason.to_owned());
        self.found.damage.push(Damage { path: self.path.clone(), offset, next_offset, reason });
    }

    /// Sees to what is behind the last batch.
    fn end(&mut self, remains: &Remains<'_>) -> Result<()> {
        let Around { next, known, config, .. } = self.around;
        let (expected, len) = (self.found.end, self.len);
        if let Some(bad) = &remains.tail {
            self.trouble.get_or_insert_with(|| bad.clone());
        }
        if self.trouble.is_some() && self.around.is_unsure(expected) {
            return self.stop();
        }
        let zeros = next.is_some() && len > self.read_to && self.trouble.is_none();
        // Where a cleaner was at work, what is missing at a segment's end shows only in what is there instead.
        let needed = match (next, known.and_then(LoadedFrom::unsure_from)) {
            (Some(next), _) if config.gaps && !zeros && self.trouble.is_none() => expected.min(next),
            (Some(next), Some(unsure)) => next.min(unsure),
            (Some(next), None) => next,
            (None, _) => known.map_or(expected, LoadedFrom::end),
        };
        if zeros {
            self.found.changed = true;
        }
        if self.trouble.is_some() || expected < needed {
            self.lose(len, needed.max(expected))?;
        }
        self.found.lost_to = needed.max(self.found.end);
        Ok(())
    }

    /// Leaves what follows as it is.
    fn stop(&mut self) -> Result<()> {
        self.found.stopped = true;
        self.found.lost_to = self.found.end;
        let end = end_of_nonzero(self.file, self.read_to, self.len)?;
        let Some(out) = &self.out else { return Ok(()) };
        let (from, at) = (self.read_to, self.written);
        in_chunks(self.file, from, end, |position, bytes| out.write_at(at + (position - from), bytes))
    }
}
