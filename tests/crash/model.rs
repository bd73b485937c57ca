//! What must be there: the model that every image is held against.

use brooklet::{ConsumerRecord, Record, Timestamp, TopicId};
use std::collections::BTreeMap;

/// Two hours before a manual clock begins: what is to be kept for as long, or a little less, can expire.
pub(crate) const FIRST_TIMESTAMP: i64 = 1_704_067_200_000 - 7_200_000;

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
        Self { key, value, headers, timestamp: FIRST_TIMESTAMP + uid as i64 }
    }

    /// Stands for a record that was removed, and of which nobody knows what it was.
    fn removed() -> Self {
        Self { key: None, value: None, headers: Vec::new(), timestamp: -1 }
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
    /// What was acknowledged, by offset, that which was removed since too.
    pub(crate) acked: Vec<Payload>,
    /// Where it was promised to begin, and how far a call that failed may have moved that.
    pub(crate) start: usize,
    pub(crate) start_most: usize,
    /// How many of them were promised to survive a power cut.
    pub(crate) durable: usize,
    /// What failed since, and may be in the log all the same.
    pub(crate) maybe: Vec<Payload>,
    /// Which record somebody has seen under an offset and a leader epoch: never two (KIP-320).
    pub(crate) names: BTreeMap<(usize, i32), Payload>,
}

impl PartitionModel {
    /// Holds what is there, from the offset `start` on, against what was sent: it begins where it may, is a prefix of that
    /// and ends at `at_least` or behind; behind all of it there is perhaps a run of what failed.
    pub(crate) fn compare(&self, start: usize, seen: &[Payload], at_least: usize) -> Result<(), String> {
        if !(self.start..=self.start_most).contains(&start) {
            return Err(format!("it begins at {start}, not at {} to {}", self.start, self.start_most));
        }
        let sent = self.acked.get(start..).unwrap_or_default();
        let common = seen.iter().zip(sent).take_while(|(a, b)| a == b).count();
        if common < seen.len().min(sent.len()) {
            let offset = start + common;
            return Err(format!("offset {offset} holds {:?}, sent was {:?}", seen[common], sent[common]));
        }
        if start + seen.len() < at_least {
            return Err(format!("it ends at {}, and {at_least} was promised", start + seen.len()));
        }
        let more = &seen[common..];
        let known = more.is_empty() || self.maybe.windows(more.len()).any(|run| run == more);
        let offset = start + common;
        if known { Ok(()) } else { Err(format!("from offset {offset} on {more:?}, which nobody sent")) }
    }

    /// Retention may be at work: all may go that is there, or may be.
    pub(crate) fn may_expire(&mut self) {
        self.start_most = self.start_most.max(self.acked.len() + self.maybe.len());
    }

    /// It begins at `start`, and that is promised to last. Of what is removed nothing can be lost.
    pub(crate) fn begins_at(&mut self, start: usize) -> Result<(), String> {
        if !(self.start..=self.start_most).contains(&start) {
            return Err(format!("it begins at {start}, not at {} to {}", self.start, self.start_most));
        }
        (self.start, self.durable) = (start, self.durable.max(start));
        Ok(())
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

    /// What is there from now on, from the offset `start` on, of which the broker says that so much is durable; what was
    /// stays so.
    pub(crate) fn settle(&mut self, start: usize, seen: Vec<Payload>, durable: usize) {
        self.acked.resize_with(start, Payload::removed);
        self.acked.extend(seen);
        (self.start, self.start_most) = (start, start);
        self.durable = self.durable.max(durable).min(self.acked.len());
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
    /// Its records do not stay for ever, or would not if a call had succeeded that failed.
    pub(crate) expires: bool,
    /// How many partitions it was to have in calls that failed since, and may have instead.
    pub(crate) tried: Vec<usize>,
}

impl TopicModel {
    pub(crate) fn new(there: There, id: Option<TopicId>, partitions: usize) -> Self {
        let fresh = vec![PartitionModel::default(); partitions];
        Self { there, id, partitions: fresh, flushed: false, expires: false, tried: vec![partitions] }
    }

    /// It is there, with this id: either what it was, or what a call made that failed.
    pub(crate) fn identify(&mut self, id: TopicId, partitions: usize) -> bool {
        let same = self.id == Some(id) && self.partitions.len() == partitions;
        if !same && self.there == There::Maybe && self.id != Some(id) && self.tried.contains(&partitions) {
            *self = Self { expires: self.expires, ..Self::new(There::Yes, Some(id), partitions) };
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

    /// This is committed from now on. What a power cut has left is on the disk; what the end of a process has left is
    /// there as it was, and no more durable than before.
    pub(crate) fn settle(&mut self, commit: Commit, cut: bool) {
        if cut {
            *self = Self { acked: vec![commit], durable: Some(0), ..Self::default() };
            return;
        }
        if self.acked.last() != Some(&commit) {
            self.acked.push(commit);
        }
        self.maybe.clear();
        self.maybe_gone = false;
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
