//! Settings: each key once, by Kafka's name, checked where it is used.

mod assignors;
mod consumer;
mod keys;
mod producer;
mod topic;
mod topic_settings;

pub(crate) use assignors::Assignors;
pub use consumer::{AutoOffsetReset, ConsumerConfig};
pub(crate) use producer::SharedPartitioner;
pub use producer::{Partitioner, ProducerConfig};
pub use topic::TopicConfig;
pub(crate) use topic_settings::TopicSettings;
