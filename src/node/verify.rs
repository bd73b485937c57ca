//! Reading everything that is in the logs of a broker at work.

use super::{
    Node,
    partition::Partition,
    progress::{Progress, Teller},
};
use crate::{
    error::Result,
    log::Damage,
    types::{Offset, TopicPartition},
};
use std::{fmt, sync::Arc, time::Duration};

/// What [`Broker::verify`](crate::Broker::verify) found. Shown, it is a line, and one for each partition that is damaged.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// # broker.produce(Record::to("orders").value("3 apples"))?;
/// let report = broker.verify(|_| {})?;
/// assert!(report.is_intact(), "{report}");
/// assert_eq!(report.partitions[0].records, 1);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VerifyReport {
    /// How long it took.
    pub elapsed: Duration,
    /// How many bytes of log were read.
    pub bytes_read: u64,
    /// A line for each partition that has a log, ordered by topic and partition.
    pub partitions: Vec<PartitionVerification>,
}

impl VerifyReport {
    /// Whether everything is as it was written.
    ///
    /// ```
    /// # fn main() -> brooklet::Result<()> {
    /// # let broker = brooklet::Broker::temporary()?;
    /// assert!(broker.verify(|_| {})?.is_intact());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.partitions.iter().all(|partition| partition.damage.is_empty())
    }
}

/// What there is in the log of one partition.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// for partition in broker.verify(|_| {})?.partitions {
///     println!("{}: {} records", partition.partition, partition.records);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionVerification {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset that is there.
    pub log_start_offset: i64,
    /// The offset of the next record when its log was begun with, exclusive.
    pub log_end_offset: i64,
    /// How many bytes of its log were read: whole segments, also below the log's start.
    pub bytes_read: u64,
    /// How many record batches with a right checksum these held.
    pub batches: u64,
    /// How many records these said that they hold, markers of transactions among them.
    pub records: u64,
    /// How many segments have an index file that says what is not so. It is made anew when it is next used.
    pub indexes_wrong: u32,
    /// What is not as it was written, in order of offsets.
    pub damage: Vec<Damage>,
}

impl Node {
    pub(crate) fn verify(&self, on_progress: &dyn Fn(&Progress)) -> Result<VerifyReport> {
        self.check_open()?;
        let begun = self.clock.now();
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        let mut verified = Vec::new();
        for partition in partitions {
            verified.extend(self.verify_partition(&partition, on_progress)?);
        }
        verified.sort_by(|a, b| a.partition.cmp(&b.partition));
        Ok(VerifyReport {
            elapsed: self.clock.now().since(begun),
            bytes_read: verified.iter().map(|partition| partition.bytes_read).sum(),
            partitions: verified,
        })
    }

    /// As `verify_once`; anew where a cleaner was at work meanwhile: some was read of what was before, and some of what is now.
    fn verify_partition(
        &self,
        partition: &Partition,
        on_progress: &dyn Fn(&Progress),
    ) -> Result<Option<PartitionVerification>> {
        let replaced = || partition.lock().log_if_any().ok().flatten().map(|log| log.replaced());
        loop {
            let before = replaced();
            let verified = self.verify_once(partition, on_progress);
            if replaced() == before || self.check_open().is_err() {
                return verified;
            }
        }
    }

    /// `None` for a partition without a log, or whose topic is being deleted.
    fn verify_once(
        &self,
        partition: &Partition,
        on_progress: &dyn Fn(&Progress),
    ) -> Result<Option<PartitionVerification>> {
        let noted = partition.lock().log_if_any().ok().flatten().map(|log| log.verification());
        let Some(verification) = noted else { return self.check_open().map(|()| None) };
        let storage = &*self.storage;
        let mut teller = Teller::new(partition.name(), verification.bytes(storage)?, Some(on_progress));
        // Retention may have taken it, or the topic may be gone.
        let is_gone = |base: Offset| {
            let mut state = partition.lock();
            !matches!(state.log_if_any(), Ok(Some(log)) if log.has_segment(base))
        };
        let found = verification.run(storage, &is_gone, &mut |read| teller.read(read))?;
        teller.end();
        Ok(Some(PartitionVerification {
            partition: partition.name().clone(),
            log_start_offset: verification.start.get(),
            log_end_offset: verification.end.get(),
            bytes_read: found.bytes_read,
            batches: found.batches,
            records: found.records,
            indexes_wrong: found.indexes_wrong,
            damage: found.damage,
        }))
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, bytes, elapsed) = (self.partitions.len(), self.bytes_read, self.elapsed);
        let records: u64 = self.partitions.iter().map(|partition| partition.records).sum();
        let state = if self.is_intact() { "intact" } else { "damaged" };
        write!(f, "{state}: {records} records of {count} partitions, {bytes} bytes read in {elapsed:.1?}")?;
        self.partitions
            .iter()
            .filter(|partition| !partition.damage.is_empty())
            .try_for_each(|partition| write!(f, "\n{partition}"))
    }
}

impl fmt::Display for PartitionVerification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, log_start_offset, log_end_offset, records, .. } = self;
        write!(
            f,
            "{partition}: offsets {log_start_offset} to {log_end_offset} (exclusive), {records} records"
        )?;
        self.damage.iter().try_for_each(|damage| write!(f, "\n  damaged: {damage}"))
    }
}
