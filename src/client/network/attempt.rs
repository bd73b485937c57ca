//! A request that is tried until it is answered.

use super::{ATTEMPT, BACKOFF, Later, NetworkClient, SILENCE, coordinators};
use crate::{
    env::Slot,
    error::{Error, Result},
    record::ValidBatch,
    rpc::{
        Answer, MetadataRequest, PartitionRef, ProduceRequest, ProduceResponse, Request, Response, Ticket,
    },
    types::{Acks, BrokerId, Durability, Instant},
};
use std::sync::{Arc, Weak};

/// How often a request is tried for a topic that nobody seems to know: a new one may not have come to every broker yet.
const UNKNOWN_TOPIC_TRIES: u32 = 5;

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) outgoing: Outgoing,
    deadline: Instant,
    tries: u32,
    /// What the last try ended with.
    last: Option<Error>,
}

#[derive(Debug)]
pub(super) enum Outgoing {
    Produce(OutgoingProduce),
    Call { request: Request, ticket: Ticket<Response> },
}

#[derive(Debug)]
pub(super) struct OutgoingProduce {
    pub(super) partition: PartitionRef,
    pub(super) acks: Acks,
    pub(super) durability: Durability,
    pub(super) batch: Vec<u8>,
    pub(super) hint: BrokerId,
    pub(super) ticket: Ticket<ProduceResponse>,
}

/// An attempt that is under way: whoever takes it first, the answer or the silence, goes on with it.
pub(super) type Sent = Slot<(Attempt, BrokerId)>;

/// Whether a broker says, or by its silence seems to say, that somebody else is to be asked.
pub(super) fn has_moved(error: &Error) -> bool {
    matches!(
        error,
        Error::NotLeaderOrFollower
            | Error::LeaderNotAvailable
            | Error::FencedLeaderEpoch
            | Error::UnknownLeaderEpoch
            | Error::NetworkException
            | Error::BrokerNotAvailable
    )
}

impl Attempt {
    pub(super) fn new(outgoing: Outgoing, deadline: Instant) -> Self {
        Self { outgoing, deadline, tries: 0, last: None }
    }

    fn partition(&self) -> Option<PartitionRef> {
        match &self.outgoing {
            Outgoing::Produce(produce) => Some(produce.partition),
            Outgoing::Call { request: Request::ListOffsets(request), .. } => Some(request.partition),
            Outgoing::Call { request: Request::OffsetForLeaderEpoch(request), .. } => Some(request.partition),
            Outgoing::Call { request: Request::DeleteRecords(request), .. } => Some(request.partition),
            Outgoing::Call { .. } => None,
        }
    }

    /// Whether the answer may take as long as others take: it is waited for until nobody wants it any more, and asked for
    /// anew from time to time.
    fn is_patient(&self) -> bool {
        matches!(
            &self.outgoing,
            Outgoing::Call { request: Request::JoinGroup(_) | Request::SyncGroup(_), .. }
        )
    }

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool {
        match &self.outgoing {
            Outgoing::Produce(produce) => Arc::strong_count(&produce.ticket) == 1,
            Outgoing::Call { ticket, .. } => Arc::strong_count(ticket) == 1,
        }
    }

    /// Whether it does harm to do it twice.
    fn changes_something(&self) -> bool {
        match &self.outgoing {
            Outgoing::Produce(_) => true,
            Outgoing::Call { request, .. } => matches!(
                request,
                Request::CreateTopic(_)
                    | Request::DeleteTopic(_)
                    | Request::CreatePartitions(_)
                    | Request::DeleteGroup(_)
            ),
        }
    }

    fn may_retry(&self, error: &Error) -> bool {
        match error {
            // It may have been done: a second time is the application's to decide.
            Error::RequestTimedOut | Error::NetworkException | Error::NotEnoughReplicasAfterAppend => {
                !self.changes_something()
            }
            Error::UnknownTopicId { .. } | Error::UnknownTopicOrPartition { .. } => {
                self.partition().is_some() && self.tries < UNKNOWN_TOPIC_TRIES
            }
            Error::NotEnoughReplicas { .. }
            | Error::OffsetNotAvailable
            | Error::NotController
            | Error::NotCoordinator { .. }
            | Error::CoordinatorNotAvailable { .. }
            | Error::CoordinatorLoadInProgress { .. } => true,
            error => has_moved(error),
        }
    }

    fn answer(self, answer: Result<Told>) {
        // Whoever does not wait any more is not told.
        let _told = match (self.outgoing, answer) {
            (Outgoing::Produce(produce), Ok(Told::Produced(response))) => produce.ticket.fill(Ok(response)),
            (Outgoing::Produce(produce), Err(error)) => produce.ticket.fill(Err(error)),
            (Outgoing::Call { ticket, .. }, Ok(Told::Called(response))) => ticket.fill(Ok(response)),
            (Outgoing::Call { ticket, .. }, Err(error)) => ticket.fill(Err(error)),
            (Outgoing::Produce(_), Ok(Told::Called(_))) | (Outgoing::Call { .. }, Ok(Told::Produced(_))) => {
                false
            }
        };
    }
}

#[derive(Debug)]
pub(super) enum Told {
    Produced(ProduceResponse),
    Called(Response),
}

impl NetworkClient {
    /// Sends a request to the broker that it is for, or finds out first which one that is.
    pub(super) fn go(&self, mut attempt: Attempt) {
        attempt.tries += 1;
        if let Some(group) = coordinators::group_of(&attempt.outgoing) {
            let known = self.state.lock().coordinators.get(group).copied();
            return match known {
                Some(to) => self.send(attempt, to),
                None => self.ask_who_coordinates(attempt),
            };
        }
        let to = match (attempt.partition(), &attempt.outgoing) {
            (Some(partition), outgoing) => {
                let known = self.state.lock().leaders.of(&partition);
                let first = attempt.tries == 1;
                let hint = match outgoing {
                    Outgoing::Produce(produce) if first && produce.hint != BrokerId::NOBODY => {
                        Some(produce.hint)
                    }
                    _ => None,
                };
                known.or(hint)
            }
            (None, _) => Some(self.any()),
        };
        match to {
            Some(to) => self.send(attempt, to),
            None => self.ask_who_leads(attempt),
        }
    }

    pub(super) fn send(&self, attempt: Attempt, to: BrokerId) {
        let wait = match &attempt.outgoing {
            Outgoing::Produce(_) => ATTEMPT,
            Outgoing::Call { .. } => 4 * SILENCE,
        };
        let silent_at = self.now().plus(wait).min(attempt.deadline.max(self.now().plus(SILENCE)));
        let answer = match &attempt.outgoing {
            Outgoing::Produce(produce) => {
                let mut bytes = produce.batch.clone();
                let Ok(mut batch) = ValidBatch::validate(&mut bytes) else {
                    return attempt
                        .answer(Err(Error::IllegalState("a batch that is none any more".to_owned())));
                };
                let request = ProduceRequest {
                    partition: &produce.partition,
                    acks: produce.acks,
                    timeout: wait.saturating_sub(SILENCE),
                    durability: produce.durability,
                    batch: &mut batch,
                };
                Reply::Produce(self.transport.produce(to, request))
            }
            Outgoing::Call { request, .. } => Reply::Call(self.transport.call(to, request.clone())),
        };
        let sent: Arc<Sent> = Arc::new(Slot::new());
        sent.fill((attempt, to));
        self.at(silent_at, Later::Silence(Arc::clone(&sent)));
        let me = Weak::clone(&self.me);
        let told = move |answer: Result<Told>| {
            if let (Some(client), Some((attempt, to))) = (me.upgrade(), sent.take()) {
                client.told(attempt, to, answer);
            }
        };
        match answer {
            Reply::Produce(Answer::Ready(answer)) => told(answer.map(Told::Produced).map_err(|error| *error)),
            Reply::Produce(Answer::Parked(ticket)) => {
                ticket.on_fill(move |answer| told(answer.map(Told::Produced)))
            }
            Reply::Call(Answer::Ready(answer)) => told(answer.map(Told::Called).map_err(|error| *error)),
            Reply::Call(Answer::Parked(ticket)) => {
                ticket.on_fill(move |answer| told(answer.map(Told::Called)))
            }
        }
    }

    /// Nobody has answered in time.
    pub(super) fn silent(&self, sent: &Sent) {
        if let Some((attempt, to)) = sent.take() {
            self.told(attempt, to, Err(Error::RequestTimedOut));
        }
    }

    pub(super) fn told(&self, mut attempt: Attempt, by: BrokerId, answer: Result<Told>) {
        if let Ok(Told::Called(Response::Metadata(metadata))) = &answer {
            self.state.lock().leaders.learn(metadata);
        }
        let error = match answer {
            Err(error) if attempt.may_retry(&error) => error,
            answer => return attempt.answer(answer),
        };
        if let Some(partition) = attempt.partition() {
            self.state.lock().leaders.forget(&partition);
        }
        self.forget_coordinator(&attempt.outgoing, &error);
        if matches!(
            error,
            Error::RequestTimedOut
                | Error::NetworkException
                | Error::BrokerNotAvailable
                | Error::NotController
        ) {
            self.avoid(by);
        }
        let again = self.now().plus(BACKOFF);
        let is_late = if attempt.is_patient() { attempt.is_abandoned() } else { again >= attempt.deadline };
        if is_late {
            return attempt.answer(Err(error));
        }
        attempt.last = Some(error);
        self.at(again, Later::Again(Box::new(attempt)));
    }

    /// Asks for the leaders of all partitions, and goes on then.
    fn ask_who_leads(&self, attempt: Attempt) {
        let to = self.any();
        let sent: Arc<Sent> = Arc::new(Slot::new());
        sent.fill((attempt, to));
        self.at(self.now().plus(4 * SILENCE), Later::Silence(Arc::clone(&sent)));
        let me = Weak::clone(&self.me);
        let told = move |answer: Result<Response>| {
            let (Some(client), Some((attempt, to))) = (me.upgrade(), sent.take()) else { return };
            match answer {
                Ok(Response::Metadata(metadata)) => client.learned(attempt, &metadata),
                Ok(_) => client.told(attempt, to, Err(Error::LeaderNotAvailable)),
                Err(error) => {
                    client.avoid(to);
                    let error = if has_moved(&error) { Error::LeaderNotAvailable } else { error };
                    client.told(attempt, to, Err(error));
                }
            }
        };
        match self.transport.call(to, MetadataRequest { topics: None }.into()) {
            Answer::Ready(answer) => told(answer.map_err(|error| *error)),
            Answer::Parked(ticket) => ticket.on_fill(told),
        }
    }

    fn learned(&self, attempt: Attempt, metadata: &crate::rpc::MetadataResponse) {
        let leader = {
            let mut state = self.state.lock();
            state.leaders.learn(metadata);
            attempt.partition().and_then(|partition| state.leaders.of(&partition))
        };
        match leader {
            Some(leader) => self.send(attempt, leader),
            None => {
                let last = attempt.last.clone();
                self.told(attempt, BrokerId::NOBODY, Err(last.unwrap_or(Error::LeaderNotAvailable)));
            }
        }
    }
}

#[derive(Debug)]
enum Reply {
    Produce(Answer<ProduceResponse>),
    Call(Answer<Response>),
}
