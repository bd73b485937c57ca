//! Two copies that have a batch of one epoch at one offset have the same batch there, and the same ones before it.

use super::{
    Held, broken,
    copies::{Change, Copy, Stamp},
};
use crate::types::{LeaderEpoch, Offset};
use std::collections::BTreeMap;

/// All batches that there ever were in a partition, each with the one before it, if that was ever seen.
#[derive(Debug, Default)]
pub(super) struct Batches(BTreeMap<(Offset, LeaderEpoch), (Stamp, Option<Stamp>)>);

impl Batches {
    /// A copy has changed.
    pub(super) fn look(&mut self, copy: &Copy, change: &Change, name: &dyn Fn() -> String) -> Held {
        let first = copy.batches.len().saturating_sub(change.new);
        let mut before = first.checked_sub(1).and_then(|last| copy.batches.get(last)).copied();
        for batch in copy.batches.get(first..).unwrap_or_default() {
            self.note(batch, before, name)?;
            before = Some(*batch);
        }
        Ok(())
    }

    fn note(&mut self, batch: &Stamp, before: Option<Stamp>, name: &dyn Fn() -> String) -> Held {
        let (there, behind) = self.0.entry((batch.base, batch.epoch)).or_insert((*batch, before));
        if there != batch {
            let what = format_args!("{} has {batch:?}, where another copy has {there:?}", name());
            return Err(broken("log matching", what));
        }
        match (*behind, before) {
            (Some(there), Some(here)) if there != here => {
                let at = (batch.base, batch.epoch);
                let what = format_args!("{} has {here:?} before {at:?}, another copy {there:?}", name());
                Err(broken("log matching", what))
            }
            (None, Some(_)) => {
                *behind = before;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::committed::tests::{leader, stamp},
        *,
    };

    /// A copy that has got these batches, the last `new` of them just now.
    fn look(batches: &mut Batches, copy: &[Stamp], new: usize) -> bool {
        batches.look(&leader(1, 0, copy), &Change { new, ..Change::default() }, &String::new).is_ok()
    }

    #[test]
    fn two_batches_of_one_epoch_at_one_offset_are_seen() {
        let (a, b, mut batches) = (stamp(0, 1, 7), stamp(1, 1, 8), Batches::default());
        assert!(look(&mut batches, &[a, b], 2) && look(&mut batches, &[a], 1));
        assert!(
            look(&mut batches, &[a, stamp(1, 2, 9)], 1),
            "logs that parted are of different epochs there"
        );
        assert!(!look(&mut batches, &[a, stamp(1, 1, 9)], 1));
    }

    #[test]
    fn one_batch_behind_two_others_is_seen() {
        let (a, b, c, mut batches) = (stamp(0, 1, 7), stamp(1, 1, 8), stamp(2, 3, 9), Batches::default());
        assert!(look(&mut batches, &[a, b, c], 3));
        assert!(look(&mut batches, &[c], 1), "one whose log begins there does not know what was before");
        assert!(!look(&mut batches, &[a, stamp(1, 2, 5), c], 2));
    }

    #[test]
    fn what_was_before_may_turn_out_later() {
        let (b, c, mut batches) = (stamp(1, 1, 8), stamp(2, 3, 9), Batches::default());
        assert!(look(&mut batches, &[c], 1) && look(&mut batches, &[b, c], 2));
        assert!(!look(&mut batches, &[stamp(1, 2, 5), c], 2));
    }
}
