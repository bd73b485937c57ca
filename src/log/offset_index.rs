//! `.index`: where in a segment a record is found.

use crate::types::Offset;

/// The bytes of one entry: relative offset i32, position i32.
pub(crate) const ENTRY: usize = 8;

/// The entries of a segment's `.index`, each a batch's last offset and its start in the log. Both rise.
#[derive(Debug)]
pub(crate) struct OffsetIndex {
    base: Offset,
    entries: Vec<(u32, u32)>,
    /// How many of them the file has.
    persisted: usize,
}

impl OffsetIndex {
    pub(crate) fn new(base: Offset) -> Self {
        Self { base, entries: Vec::new(), persisted: 0 }
    }

    /// Reads a file's entries as far as they make sense: up to the first that does not rise, does not lie in the
    /// log's `size` bytes, or is zero (what a crash leaves of a preallocated file).
    pub(crate) fn parse(base: Offset, bytes: &[u8], size: u64) -> Self {
        let mut index = Self::new(base);
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        for entry in entries {
            let [a, b, c, d, e, f, g, h] = *entry;
            let (relative, position) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
            let rises = index.entries.last().is_none_or(|(o, p)| relative > *o && position > *p);
            let zero = relative == 0 && position == 0;
            if zero || !rises || i32::try_from(relative).is_err() || u64::from(position) >= size {
                break;
            }
            index.entries.push((relative, position));
        }
        index.persisted = index.entries.len();
        index
    }

    /// Adds an entry, if it can be expressed.
    pub(crate) fn push(&mut self, last_offset: Offset, position: u64) {
        let relative = i32::try_from(last_offset.since(self.base)).ok().and_then(|n| u32::try_from(n).ok());
        if let (Some(relative), Ok(position)) = (relative, u32::try_from(position)) {
            self.entries.push((relative, position));
        }
    }

    /// The last entry at or below `offset`: a batch's last offset and its start.
    pub(crate) fn floor(&self, offset: Offset) -> Option<(Offset, u64)> {
        let relative = offset.since(self.base);
        let after = self.entries.partition_point(|(entry, _)| i64::from(*entry) <= relative);
        self.entry(after.checked_sub(1)?)
    }

    /// The first entry of a batch that begins behind `position`.
    pub(crate) fn behind(&self, position: u64) -> Option<(Offset, u64)> {
        self.entry(self.entries.partition_point(|(_, entry)| u64::from(*entry) <= position))
    }

    /// Drops the entries of batches that end at or beyond `offset`.
    pub(crate) fn truncate(&mut self, offset: Offset) {
        // Beyond what an entry can say there is none.
        let relative = u32::try_from(offset.since(self.base).max(0)).unwrap_or(u32::MAX);
        let keep = self.entries.partition_point(|(entry, _)| *entry < relative);
        self.entries.truncate(keep);
        self.persisted = self.persisted.min(keep);
    }

    pub(crate) fn last(&self) -> Option<(Offset, u64)> {
        self.entry(self.entries.len().checked_sub(1)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entries(&self) -> Vec<(Offset, u64)> {
        (0..self.entries.len()).filter_map(|n| self.entry(n)).collect()
    }

    fn entry(&self, n: usize) -> Option<(Offset, u64)> {
        self.entries
            .get(n)
            .map(|(relative, position)| (self.base.plus(i64::from(*relative)), u64::from(*position)))
    }

    /// The entries that the file does not have, and where in it they belong.
    pub(crate) fn unpersisted(&self) -> (u64, Vec<u8>) {
        let new = self.entries.get(self.persisted..).unwrap_or_default();
        let bytes =
            new.iter().flat_map(|(o, p)| o.to_be_bytes().into_iter().chain(p.to_be_bytes())).collect();
        ((self.persisted * ENTRY) as u64, bytes)
    }

    /// Says that the file has the first `count` entries.
    pub(crate) fn set_persisted(&mut self, count: usize) {
        self.persisted = count.min(self.entries.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(n: i64) -> Offset {
        Offset::new(n)
    }

    #[test]
    fn finds_the_last_entry_at_or_below() {
        let mut index = OffsetIndex::new(offset(100));
        index.push(offset(109), 4200);
        index.push(offset(120), 9000);
        assert_eq!(index.floor(offset(108)), None);
        assert_eq!(index.floor(offset(109)), Some((offset(109), 4200)));
        assert_eq!(index.floor(offset(5000)), Some((offset(120), 9000)));
        index.truncate(offset(i64::MAX));
        assert_eq!(index.last(), Some((offset(120), 9000)), "all is below the end of all");
        index.truncate(offset(120));
        assert_eq!(index.last(), Some((offset(109), 4200)));
        index.truncate(offset(99));
        assert_eq!(index.last(), None);
    }

    #[test]
    fn reads_back_what_it_writes_and_stops_where_it_makes_no_sense() {
        let mut index = OffsetIndex::new(offset(7));
        for n in 1..5 {
            index.push(offset(7 + n * 10), n as u64 * 5000);
        }
        let (at, bytes) = index.unpersisted();
        assert_eq!((at, bytes.len()), (0, 32));
        assert_eq!(OffsetIndex::parse(offset(7), &bytes, 1 << 20).entries, index.entries);
        assert_eq!(OffsetIndex::parse(offset(7), &bytes, 15_000).len(), 2, "a position outside the log");
        let mut with_tail = bytes.clone();
        with_tail.extend([0; 801]);
        assert_eq!(OffsetIndex::parse(offset(7), &with_tail, 1 << 20).len(), 4, "a zero tail");
        let twice = [bytes.clone(), bytes].concat();
        assert_eq!(OffsetIndex::parse(offset(7), &twice, 1 << 20).len(), 4, "entries that fall");
        assert_eq!(
            OffsetIndex::parse(offset(7), &[0x80, 0, 0, 0, 0, 0, 0, 1], 1 << 20).len(),
            0,
            "a negative offset"
        );
    }
}
