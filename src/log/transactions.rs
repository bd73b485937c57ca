//! Which transactions a log's readers may not see: producer state at the log's end, and aborted transactions by segment.
//! Both are derived from the log. Snapshots, which have checksums, spare reading it from its start; a `.txnindex` has
//! none, and is made anew when a segment's is first asked for.

use super::{
    Log, LogConfig,
    names::{Kind, base_of, segment_file},
    producers::Producers,
    scan::{Found, Scanner},
    snapshot,
    txn_index::TxnIndex,
};
use crate::{
    env::{File, Open, Storage, read_file},
    error::Result,
    record::{Batch, BatchHeader},
    rpc::AbortedTransaction,
    types::Offset,
};
use std::{path::PathBuf, sync::Arc};

/// A snapshot has 46 bytes for each producer.
const SNAPSHOT_LIMIT: u64 = 1 << 30;

/// What a segment's markers say.
#[derive(Debug, Clone, Default)]
pub(super) struct Transactions {
    index: TxnIndex,
    /// Where the oldest transaction begins that is open at the segment's end.
    first_open: Option<Offset>,
    /// The producers at the segment's end, as far as their transactions need them.
    producers: Producers,
    /// Whether the file says the same.
    persisted: bool,
}

impl Log {
    /// Rule 29: where consumers of what is committed stop.
    #[inline]
    pub(crate) fn last_stable(&mut self, high_watermark: Offset) -> Offset {
        self.producers.last_stable(high_watermark)
    }

    /// Takes in a batch that was appended just now.
    #[cold]
    pub(super) fn note_producer(&mut self, header: &BatchHeader, batch: &[u8]) {
        let marker = Batch::unchecked(batch).and_then(|batch| batch.marker());
        self.producers.append(header, marker);
        let of_transaction = header.attributes.is_transactional() || header.attributes.is_control();
        // Read anew when it is next asked for. What is of no transaction changes nothing.
        if let Some(base) = self.segments.keys().next_back().filter(|_| of_transaction) {
            self.transactions.remove(base);
        }
    }

    /// The aborted transactions of which records may lie from `from` to `below` (exclusive).
    pub(crate) fn aborted(&mut self, from: Offset, below: Offset) -> Result<Vec<AbortedTransaction>> {
        let mut aborted = Vec::new();
        let mut base = self.segment_of(from).filter(|_| from < below);
        while let Some(at) = base {
            let transactions = self.transactions_of(at)?;
            let complete = transactions.index.collect(from, below, &mut aborted);
            let open = transactions.first_open.is_some_and(|first| first < below);
            let next = self.segments.range(at.plus(1)..).next().map(|(base, _)| *base);
            base = next.filter(|next| !complete && (*next < below || open));
        }
        Ok(aborted)
    }

    fn transactions_of(&mut self, base: Offset) -> Result<&Transactions> {
        if !self.transactions.contains_key(&base) {
            let producers = self.producers_at(base)?;
            let size = self.segment(base)?.size();
            let file = Arc::clone(self.segment(base)?.file());
            let transactions = derive(&*file, size, producers)?;
            self.transactions.insert(base, transactions);
            // Kafka reads the file; nobody here does.
            self.unflushed.insert(base);
        }
        Ok(self.transactions.entry(base).or_default())
    }

    /// The producers as they were where a segment begins.
    fn producers_at(&mut self, base: Offset) -> Result<Producers> {
        if let Some(producers) = read_snapshot(&*self.storage, &self.config, base)? {
            return Ok(producers);
        }
        match self.segments.range(..base).next_back().map(|(before, _)| *before) {
            Some(before) => Ok(self.transactions_of(before)?.producers.clone()),
            None => Ok(Producers::default()),
        }
    }

    /// Takes up the producers as they are at the log's end: from the newest snapshot, and what follows it.
    pub(super) fn load_producers(&mut self) -> Result<()> {
        let end = self.end();
        let names = self.storage.list(&self.config.dir)?.unwrap_or_default();
        let mut known: Vec<Offset> =
            names.iter().filter_map(|entry| base_of(entry.name.strip_suffix(".snapshot")?)).collect();
        known.sort_unstable();
        for beyond in known.iter().filter(|offset| **offset > end) {
            self.storage.remove_file(&segment_file(&self.config.dir, *beyond, Kind::Snapshot))?;
        }
        let mut from = self.segments.keys().next().copied().unwrap_or(end);
        for offset in known.iter().rev().copied().filter(|offset| *offset <= end && *offset >= from) {
            if let Some(producers) = read_snapshot(&*self.storage, &self.config, offset)? {
                (self.producers, from) = (producers, offset);
                break;
            }
        }
        // What was taken between two segments is of use only as long as it is the newest.
        let stray = known.iter().filter(|at| **at < end && **at != from && !self.segments.contains_key(at));
        for at in stray {
            self.storage.remove_file(&segment_file(&self.config.dir, *at, Kind::Snapshot))?;
        }
        self.replay_producers(from, end)
    }

    /// As `load_producers`, of a log that has another end by now.
    pub(super) fn reload_producers(&mut self) -> Result<()> {
        let end = self.end();
        self.producers = Producers::default();
        let last = self.segments.keys().next_back().copied();
        self.transactions.retain(|base, _| Some(*base) < last);
        self.snapshots.retain(|path, _| *path <= segment_file(&self.config.dir, end, Kind::Snapshot));
        self.load_producers()
    }

    pub(super) fn transactions_persisted(&mut self, files: &[(Offset, PathBuf, Vec<u8>)]) {
        for (base, _, bytes) in files {
            if let Some(known) =
                self.transactions.get_mut(base).filter(|known| known.index.encode() == *bytes)
            {
                known.persisted = true;
            }
        }
    }

    fn replay_producers(&mut self, from: Offset, end: Offset) -> Result<()> {
        let mut base = self.segment_of(from);
        while let Some(at) = base.filter(|_| from < end) {
            let (size, known, file) = {
                let segment = self.segment(at)?;
                (segment.size(), segment.has_no_producers_from(from), Arc::clone(segment.file()))
            };
            base = self.segments.range(at.plus(1)..).next().map(|(base, _)| *base);
            if known {
                continue;
            }
            each_batch(&*file, size, |header, bytes| {
                if header.base_offset >= from && header.producer_id >= 0 {
                    let marker = Batch::unchecked(bytes).and_then(|batch| batch.marker());
                    self.producers.append(header, marker);
                }
            })?;
        }
        Ok(())
    }

    /// Has the next flush write the producers as they are now.
    pub(super) fn take_snapshot(&mut self) {
        let path = segment_file(&self.config.dir, self.end(), Kind::Snapshot);
        self.snapshots.insert(path, snapshot::encode(&self.producers));
    }

    /// The transaction index files that a flush is to write, whole.
    pub(super) fn txn_index_files(&self) -> Vec<(Offset, PathBuf, Vec<u8>)> {
        let touched = self.unflushed.iter().chain(self.segments.keys().next_back());
        let file = |base: &Offset| {
            let known = self.transactions.get(base).filter(|known| !known.persisted)?;
            Some((*base, segment_file(&self.config.dir, *base, Kind::TxnIndex), known.index.encode()))
        };
        touched.filter_map(file).collect()
    }

    /// Sees to it that the index files of the segments that a flush closes say what was aborted in them.
    pub(super) fn derive_transactions(&mut self) -> Result<()> {
        if self.producers.is_empty() {
            return Ok(());
        }
        let active = self.segments.keys().next_back().copied();
        let touched: Vec<Offset> = self.unflushed.iter().copied().chain(active).collect();
        touched.into_iter().try_for_each(|base| self.transactions_of(base).map(drop))
    }
}

fn read_snapshot(storage: &dyn Storage, config: &LogConfig, at: Offset) -> Result<Option<Producers>> {
    let path = segment_file(&config.dir, at, Kind::Snapshot);
    // One that cannot be one is as good as none.
    let bytes = read_file(storage, &path, SNAPSHOT_LIMIT).ok().flatten();
    Ok(bytes.and_then(|bytes| snapshot::decode(&bytes)))
}

fn derive(file: &dyn File, size: u64, mut producers: Producers) -> Result<Transactions> {
    let mut index = TxnIndex::default();
    each_batch(file, size, |header, bytes| {
        if header.producer_id < 0 {
            return;
        }
        let marker = Batch::unchecked(bytes).and_then(|batch| batch.marker());
        if let Some(ended) = producers.append(header, marker).filter(|ended| ended.aborted) {
            let stable = producers.last_stable_after(&ended);
            index.push(ended.producer_id, ended.first_offset, ended.last_offset, stable);
        }
    })?;
    producers.forget_windows();
    Ok(Transactions { index, first_open: producers.first_open(), producers, persisted: false })
}

/// Goes through a segment's batches, up to the first that is damaged: who reads that one is told.
fn each_batch(file: &dyn File, size: u64, mut then: impl FnMut(&BatchHeader, &[u8])) -> Result<()> {
    let mut scanner = Scanner::new(file, 0, size);
    while let Found::Batch(header) = scanner.next()? {
        then(&header, scanner.last(&header));
    }
    Ok(())
}

/// Writes a small file whole; none where there is nothing to say.
pub(super) fn write_whole(storage: &dyn Storage, path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return storage.remove_file(path);
    }
    let file = storage.open(path, Open::Write)?;
    file.set_len(0)?;
    file.write_at(0, bytes)?;
    file.sync()
}
