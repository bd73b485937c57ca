//! Settings of a topic, drawn by a seed, as the broker gets them and as the model has them.

use crate::replay::Random;
use brooklet::{CleanupPolicy, Durability, TimestampType, TopicConfig};
use std::time::Duration;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Times are in ms, sizes in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) segment_bytes: u64,
    pub(crate) segment_ms: i64,
    pub(crate) index_interval: u64,
    pub(crate) index_bytes: usize,
    pub(crate) retention_ms: Option<i64>,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) deletes: bool,
    pub(crate) by_broker: bool,
    pub(crate) flushed: bool,
    /// Between two looks at retention.
    pub(crate) check_interval: Option<i64>,
}

pub(crate) fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

fn span(ms: i64) -> Duration {
    Duration::from_millis(ms as u64)
}

impl Settings {
    pub(crate) fn draw(random: &mut Random) -> Self {
        Self {
            segment_bytes: 1024 + random.below(3000),
            segment_ms: pick(random, &[5 * SECOND, MINUTE, HOUR, 7 * 24 * HOUR]),
            index_interval: pick(random, &[0, 100, 500, 4096]),
            index_bytes: pick(random, &[24, 72, 150, 10 << 20, 10 << 20]),
            retention_ms: pick(random, &[None, Some(10 * SECOND), Some(10 * MINUTE), Some(3 * HOUR)]),
            retention_bytes: pick(random, &[None, None, Some(0), Some(1000), Some(3000), Some(8000)]),
            deletes: random.below(8) > 0,
            by_broker: random.below(4) == 0,
            flushed: random.below(3) == 0,
            check_interval: pick(random, &[None, None, Some(7 * SECOND), Some(5 * MINUTE)]),
        }
    }

    pub(crate) fn config(&self, partitions: i32) -> TopicConfig {
        let kind = if self.by_broker { TimestampType::LogAppendTime } else { TimestampType::CreateTime };
        TopicConfig::new()
            .partitions(partitions)
            .segment_bytes(self.segment_bytes as u32)
            .segment_time(span(self.segment_ms))
            .index_interval_bytes(self.index_interval as u32)
            .segment_index_bytes(self.index_bytes as u32)
            .retention_time(self.retention_ms.map_or(Duration::MAX, span))
            .retention_bytes(self.retention_bytes.unwrap_or(u64::MAX))
            .cleanup_policy(if self.deletes { CleanupPolicy::Delete } else { CleanupPolicy::None })
            .timestamp_type(kind)
            .durability(if self.flushed { Durability::Flushed } else { Durability::Buffered })
    }

    /// How often the broker looks at retention.
    pub(crate) fn check_every(&self) -> Duration {
        self.check_interval.map_or(Duration::MAX, span)
    }
}
