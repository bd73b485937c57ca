//! Records that are deleted for good when no replica has them any more that is in sync, or is about to be.

use super::Role;
use crate::{
    env::Slot,
    error::{Error, Result},
    node::{Node, Task, partition::Partition},
    rpc::{Answer, DeleteRecordsRequest, DeleteRecordsResponse, Response, Ticket},
    types::{BrokerId, Instant, Offset},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How long a deletion waits for followers. (`request.timeout.ms`)
const PATIENCE: Duration = Duration::from_secs(5);

/// Where followers' logs begin, and who waits for them to begin later.
#[derive(Debug, Default)]
pub(in crate::node) struct Starts {
    known: BTreeMap<BrokerId, Offset>,
    waiting: Vec<Deletion>,
}

#[derive(Debug)]
struct Deletion {
    to: Offset,
    deadline: Instant,
    ticket: Ticket<Response>,
}

impl Starts {
    /// A follower says where its log begins.
    pub(in crate::node) fn learn(&mut self, follower: BrokerId, start: Offset) {
        self.known.insert(follower, start);
    }

    /// Whether all of these begin at `to` or later.
    fn have_come_to(&self, to: Offset, mut followers: impl Iterator<Item = BrokerId>) -> bool {
        followers.all(|id| self.known.get(&id).is_some_and(|start| *start >= to))
    }

    pub(in crate::node) fn take_all(&mut self) -> Vec<Ticket<Response>> {
        self.known.clear();
        self.waiting.drain(..).map(|deletion| deletion.ticket).collect()
    }
}

impl Node {
    /// Rules 40 and 41. The answer comes when no replica in sync has the records, so that no leader's death brings them back.
    pub(in crate::node) fn handle_delete_records(&self, request: DeleteRecordsRequest) -> Answer<Response> {
        let deleted = self.partition(request.partition).and_then(|partition| {
            let response = self.delete_records(&partition, request.before)?;
            Ok((partition, response))
        });
        match deleted {
            Ok((partition, response)) if partition.is_replicated() => self.when_deleted(&partition, response),
            deleted => Answer::Ready(
                deleted.map(|(_, response)| Response::DeleteRecords(response)).map_err(Box::new),
            ),
        }
    }

    fn when_deleted(&self, partition: &Arc<Partition>, response: DeleteRecordsResponse) -> Answer<Response> {
        let (to, deadline) = (response.log_start_offset, self.clock.now().plus(PATIENCE));
        let ticket = Ticket::new(Slot::new());
        let woken = {
            let mut state = partition.lock();
            state.starts.waiting.push(Deletion { to, deadline, ticket: Arc::clone(&ticket) });
            state.take_waiting()
        };
        // Followers that wait for something new are told.
        woken.into_iter().for_each(|waiter| waiter.look_again());
        self.deletions_may_be_done(partition);
        if !ticket.is_filled() {
            self.timers.arm(deadline, Task::ExpireDeletions(Arc::downgrade(partition)));
        }
        Answer::Parked(ticket)
    }

    /// Tells those whose records no replica in sync has any more.
    pub(in crate::node) fn deletions_may_be_done(&self, partition: &Partition) {
        let mut state = partition.lock();
        if state.starts.waiting.is_empty() {
            return;
        }
        let Role::Leader(leader) = &state.role else { return };
        let followers: Vec<BrokerId> = leader.may_be_in_sync().filter(|id| *id != self.id).collect();
        let mut waiting = std::mem::take(&mut state.starts.waiting);
        let is_done =
            |deletion: &mut Deletion| state.starts.have_come_to(deletion.to, followers.iter().copied());
        let done: Vec<Deletion> = waiting.extract_if(.., is_done).collect();
        state.starts.waiting = waiting;
        drop(state);
        for Deletion { to, ticket, .. } in done {
            ticket.fill(Ok(Response::DeleteRecords(DeleteRecordsResponse { log_start_offset: to })));
        }
    }

    pub(in crate::node) fn expire_deletions(&self, partition: &Partition) {
        // A follower that was waited for may not be in sync any more.
        self.deletions_may_be_done(partition);
        let now = self.clock.now();
        let late: Vec<Deletion> =
            partition.lock().starts.waiting.extract_if(.., |deletion| deletion.deadline <= now).collect();
        fail(late.into_iter().map(|deletion| deletion.ticket), &Error::RequestTimedOut);
    }
}

/// Nobody here knows whether the others have deleted it.
pub(in crate::node) fn fail(waiting: impl IntoIterator<Item = Ticket<Response>>, error: &Error) {
    for ticket in waiting {
        let told: Result<Response> = Err(error.clone());
        ticket.fill(told);
    }
}
