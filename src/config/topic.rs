//! A topic's settings: what the user set, and what holds in the end.

use super::{
    keys::Refused,
    topic_settings::{DEFAULTS, default_of, invalid},
};
use crate::{
    error::{Error, Result},
    types::{CleanupPolicy, Compression, Durability, TimestampType, millis},
};
use std::{collections::BTreeMap, time::Duration};

/// The most partitions that one topic may have.
const MAX_PARTITIONS: i32 = 100_000;

/// What a topic is made with. Whatever is not set has Kafka's default, but for `flush_interval`, which is 1 s: an
/// embedded broker has no replicas behind it.
///
/// The settings are checked by the call that uses them.
///
/// ```
/// use brooklet::TopicConfig;
/// let config = TopicConfig::new().partitions(3).segment_bytes(64 << 20);
/// assert_eq!(config.get("segment.bytes"), Some("67108864"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use]
pub struct TopicConfig {
    partitions: Option<i32>,
    replication_factor: Option<i16>,
    values: BTreeMap<String, String>,
    /// The first name that was refused.
    refused: Option<Refused>,
}

impl TopicConfig {
    /// All defaults.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicConfig::new().get("segment.bytes"), None);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// How many partitions, 1 to 100,000. Default 1.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().partitions(12);
    /// ```
    pub fn partitions(mut self, count: i32) -> Self {
        self.partitions = Some(count);
        self
    }

    /// On how many brokers each partition is kept, 1 up to as many as there are. An embedded broker is one: more is refused
    /// with [`Error::InvalidReplicationFactor`]. Default: three, or all where there
    /// are fewer (Kafka: one).
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().partitions(12).replication_factor(3);
    /// ```
    pub fn replication_factor(mut self, brokers: i16) -> Self {
        self.replication_factor = Some(brokers);
        self
    }

    /// With how many replicas in sync, the leader among them, a record that is sent with [`Acks::All`](crate::Acks::All) is
    /// taken, 1 up. With fewer it is refused with [`Error::NotEnoughReplicas`], and the high
    /// watermark stands still. More than the topic has replicas counts as all of them. Default 1.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicConfig::new().min_insync_replicas(2).get("min.insync.replicas"), Some("2"));
    /// ```
    pub fn min_insync_replicas(self, replicas: i16) -> Self {
        self.with("min.insync.replicas", replicas)
    }

    /// Whether a replica that may lack acknowledged records becomes the leader where no other is left: records are lost then,
    /// for being available. (`unclean.leader.election.enable`) Default: no.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().unclean_leader_election(true);
    /// assert_eq!(config.get("unclean.leader.election.enable"), Some("true"));
    /// ```
    pub fn unclean_leader_election(self, allowed: bool) -> Self {
        self.with("unclean.leader.election.enable", allowed)
    }

    /// The largest size of a segment file, in bytes; at least 1024. Default 1 GiB.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicConfig::new().segment_bytes(1 << 20).get("segment.bytes"), Some("1048576"));
    /// ```
    pub fn segment_bytes(self, bytes: u32) -> Self {
        self.with("segment.bytes", bytes)
    }

    /// How many bytes of log lie between two entries of its indexes, at least. Default 4096.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().index_interval_bytes(1024);
    /// ```
    pub fn index_interval_bytes(self, bytes: u32) -> Self {
        self.with("index.interval.bytes", bytes)
    }

    /// The largest record batch, in bytes with its header; a batch of just this size passes. Default 1,048,588.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// broker.create_topic("small", TopicConfig::new().max_message_bytes(100))?;
    /// let refused = broker.produce(Record::to("small").value(&[0; 100]));
    /// assert!(matches!(refused, Err(Error::MessageTooLarge { limit: 100, .. })));
    /// # Ok(()) }
    /// ```
    pub fn max_message_bytes(self, bytes: u32) -> Self {
        self.with("max.message.bytes", bytes)
    }

    /// How long a record is kept at least; [`Duration::MAX`] is for ever. Default 7 days.
    ///
    /// Whole segments go, when the youngest of their records is older than this. One whose records have no timestamps, as
    /// some that Kafka wrote, is as old as its file: on a [`ManualClock`](crate::ManualClock) files of a
    /// [`SimDisk`](crate::SimDisk) have that clock's times, real files the system's.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().retention_time(std::time::Duration::MAX);
    /// assert_eq!(config.get("retention.ms"), Some("-1"));
    /// ```
    pub fn retention_time(self, at_least: Duration) -> Self {
        self.with("retention.ms", duration_value(at_least))
    }

    /// How large a partition may grow before its oldest segments go, in bytes of log; [`u64::MAX`] is without end. Default
    /// without end. At least this much stays.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicConfig::new().retention_bytes(1 << 30).get("retention.bytes"), Some("1073741824"));
    /// ```
    pub fn retention_bytes(self, at_least: u64) -> Self {
        self.with("retention.bytes", i64::try_from(at_least).unwrap_or(-1))
    }

    /// What becomes of old records. Default [`CleanupPolicy::Delete`].
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().cleanup_policy(CleanupPolicy::None);
    /// ```
    pub fn cleanup_policy(self, policy: CleanupPolicy) -> Self {
        self.with(
            "cleanup.policy",
            match policy {
                CleanupPolicy::Delete => "delete",
                CleanupPolicy::Compact => "compact",
                CleanupPolicy::CompactDelete => "compact,delete",
                CleanupPolicy::None => "",
            },
        )
    }

    /// Which part of a compacted partition's closed segments, 0 to 1 by their bytes, may hold records that the cleaner has not seen
    /// yet: with more it is cleaned. Default 0.5. A lower one costs more reading and writing, and fewer superseded records stay.
    ///
    /// # Errors
    /// The call that uses the settings gives [`Error::InvalidConfig`] for what is not a number from 0 to 1.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().cleanup_policy(CleanupPolicy::Compact).min_cleanable_dirty_ratio(0.1);
    /// assert_eq!(config.get("min.cleanable.dirty.ratio"), Some("0.1"));
    /// ```
    pub fn min_cleanable_dirty_ratio(self, ratio: f64) -> Self {
        self.with("min.cleanable.dirty.ratio", ratio)
    }

    /// How old a record of a compacted topic is at least before the cleaner may remove it, or an older one for its sake: by the
    /// largest timestamp of its segment. Default 0. At most [`max_compaction_lag`](Self::max_compaction_lag).
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().min_compaction_lag(std::time::Duration::from_secs(3600));
    /// assert_eq!(config.get("min.compaction.lag.ms"), Some("3600000"));
    /// ```
    pub fn min_compaction_lag(self, at_least: Duration) -> Self {
        self.with(
            "min.compaction.lag.ms",
            if at_least == Duration::MAX { i64::MAX } else { millis(at_least) },
        )
    }

    /// How old a record of a compacted topic may grow before the cleaner sees to its partition, whatever its
    /// [`min_cleanable_dirty_ratio`](Self::min_cleanable_dirty_ratio); [`Duration::MAX`], the default, is without end. At least 1 ms. A
    /// compacted topic's segments span no more than this either, since the one that is appended to is not cleaned.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().max_compaction_lag(std::time::Duration::from_secs(24 * 3600));
    /// assert_eq!(config.get("max.compaction.lag.ms"), Some("86400000"));
    /// ```
    pub fn max_compaction_lag(self, at_most: Duration) -> Self {
        self.with("max.compaction.lag.ms", if at_most == Duration::MAX { i64::MAX } else { millis(at_most) })
    }

    /// How long a tombstone, a record without a value, stays in a compacted topic from its first cleaning on. Default 24 hours. A
    /// consumer that reads from the start and takes longer may get the record that was deleted, and not its tombstone.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().delete_retention(std::time::Duration::from_secs(3600));
    /// assert_eq!(config.get("delete.retention.ms"), Some("3600000"));
    /// ```
    pub fn delete_retention(self, at_least: Duration) -> Self {
        self.with("delete.retention.ms", if at_least == Duration::MAX { i64::MAX } else { millis(at_least) })
    }

    /// The longest span of record timestamps in one segment: a batch that is more than this younger than the first one
    /// begins another. Default 7 days.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().segment_time(std::time::Duration::from_secs(3600));
    /// assert_eq!(config.get("segment.ms"), Some("3600000"));
    /// ```
    pub fn segment_time(self, at_most: Duration) -> Self {
        self.with("segment.ms", if at_most == Duration::MAX { i64::MAX } else { millis(at_most) })
    }

    /// The largest size of a segment's index files, in bytes: a segment whose index is full is closed. At least 4. Default
    /// 10 MiB.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().segment_index_bytes(1 << 20);
    /// ```
    pub fn segment_index_bytes(self, bytes: u32) -> Self {
        self.with("segment.index.bytes", bytes)
    }

    /// How long the files of a segment that was removed stay on the disk, and the directories of a topic that was deleted.
    /// They have other names by then, and go with the next open at the latest. Default 60 s.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().file_delete_delay(std::time::Duration::ZERO);
    /// ```
    pub fn file_delete_delay(self, delay: Duration) -> Self {
        self.with("file.delete.delay.ms", millis(delay))
    }

    /// How the broker stores batches. By default it leaves them as their producer made them.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicConfig::new().compression(Compression::Zstd).get("compression.type"), Some("zstd"));
    /// assert_eq!(TopicConfig::new().compression(Compression::None).get("compression.type"), Some("uncompressed"));
    /// ```
    pub fn compression(self, codec: Compression) -> Self {
        match codec {
            Compression::None => self.with("compression.type", "uncompressed"),
            codec => self.with("compression.type", codec),
        }
    }

    /// Where the records' timestamps come from. Default [`TimestampType::CreateTime`].
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().timestamp_type(TimestampType::LogAppendTime);
    /// ```
    pub fn timestamp_type(self, from: TimestampType) -> Self {
        self.with("message.timestamp.type", from)
    }

    /// How far a record's timestamp may lie before the broker's clock; [`Duration::MAX`], the default, is without end.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().timestamp_before_max(std::time::Duration::from_secs(86_400));
    /// ```
    pub fn timestamp_before_max(self, at_most: Duration) -> Self {
        let ms = if at_most == Duration::MAX { i64::MAX } else { millis(at_most) };
        self.with("message.timestamp.before.max.ms", ms)
    }

    /// How far a record's timestamp may lie ahead of the broker's clock; [`Duration::MAX`] is without end. Default 1 hour.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().timestamp_after_max(std::time::Duration::from_secs(60));
    /// ```
    pub fn timestamp_after_max(self, at_most: Duration) -> Self {
        let ms = if at_most == Duration::MAX { i64::MAX } else { millis(at_most) };
        self.with("message.timestamp.after.max.ms", ms)
    }

    /// How far every record has come when its `produce` returns. Default [`Durability::Buffered`].
    ///
    /// With [`Durability::Flushed`] consumers, too, get only what is flushed, so that nothing that was read can
    /// vanish. Kafka's name for it is `flush.messages` = 1.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// broker.create_topic("payments", TopicConfig::new().durability(Durability::Flushed))?;
    /// assert_eq!(broker.produce(Record::to("payments"))?.durability, Durability::Flushed);
    /// # Ok(()) }
    /// ```
    pub fn durability(self, at_least: Durability) -> Self {
        let messages = match at_least {
            Durability::Flushed => 1,
            Durability::Buffered => i64::MAX,
        };
        self.with("flush.messages", messages)
    }

    /// With how many unflushed records in a partition it is flushed before the append is acknowledged that makes them so
    /// many, from 1 up. (`flush.messages`) Default: any number. 1 is [`Durability::Flushed`] of
    /// [`durability`](Self::durability), which sets the same; with more a power cut takes the last ones at most.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("clicks", TopicConfig::new().flush_messages(2))?;
    /// assert_eq!(broker.produce(Record::to("clicks"))?.durability, Durability::Buffered);
    /// assert_eq!(broker.produce(Record::to("clicks"))?.durability, Durability::Flushed);
    /// # Ok(()) }
    /// ```
    pub fn flush_messages(self, at_most: u64) -> Self {
        self.with("flush.messages", at_most)
    }

    /// How long an appended record may wait for the background flush; [`Duration::MAX`] is for ever. Default 1 s
    /// (Kafka: for ever).
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().flush_interval(std::time::Duration::from_millis(50));
    /// ```
    pub fn flush_interval(self, at_most: Duration) -> Self {
        self.with("flush.ms", if at_most == Duration::MAX { i64::MAX } else { millis(at_most) })
    }

    /// Sets a setting by Kafka's name to a value as text: what a file of settings holds. `num.partitions` is the number of
    /// partitions, `replication.factor` that of replicas; the other names are those of these methods with dots, as [`get`](Self::get) has them.
    ///
    /// # Errors
    /// The call that uses the settings gives [`Error::InvalidConfig`] for the first one that is not known, or that cannot have
    /// its value.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = TopicConfig::new().set("num.partitions", "3").set("segment.bytes", "1048576");
    /// assert_eq!(config, TopicConfig::new().partitions(3).segment_bytes(1 << 20));
    /// ```
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let refused = |reason: &str| Refused::new(key, value, reason);
        let wrong = match (key, value.trim().parse()) {
            ("num.partitions", Ok(count)) => return self.partitions(count),
            ("num.partitions", Err(_)) => refused("1 to 100000 is allowed"),
            ("replication.factor", Ok(brokers)) => {
                return self.replication_factor(i16::try_from(brokers).unwrap_or(i16::MAX));
            }
            ("replication.factor", Err(_)) => refused("1 to 32767 is allowed"),
            _ if DEFAULTS.iter().any(|(name, _)| *name == key) => return self.with(key, value.trim()),
            _ => refused("there is no such setting"),
        };
        self.refused.get_or_insert(wrong);
        self
    }

    /// What a setting was set to, by Kafka's name for it; `None` if it was not set here.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicConfig::new().segment_bytes(2048).get("segment.bytes"), Some("2048"));
    /// ```
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.values.insert(key.to_owned(), value.to_string());
        self
    }

    /// What was refused first of what was set by name.
    pub(super) fn refused(&self) -> Option<&Refused> {
        self.refused.as_ref()
    }

    /// The settings as stored, by Kafka's names.
    pub(crate) fn values(&self) -> &BTreeMap<String, String> {
        &self.values
    }

    /// What was stored.
    pub(crate) fn from_stored(partitions: i32, values: BTreeMap<String, String>) -> Self {
        Self { partitions: Some(partitions), replication_factor: None, values, refused: None }
    }

    /// The settings of the topic of committed offsets, as Kafka makes it.
    pub(crate) fn offsets_topic(partitions: i32) -> Self {
        Self::new().partitions(partitions).segment_bytes(100 << 20).cleanup_policy(CleanupPolicy::Compact)
    }

    /// These settings, and those of `defaults` where these have none.
    pub(crate) fn or(mut self, defaults: &Self) -> Self {
        self.partitions = self.partitions.or(defaults.partitions);
        self.replication_factor = self.replication_factor.or(defaults.replication_factor);
        for (key, value) in &defaults.values {
            self.values.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self
    }

    /// These settings, and what holds where these have none.
    pub(crate) fn with_defaults(self) -> Self {
        let values = DEFAULTS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.or(&Self { partitions: Some(1), replication_factor: None, values, refused: None })
    }

    /// The first setting that differs from that of `other`, where it is set here.
    pub(crate) fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let counts = self.partitions.filter(|n| other.partitions.unwrap_or(1) != *n);
        if let Some(count) = counts {
            let there = other.partitions.unwrap_or(1);
            return Some(("num.partitions".to_owned(), count.to_string(), there.to_string()));
        }
        self.values.iter().find_map(|(key, value)| {
            let there = other.get(key).map_or_else(|| default_of(key), ToOwned::to_owned);
            (there != *value).then(|| (key.clone(), value.clone(), there))
        })
    }

    /// On how many of `brokers` each partition is to be kept.
    pub(crate) fn replicas(&self, brokers: usize) -> Result<usize> {
        let wanted = self.replication_factor.map_or(Ok(brokers.clamp(1, 3)), usize::try_from);
        match wanted {
            Ok(replicas) if (1..=brokers).contains(&replicas) => Ok(replicas),
            _ => Err(Error::InvalidReplicationFactor {
                replication_factor: self.replication_factor.unwrap_or(1),
                brokers,
            }),
        }
    }

    pub(crate) fn partition_count(&self) -> Result<i32> {
        let count = self.partitions.unwrap_or(1);
        if (1..=MAX_PARTITIONS).contains(&count) {
            return Ok(count);
        }
        Err(invalid("num.partitions", &count.to_string(), "1 to 100000 is allowed"))
    }
}

/// Kafka's way to write a span: milliseconds, -1 for ever.
fn duration_value(span: Duration) -> i64 {
    if span == Duration::MAX { -1 } else { millis(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_kafkas_and_a_second_of_flush_interval() {
        let settings = TopicConfig::new().settings().unwrap();
        assert_eq!(settings.segment_bytes, 1 << 30);
        assert_eq!(settings.index_interval_bytes, 4096);
        assert_eq!(settings.max_message_bytes, 1_048_588);
        assert_eq!(settings.flush_interval, Duration::from_secs(1));
        assert_eq!(settings.retention_time, Duration::from_secs(7 * 24 * 3600));
        assert_eq!(settings.durability(), Durability::Buffered);
    }

    #[test]
    fn a_setting_out_of_its_range_is_refused_by_name() {
        let refused = |config: TopicConfig| match config.settings().and(config.partition_count().map(drop)) {
            Err(Error::InvalidConfig { key, .. }) => key,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(TopicConfig::new().segment_bytes(1023)), "segment.bytes");
        assert_eq!(refused(TopicConfig::new().segment_bytes(u32::MAX)), "segment.bytes");
        assert_eq!(refused(TopicConfig::new().partitions(0)), "num.partitions");
        assert_eq!(refused(TopicConfig::new().max_message_bytes(60)), "max.message.bytes");
        assert_eq!(
            refused(TopicConfig::new().set("segment.byte", "2048").set("retention.ms", "x")),
            "segment.byte"
        );
        assert_eq!(refused(TopicConfig::new().set("retention.ms", "x")), "retention.ms");
        assert_eq!(refused(TopicConfig::new().set("num.partitions", "many")), "num.partitions");
        for ratio in [-0.1, 1.1, f64::NAN] {
            let config = TopicConfig::new().min_cleanable_dirty_ratio(ratio);
            assert_eq!(refused(config), "min.cleanable.dirty.ratio");
        }
        assert_eq!(refused(TopicConfig::new().max_compaction_lag(Duration::ZERO)), "max.compaction.lag.ms");
        assert_eq!(refused(TopicConfig::new().set("delete.retention.ms", "-1")), "delete.retention.ms");
        let second = Duration::from_secs(1);
        let crossed = TopicConfig::new().min_compaction_lag(2 * second).max_compaction_lag(second);
        assert_eq!(refused(crossed), "min.compaction.lag.ms");
    }

    #[test]
    fn a_compacted_topics_segments_span_no_more_than_its_longest_lag() {
        let span = |policy, lag| {
            let config = TopicConfig::new().cleanup_policy(policy).max_compaction_lag(lag);
            config.settings().unwrap().segment_ms
        };
        let (week, minute) = (7 * 24 * 3_600_000, Duration::from_secs(60));
        assert_eq!(span(CleanupPolicy::Compact, minute), 60_000);
        assert_eq!(span(CleanupPolicy::Compact, Duration::MAX), week);
        assert_eq!(span(CleanupPolicy::Delete, minute), week);
        let settings = TopicConfig::new().settings().unwrap();
        assert_eq!((settings.min_dirty_ratio, settings.min_compaction_lag), (0.5, 0));
        assert_eq!((settings.max_compaction_lag, settings.delete_retention), (i64::MAX, 86_400_000));
    }

    #[test]
    fn for_ever_is_written_as_kafka_writes_it() {
        let config = TopicConfig::new().retention_time(Duration::MAX).flush_interval(Duration::MAX);
        assert_eq!(config.get("retention.ms"), Some("-1"));
        assert_eq!(
            config.settings().map(|s| (s.retention_time, s.flush_interval)).unwrap(),
            (Duration::MAX, Duration::MAX)
        );
    }

    #[test]
    fn a_difference_is_only_what_is_set_here() {
        let there = TopicConfig::new().partitions(3).segment_bytes(2048);
        assert_eq!(TopicConfig::new().difference(&there), None);
        assert_eq!(TopicConfig::new().partitions(3).index_interval_bytes(4096).difference(&there), None);
        assert!(TopicConfig::new().segment_bytes(4096).difference(&there).is_some());
        assert!(TopicConfig::new().partitions(2).difference(&there).is_some());
    }
}
