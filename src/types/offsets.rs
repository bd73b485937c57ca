//! Offsets as users give and get them.

use super::{TopicPartition, timestamp::Timestamp};
use std::collections::BTreeMap;

/// A place in a partition, named by its meaning or by its number.
///
/// ```
/// # use brooklet::*;
/// assert_eq!(OffsetSpec::from(42), OffsetSpec::At(42));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OffsetSpec {
    /// The log start offset: the first record that is there.
    Earliest,
    /// The high watermark: where the next record that a consumer can read will be.
    Latest,
    /// The first record whose timestamp is this or later.
    Timestamp(Timestamp),
    /// This offset, `>= 0`.
    At(i64),
}

impl From<i64> for OffsetSpec {
    fn from(offset: i64) -> Self {
        Self::At(offset)
    }
}

impl From<Timestamp> for OffsetSpec {
    fn from(at: Timestamp) -> Self {
        Self::Timestamp(at)
    }
}

/// What a group commits for a partition.
///
/// ```
/// # use brooklet::*;
/// assert_eq!(OffsetAndMetadata::from(42).offset, 42);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OffsetAndMetadata {
    /// The *next* offset to read, `>= 0`: one more than that of the last record that is done.
    pub offset: i64,
    /// The leader epoch of the last record that is done, if it is known.
    pub leader_epoch: Option<i32>,
    /// A note of the user's; at most 4096 UTF-16 code units.
    pub metadata: String,
}

impl From<i64> for OffsetAndMetadata {
    fn from(offset: i64) -> Self {
        Self { offset, leader_epoch: None, metadata: String::new() }
    }
}

impl OffsetAndMetadata {
    /// The offset `offset` with a note, at most 4096 UTF-16 code units.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(OffsetAndMetadata::new(42, "up to noon").metadata, "up to noon");
    /// ```
    pub fn new(offset: i64, metadata: impl Into<String>) -> Self {
        Self { offset, leader_epoch: None, metadata: metadata.into() }
    }

    pub(crate) fn with_epoch(offset: i64, leader_epoch: i32) -> Self {
        Self { offset, leader_epoch: Some(leader_epoch).filter(|epoch| *epoch >= 0), metadata: String::new() }
    }
}

/// Offsets to commit, by partition: the *next* offset to read of each.
///
/// Made of what is done (`&Records`, a [`ConsumerRecord`](crate::ConsumerRecord), an
/// [`OwnedRecord`](crate::OwnedRecord)), which fills in the next offset and the leader epoch, or of numbers:
///
/// ```
/// use brooklet::{Offsets, TopicPartition};
/// let offsets = Offsets::from([(("orders", 0), 42), (("orders", 1), 7)]);
/// assert_eq!(offsets.get(("orders", 1)).map(|o| o.offset), Some(7));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offsets {
    by_partition: BTreeMap<TopicPartition, OffsetAndMetadata>,
}

impl Offsets {
    /// No offsets.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert!(Offsets::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `done`. Where both have an offset for a partition, that of `done` stands.
    ///
    /// ```
    /// # use brooklet::*;
    /// let mut offsets = Offsets::from([(("orders", 0), 42)]);
    /// offsets.merge([(("orders", 0), 43), (("orders", 1), 7)]);
    /// assert_eq!((offsets.len(), offsets.get(("orders", 0)).map(|o| o.offset)), (2, Some(43)));
    /// ```
    pub fn merge(&mut self, done: impl Into<Self>) {
        self.by_partition.extend(done.into().by_partition);
    }

    /// The offset of one partition.
    ///
    /// ```
    /// # use brooklet::*;
    /// let offsets = Offsets::from([(("orders", 0), 42)]);
    /// assert_eq!(offsets.get(("orders", 0)).map(|o| o.offset), Some(42));
    /// ```
    pub fn get(&self, of: impl Into<TopicPartition>) -> Option<&OffsetAndMetadata> {
        self.by_partition.get(&of.into())
    }

    /// How many partitions there are.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(Offsets::from([(("orders", 0), 42)]).len(), 1);
    /// ```
    pub fn len(&self) -> usize {
        self.by_partition.len()
    }

    /// Whether there are none.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert!(!Offsets::from([(("orders", 0), 42)]).is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.by_partition.is_empty()
    }

    /// All of them, ordered by topic and partition.
    ///
    /// ```
    /// # use brooklet::*;
    /// let offsets = Offsets::from([(("orders", 0), 42)]);
    /// for (partition, offset) in offsets.iter() {
    ///     assert_eq!((partition.topic(), offset.offset), ("orders", 42));
    /// }
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &OffsetAndMetadata)> {
        self.by_partition.iter()
    }
}

impl<P: Into<TopicPartition>, O: Into<OffsetAndMetadata>> FromIterator<(P, O)> for Offsets {
    fn from_iter<I: IntoIterator<Item = (P, O)>>(offsets: I) -> Self {
        let by_partition =
            offsets.into_iter().map(|(partition, offset)| (partition.into(), offset.into())).collect();
        Self { by_partition }
    }
}

impl<P: Into<TopicPartition>, O: Into<OffsetAndMetadata>, const N: usize> From<[(P, O); N]> for Offsets {
    fn from(offsets: [(P, O); N]) -> Self {
        offsets.into_iter().collect()
    }
}

impl IntoIterator for Offsets {
    type Item = (TopicPartition, OffsetAndMetadata);
    type IntoIter = std::collections::btree_map::IntoIter<TopicPartition, OffsetAndMetadata>;

    fn into_iter(self) -> Self::IntoIter {
        self.by_partition.into_iter()
    }
}
