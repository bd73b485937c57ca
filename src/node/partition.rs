//! A partition as a broker keeps it: its log, and who waits for it.

use super::{
    counts::Counts,
    group_commit::{Claim, GroupCommit},
    parked::Waiter,
    replication::{Acknowledgements, Role, Starts},
};
use crate::{
    bugs::{self, Bug},
    config::TopicSettings,
    env::{Clock, Storage},
    error::{Error, Result},
    log::{Extent, Flush, LoadedFrom, Log, LogConfig},
    rpc::PartitionRef,
    sync::{AtomicI64, Mutex, MutexGuard, Ordering},
    trace,
    types::{Durability, Instant, Offset, TopicId, TopicPartition},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) topic_id: TopicId,
    name: TopicPartition,
    storage: Arc<dyn Storage>,
    /// Tells how long a flush takes.
    clock: Clock,
    state: Mutex<State>,
    /// Claimed while the log is synced.
    flushing: GroupCommit,
    /// What was synced lies below, exclusive; never ahead of what the log knows.
    durable: AtomicI64,
    /// How far consumers may read, exclusive, if a controller says who leads; [`ALONE`] else.
    watermark: AtomicI64,
}

/// No high watermark but what the log itself tells.
const ALONE: i64 = i64::MIN;

#[derive(Debug)]
pub(super) struct State {
    /// The settings in it are those of the topic now.
    config: LogConfig,
    log: LogState,
    waiting: Vec<Weak<dyn Waiter>>,
    pub(super) role: Role,
    /// Who waits for all replicas to have a record.
    pub(super) acknowledgements: Acknowledgements,
    /// Where the followers' logs begin.
    pub(super) starts: Starts,
    /// When it is looked next at whether the followers keep up.
    pub(super) replicas_due: Instant,
    /// Whether a background flush is on its way.
    pub(super) flush_armed: bool,
    /// But for the segments that an open log has rolled.
    pub(super) counts: Counts,
}

#[derive(Debug)]
enum LogState {
    /// There is no directory yet: it is made at the first append.
    Absent,
    Open(Box<Log>),
    Closed(Error),
}

impl Partition {
    /// A partition with its log, or `None` for one that is yet to be made.
    pub(super) fn new(
        (storage, clock): (&Arc<dyn Storage>, &Clock),
        topic_id: TopicId,
        config: LogConfig,
        log: Option<Log>,
    ) -> Arc<Self> {
        let durable = log.as_ref().map_or(0, |log| log.synced().get());
        let (role, watermark) = match config.replicated {
            true => (Role::NOBODY, log.as_ref().map_or(0, |log| log.start().get())),
            false => (Role::Alone, ALONE),
        };
        let log = log.map_or(LogState::Absent, |log| LogState::Open(Box::new(log)));
        Arc::new(Self {
            topic_id,
            name: config.partition.clone(),
            storage: Arc::clone(storage),
            clock: clock.clone(),
            state: Mutex::new(State {
                config,
                log,
                waiting: Vec::new(),
                role,
                acknowledgements: Acknowledgements::default(),
                starts: Starts::default(),
                replicas_due: Instant::MAX,
                flush_armed: false,
                counts: Counts::default(),
            }),
            flushing: GroupCommit::default(),
            durable: AtomicI64::new(durable),
            watermark: AtomicI64::new(watermark),
        })
    }

    /// The same partition without a log: what is known of this one's is another's matter.
    pub(super) fn anew(&self) -> Arc<Self> {
        let config = self.lock().config.clone();
        Self::new((&self.storage, &self.clock), self.topic_id, config, None)
    }

    pub(super) fn name(&self) -> &TopicPartition {
        &self.name
    }

    /// Whether a client that names `of` means this one.
    #[inline]
    pub(super) fn is(&self, of: &PartitionRef) -> bool {
        self.topic_id == of.topic_id && self.name().partition() == of.partition
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// Whether `at_most` records, or more, lie unflushed below `end`.
    #[inline]
    pub(super) fn owes_flush(&self, end: Offset, at_most: i64) -> bool {
        end.get() - self.durable.load(Ordering::Relaxed) >= at_most
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The offset below which consumers may read, exclusive: what all replicas in sync have; of the only copy, what is flushed,
    /// where all is promised to be.
    #[inline]
    pub(super) fn high_watermark(&self, log: &Log) -> Offset {
        match log.settings().durability() {
            _ if self.is_replicated() && !bugs::is(Bug::ReadAboveHighWatermark) => {
                self.known_watermark().min(log.end())
            }
            Durability::Flushed => log.durable(),
            Durability::Buffered => log.end(),
        }
    }

    /// Whether a controller says who leads it.
    #[inline]
    pub(super) fn is_replicated(&self) -> bool {
        self.watermark.load(Ordering::Acquire) != ALONE
    }

    /// The high watermark of a replicated one, as its leader knows it, or as that has told.
    pub(super) fn known_watermark(&self) -> Offset {
        Offset::new(self.watermark.load(Ordering::Acquire).max(0))
    }

    /// Called under the lock.
    pub(super) fn set_watermark(&self, to: Offset) {
        if self.is_replicated() {
            self.watermark.fetch_max(to.get(), Ordering::AcqRel);
        }
    }

    /// The log was cut off at `end`, and what was synced behind it is gone. Called under the lock.
    pub(super) fn cut(&self, end: Offset) {
        self.durable.fetch_min(end.get(), Ordering::AcqRel);
        self.watermark.fetch_min(end.get(), Ordering::AcqRel);
    }

    /// Makes durable all that is below `up_to` now (exclusive), if it is not yet. Callers that come while another
    /// syncs share the next sync.
    pub(super) fn flush(&self, up_to: Offset, extent: Extent) -> Result<()> {
        let is_done = || extent == Extent::Records && self.durable.load(Ordering::Acquire) >= up_to.get();
        if is_done() {
            return Ok(());
        }
        let Some(mut claim) = self.flushing.claim(is_done) else { return Ok(()) };
        claim.gather();
        let flush = {
            let mut state = self.lock();
            let Some(log) = state.log_if_any()? else { return Ok(()) };
            if extent == Extent::Records && log.synced() >= up_to {
                return Ok(());
            }
            log.begin_flush(extent)?
        };
        let (result, took) = self.run(&flush);
        let mut state = self.lock();
        state.counts.flush(result.is_err(), took);
        let Some(log) = state.log_if_any()? else { return Ok(()) };
        if let Err(error) = log.end_flush(&flush, result) {
            drop(state);
            drop(claim);
            trace::flush_failed(&self.name, &error);
            return Err(error);
        }
        self.durable.store(log.synced().get(), Ordering::Release);
        let woken = match state.settings().durability() {
            Durability::Flushed => state.take_waiting(),
            Durability::Buffered => Vec::new(),
        };
        drop(state);
        woken.into_iter().for_each(|waiter| waiter.look_again());
        Ok(())
    }

    /// Syncs, and says how long that took.
    fn run(&self, flush: &Flush) -> (Result<()>, Duration) {
        let begun = self.clock.now();
        let result = flush.run(&*self.storage);
        (result, self.clock.now().since(begun))
    }

    /// Has other settings hold from now on. Where readers are to get only what is flushed, what they could get before is
    /// flushed first: a high watermark does not go back. An error is that of this flush, and does not keep the settings
    /// from holding.
    pub(super) fn alter(&self, settings: &TopicSettings, gaps: bool) -> Result<()> {
        let _no_flush = self.hold_flushes();
        let mut state = self.lock();
        let promises = settings.durability() > state.config.settings.durability();
        state.config.settings = settings.clone();
        state.config.gaps |= gaps;
        let State { log: LogState::Open(log), counts, .. } = &mut *state else { return Ok(()) };
        let flushed = if promises { self.flush_held(log, counts) } else { Ok(()) };
        log.alter(settings.clone(), gaps);
        let woken = state.take_waiting();
        drop(state);
        woken.into_iter().for_each(|waiter| waiter.look_again());
        flushed
    }

    /// Syncs the records while nobody can append.
    fn flush_held(&self, log: &mut Log, counts: &mut Counts) -> Result<()> {
        let flush = log.begin_flush(Extent::Records)?;
        let (result, took) = self.run(&flush);
        counts.flush(result.is_err(), took);
        log.end_flush(&flush, result)?;
        self.durable.store(log.synced().get(), Ordering::Release);
        Ok(())
    }

    /// Waits until no flush is under way, and lets none begin.
    pub(super) fn hold_flushes(&self) -> Option<Claim<'_>> {
        self.flushing.claim(|| false)
    }

    /// Ends the use of the log: what comes later gets `why`. `None` if there was no log.
    pub(super) fn take_log(&self, why: Error) -> Option<Box<Log>> {
        let _no_flush = self.hold_flushes();
        let mut state = self.lock();
        state.counts = state.counts();
        let log = std::mem::replace(&mut state.log, LogState::Closed(why));
        let woken = state.take_waiting();
        drop(state);
        woken.into_iter().for_each(|waiter| waiter.look_again());
        if let LogState::Open(log) = log { Some(log) } else { None }
    }
}

impl State {
    pub(super) fn name(&self) -> &TopicPartition {
        &self.config.partition
    }

    /// Those of the topic now.
    pub(super) fn settings(&self) -> &TopicSettings {
        &self.config.settings
    }

    /// All that was done since the broker was opened.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.counts;
        if let LogState::Open(log) = &self.log {
            counts.segments_rolled += log.rolls();
        }
        counts
    }

    /// The log, to be appended to; made now if there is none.
    pub(super) fn log_to_append(&mut self, partition: &Partition) -> Result<&mut Log> {
        if matches!(self.log, LogState::Absent) {
            super::directory::write_partition_metadata(
                &*partition.storage,
                &self.config.dir,
                partition.topic_id,
            )?;
            let (log, _) =
                Log::open(&partition.storage, self.config.clone(), LoadedFrom::New, Some(Offset::ZERO))?;
            self.log = LogState::Open(Box::new(log));
        }
        self.log_if_any()?.ok_or(Error::Closed)
    }

    /// Whether there is a log.
    pub(super) fn has_log(&self) -> bool {
        matches!(self.log, LogState::Open(_))
    }

    /// The log, to be read; `None` where nothing was ever appended.
    pub(super) fn log_if_any(&mut self) -> Result<Option<&mut Log>> {
        match &mut self.log {
            LogState::Open(log) => Ok(Some(log)),
            LogState::Absent => Ok(None),
            LogState::Closed(why) => Err(why.clone()),
        }
    }

    /// What the broker is to the partition, with the log, if it is there to be read.
    pub(super) fn role_and_log(&mut self) -> (&Role, Option<&mut Log>) {
        let log = if let LogState::Open(log) = &mut self.log { Some(&mut **log) } else { None };
        (&self.role, log)
    }

    /// Whether there is something to flush, for which no flush is on its way yet.
    pub(super) fn arm_if_dirty(&mut self) -> bool {
        let dirty = matches!(&self.log, LogState::Open(log) if log.is_dirty());
        dirty && !std::mem::replace(&mut self.flush_armed, true)
    }

    /// Who waited for something new.
    pub(super) fn take_waiting(&mut self) -> Vec<Arc<dyn Waiter>> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.waiting).iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn wait(&mut self, waiter: Weak<dyn Waiter>) {
        self.waiting.retain(|waiting| waiting.strong_count() > 0);
        self.waiting.push(waiter);
    }
}
