//! What a producer was given and has not sent: batches by partition, each sent when it is full, when it has waited for
//! long enough, or when somebody waits for it. Pure: no clock, no thread, no lock.
//!
//! Of each partition only so many batches are under way at once as keep their order.

use super::delivery::Batch;
use crate::{
    client::{produce::record_error, routing::Route},
    error::Result,
    record::{Record, Written, record_size},
    types::{Durability, Instant, Timestamp, TopicId},
};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

/// A partition by its topic's id and its number.
pub(super) type Key = (TopicId, i32);

#[derive(Debug)]
pub(super) struct Accumulator {
    batch_size: usize,
    /// How many batches of a partition may be under way at once.
    max_in_flight: usize,
    queues: BTreeMap<Key, Queue>,
    /// The bytes of all batches that are not done.
    buffered: usize,
    /// Whose turn it was last.
    served: Option<Key>,
}

/// The batches of a partition, in order.
#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<Pending>,
    /// The batches that are under way, and their bytes.
    in_flight: Vec<(Arc<Batch>, usize)>,
}

/// A batch that is not sent yet.
#[derive(Debug)]
struct Pending {
    route: Route,
    encoded: Vec<u8>,
    written: Written,
    durability: Durability,
    /// When it is sent even if it is not full.
    due: Instant,
    is_full: bool,
    batch: Arc<Batch>,
}

/// A batch on its way to its leader.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) key: Key,
    pub(super) route: Route,
    pub(super) encoded: Vec<u8>,
    pub(super) written: Written,
    pub(super) durability: Durability,
    pub(super) batch: Arc<Batch>,
}

/// A record's place.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) batch: Arc<Batch>,
    /// Its number in the batch, from 0.
    pub(super) index: i32,
    /// Whether a batch was begun or filled by it, so that there is something new to do, or to wait for.
    pub(super) is_news: bool,
}

impl Accumulator {
    pub(super) fn new(batch_size: usize, max_in_flight: usize) -> Self {
        Self { batch_size, max_in_flight, queues: BTreeMap::new(), buffered: 0, served: None }
    }

    pub(super) fn buffered(&self) -> usize {
        self.buffered
    }

    /// Adds a record to its partition's last batch, or to a new one, which `begin` makes, with the time when it is due.
    pub(super) fn push(
        &mut self,
        route: &Route,
        record: &Record<'_>,
        timestamp: Timestamp,
        begin: impl FnOnce() -> (Arc<Batch>, Instant),
    ) -> Result<Placed> {
        let limit = self.batch_size.min(route.max_batch);
        let more = record_size(i64::MAX, i32::MAX, record.key, record.value, &record.headers);
        let queue = self.queues.entry(key_of(route)).or_default();
        let mut is_news = false;
        if let Some(last) = queue.batches.back_mut().filter(|last| last.encoded.len() + more > limit) {
            is_news = !std::mem::replace(&mut last.is_full, true);
        }
        if queue.batches.back().is_none_or(|last| last.is_full) {
            let (batch, due) = begin();
            queue.batches.push_back(Pending::new(*route, due, batch));
            is_news = true;
        }
        let Some(last) = queue.batches.back_mut() else { return Err(crate::Error::Closed) };
        let before = last.encoded.len();
        let index = last.written.record_count();
        if let Err(error) = last.push(record, timestamp) {
            if index == 0 {
                queue.batches.pop_back();
            }
            self.remove_if_idle(key_of(route));
            return Err(error);
        }
        self.buffered += last.encoded.len() - before;
        last.durability = last.durability.max(record.durability.unwrap_or_default());
        let was_full = std::mem::replace(&mut last.is_full, last.encoded.len() >= limit);
        is_news |= last.is_full != was_full;
        Ok(Placed { batch: Arc::clone(&last.batch), index, is_news })
    }

    /// Takes a batch that is to be sent now: of the partition `of` alone, if one is named; with `force` also one that could
    /// wait.
    pub(super) fn take(&mut self, of: Option<Key>, force: bool, now: Instant) -> Option<Sending> {
        let key = match of {
            Some(key) => Some(key).filter(|key| self.is_ready(*key, force, now)),
            None => self.in_turn().find(|key| self.is_ready(*key, force, now)),
        }?;
        let queue = self.queues.get_mut(&key)?;
        let Pending { route, encoded, written, durability, batch, .. } = queue.batches.pop_front()?;
        queue.in_flight.push((Arc::clone(&batch), encoded.len()));
        self.served = Some(key);
        Some(Sending { key, route, encoded, written, durability, batch })
    }

    /// All partitions, those first that come after the one whose turn it was last.
    fn in_turn(&self) -> impl Iterator<Item = Key> {
        let after = self.served.map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.queues.range((after, Bound::Unbounded));
        let earlier = self.served.into_iter().flat_map(|served| self.queues.range(..=served));
        later.chain(earlier).map(|(key, _)| *key)
    }

    fn is_ready(&self, key: Key, force: bool, now: Instant) -> bool {
        let Some(queue) = self.queues.get(&key).filter(|queue| queue.in_flight.len() < self.max_in_flight)
        else {
            return false;
        };
        queue.batches.front().is_some_and(|first| force || first.is_full || first.due <= now)
    }

    /// Says that a batch which was under way is done with, whatever became of it.
    pub(super) fn done(&mut self, key: Key, batch: &Arc<Batch>) {
        if let Some(queue) = self.queues.get_mut(&key) {
            let done = queue.in_flight.extract_if(.., |(of, _)| Arc::ptr_eq(of, batch));
            self.buffered -= done.map(|(_, size)| size).sum::<usize>();
        }
        self.remove_if_idle(key);
    }

    fn remove_if_idle(&mut self, key: Key) {
        if self.queues.get(&key).is_some_and(|queue| queue.batches.is_empty() && queue.in_flight.is_empty()) {
            self.queues.remove(&key);
        }
    }

    /// When the next batch is to be sent, by itself; `None`: none waits.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let idle = self.queues.values().filter(|queue| queue.in_flight.len() < self.max_in_flight);
        let first = idle.filter_map(|queue| queue.batches.front());
        first.map(|first| if first.is_full { Instant::default() } else { first.due }).min()
    }

    /// All batches that are not done.
    pub(super) fn outstanding(&self) -> Vec<Arc<Batch>> {
        let in_flight = self.queues.values().flat_map(|queue| queue.in_flight.iter().map(|(batch, _)| batch));
        let waiting =
            self.queues.values().flat_map(|queue| queue.batches.iter().map(|pending| &pending.batch));
        in_flight.chain(waiting).cloned().collect()
    }

    /// Forgets all that is not under way; gives the batches, each with how many records it has.
    pub(super) fn abandon(&mut self) -> Vec<(Arc<Batch>, usize)> {
        let mut abandoned = Vec::new();
        for queue in self.queues.values_mut() {
            for pending in queue.batches.drain(..) {
                self.buffered -= pending.encoded.len();
                let records = usize::try_from(pending.written.record_count()).unwrap_or_default();
                abandoned.push((pending.batch, records));
            }
        }
        self.queues.retain(|_, queue| !queue.in_flight.is_empty());
        abandoned
    }

    /// Whether all batches are done.
    pub(super) fn is_idle(&self) -> bool {
        self.queues.is_empty()
    }
}

pub(super) fn key_of(route: &Route) -> Key {
    (route.partition.topic_id, route.partition.partition)
}

impl Pending {
    fn new(route: Route, due: Instant, batch: Arc<Batch>) -> Self {
        Self {
            route,
            encoded: Vec::new(),
            written: Written::default(),
            durability: Durability::default(),
            due,
            is_full: false,
            batch,
        }
    }

    fn push(&mut self, record: &Record<'_>, timestamp: Timestamp) -> Result<()> {
        let pushed =
            self.written.push(&mut self.encoded, timestamp, record.key, record.value, &record.headers);
        pushed.map_err(|error| record_error(error, self.route.max_batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::PartitionRef;
    use std::sync::Weak;

    const KEY: fn(i32) -> Key = |partition| (TopicId::from_bytes([1; 16]), partition);

    fn route(partition: i32) -> Route {
        let partition = PartitionRef { topic_id: KEY(0).0, partition, slot: 0 };
        Route { partition, leader: 1.into(), max_batch: 1 << 20 }
    }

    fn at(ms: u64) -> Instant {
        Instant::default().plus(std::time::Duration::from_millis(ms))
    }

    /// Adds a record of some bytes for a partition, whose batch would be due at a time.
    fn push(accumulator: &mut Accumulator, partition: i32, size: usize, due: u64) -> Placed {
        let value = vec![b'v'; size];
        let record = Record::to("t").value(&value);
        let begin = || (Arc::new(Batch::new(Weak::new(), KEY(partition), "t")), at(due));
        accumulator.push(&route(partition), &record, Timestamp::default(), begin).expect("it fits")
    }

    #[test]
    fn a_batch_is_sent_when_it_is_full_or_due_or_somebody_waits_and_not_before() {
        let mut accumulator = Accumulator::new(1000, 1);
        assert!(push(&mut accumulator, 0, 400, 5).is_news);
        assert!(!push(&mut accumulator, 0, 400, 6).is_news);
        assert!(accumulator.take(None, false, at(4)).is_none());
        assert_eq!(accumulator.next_due(), Some(at(5)));
        let third = push(&mut accumulator, 0, 400, 9);
        assert!(third.is_news && third.index == 0, "the first batch is full, another is begun");
        let first = accumulator.take(None, false, at(0)).expect("it is full");
        assert_eq!(first.written.record_count(), 2);
        assert!(accumulator.take(None, true, at(100)).is_none(), "one of a partition at a time");
        assert_eq!(accumulator.next_due(), None);
        accumulator.done(first.key, &first.batch);
        assert!(accumulator.take(None, false, at(8)).is_none());
        assert!(accumulator.take(Some(KEY(1)), true, at(8)).is_none());
        let second = accumulator.take(Some(KEY(0)), true, at(8)).expect("somebody waits");
        accumulator.done(second.key, &second.batch);
        assert!(accumulator.is_idle() && accumulator.buffered() == 0);
    }

    #[test]
    fn partitions_take_turns() {
        let mut accumulator = Accumulator::new(10, 1);
        for partition in [0, 1, 2, 0, 1, 2] {
            push(&mut accumulator, partition, 100, 0);
        }
        let mut served = Vec::new();
        while let Some(sending) = accumulator.take(None, false, at(0)) {
            served.push(sending.key.1);
            accumulator.done(sending.key, &sending.batch);
        }
        assert_eq!(served, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn what_cannot_be_in_a_batch_leaves_nothing_behind() {
        let mut accumulator = Accumulator::new(1000, 1);
        let begin = || (Arc::new(Batch::new(Weak::new(), KEY(0), "t")), at(0));
        // The first is so far from the second that 64 bits cannot say how far.
        let record = Record::to("t").value("x");
        let first = accumulator.push(&route(0), &record, Timestamp::from_millis(i64::MAX), begin);
        assert!(first.is_ok());
        let before = accumulator.buffered();
        let far = Timestamp::from_millis(i64::MIN);
        assert!(accumulator.push(&route(0), &record, far, begin).is_err());
        assert_eq!(accumulator.buffered(), before);
        let sending = accumulator.take(None, true, at(0)).expect("the first is there");
        assert_eq!(sending.written.record_count(), 1);
    }

    #[test]
    fn as_many_are_under_way_as_may_and_any_of_them_may_be_done_first() {
        let mut accumulator = Accumulator::new(10, 2);
        for _ in 0..3 {
            push(&mut accumulator, 0, 100, 0);
        }
        let take = |accumulator: &mut Accumulator| accumulator.take(None, false, at(0));
        let (first, second) = (take(&mut accumulator).expect("one"), take(&mut accumulator).expect("two"));
        assert!(take(&mut accumulator).is_none() && accumulator.next_due().is_none());
        assert_eq!(accumulator.outstanding().len(), 3);
        accumulator.done(second.key, &second.batch);
        let third = take(&mut accumulator).expect("there is room");
        accumulator.done(first.key, &first.batch);
        accumulator.done(third.key, &third.batch);
        assert!(accumulator.is_idle() && accumulator.buffered() == 0);
    }
}
