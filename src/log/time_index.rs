//! `.timeindex`: from when on a segment's records are.

use crate::{record::crc32c, types::Offset};

/// The bytes of one entry: timestamp i64, relative offset i32.
pub(crate) const ENTRY: usize = 12;

/// The entries of a segment's `.timeindex`: the largest timestamp so far, and the last offset of the first batch that
/// reached it. Both rise.
#[derive(Debug)]
pub(crate) struct TimeIndex {
    base: Offset,
    entries: Vec<(i64, u32)>,
    /// How many of them the file has.
    persisted: usize,
}

impl TimeIndex {
    pub(crate) fn new(base: Offset) -> Self {
        Self { base, entries: Vec::new(), persisted: 0 }
    }

    /// Reads a file's entries up to the first that does not rise.
    pub(crate) fn parse(base: Offset, bytes: &[u8]) -> Self {
        let mut index = Self::new(base);
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        for entry in entries {
            let [a, b, c, d, e, f, g, h, i, j, k, l] = *entry;
            let timestamp = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
            let relative = u32::from_be_bytes([i, j, k, l]);
            let rises = index.entries.last().is_none_or(|(t, o)| timestamp > *t && relative > *o);
            if !rises || i32::try_from(relative).is_err() || timestamp < 0 {
                break;
            }
            index.entries.push((timestamp, relative));
        }
        index.persisted = index.entries.len();
        index
    }

    /// Adds an entry, if its timestamp is greater than the last one's. Negative timestamps are never noted.
    pub(crate) fn push(&mut self, timestamp: i64, offset: Offset) {
        let last = self.entries.last().map_or(-1, |(timestamp, _)| *timestamp);
        let relative = i32::try_from(offset.since(self.base)).ok().and_then(|n| u32::try_from(n).ok());
        if let Some(relative) = relative.filter(|_| timestamp > last) {
            self.entries.push((timestamp, relative));
        }
    }

    /// The last entry with a timestamp below `timestamp`: all records up to its offset (inclusive) are older.
    pub(crate) fn below(&self, timestamp: i64) -> Option<(i64, Offset)> {
        let after = self.entries.partition_point(|(entry, _)| *entry < timestamp);
        self.entry(after.checked_sub(1)?)
    }

    /// Drops the entries for offsets at or beyond `offset`.
    pub(crate) fn truncate(&mut self, offset: Offset) {
        // Beyond what an entry can say there is none.
        let relative = u32::try_from(offset.since(self.base).max(0)).unwrap_or(u32::MAX);
        let keep = self.entries.partition_point(|(_, entry)| *entry < relative);
        self.entries.truncate(keep);
        self.persisted = self.persisted.min(keep);
    }

    pub(crate) fn last(&self) -> Option<(i64, Offset)> {
        self.entry(self.entries.len().checked_sub(1)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&self, n: usize) -> Option<(i64, Offset)> {
        self.entries.get(n).map(|(timestamp, relative)| (*timestamp, self.base.plus(i64::from(*relative))))
    }

    /// CRC-32C of all entries as the file has them.
    pub(crate) fn checksum(&self) -> u32 {
        crc32c(&encode(&self.entries))
    }

    /// The entries that the file does not have, and where in it they belong.
    pub(crate) fn unpersisted(&self) -> (u64, Vec<u8>) {
        let new = self.entries.get(self.persisted..).unwrap_or_default();
        ((self.persisted * ENTRY) as u64, encode(new))
    }

    /// Says that the file has the first `count` entries.
    pub(crate) fn set_persisted(&mut self, count: usize) {
        self.persisted = count.min(self.entries.len());
    }
}

fn encode(entries: &[(i64, u32)]) -> Vec<u8> {
    entries.iter().flat_map(|(t, o)| t.to_be_bytes().into_iter().chain(o.to_be_bytes())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_only_timestamps_that_rise_and_reads_them_back() {
        let mut index = TimeIndex::new(Offset::new(50));
        for (timestamp, offset) in [(-1, 50), (1000, 51), (1000, 55), (900, 60), (2000, 70)] {
            index.push(timestamp, Offset::new(offset));
        }
        assert_eq!(index.entries, [(1000, 1), (2000, 20)]);
        assert_eq!(index.below(2000), Some((1000, Offset::new(51))));
        assert_eq!(index.below(1000), None);
        let (_, bytes) = index.unpersisted();
        let mut with_tail = bytes.clone();
        with_tail.extend([0; 120]);
        assert_eq!(TimeIndex::parse(Offset::new(50), &with_tail).entries, index.entries);
    }
}
