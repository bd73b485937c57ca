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

#[cfg(test)]
mod tests {
    use super::{super::committed::tests::header, *};
    use crate::record::BatchHeader;

    /// A batch of so many records of a producer.
    fn batch(producer: (i64, i16), sequence: i32, count: i64) -> Stamp {
        let (producer_id, producer_epoch) = producer;
        let header = header((0, count), 1, 7);
        Stamp::of(&BatchHeader { producer_id, producer_epoch, base_sequence: sequence, ..header })
    }

    fn take(batches: &[Stamp]) -> bool {
        Sequences::default().take(batches, &String::new).is_ok()
    }

    #[test]
    fn a_gap_and_a_duplicate_are_seen() {
        let (first, second) = (batch((1, 0), 0, 3), batch((1, 0), 3, 1));
        assert!(take(&[first, second, batch((1, 0), 4, 1)]));
        assert!(!take(&[first, first]), "the same once more");
        assert!(!take(&[first, second, batch((1, 0), 3, 2)]), "a part of it once more");
        assert!(!take(&[first, batch((1, 0), 4, 1)]), "one is missing");
        assert!(!take(&[second, first]));
        // Each producer counts for itself, and what is of none does not count.
        assert!(take(&[first, batch((2, 0), 0, 1), batch((-1, -1), -1, 1), second, batch((2, 0), 1, 1)]));
    }

    #[test]
    fn an_epoch_begins_at_0_and_none_comes_back() {
        let (first, other) = (batch((1, 0), 0, 3), batch((1, 1), 0, 1));
        assert!(take(&[first, other, batch((1, 1), 1, 1)]));
        assert!(!take(&[first, batch((1, 1), 3, 1)]));
        assert!(!take(&[first, other, batch((1, 0), 3, 1)]));
        assert!(take(&[batch((1, 4), 9, 1), batch((1, 4), 10, 1)]), "what came before may be deleted");
    }

    #[test]
    fn numbers_go_on_with_0_after_the_greatest() {
        let last = batch((1, 0), i32::MAX - 1, 3);
        assert!(take(&[last, batch((1, 0), 1, 1)]) && !take(&[last, batch((1, 0), 2, 1)]));
    }
}
