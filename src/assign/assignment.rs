//! What the leader says to a member: Kafka's ConsumerProtocolAssignment.

use super::wire::{Reader, Result, write_nullable_bytes, write_partitions};
use crate::types::TopicPartition;

const VERSION: i16 = 3;

/// The partitions that a member gets. Written is version 3; all versions have the same fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct MemberAssignment {
    /// Written sorted, and read so.
    pub(crate) partitions: Vec<TopicPartition>,
    pub(crate) user_data: Option<Vec<u8>>,
}

impl MemberAssignment {
    /// Partitions of a name of more than 32,767 bytes, which no topic has, are left out.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&VERSION.to_be_bytes());
        write_partitions(&mut out, &self.partitions);
        write_nullable_bytes(&mut out, self.user_data.as_deref());
        out
    }

    /// What follows the last field may be of a newer version, and is let be.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let _same_in_all = reader.version()?;
        let partitions = reader.partitions()?;
        Ok(Self { partitions, user_data: reader.nullable_bytes()?.map(<[u8]>::to_vec) })
    }
}
