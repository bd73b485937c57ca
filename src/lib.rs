//! brooklet

mod broker;
mod client;
mod config;
mod env;
mod error;
mod group;
mod log;
mod node;
mod prng;
mod record;
mod rpc;
mod sync;
mod types;

pub use broker::{Broker, BrokerBuilder};
pub use client::{
    Admin, Client, Consumer, ConsumerBuilder, ConsumerHandle, ConsumerRecord, OwnedRecord,
    PartitionDescription, Records, RecordsIter, SharedBytes, Subscription, TopicDescription,
};
pub use config::{AutoOffsetReset, ConsumerConfig, TopicConfig};
pub use env::{DiskFault, DiskOp, DiskOperation, Fault, Intercept, ManualClock, SimDisk};
pub use error::{Error, Result};
pub use node::{PartitionRecovery, RecoveryReport};
pub use prng::seeds;
pub use record::{Header, HeaderIter, Headers, Record};
pub use types::{
    BrokerId, Durability, OffsetAndMetadata, OffsetSpec, Offsets, ParseTimestampError, RecordMetadata,
    Timestamp, TopicId, TopicPartition,
};
