//! The records of `__consumer_offsets`, byte for byte as Kafka writes them.
//!
//! Written are commits (key version 1, value version 4) and classic groups (value version 3); read is every version of
//! both that Kafka ever wrote. Keys of other types, which are other kinds of groups', are told apart and skipped.

mod group_metadata;

pub(crate) use group_metadata::{GroupMetadata, MemberMetadata};

use crate::{
    record::{read_uvarint, take, take_array, write_uvarint},
    types::{LeaderEpoch, Offset, Timestamp, TopicId},
};

/// A record that is not what its version says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a malformed record in __consumer_offsets: {0}")]
pub(crate) struct MalformedOffsetsRecord(&'static str);

type Result<T> = std::result::Result<T, MalformedOffsetsRecord>;

const KEY_VERSION: i16 = 1;
const VALUE_VERSION: i16 = 4;
/// Of the record with a group's members.
const GROUP_KEY_VERSION: i16 = 2;
/// The only tagged field of a commit's value.
const TOPIC_ID_TAG: u32 = 0;

/// What a record of the topic says. A value of `None` is a tombstone: the offset, or the group, is no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OffsetsRecord<'a> {
    Commit {
        key: OffsetKey<'a>,
        value: Option<OffsetValue<'a>>,
    },
    /// Members of a classic group, after a rebalance.
    GroupMetadata {
        group: &'a str,
        value: Option<GroupMetadata>,
    },
    /// A type of record that is none of a classic group's.
    Unknown {
        key_type: i16,
    },
}

impl<'a> OffsetsRecord<'a> {
    pub(crate) fn decode(key: &'a [u8], value: Option<&'a [u8]>) -> Result<Self> {
        let mut fields = Fields::new(key);
        match fields.int16()? {
            0 | 1 => {
                let key = OffsetKey::read(fields)?;
                Ok(Self::Commit { key, value: value.map(OffsetValue::decode).transpose()? })
            }
            2 => {
                let group = fields.string()?;
                fields.end()?;
                Ok(Self::GroupMetadata { group, value: value.map(GroupMetadata::decode).transpose()? })
            }
            key_type => Ok(Self::Unknown { key_type }),
        }
    }
}

/// Whose offset a commit is, and for which partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetKey<'a> {
    pub(crate) group: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
}

impl<'a> OffsetKey<'a> {
    /// Appends the key to `out`. A group or topic of more than 32,767 bytes has no encoding; then `out` stays.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        let length =
            |text: &str| i16::try_from(text.len()).map_err(|_| MalformedOffsetsRecord("a name is too long"));
        let (group, topic) = (length(self.group)?, length(self.topic)?);
        out.extend_from_slice(&KEY_VERSION.to_be_bytes());
        out.extend_from_slice(&group.to_be_bytes());
        out.extend_from_slice(self.group.as_bytes());
        out.extend_from_slice(&topic.to_be_bytes());
        out.extend_from_slice(self.topic.as_bytes());
        out.extend_from_slice(&self.partition.to_be_bytes());
        Ok(())
    }

    /// Both versions have the same fields.
    fn read(mut fields: Fields<'a>) -> Result<Self> {
        let key = Self { group: fields.string()?, topic: fields.string()?, partition: fields.int32()? };
        fields.end()?;
        Ok(key)
    }
}

/// What a group committed for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetValue<'a> {
    /// The next offset to read.
    pub(crate) offset: Offset,
    pub(crate) leader_epoch: Option<LeaderEpoch>,
    pub(crate) metadata: &'a str,
    pub(crate) commit_timestamp: Timestamp,
    /// The topic's, so that a commit does not outlive its topic. Older Kafkas and transactions leave it out.
    pub(crate) topic_id: Option<TopicId>,
}

impl<'a> OffsetValue<'a> {
    /// Appends the value to `out`. Metadata of 4 GiB has no encoding; then `out` stays.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        // A compact string's length is one too large, so that 0 can say null.
        let length = u32::try_from(self.metadata.len()).ok().and_then(|len| len.checked_add(1));
        let length = length.ok_or(MalformedOffsetsRecord("the metadata is too long"))?;
        out.extend_from_slice(&VALUE_VERSION.to_be_bytes());
        out.extend_from_slice(&self.offset.get().to_be_bytes());
        out.extend_from_slice(&self.leader_epoch.map_or(-1, |epoch| epoch.0).to_be_bytes());
        write_uvarint(out, length);
        out.extend_from_slice(self.metadata.as_bytes());
        out.extend_from_slice(&self.commit_timestamp.as_millis().to_be_bytes());
        match self.topic_id {
            Some(id) => {
                write_uvarint(out, 1);
                write_uvarint(out, TOPIC_ID_TAG);
                write_uvarint(out, 16);
                out.extend_from_slice(&id.to_bytes());
            }
            None => write_uvarint(out, 0),
        }
        Ok(())
    }

    fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut fields = Fields::new(bytes);
        let version = fields.version(VALUE_VERSION)?;
        let offset = Offset::new(fields.int64()?);
        let leader_epoch = if version >= 3 { fields.int32()? } else { -1 };
        let metadata = fields.string()?;
        let commit_timestamp = Timestamp::from_millis(fields.int64()?);
        if version == 1 {
            // When the offset was to expire. Offsets expire by the broker's setting since Kafka 2.1.
            fields.int64()?;
        }
        let mut topic_id = None;
        fields.tags(|tag, bytes| {
            if tag == TOPIC_ID_TAG {
                let id =
                    bytes.try_into().map_err(|_| MalformedOffsetsRecord("a topic id has not 16 bytes"))?;
                topic_id = Some(TopicId::from_bytes(id)).filter(|_| id != [0; 16]);
            }
            Ok(())
        })?;
        fields.end()?;
        let leader_epoch = Some(LeaderEpoch(leader_epoch)).filter(|epoch| epoch.0 >= 0);
        Ok(Self { offset, leader_epoch, metadata, commit_timestamp, topic_id })
    }
}

/// The key of the record with a group's members. `None` for an id of more than 32,767 bytes.
pub(crate) fn group_metadata_key(group: &str) -> Option<Vec<u8>> {
    let length = i16::try_from(group.len()).ok()?;
    Some([&GROUP_KEY_VERSION.to_be_bytes(), &length.to_be_bytes(), group.as_bytes()].concat())
}

/// The partition of `__consumer_offsets`, of `partitions` (`> 0`), that holds what `group` commits: by Java's hash
/// code of the group's id, which goes over UTF-16 code units.
pub(crate) fn partition_for_group(group: &str, partitions: i32) -> i32 {
    let hash =
        group.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    hash.checked_abs().unwrap_or(0).checked_rem(partitions).unwrap_or(0)
}

/// Reads the fields of Kafka's messages one after another. A flexible version has shorter lengths, and tagged
/// fields at the end of each of its parts.
struct Fields<'a> {
    rest: &'a [u8],
    flexible: bool,
}

const CUT_OFF: MalformedOffsetsRecord = MalformedOffsetsRecord("it is cut off");

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, flexible: false }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        take_array(&mut self.rest).ok_or(CUT_OFF)
    }

    fn int16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn int32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn int64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn uvarint(&mut self) -> Result<u32> {
        read_uvarint(&mut self.rest).ok_or(CUT_OFF)
    }

    /// A value's version, 0 to `newest`; from 4 on it is flexible.
    fn version(&mut self, newest: i16) -> Result<i16> {
        let version = self.int16()?;
        self.flexible = version >= 4;
        let known = (0..=newest).contains(&version);
        if known { Ok(version) } else { Err(MalformedOffsetsRecord("its version is not known")) }
    }

    /// A length; negative is null. `int16` says how wide it is where it is not a varint.
    fn length(&mut self, int16: bool) -> Result<i64> {
        match (self.flexible, int16) {
            (true, _) => Ok(i64::from(self.uvarint()?) - 1),
            (false, true) => self.int16().map(i64::from),
            (false, false) => self.int32().map(i64::from),
        }
    }

    fn nullable_bytes(&mut self, int16: bool) -> Result<Option<&'a [u8]>> {
        match usize::try_from(self.length(int16)?) {
            Ok(len) => take(&mut self.rest, len).ok_or(CUT_OFF).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn nullable_string(&mut self) -> Result<Option<&'a str>> {
        let text = self.nullable_bytes(true)?.map(std::str::from_utf8).transpose();
        text.map_err(|_| MalformedOffsetsRecord("a text is not UTF-8"))
    }

    fn string(&mut self) -> Result<&'a str> {
        self.nullable_string()?.ok_or(MalformedOffsetsRecord("a text is null"))
    }

    /// How many things follow. Each takes a byte at least.
    fn count(&mut self) -> Result<i32> {
        let count = i32::try_from(self.length(false)?).unwrap_or(-1);
        let fits = usize::try_from(count).is_ok_and(|count| count <= self.rest.len());
        if fits { Ok(count) } else { Err(MalformedOffsetsRecord("a count cannot be right")) }
    }

    /// The tagged fields, by number; none in a version that is not flexible.
    fn tags(&mut self, mut each: impl FnMut(u32, &'a [u8]) -> Result<()>) -> Result<()> {
        let count = if self.flexible { self.uvarint()? } else { 0 };
        for _ in 0..count {
            let tag = self.uvarint()?;
            let size = usize::try_from(self.uvarint()?).unwrap_or(usize::MAX);
            each(tag, take(&mut self.rest, size).ok_or(CUT_OFF)?)?;
        }
        Ok(())
    }

    fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(MalformedOffsetsRecord("bytes follow its last field")) }
    }
}

#[cfg(test)]
mod tests;
