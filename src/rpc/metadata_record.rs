//! What is known of topics, as a list of typed records: the embedded broker keeps it in one file, and a controller's
//! log can carry the same records.

use crate::{
    bugs::{self, Bug},
    types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, TopicId},
};
use std::collections::BTreeSet;

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
    /// A broker has registered, in place of what was known of it; it is fenced. (From here on: of a cluster.)
    RegisterBroker { id: BrokerId, epoch: BrokerEpoch, incarnation: u64 },
    /// What has become of a broker since.
    BrokerChange { id: BrokerId, epoch: BrokerEpoch, fenced: bool, shutting_down: bool },
    /// How a partition is from now on.
    Partition { topic: TopicId, partition: i32, state: PartitionState },
    /// The first producer id that nobody has.
    ProducerIds { next: i64 },
    /// Who votes on who the controller is, from this entry of the metadata log on. (Kafka: `VotersRecord`, KIP-853)
    Voters { voters: BTreeSet<BrokerId> },
    /// A broker is gone for good.
    UnregisterBroker { id: BrokerId },
    /// In a snapshot: how many records have said something of topics.
    Changes { count: u64 },
}

impl MetadataRecord {
    /// Whether it says something that clients are told of.
    pub(crate) fn is_of_topics(&self) -> bool {
        matches!(
            self,
            Self::Topic { .. } | Self::Config { .. } | Self::RemoveTopic { .. } | Self::Partition { .. }
        )
    }
}

/// Who has a partition, and who leads. (Kafka: `PartitionRegistration`)
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionState {
    /// Who is to have a copy; the first one is preferred as the leader.
    /// While partitions are reassigned it is also who has yet to get one, and who still has one.
    pub(crate) replicas: Vec<BrokerId>,
    /// Of the replicas: those that were not before the reassignment that goes on. Who is `removing` too was added by an earlier one, and is
    /// needed still.
    pub(crate) adding: BTreeSet<BrokerId>,
    /// Of the replicas: those that are not when it has come to its end.
    pub(crate) removing: BTreeSet<BrokerId>,
    /// Who is in sync. Never empty, unless the last one has lost its data.
    pub(crate) isr: BTreeSet<BrokerId>,
    /// Who left the ISR since that is too small, and so has all that was ever acknowledged, too (KIP-966).
    pub(crate) elr: BTreeSet<BrokerId>,
    pub(crate) leader: Option<BrokerId>,
    /// Who led last, while nobody does.
    pub(crate) last_known_leader: Option<BrokerId>,
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) partition_epoch: PartitionEpoch,
}

impl PartitionState {
    /// Whether its replicas are on their way from some brokers to others.
    pub(crate) fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The replicas as they are to be when that has come to its end.
    pub(crate) fn target(&self) -> Vec<BrokerId> {
        self.replicas.iter().copied().filter(|broker| !self.removing.contains(broker)).collect()
    }

    /// The replicas as they were before.
    pub(crate) fn origin(&self) -> Vec<BrokerId> {
        let was_there = |broker: &BrokerId| !self.adding.contains(broker) || bugs::is(Bug::KeepAdded);
        self.replicas.iter().copied().filter(was_there).collect()
    }

    /// Whether somebody leads from now on who did not have, for all that is known, everything that was acknowledged.
    pub(crate) fn is_unclean_behind(&self, before: &Self) -> bool {
        // Who was found in sync just now, as the last of those that were added.
        if before.is_reassigning() && !self.is_reassigning() {
            return false;
        }
        let had_all = |leader: BrokerId| before.isr.contains(&leader) || before.elr.contains(&leader);
        self.leader_epoch != before.leader_epoch && self.leader.is_some_and(|leader| !had_all(leader))
    }
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
            of_cluster => put_of_cluster(&mut payload, of_cluster),
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

fn put_of_cluster(payload: &mut Vec<u8>, record: &MetadataRecord) -> u8 {
    match record {
        MetadataRecord::RegisterBroker { id, epoch, incarnation } => {
            payload.extend(id.get().to_be_bytes());
            payload.extend(epoch.0.to_be_bytes());
            payload.extend(incarnation.to_be_bytes());
            6
        }
        MetadataRecord::BrokerChange { id, epoch, fenced, shutting_down } => {
            payload.extend(id.get().to_be_bytes());
            payload.extend(epoch.0.to_be_bytes());
            payload.extend([u8::from(*fenced), u8::from(*shutting_down)]);
            7
        }
        MetadataRecord::Partition { topic, partition, state } => {
            payload.extend(topic.to_bytes());
            payload.extend(partition.to_be_bytes());
            put_brokers(payload, state.replicas.iter());
            put_brokers(payload, state.adding.iter());
            put_brokers(payload, state.removing.iter());
            put_brokers(payload, state.isr.iter());
            put_brokers(payload, state.elr.iter());
            for broker in [state.leader, state.last_known_leader] {
                payload.extend(broker.map_or(-1, BrokerId::get).to_be_bytes());
            }
            payload.extend(state.leader_epoch.0.to_be_bytes());
            payload.extend(state.partition_epoch.0.to_be_bytes());
            8
        }
        MetadataRecord::ProducerIds { next } => {
            payload.extend(next.to_be_bytes());
            9
        }
        MetadataRecord::Voters { voters } => {
            put_brokers(payload, voters.iter());
            10
        }
        MetadataRecord::Changes { count } => {
            payload.extend(count.to_be_bytes());
            12
        }
        MetadataRecord::UnregisterBroker { id } => {
            payload.extend(id.get().to_be_bytes());
            11
        }
        // The topics', which the caller writes.
        _ => 0,
    }
}

fn put_brokers<'a>(payload: &mut Vec<u8>, brokers: impl ExactSizeIterator<Item = &'a BrokerId>) {
    payload.extend((brokers.len() as u32).to_be_bytes());
    brokers.for_each(|broker| payload.extend(broker.get().to_be_bytes()));
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
        6 => MetadataRecord::RegisterBroker {
            id: payload.broker()??,
            epoch: BrokerEpoch(payload.i64()?),
            incarnation: payload.i64()? as u64,
        },
        7 => MetadataRecord::BrokerChange {
            id: payload.broker()??,
            epoch: BrokerEpoch(payload.i64()?),
            fenced: payload.flag()?,
            shutting_down: payload.flag()?,
        },
        8 => MetadataRecord::Partition {
            topic: payload.id()?,
            partition: payload.u32()?.try_into().ok()?,
            state: payload.partition()?,
        },
        9 => MetadataRecord::ProducerIds { next: payload.i64()? },
        10 => MetadataRecord::Voters {
            voters: Some(payload.brokers()?.into_iter().collect())
                .filter(|all: &BTreeSet<_>| !all.is_empty())?,
        },
        11 => MetadataRecord::UnregisterBroker { id: payload.broker()?? },
        12 => MetadataRecord::Changes { count: payload.i64()? as u64 },
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

    fn i64(&mut self) -> Option<i64> {
        self.take(8)?.first_chunk().map(|bytes| i64::from_be_bytes(*bytes))
    }

    fn flag(&mut self) -> Option<bool> {
        match self.take(1)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// A broker, or none (-1).
    fn broker(&mut self) -> Option<Option<BrokerId>> {
        match self.u32()? as i32 {
            -1 => Some(None),
            id => (id >= 0).then(|| Some(BrokerId::from(id))),
        }
    }

    /// Brokers, none of them twice.
    fn brokers(&mut self) -> Option<Vec<BrokerId>> {
        let count = self.u32()?;
        let mut brokers = Vec::new();
        for _ in 0..count {
            brokers.push(self.broker()??);
        }
        (BTreeSet::from_iter(&brokers).len() == brokers.len()).then_some(brokers)
    }

    fn partition(&mut self) -> Option<PartitionState> {
        Some(PartitionState {
            replicas: self.brokers()?,
            adding: self.brokers()?.into_iter().collect(),
            removing: self.brokers()?.into_iter().collect(),
            isr: self.brokers()?.into_iter().collect(),
            elr: self.brokers()?.into_iter().collect(),
            leader: self.broker()?,
            last_known_leader: self.broker()?,
            leader_epoch: LeaderEpoch(self.u32()?.try_into().ok()?),
            partition_epoch: PartitionEpoch(self.u32()?.try_into().ok()?),
        })
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
            MetadataRecord::RegisterBroker { id: 3.into(), epoch: BrokerEpoch(1 << 40), incarnation: !0 },
            MetadataRecord::BrokerChange {
                id: 3.into(),
                epoch: BrokerEpoch(1 << 40),
                fenced: false,
                shutting_down: true,
            },
            MetadataRecord::Partition { topic: a, partition: 2, state: partition() },
            MetadataRecord::ProducerIds { next: 2000 },
            MetadataRecord::Voters { voters: [1, 3].map(BrokerId::from).into() },
            MetadataRecord::UnregisterBroker { id: 3.into() },
            MetadataRecord::Changes { count: 7 },
        ]
    }

    fn partition() -> PartitionState {
        PartitionState {
            replicas: [3, 1, 2].map(BrokerId::from).to_vec(),
            adding: [3].map(BrokerId::from).into(),
            removing: [1, 2].map(BrokerId::from).into(),
            isr: [1].map(BrokerId::from).into(),
            elr: [2, 3].map(BrokerId::from).into(),
            leader: None,
            last_known_leader: Some(1.into()),
            leader_epoch: LeaderEpoch(7),
            partition_epoch: PartitionEpoch(9),
        }
    }

    #[test]
    fn a_partition_that_cannot_be_is_refused() {
        let refused = |change: fn(&mut PartitionState)| {
            let mut state = partition();
            change(&mut state);
            let topic = TopicId::from_bytes([7; 16]);
            decode(&encode(&[MetadataRecord::Partition { topic, partition: 2, state }])).is_err()
        };
        assert!(!refused(|_| ()));
        assert!(refused(|state| state.replicas.push(1.into())), "a replica twice");
        assert!(refused(|state| state.leader = Some((-2).into())), "no broker has this number");
        assert!(refused(|state| state.leader_epoch = LeaderEpoch(-1)), "before the first");
    }

    #[test]
    fn that_nobody_votes_is_refused() {
        assert!(decode(&encode(&[MetadataRecord::Voters { voters: BTreeSet::new() }])).is_err());
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
