//! What a poll gives: records that lie where the broker read them.

use super::{owned::OwnedRecord, record_at::RecordAt};
use crate::{
    env::Bytes,
    record::{Headers, Record},
    types::{Offset, OffsetAndMetadata, Offsets, Timestamp, TimestampType, TopicPartition},
};
use std::{fmt, str::Utf8Error, sync::Arc};

/// The records of one [`poll`](crate::Consumer::poll), in the order of their partitions and, in each, of their offsets.
///
/// They borrow nothing: they share the memory that the broker read them from, a clone copies no byte, and they outlive
/// the next poll, the consumer and the topic. They were checked when they were polled, so that going through them
/// cannot fail. They keep that memory, a part of a segment, for as long as they live.
///
/// ```
/// # use brooklet::{Broker, Record, Records, TopicConfig};
/// # use std::time::Duration;
/// # fn main() -> brooklet::Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("t", TopicConfig::new())?;
/// # broker.produce(Record::to("t").key("k").value("v"))?;
/// let mut consumer = broker.consumer("g").subscribe(["t"])?;
/// let records = consumer.poll(Duration::from_secs(1))?;
/// let sum: usize = std::thread::spawn(move || records.iter().filter_map(|r| r.value()).map(<[u8]>::len).sum()).join().unwrap();
/// assert_eq!(sum, 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Records {
    parts: Vec<Part>,
}

/// Records of one partition, without a gap in what there was to read.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) partition: TopicPartition,
    /// What the records lie in.
    pub(super) chunks: Arc<[Bytes]>,
    pub(super) records: Arc<Vec<RecordAt>>,
    /// What to commit when all of them are done.
    pub(super) next: (Offset, i32),
}

impl Records {
    pub(super) fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Goes through the records.
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
    /// assert!(records.iter().all(|record| record.topic() == "orders"));
    /// # Ok(()) }
    /// ```
    pub fn iter(&self) -> RecordsIter<'_> {
        RecordsIter { parts: self.parts.iter(), part: None, left: self.len() }
    }

    /// How many records there are.
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
    /// assert_eq!(records.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.records.len()).sum()
    }

    /// Whether there are none: the poll timed out.
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
    /// assert!(!records.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The partitions that there are records of, each once.
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
    /// assert!(records.partitions().all(|partition| partition.topic() == "orders"));
    /// # Ok(()) }
    /// ```
    pub fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.parts.iter().map(|part| &part.partition)
    }

    /// The records of each partition on their own, for a thread each.
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
    /// for part in records.by_partition() {
    ///     std::thread::spawn(move || part.iter().count()).join().unwrap();
    /// }
    /// # Ok(()) }
    /// ```
    pub fn by_partition(&self) -> Vec<Self> {
        self.parts.iter().map(|part| Self { parts: vec![part.clone()] }).collect()
    }

    /// What to commit when all of these are done: the next offset of each partition.
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
    /// let done = records.next_offsets();
    /// consumer.commit_offsets(done)?;
    /// # Ok(()) }
    /// ```
    pub fn next_offsets(&self) -> Offsets {
        self.parts
            .iter()
            .map(|part| (&part.partition, OffsetAndMetadata::with_epoch(part.next.0.get(), part.next.1)))
            .collect()
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl From<&Records> for Offsets {
    fn from(records: &Records) -> Self {
        records.next_offsets()
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = ConsumerRecord<'a>;
    type IntoIter = RecordsIter<'a>;

    fn into_iter(self) -> RecordsIter<'a> {
        self.iter()
    }
}

impl IntoIterator for Records {
    type Item = OwnedRecord;
    type IntoIter = std::vec::IntoIter<OwnedRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().map(ConsumerRecord::into_owned).collect::<Vec<_>>().into_iter()
    }
}

/// Goes through [`Records`].
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
/// let values: Vec<_> = records.iter().filter_map(|record| record.value()).collect();
/// assert_eq!(values, [b"3 apples"]);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct RecordsIter<'a> {
    parts: std::slice::Iter<'a, Part>,
    part: Option<PartIter<'a>>,
    left: usize,
}

impl<'a> Iterator for RecordsIter<'a> {
    type Item = ConsumerRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'a>> {
        loop {
            if let Some(record) = self.part.as_mut().and_then(PartIter::next) {
                self.left = self.left.saturating_sub(1);
                return Some(record);
            }
            self.part = Some(PartIter::new(self.parts.next()?));
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for RecordsIter<'_> {}

#[derive(Debug, Clone)]
struct PartIter<'a> {
    part: &'a Part,
    records: std::slice::Iter<'a, RecordAt>,
    /// The chunk of the last record, by its number and as the bytes that it is.
    chunk: Option<(u32, &'a Bytes, &'a [u8])>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.records.first().map(|record| record.offset);
        write!(
            f,
            "{} records of {} from {}",
            self.records.len(),
            self.partition,
            first.unwrap_or(self.next.0)
        )
    }
}

impl<'a> PartIter<'a> {
    fn new(part: &'a Part) -> Self {
        Self { part, records: part.records.iter(), chunk: None }
    }

    #[inline]
    fn next(&mut self) -> Option<ConsumerRecord<'a>> {
        let at = self.records.next()?;
        let (_, chunk, memory) = match self.chunk.filter(|(number, ..)| *number == at.chunk) {
            Some(known) => known,
            None => {
                let chunk = self.part.chunks.get(at.chunk as usize)?;
                *self.chunk.insert((at.chunk, chunk, chunk))
            }
        };
        Some(ConsumerRecord { partition: &self.part.partition, chunk, memory, at })
    }
}

/// A record as it was polled. `Copy`; what it gives lives as long as the [`Records`] do.
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
/// let record = records.iter().next().unwrap();
/// assert_eq!((record.topic(), record.offset()), ("orders", 0));
/// assert_eq!((record.key_str(), record.value_str()), (Ok("alice"), Ok("3 apples")));
/// assert!(record.headers().is_empty() && record.timestamp() <= broker.now());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy)]
pub struct ConsumerRecord<'a> {
    pub(super) partition: &'a TopicPartition,
    /// What the record lies in, to be shared.
    pub(super) chunk: &'a Bytes,
    /// The same, as the bytes that it is.
    pub(super) memory: &'a [u8],
    pub(super) at: &'a RecordAt,
}

impl<'a> ConsumerRecord<'a> {
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.topic_partition().topic(), "orders");
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn topic_partition(self) -> &'a TopicPartition {
        self.partition
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.topic(), "orders");
    /// # Ok(()) }
    /// ```
    pub fn topic(self) -> &'a str {
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
    /// let record = records.iter().next().unwrap();
    /// assert!(record.partition() < 2);
    /// # Ok(()) }
    /// ```
    pub fn partition(self) -> i32 {
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.offset(), 0);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn offset(self) -> i64 {
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
    /// let record = records.iter().next().unwrap();
    /// assert!(record.timestamp() <= broker.now());
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn timestamp(self) -> Timestamp {
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.leader_epoch(), Some(0));
    /// # Ok(()) }
    /// ```
    pub fn leader_epoch(self) -> Option<i32> {
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.timestamp_type(), TimestampType::CreateTime);
    /// # Ok(()) }
    /// ```
    pub fn timestamp_type(self) -> TimestampType {
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.headers().len(), 0);
    /// # Ok(()) }
    /// ```
    pub fn headers(self) -> Headers<'a> {
        self.at.headers(self.memory)
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.key(), Some(&b"alice"[..]));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn key(self) -> Option<&'a [u8]> {
        self.at.key(self.memory)
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.value(), Some(&b"3 apples"[..]));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn value(self) -> Option<&'a [u8]> {
        self.at.value(self.memory)
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.key_str(), Ok("alice"));
    /// # Ok(()) }
    /// ```
    pub fn key_str(self) -> Result<&'a str, Utf8Error> {
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
    /// let record = records.iter().next().unwrap();
    /// assert_eq!(record.value_str(), Ok("3 apples"));
    /// # Ok(()) }
    /// ```
    pub fn value_str(self) -> Result<&'a str, Utf8Error> {
        std::str::from_utf8(self.value().unwrap_or_default())
    }

    /// The record on its own, for another thread or for later. No byte is copied.
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
    /// std::thread::spawn(move || assert_eq!(record.key(), Some(&b"alice"[..]))).join().unwrap();
    /// # Ok(()) }
    /// ```
    pub fn into_owned(self) -> OwnedRecord {
        OwnedRecord { partition: self.partition.clone(), chunk: self.chunk.clone(), at: *self.at }
    }
}

impl fmt::Debug for ConsumerRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| bytes.escape_ascii().to_string());
        f.debug_struct("ConsumerRecord")
            .field("partition", &format_args!("{}", self.partition))
            .field("offset", &self.offset())
            .field("timestamp", &format_args!("{}", self.timestamp()))
            .field("key", &text(self.key()))
            .field("value", &text(self.value()))
            .field("headers", &self.headers().len())
            .finish()
    }
}

/// This record is done: the next offset of its partition.
impl From<ConsumerRecord<'_>> for Offsets {
    fn from(record: ConsumerRecord<'_>) -> Self {
        let next = OffsetAndMetadata::with_epoch(record.offset().saturating_add(1), record.at.epoch);
        [(record.topic_partition(), next)].into()
    }
}

impl<'a> Record<'a> {
    /// Takes over another record's key, value and headers: for mirrors and dead letters.
    ///
    /// ```
    /// # use brooklet::{Broker, Record, TopicConfig};
    /// # use std::time::Duration;
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("a", TopicConfig::new())?;
    /// # broker.create_topic("b", TopicConfig::new())?;
    /// # broker.produce(Record::to("a").key("k").value("v").header("h", "1"))?;
    /// # let mut consumer = broker.consumer("g").subscribe(["a"])?;
    /// for record in &consumer.poll(Duration::from_secs(1))? {
    ///     broker.produce(Record::to("b").copy_of(record).header("source", "a"))?;
    /// }
    /// # broker.produce(Record::to("a").key("k").value("v"))?;
    /// if let Some(record) = consumer.poll_one(Duration::from_secs(1))? {
    ///     broker.produce(Record::to("b").copy_of(&record))?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn copy_of(mut self, record: impl Into<ConsumerRecord<'a>>) -> Self {
        let record = record.into();
        self.key = record.key();
        self.value = record.value();
        self.headers.extend(record.headers().iter());
        self
    }
}
