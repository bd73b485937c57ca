//! A record's headers, read where they lie.

use super::{read::take, varint::read_varint};
use std::fmt;

/// A note on a record: a key, and a value that may be null.
///
/// ```
/// # use brooklet::*;
/// let header = Header { key: "trace", value: Some(b"42") };
/// assert_eq!(header.key, "trace");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// The header's name. Several headers of a record may have the same.
    pub key: &'a str,
    /// The header's value; `None` is null, which is not the same as empty.
    pub value: Option<&'a [u8]>,
}

/// A record's headers, in the order in which they were added, duplicates included.
///
/// ```
/// fn trace_id(headers: brooklet::Headers<'_>) -> Option<&[u8]> {
///     headers.last("trace-id").and_then(|header| header.value)
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    count: i32,
}

impl<'a> Headers<'a> {
    /// `count` headers, `>= 0`, that lie in `bytes` one after another.
    pub(crate) const fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { bytes, count }
    }

    /// The bytes that the headers lie in, and how many they are.
    pub(crate) const fn raw(self) -> (&'a [u8], i32) {
        (self.bytes, self.count)
    }

    /// Goes through the headers in order.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// # broker.produce(Record::to("orders").key("alice").header("a", "1").header("a", "2"))?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let headers = records.iter().last().unwrap().headers();
    /// assert_eq!(headers.iter().count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn iter(self) -> HeaderIter<'a> {
        HeaderIter { rest: self.bytes, remaining: self.count }
    }

    /// The last header of this key, the one that counts where there are several; `None` if there is none.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// # broker.produce(Record::to("orders").key("alice").header("a", "1").header("a", "2"))?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let headers = records.iter().last().unwrap().headers();
    /// assert_eq!(headers.last("a").and_then(|header| header.value), Some(&b"2"[..]));
    /// # Ok(()) }
    /// ```
    pub fn last(self, key: &str) -> Option<Header<'a>> {
        self.iter().filter(|header| header.key == key).last()
    }

    /// How many headers there are.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// # broker.produce(Record::to("orders").key("alice").header("a", "1").header("a", "2"))?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let headers = records.iter().last().unwrap().headers();
    /// assert_eq!(headers.len(), 2);
    /// # Ok(()) }
    /// ```
    pub fn len(self) -> usize {
        usize::try_from(self.count).unwrap_or(0)
    }

    /// Whether there are none.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// # broker.produce(Record::to("orders").key("alice").header("a", "1").header("a", "2"))?;
    /// let records = consumer.poll(Duration::ZERO)?;
    /// let headers = records.iter().last().unwrap().headers();
    /// assert!(!headers.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn is_empty(self) -> bool {
        self.count == 0
    }

    /// Whether the headers can be read and fill their bytes.
    pub(super) fn check(self) -> Result<(), &'static str> {
        let mut rest = self.bytes;
        for _ in 0..self.count {
            read_header(&mut rest)?;
        }
        if rest.is_empty() { Ok(()) } else { Err("bytes follow the last header") }
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = Header<'a>;
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// Goes through a record's [`Headers`].
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
/// # broker.produce(Record::to("orders").key("alice").header("a", "1").header("a", "2"))?;
/// let records = consumer.poll(Duration::ZERO)?;
/// let headers = records.iter().last().unwrap().headers();
/// let keys: Vec<&str> = headers.iter().map(|header| header.key).collect();
/// assert_eq!(keys, ["a", "a"]);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct HeaderIter<'a> {
    rest: &'a [u8],
    remaining: i32,
}

impl fmt::Debug for HeaderIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = Header<'a>;

    /// Ends early only where no one checked the batch.
    fn next(&mut self) -> Option<Header<'a>> {
        self.remaining = (self.remaining > 0).then(|| self.remaining - 1)?;
        let header = read_header(&mut self.rest);
        if header.is_err() {
            self.remaining = 0;
        }
        header.ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A header takes two bytes at least, so that a count alone reserves nothing.
        (0, usize::try_from(self.remaining).ok().map(|n| n.min(self.rest.len() / 2)))
    }
}

fn read_header<'a>(rest: &mut &'a [u8]) -> Result<Header<'a>, &'static str> {
    let len = read_varint(rest).ok_or("a header's key has no length")?;
    let len = usize::try_from(len).map_err(|_| "a header's key is null")?;
    let key = take(rest, len).ok_or("a header's key is cut off")?;
    let key = std::str::from_utf8(key).map_err(|_| "a header's key is not UTF-8")?;
    let value = read_nullable(rest).ok_or("a header's value is cut off")?;
    Ok(Header { key, value })
}

/// A length and so many bytes. As in Kafka every negative length says null, though only -1 is ever written.
#[inline]
pub(super) fn read_nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match usize::try_from(read_varint(rest)?) {
        Ok(len) => take(rest, len).map(Some),
        Err(_) => Some(None),
    }
}
