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
