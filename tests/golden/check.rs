//! A manifest beside what brooklet gives.

use crate::manifest::{Content, Group, Manifest, Partition, Record};
use brooklet::{
    Broker, Consumer, ConsumerConfig, GroupState, IsolationLevel, OffsetAndMetadata, OffsetSpec, Offsets,
    OwnedRecord, Timestamp, TopicPartition,
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

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
        assert_eq!(self.group_differences(), Vec::<String>::new());
        for there in &self.manifest.groups {
            let consumer = self.broker.consumer(there.group.as_str()).assign([there.of()]).unwrap();
            let committed = consumer.committed(there.of()).unwrap();
            assert_eq!(committed.as_ref(), Some(&there.committed()), "{} {}", there.group, there.of());
            consumer.close().unwrap();
        }
    }

    /// What brooklet tells otherwise of groups, and of what they have committed.
    pub(crate) fn group_differences(&self) -> Vec<String> {
        let admin = self.broker.admin();
        let ids = admin.list_groups().unwrap();
        let mut differences = Vec::new();
        if let Some(mut listed) = self.manifest.group_ids.clone() {
            // By UTF-8, and not by UTF-16.
            listed.sort();
            if listed != ids {
                differences.push(format!("the groups {listed:?}, and not {ids:?}"));
            }
        }
        let there = self.manifest.groups.iter().map(|there| &there.group);
        for group in there.chain(&ids).collect::<BTreeSet<_>>() {
            let of_group = self.manifest.groups.iter().filter(|there| there.group == *group);
            let listed: Offsets = of_group.map(|there| (there.of(), there.committed())).collect();
            let told = admin.group_offsets(group).unwrap();
            if listed != told {
                differences.push(format!("{group} has committed {listed:?}, and not {told:?}"));
            }
            // Whoever was a member is gone with the Kafka.
            let state = admin.describe_group(group).map(|group| (group.state, group.members.len()));
            if !matches!(state, Ok((GroupState::Empty, 0))) {
                differences.push(format!("{group} is {state:?}"));
            }
        }
        differences
    }

    /// Which groups' consumers, that subscribe, do not go on where the manifest says; and how many partitions were looked at.
    pub(crate) fn wrong_beginnings(&self) -> (Vec<String>, usize) {
        let (mut wrong, mut count) = (Vec::new(), 0);
        let ids: BTreeSet<&str> = self.manifest.groups.iter().map(|there| there.group.as_str()).collect();
        for id in ids {
            let committed = self.manifest.groups.iter().filter(|there| there.group == id);
            let listed: BTreeMap<TopicPartition, Option<i64>> =
                committed.filter_map(|there| Some((there.of(), self.goes_on(there)?))).collect();
            if listed.is_empty() {
                continue;
            }
            let begun = self.begin(id, &listed);
            let other = listed.iter().filter(|(of, first)| begun.get(*of) != Some(*first));
            wrong.extend(
                other.map(|(of, first)| format!("{id} {of}: {first:?}, and not {:?}", begun.get(of))),
            );
            count += listed.len();
        }
        (wrong, count)
    }

    /// The first record behind what is committed, if there is one; `None` where a consumer is reset to another offset.
    fn goes_on(&self, committed: &Group) -> Option<Option<i64>> {
        let is_there = |there: &&Partition| there.of() == committed.of();
        let there = self.manifest.partitions.iter().find(is_there)?;
        if !(there.log_start..=there.high_watermark).contains(&committed.offset) {
            return None;
        }
        // What comes with a later epoch is not what was read (KIP-320).
        let is_later = |record: &&Record| {
            committed.leader_epoch.is_some() && record.leader_epoch > committed.leader_epoch
        };
        let from = there.records.iter().find(is_later).map_or(i64::MAX, |record| record.offset);
        let from = from.min(committed.offset);
        Some(there.records.iter().map(|record| record.offset).find(|offset| *offset >= from))
    }

    /// The first record that a consumer of a group gets of each partition.
    fn begin(
        &self,
        group: &str,
        partitions: &BTreeMap<TopicPartition, Option<i64>>,
    ) -> BTreeMap<TopicPartition, Option<i64>> {
        let topics: BTreeSet<String> = partitions.keys().map(|of| of.topic().to_owned()).collect();
        let config = ConsumerConfig::new(group).enable_auto_commit(false);
        let topics: Vec<String> = topics.into_iter().collect();
        let mut consumer = self.broker.consumer(config).subscribe(topics).unwrap();
        let mut first: BTreeMap<_, _> = consumer.assignment().into_iter().map(|of| (of, None)).collect();
        while partitions.iter().any(|(of, wanted)| wanted.is_some() && first.get(of) == Some(&None))
            && !consumer.is_caught_up().unwrap()
        {
            for record in &consumer.poll(Duration::ZERO).unwrap() {
                let of = TopicPartition::new(record.topic(), record.partition());
                first.entry(of).or_default().get_or_insert(record.offset());
            }
        }
        consumer.close().unwrap();
        first
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

impl Group {
    fn of(&self) -> TopicPartition {
        TopicPartition::new(&self.topic, self.partition)
    }

    fn committed(&self) -> OffsetAndMetadata {
        let mut committed = OffsetAndMetadata::new(self.offset, self.metadata.clone());
        committed.leader_epoch = self.leader_epoch;
        committed
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
