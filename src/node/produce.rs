//! Produce: appends one batch to one partition, and answers when it is as durable, and on as many replicas, as was asked
//! for. Where the only replica is the leader itself, every `acks` is reached by the append.

use super::{
    Node, Task,
    background::Job,
    partition::{Partition, State},
    topics::with_partition,
};
use crate::{
    bugs::{self, Bug},
    config::TopicSettings,
    error::{Error, Result},
    log::{Extent, KnownBatch},
    record::{Batch, ValidBatch},
    rpc::{Answer, ProduceRequest, ProduceResponse},
    sync::{MutexGuard, Ordering},
    trace,
    types::{Acks, Durability, OFFSETS_TOPIC, Offset, Timestamp, TimestampType, millis},
};
use std::{sync::Arc, time::Duration};

/// The longest that the recovery point of a topic stays behind whose records are flushed one by one.
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(1);

/// A batch that is in the leader's log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Produced {
    pub(super) response: ProduceResponse,
    /// The log's end behind it, exclusive.
    pub(super) end: Offset,
    /// Whether it was there before.
    is_duplicate: bool,
}

impl Node {
    #[inline]
    pub(super) fn handle_produce(&self, request: ProduceRequest<'_, '_>) -> Answer<ProduceResponse> {
        let ProduceRequest { partition, batch, durability, acks, timeout } = request;
        let answered = with_partition(&self.topics, &self.slots, partition, |partition| {
            if partition.name().topic() == OFFSETS_TOPIC {
                let (topic, reason) = (OFFSETS_TOPIC.to_owned(), "only groups write to it".to_owned());
                return Err(Box::new(Error::InvalidTopic { topic, reason }));
            }
            let produced = self.append(partition, batch, (acks, durability))?;
            let at_once = produced.is_duplicate && bugs::is(Bug::AnswerDuplicateAtOnce);
            Ok(match acks {
                Acks::All if partition.is_replicated() && !at_once => {
                    self.when_replicated(partition, produced, self.clock.now().plus(timeout))
                }
                Acks::Zero | Acks::One | Acks::All => Answer::Ready(Ok(produced.response)),
            })
        });
        answered.unwrap_or_else(|error| Answer::Ready(Err(error)))
    }

    /// Appends a batch, wakes who waits for it, and syncs it if that is promised.
    pub(super) fn append(
        &self,
        partition: &Arc<Partition>,
        batch: &mut ValidBatch<'_>,
        asked: (Acks, Durability),
    ) -> Result<Produced, Box<Error>> {
        let state = partition.lock();
        if state.settings().is_plain() {
            self.check_not_ahead(batch.header().max_timestamp, state.settings())?;
            return self.append_checked(partition, state, batch, asked);
        }
        let settings = state.settings().clone();
        // What takes its time needs no lock.
        drop(state);
        self.check_records(batch, &settings)?;
        match settings.compression.filter(|codec| *codec != batch.header().attributes.codec()) {
            Some(codec) => {
                check_size(batch, &settings)?;
                let mut buffer = Vec::new();
                let recompressed = batch.recompress(codec, &mut buffer);
                let mut batch = recompressed.map_err(|error| Error::InvalidRecord(error.to_string()))?;
                self.append_checked(partition, partition.lock(), &mut batch, asked)
            }
            None => self.append_checked(partition, partition.lock(), batch, asked),
        }
    }

    fn append_checked(
        &self,
        partition: &Arc<Partition>,
        mut state: MutexGuard<'_, State>,
        batch: &mut ValidBatch<'_>,
        (acks, durability): (Acks, Durability),
    ) -> Result<Produced, Box<Error>> {
        state.check_takes(acks)?;
        let (promised, flush_messages) = (state.settings().durability(), state.settings().flush_messages);
        let durability = durability.max(promised);
        let by_broker = state.settings().timestamp_type == TimestampType::LogAppendTime;
        if batch.header().producer_id >= 0
            && let Some(known) = state.log_to_append(partition)?.find_duplicate(batch.header())?
        {
            drop(state);
            self.requests.duplicates.up();
            return self.appended_before(partition, &known, by_broker, durability);
        }
        // Under the lock, so that times do not go back within a log unless the calendar does.
        let log_append_time = by_broker.then(|| self.wall());
        if let Some(now) = log_append_time {
            batch.set_log_append_time(now);
        }
        let appended = state.log_to_append(partition)?.append(batch)?;
        state.counts.append(batch);
        let cleans = appended.rolled && state.settings().cleanup_policy.compacts();
        let arm = !std::mem::replace(&mut state.flush_armed, true) || appended.rolled;
        let woken = match promised {
            Durability::Flushed if !partition.is_replicated() => Vec::new(),
            Durability::Buffered | Durability::Flushed => state.take_waiting(),
        };
        let told = self.appended_as_leader(partition, &mut state, appended.end);
        drop(state);
        self.tell(told);
        if arm {
            self.arm_flush(partition, appended.rolled);
        }
        if cleans {
            self.clean_later();
        }
        // Groups append under their lock, and nobody is told anything under one.
        if appended.rolled && partition.name().topic() != OFFSETS_TOPIC {
            trace::segment_rolled(partition.name(), appended.base.get());
        }
        // A flush that comes next would write the pages that were made ready, for nothing.
        if appended.run_ahead && durability == Durability::Buffered {
            self.offer(Job::RunAhead(Arc::downgrade(partition)));
        }
        woken.into_iter().for_each(|waiter| waiter.look_again());
        let owed = partition.owes_flush(appended.end, flush_messages);
        let durability = if owed { Durability::Flushed } else { durability };
        if durability == Durability::Flushed && !bugs::is(Bug::AcknowledgeBeforeFlush) {
            let flushed = partition.flush(appended.end, Extent::Records);
            flushed.inspect_err(|_| self.requests.appended_failures.up())?;
        }
        let response = ProduceResponse { base_offset: appended.base, log_append_time, durability };
        Ok(Produced { response, end: appended.end, is_duplicate: false })
    }

    /// Rule 22: what a producer sends once more is where it is, and all that was promised of it holds once more.
    #[cold]
    fn appended_before(
        &self,
        partition: &Arc<Partition>,
        known: &KnownBatch,
        by_broker: bool,
        durability: Durability,
    ) -> Result<Produced, Box<Error>> {
        if durability == Durability::Flushed {
            partition.flush(known.end(), Extent::Records)?;
        }
        let stamped = || match bugs::is(Bug::StampDuplicatesAnew) {
            true => self.wall(),
            false => Timestamp::from_millis(known.timestamp),
        };
        let log_append_time = by_broker.then(stamped);
        let response = ProduceResponse { base_offset: known.base_offset(), log_append_time, durability };
        Ok(Produced { response, end: known.end(), is_duplicate: true })
    }

    /// Sees to a flush in the background: soon, if a segment was closed.
    pub(super) fn arm_flush(&self, partition: &Arc<Partition>, soon: bool) {
        let (interval, promised) = {
            let state = partition.lock();
            (state.settings().flush_interval, state.settings().durability())
        };
        let within = match promised {
            _ if soon => Duration::ZERO,
            Durability::Buffered => interval,
            Durability::Flushed => interval.min(CHECKPOINT_WITHIN),
        };
        self.timers.arm(self.clock.now().plus(within), Task::Flush(Arc::downgrade(partition)));
    }

    /// Rule 36. Reads the clock only if the last reading does not do.
    #[inline]
    fn check_not_ahead(&self, max_timestamp: i64, settings: &TopicSettings) -> Result<()> {
        let limit_ms = millis(settings.timestamp_after_max);
        if max_timestamp <= self.last_wall.load(Ordering::Relaxed).saturating_add(limit_ms) {
            return Ok(());
        }
        let now = self.wall();
        self.last_wall.store(now.as_millis(), Ordering::Relaxed);
        if max_timestamp > now.as_millis().saturating_add(limit_ms) {
            let timestamp = Timestamp::from_millis(max_timestamp);
            return Err(Error::InvalidTimestamp { timestamp, limit_ms });
        }
        Ok(())
    }

    /// What has to be asked of each record: rules 14 and 36.
    fn check_records(&self, batch: &ValidBatch<'_>, settings: &TopicSettings) -> Result<()> {
        let by_producer = settings.timestamp_type == TimestampType::CreateTime;
        if by_producer {
            self.check_not_ahead(batch.header().max_timestamp, settings)?;
        }
        let oldest = match settings.timestamp_before_max {
            Duration::MAX => i64::MIN,
            before => self.wall().as_millis().saturating_sub(millis(before)),
        };
        let keyed = settings.cleanup_policy.compacts();
        if !keyed && (!by_producer || oldest == i64::MIN) {
            return Ok(());
        }
        let inflated = batch.inflate().map_err(|error| Error::InvalidRecord(error.to_string()))?;
        let readable = Batch::unchecked(inflated.as_deref().unwrap_or(batch.bytes()));
        for record in readable.into_iter().flat_map(|batch| batch.records()) {
            if keyed && record.key.is_none() {
                let reason = "a record without a key, and the topic is compacted".to_owned();
                return Err(Error::InvalidRecord(reason));
            }
            if by_producer && record.timestamp.as_millis() < oldest {
                let limit_ms = millis(settings.timestamp_before_max);
                return Err(Error::InvalidTimestamp { timestamp: record.timestamp, limit_ms });
            }
        }
        Ok(())
    }
}

/// The limit holds for a batch as it was sent, and again, in the log, as it is stored.
fn check_size(batch: &ValidBatch<'_>, settings: &TopicSettings) -> Result<()> {
    let (size, limit) = (batch.bytes().len(), settings.max_message_bytes);
    if size > limit { Err(Error::MessageTooLarge { size, limit }) } else { Ok(()) }
}
