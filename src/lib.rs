//! brooklet
#![allow(dead_code, unused_imports)]

mod config;
// mod env;
mod error;
mod prng;
mod record;
mod sync;
mod types;
mod client {
    mod partitioner;
}
mod group {
    mod offset_record;
}

pub use config::{AutoOffsetReset, ConsumerConfig, TopicConfig};
pub use error::{Error, Result};
pub use prng::seeds;
pub use record::{Header, HeaderIter, Headers, Record};
pub use types::{
    BrokerId, Durability, OffsetAndMetadata, OffsetSpec, Offsets, ParseTimestampError, RecordMetadata,
    Timestamp, TopicId, TopicPartition,
};
