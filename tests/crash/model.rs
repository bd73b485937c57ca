//! What must be there: the model that every image is held against.

use brooklet::{ConsumerRecord, Record, Timestamp, TopicId};
use std::collections::BTreeMap;

/// The bytes of a record; its timestamp is like no other's, so that no two are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) timestamp: i64,
}

impl Payload {
    /// The record `uid`, with about `size` bytes of value; its shape, too, comes from its number.
    pub(crate) fn new(uid: u64, size: usize) -> Self {
        let bytes =
            |len: usize| (0..len).map(|n| (uid.wrapping_mul(31) as usize + n * 7) as u8).collect::<Vec<u8>>();
        let key = [Some(uid.to_be_bytes().to_vec()), None, Some(Vec::new())][(uid % 3) as usize].clone();
        let value = match uid % 7 {
            3 => None,
            5 => Some(Vec::new()),
            _ => Some(bytes(size + (uid % 13) as usize)),
        };
        let headers = match uid % 5 {
            1 => vec![("h".to_owned(), Some(bytes(5))), ("h".to_owned(), None)],
            4 => vec![(String::new(), Some(Vec::new()))],
            _ => Vec::new(),
        };
        Self { key, value, headers, timestamp: 1_700_000_000_000 + uid as i64 }
    }

    pub(crate) fn record<'a>(&'a self, topic: &'a str, partition: i32) -> Record<'a> {
        let mut record =
            Record::to(topic).partition(partition).timestamp(Timestamp::from_millis(self.timestamp));
        if let Some(key) = &self.key {
            record = record.key(key);
        }
        if let Some(value) = &self.value {
            record = record.value(value);
        }
        for (key, value) in &self.headers {
            record = match value {
                Some(value) => record.header(key, value),
                None => record.null_header(key),
            };
        }
        record
    }

    pub(crate) fn of(record: ConsumerRecord<'_>) -> Self {
        let headers = record.headers().iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)));
        Self {
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: headers.collect(),
            timestamp: record.timestamp().as_millis(),
        }
    }
}

/// What is known of one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct PartitionModel {
    /// What was acknowledged, by offset.
    pub(crate) acked: Vec<Payload>,
    /// How many of them were promised to survive a power cut.
    pub(crate) durable: usize,
    /// What failed since, and may be in the log all the same.
    pub(crate) maybe: Vec<Payload>,
    /// Which record somebody has seen under an offset and a leader epoch: never two (KIP-320).
    pub(crate) names: BTreeMap<(usize, i32), Payload>,
}

impl PartitionModel {
    /// Holds what is there against what was sent: a prefix of it, `at_least` long; behind all of it perhaps a run of
    /// what failed.
    pub(crate) fn compare(&self, seen: &[Payload], at_least: usize) -> Result<(), String> {
        let common = seen.iter().zip(&self.acked).take_while(|(a, b)| a == b).count();
        if common < seen.len().min(self.acked.len()) {
            return Err(format!(
                "offset {common} holds {:?}, sent was {:?}",
                seen[common], self.acked[common]
            ));
        }
        if seen.len() < at_least {
            return Err(format!("{} records are there, {at_least} were promised", seen.len()));
        }
        let more = &seen[common..];
        let known = more.is_empty() || self.maybe.windows(more.len()).any(|run| run == more);
        if known { Ok(()) } else { Err(format!("behind offset {common}: {more:?}, which nobody sent")) }
    }

    /// A record that was seen, with its offset and epoch.
    pub(crate) fn note_name(&mut self, offset: usize, epoch: i32, payload: &Payload) -> Result<(), String> {
        let first = self.names.entry((offset, epoch)).or_insert_with(|| payload.clone());
        let same = first == payload;
        if same {
            Ok(())
        } else {
            Err(format!("offset {offset} of epoch {epoch} is {payload:?}, and was {first:?}"))
        }
    }

    /// What is there from now on, of which the broker says that so much is durable; what was stays so.
    pub(crate) fn settle(&mut self, seen: Vec<Payload>, durable: usize) {
        self.durable = self.durable.max(durable).min(seen.len());
        self.acked = seen;
        self.maybe.clear();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum There {
    Yes,
    No,
    /// A call failed that was to make or delete it.
    Maybe,
}

#[derive(Debug, Clone)]
pub(crate) struct TopicModel {
    pub(crate) there: There,
    /// Unknown if it was never acknowledged.
    pub(crate) id: Option<TopicId>,
    pub(crate) partitions: Vec<PartitionModel>,
    /// Consumers get only what is flushed.
    pub(crate) flushed: bool,
    /// How many partitions it was to have in calls that failed since, and may have instead.
    pub(crate) tried: Vec<usize>,
}

impl TopicModel {
    pub(crate) fn new(there: There, id: Option<TopicId>, partitions: usize) -> Self {
        let fresh = vec![PartitionModel::default(); partitions];
        Self { there, id, partitions: fresh, flushed: false, tried: vec![partitions] }
    }

    /// It is there, with this id: either what it was, or what a call made that failed.
    pub(crate) fn identify(&mut self, id: TopicId, partitions: usize) -> bool {
        let same = self.id == Some(id) && self.partitions.len() == partitions;
        if !same && self.there == There::Maybe && self.id != Some(id) && self.tried.contains(&partitions) {
            *self = Self::new(There::Yes, Some(id), partitions);
            return true;
        }
        same
    }
}

/// A commit: the offset, and the records below it by their timestamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    pub(crate) below: Vec<i64>,
}

/// What one group has committed for one partition.
#[derive(Debug, Clone, Default)]
pub(crate) struct CommitModel {
    /// Acknowledged, in order.
    pub(crate) acked: Vec<Commit>,
    /// The first of them that may be what a power cut leaves; `None`: none need be left.
    pub(crate) durable: Option<usize>,
    pub(crate) maybe: Vec<Commit>,
    /// A deletion of the topic failed, and may have taken the commits with it.
    pub(crate) maybe_gone: bool,
}

impl CommitModel {
    /// What may be committed now.
    pub(crate) fn allows(&self, seen: Option<i64>, cut: bool) -> bool {
        let Some(seen) = seen else {
            return self.maybe_gone || self.acked.is_empty() || (cut && self.durable.is_none());
        };
        self.candidates(cut).any(|commit| commit.offset == seen)
    }

    pub(crate) fn candidates(&self, cut: bool) -> impl Iterator<Item = &Commit> {
        let from = if cut { self.durable.unwrap_or(0) } else { self.acked.len().saturating_sub(1) };
        self.acked.iter().skip(from).chain(&self.maybe)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) topics: BTreeMap<&'static str, TopicModel>,
    pub(crate) commits: BTreeMap<(&'static str, &'static str, i32), CommitModel>,
    /// Every id that a topic was given.
    pub(crate) ids: Vec<TopicId>,
    pub(crate) last_uid: u64,
}

impl Model {
    pub(crate) fn payload(&mut self, size: usize) -> Payload {
        self.last_uid += 1;
        Payload::new(self.last_uid, size)
    }

    /// All that was acknowledged is flushed, the commits too.
    pub(crate) fn flushed(&mut self) {
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            partition.durable = partition.acked.len();
        }
        for commits in self.commits.values_mut() {
            commits.durable = commits.acked.len().checked_sub(1);
        }
    }
}
