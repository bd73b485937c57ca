//! A type for each kind of number, so that one cannot be passed for another.

use std::fmt;

/// A record's place in its partition. Also the places between records: an exclusive end is the next offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Offset(i64);

impl Offset {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn new(offset: i64) -> Self {
        Self(offset)
    }

    pub(crate) const fn get(self) -> i64 {
        self.0
    }

    /// The offset `by` places on. Saturates: no log comes near the end of the range.
    pub(crate) const fn plus(self, by: i64) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How many places lie from `earlier` (inclusive) to here (exclusive).
    pub(crate) const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the leaders that a partition has had, and the unclean opens of an embedded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct LeaderEpoch(pub(crate) i32);

impl fmt::Display for LeaderEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the changes of what a controller says of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct PartitionEpoch(pub(crate) i32);

/// Tells a broker's registrations from each other: a later one has a greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct BrokerEpoch(pub(crate) i64);

/// Counts a group's rebalances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Generation(pub(crate) i32);

impl Generation {
    /// The one that follows; after the last one, the first.
    pub(crate) const fn next(self) -> Self {
        Self(if self.0 == i32::MAX { 1 } else { self.0 + 1 })
    }
}
