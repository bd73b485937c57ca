//! Settings: each key once, by Kafka's name, checked where it is used.

mod consumer;
mod topic;

pub use consumer::{AutoOffsetReset, ConsumerConfig};
pub use topic::TopicConfig;
pub(crate) use topic::TopicSettings;
