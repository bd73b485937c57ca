//! What was fetched of a partition and not handed out yet.

use super::records::Part;
use crate::{
    env::Bytes,
    error::{Error, Result},
    record::{Batch, BatchError, BatchHeader, ControlMarker},
    rpc::{AbortedTransaction, Fetched},
    types::{IsolationLevel, Offset, TopicPartition},
};
use std::collections::BTreeSet;

#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Bytes,
    /// Where the next batch begins.
    at: usize,
    /// Up to where batches were checked.
    checked: usize,
    /// The batch at `at` without its compression, as long as records of it are left.
    inflated: Option<Bytes>,
    /// How large that may be.
    limit: usize,
    /// When it was fetched.
    high_watermark: Offset,
    transactions: Option<Transactions>,
}

/// What became of the transactions whose records are met (rules 28, 30 and 31).
#[derive(Debug)]
struct Transactions {
    /// The aborted ones that are still to come, the last one first.
    to_come: Vec<AbortedTransaction>,
    /// Producers within a transaction that was aborted.
    aborted: BTreeSet<i64>,
}

/// A batch, as it lies in the buffer, and the memory that its records lie in.
struct Next {
    header: BatchHeader,
    /// Where the batch ends in the buffer.
    end: usize,
}

/// What is wrong with a batch, and where the next one is, as far as there is telling.
type Bad = (BatchError, Option<Offset>);

impl Buffer {
    pub(super) fn new(fetched: Fetched, isolation: IsolationLevel, limit: usize) -> Self {
        let transactions = (isolation == IsolationLevel::ReadCommitted).then(|| {
            let mut to_come = fetched.aborted;
            to_come.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
            Transactions { to_come, aborted: BTreeSet::new() }
        });
        let (bytes, high_watermark) = (fetched.records, fetched.high_watermark);
        Self { bytes, at: 0, checked: 0, inflated: None, limit, high_watermark, transactions }
    }

    /// Takes up to `limit` records from the position (offset, epoch) on, and moves it behind them (rules 4 and 6). Says
    /// whether nothing is left.
    pub(super) fn take(
        &mut self,
        of: &TopicPartition,
        next: &mut (Offset, i32),
        limit: usize,
    ) -> Result<(Option<Part>, bool)> {
        let from = next.0;
        let (mut chunks, mut len) = (Chunks::new(self.at), 0);
        let mut exhausted = false;
        while len < limit {
            let at = self.at;
            let Next { header, end } = match self.next() {
                Ok(Some(next)) => next,
                Ok(None) => {
                    exhausted = true;
                    break;
                }
                Err(_) if len > 0 => break,
                Err((error, behind)) => return Err(bad(of, next.0, &error, behind)),
            };
            let skipped = self.skips(at, &header);
            let (count, last) = if skipped { (0, None) } else { self.count(&header, next.0, limit - len) };
            chunks.add(&self.bytes, at, end, self.inflated.as_ref(), skipped);
            len += count;
            *next = match last {
                Some(last) => (last.plus(1), header.leader_epoch.0),
                None => {
                    (self.at, self.inflated) = (end, None);
                    (header.next_offset(), header.leader_epoch.0)
                }
            };
        }
        let chunks = chunks.finish(&self.bytes);
        let part = (len > 0).then(|| Part { partition: of.clone(), chunks, from, len, next: *next });
        Ok((part, exhausted))
    }

    /// How many records of the batch at hand lie at or behind `from`, `wanted` of them at most, and the last one of these if
    /// more follow.
    fn count(&self, header: &BatchHeader, from: Offset, wanted: usize) -> (usize, Option<Offset>) {
        let all = header.record_count as usize;
        if from <= header.base_offset && all <= wanted {
            return (all, None);
        }
        if header.is_dense() {
            let first = from.max(header.base_offset);
            let left = header.next_offset().get().saturating_sub(first.get());
            let left = usize::try_from(left).unwrap_or(0);
            return if left <= wanted { (left, None) } else { (wanted, Some(first.plus(wanted as i64 - 1))) };
        }
        let rest = self.inflated.as_deref().or(self.bytes.get(self.at..)).unwrap_or_default();
        let records = Batch::unchecked(rest).into_iter().flat_map(|batch| batch.records());
        let mut offsets = records.map(|record| record.offset).filter(|offset| *offset >= from);
        match offsets.by_ref().take(wanted).fold((0, None), |(n, _), offset| (n + 1, Some(offset))) {
            (n, last) if offsets.next().is_some() => (n, last),
            (n, _) => (n, None),
        }
    }

    /// Whether nobody gets the records of a batch: of a marker, or of a transaction that was aborted.
    fn skips(&mut self, at: usize, header: &BatchHeader) -> bool {
        if let Some(transactions) = &mut self.transactions
            && header.producer_id >= 0
        {
            transactions.reach(header.last_offset());
            if header.attributes.is_control() {
                let marker =
                    Batch::unchecked(self.bytes.get(at..).unwrap_or_default()).and_then(|b| b.marker());
                if marker.is_some_and(ControlMarker::is_abort) {
                    transactions.aborted.remove(&header.producer_id);
                }
                return true;
            }
            return header.attributes.is_transactional()
                && transactions.aborted.contains(&header.producer_id);
        }
        header.attributes.is_control()
    }

    /// The next batch, checked if it was not before; `None` at the end, where a batch may be cut short.
    fn next(&mut self) -> Result<Option<Next>, Bad> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        if self.at < self.checked {
            return Ok(BatchHeader::parse(rest)
                .ok()
                .map(|header| Next { end: self.at + header.size, header }));
        }
        let batch = match Batch::check(rest) {
            Ok(batch) => batch,
            Err(BatchError::TooShort { .. }) if self.at > 0 => return Ok(None),
            Err(error) => return Err((error, self.behind_damage(rest))),
        };
        let header = *batch.header();
        let with_next = |error| (error, Some(header.next_offset()));
        match batch.inflate(self.limit).map_err(with_next)? {
            None => batch.check_records().map_err(with_next)?,
            Some(inflated) => {
                let records = Batch::unchecked(&inflated).map_or(Ok(()), |batch| batch.check_records());
                records.map_err(with_next)?;
                self.inflated = Some(Bytes::from(inflated));
            }
        }
        let end = self.at + header.size;
        self.checked = end;
        Ok(Some(Next { header, end }))
    }

    /// Where to go on behind a batch with a wrong checksum, whose header need not be right: where the batch behind it
    /// begins, if one is there, and never beyond the records that there are.
    fn behind_damage(&self, rest: &[u8]) -> Option<Offset> {
        let header = BatchHeader::parse(rest).ok()?;
        let behind = BatchHeader::parse(rest.get(header.size..).unwrap_or_default());
        let next = behind.map_or(header.next_offset(), |behind| behind.base_offset);
        Some(next).filter(|next| *next <= self.high_watermark)
    }
}

impl Transactions {
    /// Takes in the aborted transactions that begin at `offset` or before.
    fn reach(&mut self, offset: Offset) {
        while let Some(transaction) = self.to_come.pop_if(|transaction| transaction.first_offset <= offset) {
            self.aborted.insert(transaction.producer_id);
        }
    }
}

/// The memory of a part: runs of batches as they lie in the buffer, and such as had to be uncompressed.
struct Chunks {
    chunks: Vec<Bytes>,
    /// Where the run begins that is not a chunk yet, and where it ends.
    run: (usize, usize),
}

impl Chunks {
    fn new(at: usize) -> Self {
        Self { chunks: Vec::new(), run: (at, at) }
    }

    fn add(&mut self, bytes: &Bytes, at: usize, end: usize, inflated: Option<&Bytes>, skipped: bool) {
        if !skipped && inflated.is_none() {
            self.run.1 = end;
            return;
        }
        self.end_run(bytes);
        self.run = (end, end);
        debug_assert!(at <= end, "a batch ends behind its start");
        self.chunks.extend(inflated.filter(|_| !skipped).cloned());
    }

    fn end_run(&mut self, bytes: &Bytes) {
        let (start, end) = self.run;
        if start < end {
            self.chunks.push(bytes.slice(start, end));
        }
    }

    fn finish(mut self, bytes: &Bytes) -> Vec<Bytes> {
        self.end_run(bytes);
        self.chunks
    }
}

fn bad(of: &TopicPartition, position: Offset, error: &BatchError, behind: Option<Offset>) -> Error {
    let next = behind.filter(|next| *next > position);
    let (partition, offset) = (of.clone(), position.get());
    let next_offset = next.unwrap_or(position.plus(1)).get();
    let reason = error.to_string();
    match error {
        BatchError::UnsupportedCodec(_) | BatchError::InflatedTooLarge { .. } => {
            Error::UnsupportedCompressionType { partition, offset, next_offset, reason }
        }
        _ => Error::CorruptMessage { partition, offset, next_offset, reason },
    }
}
