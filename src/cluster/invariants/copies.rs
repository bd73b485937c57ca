//! What is known of the copies of a partition: where each ends, and its batches.

use super::{Broken, broken};
use crate::{
    node::CopyView,
    record::BatchHeader,
    types::{BrokerId, LeaderEpoch, Offset},
};
use std::collections::BTreeSet;

/// A batch, without its records: its checksum stands for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) base: Offset,
    /// The next batch's offset.
    pub(super) next: Offset,
    pub(super) epoch: LeaderEpoch,
    crc: u32,
    size: usize,
    pub(super) producer: (i64, i16),
    pub(super) sequence: i32,
}

impl Stamp {
    pub(super) fn of(header: &BatchHeader) -> Self {
        Self {
            base: header.base_offset,
            next: header.next_offset(),
            epoch: header.leader_epoch,
            crc: header.crc,
            size: header.size,
            producer: (header.producer_id, header.producer_epoch),
            sequence: header.base_sequence,
        }
    }
}

/// How a copy was when it was looked at last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) leads: bool,
    pub(super) epoch: LeaderEpoch,
    pub(super) isr: BTreeSet<BrokerId>,
    pub(super) high_watermark: Offset,
    pub(super) start: Offset,
    pub(super) end: Offset,
}

impl View {
    pub(super) fn of(now: &CopyView<'_>) -> Self {
        Self {
            leads: now.leads,
            epoch: now.epoch,
            isr: now.isr.cloned().unwrap_or_default(),
            high_watermark: now.high_watermark,
            start: now.start,
            end: now.end,
        }
    }
}

/// A broker's copy of a partition, whether the broker runs or not.
#[derive(Debug, Default)]
pub(super) struct Copy {
    pub(super) incarnation: u64,
    pub(super) view: View,
    /// In order, without gaps between them but where a cleaner was.
    pub(super) batches: Vec<Stamp>,
    /// Whether it may lack what it had: its machine's power went, or it was removed since the partition was to be elsewhere.
    pub(super) loss: Loss,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Loss {
    #[default]
    None,
    /// Who was told before that it is in sync may count on what it had.
    Fresh,
    /// Who finds it in sync from now on has looked at what it has.
    Known,
}

/// What has become of a copy.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// It leads, and did not in this epoch and process.
    pub(super) elected: bool,
    /// Batches were cut off its end.
    pub(super) cut: bool,
    /// It was read from its disk by a new process.
    pub(super) anew: bool,
    /// How many batches at its end are new.
    pub(super) new: usize,
}

impl Copy {
    /// There is none any more. A leader that has not heard of that may count on what it had; after a loss of power as long as of any
    /// other.
    pub(super) fn remove(&mut self) {
        let loss = if self.loss == Loss::Fresh { Loss::Fresh } else { Loss::Known };
        *self = Self { loss, ..Self::default() };
    }

    pub(super) fn lose(&mut self) {
        self.loss = Loss::Fresh;
    }

    pub(super) fn has_lost(&self) -> bool {
        self.loss != Loss::None
    }

    /// Its broker has registered.
    pub(super) fn registered(&mut self) {
        if self.loss == Loss::Fresh {
            self.loss = Loss::Known;
        }
    }

    /// Its leader has found it in sync again.
    pub(super) fn joined(&mut self) {
        if self.loss == Loss::Known {
            self.loss = Loss::None;
        }
    }

    /// Whether nothing has changed.
    pub(super) fn is_as(&self, incarnation: u64, now: &CopyView<'_>) -> bool {
        let View { leads, epoch, isr, high_watermark, start, end } = &self.view;
        self.incarnation == incarnation
            && (*leads, *epoch, *high_watermark, *start, *end)
                == (now.leads, now.epoch, now.high_watermark, now.start, now.end)
            && now.isr.is_none_or(|now| now == isr)
    }

    pub(super) fn end(&self) -> Offset {
        self.batches.last().map_or(self.view.start, |last| last.next)
    }

    /// The batch that begins at an offset.
    pub(super) fn at(&self, base: Offset) -> Option<&Stamp> {
        let at = self.batches.binary_search_by_key(&base, |stamp| stamp.base).ok()?;
        self.batches.get(at)
    }

    /// Takes in how it is now, and what its log has.
    pub(super) fn update(
        &mut self,
        incarnation: u64,
        now: View,
        log: &mut CopyView<'_>,
        name: &dyn Fn() -> String,
    ) -> Result<Change, Broken> {
        let mut change = Change { anew: self.incarnation != incarnation, ..Change::default() };
        if change.anew || now.start > self.end() {
            self.batches.clear();
        }
        change.elected = now.leads && (change.anew || !self.view.leads || self.view.epoch != now.epoch);
        self.cut(&mut change, &now, name)?;
        let known = if self.batches.is_empty() { now.start } else { self.end() };
        let before = self.batches.len();
        let batches = &mut self.batches;
        // What a disk refuses its broker finds out.
        let _ = log.batches(known, |batch| batches.push(Stamp::of(batch.header())));
        change.new = self.batches.len().saturating_sub(before);
        let gone = self.batches.partition_point(|stamp| stamp.next <= now.start);
        self.batches.drain(..gone);
        change.new = change.new.min(self.batches.len());
        self.incarnation = incarnation;
        self.view = now;
        Ok(change)
    }

    fn cut(&mut self, change: &mut Change, now: &View, name: &dyn Fn() -> String) -> Result<(), Broken> {
        if change.anew || now.end >= self.view.end {
            return Ok(());
        }
        if now.leads && !change.elected {
            let (from, to) = (self.view.end, now.end);
            return Err(broken(
                "log matching",
                format_args!("{} leads, and is cut from {from} to {to}", name()),
            ));
        }
        change.cut = true;
        let left = self.batches.partition_point(|stamp| stamp.next <= now.end);
        self.batches.truncate(left);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::committed::tests::*, *};

    #[test]
    fn who_leads_is_not_cut_and_who_follows_or_begins_to_lead_may_be() {
        let batches = [stamp(0, 1, 7), stamp(1, 1, 8)];
        for (leads, elected) in [(true, false), (true, true), (false, false)] {
            let mut copy = leader(1, 2, &batches);
            let now = View { leads, end: Offset::new(1), ..copy.view.clone() };
            let mut change = Change { elected, ..Change::default() };
            let cut = copy.cut(&mut change, &now, &String::new);
            assert_eq!(cut.is_err(), leads && !elected);
            assert_eq!(change.cut, cut.is_ok());
            assert_eq!(copy.batches, batches[..if cut.is_ok() { 1 } else { 2 }]);
        }
    }
}
