//! One broker leads a partition in an epoch.

use super::{Held, Key, broken};
use crate::types::{BrokerId, LeaderEpoch};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Leaders(BTreeMap<(Key, LeaderEpoch), BrokerId>);

impl Leaders {
    /// The broker leads a partition in that epoch.
    pub(super) fn look(
        &mut self,
        key: Key,
        epoch: LeaderEpoch,
        id: BrokerId,
        name: &dyn Fn() -> String,
    ) -> Held {
        match *self.0.entry((key, epoch)).or_insert(id) {
            first if first == id => Ok(()),
            first => Err(broken(
                "one leader per epoch",
                format_args!("{} leads in epoch {epoch}, as broker {first} does", name()),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;

    #[test]
    fn two_leaders_in_one_epoch_are_seen_and_those_of_two_epochs_are_fine() {
        let mut leaders = Leaders::default();
        let mut leads = |partition, epoch, id: i32| {
            let key = (TopicId::from_bytes([1; 16]), partition);
            leaders.look(key, LeaderEpoch(epoch), id.into(), &String::new).is_ok()
        };
        assert!(leads(0, 1, 1) && leads(0, 2, 2));
        assert!(leads(0, 1, 1), "one that has not heard of the other yet");
        assert!(leads(1, 1, 2), "of another partition");
        assert!(!leads(0, 1, 2) && !leads(0, 2, 3));
    }
}
