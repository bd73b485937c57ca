//! Records that are appended, and whose senders wait until all replicas in sync have them.

use super::Role;
use crate::{
    bugs::{self, Bug},
    env::Slot,
    error::Error,
    node::{Node, Task, partition::Partition, produce::Produced},
    rpc::{Answer, ProduceResponse, Ticket},
    types::{Instant, Offset},
};
use std::{collections::BTreeMap, sync::Arc};

/// Who waits in a partition, by where the high watermark has to come.
#[derive(Debug, Default)]
pub(in crate::node) struct Acknowledgements {
    waiting: BTreeMap<(Offset, u64), Waiting>,
    count: u64,
}

#[derive(Debug)]
pub(in crate::node) struct Waiting {
    deadline: Instant,
    ticket: Ticket<ProduceResponse>,
    response: ProduceResponse,
}

impl Acknowledgements {
    /// All that wait for no more than `reached`.
    pub(in crate::node) fn take_below(&mut self, reached: Offset) -> Vec<Waiting> {
        let later = self.waiting.split_off(&(reached.plus(1), 0));
        std::mem::replace(&mut self.waiting, later).into_values().collect()
    }

    pub(in crate::node) fn take_all(&mut self) -> Vec<Waiting> {
        std::mem::take(&mut self.waiting).into_values().collect()
    }

    fn take_late(&mut self, now: Instant) -> Vec<Waiting> {
        self.waiting
            .extract_if(.., |_, waiting| waiting.deadline <= now)
            .map(|(_, waiting)| waiting)
            .collect()
    }
}

impl Node {
    /// Answers when the high watermark has come to `end`, or `deadline` has come.
    pub(in crate::node) fn when_replicated(
        &self,
        partition: &Arc<Partition>,
        Produced { response, end, .. }: Produced,
        deadline: Instant,
    ) -> Answer<ProduceResponse> {
        let mut state = partition.lock();
        if bugs::is(Bug::AcknowledgeBeforeReplicated) {
            return Answer::Ready(Ok(response));
        }
        if partition.known_watermark() >= end {
            // All who were to have it have it; but too few of them may be left since its append (rule 19).
            let too_few = matches!(&state.role, Role::Leader(leader) if !leader.has_enough());
            let error = too_few.then(|| Error::NotEnoughReplicasAfterAppend.into());
            return Answer::Ready(error.map_or(Ok(response), Err));
        }
        // It was lost between the append and here.
        let Role::Leader(_) = &state.role else { return Answer::Ready(Err(Error::RequestTimedOut.into())) };
        let ticket = Ticket::new(Slot::new());
        let Acknowledgements { waiting, count } = &mut state.acknowledgements;
        *count += 1;
        waiting.insert((end, *count), Waiting { deadline, ticket: Arc::clone(&ticket), response });
        drop(state);
        self.timers.arm(deadline, Task::ExpireAcknowledgements(Arc::downgrade(partition)));
        Answer::Parked(ticket)
    }

    /// All who are to have it have it; and they are enough, or the high watermark would stand still (rule 19).
    pub(super) fn acknowledge(&self, reached: Vec<Waiting>) {
        for Waiting { ticket, response, .. } in reached {
            ticket.fill(Ok(response));
        }
    }

    /// The broker does not lead any more: nobody here will know what becomes of these records.
    pub(super) fn fail_acknowledgements(&self, waiting: Vec<Waiting>) {
        for Waiting { ticket, .. } in waiting {
            ticket.fill(Err(Error::RequestTimedOut));
        }
    }

    pub(in crate::node) fn expire_acknowledgements(&self, partition: &Partition) {
        let late = partition.lock().acknowledgements.take_late(self.clock.now());
        self.fail_acknowledgements(late);
    }
}
