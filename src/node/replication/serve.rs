//! A leader lets its followers copy its log.

use crate::{
    env::Slot,
    error::{Error, Result},
    node::{Node, Task, parked::Waiter, partition::Partition},
    rpc::{Answer, ReplicaFetchPartition, ReplicaFetchRequest, ReplicaFetchResponse, ReplicaFetched, Ticket},
    types::Offset,
};
use std::sync::{Arc, Weak};

use super::{Role, role::Told};

/// Why a leader looks at what a follower may copy.
#[derive(Debug, Clone, Copy)]
enum Look<'a> {
    /// Its fetch has come, and tells how far it has the log.
    Fetched(Option<&'a Arc<ParkedReplicaFetch>>),
    /// There may be something new for one that waits. How far the follower was it has told before; by now it may have told otherwise.
    Again(Option<&'a Arc<ParkedReplicaFetch>>),
}

impl<'a> Look<'a> {
    /// Who is to be told of what comes to a partition after it was looked at.
    fn waits(self) -> Option<&'a Arc<ParkedReplicaFetch>> {
        let (Self::Fetched(waits) | Self::Again(waits)) = self;
        waits
    }
}

/// A follower's fetch that found nothing new.
#[derive(Debug)]
pub(in crate::node) struct ParkedReplicaFetch {
    request: ReplicaFetchRequest,
    ticket: Ticket<ReplicaFetchResponse>,
    node: Weak<Node>,
}

impl Waiter for ParkedReplicaFetch {
    fn look_again(self: Arc<Self>) {
        if let Some(node) = self.node.upgrade() {
            node.retry_replica_fetch(&self, false);
        }
    }

    fn is_waiting(&self) -> bool {
        !self.ticket.is_filled()
    }
}

impl Node {
    /// Answers a follower, as soon as there is something that it does not know.
    pub(crate) fn replica_fetch(&self, request: ReplicaFetchRequest) -> Answer<ReplicaFetchResponse> {
        if let Err(closed) = self.check_open() {
            return Answer::Ready(Err(closed.into()));
        }
        let (deadline, ticket) = (request.deadline, Ticket::new(Slot::new()));
        if deadline <= self.clock.now() {
            return Answer::Ready(Ok(self.copy_out(&request, Look::Fetched(None))));
        }
        let parked = ParkedReplicaFetch { request, ticket: Arc::clone(&ticket), node: Weak::clone(&self.me) };
        let parked = Arc::new(parked);
        let response = self.copy_out(&parked.request, Look::Fetched(Some(&parked)));
        if is_news(&parked.request, &response) {
            return Answer::Ready(Ok(response));
        }
        if !ticket.is_filled() {
            self.timers.arm(deadline, Task::ExpireReplicaFetch(parked));
        }
        Answer::Parked(ticket)
    }

    /// Answers a fetch that waits, if there is something new, or its time is over.
    pub(in crate::node) fn retry_replica_fetch(&self, parked: &Arc<ParkedReplicaFetch>, expired: bool) {
        if !parked.is_waiting() {
            return;
        }
        let response = self.copy_out(&parked.request, Look::Again(Some(parked).filter(|_| !expired)));
        if expired || is_news(&parked.request, &response) {
            parked.ticket.fill(Ok(response));
        }
    }

    /// What a follower may copy now.
    fn copy_out(&self, request: &ReplicaFetchRequest, look: Look<'_>) -> ReplicaFetchResponse {
        let mut left = request.max_bytes;
        let mut read = |wanted: &ReplicaFetchPartition| {
            let partition = self.partition(wanted.partition)?;
            let fetched =
                self.copy_of(&partition, (request, look), wanted, (left, left == request.max_bytes))?;
            if let ReplicaFetched::Records { records, .. } = &fetched {
                left = left.saturating_sub(records.len());
            }
            Ok(fetched)
        };
        ReplicaFetchResponse { partitions: request.partitions.iter().map(&mut read).collect() }
    }

    fn copy_of(
        &self,
        partition: &Arc<Partition>,
        (request, look): (&ReplicaFetchRequest, Look<'_>),
        wanted: &ReplicaFetchPartition,
        (max_bytes, at_least_one): (usize, bool),
    ) -> Result<ReplicaFetched> {
        let now = self.clock.now();
        let mut state = partition.lock();
        state.check_leads(wanted.current_leader_epoch)?;
        let Some(log) = state.log_if_any()? else { return Err(Error::NotLeaderOrFollower) };
        if let Some(epoch) = wanted.last_fetched_epoch
            && let Some((epoch, end_offset)) = log.divergence_from(epoch, wanted.offset)
        {
            return Ok(ReplicaFetched::Diverging { epoch, end_offset });
        }
        let (start, end) = (log.start(), log.end());
        let records = log.read(wanted.offset, end, max_bytes, at_least_one)?;
        let Role::Leader(leader) = &mut state.role else { return Err(Error::NotLeaderOrFollower) };
        let told = if matches!(look, Look::Fetched(_)) {
            let news = leader.fetched((request.from, request.broker_epoch), wanted.offset, end, now);
            state.starts.learn(request.from, wanted.log_start);
            self.take_news(partition, &mut state, news)
        } else {
            Told::default()
        };
        // Under the lock of the look, so that nothing is missed; behind the news, of which it need not tell itself.
        if let Some(parked) = look.waits() {
            state.wait(Arc::<ParkedReplicaFetch>::downgrade(parked) as Weak<dyn Waiter>);
        }
        drop(state);
        self.tell(told);
        self.deletions_may_be_done(partition);
        let high_watermark = partition.known_watermark();
        Ok(ReplicaFetched::Records { records, high_watermark, log_start_offset: start })
    }
}

/// Whether a follower learns something from an answer.
fn is_news(request: &ReplicaFetchRequest, response: &ReplicaFetchResponse) -> bool {
    let knows = |wanted: &ReplicaFetchPartition, high_watermark: Offset| {
        high_watermark.min(wanted.offset) <= wanted.high_watermark
    };
    request.partitions.iter().zip(&response.partitions).any(|(wanted, answer)| match answer {
        Ok(ReplicaFetched::Records { records, high_watermark, log_start_offset }) => {
            let begins_later = (*log_start_offset).min(wanted.offset) > wanted.log_start;
            !records.is_empty() || !knows(wanted, *high_watermark) || begins_later
        }
        Ok(ReplicaFetched::Diverging { .. }) | Err(_) => true,
    })
}
