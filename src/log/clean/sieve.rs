//! Which records stay: the last one of each key, and what nobody knows to be superseded (rules 42 and 43).

use super::{fates::Fates, key_map::KeyMap};
use crate::{
    bugs::{self, Bug},
    record::{Batch, BatchError, BatchHeader, MAX_INFLATED, RecordRef, keep_records},
    types::Offset,
};
use std::collections::BTreeMap;

/// What becomes of a batch.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It stays as it is.
    Copy,
    /// It goes.
    Drop,
    /// It stays without its records.
    Empty,
    /// It is written anew, as the buffer has it.
    Anew(BatchHeader),
}

/// By what is decided which records of a log stay.
#[derive(Debug)]
pub(super) struct Sieve<'c> {
    pub(super) map: &'c KeyMap,
    /// The map knows the last offsets of keys below it, exclusive.
    pub(super) end: Offset,
    /// In ms, as the next.
    pub(super) now: i64,
    pub(super) delete_retention: i64,
    /// Of each producer, its last batch of data, if it has one, and its epoch.
    pub(super) producers: &'c BTreeMap<i64, (Option<Offset>, i16)>,
    pub(super) fates: &'c mut Fates,
    /// Whether a batch came by that this build cannot read: records of any key may be in it.
    pub(super) opaque: &'c mut bool,
}

/// Whether records of a batch can be read. An error is damage.
pub(super) fn inflated(batch: &Batch<'_>) -> Result<Option<Option<Vec<u8>>>, BatchError> {
    match batch.inflate(MAX_INFLATED) {
        Err(BatchError::UnsupportedCodec(_) | BatchError::InflatedTooLarge { .. }) => Ok(None),
        other => other.map(Some),
    }
}

impl Sieve<'_> {
    pub(super) fn judge(&mut self, batch: &Batch<'_>, buffer: &mut Vec<u8>) -> Result<Verdict, BatchError> {
        let header = batch.header();
        if header.base_offset >= self.end {
            return Ok(Verdict::Copy);
        }
        if header.attributes.is_control() {
            return self.judge_marker(batch, buffer);
        }
        if self.fates.is_aborted(header) {
            return Ok(self.without_records(header));
        }
        self.judge_data(batch, buffer)
    }

    /// A marker goes once nothing is left of its transaction, and its horizon has passed. (As in Kafka.)
    fn judge_marker(&mut self, batch: &Batch<'_>, buffer: &mut Vec<u8>) -> Result<Verdict, BatchError> {
        let header = batch.header();
        let is_over = self.fates.is_over(header, batch.marker());
        let has_horizon = header.attributes.has_delete_horizon();
        if header.record_count == 0 || (is_over && has_horizon && header.base_timestamp <= self.now) {
            return Ok(self.without_records(header));
        }
        if !is_over || has_horizon {
            return Ok(Verdict::Copy);
        }
        batch.check_records()?;
        self.anew(batch, header, Some(self.horizon()), buffer, false)
    }

    fn judge_data(&mut self, batch: &Batch<'_>, buffer: &mut Vec<u8>) -> Result<Verdict, BatchError> {
        let header = batch.header();
        let Some(inflated) = inflated(batch)? else {
            *self.opaque = true;
            return Ok(Verdict::Copy);
        };
        let Some(readable) = inflated.as_deref().map_or(Some(*batch), Batch::unchecked) else {
            return Err(BatchError::Compressed(header.attributes.codec()));
        };
        let has_horizon = header.attributes.has_delete_horizon();
        let (mut kept, mut has_tombstone) = (0, false);
        readable.visit(|record, _| {
            if self.keeps(header, record) {
                kept += 1;
                let is_tombstone = record.key.is_some() && record.value.is_none();
                has_tombstone |= is_tombstone && record.offset < self.end;
            }
        })?;
        if kept == 0 {
            return Ok(self.without_records(header));
        }
        let begins = has_tombstone && !has_horizon && !bugs::is(Bug::ForgetDeleteHorizon);
        let horizon = begins.then(|| self.horizon());
        let some_go = kept < header.record_count;
        if !some_go && horizon.is_none() {
            return Ok(Verdict::Copy);
        }
        self.anew(&readable, header, horizon, buffer, some_go)
    }

    /// A record without a key is superseded by none.
    fn keeps(&self, header: &BatchHeader, record: &RecordRef<'_>) -> bool {
        let Some(key) = record.key.filter(|_| record.offset < self.end) else { return true };
        let is_last = self.map.get(key).is_none_or(|last| record.offset >= last);
        is_last && (record.value.is_some() || !self.is_expired(header))
    }

    /// Whether the tombstones of a batch have lived for long enough. Behind a batch that cannot be read they stay: it may
    /// hold what they delete.
    fn is_expired(&self, header: &BatchHeader) -> bool {
        let passed = header.attributes.has_delete_horizon() && header.base_timestamp <= self.now;
        (passed || bugs::is(Bug::DropTombstonesAtOnce)) && !*self.opaque
    }

    fn horizon(&self) -> i64 {
        self.now.saturating_add(self.delete_retention)
    }

    fn anew(
        &self,
        readable: &Batch<'_>,
        header: &BatchHeader,
        horizon: Option<i64>,
        buffer: &mut Vec<u8>,
        some_go: bool,
    ) -> Result<Verdict, BatchError> {
        let keep = &mut |record: &RecordRef<'_>| header.attributes.is_control() || self.keeps(header, record);
        match keep_records(readable, header, horizon, keep, buffer) {
            // Its records cannot be counted from the horizon: its tombstones stay.
            Err(BatchError::TimestampRange { .. }) if horizon.is_some() && !some_go => Ok(Verdict::Copy),
            Err(BatchError::TimestampRange { .. }) if horizon.is_some() => {
                keep_records(readable, header, None, keep, buffer).map(Verdict::Anew)
            }
            written => written.map(Verdict::Anew),
        }
    }

    /// A producer's last batch stays, for its sequence: the producer goes on behind it.
    fn without_records(&self, header: &BatchHeader) -> Verdict {
        let is_last = self.producers.get(&header.producer_id).is_some_and(|(last, epoch)| match last {
            Some(last) => *last == header.last_offset(),
            None => header.attributes.is_control() && *epoch == header.producer_epoch,
        });
        match header.record_count {
            0 if is_last => Verdict::Copy,
            _ if is_last => Verdict::Empty,
            _ => Verdict::Drop,
        }
    }
}
