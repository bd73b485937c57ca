//! What a member says when it joins: Kafka's ConsumerProtocolSubscription.

use super::wire::{
    Reader, Result, fits, write_count, write_nullable_bytes, write_nullable_string, write_partitions,
    write_string,
};
use crate::types::TopicPartition;
use std::collections::BTreeSet;

const VERSION: i16 = 3;

/// What a member subscribes to, and what it owns. Written is version 3; read is any, what is not in it is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MemberSubscription {
    pub(crate) topics: BTreeSet<String>,
    pub(crate) user_data: Option<Vec<u8>>,
    /// Since version 1. Written sorted, and read so.
    pub(crate) owned: Vec<TopicPartition>,
    /// In which it got what it owns; since version 2.
    pub(crate) generation: Option<i32>,
    /// Since version 3.
    pub(crate) rack: Option<String>,
}

impl MemberSubscription {
    /// Names of more than 32,767 bytes, which no topic has, are left out.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&VERSION.to_be_bytes());
        let topics = || self.topics.iter().filter(|topic| fits(topic));
        write_count(&mut out, topics().count());
        for topic in topics() {
            write_string(&mut out, topic);
        }
        write_nullable_bytes(&mut out, self.user_data.as_deref());
        write_partitions(&mut out, &self.owned);
        out.extend_from_slice(&self.generation.unwrap_or(-1).to_be_bytes());
        write_nullable_string(&mut out, self.rack.as_deref());
        out
    }

    /// What follows the last field of version 3 may be of a newer one, and is let be.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let version = reader.version()?;
        let mut topics = BTreeSet::new();
        for _ in 0..reader.count(2)? {
            topics.insert(reader.string()?.to_owned());
        }
        let user_data = reader.nullable_bytes()?.map(<[u8]>::to_vec);
        let owned = if version >= 1 { reader.partitions()? } else { Vec::new() };
        let generation = if version >= 2 { reader.int32()? } else { -1 };
        let rack = if version >= 3 { reader.nullable_string()?.map(str::to_owned) } else { None };
        Ok(Self { topics, user_data, owned, generation: Some(generation).filter(|it| *it >= 0), rack })
    }
}
