//! The brokers' metadata logs match: an entry of one index and term is the same everywhere, and so is the one before it; and
//! what is committed at an index is the same everywhere, and for good. A log that begins behind a snapshot does so behind what is
//! committed.

use super::{Held, broken};
use crate::{
    controller::quorum::{Entry, Index, Payload, Quorum},
    types::BrokerId,
};
use std::{collections::BTreeMap, sync::Arc};

const NAME: &str = "metadata log matching";

#[derive(Debug, Default)]
pub(super) struct MetadataLogs {
    known: BTreeMap<BrokerId, Known>,
    /// By index and term: the records, and the term of the entry before it.
    entries: BTreeMap<(u64, u64), (Payload, u64)>,
    /// The term of each committed entry, by index.
    committed: BTreeMap<u64, u64>,
}

/// What is known of a broker's log.
#[derive(Debug, Default)]
struct Known {
    incarnation: u64,
    /// The term of each entry, and of that before the first, by index.
    terms: BTreeMap<u64, u64>,
    commit: u64,
    /// Of the newest snapshot.
    snapshot: u64,
}

impl MetadataLogs {
    pub(super) fn look(&mut self, id: BrokerId, incarnation: u64, quorum: &Quorum) -> Held {
        let mut known = self.known.remove(&id).unwrap_or_default();
        if known.incarnation != incarnation {
            known = Known { incarnation, ..Known::default() };
        }
        let held = self.look_at(id, &mut known, quorum);
        self.known.insert(id, known);
        held
    }

    fn look_at(&mut self, id: BrokerId, known: &mut Known, quorum: &Quorum) -> Held {
        let (base, last) = (quorum.base(), quorum.last());
        let ends = |(index, term): (&u64, &u64)| (*index, *term);
        let known_ends = known.terms.first_key_value().zip(known.terms.last_key_value());
        let now = ((base.index.0, base.term.0), (last.index.0, last.term.0));
        if known_ends.map(|(first, last)| (ends(first), ends(last))) != Some(now) {
            known.terms = known.terms.split_off(&base.index.0);
            known.terms.insert(base.index.0, base.term.0);
            let differs = |(index, term): (&u64, &u64)| {
                *index > base.index.0 && quorum.entry(Index(*index)).map(|entry| entry.term.0) != Some(*term)
            };
            while known.terms.last_key_value().is_some_and(differs) {
                known.terms.pop_last();
            }
            let same = known.terms.last_key_value().map_or(base.index.0, |(index, _)| *index);
            for index in same + 1..=last.index.0 {
                let Some(entry) = quorum.entry(Index(index)) else { break };
                self.note(id, entry, known.terms.get(&(index - 1)).copied().unwrap_or(0))?;
                known.terms.insert(index, entry.term.0);
            }
        }
        self.look_at_committed(id, known, quorum)
    }

    fn look_at_committed(&mut self, id: BrokerId, known: &mut Known, quorum: &Quorum) -> Held {
        let (commit, snapshot) = (quorum.commit().0, quorum.snapshot().position);
        for index in known.commit + 1..=commit {
            let Some(term) = known.terms.get(&index).copied() else { continue };
            self.commits(id, index, term)?;
        }
        if snapshot.index.0 > known.snapshot {
            if snapshot.index.0 > commit {
                let what = format_args!("broker {id} has a snapshot at {snapshot:?}, {commit} is committed");
                return Err(broken(NAME, what));
            }
            self.commits(id, snapshot.index.0, snapshot.term.0)?;
            known.snapshot = snapshot.index.0;
        }
        known.commit = known.commit.max(commit);
        Ok(())
    }

    fn commits(&mut self, id: BrokerId, index: u64, term: u64) -> Held {
        let there = *self.committed.entry(index).or_insert(term);
        if there == term {
            return Ok(());
        }
        Err(broken(NAME, format_args!("broker {id} commits {index} of term {term}, another one {there}")))
    }

    fn note(&mut self, id: BrokerId, entry: &Entry, before: u64) -> Held {
        let at = (entry.index.0, entry.term.0);
        let (payload, term) = self.entries.entry(at).or_insert_with(|| (Arc::clone(&entry.payload), before));
        let same = Arc::ptr_eq(payload, &entry.payload) || *payload == entry.payload;
        if same && *term == before {
            return Ok(());
        }
        let what = format_args!(
            "broker {id} has {:?} at {at:?} behind term {before}, another one {payload:?} behind {term}",
            entry.payload
        );
        Err(broken(NAME, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        controller::quorum::{Body, Event, Message, Position, QuorumConfig, Restored, Term},
        prng::Prng,
        rpc::metadata_record::MetadataRecord,
        types::Instant,
    };

    /// Entries from `first` on: the term of each, and what it says.
    fn entries(first: u64, entries: &[(u64, i64)]) -> Vec<Entry> {
        let entry = |(index, (term, next)): (u64, &(u64, i64))| Entry {
            term: Term(*term),
            index: Index(index),
            payload: [MetadataRecord::ProducerIds { next: *next }].into(),
        };
        (first..).zip(entries).map(entry).collect()
    }

    fn quorum(log: &[(u64, i64)]) -> Quorum {
        let restored = Restored { log: entries(1, log), ..Restored::default() };
        let (voters, config) = ([1, 2, 3].map(BrokerId::from), QuorumConfig::default());
        Quorum::new(1.into(), voters, restored, config, Prng::new(1), Instant::default())
    }

    /// A leader sends what is in place of the entries behind `previous`, and what is committed.
    fn append(quorum: &mut Quorum, previous: (u64, u64), new: &[(u64, i64)], commit: u64) {
        let previous = Position { term: Term(previous.0), index: Index(previous.1) };
        let entries = entries(previous.index.0 + 1, new);
        let body = Body::Append { previous, entries, commit: Index(commit) };
        let message = Message { term: Term(9), body };
        quorum.step(Event::Received { from: 2.into(), message }, Instant::default());
    }

    fn look(logs: &mut MetadataLogs, id: i32, quorum: &Quorum) -> bool {
        logs.look(id.into(), 1, quorum).is_ok()
    }

    #[test]
    fn two_entries_of_one_index_and_term_are_seen() {
        let mut logs = MetadataLogs::default();
        assert!(look(&mut logs, 1, &quorum(&[(1, 10), (2, 20)])) && look(&mut logs, 2, &quorum(&[(1, 10)])));
        assert!(look(&mut logs, 2, &quorum(&[(1, 10), (3, 30)])), "of another term, and not committed");
        assert!(!look(&mut logs, 3, &quorum(&[(1, 10), (2, 30)])));
    }

    #[test]
    fn one_entry_behind_two_others_is_seen() {
        let mut logs = MetadataLogs::default();
        assert!(look(&mut logs, 1, &quorum(&[(1, 10), (3, 30)])));
        assert!(!look(&mut logs, 2, &quorum(&[(2, 10), (3, 30)])));
    }

    #[test]
    fn what_is_committed_stays_and_what_is_not_need_not() {
        let (mut logs, mut one) = (MetadataLogs::default(), quorum(&[(1, 10), (1, 20)]));
        append(&mut one, (1, 1), &[], 1);
        assert_eq!(one.commit(), Index(1));
        assert!(look(&mut logs, 1, &one));
        append(&mut one, (1, 1), &[(2, 30)], 2);
        assert_eq!(one.commit(), Index(2));
        assert!(look(&mut logs, 1, &one));
        let mut other = quorum(&[(1, 10), (1, 20)]);
        assert!(look(&mut logs, 2, &other), "it has not heard of that yet");
        append(&mut other, (1, 2), &[], 2);
        assert!(!look(&mut logs, 2, &other));
    }

    #[test]
    fn a_snapshot_of_another_term_than_what_is_committed_is_seen() {
        let snapshot = |term| {
            let position = Position { term: Term(term), index: Index(1) };
            let snapshot = crate::controller::quorum::Snapshot { position, ..Default::default() };
            let restored = Restored { snapshot, base: position, ..Restored::default() };
            let config = QuorumConfig::default();
            Quorum::new(1.into(), [1.into()], restored, config, Prng::new(1), Instant::default())
        };
        let (mut logs, mut one) = (MetadataLogs::default(), quorum(&[(1, 10)]));
        append(&mut one, (1, 1), &[], 1);
        assert!(look(&mut logs, 1, &one) && look(&mut logs, 2, &snapshot(1)));
        assert!(!look(&mut logs, 3, &snapshot(2)));
    }
}
