//! The copies that a broker has, looked at from outside: by who checks that a cluster keeps its promises.

use super::Role;
use crate::{
    error::Result,
    log::Log,
    node::Node,
    record::Batch,
    types::{BrokerId, LeaderEpoch, Offset, TopicId},
};
use std::collections::BTreeSet;

/// How a copy of a partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplicaView {
    pub(crate) leads: bool,
    pub(crate) epoch: LeaderEpoch,
    /// As its leader knows it; empty elsewhere.
    pub(crate) isr: BTreeSet<BrokerId>,
    pub(crate) high_watermark: Offset,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
}

/// A copy of a partition under its lock.
#[derive(Debug)]
pub(crate) struct CopyView<'a> {
    pub(crate) leads: bool,
    pub(crate) epoch: LeaderEpoch,
    /// As its leader knows it.
    pub(crate) isr: Option<&'a BTreeSet<BrokerId>>,
    pub(crate) high_watermark: Offset,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    log: &'a mut Log,
}

impl CopyView<'_> {
    /// Gives the batches from `from` on, one after the other.
    ///
    /// # Errors
    /// The disk's, and that of a log which is damaged.
    pub(crate) fn batches(&mut self, from: Offset, mut each: impl FnMut(Batch<'_>)) -> Result<()> {
        let mut next = from.max(self.start);
        while next < self.end {
            let before = next;
            let bytes = self.log.read(next, self.end, usize::MAX, true)?;
            let mut rest: &[u8] = &bytes;
            while let Some(batch) = Batch::unchecked(rest) {
                let (size, behind) = (batch.header().size, batch.header().next_offset());
                if behind > next {
                    next = behind;
                    each(batch);
                }
                rest = rest.get(size..).unwrap_or_default();
            }
            if next == before {
                break;
            }
        }
        Ok(())
    }
}

impl Node {
    /// How many batches of producers were in the log already when they came.
    pub(crate) fn duplicates(&self) -> u64 {
        self.requests.duplicates.get()
    }

    /// Has a look at each copy here that has a log. Nothing of the broker may be asked meanwhile.
    pub(crate) fn look_at_copies(&self, mut look: impl FnMut((TopicId, i32), CopyView<'_>)) {
        let topics = self.topics.read();
        for partition in topics.partitions() {
            let mut state = partition.lock();
            let (role, log) = state.role_and_log();
            let Some(log) = log else { continue };
            let isr = if let Role::Leader(leader) = role { Some(leader.isr()) } else { None };
            let view = CopyView {
                leads: isr.is_some(),
                epoch: role.epoch(),
                isr,
                high_watermark: partition.high_watermark(log),
                start: log.start(),
                end: log.end(),
                log,
            };
            look((partition.topic_id, partition.name().partition()), view);
        }
    }

    /// Has a look at one copy; `None` where there is no log.
    pub(crate) fn view(&self, of: (TopicId, i32)) -> Option<ReplicaView> {
        let mut found = None;
        self.look_at_copies(|at, view| {
            if at == of {
                let CopyView { leads, epoch, isr, high_watermark, start, end, .. } = view;
                let isr = isr.cloned().unwrap_or_default();
                found = Some(ReplicaView { leads, epoch, isr, high_watermark, start, end });
            }
        });
        found
    }

    /// The batches of a copy from `from` on, byte for byte.
    ///
    /// # Errors
    /// The disk's, and that of a log which is damaged.
    pub(crate) fn batches(&self, of: (TopicId, i32), from: Offset) -> Result<Vec<u8>> {
        let (mut bytes, mut done) = (Vec::new(), Ok(()));
        self.look_at_copies(|at, mut view| {
            if at == of {
                done = view.batches(from, |batch| bytes.extend_from_slice(batch.bytes()));
            }
        });
        done.map(|()| bytes)
    }
}
