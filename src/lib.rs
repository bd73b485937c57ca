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
//! A *consumer* hands records out by [`poll`](Consumer::poll) and makes its position last by [`commit_offset`](Consumer::commit_offset). After a crash
//! the records since the last commit come again: at least once.
//!
//! In this version a group has one member at a time, which gets all partitions.
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
//! A broker can run on a [`ManualClock`] and a [`SimDisk`]: no threads, no sleeps, and the power goes where the test says. Here it goes at
//! every disk operation of some code in turn, and what that code told its user is there each time:
//!
//! ```
//! use brooklet::{Broker, DiskOp, Durability, ManualClock, Record, Result, SimDisk, TopicConfig};
//! use std::time::Duration;
//!
//! fn pay(disk: &SimDisk, told: &mut Vec<String>) -> Result<()> {
//!     let broker = Broker::builder().disk(disk).clock(&ManualClock::new()).open("data")?;
//!     broker.ensure_topic("payments", TopicConfig::new().durability(Durability::Flushed))?;
//!     for payment in ["1 apple", "2 pears"] {
//!         broker.produce(Record::to("payments").value(payment))?;
//!         told.push(payment.to_owned());
//!     }
//!     broker.close()
//! }
//!
//! fn payments(disk: &SimDisk) -> Result<Vec<String>> {
//!     let broker = Broker::builder().disk(disk).clock(&ManualClock::new()).open("data")?;
//!     if broker.admin().list_topics()?.is_empty() {
//!         return Ok(Vec::new());
//!     }
//!     let mut consumer = broker.consumer("audit").subscribe("payments")?;
//!     Ok(consumer.poll(Duration::ZERO)?.iter().map(|r| r.value_str().unwrap().to_owned()).collect())
//! }
//!
//! # fn main() -> Result<()> {
//! for n in 0.. {
//!     let disk = SimDisk::new(n);
//!     let cut = disk.intercept(DiskOp::Any).skip(n).power_cut();
//!     let mut told = Vec::new();
//!     let outcome = pay(&disk, &mut told);
//!     if cut.hits() == 0 {
//!         outcome?; // it ran to its end: every point was tried
//!         break;
//!     }
//!     assert!(payments(&disk)?.starts_with(&told), "cut at operation {n}");
//! }
//! # Ok(()) }
//! ```
//!
//! # Layout
//!
//! [`Broker`] owns a directory. [`Client`] is what application code takes. [`Record`] goes in, [`Records`] come out of a [`Consumer`]. [`Admin`] is for
//! topics and groups. [`ManualClock`] and [`SimDisk`] are for tests. [`docs::architecture`] tells how it is built, [`docs::format`] what its files are.

mod broker;
mod bugs;
mod client;
mod config;
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
mod rpc;
mod sync;
mod types;

pub use broker::{Broker, BrokerBuilder};
#[cfg(brooklet_bugs)]
#[doc(hidden)]
pub use bugs::BUGS;
pub use client::{
    Admin, Client, Consumer, ConsumerBuilder, ConsumerHandle, ConsumerRecord, Delivery, GroupDescription,
    GroupPartition, LogDescription, MemberDescription, OffsetTracker, OwnedRecord, PartitionDescription,
    PendingCommit, Producer, ProducerMetrics, Records, RecordsIter, SharedBytes, Subscription,
    TopicDescription,
};
pub use config::{AutoOffsetReset, ConsumerConfig, Partitioner, ProducerConfig, TopicConfig};
pub use env::{DiskFault, DiskOp, DiskOperation, Fault, Intercept, ManualClock, SimDisk};
pub use error::{Error, Result};
pub use log::Damage;
pub use node::{
    GroupBeyondEnd, PartitionRecovery, PartitionVerification, Progress, RecoveryReport, VerifyReport,
};
pub use prng::seeds;
pub use record::{Header, HeaderIter, Headers, Record};
pub use types::{
    Acks, BrokerId, CleanupPolicy, Compression, Durability, GroupState, IsolationLevel, OffsetAndMetadata,
    OffsetSpec, Offsets, ParseTimestampError, RecordMetadata, Timestamp, TimestampType, TopicId,
    TopicPartition,
};
