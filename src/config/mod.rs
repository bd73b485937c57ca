//! Settings: each key once, by Kafka's name, checked where it is used.

mod consumer;
mod producer;
mod topic;

pub use consumer::{AutoOffsetReset, ConsumerConfig};
pub use producer::ProducerConfig;
pub use topic::TopicConfig;
pub(crate) use topic::TopicSettings;
