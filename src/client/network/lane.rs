//! The batches of an idempotent producer in one partition: which sequence each has, which are under way, and what becomes of
//! those that are not acknowledged.
//!
//! # What keeps records from being there twice, or in another order
//!
//! - A batch that may be in the log is sent again with the sequence that it had, and never with another one. Once in doubt, it
//!   stays so until it is acknowledged: a refusal of one leader says nothing of what another one has.
//! - What is tried again goes alone, and in order. Before a leader has acknowledged something under an id and its epoch, only one
//!   batch is under way: a leader that does not know the producer takes any sequence (rule 25).
//! - Where a batch has failed there is a hole in the sequences, which the leader does not let pass. Those behind it are stamped
//!   anew, under the next epoch, as soon as all that are in doubt are acknowledged or have failed; one that is not in the log,
//!   while a later one is, or may be, has failed with it.

use super::{
    attempt::has_moved,
    sequences::{Act, BatchId, Stamp},
};
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    rpc::ProduceResponse,
    types::Instant,
};
use std::{collections::VecDeque, time::Duration};

/// How many batches of a partition are under way at most. (`max.in.flight.requests.per.connection`; a leader knows as many again)
const MAX_IN_FLIGHT: usize = 5;

/// How long what failed is left alone. (`retry.backoff.ms`)
pub(super) const BACKOFF: Duration = Duration::from_millis(100);

/// How often a batch is tried for a topic that nobody seems to know: a new one may not have come to every broker yet.
pub(super) const UNKNOWN_TOPIC_TRIES: u32 = 5;

#[derive(Debug)]
pub(super) struct Batch {
    id: BatchId,
    records: i32,
    /// Then it is not tried any more.
    deadline: Instant,
    sequence: i32,
    tries: u32,
    under_way: bool,
    /// Why it may be in the log, if it may.
    doubt: Option<Error>,
    /// What the last try ended with, but for a wrong sequence.
    last: Option<Error>,
    /// Whether a later one is in the log, or may be.
    overtaken: bool,
    unknown_topic: u32,
}

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Id and epoch under which its batches are stamped.
    producer: Option<(i64, i16)>,
    /// An id that is of no use here any more.
    pub(super) spent: Option<i64>,
    next: i32,
    /// Whether a leader has acknowledged something under this id and epoch.
    known: bool,
    /// Whether there is a hole in the sequences.
    broken: bool,
    /// Whether somebody else has the id.
    fenced: bool,
    /// Those that have a sequence, in order.
    flight: VecDeque<Batch>,
    /// Those that have none yet.
    queue: VecDeque<Batch>,
    retry_at: Instant,
}

impl Batch {
    pub(super) fn new(id: BatchId, records: i32, deadline: Instant) -> Self {
        Self {
            id,
            records,
            deadline,
            sequence: -1,
            tries: 0,
            under_way: false,
            doubt: None,
            last: None,
            overtaken: false,
            unknown_topic: 0,
        }
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline <= now
    }

    fn is_in_doubt(&self) -> bool {
        self.doubt.is_some() && !bugs::is(Bug::RestampInDoubt)
    }

    /// Where nobody leads, what its leader said last tells why: there is no such topic any more.
    fn explain(&self, error: Error) -> Error {
        match (&error, &self.last) {
            (Error::LeaderNotAvailable, Some(last)) if is_unknown_topic(last) => last.clone(),
            _ => error,
        }
    }

    /// What the one who waits for it is told where it is not tried any more.
    fn failure(self, now: Instant) -> Act {
        let is_late = self.is_late(now);
        // One that has not been sent, or came too early, can be sent again.
        let error = self.doubt.or(self.last).unwrap_or(Error::LeaderNotAvailable);
        let error = if is_late { late(error) } else { error };
        Act::Answer { batch: self.id, answer: Err(error) }
    }
}

/// What is told of a batch whose time is over: what a leader has refused it for, if one has.
pub(super) fn late(last: Error) -> Error {
    if last.is_indeterminate() || has_moved(&last) {
        Error::DeliveryTimedOut { last: Box::new(last) }
    } else {
        last
    }
}

pub(super) fn is_unknown_topic(error: &Error) -> bool {
    matches!(error, Error::UnknownTopicId { .. } | Error::UnknownTopicOrPartition { .. })
}

impl Lane {
    pub(super) fn push(&mut self, batch: Batch) {
        self.queue.push_back(batch);
    }

    /// Nobody is there any more: what is under way may be in the log, or not.
    pub(super) fn close(self) -> impl Iterator<Item = Act> {
        let left = self.flight.into_iter().chain(self.queue);
        left.map(|batch| Act::Answer { batch: batch.id, answer: Err(Error::Closed) })
    }

    /// What has come of the try `attempt` of a batch.
    pub(super) fn answered(
        &mut self,
        (id, attempt): (BatchId, u32),
        answer: Result<ProduceResponse>,
        now: Instant,
        acts: &mut Vec<Act>,
    ) {
        let is_it = |batch: &Batch| batch.id == id && batch.tries == attempt && batch.under_way;
        let Some(at) = self.flight.iter().position(is_it) else { return };
        match answer {
            Ok(response) => {
                self.flight.remove(at);
                self.overtake(at);
                self.known = true;
                acts.push(Act::Answer { batch: id, answer: Ok(response) });
            }
            Err(error) => self.refused(at, error, now, acts),
        }
    }

    fn refused(&mut self, at: usize, error: Error, now: Instant, acts: &mut Vec<Act>) {
        self.retry_at = now.plus(BACKOFF);
        let doubted_before =
            self.flight.iter().take(at).any(|batch| batch.under_way || batch.doubt.is_some());
        let Some(batch) = self.flight.get_mut(at) else { return };
        let error = batch.explain(error);
        batch.under_way = false;
        if error.is_indeterminate() {
            batch.doubt.get_or_insert_with(|| error.clone());
        }
        // What is the matter with the sequence is nobody's but ours.
        if !matches!(error, Error::OutOfOrderSequenceNumber { .. }) {
            batch.last = Some(error.clone());
        }
        let in_doubt = batch.doubt.is_some();
        match error {
            // It waits for those before it, or for a leader that has all.
            Error::OutOfOrderSequenceNumber { .. } if !self.broken && (at > 0 || in_doubt) => {}
            // The hole tells why: it is not there. But no leader says so for all others.
            Error::OutOfOrderSequenceNumber { .. } if in_doubt && !doubted_before => self.fail(at, now, acts),
            Error::OutOfOrderSequenceNumber { .. } => self.broken |= at == 0,
            Error::InvalidProducerEpoch { .. } => {
                (self.fenced, self.broken) = (true, true);
                if in_doubt {
                    self.fail(at, now, acts);
                }
            }
            error if is_unknown_topic(&error) => {
                batch.unknown_topic += 1;
                if batch.unknown_topic >= UNKNOWN_TOPIC_TRIES {
                    self.fail(at, now, acts);
                }
            }
            error if error.is_retriable() || error.is_indeterminate() => {}
            _ => self.fail(at, now, acts),
        }
    }

    /// Gives a batch up that has a sequence.
    fn fail(&mut self, at: usize, now: Instant, acts: &mut Vec<Act>) {
        let Some(batch) = self.flight.remove(at) else { return };
        if batch.doubt.is_some() {
            self.overtake(at);
        }
        self.broken = true;
        acts.push(batch.failure(now));
    }

    /// What was in this place is in the log, or may be.
    fn overtake(&mut self, place: usize) {
        self.flight.iter_mut().take(place).for_each(|earlier| earlier.overtaken = true);
    }

    /// Does what is to be done now. `id` is the newest that the client has. Says whether another one is needed.
    pub(super) fn settle(&mut self, now: Instant, id: Option<i64>, acts: &mut Vec<Act>) -> bool {
        self.expire(now, acts);
        if self.broken {
            self.mend(now, acts);
        }
        !self.broken && self.advance(now, id, acts)
    }

    /// When it is to be settled if nothing happens before.
    pub(super) fn next_deadline(&self, now: Instant) -> Instant {
        let idle = self.flight.iter().filter(|batch| !batch.under_way);
        let retry = idle.clone().next().map(|_| self.retry_at).filter(|at| *at > now);
        idle.chain(self.queue.front()).map(|batch| batch.deadline).chain(retry).min().unwrap_or(Instant::MAX)
    }

    fn expire(&mut self, now: Instant, acts: &mut Vec<Act>) {
        let is_late = |batch: &Batch| !batch.under_way && batch.is_late(now);
        while let Some(at) = self.flight.iter().position(is_late) {
            self.fail(at, now, acts);
        }
        while self.queue.front().is_some_and(is_late)
            && let Some(late) = self.queue.pop_front()
        {
            acts.push(late.failure(now));
        }
    }

    /// Brings those behind a hole out of it.
    fn mend(&mut self, now: Instant, acts: &mut Vec<Act>) {
        let has_failed = |batch: &Batch| !batch.under_way && !batch.is_in_doubt() && batch.overtaken;
        while let Some(at) = self.flight.iter().position(has_failed) {
            self.fail(at, now, acts);
        }
        if self.flight.iter().any(|batch| batch.under_way) {
            return;
        }
        if let Some(at) = self.flight.iter().position(Batch::is_in_doubt) {
            if self.retry_at <= now {
                self.send(at, acts);
            }
            return;
        }
        while let Some(batch) = self.flight.pop_back() {
            self.queue.push_front(batch);
        }
        self.begin_epoch();
    }

    fn begin_epoch(&mut self) {
        let (fenced, before) = (std::mem::take(&mut self.fenced), self.producer);
        let next = before.and_then(|(id, epoch)| Some((id, epoch.checked_add(1)?)));
        self.producer = next.filter(|_| !fenced);
        if self.producer.is_none() {
            self.spent = before.map(|(id, _)| id);
        }
        (self.next, self.known, self.broken) = (0, false, false);
    }

    /// Tries again what is to be, or else sends what comes next. Says whether an id is needed.
    fn advance(&mut self, now: Instant, id: Option<i64>, acts: &mut Vec<Act>) -> bool {
        if self.flight.front().is_some_and(|front| !front.under_way) {
            if self.retry_at <= now {
                self.send(0, acts);
            }
            return false;
        }
        if self.flight.iter().any(|batch| !batch.under_way || batch.tries > 1) {
            return false;
        }
        let most = if self.known { MAX_IN_FLIGHT } else { 1 };
        while self.flight.len() < most && !self.queue.is_empty() {
            if self.producer.is_none() {
                let Some(id) = id.filter(|id| Some(*id) != self.spent) else { return true };
                (self.producer, self.next) = (Some((id, 0)), 0);
            }
            let Some(batch) = self.queue.pop_front() else { break };
            let sequence = self.next;
            self.next = ((i64::from(sequence) + i64::from(batch.records)) % (1 << 31)) as i32;
            self.flight.push_back(Batch { sequence, ..batch });
            self.send(self.flight.len() - 1, acts);
        }
        false
    }

    fn send(&mut self, at: usize, acts: &mut Vec<Act>) {
        let (Some(batch), Some((producer_id, epoch))) = (self.flight.get_mut(at), self.producer) else {
            return;
        };
        batch.tries += 1;
        batch.under_way = true;
        let stamp = Stamp { producer_id, epoch, sequence: batch.sequence };
        let (attempt, deadline) = (batch.tries, batch.deadline);
        acts.push(Act::Send { batch: batch.id, attempt, stamp, deadline });
    }
}
