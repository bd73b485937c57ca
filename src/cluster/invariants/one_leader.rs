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
