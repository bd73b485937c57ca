//! Consumers without a group, which read from the beginning, go back now and then, and must have been given everything in the end.

use super::{
    Run,
    history::{History, Partition},
};
use brooklet::{Cluster, Consumer, ConsumerConfig, OffsetSpec, Records, Result};
use std::{collections::BTreeMap, time::Duration};

/// How long a poll waits.
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Reader {
    id: u32,
    consumer: Consumer,
    /// The offset that comes next, by partition.
    next: BTreeMap<Partition, i64>,
}

pub(crate) fn readers(
    cluster: &Cluster,
    partitions: &[Partition],
    count: u32,
    history: &mut History,
) -> Result<Vec<Reader>> {
    for (id, partition) in (1..=count).flat_map(|id| partitions.iter().map(move |of| (id, *of))) {
        history.moved((id, 0), partition, Some(0));
    }
    (1..=count).map(|id| Reader::new(cluster, partitions, id)).collect()
}

impl Reader {
    fn new(cluster: &Cluster, partitions: &[Partition], id: u32) -> Result<Self> {
        let assigned = partitions.iter().map(|(topic, number)| (*topic, *number));
        let consumer = cluster.consumer(ConsumerConfig::standalone()).assign(assigned)?;
        let next = partitions.iter().map(|partition| (*partition, 0)).collect();
        Ok(Self { id, consumer, next })
    }

    /// Up to which offset it has been given a partition, exclusive.
    pub(crate) fn has_read(&self, partition: Partition) -> i64 {
        self.next.get(&partition).copied().unwrap_or(0)
    }

    pub(crate) fn close(self) -> Result<()> {
        self.consumer.close()
    }
}

/// The records of a poll by their partitions, each an offset and a value.
pub(crate) fn by_partition(
    partitions: &[Partition],
    records: &Records,
) -> BTreeMap<Partition, Vec<(i64, u64)>> {
    let mut found: BTreeMap<Partition, Vec<(i64, u64)>> = BTreeMap::new();
    for record in records {
        let is = |of: &&Partition| (of.0, of.1) == (record.topic(), record.partition());
        let Some(partition) = partitions.iter().find(is) else { continue };
        let value = record.value_str().ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        found.entry(*partition).or_default().push((record.offset(), value));
    }
    found
}

impl Run {
    /// Some reader polls, or goes elsewhere.
    pub(crate) fn read(&mut self) {
        let at = self.random.below(self.readers.len() as u64) as usize;
        match self.random.once_in(12) {
            true => self.go_back(at),
            false => drop(self.poll(at)),
        }
    }

    /// What one poll gave; errors pass.
    fn poll(&mut self, at: usize) -> usize {
        self.follow_growth(at);
        let reader = &mut self.readers[at];
        let Ok(records) = reader.consumer.poll(POLL) else { return 0 };
        for (partition, records) in by_partition(&self.partitions, &records) {
            if let Some((last, _)) = records.last() {
                let _ = reader.next.insert(partition, last + 1);
            }
            self.history.polled((reader.id, 0), partition, &records);
            self.report.polled += records.len() as u64;
        }
        records.len()
    }

    /// Has a reader read the partitions that have come, too, if it can know of them yet.
    fn follow_growth(&mut self, at: usize) {
        let reader = &mut self.readers[at];
        if reader.next.len() == self.partitions.len()
            || reader.consumer.assign(self.partitions.clone()).is_err()
        {
            return;
        }
        for partition in &self.partitions {
            if !reader.next.contains_key(partition) {
                let _ = reader.next.insert(*partition, 0);
                self.history.moved((reader.id, 0), *partition, Some(0));
            }
        }
    }

    fn go_back(&mut self, at: usize) {
        let reader = &mut self.readers[at];
        let known: Vec<Partition> = reader.next.keys().copied().collect();
        let partition = self.random.of(&known);
        let (from, next) = (self.history.asked_below(partition), reader.next[&partition]);
        let to = from.max(self.random.below(1 + next as u64) as i64);
        if reader.consumer.seek(partition, OffsetSpec::At(to)).is_ok() {
            reader.next.insert(partition, to);
            self.history.moved((reader.id, 0), partition, Some(to));
        }
    }

    /// Has all readers read what there is, and gives what is in the logs.
    pub(crate) fn read_to_the_end(&mut self) -> BTreeMap<Partition, BTreeMap<i64, u64>> {
        for at in 0..self.readers.len() {
            self.poll_to_the_end(at);
        }
        self.logs()
    }

    fn poll_to_the_end(&mut self, at: usize) {
        let mut empty = 0;
        while empty < 40 {
            empty = if self.poll(at) == 0 { empty + 1 } else { 0 };
            if empty > 1 && self.readers[at].consumer.is_caught_up().unwrap_or(false) {
                let id = self.readers[at].id;
                self.partitions.iter().for_each(|partition| self.history.finished(id, *partition));
                return;
            }
        }
        self.fail(format_args!("a reader does not come to the end: {:?}", self.readers[at].next));
    }

    /// A record has the time stamp that its producer was told of.
    fn check_stamps(&self, records: &Records) {
        for record in records {
            let told = record.value_str().ok().and_then(|text| self.stamps.get(&text.parse().ok()?));
            if let Some(told) = told.filter(|told| **told != record.timestamp()) {
                let (topic, number, offset) = (record.topic(), record.partition(), record.offset());
                let stamp = record.timestamp();
                self.fail(format_args!("{topic}-{number} {offset} is of {stamp}, and {told} was answered"));
            }
        }
    }

    fn logs(&mut self) -> BTreeMap<Partition, BTreeMap<i64, u64>> {
        let reader = Reader::new(&self.cluster, &self.partitions, 0);
        let mut reader = reader.unwrap_or_else(|error| self.fail(format_args!("nobody can read: {error}")));
        let mut logs: BTreeMap<Partition, BTreeMap<i64, u64>> = BTreeMap::new();
        for _ in 0..2000 {
            match reader.consumer.poll(POLL) {
                Ok(records) => {
                    self.check_stamps(&records);
                    for (partition, records) in by_partition(&self.partitions, &records) {
                        logs.entry(partition).or_default().extend(records);
                    }
                }
                Err(error) => self.fail(format_args!("a healed cluster is not read: {error}")),
            }
            if reader.consumer.is_caught_up().unwrap_or(false) {
                return logs;
            }
        }
        self.fail("the logs do not end")
    }
}
