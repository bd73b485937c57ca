//! A client's way to a cluster of brokers: which broker leads what, and trying again where that has changed.
//!
//! To everything above it is a [`Service`] like an embedded broker: whom a request is addressed to is a hint. A request is sent to
//! the broker that it is for, as far as is known; where that is not so any more, or the broker is gone, it asks for metadata and
//! tries again, until the request's time is over. Then the last definite answer is the answer. What is produced for all replicas in
//! sync is sent again also where it is in doubt, as an idempotent producer's (`sequences.rs`). Nothing here waits: answers and times
//! call.

mod attempt;
mod coordinators;
mod everywhere;
mod gathered;
mod idempotent;
mod lane;
mod metadata;
mod sequences;

use super::REQUEST_TIMEOUT;
use crate::{
    env::{Clock, Slot, TimerQueue},
    error::Error,
    rpc::{
        Answer, FetchRequest, FetchResponse, Fetched, MetadataRequest, ProduceRequest, ProduceResponse,
        Request, Response, Service, Ticket, Timed,
    },
    sync::Mutex,
    types::{Acks, BrokerId, Instant, TopicId},
};
use attempt::{Attempt, Outgoing, OutgoingProduce, Sent};
use everywhere::Question;
use gathered::{Gathered, Next};
use lane::BACKOFF;
use metadata::KnownLeaders;
use sequences::{BatchId, PartitionId, Sequences};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Weak},
    time::Duration,
};

/// How long a broker may be silent before another one is asked, beyond what it was allowed to wait.
const SILENCE: Duration = Duration::from_millis(500);

/// How long a broker may take over a request that waits for others. (`request.timeout.ms`)
const ATTEMPT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct NetworkClient {
    me: Weak<Self>,
    transport: Arc<dyn Service>,
    state: Mutex<State>,
}

/// Whether a leader does not know a topic, or not so many partitions of it.
fn is_unknown(result: &Result<Fetched, Error>) -> bool {
    result.as_ref().is_err_and(lane::is_unknown_topic)
}

#[derive(Debug)]
struct State {
    /// Whom to ask what nobody in particular has to answer.
    brokers: Vec<BrokerId>,
    /// The one among them that is asked now.
    preferred: usize,
    leaders: KnownLeaders,
    /// The newest version of the metadata that a broker has told of.
    newest_metadata: u64,
    /// Who keeps which group.
    coordinators: BTreeMap<String, BrokerId>,
    /// Of what is produced for all replicas in sync.
    sequences: Sequences,
    /// Those batches, as long as they are not answered.
    produces: BTreeMap<BatchId, OutgoingProduce>,
    /// What is to be done later, by time.
    later: TimerQueue<Later>,
}

#[derive(Debug)]
enum Later {
    Again(Box<Attempt>),
    /// Nobody has answered what was sent.
    Silence(Arc<Sent>),
    /// All leaders are asked once more.
    AskAll(Question),
    /// Not all of them have answered.
    RoundSilence(Arc<everywhere::Round>),
    /// What leaders have answered at this time is told.
    Tell(Arc<Gathered>),
    /// Something is due in a partition that is produced to.
    Wake(PartitionId),
    /// A fetch that nobody has answered, or that failed, is answered.
    GiveUp(FetchRequest, Ticket<FetchResponse>),
}

impl NetworkClient {
    /// A way to these brokers, any of which is asked first.
    pub(crate) fn new(transport: Arc<dyn Service>, brokers: Vec<BrokerId>) -> Arc<Self> {
        let state = State {
            brokers,
            preferred: 0,
            leaders: KnownLeaders::default(),
            newest_metadata: 0,
            coordinators: BTreeMap::new(),
            sequences: Sequences::default(),
            produces: BTreeMap::new(),
            later: TimerQueue::default(),
        };
        Arc::new_cyclic(|me| Self { me: Weak::clone(me), transport, state: Mutex::new(state) })
    }

    fn now(&self) -> Instant {
        self.transport.clock().now()
    }

    fn at(&self, at: Instant, what: Later) {
        self.state.lock().later.push(at, what);
        let me: Weak<dyn Timed> = Weak::<Self>::clone(&self.me);
        self.transport.schedule(at, me);
    }

    /// The broker that is asked what any can answer.
    fn any(&self) -> BrokerId {
        let state = self.state.lock();
        state.brokers.get(state.preferred).copied().unwrap_or_else(|| 1.into())
    }

    /// Asks another one the next time, if it was `failed`.
    fn avoid(&self, failed: BrokerId) {
        let mut state = self.state.lock();
        if state.brokers.get(state.preferred) == Some(&failed) {
            state.preferred = (state.preferred + 1) % state.brokers.len().max(1);
        }
    }

    /// Takes in which version of the metadata a broker has, and asks another one the next time if it is behind. Whether it is.
    fn note_version(&self, version: u64, by: BrokerId) -> bool {
        let is_behind = {
            let mut state = self.state.lock();
            state.newest_metadata = state.newest_metadata.max(version);
            version < state.newest_metadata
        };
        if is_behind {
            self.avoid(by);
        }
        is_behind
    }

    /// A cluster has these brokers now.
    pub(crate) fn set_brokers(&self, brokers: Vec<BrokerId>) {
        let mut state = self.state.lock();
        (state.brokers, state.preferred) = (brokers, 0);
    }

    fn start(&self, outgoing: Outgoing, within: Duration) {
        let deadline = self.now().plus(within);
        self.go(Attempt::new(outgoing, deadline));
    }

    /// Answers a fetch by saying that nobody leads any of its partitions here, so that the consumer asks for metadata.
    fn give_up(&self, request: &FetchRequest, ticket: &Ticket<FetchResponse>) {
        let partitions = request.partitions.iter().map(|_| Err(Error::NotLeaderOrFollower)).collect();
        let metadata_version = request.metadata_version.unwrap_or_default();
        ticket.fill(Ok(FetchResponse { partitions, metadata_version }));
    }
}

impl Timed for NetworkClient {
    fn due(&self, now: Instant) -> Option<Instant> {
        loop {
            let due = self.state.lock().later.pop(now);
            match due {
                Some(Later::Again(attempt)) => self.go(*attempt),
                Some(Later::Silence(sent)) => self.silent(&sent),
                Some(Later::AskAll(question)) => self.ask_all_leaders(question),
                Some(Later::RoundSilence(round)) => self.ask_later(&round, &Error::RequestTimedOut),
                Some(Later::Tell(gathered)) => {
                    if let Some(whole) = gathered.whole() {
                        self.fetched(&gathered, whole);
                    }
                }
                Some(Later::Wake(partition)) => self.wake_sequences(partition),
                Some(Later::GiveUp(request, ticket)) => self.give_up(&request, &ticket),
                // Each has its own call.
                None => return None,
            }
        }
    }
}

impl Service for NetworkClient {
    fn clock(&self) -> &Clock {
        self.transport.clock()
    }

    fn produce(&self, to: BrokerId, request: ProduceRequest<'_, '_>) -> Answer<ProduceResponse> {
        let ticket = Ticket::new(Slot::new());
        let ProduceRequest { partition, acks, timeout, durability, batch } = request;
        let produce = OutgoingProduce {
            partition: *partition,
            acks,
            durability,
            batch: batch.bytes().into(),
            hint: to,
            ticket: Arc::clone(&ticket),
            sequenced: None,
        };
        match acks {
            Acks::All => self.produce_once(produce, batch.header().record_count, timeout),
            Acks::Zero | Acks::One => self.start(Outgoing::Produce(produce), timeout),
        }
        Answer::Parked(ticket)
    }

    /// Asks all leaders of the partitions at once, and takes the first answer that tells anything, with all that come at the same
    /// time. Of a partition whose leader has not answered by then it says [`Error::Timeout`].
    fn fetch(&self, to: BrokerId, request: &FetchRequest) -> Answer<FetchResponse> {
        let ticket: Ticket<FetchResponse> = Ticket::new(Slot::new());
        self.at(request.deadline.plus(SILENCE), Later::GiveUp(request.clone(), Arc::clone(&ticket)));
        let parts = self.by_leader(to, request);
        let gathered = Arc::new(Gathered::new(request, parts.len(), Arc::clone(&ticket)));
        for (leader, places) in parts {
            let part = gathered.part(&places);
            let (me, gathered) = (Weak::clone(&self.me), Arc::clone(&gathered));
            let answered = move |answer: Result<FetchResponse, Error>| {
                let Some(client) = me.upgrade() else { return };
                match answer {
                    Err(error) if places.is_empty() => client.has_no_news(leader, gathered, error),
                    answer => match gathered.take(&places, answer) {
                        Next::Wait => {}
                        Next::Soon => client.at(client.now(), Later::Tell(gathered)),
                        Next::Tell(whole) => client.fetched(&gathered, whole),
                    },
                }
            };
            self.transport.fetch(leader, &part).on_answer(answered);
        }
        Answer::Parked(ticket)
    }

    fn call(&self, _to: BrokerId, request: Request) -> Answer<Response> {
        let ticket = Ticket::new(Slot::new());
        if everywhere::concerns_all(&request) {
            self.ask_everywhere(request, Arc::clone(&ticket));
        } else {
            self.start(Outgoing::Call { request, ticket: Arc::clone(&ticket) }, REQUEST_TIMEOUT);
        }
        Answer::Parked(ticket)
    }

    fn schedule(&self, at: Instant, task: Weak<dyn Timed>) {
        self.transport.schedule(at, task);
    }

    fn latency(&self) -> Duration {
        2 * SILENCE
    }
}

impl NetworkClient {
    /// The partitions of a fetch, by their places in it, and whom to ask for each.
    fn by_leader(&self, hint: BrokerId, request: &FetchRequest) -> BTreeMap<BrokerId, Vec<usize>> {
        let mut parts: BTreeMap<BrokerId, Vec<usize>> = BTreeMap::new();
        if request.partitions.is_empty() {
            parts.insert(self.any(), Vec::new());
        }
        let state = self.state.lock();
        for (place, wanted) in request.partitions.iter().enumerate() {
            parts.entry(state.leaders.of(&wanted.partition).unwrap_or(hint)).or_default().push(place);
        }
        parts
    }

    /// A broker that was to tell of news, and of no partition, is not there: a moment later another one may be asked.
    fn has_no_news(&self, broker: BrokerId, asked: Arc<Gathered>, error: Error) {
        if matches!(error, Error::Closed) {
            asked.ticket.fill(Err(error));
        } else {
            self.avoid(broker);
            self.at(self.now().plus(BACKOFF), Later::Tell(asked));
        }
    }

    /// Gives a consumer what leaders have answered. That a partition has moved it learns a moment later: the new leader may not be
    /// known yet; but records that came with it are not kept from it.
    fn fetched(&self, asked: &Arc<Gathered>, whole: FetchResponse) {
        self.note_version(whole.metadata_version, BrokerId::NOBODY);
        if whole.partitions.iter().any(is_unknown) {
            self.ask_what_is_gone(asked, whole);
        } else {
            self.tell_fetched(asked, whole);
        }
    }

    /// A leader does not know a topic: it is gone, or so new that it has not come to its leader yet. Whoever has metadata knows.
    fn ask_what_is_gone(&self, asked: &Arc<Gathered>, mut whole: FetchResponse) {
        let (me, asked, by) = (Weak::clone(&self.me), Arc::clone(asked), self.any());
        let told = move |answer: Result<Response, Error>| {
            let Some(client) = me.upgrade() else { return };
            let known: Option<BTreeSet<TopicId>> = match answer {
                // Of what came later one that is behind knows nothing.
                Ok(Response::Metadata(metadata)) if !client.note_version(metadata.version, by) => {
                    Some(metadata.topics.iter().map(|topic| topic.id).collect())
                }
                _ => None,
            };
            let is_gone = |id: TopicId| known.as_ref().is_some_and(|known| !known.contains(&id));
            let partitions = asked.request.partitions.iter().zip(&mut whole.partitions);
            for (wanted, result) in partitions.filter(|(_, result)| is_unknown(result)) {
                if !is_gone(wanted.partition.topic_id) {
                    *result = Err(Error::NotLeaderOrFollower);
                }
            }
            client.tell_fetched(&asked, whole);
        };
        self.transport.call(by, MetadataRequest { topics: None }.into()).on_answer(told);
    }

    fn tell_fetched(&self, asked: &Gathered, whole: FetchResponse) {
        let moved = |result: &Result<_, Error>| result.as_ref().is_err_and(attempt::has_moved);
        let records = whole.partitions.iter().flatten().any(|fetched| !fetched.records.is_empty());
        for (wanted, _) in
            asked.request.partitions.iter().zip(&whole.partitions).filter(|(_, result)| moved(result))
        {
            self.state.lock().leaders.forget(&wanted.partition);
        }
        if records || !whole.partitions.iter().any(moved) {
            asked.ticket.fill(Ok(whole));
        } else {
            self.at(
                self.now().plus(BACKOFF),
                Later::GiveUp(asked.request.clone(), Arc::clone(&asked.ticket)),
            );
        }
    }
}
