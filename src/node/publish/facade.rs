//! The names under which the numbers are published, and how they reach the recorder. [`BrokerMetrics`] has them in a table.

use super::super::{BrokerMetrics, TopicMetrics};
use Kind::{Counter, Gauge};
use Unit::{Bytes, Count, Microseconds};
use metrics::{Label, Unit};
use std::time::Duration;

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Goes up only.
    Counter,
    /// Says what is now.
    Gauge,
}

/// A number that is published.
struct Row<T>(&'static str, Kind, Unit, &'static str, fn(&T) -> u64);

const BROKER: &[Row<BrokerMetrics>] = &[
    Row("brooklet_topics", Gauge, Count, "Topics", |m| m.topics.len() as u64),
    Row("brooklet_partitions", Gauge, Count, "Partitions", |m| m.partitions),
    Row("brooklet_records_appended_total", Counter, Count, "Records appended", |m| m.records_appended),
    Row("brooklet_batches_appended_total", Counter, Count, "Batches appended", |m| m.batches_appended),
    Row("brooklet_bytes_appended_total", Counter, Bytes, "Bytes appended", |m| m.bytes_appended),
    Row("brooklet_bytes_fetched_total", Counter, Bytes, "Bytes given to consumers", |m| m.bytes_fetched),
    Row("brooklet_produce_requests_total", Counter, Count, "Produce requests", |m| m.produce_requests),
    Row("brooklet_produce_failures_total", Counter, Count, "Produce requests that failed", |m| {
        m.produce_failures
    }),
    Row("brooklet_fetch_requests_total", Counter, Count, "Fetches answered", |m| m.fetch_requests),
    Row("brooklet_fetch_failures_total", Counter, Count, "Fetches that failed", |m| m.fetch_failures),
    Row("brooklet_fetches_waiting", Gauge, Count, "Fetches that wait for records", |m| m.fetches_waiting),
    Row("brooklet_offset_commits_total", Counter, Count, "Offset commits", |m| m.offset_commits),
    Row("brooklet_offset_commit_failures_total", Counter, Count, "Offset commits that failed", |m| {
        m.offset_commit_failures
    }),
    Row("brooklet_flushes_total", Counter, Count, "Flushes of a partition", |m| m.flushes),
    Row("brooklet_flush_failures_total", Counter, Count, "Flushes that failed", |m| m.flush_failures),
    Row("brooklet_flush_microseconds_total", Counter, Microseconds, "Time in flushes", |m| {
        micros(m.flush_time)
    }),
    Row("brooklet_flush_max_microseconds", Gauge, Microseconds, "Time of the longest flush", |m| {
        micros(m.flush_time_max)
    }),
    Row("brooklet_segments_rolled_total", Counter, Count, "Segments begun behind full or old ones", |m| {
        m.segments_rolled
    }),
    Row("brooklet_segments_deleted_total", Counter, Count, "Segments taken out of logs", |m| {
        m.segments_deleted
    }),
    Row("brooklet_logs_cleaned_total", Counter, Count, "Cleanings of a log", |m| m.logs_cleaned),
    Row("brooklet_bytes_cleaned_total", Counter, Bytes, "Bytes that cleaning removed", |m| m.bytes_cleaned),
];

const TOPIC: &[Row<TopicMetrics>] = &[
    Row("brooklet_topic_partitions", Gauge, Count, "Partitions", |m| m.partitions),
    Row("brooklet_topic_partitions_failed", Gauge, Count, "Partitions that take no records", |m| {
        m.partitions_failed
    }),
    Row("brooklet_topic_records_appended_total", Counter, Count, "Records appended", |m| m.records_appended),
    Row("brooklet_topic_batches_appended_total", Counter, Count, "Batches appended", |m| m.batches_appended),
    Row("brooklet_topic_bytes_appended_total", Counter, Bytes, "Bytes appended", |m| m.bytes_appended),
    Row("brooklet_topic_bytes_fetched_total", Counter, Bytes, "Bytes given to consumers", |m| {
        m.bytes_fetched
    }),
    Row("brooklet_topic_segments_rolled_total", Counter, Count, "Segments begun behind others", |m| {
        m.segments_rolled
    }),
    Row("brooklet_topic_segments_deleted_total", Counter, Count, "Segments taken out of logs", |m| {
        m.segments_deleted
    }),
    Row("brooklet_topic_logs_cleaned_total", Counter, Count, "Cleanings of a log", |m| m.logs_cleaned),
    Row("brooklet_topic_bytes_cleaned_total", Counter, Bytes, "Bytes that cleaning removed", |m| {
        m.bytes_cleaned
    }),
    Row("brooklet_topic_records", Gauge, Count, "Offsets from log start to log end", |m| m.records),
    Row("brooklet_topic_segments", Gauge, Count, "Segments", |m| m.segments),
    Row("brooklet_topic_log_bytes", Gauge, Bytes, "Bytes of segments", |m| m.log_bytes),
];

pub(super) fn describe() {
    BROKER.iter().for_each(Row::describe);
    TOPIC.iter().for_each(Row::describe);
}

/// Publishes what is now, and what was done since `before`.
pub(super) fn publish(dir: &str, now: &BrokerMetrics, before: &BrokerMetrics) {
    let label = || Label::new("dir", dir.to_owned());
    BROKER.iter().for_each(|row| row.publish(vec![label()], now, before));
    let topic = |now: &TopicMetrics, before: &TopicMetrics| {
        let labels = || vec![label(), Label::new("topic", now.topic.clone())];
        TOPIC.iter().for_each(|row| row.publish(labels(), now, before));
    };
    for there in &now.topics {
        topic(there, find(before, &there.topic).unwrap_or(&TopicMetrics::default()));
    }
    // Those that are gone hold nothing.
    for gone in before.topics.iter().filter(|topic| find(now, &topic.topic).is_none()) {
        topic(&TopicMetrics { topic: gone.topic.clone(), ..TopicMetrics::default() }, gone);
    }
}

fn find<'m>(metrics: &'m BrokerMetrics, topic: &str) -> Option<&'m TopicMetrics> {
    let at = metrics.topics.binary_search_by(|there| there.topic.as_str().cmp(topic));
    at.ok().and_then(|at| metrics.topics.get(at))
}

impl<T> Row<T> {
    fn describe(&self) {
        let Self(name, kind, unit, says, _) = *self;
        match kind {
            Counter => metrics::describe_counter!(name, unit, says),
            Gauge => metrics::describe_gauge!(name, unit, says),
        }
    }

    fn publish(&self, labels: Vec<Label>, now: &T, before: &T) {
        let Self(name, kind, _, _, value) = *self;
        let (now, before) = (value(now), value(before));
        match kind {
            // Of a topic that was made anew all is new.
            Counter => metrics::counter!(target: "brooklet", name, labels)
                .increment(now.checked_sub(before).unwrap_or(now)),
            Gauge => metrics::gauge!(target: "brooklet", name, labels).set(now as f64),
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
