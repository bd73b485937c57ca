//! A manifest beside what brooklet gives.

use crate::manifest::{Content, Manifest, Partition, Record};
use brooklet::{
    Broker, Consumer, ConsumerConfig, IsolationLevel, OffsetSpec, OwnedRecord, Timestamp, TopicPartition,
};
use sha2::{Digest, Sha256};
use std::time::Duration;

pub(crate) struct Check<'a> {
    broker: &'a Broker,
    manifest: &'a Manifest,
}

/// How many records of a long partition are begun with.
const SAMPLE: usize = 150;

impl<'a> Check<'a> {
    pub(crate) fn new(broker: &'a Broker, manifest: &'a Manifest) -> Self {
        Self { broker, manifest }
    }

    pub(crate) fn all(&self) {
        self.topics();
        self.records(0);
        self.committed_records();
        self.groups();
    }

    fn reader(&self, config: ConsumerConfig, there: &Partition) -> Consumer {
        self.broker.consumer(config).assign([there.of()]).unwrap()
    }

    fn topics(&self) {
        for there in &self.manifest.partitions {
            let topic = self.broker.admin().describe_topic(&there.topic).unwrap();
            assert_eq!(topic.id.to_string(), there.topic_id, "{}", there.topic);
            let count = self.manifest.partitions.iter().filter(|other| other.topic == there.topic).count();
            assert_eq!(topic.partitions.len(), count, "{}", there.topic);
        }
        let listed = self.broker.admin().list_topics().unwrap();
        let known = |topic: &String| self.manifest.partitions.iter().any(|there| there.topic == *topic);
        assert!(listed.iter().all(known), "{listed:?}");
    }

    /// All records, and `more` that were appended since.
    pub(crate) fn records(&self, more: i64) {
        for there in &self.manifest.partitions {
            let more = if there.topic.starts_with("__") { 0 } else { more };
            let consumer = self.reader(ConsumerConfig::standalone(), there);
            let offset = |spec| consumer.offset(there.of(), spec).unwrap();
            assert_eq!(offset(OffsetSpec::Earliest), Some(there.log_start), "{}", there.of());
            assert_eq!(offset(OffsetSpec::Latest), Some(there.high_watermark + more), "{}", there.of());
            let read = read_all(consumer);
            assert_eq!(read.len(), there.records.len() + more as usize, "{}", there.of());
            for (read, listed) in read.iter().zip(&there.records) {
                assert_eq!(found(read, &listed.value), *listed, "{}", there.of());
            }
        }
    }

    fn committed_records(&self) {
        for there in &self.manifest.partitions {
            let config = ConsumerConfig::standalone().isolation_level(IsolationLevel::ReadCommitted);
            for limit in [1, 7, 500] {
                let consumer = self.reader(config.clone().max_poll_records(limit), there);
                let end = consumer.offset(there.of(), OffsetSpec::Latest).unwrap();
                assert_eq!(end, Some(there.last_stable), "{}", there.of());
                let read: Vec<i64> = read_all(consumer).iter().map(OwnedRecord::offset).collect();
                let listed: Vec<i64> =
                    there.committed.iter().flat_map(|(first, last)| *first..=*last).collect();
                assert_eq!(read, listed, "{}, {limit} at a time", there.of());
            }
        }
    }

    fn groups(&self) {
        for there in &self.manifest.groups {
            let of = TopicPartition::new(&there.topic, there.partition);
            let consumer = self.broker.consumer(there.group.as_str()).assign([&of]).unwrap();
            let committed = consumer.committed(&of).unwrap();
            let committed =
                committed.unwrap_or_else(|| panic!("{} has committed nothing for {of}", there.group));
            let told = (committed.offset, committed.leader_epoch, committed.metadata.as_str());
            assert_eq!(
                told,
                (there.offset, there.leader_epoch, there.metadata.as_str()),
                "{} {of}",
                there.group
            );
            consumer.close().unwrap();
        }
    }

    /// From each offset of a small partition, and from some of a large one.
    pub(crate) fn starts_anywhere(&self) {
        for there in &self.manifest.partitions {
            let span = (there.high_watermark - there.log_start) as usize;
            for from in (there.log_start..=there.high_watermark).step_by(1 + span / SAMPLE) {
                let mut consumer = self.reader(ConsumerConfig::standalone(), there);
                consumer.seek(there.of(), from).unwrap();
                let first =
                    consumer.poll(Duration::ZERO).unwrap().iter().next().map(|record| record.offset());
                let listed = there.records.iter().map(|record| record.offset).find(|offset| *offset >= from);
                assert_eq!(first, listed, "{} from {from}", there.of());
            }
        }
    }

    /// The first record at least as young.
    pub(crate) fn times(&self) {
        for there in &self.manifest.partitions {
            let consumer = self.reader(ConsumerConfig::standalone(), there);
            for record in there.records.iter().step_by(1 + there.records.len() / SAMPLE) {
                for at in [record.timestamp - 1, record.timestamp, record.timestamp + 1] {
                    let at = at.max(0);
                    let found = consumer.offset(there.of(), Timestamp::from_millis(at)).unwrap();
                    let listed = there.records.iter().find(|record| record.timestamp >= at);
                    // Markers have timestamps too, and no one can read them: a time may lead to one.
                    let listed = listed.map(|record| record.offset);
                    let markers = !there.committed.is_empty() && there.records.len() as i64 != there.span();
                    let fits = found == listed || (markers && found < listed && found.is_some());
                    assert!(
                        fits || (markers && listed.is_none()),
                        "{} at {at}: {found:?}, {listed:?}",
                        there.of()
                    );
                }
            }
        }
    }

    pub(crate) fn few_at_a_time(&self) {
        for there in &self.manifest.partitions {
            let config = ConsumerConfig::standalone().max_poll_records(3).max_partition_fetch_bytes(500);
            let read: Vec<i64> =
                read_all(self.reader(config, there)).iter().map(OwnedRecord::offset).collect();
            let listed: Vec<i64> = there.records.iter().map(|record| record.offset).collect();
            assert_eq!(read, listed, "{}", there.of());
        }
    }
}

impl Partition {
    fn of(&self) -> TopicPartition {
        TopicPartition::new(&self.topic, self.partition)
    }

    fn span(&self) -> i64 {
        self.high_watermark - self.log_start
    }
}

fn read_all(mut consumer: Consumer) -> Vec<OwnedRecord> {
    let mut records = Vec::new();
    while !consumer.is_caught_up().unwrap() {
        records.extend(consumer.poll(Duration::ZERO).unwrap());
    }
    records
}

/// A record as a manifest would list it.
fn found(record: &OwnedRecord, like: &Content) -> Record {
    let value = match (like, record.value()) {
        (Content::Digest(..), Some(value)) => {
            Content::Digest(value.len() as u64, hex(&Sha256::digest(value)))
        }
        (_, value) => Content::Bytes(value.map(<[u8]>::to_vec)),
    };
    let header = |header: brooklet::Header<'_>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
    Record {
        offset: record.offset(),
        leader_epoch: record.leader_epoch(),
        timestamp: record.timestamp().as_millis(),
        timestamp_type: record.timestamp_type().to_string(),
        key: record.key().map(<[u8]>::to_vec),
        value,
        headers: record.headers().iter().map(header).collect(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
