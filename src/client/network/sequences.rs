//! A client's idempotent producer: a pure state machine of the id that it gets, and of its batches, partition by partition
//! (`lane.rs`). What happens goes in, with the time; what is to be done comes out.
//!
//! Each partition has an epoch of its own: its leader is the only one who compares them. So what fails in one partition is
//! nothing to the others.

use super::lane::{BACKOFF, Batch, Lane};
use crate::{
    error::Result,
    rpc::ProduceResponse,
    types::{Instant, TopicId},
};
use std::collections::BTreeMap;

/// A batch of the client's, of whatever partition.
pub(super) type BatchId = u64;

pub(super) type PartitionId = (TopicId, i32);

/// What a batch carries so that its leader knows it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    pub(super) sequence: i32,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Act {
    /// A batch is to be sent to its partition's leader, once. After `deadline` there is no other try.
    Send { batch: BatchId, attempt: u32, stamp: Stamp, deadline: Instant },
    /// A batch is there, or is given up.
    Answer { batch: BatchId, answer: Result<ProduceResponse> },
    /// A broker is to be asked for a producer id.
    WantId,
    /// The partition is to be [woken](Sequences::wake) then.
    Wake { partition: PartitionId, at: Instant },
}

#[derive(Debug, Default)]
pub(super) struct Sequences {
    lanes: BTreeMap<PartitionId, (Lane, Woken)>,
    count: BatchId,
    /// The newest id.
    id: Option<i64>,
    /// Whether a broker was asked for one.
    asked: bool,
    ask_at: Instant,
}

/// When a partition is woken next.
#[derive(Debug)]
struct Woken(Instant);

impl Default for Woken {
    fn default() -> Self {
        Self(Instant::MAX)
    }
}

impl Sequences {
    /// A batch of so many records is to be sent, and no more tried at `deadline`.
    pub(super) fn produce(
        &mut self,
        partition: PartitionId,
        records: i32,
        deadline: Instant,
        now: Instant,
    ) -> (BatchId, Vec<Act>) {
        self.count += 1;
        let (lane, _) = self.lanes.entry(partition).or_default();
        lane.push(Batch::new(self.count, records, deadline));
        let batch = self.count;
        (batch, self.settled(partition, now))
    }

    /// What has come of a [`Send`](Act::Send).
    pub(super) fn answered(
        &mut self,
        partition: PartitionId,
        of: (BatchId, u32),
        answer: Result<ProduceResponse>,
        now: Instant,
    ) -> Vec<Act> {
        let mut acts = Vec::new();
        if let Some((lane, _)) = self.lanes.get_mut(&partition) {
            lane.answered(of, answer, now, &mut acts);
        }
        self.settle(partition, now, &mut acts);
        acts
    }

    /// The time of a [`Wake`](Act::Wake) has come.
    pub(super) fn wake(&mut self, partition: PartitionId, now: Instant) -> Vec<Act> {
        if let Some((_, woken)) = self.lanes.get_mut(&partition).filter(|(_, Woken(at))| *at <= now) {
            *woken = Woken::default();
        }
        self.settled(partition, now)
    }

    /// What has come of a [`WantId`](Act::WantId); `None`: no id.
    pub(super) fn id_came(&mut self, id: Option<i64>, now: Instant) -> Vec<Act> {
        self.asked = false;
        match id {
            Some(id) => self.id = Some(id),
            None => self.ask_at = now.plus(BACKOFF),
        }
        let mut acts = Vec::new();
        let partitions: Vec<PartitionId> = self.lanes.keys().copied().collect();
        partitions.into_iter().for_each(|partition| self.settle(partition, now, &mut acts));
        acts
    }

    /// The cluster is closed: nothing is tried any more.
    pub(super) fn close(&mut self) -> Vec<Act> {
        self.asked = false;
        std::mem::take(&mut self.lanes).into_values().flat_map(|(lane, _)| lane.close()).collect()
    }

    fn settled(&mut self, partition: PartitionId, now: Instant) -> Vec<Act> {
        let mut acts = Vec::new();
        self.settle(partition, now, &mut acts);
        acts
    }

    fn settle(&mut self, partition: PartitionId, now: Instant, acts: &mut Vec<Act>) {
        let Some((lane, woken)) = self.lanes.get_mut(&partition) else { return };
        let wants_id = lane.settle(now, self.id, acts);
        let mut at = lane.next_deadline(now);
        if wants_id && !self.asked {
            if self.ask_at <= now {
                self.asked = true;
                acts.push(Act::WantId);
            } else {
                at = at.min(self.ask_at);
            }
        }
        if at < woken.0 {
            *woken = Woken(at);
            acts.push(Act::Wake { partition, at });
        }
    }
}

#[cfg(test)]
mod tests;
