//! Names of topics, partitions and brokers.

use crate::error::{Error, Result};
use std::{fmt, sync::Arc};

/// A partition of a topic.
///
/// Ordered by topic, then by partition. Shown as Kafka shows it:
///
/// ```
/// use brooklet::TopicPartition;
/// let partition = TopicPartition::new("orders", 0);
/// assert_eq!(partition.to_string(), "orders-0");
/// assert_eq!(partition, ("orders", 0).into());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    topic: Arc<str>,
    partition: i32,
}

impl TopicPartition {
    /// The partition `partition` (`>= 0`) of `topic`.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicPartition::new("orders", 3).to_string(), "orders-3");
    /// ```
    pub fn new(topic: &str, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }

    pub(crate) fn shared(topic: Arc<str>, partition: i32) -> Self {
        Self { topic, partition }
    }

    /// The topic's name.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicPartition::new("orders", 3).topic(), "orders");
    /// ```
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition's number, `>= 0`.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(TopicPartition::new("orders", 3).partition(), 3);
    /// ```
    pub fn partition(&self) -> i32 {
        self.partition
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl From<(&str, i32)> for TopicPartition {
    fn from((topic, partition): (&str, i32)) -> Self {
        Self::new(topic, partition)
    }
}

impl From<&Self> for TopicPartition {
    fn from(other: &Self) -> Self {
        other.clone()
    }
}

/// A broker's number. An embedded [`Broker`](crate::Broker) is broker 1 of one.
///
/// ```
/// # use brooklet::*;
/// assert_eq!(BrokerId::from(2).to_string(), "2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BrokerId(i32);

impl BrokerId {
    /// Kafka's number for nobody.
    pub(crate) const NOBODY: Self = Self(-1);

    pub(crate) const fn get(self) -> i32 {
        self.0
    }
}

impl From<i32> for BrokerId {
    fn from(id: i32) -> Self {
        Self(id)
    }
}

impl fmt::Display for BrokerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What tells a topic from another of the same name: a topic that is deleted and made again has a new one.
///
/// Shown as Kafka shows it, 22 characters of url-safe base64.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// let id: TopicId = broker.create_topic("payments", TopicConfig::new())?;
/// assert_eq!(id.to_string().len(), 22);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId([u8; 16]);

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl TopicId {
    pub(crate) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Sixteen random bytes as a version 4 UUID, never one that starts with a dash (Kafka's tools would take that
    /// for an option) nor a reserved one.
    pub(crate) fn random(prng: &mut crate::prng::Prng) -> Self {
        loop {
            let bits = u128::from_be_bytes(prng.bytes16());
            let bits =
                bits & !(0xf000 << 64) & !(0xc000_0000_0000_0000) | 0x4000 << 64 | 0x8000_0000_0000_0000;
            let id = Self(bits.to_be_bytes());
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// Reads the 22 characters that [`Display`](fmt::Display) writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (last, front) = bytes.split_last()?;
        let digit = |byte: &u8| BASE64.iter().position(|b| b == byte).map(|n| n as u128);
        let mut bits = 0u128;
        for byte in front {
            bits = bits << 6 | digit(byte)?;
        }
        let last = digit(last)?;
        let whole = bytes.len() == 22 && last & 0xf == 0;
        whole.then(|| Self((bits << 2 | last >> 4).to_be_bytes()))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let digits = (0..21).map(|n| bits >> (122 - 6 * n)).chain([bits << 4]);
        for digit in digits {
            let byte = BASE64.get((digit & 0x3f) as usize).copied().unwrap_or(b'A');
            write!(f, "{}", char::from(byte))?;
        }
        Ok(())
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

/// The longest topic name, in bytes.
pub(crate) const MAX_TOPIC_NAME: usize = 249;

/// The topic that groups, and what they have committed, are kept in.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Rule 21: `[a-zA-Z0-9._-]`, 1 to 249 bytes, not `.` or `..`. (Kafka: `Topic`)
pub(crate) fn check_topic_name(name: &str) -> Result<()> {
    let refuse =
        |reason: &str| Err(Error::InvalidTopic { topic: name.to_owned(), reason: reason.to_owned() });
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => refuse("a topic's name cannot be empty"),
        "." | ".." => refuse("a topic's name cannot be \".\" or \"..\""),
        _ if name.len() > MAX_TOPIC_NAME => refuse("a topic's name has at most 249 bytes"),
        _ if !name.bytes().all(legal) => {
            refuse("a topic's name has only the characters a-z, A-Z, 0-9, '.', '_' and '-'")
        }
        _ => Ok(()),
    }
}

/// A group's name is 1 to 32,767 bytes: what the length of a string in Kafka's records can say.
pub(crate) fn check_group_id(group: &str) -> Result<()> {
    let legal = !group.is_empty() && i16::try_from(group.len()).is_ok();
    if legal { Ok(()) } else { Err(Error::InvalidGroupId { group: group.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    #[test]
    fn topic_ids_read_back_what_they_show() {
        let mut prng = Prng::new(3);
        for _ in 0..200 {
            let id = TopicId::random(&mut prng);
            assert_eq!(id.to_string().len(), 22);
            assert_eq!(TopicId::parse(&id.to_string()), Some(id));
        }
        assert_eq!(TopicId::from_bytes([0; 16]).to_string(), "A".repeat(22));
        let kafkas = "1U0ZGec3Tv-Y7UAS5iGDCw";
        assert_eq!(TopicId::parse(kafkas).map(|id| id.to_string()), Some(kafkas.to_owned()));
        for bad in [
            "",
            "1U0ZGec3Tv-Y7UAS5iGDC",
            "1U0ZGec3Tv-Y7UAS5iGDCww",
            "1U0ZGec3Tv-Y7UAS5iGDC=",
            "1U0ZGec3Tv-Y7UAS5iGDCx",
        ] {
            assert_eq!(TopicId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn rule_21_topic_names() {
        for good in ["a", "A.b_c-9", &"x".repeat(249), "..."] {
            assert!(check_topic_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", &"x".repeat(250), "a\0", "a:b"] {
            assert!(matches!(check_topic_name(bad), Err(Error::InvalidTopic { .. })), "{bad}");
        }
    }
}
