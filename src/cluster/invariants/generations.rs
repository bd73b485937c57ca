//! A group's generation does not go back once its members have their parts in it, with whatever coordinator; and who commits for a
//! generation that is over is refused.

use super::{Held, broken};
use crate::{
    group::Group,
    types::{Generation, GroupState, LeaderEpoch},
};
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Generations {
    /// The last one that was stable, and the epoch of the coordinator that has shown it.
    last: Option<(LeaderEpoch, Generation)>,
    /// Commits for a generation that was over when they came.
    fenced: BTreeSet<u64>,
}

impl Generations {
    /// Somebody commits, as a member in this generation, or from outside.
    pub(super) fn asked(&mut self, id: u64, generation: Option<Generation>) {
        let is_over = |generation| self.last.is_some_and(|(_, last)| generation < last);
        if generation.is_some_and(is_over) {
            self.fenced.insert(id);
        }
    }

    pub(super) fn done(&mut self, id: u64, group: &str) -> Held {
        if !self.fenced.contains(&id) {
            return Ok(());
        }
        let what = format_args!("{group}: a commit is taken of a generation before {:?}", self.last);
        Err(broken("fenced generations commit nothing", what))
    }

    /// A coordinator, in this epoch, has this of the group; `None`: there is no group, and the next one of its name begins anew.
    pub(super) fn look(&mut self, name: &str, epoch: LeaderEpoch, group: Option<&Group>) -> Held {
        self.shown(name, epoch, group.map(|group| (group.generation(), group.state())))
    }

    fn shown(&mut self, name: &str, epoch: LeaderEpoch, shown: Option<(Generation, GroupState)>) -> Held {
        if self.last.is_some_and(|(known, _)| epoch < known) {
            return Ok(());
        }
        let Some((generation, state)) = shown else {
            (self.last, self.fenced) = (None, BTreeSet::new());
            return Ok(());
        };
        if let Some((_, last)) = self.last.filter(|(_, last)| generation < *last) {
            let what = format_args!("{name} is in {generation:?} after {last:?}, in epoch {epoch}");
            return Err(broken("generations go on", what));
        }
        if state == GroupState::Stable {
            self.last = Some((epoch, generation));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STABLE: GroupState = GroupState::Stable;

    fn shown(generations: &mut Generations, epoch: i32, generation: i32, state: GroupState) -> bool {
        generations.shown("g", LeaderEpoch(epoch), Some((Generation(generation), state))).is_ok()
    }

    #[test]
    fn what_was_stable_is_not_undone_by_the_next_coordinator() {
        let mut generations = Generations::default();
        assert!(shown(&mut generations, 1, 4, STABLE));
        assert!(shown(&mut generations, 1, 5, GroupState::PreparingRebalance));
        assert!(shown(&mut generations, 2, 4, STABLE), "5 was never in the log");
        assert!(shown(&mut generations, 1, 3, STABLE), "an old coordinator may not know");
        assert!(!shown(&mut generations, 2, 3, GroupState::Empty));
    }

    #[test]
    fn who_was_left_behind_commits_nothing() {
        let mut generations = Generations::default();
        assert!(shown(&mut generations, 1, 4, STABLE));
        generations.asked(1, Some(Generation(4)));
        generations.asked(2, Some(Generation(3)));
        generations.asked(3, None);
        assert!(generations.done(1, "g").is_ok() && generations.done(3, "g").is_ok());
        assert!(generations.done(2, "g").is_err());
        generations.shown("g", LeaderEpoch(1), None).unwrap();
        assert!(shown(&mut generations, 1, 1, STABLE), "a new group");
    }
}
