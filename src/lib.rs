//! Kafka's model in your own process: topics, partitions, consumer groups and committed offsets, durable in local files.
//! No server, no socket, no runtime, no JVM.
//!
//! ```
//! use brooklet::{Broker, Record, TopicConfig};
//! use std::time::Duration;
//!
//! # fn main() -> brooklet::Result<()> {
//! # let dir = tempfile::tempdir().unwrap();
//! # let data = dir.path().join("data");
//! let broker = Broker::open(&data)?; // one process owns the directory
//! broker.ensure_topic("orders", TopicConfig::new().partitions(3))?; // fine on every run
//! broker.produce(Record::to("orders").key("alice").value("3 apples"))?; // partition, offset, timestamp
//!
//! let mut consumer = broker.consumer("billing").subscribe(["orders"])?; // goes on where the group stopped
//! while !consumer.is_caught_up()? {
//!     for record in &consumer.poll(Duration::from_millis(100))? {
//!         println!("{}: {}", record.key_str().unwrap(), record.value_str().unwrap());
//!     }
//!     consumer.commit_offset()?; // kept in the topic __consumer_offsets
//! }
//! # Ok(()) }
//! ```
//!
//! # The model in one page
//!
//! A *topic* is a name for some *partitions*; a partition is a log of *records*, each with an *offset*, counted from 0. A record has a key, a
//! value, headers and a timestamp; records of one key go to one partition, and stay in order there. Nothing is taken out of a log by
//! reading it: any number of *groups* read on their own, and each keeps, for every partition, a *committed offset*, the next one to read.
//!
//! ```text
//! orders-0   | 0 alice: 3 apples | 1 alice: 1 plum | 2 carol: 2 figs |
//!                                  ^ billing goes on at 1            ^ search goes on at 3, the end: its lag is 0
//! orders-1   | 0 bob: 2 pears    | 1 bob: 4 plums  |
//!              ^ billing goes on at 0              ^ search goes on at 2
//! ```
//!
//! A *consumer* hands records out by [`poll`](Consumer::poll) and makes its position last by [`commit_offset`](Consumer::commit_offset). After a crash
//! the records since the last commit come again: at least once. Records go when their topic need not keep them any more, by
//! [time](TopicConfig::retention_time) (7 days by default) or [size](TopicConfig::retention_bytes), whether they were read or not.
//!
//! Several consumers that subscribe in one group share its partitions: each partition has one of them at a time. When one comes, leaves or dies the group
//! *rebalances*: an [`Assignor`] spreads the partitions anew, and a [`RebalanceListener`] hears of it.
//!
//! # Ways in and out
//!
//! | you want to | call |
//! |---|---|
//! | know that a record is in the log before you go on | [`produce`](Client::produce) |
//! | put in many at once, and know it of each | [`produce_all`](Client::produce_all) |
//! | send many, batched and compressed, and be told later | [`Producer::send`], and [`flush`](Producer::flush) or a [`Delivery`] |
//! | read all there is, and what comes | [`poll`](Consumer::poll), which borrows from the log; it may wait for ever, and [wakes up](ConsumerHandle::wakeup) |
//! | read one by one | [`poll_one`](Consumer::poll_one) |
//! | say that all of it is done, or just some | [`commit_offset`](Consumer::commit_offset), [`commit_offsets`](Consumer::commit_offsets) |
//! | go elsewhere: to an offset, a time, an end, the last commit | [`seek`](Consumer::seek), [`seek_all`](Consumer::seek_all), [`seek_to_committed`](Consumer::seek_to_committed) |
//! | read without a group | [`ConsumerConfig::standalone`] |
//! | look at topics and groups, and change them | [`Admin`] |
//!
//! Bytes go in and out; what they mean is yours. Calls that fail say so by an [`Error`] with Kafka's name and number, which knows whether
//! [another try](Error::is_retriable) is of use, and whether the record [may be there](Error::is_indeterminate) all the same.
//!
//! # Recipes
//!
//! Whole programs to copy from, each run as a test: an [outbox](docs::recipes::outbox), a [worker](docs::recipes::worker) that stops when it is
//! told to, work in [any order](docs::recipes::any_order), a [pipeline](docs::recipes::pipeline), a [replay](docs::recipes::replay) from yesterday on, [dead
//! letters](docs::recipes::dead_letters), a [status page](docs::recipes::status), [time in tests](docs::recipes::time_in_tests), a [crash
//! test](docs::recipes::crash_test), and the way [from rust-rdkafka](docs::recipes::rdkafka).
//!
//! # What survives what
//!
//! | a record | survives `kill -9` | survives a power cut |
//! |---|---|---|
//! | acknowledged by [`produce`](Client::produce) | yes | once the background flush ran, within `flush_interval` (1 s) |
//! | with [`Durability::Flushed`], its own or its topic's | yes | yes |
//! | before a [`Broker::flush`] or [`Broker::close`] that returned `Ok` | yes | yes |
//!
//! Committed offsets are records too: buffered, flushed within a second. Losing one means that records come again, never that they are skipped.
//!
//! # Tests without waiting
//!
//! A broker can run on a [`ManualClock`] and a [`SimDisk`]: no threads, no sleeps, and the power goes when the test says.
//!
//! ```
//! use brooklet::{Broker, Durability, ManualClock, OffsetSpec, Record, SimDisk, TopicConfig};
//! use std::time::Duration;
//!
//! # fn main() -> brooklet::Result<()> {
//! let (clock, disk) = (ManualClock::new(), SimDisk::new(7));
//! let open = || Broker::builder().clock(&clock).disk(&disk).open("data");
//! let broker = open()?;
//! broker.create_topic("payments", TopicConfig::new().retention_time(Duration::from_secs(24 * 3600)))?;
//! broker.produce(Record::to("payments").value("1 apple").durability(Durability::Flushed))?;
//! disk.power_cut();
//!
//! let broker = open()?;
//! let consumer = broker.consumer("audit").subscribe("payments")?;
//! assert_eq!(consumer.offset(("payments", 0), OffsetSpec::Latest)?, Some(1)); // it was flushed
//! clock.advance(Duration::from_secs(25 * 3600));
//! assert_eq!(consumer.offset(("payments", 0), OffsetSpec::Earliest)?, Some(1)); // a day has passed, and it is gone
//! # Ok(()) }
//! ```
//!
//! [Time in tests](docs::recipes::time_in_tests) and the [crash test](docs::recipes::crash_test) have more. A [`Cluster`] is several brokers that
//! replicate, in the same manner; [Testing your application](docs::testing) is the chapter on it.
//!
//! # What to build it with
//!
//! Each codec is a feature, on by default: `gzip`, `snappy`, `lz4`, `zstd`. Only `zstd` needs a C compiler. Without a codec's feature its batches
//! are an error that says so. Linux is where it is measured, with mapped files; elsewhere files are read and written by position.
//!
//! # Seeing it
//!
//! [`Broker::metrics`], [`Producer::metrics`] and [`Consumer::metrics`] tell what was done, and what there is, as plain structs. Two features are off by
//! default. Neither adds a type or a function:
//!
//! - **`metrics`**: the broker publishes its own numbers each second through the crate of that name; [`BrokerMetrics`] has a table of their names.
//! - **`tracing`**: a subscriber is told what happens, with the target `brooklet`, in spans `open`, `load` (a partition) and `close`.
//!
//! | level | events |
//! |---|---|
//! | error | `flush_failed`: the partition takes no more records until the broker is opened anew. `close_failed` |
//! | warn | in recovery: `log_cut`, `log_salvaged`, `file_kept_aside`, `group_beyond_end`. In the background: `checkpoint_failed`, `retention_failed`, `cleaning_failed`. Of clients: `position_reset`, `position_cut`, `batch_failed`. In a cluster: `log_truncated`, `replication_failed` |
//! | info | `opened`, `closed`, `topic_adopted`, `topic_created`, `partitions_created`, `topic_altered`, `topic_deleted`, `segments_deleted`, `log_cleaned` |
//! | debug | `segment_rolled`, `group_created`, `group_deleted`, `offsets_committed` |
//!
//! # Layout
//!
//! [`Broker`] owns a directory; a [`Cluster`] is several brokers that replicate, in a test. [`Client`] is what application code takes. [`Record`] goes in, [`Records`] come out of a [`Consumer`]. [`Admin`] is for
//! topics and groups. [`ManualClock`] and [`SimDisk`] are for tests. [`docs::recipes`] are programs to copy from, [`docs::testing`] tells how to test yours, [`docs::architecture`] tells how it is
//! built, [`docs::format`] what its files are.

mod assign;
mod broker;
mod bugs;
mod client;
mod cluster;
mod config;
mod controller;
pub mod docs;
mod env;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod group;
mod log;
mod node;
mod prng;
mod record;
mod replica;
mod rpc;
mod sync;
mod trace;
mod types;

pub use assign::{
    Assignor, CooperativeStickyAssignor, GroupMember, RangeAssignor, RebalanceProtocol, RoundRobinAssignor,
    StickyAssignor,
};
pub use broker::{Broker, BrokerBuilder};
#[cfg(brooklet_bugs)]
#[doc(hidden)]
pub use bugs::BUGS;
pub use client::{
    Admin, Client, Consumer, ConsumerBuilder, ConsumerHandle, ConsumerMetrics, ConsumerPartitionMetrics,
    ConsumerRecord, Delivery, GroupDescription, GroupPartition, LogDescription, MemberDescription,
    OffsetTracker, OwnedRecord, PartitionDescription, PartitionReassignment, PendingCommit, Producer,
    ProducerMetrics, RebalanceConsumer, RebalanceListener, Records, RecordsIter, SharedBytes, Subscription,
    TopicDescription,
};
#[doc(hidden)]
pub use cluster::Mark;
pub use cluster::{ApiKey, Cluster, ClusterBuilder, ClusterTrace};
pub use config::{AutoOffsetReset, ConsumerConfig, Partitioner, ProducerConfig, TopicConfig};
pub use env::{DiskFault, DiskOp, DiskOperation, Fault, Intercept, ManualClock, SimDisk};
pub use error::{Error, Result};
pub use log::Damage;
pub use node::{
    BrokerMetrics, GroupBeyondEnd, PartitionRecovery, PartitionVerification, Progress, RecoveryReport,
    TopicMetrics, VerifyReport,
};
pub use prng::seeds;
pub use record::{Header, HeaderIter, Headers, Record};
pub use types::{
    Acks, BrokerId, CleanupPolicy, Compression, Durability, ElectionType, GroupState, IsolationLevel,
    OffsetAndMetadata, OffsetSpec, Offsets, ParseTimestampError, RecordMetadata, Timestamp, TimestampType,
    TopicId, TopicPartition,
};
