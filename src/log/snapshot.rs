//! `.snapshot`: the producers as they were at an offset. (Kafka: `ProducerStateManager`)

use super::producers::{Producer, Producers};
use crate::{
    record::{crc32c, take_array},
    types::Offset,
};

const VERSION: i16 = 1;
/// Version, checksum.
const CRC_END: usize = 6;
const ENTRY: usize = 46;

pub(crate) fn encode(producers: &Producers) -> Vec<u8> {
    let entries = producers.entries();
    let mut body = Vec::with_capacity(4 + entries.len() * ENTRY);
    body.extend((entries.len() as u32).to_be_bytes());
    for (id, producer) in entries {
        body.extend(id.to_be_bytes());
        body.extend(producer.epoch.to_be_bytes());
        body.extend(producer.last_sequence.to_be_bytes());
        body.extend(producer.last_offset.to_be_bytes());
        body.extend(producer.offset_delta.to_be_bytes());
        body.extend(producer.timestamp.to_be_bytes());
        body.extend(producer.coordinator_epoch.to_be_bytes());
        body.extend(producer.transaction.map_or(-1, Offset::get).to_be_bytes());
    }
    let mut file = Vec::with_capacity(CRC_END + body.len());
    file.extend(VERSION.to_be_bytes());
    file.extend(crc32c(&body).to_be_bytes());
    file.extend(body);
    file
}

/// `None` for what is not a whole snapshot with a right checksum.
pub(crate) fn decode(file: &[u8]) -> Option<Producers> {
    let mut rest = file;
    let version = i16::from_be_bytes(take_array(&mut rest)?);
    let crc = u32::from_be_bytes(take_array(&mut rest)?);
    if version != VERSION || crc != crc32c(rest) {
        return None;
    }
    let count = u32::from_be_bytes(take_array(&mut rest)?) as usize;
    let (entries, more) = rest.as_chunks::<ENTRY>();
    if entries.len() != count || !more.is_empty() {
        return None;
    }
    let producers: Option<Vec<(i64, Producer)>> = entries.iter().map(|entry| decode_entry(entry)).collect();
    producers.map(Producers::from_entries)
}

fn decode_entry(mut entry: &[u8]) -> Option<(i64, Producer)> {
    let rest = &mut entry;
    let id = i64::from_be_bytes(take_array(rest)?);
    let producer = Producer {
        epoch: i16::from_be_bytes(take_array(rest)?),
        last_sequence: i32::from_be_bytes(take_array(rest)?),
        last_offset: i64::from_be_bytes(take_array(rest)?),
        offset_delta: i32::from_be_bytes(take_array(rest)?),
        timestamp: i64::from_be_bytes(take_array(rest)?),
        coordinator_epoch: i32::from_be_bytes(take_array(rest)?),
        transaction: Some(i64::from_be_bytes(take_array(rest)?)).filter(|at| *at >= 0).map(Offset::new),
    };
    (id >= 0).then_some((id, producer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_one_is_kafkas_ten_bytes() {
        let bytes = [0, 1, 0x48, 0x67, 0x4b, 0xc7, 0, 0, 0, 0];
        assert_eq!(encode(&Producers::default()), bytes);
        assert_eq!(decode(&bytes), Some(Producers::default()));
    }

    #[test]
    fn reads_back_what_it_writes_and_nothing_else() {
        let producer = |transaction| Producer {
            epoch: 3,
            last_sequence: 17,
            last_offset: 900,
            offset_delta: 4,
            timestamp: 1_700_000_000_000,
            coordinator_epoch: -1,
            transaction,
        };
        let producers =
            Producers::from_entries([(5, producer(None)), (4000, producer(Some(Offset::new(7))))]);
        let bytes = encode(&producers);
        assert_eq!(bytes.len(), 10 + 2 * ENTRY);
        assert_eq!(decode(&bytes), Some(producers));
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), None, "bit {bit}");
        }
    }
}
