//! What brooklet reads of a store, written down as `.ci/kafka/Manifest.java` writes what Kafka's client reads.

use brooklet::{
    Broker, Consumer, ConsumerConfig, GroupDescription, GroupPartition, Header, OffsetSpec, OwnedRecord,
    TopicConfig,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fs, path::Path, time::Duration};

/// Of a longer value, length and digest stand for it.
const LONG_VALUE: usize = 4096;
/// What a Kafka has to know of a topic.
const SETTINGS: [&str; 4] =
    ["cleanup.policy", "compression.type", "max.message.bytes", "message.timestamp.type"];

pub(crate) fn write(broker: &Broker, configs: &[(&str, TopicConfig)], dir: &Path) {
    let (mut lines, mut topics) = (String::new(), Vec::new());
    let listed = broker.admin().list_topics().unwrap();
    // The list is of the users' topics.
    for topic in std::iter::once("__consumer_offsets".to_owned()).chain(listed) {
        let described = broker.admin().describe_topic(&topic).unwrap();
        for number in 0..described.partitions.len() as i32 {
            let of = (topic.as_str(), number);
            let consumer = broker.consumer(ConsumerConfig::standalone()).assign([of]).unwrap();
            let offset = |spec| consumer.offset(of, spec).unwrap();
            let (start, end) = (offset(OffsetSpec::Earliest), offset(OffsetSpec::Latest));
            let records = read_all(consumer);
            records.iter().for_each(|record| lines += &format!("{}\n", line(record)));
            topics.push(json!({
                "topic": topic, "topic_id": described.id.to_string(), "partition": number, "log_start_offset": start,
                "high_watermark": end, "last_stable_offset": end, "records": records.len(),
                "read_committed_offsets": ranges(&records),
            }));
        }
    }
    let configs: serde_json::Map<String, Value> = configs
        .iter()
        .map(|(topic, config)| {
            let set = SETTINGS.iter().filter_map(|key| Some(((*key).to_owned(), config.get(key)?.into())));
            ((*topic).to_owned(), Value::Object(set.collect()))
        })
        .collect();
    let listed = broker.admin().list_groups().unwrap();
    let groups: Vec<_> = listed.iter().map(|group| broker.admin().describe_group(group).unwrap()).collect();
    let states = groups.iter().map(|group| json!({"group": group.group, "state": group.state.to_string()}));
    let summary = json!({
        "topics": topics, "topic_configs": configs, "group_states": states.collect::<Vec<_>>(),
        "groups": groups.iter().flat_map(commits).collect::<Vec<_>>(),
    });
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("records.jsonl"), lines).unwrap();
    fs::write(dir.join("summary.json"), summary.to_string()).unwrap();
}

pub(crate) fn read_all(mut consumer: Consumer) -> Vec<OwnedRecord> {
    let mut records = Vec::new();
    while !consumer.is_caught_up().unwrap() {
        records.extend(consumer.poll(Duration::ZERO).unwrap());
    }
    records
}

fn commits(group: &GroupDescription) -> Vec<Value> {
    let commit = |there: &GroupPartition| {
        json!({
            "group": group.group, "topic": there.partition.topic(), "partition": there.partition.partition(),
            "offset": there.committed.offset, "leader_epoch": there.committed.leader_epoch.unwrap_or(-1),
            "metadata": there.committed.metadata,
        })
    };
    group.partitions.iter().map(commit).collect()
}

fn ranges(records: &[OwnedRecord]) -> Vec<(i64, i64)> {
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for offset in records.iter().map(OwnedRecord::offset) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == offset => *last = offset,
            _ => ranges.push((offset, offset)),
        }
    }
    ranges
}

fn line(record: &OwnedRecord) -> Value {
    let header = |header: Header<'_>| json!([header.key, header.value.map(base64)]);
    let mut line = json!({
        "topic": record.topic(), "partition": record.partition(), "offset": record.offset(),
        "leader_epoch": record.leader_epoch(), "timestamp": record.timestamp().as_millis(),
        "timestamp_type": record.timestamp_type().to_string(), "key": record.key().map(base64),
        "headers": record.headers().iter().map(header).collect::<Vec<_>>(),
    });
    match record.value() {
        Some(value) if value.len() > LONG_VALUE => {
            let digest: String = Sha256::digest(value).iter().map(|byte| format!("{byte:02x}")).collect();
            line["value_len"] = value.len().into();
            line["value_sha256"] = digest.into();
        }
        value => line["value"] = value.map(base64).into(),
    }
    line
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, n| bits << 8 | u32::from(*chunk.get(n).unwrap_or(&0)));
        let digit = |n: usize| DIGITS[(bits >> (18 - 6 * n)) as usize & 63] as char;
        (0..4).map(|n| if n <= chunk.len() { digit(n) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}
