//! What an idempotent producer sends is committed without a gap and without a duplicate (rules 22 to 25).

use super::{Held, broken, copies::Stamp};
use std::collections::BTreeMap;

/// By producer: its epoch, and the number of the record that comes next.
#[derive(Debug, Default)]
pub(super) struct Sequences(BTreeMap<i64, (i16, i32)>);

impl Sequences {
    /// These batches are committed, behind those that were.
    pub(super) fn take(&mut self, batches: &[Stamp], name: &dyn Fn() -> String) -> Held {
        batches
            .iter()
            .filter(|batch| batch.producer.0 >= 0 && batch.sequence >= 0)
            .try_for_each(|batch| self.take_one(batch, name))
    }

    fn take_one(&mut self, batch: &Stamp, name: &dyn Fn() -> String) -> Held {
        let (id, epoch) = batch.producer;
        let due = match self.0.get(&id) {
            None => batch.sequence,
            Some((known, next)) if *known == epoch => *next,
            Some((known, _)) if *known < epoch => 0,
            Some((known, _)) => {
                let what = format_args!("{}: {batch:?} comes after epoch {known}", name());
                return Err(broken("sequences", what));
            }
        };
        if batch.sequence != due {
            let what = format_args!("{}: {batch:?} comes where {due} is due", name());
            return Err(broken("sequences", what));
        }
        let count = batch.next.get() - batch.base.get();
        let next = (i64::from(batch.sequence) + count) % (i64::from(i32::MAX) + 1);
        self.0.insert(id, (epoch, next as i32));
        Ok(())
    }
}
