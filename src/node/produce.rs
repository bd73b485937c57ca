//! Produce: appends one batch to one partition, and answers when it is as durable as was asked for. Here the only
//! replica is the leader itself, so that every `acks` is reached by the append.

use super::{
    Node, Task, admin::OFFSETS_TOPIC, background::Job, partition::Partition, topics::with_partition,
};
use crate::{
    error::{Error, Result},
    log::Extent,
    record::ValidBatch,
    rpc::{Acks, ProduceRequest, ProduceResponse},
    sync::Ordering,
    types::{Durability, Timestamp, millis},
};
use std::{sync::Arc, time::Duration};

/// How far ahead of the broker's clock a record's timestamp may be (rule 36).
const TIMESTAMP_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The longest that the recovery point of a topic stays behind whose records are flushed one by one.
const CHECKPOINT_WITHIN: Duration = Duration::from_secs(1);

impl Node {
    #[inline]
    pub(super) fn handle_produce(
        &self,
        request: ProduceRequest<'_, '_>,
    ) -> Result<ProduceResponse, Box<Error>> {
        let Acks::All = request.acks;
        let ProduceRequest { partition, batch, durability, .. } = request;
        with_partition(&self.topics, &self.slots, partition, |partition| {
            if partition.name().topic() == OFFSETS_TOPIC {
                let (topic, reason) = (OFFSETS_TOPIC.to_owned(), "only groups write to it".to_owned());
                return Err(Box::new(Error::InvalidTopic { topic, reason }));
            }
            self.append(partition, batch, durability)
        })
    }

    /// Appends a batch, wakes who waits for it, and syncs it if that is promised.
    pub(super) fn append(
        &self,
        partition: &Arc<Partition>,
        batch: &mut ValidBatch<'_>,
        durability: Durability,
    ) -> Result<ProduceResponse, Box<Error>> {
        self.check_timestamp(batch.header().max_timestamp)?;
        let durability = durability.max(partition.durability());
        let mut state = partition.lock();
        let appended = state.log_to_append(partition)?.append(batch)?;
        let arm = !std::mem::replace(&mut state.flush_armed, true) || appended.rolled;
        let woken = match partition.durability() {
            Durability::Buffered => state.take_waiting(),
            Durability::Flushed => Vec::new(),
        };
        drop(state);
        if arm {
            self.arm_flush(partition, appended.rolled);
        }
        // A flush that comes next would write the pages that were made ready, for nothing.
        if appended.run_ahead && durability == Durability::Buffered {
            self.offer(Job::RunAhead(Arc::downgrade(partition)));
        }
        woken.iter().for_each(|fetch| fetch.look_again());
        let durability = if partition.owes_flush(appended.end) { Durability::Flushed } else { durability };
        if durability == Durability::Flushed {
            partition.flush(appended.end, Extent::Records)?;
        }
        Ok(ProduceResponse { base_offset: appended.base, durability })
    }

    /// Sees to a flush in the background: soon, if a segment was closed.
    pub(super) fn arm_flush(&self, partition: &Arc<Partition>, soon: bool) {
        let interval = partition.config().settings.flush_interval;
        let within = match partition.durability() {
            _ if soon => Duration::ZERO,
            Durability::Buffered => interval,
            Durability::Flushed => interval.min(CHECKPOINT_WITHIN),
        };
        self.timers.arm(self.clock.now().plus(within), Task::Flush(Arc::downgrade(partition)));
    }

    /// Rule 36. Reads the clock only if the last reading does not do.
    fn check_timestamp(&self, max_timestamp: i64) -> Result<()> {
        let limit_ms = millis(TIMESTAMP_AFTER_MAX);
        if max_timestamp <= self.last_wall.load(Ordering::Relaxed).saturating_add(limit_ms) {
            return Ok(());
        }
        let now = self.clock.wall();
        self.last_wall.store(now.as_millis(), Ordering::Relaxed);
        let timestamp = Timestamp::from_millis(max_timestamp);
        if timestamp > now + TIMESTAMP_AFTER_MAX {
            return Err(Error::InvalidTimestamp { timestamp, limit_ms });
        }
        Ok(())
    }
}
