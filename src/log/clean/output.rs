//! Writing what stays of some segments as one, beside them, under names that no loader takes for anything finished.

use super::{
    plan::Source,
    sieve::Verdict,
    swap::{Replacement, unplaced},
};
use crate::{
    bugs::{self, Bug},
    env::{Open, Storage},
    error::Result,
    log::{LogConfig, interrupted::CLEANED, names::Kind, segment::Segment, txn_index::TxnIndex},
    record::{Batch, BatchHeader, emptied},
    types::Offset,
};

/// How much larger a segment may get by a cleaning, in bytes, beyond a quarter: horizons make batches longer.
const SLACK: u64 = 1 << 20;

/// A segment that is being written in place of others.
#[derive(Debug)]
pub(super) struct Output {
    segment: Segment,
    sources: Vec<Offset>,
    /// Whether it is another than its only source.
    changed: bool,
    /// The last batch, if it did not stay.
    dropped: Option<BatchHeader>,
    pub(super) bytes_before: u64,
}

impl Output {
    pub(super) fn begin(storage: &dyn Storage, config: &LogConfig, first: &Source) -> Result<Self> {
        let path = unplaced(&config.dir, first.base, Kind::Log, CLEANED);
        storage.remove_file(&path)?;
        let most = u64::from(config.settings.segment_bytes).max(first.size);
        let file = storage.open(&path, Open::Append { capacity: most + most / 4 + SLACK })?;
        Ok(Self {
            segment: Segment::over(config, first.base, file),
            sources: Vec::new(),
            changed: false,
            dropped: None,
            bytes_before: 0,
        })
    }

    /// Whether a segment's batches may come behind those that are there: its file, its offsets and its index are small enough.
    pub(super) fn has_room_for(&self, storage: &dyn Storage, config: &LogConfig, source: &Source) -> bool {
        let settings = &config.settings;
        let last = source.next.since(self.segment.base()) - 1;
        let indexable = || {
            let sizes = self.segment.index_sizes().into_iter().zip(source.index_bytes(storage, config));
            let most = u64::from(settings.segment_index_bytes);
            sizes.into_iter().all(|(written, more)| written.saturating_add(more) <= most)
        };
        self.segment.size() + source.size <= u64::from(settings.segment_bytes)
            && i32::try_from(last).is_ok()
            && indexable()
    }

    pub(super) fn add(&mut self, source: &Source) {
        self.sources.push(source.base);
        self.bytes_before += source.size;
    }

    pub(super) fn take(
        &mut self,
        batch: &Batch<'_>,
        verdict: &Verdict,
        anew: &[u8],
        interval: u32,
    ) -> Result<()> {
        self.changed |= !matches!(verdict, Verdict::Copy);
        self.dropped = None;
        match verdict {
            Verdict::Copy => self.segment.append(batch.bytes(), batch.header(), interval),
            Verdict::Anew(header) => self.segment.append(anew, header, interval),
            Verdict::Empty => self.append_emptied(batch.header(), interval),
            Verdict::Drop => {
                self.dropped = Some(*batch.header());
                Ok(())
            }
        }
    }

    fn append_emptied(&mut self, header: &BatchHeader, interval: u32) -> Result<()> {
        let (bytes, header) = emptied(header);
        self.segment.append(&bytes, &header, interval)
    }

    /// Makes it durable. `None` if it is just its only source: then nothing is left of it. The last batch stays, be it
    /// without records: so positions reach the end, and a loader sees what all of it replaces.
    pub(super) fn finish(
        mut self,
        storage: &dyn Storage,
        config: &LogConfig,
        aborted: &TxnIndex,
        cuts: u64,
    ) -> Result<Option<Replacement>> {
        let base = self.segment.base();
        if let Some(header) = self.dropped.take() {
            self.append_emptied(&header, config.settings.index_interval_bytes)?;
        }
        if !self.changed && self.sources.len() == 1 {
            storage.remove_file(&unplaced(&config.dir, base, Kind::Log, CLEANED))?;
            return Ok(None);
        }
        self.segment.note_largest_timestamp();
        self.segment.trim()?;
        let sync = !bugs::is(Bug::SwapBeforeSync);
        if sync {
            self.segment.file().sync()?;
        }
        let [index, times] = self.segment.index_files();
        let mut kinds = vec![Kind::Log];
        for (kind, bytes) in
            [(Kind::Index, index), (Kind::TimeIndex, times), (Kind::TxnIndex, aborted.encode())]
        {
            if kind == Kind::TxnIndex && bytes.is_empty() {
                continue;
            }
            let file = storage.open(&unplaced(&config.dir, base, kind, CLEANED), Open::Write)?;
            file.set_len(0)?;
            file.write_at(0, &bytes)?;
            if sync {
                file.sync()?;
            }
            kinds.push(kind);
        }
        Ok(Some(Replacement::new(config.dir.clone(), self.segment, self.sources, kinds, cuts)))
    }

    pub(super) fn base(&self) -> Offset {
        self.segment.base()
    }

    /// Removes what was written.
    pub(super) fn abandon(&self, storage: &dyn Storage, config: &LogConfig) {
        super::swap::remove_unplaced(storage, &config.dir, self.segment.base(), CLEANED);
    }
}
