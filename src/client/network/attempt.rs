//! A request that is tried until it is answered.

use super::{
    ATTEMPT, BACKOFF, Later, NetworkClient, SILENCE, coordinators,
    idempotent::Sequenced,
    lane::{self, UNKNOWN_TOPIC_TRIES, is_unknown_topic},
};
use crate::{
    env::Slot,
    error::{Error, Result},
    record::ValidBatch,
    rpc::{
        Answer, MetadataRequest, MetadataResponse, PartitionMetadata, PartitionRef, ProduceRequest,
        ProduceResponse, Request, Response, Ticket,
    },
    types::{Acks, BrokerId, Durability, Instant},
};
use std::sync::{Arc, Weak};

#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) outgoing: Outgoing,
    deadline: Instant,
    tries: u32,
    /// Whether the request itself is under way, and not yet the question for whom it is.
    pub(super) is_sent: bool,
    /// What the last try ended with.
    last: Option<Error>,
}

#[derive(Debug)]
pub(super) enum Outgoing {
    Produce(OutgoingProduce),
    Call { request: Request, ticket: Ticket<Response> },
}

#[derive(Debug, Clone)]
pub(super) struct OutgoingProduce {
    pub(super) partition: PartitionRef,
    pub(super) acks: Acks,
    pub(super) durability: Durability,
    pub(super) batch: Arc<[u8]>,
    pub(super) hint: BrokerId,
    pub(super) ticket: Ticket<ProduceResponse>,
    /// Of an idempotent producer: then it is sent once, and not answered here.
    pub(super) sequenced: Option<Sequenced>,
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
        Self { outgoing, deadline, tries: 0, is_sent: false, last: None }
    }

    fn sequenced(&self) -> Option<Sequenced> {
        if let Outgoing::Produce(produce) = &self.outgoing { produce.sequenced } else { None }
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

    /// Rule 17: whether nobody answers it.
    fn is_unanswered(&self) -> bool {
        matches!(&self.outgoing, Outgoing::Produce(produce) if produce.acks == Acks::Zero)
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
                // By no answer would it turn out that the hint is an old one.
                let first = attempt.tries == 1 && !attempt.is_unanswered();
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

    pub(super) fn send(&self, mut attempt: Attempt, to: BrokerId) {
        attempt.is_sent = true;
        let wait = match &attempt.outgoing {
            Outgoing::Produce(_) => ATTEMPT,
            Outgoing::Call { .. } => 4 * SILENCE,
        };
        let silent_at = self.now().plus(wait).min(attempt.deadline.max(self.now().plus(SILENCE)));
        let answer = match &attempt.outgoing {
            Outgoing::Produce(produce) => {
                let mut bytes = produce.batch.to_vec();
                let Ok(mut batch) = ValidBatch::validate(&mut bytes) else {
                    let error = Error::IllegalState("a batch that is none any more".to_owned());
                    return self.told(attempt, to, Err(error));
                };
                if let Some(Sequenced { stamp, .. }) = produce.sequenced {
                    batch.set_producer(stamp.producer_id, stamp.epoch, stamp.sequence);
                }
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
        if attempt.is_unanswered() {
            return self.let_go(attempt, to, answer);
        }
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
            Reply::Produce(answer) => answer.on_answer(move |answer| told(answer.map(Told::Produced))),
            Reply::Call(answer) => answer.on_answer(move |answer| told(answer.map(Told::Called))),
        }
    }

    /// It is sent, and that is all that its sender is told. If the connection breaks, somebody else may lead by now: the next one is
    /// not sent before that is known.
    fn let_go(&self, attempt: Attempt, to: BrokerId, reply: Reply) {
        let (partition, me) = (attempt.partition(), Weak::clone(&self.me));
        match reply {
            Reply::Produce(Answer::Ready(Err(error))) => return self.told(attempt, to, Err(*error)),
            Reply::Produce(answer) => answer.on_answer(move |answer| {
                let (Some(client), Err(_), Some(partition)) = (me.upgrade(), answer, partition) else {
                    return;
                };
                client.state.lock().leaders.forget(&partition);
                client.avoid(to);
            }),
            Reply::Call(_) => {}
        }
        attempt.answer(Ok(Told::Produced(ProduceResponse::NONE)));
    }

    /// Nobody has answered in time.
    pub(super) fn silent(&self, sent: &Sent) {
        if let Some((attempt, to)) = sent.take() {
            let error = if attempt.is_sent { Error::RequestTimedOut } else { Error::LeaderNotAvailable };
            self.avoid(to);
            self.told(attempt, to, Err(error));
        }
    }

    pub(super) fn told(&self, mut attempt: Attempt, by: BrokerId, mut answer: Result<Told>) {
        if let Ok(Told::Called(Response::ListOffsets(listed))) = &answer {
            self.note_version(listed.metadata_version, BrokerId::NOBODY);
        }
        let mut is_behind = false;
        if let Ok(Told::Called(Response::Metadata(metadata))) = &mut answer {
            is_behind = self.note_version(metadata.version, by);
            let was_old = {
                let mut state = self.state.lock();
                state.leaders.learn(metadata);
                state.leaders.correct(metadata)
            };
            if was_old {
                self.avoid(by);
            }
        }
        if is_behind {
            // It may not know topics and partitions that the client knows.
            answer = Err(Error::LeaderNotAvailable);
        }
        if by != BrokerId::NOBODY
            && attempt.partition().is_some()
            && answer.as_ref().is_err_and(is_unknown_topic)
        {
            // A leader may not have heard yet of what is new. Whoever has metadata knows.
            self.avoid(self.any());
            answer = Err(Error::NotLeaderOrFollower);
        }
        if let (Some(partition), Some(sequenced)) = (attempt.partition(), attempt.sequenced()) {
            let answer = match answer {
                Ok(Told::Produced(response)) => Ok(response),
                Ok(Told::Called(_)) => Err(Error::LeaderNotAvailable),
                Err(error) => Err(error),
            };
            if let Err(error) = &answer {
                self.doubt_leader(&attempt, by, error);
            }
            return self.sequence_told(partition, sequenced, answer);
        }
        let error = match answer {
            Err(error) if attempt.may_retry(&error) => error,
            answer => return attempt.answer(answer),
        };
        self.doubt_leader(&attempt, by, &error);
        let again = self.now().plus(BACKOFF);
        let is_late = if attempt.is_patient() { attempt.is_abandoned() } else { again >= attempt.deadline };
        if is_late {
            let is_produce = matches!(attempt.outgoing, Outgoing::Produce(_));
            let error = if is_produce { lane::late(error) } else { error };
            return attempt.answer(Err(error));
        }
        attempt.last = Some(error);
        self.at(again, Later::Again(Box::new(attempt)));
    }

    /// Asks anew who leads, before the next try; and somebody else, if this one has not answered.
    fn doubt_leader(&self, attempt: &Attempt, by: BrokerId, error: &Error) {
        if let Some(partition) = attempt.partition() {
            self.state.lock().leaders.forget(&partition);
        }
        self.forget_coordinator(&attempt.outgoing, error);
        if matches!(
            error,
            Error::RequestTimedOut
                | Error::NetworkException
                | Error::BrokerNotAvailable
                | Error::NotController
        ) {
            self.avoid(by);
        }
    }

    /// Asks for the leaders of all partitions, and goes on then.
    fn ask_who_leads(&self, mut attempt: Attempt) {
        attempt.is_sent = false;
        let to = self.any();
        let sent: Arc<Sent> = Arc::new(Slot::new());
        let silent_at = self.now().plus(4 * SILENCE).min(attempt.deadline.max(self.now().plus(SILENCE)));
        sent.fill((attempt, to));
        self.at(silent_at, Later::Silence(Arc::clone(&sent)));
        let me = Weak::clone(&self.me);
        let told = move |answer: Result<Response>| {
            let (Some(client), Some((attempt, to))) = (me.upgrade(), sent.take()) else { return };
            match answer {
                Ok(Response::Metadata(metadata)) => client.learned(attempt, to, &metadata),
                Ok(_) => client.told(attempt, to, Err(Error::LeaderNotAvailable)),
                Err(error) => {
                    client.avoid(to);
                    let error = if has_moved(&error) { Error::LeaderNotAvailable } else { error };
                    client.told(attempt, to, Err(error));
                }
            }
        };
        self.transport.call(to, MetadataRequest { topics: None }.into()).on_answer(told);
    }

    fn learned(&self, attempt: Attempt, by: BrokerId, metadata: &MetadataResponse) {
        let Some(partition) = attempt.partition() else { return };
        let is_behind = self.note_version(metadata.version, by);
        let is_old = {
            let mut state = self.state.lock();
            state.leaders.learn(metadata);
            state.leaders.is_old(&partition, metadata)
        };
        if is_old {
            self.avoid(by);
        }
        match leader_of(&partition, metadata)
            .and_then(|leader| if is_old { Err(Error::LeaderNotAvailable) } else { Ok(leader) })
        {
            Ok(leader) => self.send(attempt, leader),
            Err(error) if is_behind && is_unknown_topic(&error) => {
                self.told(attempt, BrokerId::NOBODY, Err(Error::LeaderNotAvailable));
            }
            Err(error) => {
                let error = attempt.last.clone().filter(|_| has_moved(&error)).unwrap_or(error);
                self.told(attempt, BrokerId::NOBODY, Err(error));
            }
        }
    }
}

/// Who leads a partition, by what a broker says of all topics.
fn leader_of(partition: &PartitionRef, metadata: &MetadataResponse) -> Result<BrokerId> {
    let is_of_it = |of: &&PartitionMetadata| of.partition.topic_id == partition.topic_id;
    let mut of_topic =
        metadata.topics.iter().filter(|topic| topic.partitions.first().is_some_and(|of| is_of_it(&of)));
    let Some(topic) = of_topic.next() else { return Err(Error::UnknownTopicId { topic: String::new() }) };
    let number = partition.partition;
    let there = topic.partitions.iter().find(|of| of.partition.partition == number);
    let unknown =
        || Error::UnknownTopicOrPartition { topic: topic.name.to_string(), partition: Some(number) };
    match there.ok_or_else(unknown)?.leader {
        BrokerId::NOBODY => Err(Error::LeaderNotAvailable),
        leader => Ok(leader),
    }
}

#[derive(Debug)]
enum Reply {
    Produce(Answer<ProduceResponse>),
    Call(Answer<Response>),
}
