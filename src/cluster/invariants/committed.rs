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

    /// What whoever was elected uncleanly does not have is given up: what is left that its log reaches back to, if something may be.
    pub(super) fn settle(&mut self, leader: &Copy) -> Option<&[Stamp]> {
        if !std::mem::take(&mut self.unsettled) {
            return None;
        }
        let has = |batch: &&Stamp| batch.next <= leader.view.start || leader.at(batch.base) == Some(*batch);
        let kept = self.batches.iter().take_while(has).count();
        self.batches.truncate(kept);
        self.by.truncate(kept);
        self.batches.get(self.batches.partition_point(|batch| batch.next <= leader.view.start)..)
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

#[cfg(test)]
pub(super) mod tests {
    use super::{super::copies::View, *};
    use crate::record::{Attributes, BatchHeader};

    /// A header of records from `base` up to `next`, exclusive; `crc` stands for what they are.
    pub(in crate::cluster::invariants) fn header(
        (base, next): (i64, i64),
        epoch: i32,
        crc: u32,
    ) -> BatchHeader {
        BatchHeader {
            base_offset: Offset::new(base),
            size: 100,
            leader_epoch: LeaderEpoch(epoch),
            crc,
            attributes: Attributes::default(),
            last_offset_delta: (next - base - 1) as i32,
            base_timestamp: 0,
            max_timestamp: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: (next - base) as i32,
        }
    }

    /// A batch of one record.
    pub(in crate::cluster::invariants) fn stamp(at: i64, epoch: i32, crc: u32) -> Stamp {
        Stamp::of(&header((at, at + 1), epoch, crc))
    }

    /// Who leads in an epoch, with these batches, of which those below `reached` may be read.
    pub(in crate::cluster::invariants) fn leader(epoch: i32, reached: i64, batches: &[Stamp]) -> Copy {
        let end = batches.last().map_or(Offset::ZERO, |last| last.next);
        let (epoch, high_watermark) = (LeaderEpoch(epoch), Offset::new(reached));
        let view = View { leads: true, epoch, high_watermark, end, ..View::default() };
        Copy { view, batches: batches.to_vec(), ..Copy::default() }
    }

    /// What such a leader has committed.
    pub(in crate::cluster::invariants) fn by(leader: &Copy) -> Committed {
        let mut committed = Committed::default();
        committed.advance(leader, &String::new).expect("nothing was committed before");
        committed
    }

    #[test]
    fn what_is_below_a_leaders_high_watermark_is_committed_and_what_is_above_is_not() {
        let mut committed = by(&leader(1, 2, &[stamp(0, 1, 7), stamp(1, 1, 8), stamp(2, 1, 9)]));
        assert_eq!(committed.batches(), [stamp(0, 1, 7), stamp(1, 1, 8)]);
        // Another one has something else there.
        let other = leader(2, 3, &[stamp(0, 1, 7), stamp(1, 1, 8), stamp(2, 2, 5)]);
        assert_eq!(committed.advance(&other, &String::new).expect("it goes on"), 1);
        assert_eq!(committed.at(Offset::new(2)), Some(&stamp(2, 2, 5)));
        assert_eq!(committed.before(LeaderEpoch(2)).count(), 2);
    }

    #[test]
    fn a_batch_that_reaches_over_the_end_of_what_is_committed_is_seen() {
        let mut committed = by(&leader(1, 2, &[stamp(0, 1, 7), stamp(1, 1, 8)]));
        let wide = Stamp::of(&header((1, 3), 2, 9));
        let broken = committed.advance(&leader(2, 3, &[stamp(0, 1, 7), wide]), &String::new);
        assert_eq!(broken.expect_err("it is another one").invariant, "leader completeness");
    }

    #[test]
    fn an_unclean_leader_gives_up_what_it_lacks_and_nothing_else() {
        let mut committed = by(&leader(1, 2, &[stamp(0, 1, 7), stamp(1, 1, 8)]));
        let unclean = leader(3, 0, &[stamp(0, 1, 7), stamp(1, 3, 9)]);
        assert_eq!(committed.settle(&unclean), None, "nobody has said that it is one");
        committed.forget_from(LeaderEpoch(3));
        assert!(committed.is_given_up(LeaderEpoch(2)) && !committed.is_given_up(LeaderEpoch(3)));
        assert_eq!(committed.settle(&unclean), Some(&[stamp(0, 1, 7)][..]));
        assert_eq!(committed.settle(&unclean), None, "once");
        assert_eq!(committed.batches(), [stamp(0, 1, 7)]);
    }

    /// Seed 4055510: it had begun behind records that were deleted, and lost the rest. It knew no producer.
    #[test]
    fn what_lies_below_the_log_of_an_unclean_leader_is_kept_and_nothing_that_it_goes_by() {
        let mut committed = by(&leader(1, 2, &[stamp(0, 1, 7), stamp(1, 1, 8)]));
        let mut unclean = leader(3, 1, &[]);
        unclean.view.start = Offset::new(1);
        committed.forget_from(LeaderEpoch(3));
        assert_eq!(committed.settle(&unclean), Some(&[][..]));
        assert_eq!(committed.batches(), [stamp(0, 1, 7)]);
    }
}
