//! What members of sticky groups say beside their topics, as Kafka's assignors say it.

use super::{
    super::wire::{Reader, Result, write_partitions},
    claims::Claimed,
};
use crate::types::TopicPartition;

/// What an eager member had: its partitions, and the generation in which it got them.
pub(super) fn previous_assignment(owned: &[TopicPartition], generation: Option<i32>) -> Vec<u8> {
    let mut out = Vec::new();
    write_partitions(&mut out, owned);
    out.extend_from_slice(&generation_to_bytes(generation));
    out
}

/// The oldest members leave the generation out.
pub(super) fn read_previous_assignment(bytes: &[u8]) -> Result<Claimed> {
    let mut reader = Reader::new(bytes);
    let partitions = reader.partitions()?;
    let generation = if reader.is_at_end() { -1 } else { reader.int32()? };
    Ok(Claimed { partitions, generation: Some(generation).filter(|it| *it >= 0) })
}

pub(super) fn generation_to_bytes(generation: Option<i32>) -> [u8; 4] {
    generation.unwrap_or(-1).to_be_bytes()
}

pub(super) fn read_generation(bytes: &[u8]) -> Option<i32> {
    Reader::new(bytes).int32().ok().filter(|generation| *generation >= 0)
}
