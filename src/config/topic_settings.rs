//! What holds of a topic in the end: its settings, read and checked, with the defaults filled in.

use super::{TopicConfig, keys::Refused};
use crate::{
    error::{Error, Result},
    types::{CleanupPolicy, Compression, Durability, TimestampType},
};
use std::time::Duration;

impl TopicConfig {
    /// What holds, with the defaults filled in.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for a value out of its range.
    pub(crate) fn settings(&self) -> Result<TopicSettings> {
        if let Some(refused) = self.refused() {
            return Err(refused.clone().into());
        }
        let settings = TopicSettings {
            segment_bytes: self.number("segment.bytes", 1024..=i64::from(i32::MAX))? as u32,
            index_interval_bytes: self.number("index.interval.bytes", 0..=i64::from(i32::MAX))? as u32,
            max_message_bytes: self.number("max.message.bytes", 61..=i64::from(i32::MAX))? as usize,
            flush_messages: self.number("flush.messages", 1..=i64::MAX)?,
            flush_interval: self.duration("flush.ms")?,
            retention_time: self.duration("retention.ms")?,
            retention_bytes: u64::try_from(self.number("retention.bytes", -1..=i64::MAX)?).ok(),
            cleanup_policy: self.cleanup()?,
            segment_ms: self.number("segment.ms", 1..=i64::MAX)?,
            min_dirty_ratio: self.ratio("min.cleanable.dirty.ratio")?,
            min_compaction_lag: self.number("min.compaction.lag.ms", 0..=i64::MAX)?,
            max_compaction_lag: self.number("max.compaction.lag.ms", 1..=i64::MAX)?,
            delete_retention: self.number("delete.retention.ms", 0..=i64::MAX)?,
            segment_index_bytes: self.number("segment.index.bytes", 4..=i64::from(i32::MAX))? as u32,
            file_delete_delay: self.duration("file.delete.delay.ms")?,
            compression: self.codec()?,
            timestamp_type: self.stamp()?,
            timestamp_before_max: self.duration("message.timestamp.before.max.ms")?,
            timestamp_after_max: self.duration("message.timestamp.after.max.ms")?,
            min_insync_replicas: self.number("min.insync.replicas", 1..=i64::from(i16::MAX))? as usize,
            unclean_leader_election: self.flag("unclean.leader.election.enable")?,
            plain: false,
        };
        let settings = settings.with_lags()?;
        let plain = settings.compression.is_none()
            && settings.timestamp_type == TimestampType::CreateTime
            && settings.timestamp_before_max == Duration::MAX
            && !settings.cleanup_policy.compacts();
        Ok(TopicSettings { plain, ..settings })
    }

    fn cleanup(&self) -> Result<CleanupPolicy> {
        let value = self.value("cleanup.policy");
        let mut words: Vec<&str> = value.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        words.sort_unstable();
        words.dedup();
        match *words {
            [] => Ok(CleanupPolicy::None),
            ["delete"] => Ok(CleanupPolicy::Delete),
            ["compact"] => Ok(CleanupPolicy::Compact),
            ["compact", "delete"] => Ok(CleanupPolicy::CompactDelete),
            _ => Err(invalid("cleanup.policy", &value, "compact, delete, both with a comma, or nothing")),
        }
    }

    /// `None`: as the producer made it.
    fn codec(&self) -> Result<Option<Compression>> {
        let value = self.value("compression.type");
        Ok(Some(match &*value {
            "producer" => return Ok(None),
            "uncompressed" => Compression::None,
            "gzip" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "lz4" => Compression::Lz4,
            "zstd" => Compression::Zstd,
            _ => {
                let reason = "producer, uncompressed, gzip, snappy, lz4 or zstd";
                return Err(invalid("compression.type", &value, reason));
            }
        }))
    }

    fn stamp(&self) -> Result<TimestampType> {
        let value = self.value("message.timestamp.type");
        match &*value {
            "CreateTime" => Ok(TimestampType::CreateTime),
            "LogAppendTime" => Ok(TimestampType::LogAppendTime),
            _ => Err(invalid("message.timestamp.type", &value, "CreateTime or LogAppendTime")),
        }
    }

    fn flag(&self, key: &str) -> Result<bool> {
        let value = self.value(key);
        value.parse().map_err(|_| invalid(key, &value, "true or false"))
    }

    fn value(&self, key: &str) -> String {
        self.get(key).map_or_else(|| default_of(key), ToOwned::to_owned)
    }

    fn number(&self, key: &str, range: std::ops::RangeInclusive<i64>) -> Result<i64> {
        let value = self.value(key);
        let number = value.parse().ok().filter(|n| range.contains(n));
        number
            .ok_or_else(|| invalid(key, &value, &format!("{} to {} is allowed", range.start(), range.end())))
    }

    fn ratio(&self, key: &str) -> Result<f64> {
        let value = self.value(key);
        let ratio = value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or_else(|| invalid(key, &value, "0 to 1 is allowed"))
    }

    fn duration(&self, key: &str) -> Result<Duration> {
        let ms = self.number(key, -1..=i64::MAX)?;
        Ok(match u64::try_from(ms) {
            Ok(ms) if ms < i64::MAX as u64 => Duration::from_millis(ms),
            _ => Duration::MAX,
        })
    }
}

/// What holds where nothing is set.
pub(super) const DEFAULTS: [(&str, &str); 21] = [
    ("segment.bytes", "1073741824"),
    ("index.interval.bytes", "4096"),
    ("max.message.bytes", "1048588"),
    ("retention.ms", "604800000"),
    ("flush.messages", "9223372036854775807"),
    ("flush.ms", "1000"),
    ("retention.bytes", "-1"),
    ("cleanup.policy", "delete"),
    ("segment.ms", "604800000"),
    ("segment.index.bytes", "10485760"),
    ("file.delete.delay.ms", "60000"),
    ("compression.type", "producer"),
    ("message.timestamp.type", "CreateTime"),
    ("message.timestamp.before.max.ms", "9223372036854775807"),
    ("message.timestamp.after.max.ms", "3600000"),
    ("min.cleanable.dirty.ratio", "0.5"),
    ("min.compaction.lag.ms", "0"),
    ("max.compaction.lag.ms", "9223372036854775807"),
    ("delete.retention.ms", "86400000"),
    ("min.insync.replicas", "1"),
    ("unclean.leader.election.enable", "false"),
];

pub(super) fn default_of(key: &str) -> String {
    DEFAULTS.iter().find(|(name, _)| *name == key).map_or("", |(_, value)| value).to_owned()
}

pub(super) fn invalid(key: &str, value: &str, reason: &str) -> Error {
    Refused::new(key, value, reason).into()
}

/// A topic's settings with the defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TopicSettings {
    pub(crate) segment_bytes: u32,
    pub(crate) index_interval_bytes: u32,
    pub(crate) max_message_bytes: usize,
    pub(crate) flush_messages: i64,
    pub(crate) flush_interval: Duration,
    pub(crate) retention_time: Duration,
    /// `None`: without end.
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) cleanup_policy: CleanupPolicy,
    /// How far the timestamps of a segment's records may lie apart.
    pub(crate) segment_ms: i64,
    /// Of the closed segments' bytes, that may be dirty, 0 to 1.
    pub(crate) min_dirty_ratio: f64,
    /// These three in ms; [`i64::MAX`] is for ever.
    pub(crate) min_compaction_lag: i64,
    pub(crate) max_compaction_lag: i64,
    pub(crate) delete_retention: i64,
    pub(crate) segment_index_bytes: u32,
    pub(crate) file_delete_delay: Duration,
    /// `None`: as the producer made it.
    pub(crate) compression: Option<Compression>,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) timestamp_before_max: Duration,
    pub(crate) timestamp_after_max: Duration,
    pub(crate) min_insync_replicas: usize,
    pub(crate) unclean_leader_election: bool,
    plain: bool,
}

impl TopicSettings {
    /// Sees to it that records get as old as they must before they are cleaned, and no older than they may.
    fn with_lags(mut self) -> Result<Self> {
        if self.min_compaction_lag > self.max_compaction_lag {
            let reason = format!("at most max.compaction.lag.ms, {}, is allowed", self.max_compaction_lag);
            return Err(invalid("min.compaction.lag.ms", &self.min_compaction_lag.to_string(), &reason));
        }
        if self.cleanup_policy.compacts() {
            self.segment_ms = self.segment_ms.min(self.max_compaction_lag);
        }
        Ok(self)
    }

    /// Whether batches are appended as they come, and nothing is asked of their records but that they are not ahead of
    /// the broker's clock.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// What every record of the topic is promised.
    pub(crate) fn durability(&self) -> Durability {
        if self.flush_messages == 1 { Durability::Flushed } else { Durability::Buffered }
    }
}
