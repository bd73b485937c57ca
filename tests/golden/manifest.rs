//! What a Kafka client read of a directory.

use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) partitions: Vec<Partition>,
    /// What was committed that is in force.
    pub(crate) groups: Vec<Group>,
    /// All groups, those too that have committed nothing that is in force; older manifests don't list them.
    pub(crate) group_ids: Option<Vec<String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Partition {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) topic_id: String,
    pub(crate) log_start: i64,
    pub(crate) high_watermark: i64,
    pub(crate) last_stable: i64,
    /// Ranges of offsets, inclusive.
    pub(crate) committed: Vec<(i64, i64)>,
    pub(crate) records: Vec<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) timestamp: i64,
    pub(crate) timestamp_type: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Content,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// A value; of a long one only its length and digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Bytes(Option<Vec<u8>>),
    Digest(u64, String),
}

#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) metadata: String,
}

impl Manifest {
    pub(crate) fn read(dir: &Path) -> Self {
        let summary: Value =
            serde_json::from_slice(&std::fs::read(dir.join("summary.json")).unwrap()).unwrap();
        let mut records: BTreeMap<(String, i32), Vec<Record>> = BTreeMap::new();
        for line in std::fs::read_to_string(dir.join("records.jsonl")).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            records.entry((text(&line["topic"]), int(&line["partition"]))).or_default().push(record(&line));
        }
        let partition = |there: &Value| {
            let (topic, number) = (text(&there["topic"]), int(&there["partition"]));
            let ranges = there["read_committed_offsets"].as_array().unwrap();
            Partition {
                topic_id: text(&there["topic_id"]),
                log_start: there["log_start_offset"].as_i64().unwrap(),
                high_watermark: there["high_watermark"].as_i64().unwrap(),
                last_stable: there["last_stable_offset"].as_i64().unwrap(),
                committed: ranges.iter().map(|r| (r[0].as_i64().unwrap(), r[1].as_i64().unwrap())).collect(),
                records: records.get(&(topic.clone(), number)).cloned().unwrap_or_default(),
                topic,
                partition: number,
            }
        };
        let group = |there: &Value| Group {
            group: text(&there["group"]),
            topic: text(&there["topic"]),
            partition: int(&there["partition"]),
            offset: there["offset"].as_i64().unwrap(),
            leader_epoch: Some(int(&there["leader_epoch"])).filter(|epoch| *epoch >= 0),
            metadata: text(&there["metadata"]),
        };
        let ids = |states: &Vec<Value>| states.iter().map(|there| text(&there["group"])).collect();
        Self {
            group_ids: summary["group_states"].as_array().map(ids),
            partitions: summary["topics"].as_array().unwrap().iter().map(partition).collect(),
            groups: summary["groups"].as_array().unwrap().iter().map(group).collect(),
        }
    }
}

fn record(line: &Value) -> Record {
    let header = |pair: &Value| (text(&pair[0]), bytes(&pair[1]));
    Record {
        offset: line["offset"].as_i64().unwrap(),
        leader_epoch: line["leader_epoch"].as_i64().map(|epoch| epoch as i32),
        timestamp: line["timestamp"].as_i64().unwrap(),
        timestamp_type: text(&line["timestamp_type"]),
        key: bytes(&line["key"]),
        value: match line.get("value_sha256") {
            Some(digest) => Content::Digest(line["value_len"].as_u64().unwrap(), text(digest)),
            None => Content::Bytes(bytes(&line["value"])),
        },
        headers: line["headers"].as_array().unwrap().iter().map(header).collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn int(value: &Value) -> i32 {
    value.as_i64().unwrap() as i32
}

/// Base64, or null.
fn bytes(value: &Value) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = value.as_str()?.trim_end_matches('=');
    let digit = |byte| DIGITS.iter().position(|digit| *digit == byte).unwrap() as u32;
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0, |bits, byte| bits << 6 | digit(*byte)) << (6 * (4 - chunk.len()));
        bits.to_be_bytes()[1..chunk.len()].to_vec()
    };
    Some(text.as_bytes().chunks(4).flat_map(group).collect())
}
