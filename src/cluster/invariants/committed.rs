//! What is committed in a partition: what a leader has had below its high watermark. It is what the other invariants go by, and
//! no leader's word alone: `high_watermark.rs` asks those in sync whether they have it.

use super::{
    Broken, broken,
    copies::{Copy, Stamp},
};
use crate::types::{LeaderEpoch, Offset};

#[derive(Debug, Default)]
pub(super) struct Committed {
    batches: Vec<Stamp>,
    /// In which epoch each was committed, that is, by whom.
    by: Vec<LeaderEpoch>,
    /// The epoch of the last unclean election: leaders of earlier ones do not count any more.
    since: LeaderEpoch,
    /// Whether what was committed before it is yet to be given up.
    unsettled: bool,
}

impl Committed {
    pub(super) fn batches(&self) -> &[Stamp] {
        &self.batches
    }

    /// What was committed in earlier epochs than this one.
    pub(super) fn before(&self, epoch: LeaderEpoch) -> impl Iterator<Item = &Stamp> {
        self.batches.iter().zip(&self.by).filter(move |(_, by)| **by < epoch).map(|(batch, _)| batch)
    }

    /// The last `count` batches.
    pub(super) fn last(&self, count: usize) -> &[Stamp] {
        self.batches.get(self.batches.len().saturating_sub(count)..).unwrap_or_default()
    }

    fn end(&self) -> Offset {
        self.batches.last().map_or(Offset::ZERO, |last| last.next)
    }

    /// The batch that begins at an offset.
    pub(super) fn at(&self, base: Offset) -> Option<&Stamp> {
        let at = self.batches.binary_search_by_key(&base, |stamp| stamp.base).ok()?;
        self.batches.get(at)
    }

    /// Somebody was elected, in this epoch, who may lack what was committed.
    pub(super) fn forget_from(&mut self, epoch: LeaderEpoch) {
        (self.since, self.unsettled) = (epoch, true);
    }

    /// Whether what a leader of this epoch has was given up by an unclean election.
    pub(super) fn is_given_up(&self, epoch: LeaderEpoch) -> bool {
        epoch < self.since
    }

    /// What whoever was elected uncleanly does not have is given up. `true`: something may be.
    pub(super) fn settle(&mut self, leader: &Copy) -> bool {
        if !std::mem::take(&mut self.unsettled) {
            return false;
        }
        let has = |batch: &&Stamp| batch.next <= leader.view.start || leader.at(batch.base) == Some(*batch);
        let kept = self.batches.iter().take_while(has).count();
        self.batches.truncate(kept);
        self.by.truncate(kept);
        true
    }

    /// Takes in what a leader has below its high watermark; how many batches are new.
    pub(super) fn advance(&mut self, leader: &Copy, name: &dyn Fn() -> String) -> Result<usize, Broken> {
        let (end, reached) = (self.end(), leader.view.high_watermark);
        if reached <= end {
            return Ok(0);
        }
        let first = leader.batches.partition_point(|stamp| stamp.next <= end);
        let last = leader.batches.partition_point(|stamp| stamp.next <= reached);
        let new = leader.batches.get(first..last).unwrap_or_default();
        if let Some(batch) = new.first().filter(|batch| batch.base < end) {
            let what = format_args!("{} has {batch:?} where a committed one ends at {end}", name());
            return Err(broken("leader completeness", what));
        }
        self.batches.extend_from_slice(new);
        self.by.resize(self.batches.len(), leader.view.epoch);
        Ok(new.len())
    }
}
