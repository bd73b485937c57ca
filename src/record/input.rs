//! Records as users give them.

use super::headers::Header;
use crate::types::{Durability, Timestamp};

/// A record to produce: a topic, and what the record holds.
///
/// Borrows everything. Its bytes are copied once, into the batch that is stored.
///
/// ```
/// use brooklet::{Durability, Record};
/// let order = Record::to("orders").key("alice").value("3 apples");
/// let urgent = order.clone().header("priority", "high").durability(Durability::Flushed);
/// let customer = 42_u64.to_be_bytes();
/// let tombstone = Record::to("customers").key(&customer);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a record is nowhere until it is produced"]
pub struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Vec<Header<'a>>,
    pub(crate) timestamp: Option<Timestamp>,
    pub(crate) durability: Option<Durability>,
}

impl<'a> Record<'a> {
    /// A record for `topic`, with a null key, a null value and no headers.
    ///
    /// ```
    /// # use brooklet::Record;
    /// let record = Record::to("orders").key("alice").value("3 apples");
    /// ```
    pub fn to(topic: &'a str) -> Self {
        Self {
            topic,
            partition: None,
            key: None,
            value: None,
            headers: Vec::new(),
            timestamp: None,
            durability: None,
        }
    }

    /// Sets the key. Records of one key go to one partition, and so stay in order; compaction keeps the last.
    ///
    /// Without a call the key is null, which is not the same as empty: null keys are spread over the partitions,
    /// and a compacted topic refuses them.
    ///
    /// ```
    /// # use brooklet::Record;
    /// let text = Record::to("orders").key("alice");
    /// let bytes = Record::to("orders").key(&[1, 2, 3]);
    /// let number = 7_u32.to_be_bytes();
    /// let number = Record::to("orders").key(&number);
    /// ```
    pub fn key<K: AsRef<[u8]> + ?Sized>(mut self, key: &'a K) -> Self {
        self.key = Some(key.as_ref());
        self
    }

    /// Sets the value. Without a call it is null: on a compacted topic a tombstone, which deletes its key.
    ///
    /// ```
    /// # use brooklet::Record;
    /// let put = Record::to("customers").key("alice").value("Main Street 1");
    /// let delete = Record::to("customers").key("alice");
    /// ```
    pub fn value<V: AsRef<[u8]> + ?Sized>(mut self, value: &'a V) -> Self {
        self.value = Some(value.as_ref());
        self
    }

    /// Adds a header. Headers keep their order, and a key may come more than once.
    ///
    /// ```
    /// # use brooklet::Record;
    /// let record = Record::to("orders").value("3 apples").header("trace-id", "17").header("via", "web");
    /// ```
    pub fn header<V: AsRef<[u8]> + ?Sized>(mut self, key: &'a str, value: &'a V) -> Self {
        self.headers.push(Header { key, value: Some(value.as_ref()) });
        self
    }

    /// Adds a header whose value is null, which is not the same as empty.
    ///
    /// ```
    /// # use brooklet::Record;
    /// let record = Record::to("orders").value("3 apples").null_header("gift");
    /// ```
    pub fn null_header(mut self, key: &'a str) -> Self {
        self.headers.push(Header { key, value: None });
        self
    }

    /// Sets the timestamp. Without a call it is the time at which the record is produced, by the broker's clock.
    ///
    /// A topic whose `message_timestamp_type` is LogAppendTime sets its own in any case.
    ///
    /// ```
    /// # use brooklet::{Record, Timestamp};
    /// let record = Record::to("readings").value("21.5").timestamp(Timestamp::from_millis(1_700_000_000_000));
    /// let now = Record::to("readings").value("21.5").timestamp(std::time::SystemTime::now());
    /// ```
    pub fn timestamp(mut self, at: impl Into<Timestamp>) -> Self {
        self.timestamp = Some(at.into());
        self
    }

    /// Sets the partition, `>= 0`. Without a call the key chooses it; without a key, records stay with one
    /// partition for about a batch and then go on to another.
    ///
    /// ```
    /// # use brooklet::Record;
    /// let record = Record::to("orders").value("3 apples").partition(2);
    /// ```
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Asks that the record be acknowledged only when it has come so far; the stricter of this and what the topic
    /// asks for holds.
    ///
    /// ```
    /// # use brooklet::{Durability, Record};
    /// let record = Record::to("payments").value("100").durability(Durability::Flushed);
    /// ```
    pub fn durability(mut self, at_least: Durability) -> Self {
        self.durability = Some(at_least);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_what_it_was_given() {
        let record = Record::to("t").key("k").header("a", "1").null_header("a").header("a", &[]);
        assert_eq!((record.topic, record.key, record.value), ("t", Some(&b"k"[..]), None));
        let values: Vec<_> = record.headers.iter().map(|header| (header.key, header.value)).collect();
        assert_eq!(values, [("a", Some(&b"1"[..])), ("a", None), ("a", Some(&[][..]))]);
        let record = record.value(&[0; 3]).partition(4).timestamp(Timestamp::from_millis(-5));
        let record = record.durability(Durability::Flushed);
        assert_eq!((record.value, record.partition), (Some(&[0, 0, 0][..]), Some(4)));
        assert_eq!(record.timestamp, Some(Timestamp::from_millis(-5)));
        assert_eq!(record.durability, Some(Durability::Flushed));
    }
}
