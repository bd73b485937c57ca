//! Who votes: the newest set that the log has, committed or not (KIP-853; Raft, one voter at a time, §4.1 of the dissertation).

use super::{Entry, Index, Part, Payload, Quorum, Snapshot, replication::Progress};
use crate::{
    bugs::{self, Bug},
    rpc::metadata_record::MetadataRecord,
    types::{BrokerId, Instant},
};
use std::collections::BTreeSet;

/// Each set that the log has, with the index of its entry.
#[derive(Debug)]
pub(super) struct Voters {
    /// Those that hold while the log has no other ones.
    first: BTreeSet<BrokerId>,
    /// In the order of the log, from the newest that a snapshot has on.
    sets: Vec<(Index, BTreeSet<BrokerId>)>,
}

/// The last set that records tell of.
fn told(records: &Payload) -> Option<BTreeSet<BrokerId>> {
    records.iter().rev().find_map(|record| match record {
        MetadataRecord::Voters { voters } => Some(voters.clone()),
        _ => None,
    })
}

impl Voters {
    pub(super) fn new(first: BTreeSet<BrokerId>) -> Self {
        Self { first, sets: Vec::new() }
    }

    /// A snapshot is all that there is.
    pub(super) fn begin_with(&mut self, snapshot: &Snapshot) {
        self.sets = told(&snapshot.records).map(|set| (snapshot.position.index, set)).into_iter().collect();
    }

    pub(super) fn append<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) {
        let sets = entries.into_iter().filter_map(|entry| Some((entry.index, told(&entry.payload)?)));
        self.sets.extend(sets);
    }

    pub(super) fn truncate(&mut self, from: Index) {
        self.sets.retain(|(index, _)| *index < from);
    }

    pub(super) fn now(&self) -> &BTreeSet<BrokerId> {
        self.sets.last().map_or(&self.first, |(_, set)| set)
    }

    /// By which entry they vote.
    pub(super) fn since(&self) -> Index {
        self.sets.last().map_or(Index(0), |(index, _)| *index)
    }

    /// Those that held before the newest ones.
    fn before(&self) -> &BTreeSet<BrokerId> {
        self.sets.iter().rev().nth(1).map_or(&self.first, |(_, set)| set)
    }
}

impl Quorum {
    pub(crate) fn voters(&self) -> &BTreeSet<BrokerId> {
        self.voters.now()
    }

    /// The newest set that it knows, and the one before.
    #[cfg(test)]
    pub(super) fn recent_voters(&self) -> Vec<BTreeSet<BrokerId>> {
        vec![self.voters.now().clone(), self.voters.before().clone()]
    }

    /// Whether it has a vote.
    pub(crate) fn votes(&self) -> bool {
        self.voters().contains(&self.id)
    }

    /// Whether this member may have others vote from now on: it leads, knows what is committed, no change before is under way,
    /// it is one voter who comes or goes, and one who comes has the log already.
    pub(crate) fn may_change_voters(&self, to: &BTreeSet<BrokerId>) -> bool {
        let Part::Leader(leadership) = &self.part else { return false };
        let is_settled = leadership.first <= self.commit && self.voters.since() <= self.commit;
        let one = self.voters().symmetric_difference(to).count() == 1;
        let mut new = to.difference(self.voters());
        let has_log = |id: &BrokerId| *id == self.id || leadership.matched(*id) >= leadership.first;
        one && !to.is_empty() && new.all(has_log) && (is_settled || bugs::is(Bug::ChangeVotersUnsettled))
    }

    pub(super) fn change_voters(
        &mut self,
        voters: BTreeSet<BrokerId>,
        now: Instant,
        effects: &mut Vec<super::Effect>,
    ) {
        if self.may_change_voters(&voters) {
            self.propose(vec![[MetadataRecord::Voters { voters }].into()], now, effects);
        }
    }

    /// Whether it may come to lead. Also when its log says that it is no voter any more, as long as that may not be committed:
    /// nobody else may have that entry, and then nobody whose vote counts would be elected over it. Its own does not count.
    fn stands(&self) -> bool {
        let may_be_needed = self.voters.since() > self.commit && self.voters.before().contains(&self.id);
        self.votes() || may_be_needed
    }

    /// What it is while it neither leads nor stands for election.
    pub(super) fn idle(&mut self) {
        self.part = if self.stands() { Part::Follower } else { Part::Observer };
    }

    /// The log may have another set of voters, or one that is committed now. A leader goes on, also if it is none of them any more.
    pub(super) fn voters_changed(&mut self, now: Instant) {
        let next = self.log.last().index.next();
        match &mut self.part {
            Part::Leader(leadership) => {
                for id in self.voters.now().iter().filter(|id| **id != self.id) {
                    leadership.peers.entry(*id).or_insert_with(|| Progress::new(next, now));
                }
            }
            part => {
                let stood = !matches!(part, Part::Observer);
                if stood != self.stands() {
                    self.idle();
                    self.await_leader(now);
                }
            }
        }
    }

    /// A leader that has no vote any more has done all when that is committed.
    pub(super) fn resign_if_removed(&mut self, now: Instant, effects: &mut Vec<super::Effect>) {
        let leads = matches!(self.part, Part::Leader(_));
        if leads && !self.votes() && self.voters.since() <= self.commit {
            self.resign(now, effects);
        }
    }
}
