//! What opening a store found.

use crate::{
    log::{Damage, Salvaged},
    trace,
    types::TopicPartition,
};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

/// What [`Broker::open`](crate::Broker::open) found and did. Shown, it is a few lines for a log file.
///
/// ```
/// # fn main() -> brooklet::Result<()> {
/// let broker = brooklet::Broker::temporary()?;
/// assert!(broker.recovery().clean);
/// println!("{}", broker.recovery());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecoveryReport {
    /// Whether the store was new or had been closed. If not, every partition was read from its recovery point on.
    pub clean: bool,
    /// How long opening took.
    pub elapsed: Duration,
    /// How many bytes of log were read.
    pub bytes_scanned: u64,
    /// The topics that were found on the disk without brooklet knowing of them, such as a Kafka's, by name. They keep all
    /// they have.
    pub topics_adopted: Vec<String>,
    /// The broker's own files that were not to be read, under the names that they have now: topic metadata, or a
    /// checkpoint. What they said was found in the partitions' directories as far as it is there. Only with
    /// [`salvage`](crate::BrokerBuilder::salvage).
    pub kept_aside: Vec<PathBuf>,
    /// A line for each partition, ordered by topic and partition.
    pub partitions: Vec<PartitionRecovery>,
    /// The groups that had committed more than survived, ordered by group, topic and partition. Each goes back to where
    /// the records that it had done end. Looked for only where the store was not closed.
    pub groups_beyond_end: Vec<GroupBeyondEnd>,
}

/// A group that has committed an offset beyond what is left of a log.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// for lost in &broker.recovery().groups_beyond_end {
///     println!("{} did {} up to {} of {}", lost.group, lost.partition, lost.committed, lost.end_offset);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupBeyondEnd {
    /// The group.
    pub group: String,
    /// The partition.
    pub partition: TopicPartition,
    /// What it has committed: the next offset to read.
    pub committed: i64,
    /// Where the records end that it can have done: the log's end, or where its leader epoch ends. The group goes on there.
    pub end_offset: i64,
}

/// What opening one partition found and did.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// for partition in &broker.recovery().partitions {
///     println!("{} ends at {}", partition.partition, partition.log_end_offset);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionRecovery {
    /// The partition.
    pub partition: TopicPartition,
    /// The first offset that is there.
    pub log_start_offset: i64,
    /// The offset of the next record, exclusive.
    pub log_end_offset: i64,
    /// How many bytes of its log were read.
    pub bytes_scanned: u64,
    /// How many bytes behind the last good batch were cut off: records that were never flushed, in part or out of
    /// order. They are kept aside, in files of the partition's directory whose names end in `.cut`.
    pub bytes_cut: u64,
    /// Whether whole batches with a right checksum were among them: records behind a hole, or of another leader epoch.
    pub good_batches_cut: bool,
    /// The files that the bytes are in which were cut.
    pub kept_aside: Vec<PathBuf>,
    /// How many segments' indexes were not their log's, and were made anew.
    pub indexes_rebuilt: u32,
    /// What of the log was damaged, in order of offsets, and was put in order: only with
    /// [`salvage`](crate::BrokerBuilder::salvage), without which it is an error. The bad bytes are among
    /// [`kept_aside`](Self::kept_aside).
    pub damage: Vec<Damage>,
}

impl RecoveryReport {
    /// Tells who listens what an operator should know.
    pub(super) fn tell(&self, dir: &Path) {
        self.topics_adopted.iter().for_each(|topic| trace::topic_adopted(topic));
        self.kept_aside.iter().for_each(|path| trace::file_kept_aside(path.display()));
        self.partitions.iter().for_each(PartitionRecovery::tell);
        for GroupBeyondEnd { group, partition, committed, end_offset } in &self.groups_beyond_end {
            trace::group_beyond_end(group, partition, *committed, *end_offset);
        }
        trace::opened(dir.display(), self.clean, self.partitions.len() as u64, self.bytes_scanned);
    }
}

impl PartitionRecovery {
    fn tell(&self) {
        if self.bytes_cut > 0 {
            trace::log_cut(&self.partition, self.log_end_offset, self.bytes_cut, self.good_batches_cut);
        }
        for Damage { offset, next_offset, reason, .. } in &self.damage {
            trace::log_salvaged(&self.partition, reason, *offset, *next_offset);
        }
    }

    /// Takes in what was done before the log was opened.
    pub(super) fn add(&mut self, salvaged: Salvaged) {
        self.bytes_scanned += salvaged.bytes_scanned;
        self.kept_aside.splice(0..0, salvaged.kept_aside);
        self.damage = salvaged.damage;
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.clean { "clean" } else { "not closed before: recovered" };
        let (count, bytes, elapsed) = (self.partitions.len(), self.bytes_scanned, self.elapsed);
        write!(f, "{state}, {count} partitions, {bytes} bytes read in {elapsed:.1?}")?;
        if !self.topics_adopted.is_empty() {
            write!(f, "\nfound on the disk and taken up: {}", self.topics_adopted.join(", "))?;
        }
        let rebuilt: u32 = self.partitions.iter().map(|partition| partition.indexes_rebuilt).sum();
        if rebuilt > 0 {
            write!(f, "\nnew indexes made for {rebuilt} segments")?;
        }
        for path in &self.kept_aside {
            write!(f, "\nnot to be read, and kept aside: {}", path.display())?;
        }
        let told = |partition: &&PartitionRecovery| partition.bytes_cut > 0 || !partition.damage.is_empty();
        self.partitions.iter().filter(told).try_for_each(|partition| write!(f, "\n{partition}"))?;
        self.groups_beyond_end.iter().try_for_each(|lost| {
            let GroupBeyondEnd { group, partition, committed, end_offset } = lost;
            write!(
                f,
                "\n{partition}: the group {group} had committed {committed}, and goes on at {end_offset}"
            )
        })
    }
}

impl fmt::Display for PartitionRecovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, log_start_offset, log_end_offset, bytes_cut, kept_aside, .. } = self;
        write!(f, "{partition}: offsets {log_start_offset} to {log_end_offset} (exclusive)")?;
        if *bytes_cut > 0 {
            let good = if self.good_batches_cut { ", good batches among them," } else { "" };
            write!(f, "; {bytes_cut} bytes behind them{good} were cut")?;
        }
        if !kept_aside.is_empty() {
            write!(f, "; kept aside")?;
        }
        for (n, path) in kept_aside.iter().enumerate() {
            write!(f, "{} {}", if n == 0 { " in" } else { "," }, path.display())?;
        }
        self.damage.iter().try_for_each(|damage| write!(f, "\n  damaged: {damage}"))
    }
}
