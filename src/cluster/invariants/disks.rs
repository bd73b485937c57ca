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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::invariants::joined;
    use crate::types::{LeaderEpoch, PartitionEpoch};
    use std::collections::BTreeSet;

    fn state(leader: Option<i32>, isr: &[i32], elr: &[i32], epoch: i32) -> PartitionState {
        let set = |ids: &[i32]| ids.iter().map(|id| BrokerId::from(*id)).collect::<BTreeSet<_>>();
        PartitionState {
            replicas: set(&[1, 2, 3]).into_iter().collect(),
            adding: set(&[]),
            removing: set(&[]),
            isr: set(isr),
            elr: set(elr),
            leader: leader.map(BrokerId::from),
            last_known_leader: None,
            leader_epoch: LeaderEpoch(epoch),
            partition_epoch: PartitionEpoch(epoch),
        }
    }

    /// These have lost power while all three were in sync.
    fn lost(ids: &[i32]) -> Disks {
        let mut disks = Disks::default();
        ids.iter().for_each(|id| disks.lost_power((*id).into(), &state(Some(1), &[1, 2], &[3], 1)));
        disks
    }

    /// Somebody is elected where two are to have everything, and nobody is left who has.
    fn may_give_up(disks: &Disks) -> bool {
        let (before, after) = (state(None, &[], &[], 2), state(Some(1), &[1], &[], 3));
        disks.check("t-0".to_owned(), 2, &before, &after).is_ok()
    }

    #[test]
    fn an_unclean_election_is_seen_where_too_few_disks_were_lost() {
        assert!(!may_give_up(&lost(&[])) && !may_give_up(&lost(&[2])));
        assert!(may_give_up(&lost(&[2, 3])), "those of two in sync");
        let mut disks = lost(&[2]);
        disks.lost_power(3.into(), &state(Some(1), &[1, 2], &[], 1));
        assert!(!may_give_up(&disks), "one that was not in sync had nothing to lose");
    }

    #[test]
    fn an_unclean_election_that_was_asked_for_is_fine() {
        let after = state(Some(3), &[3], &[], 3);
        for before in [state(None, &[1], &[], 2), state(None, &[], &[2], 2)] {
            assert!(lost(&[]).check("t-0".to_owned(), 2, &before, &after).is_ok());
        }
    }

    #[test]
    fn who_was_taken_in_sync_again_has_everything_again() {
        let (without, with) = (state(Some(1), &[1], &[], 4), state(Some(1), &[1, 2], &[], 4));
        let mut disks = lost(&[2, 3]);
        disks.joined(&joined(&without, &with));
        assert!(may_give_up(&disks), "it was said before the process after the loss was there");
        disks.registered(2.into());
        disks.joined(&joined(&without, &state(Some(2), &[1, 2], &[], 5)));
        assert!(may_give_up(&disks), "who is elected need not have everything");
        disks.joined(&joined(&without, &with));
        assert!(!may_give_up(&disks));
    }
}
