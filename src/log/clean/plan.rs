//! What of a log can be cleaned: whole segments from its start on, that are flushed and wholly below the last stable offset
//! (rule 42), and old enough. A record that is not flushed yet must not make one go that is.

use crate::{
    env::{File, Open, Storage},
    error::{Error, Result},
    log::{
        LeaderEpochs, Log, LogConfig,
        names::{Kind, segment_file},
        offset_index, time_index,
    },
    types::{Offset, Timestamp},
};
use std::{collections::BTreeMap, io::ErrorKind, sync::Arc};

/// How much a log is in need of cleaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dirt {
    /// The bytes that nobody has cleaned yet, of all that can be cleaned: 0 to 1.
    pub(crate) ratio: f64,
    /// Whether that is more than the topic lets be, or a record is older than it may be.
    pub(crate) is_due: bool,
}

/// What a cleaning is to read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) config: LogConfig,
    pub(super) epochs: LeaderEpochs,
    /// All segments below the end of what can be cleaned, in order.
    pub(super) sources: Vec<Source>,
    /// Nobody has cleaned what lies here and further up.
    pub(super) dirty_from: Offset,
    /// Of each producer, its last batch of data, if it has one, and its epoch.
    pub(super) producers: BTreeMap<i64, (Option<Offset>, i16)>,
    pub(super) now: Timestamp,
    /// How often the log was cut by then.
    pub(super) cuts: u64,
}

/// A segment that takes no more records.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) base: Offset,
    /// Where the next one begins.
    pub(super) next: Offset,
    pub(super) size: u64,
    /// Whether it is known that no batch in it is of a producer with an id.
    pub(super) plain: bool,
    file: Option<Arc<dyn File>>,
}

impl Log {
    /// Up to where the log is cleaned, exclusive, as it is noted: less, where a cleaning in another build would do more.
    pub(crate) fn cleaned_noted(&self) -> Option<Offset> {
        let least = self.clean.opaque_from.map_or(self.clean.to, |opaque| opaque.min(self.clean.to));
        Some(least).filter(|cleaned| *cleaned > self.log_start)
    }

    /// Takes up what was noted. What cannot be so says nothing: then the log is cleaned from its start on.
    pub(crate) fn take_up_cleaned(&mut self, noted: Option<Offset>) {
        let there = self.log_start..=self.end();
        self.clean.to = noted.filter(|noted| there.contains(noted)).unwrap_or(self.log_start);
    }

    /// Whether segments wait to be cleaned, be it now or later.
    pub(crate) fn awaits_cleaning(&self) -> bool {
        let last_closed = self.segments.keys().rev().nth(1);
        self.config.settings.cleanup_policy.compacts()
            && self.poison.is_none()
            && last_closed.is_some_and(|base| *base >= self.clean.to)
    }

    /// Where the segments end that can be cleaned, by what is known without reading them. `None` if there are none.
    fn cleanable_end(&mut self, now: Timestamp, high_watermark: Offset) -> Result<Option<Offset>> {
        if !self.config.settings.cleanup_policy.compacts() || self.poison.is_some() || !self.config.gaps {
            return Ok(None);
        }
        let Some(active) = self.segments.keys().next_back().copied() else { return Ok(None) };
        let limit = self.last_stable(high_watermark).min(self.recovery_point).min(active);
        let Some(mut end) = self.segment_of(limit) else { return Ok(None) };
        let lag = self.config.settings.min_compaction_lag;
        if lag > 0 {
            let dirty = self.segment_of(self.clean.to).unwrap_or(self.clean.to);
            let bases: Vec<Offset> =
                self.segments.range(dirty..end.max(dirty)).map(|(base, _)| *base).collect();
            for base in bases {
                if self.largest_as_known(base)? > now.as_millis().saturating_sub(lag) {
                    end = base;
                    break;
                }
            }
        }
        Ok(Some(end).filter(|end| self.segments.range(..*end).next().is_some()))
    }

    /// The largest timestamp of a segment as its time index says: the cleaning itself looks at the log.
    fn largest_as_known(&mut self, base: Offset) -> Result<i64> {
        match self.largest_of_closed(base) {
            Some(known) => Ok(known),
            None => Ok(self.segment(base)?.largest().0),
        }
    }

    /// How much there is to clean; `None`: nothing.
    pub(crate) fn dirt(&mut self, now: Timestamp, high_watermark: Offset) -> Result<Option<Dirt>> {
        let Some(end) = self.cleanable_end(now, high_watermark)? else { return Ok(None) };
        let bases: Vec<Offset> = self.segments.range(..end).map(|(base, _)| *base).collect();
        let (mut clean, mut dirty, mut oldest) = (0, 0, i64::MAX);
        let max_lag = self.config.settings.max_compaction_lag;
        for base in bases {
            let size = self.bytes_of(base)?;
            if base < self.clean.to {
                clean += size;
                continue;
            }
            dirty += size;
            if max_lag < i64::MAX {
                let first = self.segment(base)?.first_timestamp();
                oldest = oldest.min(first.filter(|first| *first >= 0).unwrap_or(i64::MAX));
            }
        }
        if dirty == 0 {
            return Ok(None);
        }
        let ratio = dirty as f64 / (clean + dirty) as f64;
        let is_overdue = oldest < now.as_millis().saturating_sub(max_lag);
        Ok(Some(Dirt { ratio, is_due: is_overdue || ratio > self.config.settings.min_dirty_ratio }))
    }

    /// Notes what a cleaning is to read; `None` if nothing can be cleaned.
    pub(super) fn plan_cleaning(&mut self, now: Timestamp, high_watermark: Offset) -> Result<Option<Plan>> {
        let Some(end) = self.cleanable_end(now, high_watermark)? else { return Ok(None) };
        let bases: Vec<Offset> = self.segments.range(..=end).map(|(base, _)| *base).collect();
        let mut sources = Vec::new();
        for (base, next) in bases.iter().zip(bases.iter().skip(1)) {
            let size = self.bytes_of(*base)?;
            let open = self.segments.get(base).and_then(Option::as_ref);
            let plain = open.is_some_and(|segment| segment.has_no_producers_from(*base));
            let file = open.map(|segment| Arc::clone(segment.file()));
            sources.push(Source { base: *base, next: *next, size, plain, file });
        }
        let last = |producer: &super::super::producers::Producer| {
            (Some(Offset::new(producer.last_offset)).filter(|at| *at >= Offset::ZERO), producer.epoch)
        };
        Ok(Some(Plan {
            config: self.config.clone(),
            epochs: self.epochs.clone(),
            sources,
            dirty_from: self.clean.to.min(end),
            producers: self.producers.entries().map(|(id, producer)| (*id, last(producer))).collect(),
            now,
            cuts: self.clean.cuts,
        }))
    }
}

impl Source {
    /// Its file; `None` if it was removed meanwhile.
    pub(super) fn open(
        &mut self,
        storage: &dyn Storage,
        config: &LogConfig,
    ) -> Result<Option<Arc<dyn File>>> {
        if self.file.is_none() {
            match storage.open(&segment_file(&config.dir, self.base, Kind::Log), Open::Read) {
                Ok(file) => self.file = Some(file),
                Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(self.file.clone())
    }

    /// How many bytes its index files have: where there is none, what brooklet would write.
    pub(super) fn index_bytes(&self, storage: &dyn Storage, config: &LogConfig) -> [u64; 2] {
        let entries = self.size / (u64::from(config.settings.index_interval_bytes) + 1) + 1;
        let of = |kind, entry: usize| {
            let path = segment_file(&config.dir, self.base, kind);
            let len = storage.open(&path, Open::Read).and_then(|file| file.len());
            len.unwrap_or(entries * entry as u64)
        };
        [of(Kind::Index, offset_index::ENTRY), of(Kind::TimeIndex, time_index::ENTRY)]
    }
}
