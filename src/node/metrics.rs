//! What a broker tells of itself in numbers. Nothing is kept for it but [`Counts`]; the rest is looked up when somebody asks.

use super::{Node, counts::Counts, partition::Partition, topics::Topics};
use crate::types::OFFSETS_TOPIC;
use std::{sync::Arc, time::Duration};

/// What a broker has done, and what it holds, from [`Broker::metrics`](crate::Broker::metrics).
///
/// Counters are totals since the broker was opened, and never go down; what says *now* is a gauge. Bytes of batches are as they lie
/// in the log: compressed, with their headers.
///
/// With the feature `metrics` the broker publishes all of it each second (and once more as it closes) through the
/// [`metrics`](https://docs.rs/metrics) crate, to the recorder that the application has installed; on a
/// [`ManualClock`](crate::ManualClock) when the time was moved, if that is a second or more after the last time. Each has the label `dir`, the
/// broker's directory; those of a topic have a label `topic` too. A counter goes on where it was when a broker, or a topic of one
/// name, is there again.
///
/// | published as | kind | field | Kafka's |
/// |---|---|---|---|
/// | `brooklet_topics` | gauge | `topics.len()` | `GlobalTopicCount` |
/// | `brooklet_partitions` | gauge | `partitions` | `PartitionCount` |
/// | `brooklet_records_appended_total` | counter | `records_appended` | `MessagesInPerSec` |
/// | `brooklet_batches_appended_total` | counter | `batches_appended` | |
/// | `brooklet_bytes_appended_total` | counter | `bytes_appended` | `BytesInPerSec` |
/// | `brooklet_bytes_fetched_total` | counter | `bytes_fetched` | `BytesOutPerSec` |
/// | `brooklet_produce_requests_total` | counter | `produce_requests` | `TotalProduceRequestsPerSec` |
/// | `brooklet_produce_failures_total` | counter | `produce_failures` | `FailedProduceRequestsPerSec` |
/// | `brooklet_fetch_requests_total` | counter | `fetch_requests` | `TotalFetchRequestsPerSec` |
/// | `brooklet_fetch_failures_total` | counter | `fetch_failures` | `FailedFetchRequestsPerSec` |
/// | `brooklet_fetches_waiting` | gauge | `fetches_waiting` | `PurgatorySize` |
/// | `brooklet_offset_commits_total` | counter | `offset_commits` | `offset-commit-count` |
/// | `brooklet_offset_commit_failures_total` | counter | `offset_commit_failures` | |
/// | `brooklet_flushes_total` | counter | `flushes` | `LogFlushRateAndTimeMs`, its count |
/// | `brooklet_flush_failures_total` | counter | `flush_failures` | |
/// | `brooklet_flush_microseconds_total` | counter | `flush_time` | `LogFlushRateAndTimeMs`, mean times count |
/// | `brooklet_flush_max_microseconds` | gauge | `flush_time_max` | `LogFlushRateAndTimeMs`, its maximum |
/// | `brooklet_segments_rolled_total` | counter | `segments_rolled` | |
/// | `brooklet_segments_deleted_total` | counter | `segments_deleted` | |
/// | `brooklet_logs_cleaned_total` | counter | `logs_cleaned` | |
/// | `brooklet_bytes_cleaned_total` | counter | `bytes_cleaned` | |
/// | `brooklet_topic_partitions` | gauge | [`partitions`](TopicMetrics::partitions) | |
/// | `brooklet_topic_partitions_failed` | gauge | [`partitions_failed`](TopicMetrics::partitions_failed) | `OfflineReplicaCount` |
/// | `brooklet_topic_records_appended_total` | counter | [`records_appended`](TopicMetrics::records_appended) | `MessagesInPerSec` |
/// | `brooklet_topic_batches_appended_total` | counter | [`batches_appended`](TopicMetrics::batches_appended) | |
/// | `brooklet_topic_bytes_appended_total` | counter | [`bytes_appended`](TopicMetrics::bytes_appended) | `BytesInPerSec` |
/// | `brooklet_topic_bytes_fetched_total` | counter | [`bytes_fetched`](TopicMetrics::bytes_fetched) | `BytesOutPerSec` |
/// | `brooklet_topic_segments_rolled_total` | counter | [`segments_rolled`](TopicMetrics::segments_rolled) | |
/// | `brooklet_topic_segments_deleted_total` | counter | [`segments_deleted`](TopicMetrics::segments_deleted) | |
/// | `brooklet_topic_logs_cleaned_total` | counter | [`logs_cleaned`](TopicMetrics::logs_cleaned) | |
/// | `brooklet_topic_bytes_cleaned_total` | counter | [`bytes_cleaned`](TopicMetrics::bytes_cleaned) | |
/// | `brooklet_topic_records` | gauge | [`records`](TopicMetrics::records) | `LogEndOffset` less `LogStartOffset` |
/// | `brooklet_topic_segments` | gauge | [`segments`](TopicMetrics::segments) | `NumLogSegments` |
/// | `brooklet_topic_log_bytes` | gauge | [`log_bytes`](TopicMetrics::log_bytes) | `Size` |
///
/// Where a log begins and ends, partition by partition, is told by [`Admin::describe_log_dirs`](crate::Admin::describe_log_dirs);
/// how far a group is behind, by [`Admin::describe_group`](crate::Admin::describe_group).
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// broker.produce_all(["3 apples", "2 pears"].map(|value| Record::to("orders").key("alice").value(value)))?;
/// let BrokerMetrics { records_appended, batches_appended, topics, .. } = broker.metrics();
/// assert_eq!((records_appended, batches_appended), (2, 1));
/// assert_eq!((&*topics[0].topic, topics[0].records), ("orders", 2));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerMetrics {
    /// The topics that are there now, internal ones too, ordered by name.
    pub topics: Vec<TopicMetrics>,
    /// How many partitions these have now.
    pub partitions: u64,
    /// Records that were appended; here, as below, also those of topics that were deleted since, and of `__consumer_offsets`.
    pub records_appended: u64,
    /// The batches that they came in.
    pub batches_appended: u64,
    /// The bytes of these.
    pub bytes_appended: u64,
    /// Bytes that were given to consumers.
    pub bytes_fetched: u64,
    /// Batches that clients wanted to be appended, whatever became of it.
    pub produce_requests: u64,
    /// Those among them that failed.
    pub produce_failures: u64,
    /// Fetches that were answered: one for each poll that found too little in what the last one had brought, and for the
    /// partitions of all its topics together.
    pub fetch_requests: u64,
    /// Those among them that failed for a partition or more, an offset out of range included.
    pub fetch_failures: u64,
    /// Fetches that wait for records now: a consumer in a poll has one.
    pub fetches_waiting: u64,
    /// Commits of consumers and of [`Admin::alter_group_offsets`](crate::Admin::alter_group_offsets) that are in the log.
    pub offset_commits: u64,
    /// Commits that failed.
    pub offset_commit_failures: u64,
    /// How often a partition was synced. Who waited for the same sync is not counted again; those of a
    /// [`close`](crate::Broker::close) are not counted.
    pub flushes: u64,
    /// Those among them that failed.
    pub flush_failures: u64,
    /// How long all of them took together, by the broker's clock.
    pub flush_time: Duration,
    /// How long the longest one took.
    pub flush_time_max: Duration,
    /// Segments that were begun because the one before was full, or old.
    pub segments_rolled: u64,
    /// Segments that were taken out of their logs by retention, or since a client had deleted their records.
    pub segments_deleted: u64,
    /// How often the log of a partition was cleaned.
    pub logs_cleaned: u64,
    /// How many bytes smaller logs became by that.
    pub bytes_cleaned: u64,
}

/// What was done in a topic, and what it holds: a part of [`BrokerMetrics`]. Of a topic that was deleted and made again it is the new
/// one's.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// for TopicMetrics { topic, records, log_bytes, .. } in broker.metrics().topics {
///     println!("{topic}: {records} records, {log_bytes} bytes");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicMetrics {
    /// Its name.
    pub topic: String,
    /// How many partitions it has now.
    pub partitions: u64,
    /// Partitions that take no records now, until the broker is opened anew, since a flush of theirs failed: it should be 0.
    pub partitions_failed: u64,
    /// Records that were appended.
    pub records_appended: u64,
    /// The batches that they came in.
    pub batches_appended: u64,
    /// The bytes of these.
    pub bytes_appended: u64,
    /// Bytes that were given to consumers.
    pub bytes_fetched: u64,
    /// Segments that were begun because the one before was full, or old.
    pub segments_rolled: u64,
    /// Segments that were taken out of its logs.
    pub segments_deleted: u64,
    /// How often the log of a partition was cleaned.
    pub logs_cleaned: u64,
    /// How many bytes smaller its logs became by that.
    pub bytes_cleaned: u64,
    /// Offsets from the start of each log to its end, now: that many records, or fewer where compaction or transactions have
    /// left gaps. 0 once the broker is closed, and so are the next two.
    pub records: u64,
    /// Segments of its logs, now.
    pub segments: u64,
    /// The bytes of these, without their indexes. A segment whose size cannot be told counts as empty.
    pub log_bytes: u64,
}

impl Node {
    /// Can be asked at any time, also of a broker that is closed.
    pub(crate) fn metrics(&self) -> BrokerMetrics {
        let (topics, gone) = {
            let topics = self.topics.read();
            (there(&topics), topics.gone())
        };
        let (sum, of_clients, topics) = measure(topics, gone);
        let requests = &self.requests;
        let failures = requests.produce_failures.get();
        // Not of one moment: a batch may be counted in between.
        let not_appended = failures.saturating_sub(requests.appended_failures.get());
        BrokerMetrics {
            partitions: topics.iter().map(|topic| topic.partitions).sum(),
            topics,
            records_appended: sum.records_appended,
            batches_appended: sum.batches_appended,
            bytes_appended: sum.bytes_appended,
            bytes_fetched: sum.bytes_fetched,
            produce_requests: of_clients + not_appended,
            produce_failures: failures,
            fetch_requests: requests.fetches.get(),
            fetch_failures: requests.fetch_failures.get(),
            fetches_waiting: self.parked.waiting() as u64,
            offset_commits: requests.offset_commits.get(),
            offset_commit_failures: requests.offset_commit_failures.get(),
            flushes: sum.flushes,
            flush_failures: sum.flush_failures,
            flush_time: sum.flush_time,
            flush_time_max: sum.flush_time_max,
            segments_rolled: sum.segments_rolled,
            segments_deleted: sum.segments_deleted,
            logs_cleaned: sum.logs_cleaned,
            bytes_cleaned: sum.bytes_cleaned,
        }
    }
}

/// The partitions of a topic.
type Named = (Arc<str>, Vec<Arc<Partition>>);

fn there(topics: &Topics) -> Vec<Named> {
    topics.iter().map(|topic| (Arc::clone(&topic.entry.name), topic.partitions.clone())).collect()
}

/// What all partitions have done, with those that are gone; the batches of clients among it; and each topic's part.
fn measure(topics: Vec<Named>, gone: Gone) -> (Counts, u64, Vec<TopicMetrics>) {
    let mut sum = gone.counts;
    gone.leaving.iter().for_each(|partition| sum.add(&partition.measure().0));
    let mut of_clients = sum.batches_appended;
    let mut described = Vec::with_capacity(topics.len());
    for (name, partitions) in topics {
        let mut counts = Counts::default();
        let mut topic = TopicMetrics { topic: name.to_string(), ..TopicMetrics::default() };
        for partition in &partitions {
            let (of_partition, holds) = partition.measure();
            counts.add(&of_partition);
            topic.add(&holds);
        }
        topic.count(&counts);
        if &*name != OFFSETS_TOPIC {
            of_clients += counts.batches_appended;
        }
        sum.add(&counts);
        described.push(topic);
    }
    (sum, of_clients, described)
}

/// What was done in topics that are deleted.
#[derive(Debug, Default, Clone)]
pub(super) struct Gone {
    pub(super) counts: Counts,
    /// Partitions that are being deleted, and may count on for a moment.
    pub(super) leaving: Vec<Arc<Partition>>,
}

/// What a partition holds.
#[derive(Debug, Default)]
struct Holds {
    failed: bool,
    records: u64,
    segments: u64,
    bytes: u64,
}

impl Partition {
    fn measure(&self) -> (Counts, Holds) {
        let mut state = self.lock();
        let counts = state.counts();
        let Ok(Some(log)) = state.log_if_any() else { return (counts, Holds::default()) };
        let records = u64::try_from(log.end().since(log.start())).unwrap_or_default();
        let (segments, bytes) = log.size_as_known();
        (counts, Holds { failed: log.is_poisoned(), records, segments: segments as u64, bytes })
    }
}

impl TopicMetrics {
    fn add(&mut self, holds: &Holds) {
        self.partitions += 1;
        self.partitions_failed += u64::from(holds.failed);
        self.records += holds.records;
        self.segments += holds.segments;
        self.log_bytes += holds.bytes;
    }

    fn count(&mut self, counts: &Counts) {
        self.records_appended = counts.records_appended;
        self.batches_appended = counts.batches_appended;
        self.bytes_appended = counts.bytes_appended;
        self.bytes_fetched = counts.bytes_fetched;
        self.segments_rolled = counts.segments_rolled;
        self.segments_deleted = counts.segments_deleted;
        self.logs_cleaned = counts.logs_cleaned;
        self.bytes_cleaned = counts.bytes_cleaned;
    }
}
