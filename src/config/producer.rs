//! A producer's settings.

use super::keys::{self, ACKS, CODECS, Key, Refused, flag, number, span, span_text, text, word, word_for};
use crate::{
    error::Result,
    types::{Acks, Compression},
};
use std::{fmt, sync::Arc, time::Duration};

/// Chooses the partition of a record that names none itself, in place of Kafka's own way (by the key's murmur2, else sticky).
///
/// A function or closure of the same shape is one. It is called for each such record, by whichever thread sends, with no
/// lock held.
///
/// ```
/// use brooklet::{Broker, ProducerConfig, Record, TopicConfig};
/// # fn main() -> brooklet::Result<()> {
/// # let broker = Broker::temporary()?;
/// broker.create_topic("orders", TopicConfig::new().partitions(3))?;
/// // Keys begin with a digit that is their region.
/// let by_region = |_topic: &str, key: Option<&[u8]>, _value: Option<&[u8]>, partitions: i32| {
///     key.and_then(|key| key.first()).map_or(0, |digit| i32::from(digit % 10)) % partitions
/// };
/// let producer = broker.producer(ProducerConfig::new().partitioner(by_region))?;
/// assert_eq!(producer.produce(Record::to("orders").key("2-alice"))?.partition, i32::from(b'2' % 10) % 3);
/// # Ok(()) }
/// ```
pub trait Partitioner: Send + Sync {
    /// The partition for a record, at least 0 and below `partitions`, which is how many the topic has (`> 0`). Another
    /// number makes [`send`](crate::Producer::send) fail with
    /// [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition).
    fn partition(&self, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>, partitions: i32) -> i32;
}

impl<F: Fn(&str, Option<&[u8]>, Option<&[u8]>, i32) -> i32 + Send + Sync> Partitioner for F {
    fn partition(&self, topic: &str, key: Option<&[u8]>, value: Option<&[u8]>, partitions: i32) -> i32 {
        self(topic, key, value, partitions)
    }
}

/// A user's partitioner. Two are equal if they are the same one.
#[derive(Clone)]
pub(crate) struct SharedPartitioner(pub(crate) Arc<dyn Partitioner>);

impl fmt::Debug for SharedPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Partitioner")
    }
}

impl PartialEq for SharedPartitioner {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SharedPartitioner {}

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
    pub(crate) delivery_timeout: Duration,
    pub(crate) acks: Acks,
    pub(crate) partitioner: Option<SharedPartitioner>,
    /// What was asked for, if it was. It needs no asking: see [`acks`](Self::acks).
    idempotence: Option<bool>,
    /// The first value that was refused.
    refused: Option<Refused>,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            batch_size: 16 << 10,
            linger: Duration::from_millis(5),
            compression: Compression::None,
            buffer_memory: 32 << 20,
            max_block: Duration::from_secs(60),
            delivery_timeout: Duration::from_secs(120),
            acks: Acks::All,
            partitioner: None,
            idempotence: None,
            refused: None,
        }
    }
}

impl ProducerConfig {
    /// The defaults, which are those of Kafka's producer (4.3).
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

    /// How long [`send`](crate::Producer::send) waits for room in the buffer, and how long for a broker of a `Cluster` that knows the
    /// topic, but for that 30 s at most; [`Error::Timeout`](crate::Error::Timeout) then. (`max.block.ms`) Default 60 s.
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

    /// How long a `Cluster` is asked to take a batch, all attempts together, from when it is sent. Then it is
    /// [`Error::DeliveryTimedOut`](crate::Error::DeliveryTimedOut), or what a leader has refused it for last; the last attempt may
    /// take half a second more. A [`Broker`](crate::Broker) answers at once. Above 0. (`delivery.timeout.ms`,
    /// `message.timeout.ms`) Default 2 min.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let producer = cluster.producer(ProducerConfig::new().delivery_timeout(Duration::from_secs(3)))?;
    /// producer.produce(Record::to("orders").value("2 pears"))?;
    /// for broker in cluster.brokers() {
    ///     cluster.kill(broker)?;
    /// }
    /// let error = producer.produce(Record::to("orders").value("3 apples")).unwrap_err();
    /// assert!(matches!(error, Error::DeliveryTimedOut { .. }), "{error}");
    /// # Ok(()) }
    /// ```
    pub fn delivery_timeout(mut self, most: Duration) -> Self {
        self.delivery_timeout = most;
        self
    }

    /// How many replicas have a record when it is acknowledged. (`acks`) Default [`Acks::All`]. A
    /// [`Broker`](crate::Broker) is the only replica of what it has: there [`Acks::One`] makes no difference. With [`Acks::Zero`]
    /// nobody answers, there neither: a record is sent once, to whoever is known to lead, its offset is told as -1, and what becomes
    /// of it is not told. What the client knows by itself is: that it is too large, or that there is no leader.
    ///
    /// On a `Cluster`, what all replicas in sync are to have is idempotent: it is sent again as long as nobody knows whether it
    /// is there, within the [`delivery_timeout`](Self::delivery_timeout), and is there once, in the order of sending. (`enable.idempotence`: `true` with
    /// other `acks` is refused, `false` changes nothing.) With other `acks` nothing is sent again that may be there.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ProducerConfig::new().acks(Acks::One).get("acks").as_deref(), Some("1"));
    /// ```
    pub fn acks(mut self, acks: Acks) -> Self {
        self.acks = acks;
        self
    }

    /// Chooses the partitions of records that name none. Default: as Kafka's own producer does, by the key's murmur2, else
    /// one partition for about 16 KiB and then another.
    ///
    /// ```
    /// # use brooklet::*;
    /// let last = |_: &str, _: Option<&[u8]>, _: Option<&[u8]>, partitions: i32| partitions - 1;
    /// let config = ProducerConfig::new().partitioner(last);
    /// ```
    pub fn partitioner(mut self, partitioner: impl Partitioner + 'static) -> Self {
        self.partitioner = Some(SharedPartitioner(Arc::new(partitioner)));
        self
    }

    /// Sets a setting by Kafka's name, or librdkafka's other one for it, to a value as text: what a map of settings holds. The
    /// names are those in brackets above.
    ///
    /// Settings of Kafka's clients that have no meaning without a network (`bootstrap.servers`, `sasl.*`, `retries`, ...) are
    /// let pass.
    ///
    /// # Errors
    /// [`Client::producer`](crate::Client::producer) gives [`Error::InvalidConfig`](crate::Error::InvalidConfig) for the first one that is not known or cannot
    /// have its value.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let settings = [("bootstrap.servers", "ignored:9092"), ("linger.ms", "20"), ("compression.type", "zstd")];
    /// let config = settings.iter().fold(ProducerConfig::new(), |config, (key, value)| config.set(key, value));
    /// assert_eq!(config, ProducerConfig::new().linger(Duration::from_millis(20)).compression(Compression::Zstd));
    /// ```
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let refused = keys::set(KEYS, &mut self, key, value).err();
        self.refused = self.refused.or(refused);
        self
    }

    /// The value of a setting that holds, by Kafka's name, as text; `None`: there is no such setting.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ProducerConfig::new().get("batch.size").as_deref(), Some("16384"));
    /// ```
    pub fn get(&self, key: &str) -> Option<String> {
        keys::get(KEYS, self, key)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let sizes = [("batch.size", self.batch_size), ("buffer.memory", self.buffer_memory)];
        keys::check(self.refused.as_ref(), &sizes)?;
        if self.delivery_timeout.is_zero() {
            return Err(Refused::new("delivery.timeout.ms", "0", "more than 0 is needed").into());
        }
        match (self.idempotence, self.acks) {
            (Some(true), Acks::Zero | Acks::One) => {
                Err(Refused::new("enable.idempotence", "true", "acks = all is needed").into())
            }
            _ => Ok(()),
        }
    }
}

const KEYS: &[Key<ProducerConfig>] = &[
    Key {
        names: &["batch.size"],
        set: |config, value| number(value).map(|bytes| config.batch_size = bytes),
        get: |config| text(config.batch_size),
    },
    Key {
        names: &["linger.ms", "queue.buffering.max.ms"],
        set: |config, value| span(value).map(|linger| config.linger = linger),
        get: |config| span_text(config.linger),
    },
    Key {
        names: &["compression.type", "compression.codec"],
        set: |config, value| word(value, CODECS).map(|codec| config.compression = codec),
        get: |config| text(config.compression),
    },
    Key {
        names: &["buffer.memory"],
        set: |config, value| number(value).map(|bytes| config.buffer_memory = bytes),
        get: |config| text(config.buffer_memory),
    },
    Key {
        names: &["queue.buffering.max.kbytes"],
        set: |config, value| number(value).map(|kib: usize| config.buffer_memory = kib.saturating_mul(1024)),
        get: |config| text(config.buffer_memory / 1024),
    },
    Key {
        names: &["max.block.ms"],
        set: |config, value| span(value).map(|most| config.max_block = most),
        get: |config| span_text(config.max_block),
    },
    Key {
        names: &["delivery.timeout.ms", "message.timeout.ms"],
        set: |config, value| span(value).map(|most| config.delivery_timeout = most),
        get: |config| span_text(config.delivery_timeout),
    },
    Key {
        names: &["acks", "request.required.acks"],
        set: |config, value| word(value, ACKS).map(|acks| config.acks = acks),
        get: |config| word_for(&config.acks, ACKS),
    },
    Key {
        names: &["enable.idempotence"],
        set: |config, value| flag(value).map(|asked| config.idempotence = Some(asked)),
        get: |config| text(config.idempotence.unwrap_or(config.acks == Acks::All)),
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_is_set_by_name_holds_and_the_first_wrong_one_is_told() {
        let config = ProducerConfig::new()
            .set("batch.size", "100")
            .set("queue.buffering.max.ms", "0.5")
            .set("queue.buffering.max.kbytes", "2")
            .set("max.block.ms", "9223372036854775807")
            .set("message.timeout.ms", "1500")
            .set("compression.codec", "lz4")
            .set("acks", "-1")
            .set("sasl.username", "alice")
            .set("enable.idempotence", "false");
        let wanted = ProducerConfig::new()
            .batch_size(100)
            .linger(Duration::from_micros(500))
            .buffer_memory(2048)
            .max_block(Duration::MAX)
            .delivery_timeout(Duration::from_millis(1500))
            .compression(Compression::Lz4);
        let wanted = ProducerConfig { idempotence: Some(false), ..wanted };
        assert_eq!(config, wanted);
        assert!(config.check().is_ok());
        for key in KEYS {
            let name = key.names[0];
            let value = config.get(name).expect("it is one");
            assert_eq!(config.clone().set(name, &value).get(name), Some(value), "{name}");
        }
        let wrong = [
            ("linger.ms", "-1"),
            ("batch.size", "x"),
            ("acks", "2"),
            ("lingr.ms", "5"),
            ("enable.idempotence", "maybe"),
        ];
        for (key, value) in wrong {
            let config = ProducerConfig::new().set(key, value).set("linger.ms", "also wrong");
            let error = config.check().expect_err("it is wrong");
            assert!(matches!(&error, Error::InvalidConfig { key: told, .. } if told == key), "{error}");
        }
    }

    #[test]
    fn a_delivery_has_some_time() {
        let error = ProducerConfig::new().delivery_timeout(Duration::ZERO).check().expect_err("it has none");
        assert!(
            matches!(&error, Error::InvalidConfig { key, .. } if key == "delivery.timeout.ms"),
            "{error}"
        );
        assert!(ProducerConfig::new().delivery_timeout(Duration::from_nanos(1)).check().is_ok());
    }

    #[test]
    fn idempotence_needs_the_acknowledgement_of_all() {
        let config = |acks: &str, asked: &str| {
            ProducerConfig::new().set("acks", acks).set("enable.idempotence", asked).check()
        };
        assert!(config("all", "true").is_ok() && config("all", "false").is_ok());
        assert!(config("1", "false").is_ok() && config("0", "false").is_ok());
        let error = config("1", "true").expect_err("one alone may forget it");
        assert!(matches!(&error, Error::InvalidConfig { key, .. } if key == "enable.idempotence"), "{error}");
        let unasked = |acks| ProducerConfig::new().acks(acks).get("enable.idempotence");
        assert_eq!(unasked(Acks::All).as_deref(), Some("true"));
        assert_eq!(unasked(Acks::One).as_deref(), Some("false"));
    }
}
