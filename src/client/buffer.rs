//! What was fetched of a partition and not handed out yet.

use super::{record_at::RecordAt, records::Part};
use crate::{
    env::Bytes,
    error::{Error, Result},
    record::{Batch, BatchError, BatchHeader, ControlMarker, Place},
    rpc::{AbortedTransaction, Fetched},
    types::{IsolationLevel, Offset, TopicPartition},
};
use std::{collections::BTreeSet, sync::Arc};

#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Bytes,
    /// Where the next batch begins.
    at: usize,
    /// The batch at `at`, as long as records of it are left.
    begun: Option<Begun>,
    /// How large a batch may be without its compression.
    limit: usize,
    /// When it was fetched.
    high_watermark: Offset,
    transactions: Option<Transactions>,
}

/// A batch of which some records were taken. All of it was checked.
#[derive(Debug)]
struct Begun {
    /// Of the record that is next.
    next: Place,
    /// The batch without its compression, if it has one.
    inflated: Option<Bytes>,
}

/// What became of the transactions whose records are met (rules 28, 30 and 31).
#[derive(Debug)]
struct Transactions {
    /// The aborted ones that are still to come, the last one first.
    to_come: Vec<AbortedTransaction>,
    /// Producers within a transaction that was aborted.
    aborted: BTreeSet<i64>,
}

/// The least that a record takes in a batch, in bytes: seven numbers of one byte each.
const MIN_RECORD: usize = 7;

/// What is wrong with a batch, and where the next one is, as far as there is telling.
type Bad = (BatchError, Option<Offset>);

/// Where a consumer stands: the next offset, and the leader epoch of the record before it.
type Position = (Offset, i32);

/// What a batch has given.
struct Given {
    position: Position,
    /// Records of it are left, if so.
    begun: Option<Begun>,
    /// Where it ends in the buffer.
    end: usize,
}

impl Buffer {
    pub(super) fn new(fetched: Fetched, isolation: IsolationLevel, limit: usize) -> Self {
        let transactions = (isolation == IsolationLevel::ReadCommitted).then(|| {
            let mut to_come = fetched.aborted;
            to_come.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
            Transactions { to_come, aborted: BTreeSet::new() }
        });
        let (bytes, high_watermark) = (fetched.records, fetched.high_watermark);
        Self { bytes, at: 0, begun: None, limit, high_watermark, transactions }
    }

    /// Takes up to `limit` records from the position on, and moves it behind them (rules 4 and 6). Says whether nothing is
    /// left.
    pub(super) fn take(
        &mut self,
        of: &TopicPartition,
        next: &mut Position,
        limit: usize,
    ) -> Result<(Option<Part>, bool)> {
        let bytes = self.bytes.clone();
        let memory: &[u8] = &bytes;
        let mut taken = Taken::new(&bytes, memory, limit);
        let mut exhausted = false;
        while taken.records.len() < limit {
            let rest = memory.get(self.at..).unwrap_or_default();
            let given = match self.begun.take() {
                Some(begun) => Ok(self.go_on(begun, rest, *next, &mut taken)),
                None => self.begin(rest, *next, &mut taken),
            };
            match given {
                Ok(Some(given)) => {
                    *next = given.position;
                    self.at = if given.begun.is_none() { given.end } else { self.at };
                    self.begun = given.begun;
                }
                Ok(None) => {
                    exhausted = true;
                    break;
                }
                Err(_) if !taken.records.is_empty() => break,
                Err((error, behind)) => return Err(bad(of, next.0, &error, behind)),
            }
        }
        Ok((taken.into_part(of, *next), exhausted))
    }

    /// Checks the next batch, and takes what is wanted of it; `None` at the end, where a batch may be cut short.
    fn begin(&mut self, rest: &[u8], next: Position, taken: &mut Taken<'_>) -> Result<Option<Given>, Bad> {
        if rest.is_empty() {
            return Ok(None);
        }
        let batch = match Batch::check(rest) {
            Ok(batch) => batch,
            Err(BatchError::TooShort { .. }) if self.at > 0 => return Ok(None),
            Err(error) => return Err((error, self.behind_damage(rest))),
        };
        let header = *batch.header();
        let with_next = |error| (error, Some(header.next_offset()));
        let inflated = batch.inflate(self.limit).map_err(with_next)?.map(Bytes::from);
        let wanted = if self.skips(&batch) { 0 } else { taken.left() };
        let left = match &inflated {
            None => taken.add(&batch, 0, next.0, wanted),
            Some(inflated) => {
                let chunk = if wanted > 0 { taken.chunk(inflated) } else { 0 };
                Batch::unchecked(inflated).map_or(Ok(None), |batch| taken.add(&batch, chunk, next.0, wanted))
            }
        };
        let left = left.map_err(with_next)?;
        Ok(Some(self.given(&header, next, left.filter(|_| wanted > 0), inflated, taken)))
    }

    /// Takes what is wanted of a batch of which some was taken before.
    fn go_on(&self, begun: Begun, rest: &[u8], next: Position, taken: &mut Taken<'_>) -> Option<Given> {
        let header = BatchHeader::parse(rest).ok()?;
        let left = match &begun.inflated {
            None => taken.add_from(&Batch::unchecked(rest)?, 0, begun.next),
            Some(inflated) => {
                let chunk = taken.chunk(inflated);
                taken.add_from(&Batch::unchecked(inflated)?, chunk, begun.next)
            }
        };
        Some(self.given(&header, next, left, begun.inflated, taken))
    }

    fn given(
        &self,
        header: &BatchHeader,
        next: Position,
        left: Option<Place>,
        inflated: Option<Bytes>,
        taken: &Taken<'_>,
    ) -> Given {
        let end = self.at + header.size;
        let epoch = header.leader_epoch.0;
        match left {
            Some(left) => {
                let behind = taken.records.last().map_or(next.0, |last| last.offset.plus(1));
                Given { position: (behind, epoch), begun: Some(Begun { next: left, inflated }), end }
            }
            None => Given { position: (header.next_offset(), epoch), begun: None, end },
        }
    }

    /// Whether nobody gets the records of a batch: of a marker, or of a transaction that was aborted.
    fn skips(&mut self, batch: &Batch<'_>) -> bool {
        let header = batch.header();
        if let Some(transactions) = &mut self.transactions
            && header.producer_id >= 0
        {
            transactions.reach(header.last_offset());
            if header.attributes.is_control() {
                if batch.marker().is_some_and(ControlMarker::is_abort) {
                    transactions.aborted.remove(&header.producer_id);
                }
                return true;
            }
            return header.attributes.is_transactional()
                && transactions.aborted.contains(&header.producer_id);
        }
        header.attributes.is_control()
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

/// The records of a part, and the memory that they lie in.
struct Taken<'b> {
    /// The first one is the buffer's; the others are of batches that had to be uncompressed.
    chunks: Vec<Bytes>,
    memory: &'b [u8],
    records: Vec<RecordAt>,
    limit: usize,
}

impl<'b> Taken<'b> {
    fn new(bytes: &Bytes, memory: &'b [u8], limit: usize) -> Self {
        Self { chunks: vec![bytes.clone()], memory, records: Vec::new(), limit }
    }

    /// How many more are wanted.
    fn left(&self) -> usize {
        self.limit - self.records.len()
    }

    /// Takes memory in, and gives its number.
    fn chunk(&mut self, memory: &Bytes) -> u32 {
        self.chunks.push(memory.clone());
        self.chunks.len() as u32 - 1
    }

    /// Checks all records of a batch, which lies in the buffer or is a chunk, and adds those from an offset on, `wanted` of
    /// them at most. Says where the first one is that was too many. None is added if the batch is not as it should be.
    fn add(
        &mut self,
        batch: &Batch<'_>,
        chunk: u32,
        from: Offset,
        wanted: usize,
    ) -> Result<Option<Place>, BatchError> {
        let memory = if chunk == 0 { self.memory } else { batch.bytes() };
        let (before, header) = (self.records.len(), batch.header());
        if before == 0 {
            self.records.reserve(wanted.min(self.guess(header)));
        }
        let records = &mut self.records;
        let mut left = None;
        let checked = batch.visit(|record, place| {
            if record.offset < from {
            } else if records.len() - before < wanted {
                records.push(RecordAt::of(record, header, (chunk, memory)));
            } else {
                left.get_or_insert(place);
            }
        });
        if checked.is_err() {
            self.records.truncate(before);
        }
        checked.map(|_| left)
    }

    /// How many records there are, if all batches are like this one; never more than there can be.
    fn guess(&self, header: &BatchHeader) -> usize {
        let batches = self.memory.len() / header.size.max(1) + 1;
        batches.saturating_mul(header.record_count as usize).min(self.memory.len() / MIN_RECORD)
    }

    /// As `add`, from a place on, where all was checked before.
    fn add_from(&mut self, batch: &Batch<'_>, chunk: u32, place: Place) -> Option<Place> {
        let memory = if chunk == 0 { self.memory } else { batch.bytes() };
        let mut records = batch.records_from(place);
        let wanted = self.left();
        let header = batch.header();
        self.records.extend(records.by_ref().take(wanted).map(|r| RecordAt::of(&r, header, (chunk, memory))));
        records.place()
    }

    fn into_part(self, of: &TopicPartition, next: Position) -> Option<Part> {
        let Self { chunks, records, .. } = self;
        (!records.is_empty()).then(|| Part {
            partition: of.clone(),
            chunks: chunks.into(),
            records: Arc::new(records),
            next,
        })
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
