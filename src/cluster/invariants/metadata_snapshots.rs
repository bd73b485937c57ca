//! A snapshot of the metadata is what the committed entries up to its position make: no more, and no less.

use super::{Held, broken};
use crate::{
    controller::{
        Image,
        quorum::{Payload, Position, Snapshot},
    },
    types::BrokerId,
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Debug, Default)]
pub(super) struct Snapshots {
    /// What is committed, by index.
    entries: BTreeMap<u64, Payload>,
    /// What the entries up to an index make.
    made: (u64, Image),
    /// The last one that was looked at, of each broker.
    known: BTreeMap<BrokerId, Position>,
}

impl Snapshots {
    /// An entry is committed.
    pub(super) fn applied(&mut self, index: u64, payload: &Payload) {
        self.entries.insert(index, Arc::clone(payload));
    }

    /// A broker's newest one.
    pub(super) fn look(&mut self, id: BrokerId, snapshot: &Snapshot) -> Held {
        let Position { index, term } = snapshot.position;
        let before = self.known.insert(id, snapshot.position).unwrap_or_default();
        if before == snapshot.position || !self.make(index.0) {
            return Ok(());
        }
        let (held, made) = (Image::of(&snapshot.records), &self.made.1);
        if held == *made {
            return Ok(());
        }
        let what = format_args!("broker {id} has {held:?} at {index} of term {term}, not {made:?}");
        Err(broken("a snapshot is what was committed", what))
    }

    /// Makes of the entries what they are up to this one, if all of them are known.
    fn make(&mut self, index: u64) -> bool {
        if self.made.0 > index {
            self.made = (0, Image::default());
        }
        while self.made.0 < index {
            let Some(payload) = self.entries.get(&(self.made.0 + 1)) else { return false };
            payload.iter().for_each(|record| self.made.1.apply(record));
            self.made.0 += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        controller::quorum::{Index, Term},
        rpc::metadata_record::MetadataRecord,
    };

    /// A record that says so many things are gone: another one for each number.
    fn entry(next: i64) -> Payload {
        [MetadataRecord::ProducerIds { next }].into()
    }

    /// Whether a snapshot at an index, of these records, is one where entries 1 to 3 are committed.
    fn holds(index: u64, records: Payload) -> bool {
        let mut snapshots = Snapshots::default();
        (1..=3).for_each(|index| snapshots.applied(index, &entry(10 * index as i64)));
        let position = Position { term: Term(1), index: Index(index) };
        snapshots.look(1.into(), &Snapshot { position, records }).is_ok()
    }

    #[test]
    fn a_snapshot_that_has_less_or_more_than_was_committed_is_seen() {
        assert!(holds(2, entry(20)) && holds(3, entry(30)));
        assert!(!holds(2, entry(10)), "it lacks an entry");
        assert!(!holds(2, entry(30)), "it has one that comes later");
        assert!(!holds(2, Arc::default()));
        assert!(holds(9, entry(1)), "what is committed there nobody has seen");
    }
}
