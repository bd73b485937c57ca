//! The brokers' metadata logs match: an entry of one index and term is the same everywhere, and so is the one before it; and
//! what is committed at an index is the same everywhere, and for good.

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
    /// The term of each committed entry, from index 1 on.
    committed: Vec<u64>,
}

/// What is known of a broker's log.
#[derive(Debug, Default)]
struct Known {
    incarnation: u64,
    /// The term of each entry, from index 1 on.
    terms: Vec<u64>,
    commit: u64,
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
        let (last, commit) = (quorum.last(), quorum.commit().0);
        if known.terms.len() as u64 != last.index.0 || known.terms.last() != Some(&last.term.0) {
            let term = |index: u64| quorum.entry(Index(index)).map(|entry| entry.term.0);
            let mut same = known.terms.len().min(last.index.0 as usize);
            while same > 0 && known.terms.get(same - 1).copied() != term(same as u64) {
                same -= 1;
            }
            known.terms.truncate(same);
            for index in same as u64 + 1..=last.index.0 {
                let Some(entry) = quorum.entry(Index(index)) else { break };
                self.note(id, entry, known.terms.last().copied().unwrap_or(0))?;
                known.terms.push(entry.term.0);
            }
        }
        for index in known.commit as usize..commit as usize {
            let Some(term) = known.terms.get(index).copied() else { break };
            match self.committed.get(index) {
                None => self.committed.push(term),
                Some(there) if *there == term => {}
                Some(there) => {
                    let what =
                        format_args!("broker {id} commits {} of term {term}, another one {there}", index + 1);
                    return Err(broken(NAME, what));
                }
            }
        }
        known.commit = known.commit.max(commit);
        Ok(())
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
