//! Who leads a partition, and who is in sync, when something about it has changed. (Kafka: `PartitionChangeBuilder`)

use crate::{
    bugs::{self, Bug},
    rpc::metadata_record::PartitionState,
    types::{BrokerId, LeaderEpoch, PartitionEpoch},
};
use std::collections::BTreeSet;

/// Whom to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Election {
    /// Whoever leads goes on if it may.
    Online,
    /// The first replica, if it may; else as above.
    Preferred,
    /// Where nobody may lead, whoever is there.
    Unclean,
}

/// Who is to have a partition: see [`PartitionState`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Assignment {
    pub(super) replicas: Vec<BrokerId>,
    pub(super) adding: BTreeSet<BrokerId>,
    pub(super) removing: BTreeSet<BrokerId>,
}

/// What has changed about a partition.
pub(super) struct Change<'a> {
    pub(super) before: &'a PartitionState,
    /// Who is to have it, where that is somebody else.
    pub(super) assignment: Option<Assignment>,
    /// Who is to be in sync.
    pub(super) isr: BTreeSet<BrokerId>,
    /// Who has not got any more what it had.
    pub(super) lost: Option<BrokerId>,
    pub(super) election: Election,
    /// The topic's settings.
    pub(super) min_insync_replicas: usize,
    pub(super) unclean_allowed: bool,
    /// Whether a broker may lead.
    pub(super) is_active: &'a dyn Fn(BrokerId) -> bool,
}

/// Who leads, and by which right.
enum Leader {
    InSync(BrokerId),
    Eligible(BrokerId),
    /// It may lack what was acknowledged, so that it is the only one in sync.
    Unclean(BrokerId),
    Nobody,
}

impl Change<'_> {
    /// How the partition is then; `None`: as it was.
    pub(super) fn apply(self) -> Option<PartitionState> {
        let before = self.before;
        let mut after = before.clone();
        if let Some(Assignment { replicas, adding, removing }) = &self.assignment {
            (after.replicas, after.adding) = (replicas.clone(), adding.clone());
            after.removing.clone_from(removing);
        }
        after.isr = self.in_sync(&after.replicas);
        self.complete(&mut after);
        after.elr = self.eligible(&after);
        match self.elect(&after) {
            Leader::InSync(leader) => after.leader = Some(leader),
            Leader::Eligible(leader) => {
                // Nobody in sync is there. They have all that was acknowledged, as it has.
                after.isr = [leader].into();
                after.elr = self.eligible(&after);
                after.leader = Some(leader);
            }
            Leader::Unclean(leader) => {
                (after.isr, after.elr) = ([leader].into(), BTreeSet::new());
                after.leader = Some(leader);
            }
            Leader::Nobody => after.leader = None,
        }
        after.last_known_leader = match after.leader {
            Some(_) => None,
            None => before.leader.or(before.last_known_leader),
        };
        if after == *before {
            return None;
        }
        // Who has it no more is fenced, so that it cannot be taken for one that has.
        let is_gone = |broker: &BrokerId| !after.replicas.contains(broker);
        if after.leader != before.leader || before.replicas.iter().any(is_gone) {
            after.leader_epoch = LeaderEpoch(before.leader_epoch.0 + 1);
        }
        after.partition_epoch = PartitionEpoch(before.partition_epoch.0 + 1);
        Some(after)
    }

    fn has_not_lost(&self, broker: &BrokerId) -> bool {
        self.lost != Some(*broker)
    }

    /// The last one stays, so that it is known who had everything.
    fn in_sync(&self, replicas: &[BrokerId]) -> BTreeSet<BrokerId> {
        let all_of = |isr: &BTreeSet<BrokerId>| -> BTreeSet<BrokerId> {
            let stays = |broker: &BrokerId| self.has_not_lost(broker) && replicas.contains(broker);
            isr.iter().copied().filter(stays).collect()
        };
        let isr = all_of(&self.isr);
        if isr.is_empty() { all_of(&self.before.isr) } else { isr }
    }

    /// A reassignment has come to its end when all that it adds are in sync (KIP-455), and of those who stay so many as the topic wants
    /// to have what is acknowledged: else the others alone may have it.
    fn complete(&self, after: &mut PartitionState) {
        if !after.is_reassigning() {
            return;
        }
        let target = after.target();
        let stays: BTreeSet<BrokerId> = after.isr.difference(&after.removing).copied().collect();
        let mut come = after.adding.difference(&after.removing);
        let early = bugs::is(Bug::RemoveReplicasEarly);
        let have_all = come.all(|broker| after.isr.contains(broker))
            && stays.len() >= self.min_insync_replicas.min(target.len());
        if (have_all || early) && stays.iter().any(|broker| (self.is_active)(*broker)) {
            after.replicas = target;
            after.isr = stays;
            after.adding.clear();
            after.removing.clear();
        }
    }

    /// Who has all that was acknowledged without being in sync: while fewer than the topic's minimum are in sync, nothing more
    /// is, so whoever left then, or by leaving made it so, has it.
    fn eligible(&self, after: &PartitionState) -> BTreeSet<BrokerId> {
        if after.isr.len() >= self.min_insync_replicas.min(after.replicas.len()) {
            return BTreeSet::new();
        }
        let had_all = self.before.elr.iter().chain(&self.before.isr).copied();
        let is_one = |broker: &BrokerId| {
            self.has_not_lost(broker) && !after.isr.contains(broker) && after.replicas.contains(broker)
        };
        had_all.filter(is_one).collect()
    }

    fn elect(&self, with: &PartitionState) -> Leader {
        let is_active = |broker: &BrokerId| (self.is_active)(*broker);
        let any_may = bugs::is(Bug::PreferOutOfSync) && self.election == Election::Preferred;
        let may_lead = |broker: &BrokerId| (with.isr.contains(broker) || any_may) && is_active(broker);
        let preferred = with.replicas.first().filter(|_| self.election == Election::Preferred);
        let in_order = preferred.into_iter().chain(&self.before.leader).chain(&with.replicas);
        if let Some(leader) = in_order.copied().find(may_lead) {
            return Leader::InSync(leader);
        }
        let replicas = with.replicas.iter().copied().filter(is_active);
        if let Some(leader) = replicas.clone().find(|broker| with.elr.contains(broker)) {
            return Leader::Eligible(leader);
        }
        // All who had everything have lost it. Of those who are left, the last leader lacks the least.
        let last = self.before.leader.or(self.before.last_known_leader);
        if with.isr.is_empty()
            && with.elr.is_empty()
            && let Some(leader) = last.filter(|last| with.replicas.contains(last) && is_active(last))
        {
            return Leader::Unclean(leader);
        }
        let unclean = self.unclean_allowed || self.election == Election::Unclean;
        // One that has only begun to copy has the least.
        let (mut new, mut old): (Vec<_>, Vec<_>) = replicas.partition(|broker| with.adding.contains(broker));
        old.append(&mut new);
        old.first().copied().filter(|_| unclean).map_or(Leader::Nobody, Leader::Unclean)
    }
}
