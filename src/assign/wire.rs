//! The parts of which Kafka's consumer protocol is made: strings with 16 bits of length, bytes and arrays with 32.

use super::member::sorted;
use crate::{
    record::{take, take_array},
    types::TopicPartition,
};
use std::sync::Arc;

/// Bytes that are not what their version says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed bytes of the consumer protocol: {0}")]
pub(crate) struct MalformedProtocol(pub(super) &'static str);

pub(super) type Result<T> = std::result::Result<T, MalformedProtocol>;

const CUT_OFF: MalformedProtocol = MalformedProtocol("they are cut off");

/// Reads one part after another.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Kafka's versions only add fields, so that newer ones than are known here read as the newest that is.
    pub(super) fn version(&mut self) -> Result<i16> {
        let version = take_array(&mut self.rest).map(i16::from_be_bytes).ok_or(CUT_OFF)?;
        if version >= 0 { Ok(version) } else { Err(MalformedProtocol("their version is negative")) }
    }

    pub(super) fn int32(&mut self) -> Result<i32> {
        take_array(&mut self.rest).map(i32::from_be_bytes).ok_or(CUT_OFF)
    }

    pub(super) fn nullable_string(&mut self) -> Result<Option<&'a str>> {
        let length = take_array(&mut self.rest).map(i16::from_be_bytes).ok_or(CUT_OFF)?;
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let text = take(&mut self.rest, length).ok_or(CUT_OFF)?;
        std::str::from_utf8(text).map(Some).map_err(|_| MalformedProtocol("a text is not UTF-8"))
    }

    pub(super) fn string(&mut self) -> Result<&'a str> {
        self.nullable_string()?.ok_or(MalformedProtocol("a text is null"))
    }

    pub(super) fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>> {
        match usize::try_from(self.int32()?) {
            Ok(length) => take(&mut self.rest, length).ok_or(CUT_OFF).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// How many things follow, each of which takes `size` bytes at least.
    pub(super) fn count(&mut self, size: usize) -> Result<usize> {
        let count = usize::try_from(self.int32()?).map_err(|_| MalformedProtocol("an array is null"))?;
        let fits = count.checked_mul(size).is_some_and(|bytes| bytes <= self.rest.len());
        if fits { Ok(count) } else { Err(MalformedProtocol("a count is larger than what follows")) }
    }

    /// Partitions, grouped by topic; sorted here.
    pub(super) fn partitions(&mut self) -> Result<Vec<TopicPartition>> {
        let mut partitions = Vec::new();
        for _ in 0..self.count(6)? {
            let topic: Arc<str> = self.string()?.into();
            for _ in 0..self.count(4)? {
                let partition = self.int32()?;
                if partition < 0 {
                    return Err(MalformedProtocol("a partition's number is negative"));
                }
                partitions.push(TopicPartition::shared(Arc::clone(&topic), partition));
            }
        }
        Ok(sorted(partitions))
    }
}

/// Appends a text. Callers leave out what is [too long](fits).
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&i16::try_from(text.len()).unwrap_or(i16::MAX).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Whether a text has an encoding: no more than 32,767 bytes. No topic has a name that long.
pub(super) fn fits(text: &str) -> bool {
    i16::try_from(text.len()).is_ok()
}

pub(super) fn write_nullable_string(out: &mut Vec<u8>, text: Option<&str>) {
    match text.filter(|text| fits(text)) {
        Some(text) => write_string(out, text),
        None => out.extend_from_slice(&(-1_i16).to_be_bytes()),
    }
}

/// Appends bytes; those of 2 GiB and more, which have no encoding, as null.
pub(super) fn write_nullable_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes.and_then(|bytes| Some((i32::try_from(bytes.len()).ok()?, bytes))) {
        Some((length, bytes)) => {
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(bytes);
        }
        None => out.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

pub(super) fn write_count(out: &mut Vec<u8>, count: usize) {
    // A count beyond 31 bits would be of more bytes than a request may have.
    out.extend_from_slice(&i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes());
}

/// Appends partitions, sorted, grouped by topic.
pub(super) fn write_partitions(out: &mut Vec<u8>, partitions: &[TopicPartition]) {
    let partitions = sorted(partitions.iter().filter(|partition| fits(partition.topic())).cloned().collect());
    let topics = || partitions.chunk_by(|a, b| a.topic() == b.topic());
    write_count(out, topics().count());
    for of_topic in topics() {
        write_string(out, of_topic.first().map_or("", TopicPartition::topic));
        write_count(out, of_topic.len());
        for partition in of_topic {
            out.extend_from_slice(&partition.partition().to_be_bytes());
        }
    }
}
