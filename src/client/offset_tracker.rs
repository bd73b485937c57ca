//! What is done of what was polled, where records are worked on by many threads and are done in any order.

use super::{ConsumerRecord, OwnedRecord, Records};
use crate::{
    sync::Mutex,
    types::{OffsetAndMetadata, Offsets, TopicPartition},
};
use std::collections::{BTreeMap, BTreeSet};

/// Keeps account of records that are done in any order, by any thread, so that what is committed never has a hole: a record
/// that is not done keeps all behind it in its partition from being committed.
///
/// [`start`](Self::start) with what a poll has handed out, [`done`](Self::done) with each record, and commit what is
/// [`committable`](Self::committable) now and then. `Send + Sync`: share it in an `Arc`. It holds 8 bytes and a little more for
/// each record in flight, and does not keep the records. How many there are is up to who polls:
/// [`in_flight`](Self::in_flight), and [`pause`](crate::Consumer::pause).
///
/// ```
/// use brooklet::{Broker, OffsetTracker, Record, TopicConfig};
/// use std::time::Duration;
/// # fn main() -> brooklet::Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// # for n in 0..3 {
/// #     broker.produce(Record::to("orders").value(&format!("{n}")))?;
/// # }
/// let mut consumer = broker.consumer("billing").subscribe("orders")?;
/// let tracker = OffsetTracker::new();
/// let records = consumer.poll(Duration::from_secs(1))?;
/// tracker.start(&records);
/// let records: Vec<_> = records.into_iter().collect(); // to other threads, and ...
/// tracker.done(&records[2]);
/// tracker.done(&records[0]);
/// consumer.commit_offsets(tracker.committable())?; // ... record 1 is not done
/// assert_eq!(consumer.committed(("orders", 0))?.map(|o| o.offset), Some(1));
/// assert_eq!(tracker.in_flight(), 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Default)]
pub struct OffsetTracker {
    partitions: Mutex<BTreeMap<TopicPartition, Progress>>,
}

/// How far a partition is.
#[derive(Debug)]
struct Progress {
    in_flight: BTreeSet<i64>,
    /// What to commit when none is in flight.
    next: OffsetAndMetadata,
}

impl OffsetTracker {
    /// Nothing in flight.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(OffsetTracker::new().in_flight(), 0);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that these records are in flight now: before they go to another thread. Records that come again, after a
    /// [`seek`](crate::Consumer::seek) back, are in flight again, and what is done behind them stays done.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// let tracker = OffsetTracker::new();
    /// tracker.start(&consumer.poll(Duration::ZERO)?);
    /// assert_eq!(tracker.in_flight(), 1);
    /// # Ok(()) }
    /// ```
    pub fn start(&self, records: &Records) {
        self.begin(records.next_offsets(), records);
    }

    /// As [`start`](Self::start), for what [`poll_one`](crate::Consumer::poll_one) has handed out.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// # let tracker = OffsetTracker::new();
    /// if let Some(record) = consumer.poll_one(Duration::ZERO)? {
    ///     tracker.start_one(&record);
    ///     tracker.done(&record);
    /// }
    /// assert_eq!(tracker.committable().get(("orders", 0)).map(|o| o.offset), Some(1));
    /// # Ok(()) }
    /// ```
    pub fn start_one(&self, record: &OwnedRecord) {
        self.begin(Offsets::from(record), [record.as_record()]);
    }

    fn begin<'a>(&self, next: Offsets, records: impl IntoIterator<Item = ConsumerRecord<'a>>) {
        let mut partitions = self.partitions.lock();
        for (of, next) in next {
            let known = partitions.entry(of);
            let progress =
                known.or_insert_with(|| Progress { in_flight: BTreeSet::new(), next: next.clone() });
            if next.offset >= progress.next.offset {
                progress.next = next;
            }
        }
        for record in records {
            if let Some(progress) = partitions.get_mut(record.topic_partition()) {
                progress.in_flight.insert(record.offset());
            }
        }
    }

    /// Notes that a record is done. One that is not in flight, as after [`forget`](Self::forget), changes nothing.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// # let tracker = OffsetTracker::new();
    /// let records = consumer.poll(Duration::ZERO)?;
    /// tracker.start(&records);
    /// for record in records {
    ///     tracker.done(&record);
    /// }
    /// assert_eq!(tracker.in_flight(), 0);
    /// # Ok(()) }
    /// ```
    pub fn done(&self, record: &OwnedRecord) {
        if let Some(progress) = self.partitions.lock().get_mut(record.topic_partition()) {
            progress.in_flight.remove(&record.offset());
        }
    }

    /// What may be committed now: of each partition the first offset in flight, or the next one to read if none is.
    ///
    /// The leader epoch comes with it where none is in flight, and else is left out.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// # let tracker = OffsetTracker::new();
    /// tracker.start(&consumer.poll(Duration::ZERO)?);
    /// assert_eq!(tracker.committable().get(("orders", 0)).map(|o| o.offset), Some(0));
    /// # Ok(()) }
    /// ```
    pub fn committable(&self) -> Offsets {
        let partitions = self.partitions.lock();
        let of = |progress: &Progress| match progress.in_flight.first() {
            Some(first) => OffsetAndMetadata::from(*first),
            None => progress.next.clone(),
        };
        partitions.iter().map(|(partition, progress)| (partition.clone(), of(progress))).collect()
    }

    /// How many records are in flight, in all partitions together.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(OffsetTracker::new().in_flight(), 0);
    /// ```
    pub fn in_flight(&self) -> usize {
        self.partitions.lock().values().map(|progress| progress.in_flight.len()).sum()
    }

    /// Forgets partitions: they are no longer this consumer's, or it goes elsewhere in them.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// # let mut consumer = broker.consumer("billing").subscribe("orders")?;
    /// # let tracker = OffsetTracker::new();
    /// tracker.start(&consumer.poll(Duration::ZERO)?);
    /// tracker.forget(&consumer.assignment());
    /// assert!(tracker.committable().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn forget(&self, partitions: &[TopicPartition]) {
        let mut known = self.partitions.lock();
        partitions.iter().for_each(|partition| drop(known.remove(partition)));
    }
}
