//! The replicated log, as one member has it in memory.

use super::message::{Entry, Index, Position};

/// Entries by index, without a gap. It may begin behind a position: what lies before, a snapshot has.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Of the last entry that is not here any more. It is committed; the default one lies before the first.
    base: Position,
    entries: Vec<Entry>,
}

impl Log {
    /// Takes what is in order behind `base`; what lies behind a gap is nothing.
    pub(super) fn new(base: Position, mut entries: Vec<Entry>) -> Self {
        let indexes = base.index.0 + 1..;
        let whole = indexes.zip(&entries).take_while(|(index, entry)| entry.index == Index(*index)).count();
        entries.truncate(whole);
        Self { base, entries }
    }

    pub(super) fn base(&self) -> Position {
        self.base
    }

    pub(super) fn last(&self) -> Position {
        self.entries.last().map_or(self.base, Entry::position)
    }

    /// How many entries lie between the base and an index, that inclusive; `None`: it lies before.
    fn count(&self, upto: Index) -> Option<usize> {
        usize::try_from(upto.0.checked_sub(self.base.index.0)?).ok()
    }

    pub(super) fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.count(index)?.checked_sub(1)?)
    }

    /// The position at an index, from the base on.
    pub(super) fn position(&self, index: Index) -> Option<Position> {
        if index == self.base.index { Some(self.base) } else { self.get(index).map(Entry::position) }
    }

    /// Whether this entry is here. What lies before the base is committed: whoever leads has the same there.
    pub(super) fn has(&self, position: Position) -> bool {
        position.index < self.base.index || self.position(position.index) == Some(position)
    }

    /// Entries from here on, no more than `limit`. From the first one that is here, at the earliest.
    pub(super) fn from(&self, index: Index, limit: usize) -> &[Entry] {
        let rest = self.entries.get(self.count(index.before()).unwrap_or(0)..).unwrap_or_default();
        rest.get(..limit).unwrap_or(rest)
    }

    /// The last entry that is neither behind `position` nor of a later term. Two members that ask each other so find the
    /// last entry that both have, one term a round. `None`: it lies before the base, if there is one.
    pub(super) fn at_most(&self, position: Position) -> Option<Position> {
        let is_at_most = |own: Position| own.index <= position.index && own.term <= position.term;
        let upto = self.entries.partition_point(|entry| is_at_most(entry.position()));
        let last = upto.checked_sub(1).and_then(|last| self.entries.get(last)).map(Entry::position);
        last.or(Some(self.base).filter(|base| is_at_most(*base)))
    }

    pub(super) fn truncate(&mut self, from: Index) {
        self.entries.truncate(self.count(from.before()).unwrap_or(0));
    }

    pub(super) fn append(&mut self, entries: &[Entry]) {
        self.entries.extend_from_slice(entries);
    }

    /// Begins behind this entry from now on, if that is here.
    pub(super) fn drop_up_to(&mut self, position: Position) {
        if let Some(gone) = self.count(position.index).filter(|gone| *gone <= self.entries.len()) {
            self.entries.drain(..gone);
            self.base = position;
        }
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
        Log::new(Position::default(), terms.iter().enumerate().map(entry).collect())
    }

    fn at(term: u64, index: u64) -> Position {
        Position { term: Term(term), index: Index(index) }
    }

    #[test]
    fn a_hint_skips_a_whole_term() {
        let (follower, leader) = (log(&[1, 1, 2, 2, 2, 2, 2]), log(&[1, 1, 3, 3, 4, 4, 4, 4]));
        let hint = follower.at_most(at(4, 8));
        assert_eq!(hint, Some(at(2, 7)));
        assert_eq!(leader.at_most(at(2, 7)), Some(at(1, 2)));
        assert!(follower.has(at(1, 2)));
        assert_eq!(log(&[]).at_most(at(4, 8)), Some(Position::default()));
    }

    #[test]
    fn what_lies_behind_a_gap_is_nothing() {
        let mut entries = log(&[1, 1, 2]).entries;
        entries.remove(1);
        assert_eq!(Log::new(Position::default(), entries).last(), at(1, 1));
    }

    /// It says the same of every index and position as the log that has all, but of what lies before its base.
    #[test]
    fn a_log_that_begins_later_is_the_same_behind_its_base() {
        let whole = log(&[1, 1, 3, 3, 4, 4, 4, 4]);
        for base in 0..=8 {
            let mut log = log(&[1, 1, 3, 3, 4, 4, 4, 4]);
            log.drop_up_to(whole.position(Index(base)).unwrap());
            assert_eq!((log.base().index, log.last()), (Index(base), at(4, 8)));
            for index in 0..10 {
                let there = whole.position(Index(index)).filter(|_| index >= base);
                assert_eq!(log.position(Index(index)), there, "{index} behind {base}");
                assert_eq!(log.get(Index(index)), whole.get(Index(index)).filter(|_| index > base));
                assert_eq!(log.from(Index(index), 2), whole.from(Index(index.max(base + 1)), 2));
                for term in 0..6 {
                    let known = whole.at_most(at(term, index)).filter(|at| at.index.0 >= base);
                    assert_eq!(log.at_most(at(term, index)), known, "({term}, {index}) behind {base}");
                    assert!(!whole.has(at(term, index)) || log.has(at(term, index)));
                    assert!(index < base || log.has(at(term, index)) == whole.has(at(term, index)));
                }
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_dropped() {
        let mut log = log(&[1, 1, 2]);
        log.drop_up_to(at(3, 4));
        assert_eq!((log.base(), log.entries.len()), (Position::default(), 3));
        log.drop_up_to(at(2, 3));
        log.drop_up_to(at(1, 2));
        assert_eq!((log.base(), log.last(), log.entries.len()), (at(2, 3), at(2, 3), 0));
        log.truncate(Index(2));
        assert_eq!(log.last(), at(2, 3));
    }
}
