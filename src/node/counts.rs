//! What is counted while a broker is at work. Appends count under their partition's lock, which they hold anyway; what comes
//! once a request, beside the appends, is an atomic of its own.

use crate::{
    record::ValidBatch,
    sync::{AtomicU64, Ordering},
};
use std::time::Duration;

/// What was done in a partition since the broker was opened.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) records_appended: u64,
    pub(super) batches_appended: u64,
    pub(super) bytes_appended: u64,
    pub(super) bytes_fetched: u64,
    pub(super) flushes: u64,
    pub(super) flush_failures: u64,
    pub(super) flush_time: Duration,
    pub(super) flush_time_max: Duration,
    pub(super) segments_rolled: u64,
    pub(super) segments_deleted: u64,
    pub(super) logs_cleaned: u64,
    pub(super) bytes_cleaned: u64,
}

impl Counts {
    #[inline]
    pub(super) fn append(&mut self, batch: &ValidBatch<'_>) {
        self.records_appended += u64::try_from(batch.header().record_count).unwrap_or_default();
        self.batches_appended += 1;
        self.bytes_appended += batch.bytes().len() as u64;
    }

    /// Counts a flush, and how long the disk took for it.
    pub(super) fn flush(&mut self, failed: bool, took: Duration) {
        self.flushes += 1;
        self.flush_failures += u64::from(failed);
        self.flush_time = self.flush_time.saturating_add(took);
        self.flush_time_max = self.flush_time_max.max(took);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.records_appended += other.records_appended;
        self.batches_appended += other.batches_appended;
        self.bytes_appended += other.bytes_appended;
        self.bytes_fetched += other.bytes_fetched;
        self.flushes += other.flushes;
        self.flush_failures += other.flush_failures;
        self.flush_time = self.flush_time.saturating_add(other.flush_time);
        self.flush_time_max = self.flush_time_max.max(other.flush_time_max);
        self.segments_rolled += other.segments_rolled;
        self.segments_deleted += other.segments_deleted;
        self.logs_cleaned += other.logs_cleaned;
        self.bytes_cleaned += other.bytes_cleaned;
    }
}

/// What was asked of a broker since it was opened.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Those that were appended are counted by their partitions.
    pub(super) produce_failures: Count,
    /// Those among them that were appended, and could not be flushed.
    pub(super) appended_failures: Count,
    /// Those that were in the log already.
    pub(super) duplicates: Count,
    pub(super) fetches: Count,
    pub(super) fetch_failures: Count,
    pub(super) offset_commits: Count,
    pub(super) offset_commit_failures: Count,
}

/// A number that goes up. It says nothing of what else was done by then.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
