//! Records, and values, that stand on their own.

use super::{ConsumerRecord, record_at::RecordAt};
use crate::{
    env::Bytes,
    record::Headers,
    types::{OffsetAndMetadata, Offsets, Timestamp, TimestampType, TopicPartition},
};
use std::{fmt, str::Utf8Error};

/// A record on its own. It shares, and keeps, the memory that the broker read it from: copy out what you keep for long.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
/// let records = consumer.poll(Duration::ZERO)?;
/// let record: OwnedRecord = records.into_iter().next().unwrap();
/// drop((consumer, broker));
/// assert_eq!((record.topic(), record.offset()), ("orders", 0));
/// assert_eq!((record.key_str(), record.value_str()), (Ok("alice"), Ok("3 apples")));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct OwnedRecord {
    pub(super) partition: TopicPartition,
    /// What the record lies in.
    pub(super) chunk: Bytes,
    pub(super) at: RecordAt,
}

impl OwnedRecord {
    /// The topic and the partition.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.topic_partition().topic(), "orders");
    /// # Ok(()) }
    /// ```
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// The topic.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.topic(), "orders");
    /// # Ok(()) }
    /// ```
    pub fn topic(&self) -> &str {
        self.partition.topic()
    }

    /// The partition, `>= 0`.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert!(record.partition() < 2);
    /// # Ok(()) }
    /// ```
    pub fn partition(&self) -> i32 {
        self.partition.partition()
    }

    /// The offset in its partition, `>= 0`.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.offset(), 0);
    /// # Ok(()) }
    /// ```
    pub fn offset(&self) -> i64 {
        self.at.offset.get()
    }

    /// When the record was made, or appended, as its topic has it.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert!(record.timestamp() <= broker.now());
    /// # Ok(()) }
    /// ```
    pub fn timestamp(&self) -> Timestamp {
        self.at.timestamp
    }

    /// The leader epoch in which the record was appended; `None` if its batch does not say.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.leader_epoch(), Some(0));
    /// # Ok(()) }
    /// ```
    pub fn leader_epoch(&self) -> Option<i32> {
        self.at.leader_epoch()
    }

    /// Where the timestamp comes from.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.timestamp_type(), TimestampType::CreateTime);
    /// # Ok(()) }
    /// ```
    pub fn timestamp_type(&self) -> TimestampType {
        self.at.timestamp_type()
    }

    /// The headers, in their order, duplicates included.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.headers().len(), 0);
    /// # Ok(()) }
    /// ```
    pub fn headers(&self) -> Headers<'_> {
        self.at.headers(&self.chunk)
    }

    /// The key; `None` is null.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.key(), Some(&b"alice"[..]));
    /// # Ok(()) }
    /// ```
    pub fn key(&self) -> Option<&[u8]> {
        self.at.key(&self.chunk)
    }

    /// The value; `None` is null, a tombstone.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.value(), Some(&b"3 apples"[..]));
    /// # Ok(()) }
    /// ```
    pub fn value(&self) -> Option<&[u8]> {
        self.at.value(&self.chunk)
    }

    /// The key as text; a null one reads as "".
    ///
    /// # Errors
    /// If it is not UTF-8.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.key_str(), Ok("alice"));
    /// # Ok(()) }
    /// ```
    pub fn key_str(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.key().unwrap_or_default())
    }

    /// The value as text; a null one reads as "".
    ///
    /// # Errors
    /// If it is not UTF-8.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let record = records.iter().next().unwrap().into_owned();
    /// assert_eq!(record.value_str(), Ok("3 apples"));
    /// # Ok(()) }
    /// ```
    pub fn value_str(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(self.value().unwrap_or_default())
    }

    /// The same record, borrowed: what takes a [`ConsumerRecord`] takes it.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let record = consumer.poll_one(Duration::ZERO)?.unwrap();
    /// assert_eq!(record.as_record().key(), record.key());
    /// # Ok(()) }
    /// ```
    pub fn as_record(&self) -> ConsumerRecord<'_> {
        let (partition, chunk) = (&self.partition, &self.chunk);
        ConsumerRecord { partition, chunk, memory: chunk, at: &self.at }
    }

    /// The value alone; `None` is null.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let value = records.into_iter().next().unwrap().into_value().unwrap();
    /// assert_eq!(value.as_ref(), b"3 apples");
    /// # Ok(()) }
    /// ```
    pub fn into_value(self) -> Option<SharedBytes> {
        self.at.value_range().map(|(start, end)| SharedBytes(self.chunk.slice(start, end)))
    }
}

impl fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| bytes.escape_ascii().to_string());
        f.debug_struct("OwnedRecord")
            .field("partition", &format_args!("{}", self.partition))
            .field("offset", &self.offset())
            .field("timestamp", &format_args!("{}", self.timestamp()))
            .field("key", &text(self.key()))
            .field("value", &text(self.value()))
            .field("headers", &self.headers().len())
            .finish()
    }
}

impl<'a> From<&'a OwnedRecord> for ConsumerRecord<'a> {
    fn from(record: &'a OwnedRecord) -> Self {
        record.as_record()
    }
}

/// This record is done: the next offset of its partition.
impl From<&OwnedRecord> for Offsets {
    fn from(record: &OwnedRecord) -> Self {
        let next = OffsetAndMetadata::with_epoch(record.offset().saturating_add(1), record.at.epoch);
        [(&record.partition, next)].into()
    }
}

/// Bytes that share, and keep, the memory that the broker read them from.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
/// let records = consumer.poll(Duration::ZERO)?;
/// let value: SharedBytes = records.into_iter().next().unwrap().into_value().unwrap();
/// assert_eq!(value.as_ref(), b"3 apples");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SharedBytes(Bytes);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}
