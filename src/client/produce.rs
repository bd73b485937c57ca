//! Producing without a producer: the blocking shell over the producer's core.

use super::{
    Client,
    routing::{KnownTopic, Route, durability},
};
use crate::{
    error::{Error, Result},
    record::{BatchError, BatchWriter, Record, ValidBatch, record_size},
    rpc::{Answer, MetadataRequest, ProduceRequest, ProduceResponse},
    sync::{Memo, thread_local},
    types::{Acks, Durability, RecordMetadata, Timestamp},
};
use std::{cell::RefCell, collections::BTreeMap, sync::Arc, time::Duration};

/// How often a produce is tried when its topic turns out to have been made anew.
const ATTEMPTS: u32 = 3;

/// The memory that a thread's next batch is encoded in is kept up to this size, in bytes.
const KEPT_BUFFER: usize = 1 << 20;

/// How large a batch gets that is made of many records, in bytes, unless one of them is larger.
const BATCH_BYTES: usize = 1 << 20;

/// What a thread that produces keeps.
struct Local {
    /// Where this thread encodes: a batch is copied from here into the log, once.
    buffer: Vec<u8>,
    /// The topics that it produced to last, so that it need not lock the producer's core for each record.
    topics: Memo<Arc<KnownTopic>>,
}

thread_local! {
    static LOCAL: RefCell<Local> = const { RefCell::new(Local { buffer: Vec::new(), topics: Memo::new() }) };
}

/// What became of the record with this index.
type Outcome = (usize, Result<RecordMetadata>);

/// Lends what the thread keeps, or something new where that is lent already.
#[inline]
fn with_local<T>(work: impl FnOnce(&mut Local) -> T) -> T {
    LOCAL.with(|local| match local.try_borrow_mut() {
        Ok(mut local) => {
            let result = work(&mut local);
            if local.buffer.capacity() > KEPT_BUFFER {
                local.buffer = Vec::new();
            }
            result
        }
        Err(_) => work(&mut Local { buffer: Vec::new(), topics: Memo::new() }),
    })
}

/// The place of a topic among those that a thread remembers.
#[inline]
fn place(topic: &str) -> usize {
    topic.bytes().next_back().map_or(0, usize::from) + topic.len()
}

impl Client {
    pub(super) fn produce_one(&self, record: &Record<'_>) -> Result<RecordMetadata> {
        match self.try_produce(record) {
            Ok(metadata) => Ok(metadata),
            Err(error) => self.produce_again(record, *error),
        }
    }

    #[cold]
    fn produce_again(&self, record: &Record<'_>, mut error: Error) -> Result<RecordMetadata> {
        for _ in 1..ATTEMPTS {
            if !is_stale(&error) {
                return Err(error);
            }
            self.forget(record.topic);
            match self.try_produce(record) {
                Ok(metadata) => return Ok(metadata),
                Err(again) => error = *again,
            }
        }
        match error {
            Error::UnknownTopicId { .. } => {
                self.forget(record.topic);
                Err(Error::UnknownTopicId { topic: record.topic.to_owned() })
            }
            other => Err(other),
        }
    }

    /// An error comes in a box: what is copied from hand to hand for every record stays small.
    fn try_produce(&self, record: &Record<'_>) -> Result<RecordMetadata, Box<Error>> {
        with_local(|Local { buffer, topics }| {
            let asked;
            let route = match self.remembered(record, topics) {
                Some(route) => route?,
                None => {
                    asked = self.route(record, topics, super::REQUEST_TIMEOUT)?;
                    &asked
                }
            };
            let timestamp = record.timestamp.unwrap_or_else(|| self.service.clock().wall());
            let mut writer = BatchWriter::new(buffer);
            push(&mut writer, record, timestamp, route)?;
            let sent = self.send(route, &mut writer.finish(), durability(record), Acks::All)?;
            Ok(metadata(route, &sent, 0, timestamp))
        })
    }

    /// Where a record goes, by what this thread remembers.
    #[inline]
    fn remembered<'t>(
        &self,
        record: &Record<'_>,
        topics: &'t Memo<Arc<KnownTopic>>,
    ) -> Option<Result<&'t Route, Box<Error>>> {
        let remembered = topics.get(self.producer.version.get(), place(record.topic));
        remembered.filter(|topic| *topic.name == *record.topic).and_then(|topic| topic.route(record))
    }

    /// Where a record goes, by what a broker says who answers `within` that time. A partition that is not known may have come since.
    pub(super) fn route_of(&self, record: &Record<'_>, within: Duration) -> Result<Route, Box<Error>> {
        let known = with_local(|Local { topics, .. }| match self.remembered(record, topics) {
            Some(route) => route.copied(),
            None => self.route(record, topics, within),
        });
        if !known.as_ref().is_err_and(|error| is_stale(error)) {
            return known;
        }
        self.forget(record.topic);
        with_local(|local| self.route(record, &mut local.topics, within))
    }

    /// How many partitions a topic has, by what a broker says who answers `within` that time.
    pub(super) fn partition_count(&self, topic: &str, within: Duration) -> Result<i32> {
        let version = self.producer.version.get();
        let known = with_local(|local| {
            let remembered = local.topics.get(version, place(topic)).filter(|known| *known.name == *topic);
            remembered.map(|known| known.partition_count())
        });
        if let Some(count) = known {
            return Ok(count);
        }
        // Whoever asks for a partition learns of its topic; there is always one with the number 0.
        self.route_of(&Record::to(topic).partition(0), within).map_err(|error| *error)?;
        let known = self.core().known(topic).map(|known| known.partition_count());
        known.ok_or_else(|| Error::UnknownTopicOrPartition { topic: topic.to_owned(), partition: None })
    }

    /// As [`send_again`](Self::send_again), without waiting where the answer takes time: then a topic that was made anew is an
    /// error.
    pub(super) fn begin_send(
        &self,
        route: &mut Route,
        topic: &str,
        batch: &mut ValidBatch<'_>,
        durability: Durability,
        (acks, within): (Acks, Duration),
    ) -> Answer<ProduceResponse> {
        match self.put(route, batch, durability, (acks, within)) {
            Answer::Ready(Err(error)) if matches!(*error, Error::UnknownTopicId { .. }) => {
                self.forget(topic);
                Answer::Ready(self.send_again(route, topic, batch, durability, acks).map_err(Box::new))
            }
            answer => answer,
        }
    }

    /// Sends a batch to a partition of `topic`, and anew where that turns out to have been made anew.
    pub(super) fn send_again(
        &self,
        route: &mut Route,
        topic: &str,
        batch: &mut ValidBatch<'_>,
        durability: Durability,
        acks: Acks,
    ) -> Result<ProduceResponse> {
        for _ in 1..ATTEMPTS {
            match self.send(route, batch, durability, acks) {
                Err(error) if matches!(*error, Error::UnknownTopicId { .. }) => {}
                sent => return sent.map_err(|error| *error),
            }
            self.forget(topic);
            *route = self
                .route_of(&Record::to(topic).partition(route.partition.partition), super::REQUEST_TIMEOUT)
                .map_err(|error| *error)?;
        }
        self.send(route, batch, durability, acks).map_err(|error| *error)
    }

    /// Where a record goes: by what the core knows, else after asking the broker.
    #[inline(never)]
    fn route(
        &self,
        record: &Record<'_>,
        topics: &mut Memo<Arc<KnownTopic>>,
        within: Duration,
    ) -> Result<Route, Box<Error>> {
        if let Some(route) = self.route_if_known(record, topics) {
            return route;
        }
        let names = Some(vec![record.topic.to_owned()]);
        let answer = self.call_within(within, MetadataRequest { topics: names })?;
        let unknown = || Error::UnknownTopicOrPartition { topic: record.topic.to_owned(), partition: None };
        let metadata = answer.topics.first().ok_or_else(unknown)?;
        let mut core = self.core();
        core.learn(metadata);
        self.producer.version.change();
        core.route(record).unwrap_or_else(|| Err(unknown().into()))
    }

    fn route_if_known(
        &self,
        record: &Record<'_>,
        topics: &mut Memo<Arc<KnownTopic>>,
    ) -> Option<Result<Route, Box<Error>>> {
        let mut core = self.core();
        // Without a key it changes with every record where the next one goes: there is no way around the lock.
        if let Some(known) =
            core.known(record.topic).filter(|_| record.key.is_some() || record.partition.is_some())
        {
            topics.put(self.producer.version.get(), place(record.topic), Arc::clone(known));
        }
        core.route(record)
    }

    /// Has the broker asked again for a topic, before the next record for it.
    pub(super) fn forget(&self, topic: &str) {
        let mut core = self.core();
        core.forget(topic);
        self.producer.version.change();
    }

    #[inline]
    fn put(
        &self,
        route: &Route,
        batch: &mut ValidBatch<'_>,
        durability: Durability,
        (acks, timeout): (Acks, Duration),
    ) -> Answer<ProduceResponse> {
        let request = ProduceRequest { partition: &route.partition, acks, timeout, durability, batch };
        self.service.produce(route.leader, request)
    }

    fn send(
        &self,
        route: &Route,
        batch: &mut ValidBatch<'_>,
        durability: Durability,
        acks: Acks,
    ) -> Result<ProduceResponse, Box<Error>> {
        let answer = self.put(route, batch, durability, (acks, super::REQUEST_TIMEOUT));
        let clock = self.service.clock();
        Ok(match answer {
            Answer::Ready(response) => response?,
            parked @ Answer::Parked(_) => parked.wait(clock, clock.now().plus(super::REQUEST_TIMEOUT))?,
        })
    }

    pub(super) fn produce_many(&self, records: &[Record<'_>]) -> Result<Vec<RecordMetadata>> {
        let mut results: Vec<Result<RecordMetadata>> = records.iter().map(|_| Err(Error::Closed)).collect();
        let mut left: Vec<usize> = (0..records.len()).collect();
        for _ in 0..ATTEMPTS {
            if left.is_empty() {
                break;
            }
            for (index, result) in self.try_produce_many(records, &left) {
                if let Some(slot) = results.get_mut(index) {
                    *slot = result;
                }
            }
            left.retain(|n| matches!(results.get(*n), Some(Err(error)) if is_stale(error)));
            let stale = left.iter().filter_map(|index| records.get(*index));
            stale.for_each(|record| self.forget(record.topic));
        }
        if results.iter().all(Result::is_ok) {
            results.into_iter().collect()
        } else {
            Err(Error::PartialProduce { results: results.into() })
        }
    }

    /// Produces the records of these indices, those of one partition together.
    fn try_produce_many(&self, records: &[Record<'_>], indices: &[usize]) -> Vec<Outcome> {
        let mut results = Vec::with_capacity(indices.len());
        let mut by_route: BTreeMap<(Route, Durability), Vec<(usize, &Record<'_>)>> = BTreeMap::new();
        for (index, record) in indices.iter().filter_map(|index| Some((*index, records.get(*index)?))) {
            match with_local(|local| self.route(record, &mut local.topics, super::REQUEST_TIMEOUT)) {
                Ok(route) => by_route.entry((route, durability(record))).or_default().push((index, record)),
                Err(error) => results.push((index, Err(*error))),
            }
        }
        let now = self.service.clock().wall();
        for ((route, durability), of_route) in &by_route {
            with_local(|Local { buffer, .. }| {
                let mut rest = of_route.as_slice();
                while !rest.is_empty() {
                    let (done, left) = self.produce_batch(route, *durability, rest, now, buffer);
                    results.extend(done);
                    rest = left;
                }
            });
        }
        results
    }

    /// Produces as many of one partition's records as fit in one batch, at least one, and gives the others back.
    fn produce_batch<'r, 'a>(
        &self,
        route: &Route,
        durability: Durability,
        records: &'r [(usize, &'r Record<'a>)],
        now: Timestamp,
        buffer: &mut Vec<u8>,
    ) -> (Vec<Outcome>, &'r [(usize, &'r Record<'a>)]) {
        let limit = route.max_batch.min(BATCH_BYTES);
        let mut writer = BatchWriter::new(buffer);
        let mut refused = Vec::new();
        let mut batch: Vec<(usize, Timestamp)> = Vec::new();
        let mut taken = 0;
        for (index, record) in records {
            let more = record_size(i64::MAX, i32::MAX, record.key, record.value, &record.headers);
            if !batch.is_empty() && writer.size() + more > limit {
                break;
            }
            taken += 1;
            let timestamp = record.timestamp.unwrap_or(now);
            match push(&mut writer, record, timestamp, route) {
                Ok(()) => batch.push((*index, timestamp)),
                Err(error) => refused.push((*index, Err(error))),
            }
        }
        let rest = records.get(taken..).unwrap_or_default();
        if batch.is_empty() {
            return (refused, rest);
        }
        let sent = self.send(route, &mut writer.finish(), durability, Acks::All);
        let told = |(n, (index, timestamp)): (usize, (usize, Timestamp))| {
            let at = |sent: &ProduceResponse| metadata(route, sent, n as i64, timestamp);
            (index, sent.as_ref().map(at).map_err(|error| Error::clone(error)))
        };
        refused.extend(batch.into_iter().enumerate().map(told));
        (refused, rest)
    }
}

/// Whether what the producer knows of a topic may not hold any more: it is another one, or has got partitions.
fn is_stale(error: &Error) -> bool {
    matches!(error, Error::UnknownTopicId { .. } | Error::UnknownTopicOrPartition { partition: Some(_), .. })
}

/// Adds a record; one that no batch of the topic can hold is refused.
fn push(
    writer: &mut BatchWriter<'_>,
    record: &Record<'_>,
    timestamp: Timestamp,
    route: &Route,
) -> Result<()> {
    check_timestamp(timestamp)?;
    let pushed = writer.push(timestamp, record.key, record.value, &record.headers);
    pushed.map_err(|error| record_error(error, route.max_batch))
}

/// Refuses a timestamp that no record may have.
pub(super) fn check_timestamp(timestamp: Timestamp) -> Result<()> {
    if timestamp < Timestamp::default() {
        return Err(Error::InvalidRecord(format!("a timestamp before 1970: {timestamp}")));
    }
    Ok(())
}

/// Why a record cannot be in a batch, for its sender.
pub(super) fn record_error(error: BatchError, limit: usize) -> Error {
    match error {
        BatchError::TooLarge { size } => Error::MessageTooLarge { size, limit },
        other => Error::InvalidRecord(other.to_string()),
    }
}

/// Where the `n`th record of a batch went.
#[inline]
fn metadata(route: &Route, sent: &ProduceResponse, n: i64, timestamp: Timestamp) -> RecordMetadata {
    let timestamp = sent.log_append_time.unwrap_or(timestamp);
    let offset = sent.base_offset.plus(n).get();
    RecordMetadata::new(route.partition.partition, offset, timestamp, sent.durability)
}
