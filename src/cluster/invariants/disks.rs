//! Nothing acknowledged is given up while fewer than `min_insync_replicas` of those in sync lose what their disks had: only then
//! does the controller, of itself, let somebody lead who may lack it.

use super::{Held, broken};
use crate::{rpc::metadata_record::PartitionState, types::BrokerId};
use std::collections::BTreeMap;

/// Who was in sync, lost power, and has not been in sync again since; and whether it has registered since. What was said before, and is
/// committed only then, may still call it in sync.
#[derive(Debug, Default)]
pub(super) struct Disks(BTreeMap<BrokerId, bool>);

impl Disks {
    pub(super) fn lost_power(&mut self, id: BrokerId, state: &PartitionState) {
        if state.isr.contains(&id) || state.elr.contains(&id) {
            self.0.insert(id, false);
        }
    }

    pub(super) fn registered(&mut self, id: BrokerId) {
        self.0.entry(id).and_modify(|registered| *registered = true);
    }

    /// A leader has found them in sync.
    pub(super) fn joined(&mut self, joined: &[BrokerId]) {
        self.0.retain(|id, registered| !(*registered && joined.contains(id)));
    }

    /// An unclean election: nobody else is left, and enough disks are lost, or somebody has asked for it.
    pub(super) fn check(
        &self,
        name: String,
        needed: usize,
        before: &PartitionState,
        after: &PartitionState,
    ) -> Held {
        let asked_for = !before.isr.is_empty() || !before.elr.is_empty();
        if asked_for || self.0.len() >= needed {
            return Ok(());
        }
        let what = format_args!("{name}: {after:?} gives it up, and only {:?} lost their disks", self.0);
        Err(broken("no acknowledged record lost", what))
    }
}
