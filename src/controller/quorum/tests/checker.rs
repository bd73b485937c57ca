//! What must hold after every event, whatever happens.

use super::{
    super::*,
    world::{Member, at, last},
};
use std::collections::{BTreeMap, BTreeSet};

/// All that was ever seen.
#[derive(Debug, Default)]
pub(super) struct Checker {
    leaders: BTreeMap<Term, BrokerId>,
    votes: BTreeMap<(BrokerId, Term), BrokerId>,
    /// Every entry that was ever on a disk, by position, and what lay before it: two logs that share an entry are the same
    /// up to there.
    entries: BTreeMap<Position, (Payload, Position)>,
    /// In the order of the log.
    pub(super) committed: Vec<Entry>,
    /// In which term each of them was, at the latest.
    committed_in: Vec<Term>,
}

impl Checker {
    /// At most one leader in a term. (What a crash took back before it was told to anybody has not been.)
    pub(super) fn elected(&mut self, leader: BrokerId, term: Term) {
        let other = *self.leaders.entry(term).or_insert(leader);
        assert_eq!(other, leader, "two leaders in term {term}");
    }

    /// A leader has all that was committed in the terms before its own. (It may be elected late, by votes that were under way
    /// while another was elected in a later term.)
    pub(super) fn completes(&self, leader: &Quorum) {
        let before = self.committed_in.iter().take_while(|term| **term < leader.term()).count();
        let base = leader.base();
        assert!(base.index == Index(0) || self.committed[base.index.0 as usize - 1].position() == base);
        let here = self.committed[..before].iter().filter(|entry| entry.index > base.index);
        for entry in here {
            assert_eq!(leader.entry(entry.index), Some(entry), "the leader {} lacks it", leader.id);
        }
    }

    /// A vote is given to one in a term, also over restarts.
    pub(super) fn voted(&mut self, voter: BrokerId, term: Term, candidate: BrokerId) {
        let other = *self.votes.entry((voter, term)).or_insert(candidate);
        assert_eq!(other, candidate, "{voter} voted twice in term {term}");
    }

    /// Entries are added on a disk behind `before`.
    pub(super) fn appended(&mut self, mut before: Position, entries: &[Entry]) {
        for entry in entries {
            let position = entry.position();
            assert_eq!(position.index, before.index.next(), "a gap");
            let known = self.entries.entry(position).or_insert_with(|| (entry.payload.clone(), before));
            assert_eq!(*known, (entry.payload.clone(), before), "logs part before {position:?}");
            before = position;
        }
    }

    /// A snapshot is what was committed up to its position: no more, and no less.
    pub(super) fn snapshot(&self, snapshot: &Snapshot) {
        let Snapshot { position, records } = snapshot;
        let up_to = position.index.0 as usize;
        assert!(up_to <= self.committed.len(), "a snapshot at {position:?} of what is not committed");
        assert_eq!(self.committed[up_to - 1].position(), *position, "a snapshot is elsewhere");
        let all = self.committed[..up_to].iter().flat_map(|entry| entry.payload.iter());
        assert!(all.eq(records.iter()), "a snapshot at {position:?} has another state: {records:?}");
    }

    /// A member with this disk, in this term, says that it is committed up to here. What is so for the first time, most of one of the
    /// `sets` of voters have durably, on their `disks`.
    pub(super) fn committed(
        &mut self,
        disk: &Restored,
        up_to: Index,
        term: Term,
        (sets, disks): (&BTreeSet<BTreeSet<BrokerId>>, &BTreeMap<BrokerId, Member>),
    ) {
        assert!(up_to <= last(disk).index, "more is committed than there is");
        let up_to = up_to.0 as usize;
        let known = self.committed.len().min(up_to);
        // What it said before was compared before, so the end will do; the rest is done now and then.
        let from = if up_to.is_multiple_of(16) { 0 } else { known.saturating_sub(8) };
        for entry in self.committed[from..known].iter().filter(|entry| entry.index > disk.base.index) {
            assert_eq!(Some(entry), at(disk, entry.index), "what was committed has changed");
        }
        for index in known + 1..=up_to {
            let entry = at(disk, Index(index as u64)).expect("nothing else has it");
            let in_snapshot = |disk: &Restored| disk.snapshot.position.index >= entry.index;
            let have = |disk: &Restored| at(disk, entry.index) == Some(entry) || in_snapshot(disk);
            let stored = |set: &BTreeSet<BrokerId>| set.iter().filter(|id| have(&disks[*id].disk)).count();
            let is_stored = sets.iter().any(|set| stored(set) > set.len() / 2);
            assert!(is_stored, "of none of {sets:?} most have {:?}", entry.position());
            self.committed.push(entry.clone());
            self.committed_in.push(term);
        }
    }
}
