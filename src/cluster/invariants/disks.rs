//! Nothing acknowledged is given up while fewer than `min_insync_replicas` of those in sync lose what their disks had: only then
//! does the controller, of itself, let somebody lead who may lack it.

use super::{Held, broken};
use crate::{rpc::metadata_record::PartitionState, types::BrokerId};
use std::collections::BTreeMap;

/// Who has lost power, and has not been in sync again since.
#[derive(Debug, Default)]
pub(super) struct Disks(BTreeMap<BrokerId, Lost>);

/// What is known of one of them.
#[derive(Debug, Clone, Copy, Default)]
struct Lost {
    /// It was in sync.
    was_in_sync: bool,
    /// It has registered since. What was said before, and is committed only then, may still call it in sync.
    registered: bool,
}

impl Disks {
    pub(super) fn lost_power(&mut self, id: BrokerId, state: &PartitionState) {
        let lost = self.0.entry(id).or_default();
        lost.registered = false;
        lost.was_in_sync |= state.isr.contains(&id) || state.elr.contains(&id);
    }

    /// Of one that was not in sync nothing said before counts any more.
    pub(super) fn registered(&mut self, id: BrokerId) {
        self.0.entry(id).and_modify(|lost| lost.registered = true);
        self.0.retain(|_, lost| lost.was_in_sync || !lost.registered);
    }

    /// A leader has found them in sync: since they registered, or before they lost power.
    pub(super) fn joined(&mut self, joined: &[BrokerId]) {
        self.0.retain(|id, lost| !(lost.registered && joined.contains(id)));
        joined.iter().for_each(|id| {
            self.0.entry(*id).and_modify(|lost| lost.was_in_sync = true);
        });
    }

    /// Whether one that was in sync has not come back without what it had.
    fn may_have_everything(&self, id: BrokerId) -> bool {
        self.0.get(&id).is_none_or(|lost| !lost.registered)
    }

    /// An unclean election that nobody has allowed or asked for: nobody else is left who has everything, and enough disks are lost.
    pub(super) fn check(
        &self,
        name: String,
        needed: usize,
        before: &PartitionState,
        after: &PartitionState,
    ) -> Held {
        const NAME: &str = "no acknowledged record lost";
        if before.isr.iter().chain(&before.elr).any(|id| self.may_have_everything(*id)) {
            return Err(broken(
                NAME,
                format_args!("{name}: {after:?} comes where {before:?} waits for others"),
            ));
        }
        if self.0.values().filter(|lost| lost.was_in_sync).count() >= needed {
            return Ok(());
        }
        let what = format_args!("{name}: {after:?} gives it up, and only {:?} lost their disks", self.0);
        Err(broken(NAME, what))
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
        disks.registered(3.into());
        disks.joined(&[3.into()]);
        assert!(!may_give_up(&disks), "and when it is it has everything");
    }

    /// Seed 4001119: the controller had noted it, and nobody could confirm that before all lost power.
    #[test]
    fn who_was_found_in_sync_before_it_lost_power_has_lost_what_it_had_though_that_is_committed_later() {
        let alone = state(Some(2), &[2], &[], 4);
        for before in [&[][..], &[3]] {
            let mut disks = Disks::default();
            for id in before {
                disks.lost_power((*id).into(), &state(Some(2), &[2, 3], &[], 3));
                disks.registered((*id).into());
            }
            [2, 3].into_iter().for_each(|id| disks.lost_power(id.into(), &alone));
            assert!(!may_give_up(&disks) || !before.is_empty());
            disks.joined(&joined(&alone, &state(Some(2), &[2, 3], &[], 4)));
            assert!(may_give_up(&disks), "{before:?}: {disks:?}");
            disks.registered(3.into());
            assert!(may_give_up(&disks));
        }
    }

    #[test]
    fn who_may_come_back_with_everything_is_waited_for_however_many_disks_are_lost() {
        let after = state(Some(3), &[3], &[], 3);
        for before in [state(None, &[1], &[], 2), state(None, &[], &[2], 2)] {
            assert!(lost(&[2, 3]).check("t-0".to_owned(), 2, &before, &after).is_err());
        }
    }

    /// Seed 4063791: as the last one comes back without what it had, the controller lets go of it and elects in one record.
    #[test]
    fn who_has_come_back_without_it_is_not_waited_for() {
        let after = state(Some(1), &[1], &[], 3);
        for before in [state(None, &[2], &[], 2), state(None, &[], &[2], 2)] {
            let may_give_up = |disks: &Disks| disks.check("t-0".to_owned(), 2, &before, &after).is_ok();
            let mut disks = lost(&[2, 3]);
            disks.registered(3.into());
            assert!(!may_give_up(&disks));
            disks.registered(2.into());
            assert!(may_give_up(&disks));
            let mut one = lost(&[2]);
            one.registered(2.into());
            assert!(!may_give_up(&one), "too few disks are lost");
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
