//! A producer's settings.

use crate::{
    error::{Error, Result},
    types::Compression,
};
use std::time::Duration;

/// What a [`Producer`](crate::Producer) is made with. Checked by [`Client::producer`](crate::Client::producer).
///
/// ```
/// use brooklet::{Compression, ProducerConfig};
/// use std::time::Duration;
/// let config = ProducerConfig::new().linger(Duration::from_millis(20)).compression(Compression::Zstd);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ProducerConfig {
    pub(crate) batch_size: usize,
    pub(crate) linger: Duration,
    pub(crate) compression: Compression,
    pub(crate) buffer_memory: usize,
    pub(crate) max_block: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            batch_size: 16 << 10,
            linger: Duration::from_millis(5),
            compression: Compression::None,
            buffer_memory: 32 << 20,
            max_block: Duration::from_secs(60),
        }
    }
}

impl ProducerConfig {
    /// The defaults, which are those of Kafka's producer (4.0).
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ProducerConfig::new(), ProducerConfig::default());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bytes of records of one partition are sent together, at most, before compression; a larger record goes
    /// alone. At least 1. (`batch.size`) Default 16 KiB.
    ///
    /// ```
    /// # use brooklet::*;
    /// let bulk = ProducerConfig::new().batch_size(1 << 20);
    /// ```
    pub fn batch_size(mut self, bytes: usize) -> Self {
        self.batch_size = bytes;
        self
    }

    /// How long a batch waits for more records before it is sent, unless it is full or somebody waits for one of its
    /// records. (`linger.ms`) Default 5 ms.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let prompt = ProducerConfig::new().linger(Duration::ZERO);
    /// ```
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// How batches are compressed, each as a whole. A topic with a `compression.type` of its own compresses them anew.
    /// (`compression.type`) Default [`Compression::None`].
    ///
    /// ```
    /// # use brooklet::*;
    /// let small = ProducerConfig::new().compression(Compression::Lz4);
    /// ```
    pub fn compression(mut self, codec: Compression) -> Self {
        self.compression = codec;
        self
    }

    /// How many bytes of records may wait or be under way, in all partitions together; who sends more waits. At least 1.
    /// (`buffer.memory`) Default 32 MiB.
    ///
    /// ```
    /// # use brooklet::*;
    /// let frugal = ProducerConfig::new().buffer_memory(1 << 20);
    /// ```
    pub fn buffer_memory(mut self, bytes: usize) -> Self {
        self.buffer_memory = bytes;
        self
    }

    /// How long [`send`](crate::Producer::send) waits for room in the buffer; [`Error::Timeout`] then. (`max.block.ms`)
    /// Default 60 s.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let impatient = ProducerConfig::new().max_block(Duration::from_millis(100));
    /// ```
    pub fn max_block(mut self, most: Duration) -> Self {
        self.max_block = most;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let sizes = [("batch.size", self.batch_size), ("buffer.memory", self.buffer_memory)];
        if let Some((key, value)) = sizes.into_iter().find(|(_, value)| *value == 0) {
            let reason = "at least 1 is needed".to_owned();
            return Err(Error::InvalidConfig { key: key.to_owned(), value: value.to_string(), reason });
        }
        Ok(())
    }
}
