//! The replicated log, as one member has it in memory.

use super::message::{Entry, Index, Position};

/// Entries by index, from 1 on, without a gap.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
}

impl Log {
    /// Takes what is in order; what lies behind a gap is nothing.
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        let whole = (1..).zip(&entries).take_while(|(index, entry)| entry.index == Index(*index)).count();
        entries.truncate(whole);
        Self { entries }
    }

    pub(super) fn last(&self) -> Position {
        self.entries.last().map(Entry::position).unwrap_or_default()
    }

    pub(super) fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(usize::try_from(index.0.checked_sub(1)?).ok()?)
    }

    /// The position at an index; the one before the first entry is the default.
    pub(super) fn position(&self, index: Index) -> Option<Position> {
        if index == Index(0) { Some(Position::default()) } else { self.get(index).map(Entry::position) }
    }

    pub(super) fn has(&self, position: Position) -> bool {
        self.position(position.index) == Some(position)
    }

    /// Entries from here on, no more than `limit`.
    pub(super) fn from(&self, index: Index, limit: usize) -> &[Entry] {
        let start = usize::try_from(index.before().0).unwrap_or(usize::MAX);
        let rest = self.entries.get(start..).unwrap_or_default();
        rest.get(..limit).unwrap_or(rest)
    }

    /// The last entry that is neither behind `position` nor of a later term. Two members that ask each other so find the
    /// last entry that both have, one term a round.
    pub(super) fn at_most(&self, position: Position) -> Position {
        let upto = self.entries.partition_point(|e| e.index <= position.index && e.term <= position.term);
        self.position(Index(upto as u64)).unwrap_or_default()
    }

    pub(super) fn truncate(&mut self, from: Index) {
        self.entries.truncate(usize::try_from(from.before().0).unwrap_or(usize::MAX));
    }

    pub(super) fn append(&mut self, entries: &[Entry]) {
        self.entries.extend_from_slice(entries);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::message::Term, *};
    use std::sync::Arc;

    fn log(terms: &[u64]) -> Log {
        let entry = |(n, term): (usize, &u64)| Entry {
            term: Term(*term),
            index: Index(n as u64 + 1),
            payload: Arc::default(),
        };
        Log::new(terms.iter().enumerate().map(entry).collect())
    }

    fn at(term: u64, index: u64) -> Position {
        Position { term: Term(term), index: Index(index) }
    }

    #[test]
    fn a_hint_skips_a_whole_term() {
        let (follower, leader) = (log(&[1, 1, 2, 2, 2, 2, 2]), log(&[1, 1, 3, 3, 4, 4, 4, 4]));
        let hint = follower.at_most(at(4, 8));
        assert_eq!(hint, at(2, 7));
        assert_eq!(leader.at_most(hint), at(1, 2));
        assert!(follower.has(at(1, 2)));
        assert_eq!(log(&[]).at_most(at(4, 8)), Position::default());
    }

    #[test]
    fn what_lies_behind_a_gap_is_nothing() {
        let mut entries = log(&[1, 1, 2]).entries;
        entries.remove(1);
        assert_eq!(Log::new(entries).last(), at(1, 1));
    }
}
