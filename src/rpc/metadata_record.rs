//! What is known of topics, as a list of typed records: the embedded broker keeps it in one file, and a controller's
//! log can carry the same records.

use crate::types::TopicId;

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetadataRecord {
    /// There is a topic.
    Topic { id: TopicId, name: String, partitions: i32 },
    /// A setting of a topic, by Kafka's name.
    Config { topic: TopicId, key: String, value: String },
    /// A topic is gone; its directories may not be yet.
    RemoveTopic { id: TopicId },
    /// Offsets may be missing between a topic's batches: a cleaner is, or may have been, at work.
    Gaps { topic: TopicId },
    /// A topic was found on the disk, and where its logs begin was not noted yet.
    Adopting { topic: TopicId },
}

const MAGIC: &[u8; 8] = b"BROOKLET";
const VERSION: u32 = 1;
/// Magic, version, CRC and count.
const HEADER: usize = 20;

/// The file's bytes: see the format page.
pub(crate) fn encode(records: &[MetadataRecord]) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend((records.len() as u32).to_be_bytes());
    for record in records {
        let mut payload = Vec::new();
        let kind = match record {
            MetadataRecord::Topic { id, name, partitions } => {
                payload.extend(id.to_bytes());
                put(&mut payload, name);
                payload.extend(partitions.to_be_bytes());
                1u8
            }
            MetadataRecord::Config { topic, key, value } => {
                payload.extend(topic.to_bytes());
                put(&mut payload, key);
                put(&mut payload, value);
                2
            }
            MetadataRecord::RemoveTopic { id } => {
                payload.extend(id.to_bytes());
                3
            }
            MetadataRecord::Gaps { topic } => {
                payload.extend(topic.to_bytes());
                4
            }
            MetadataRecord::Adopting { topic } => {
                payload.extend(topic.to_bytes());
                5
            }
        };
        body.push(kind);
        body.extend((payload.len() as u32).to_be_bytes());
        body.extend(payload);
    }
    let mut file = Vec::with_capacity(HEADER + body.len());
    file.extend(MAGIC);
    file.extend(VERSION.to_be_bytes());
    file.extend(crc32fast::hash(&body).to_be_bytes());
    file.extend(body);
    file
}

fn put(payload: &mut Vec<u8>, text: &str) {
    payload.extend((text.len() as u32).to_be_bytes());
    payload.extend(text.as_bytes());
}

/// Reads the file's bytes; the error says what is wrong with them.
pub(crate) fn decode(file: &[u8]) -> Result<Vec<MetadataRecord>, String> {
    let mut input = Input(file);
    if input.take(8) != Some(MAGIC) {
        return Err("it does not begin with BROOKLET".to_owned());
    }
    match input.u32() {
        Some(VERSION) => {}
        other => return Err(format!("its version is {other:?} and {VERSION} is known")),
    }
    let crc = input.u32();
    if crc != Some(crc32fast::hash(input.0)) {
        return Err("its checksum is wrong".to_owned());
    }
    let count = input.u32().ok_or("it ends early")?;
    let mut records = Vec::new();
    for n in 0..count {
        records.push(record(&mut input).ok_or_else(|| format!("its record {n} is not one that is known"))?);
    }
    if input.0.is_empty() { Ok(records) } else { Err("there is more in it than its records".to_owned()) }
}

fn record(input: &mut Input<'_>) -> Option<MetadataRecord> {
    let kind = input.take(1)?.first().copied()?;
    let len = input.u32()? as usize;
    let mut payload = Input(input.take(len)?);
    let record = match kind {
        1 => MetadataRecord::Topic {
            id: payload.id()?,
            name: payload.text()?,
            partitions: payload.u32()?.try_into().ok()?,
        },
        2 => MetadataRecord::Config { topic: payload.id()?, key: payload.text()?, value: payload.text()? },
        3 => MetadataRecord::RemoveTopic { id: payload.id()? },
        4 => MetadataRecord::Gaps { topic: payload.id()? },
        5 => MetadataRecord::Adopting { topic: payload.id()? },
        _ => return None,
    };
    payload.0.is_empty().then_some(record)
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn id(&mut self) -> Option<TopicId> {
        self.take(16)?.first_chunk().map(|bytes| TopicId::from_bytes(*bytes))
    }

    fn text(&mut self) -> Option<String> {
        let len = self.u32()? as usize;
        String::from_utf8(self.take(len)?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<MetadataRecord> {
        let (a, b) = (TopicId::from_bytes([7; 16]), TopicId::from_bytes([9; 16]));
        vec![
            MetadataRecord::Topic { id: a, name: "orders".to_owned(), partitions: 3 },
            MetadataRecord::Config { topic: a, key: "segment.bytes".to_owned(), value: "1024".to_owned() },
            MetadataRecord::Topic { id: b, name: "gone".to_owned(), partitions: 1 },
            MetadataRecord::RemoveTopic { id: b },
            MetadataRecord::Gaps { topic: a },
            MetadataRecord::Adopting { topic: a },
        ]
    }

    #[test]
    fn reads_back_what_it_writes() {
        assert_eq!(decode(&encode(&some())), Ok(some()));
        assert_eq!(decode(&encode(&[])), Ok(Vec::new()));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_an_error() {
        let file = encode(&some());
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&flipped).is_err(), "bit {bit}");
        }
        for len in 0..file.len() {
            assert!(decode(&file[..len]).is_err(), "length {len}");
        }
    }
}
