//! A client's way to a cluster of brokers: which broker leads what, and trying again where that has changed.
//!
//! To everything above it is a [`Service`] like an embedded broker: whom a request is addressed to is a hint. A request is sent to
//! the broker that it is for, as far as is known; where that is not so any more, or the broker is gone, it asks for metadata and
//! tries again, until the request's time is over. Then the last definite answer is the answer. Nothing here waits: answers and times
//! call.

mod attempt;
mod coordinators;
mod gathered;
mod listing;
mod metadata;

use super::REQUEST_TIMEOUT;
use crate::{
    env::{Clock, Slot, TimerQueue},
    error::Error,
    rpc::{
        Answer, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, Request, Response, Service,
        Ticket, Timed,
    },
    sync::Mutex,
    types::{BrokerId, Instant},
};
use attempt::{Attempt, Outgoing, Sent};
use gathered::Gathered;
use listing::Listing;
use metadata::KnownLeaders;
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::Duration,
};

/// How long what failed is left alone. (`retry.backoff.ms`)
const BACKOFF: Duration = Duration::from_millis(100);

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

#[derive(Debug)]
struct State {
    /// Whom to ask what nobody in particular has to answer.
    brokers: Vec<BrokerId>,
    /// The one among them that is asked now.
    preferred: usize,
    leaders: KnownLeaders,
    /// Who keeps which group.
    coordinators: BTreeMap<String, BrokerId>,
    /// What is to be done later, by time.
    later: TimerQueue<Later>,
}

#[derive(Debug)]
enum Later {
    Again(Box<Attempt>),
    /// Nobody has answered what was sent.
    Silence(Arc<Sent>),
    /// Groups are listed once more.
    List(Listing),
    /// Not all have answered who were asked for their groups.
    ListingSilence(Arc<listing::Round>),
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
            coordinators: BTreeMap::new(),
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
                Some(Later::List(listing)) => self.ask_who_keeps_groups(listing),
                Some(Later::ListingSilence(round)) => self.list_later(&round, &Error::RequestTimedOut),
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
        let produce = attempt::OutgoingProduce {
            partition: *partition,
            acks,
            durability,
            batch: batch.bytes().to_vec(),
            hint: to,
            ticket: Arc::clone(&ticket),
        };
        self.start(Outgoing::Produce(produce), timeout);
        Answer::Parked(ticket)
    }

    /// Asks all leaders of the partitions at once, and takes the first answer that tells anything. Of a partition whose leader has
    /// not answered by then it says [`Error::Timeout`].
    fn fetch(&self, to: BrokerId, request: &FetchRequest) -> Answer<FetchResponse> {
        let ticket: Ticket<FetchResponse> = Ticket::new(Slot::new());
        self.at(request.deadline.plus(SILENCE), Later::GiveUp(request.clone(), Arc::clone(&ticket)));
        let parts = self.by_leader(to, request);
        let gathered = Arc::new(Gathered::new(request, parts.len(), Arc::clone(&ticket)));
        for (leader, places) in parts {
            let part = gathered.part(&places);
            let (me, gathered) = (Weak::clone(&self.me), Arc::clone(&gathered));
            let answered = move |answer| {
                if let (Some(whole), Some(client)) = (gathered.take(&places, answer), me.upgrade()) {
                    client.fetched(&gathered, whole);
                }
            };
            match self.transport.fetch(leader, &part) {
                Answer::Ready(answer) => answered(answer.map_err(|error| *error)),
                Answer::Parked(parked) => parked.on_fill(answered),
            }
        }
        Answer::Parked(ticket)
    }

    fn call(&self, _to: BrokerId, request: Request) -> Answer<Response> {
        let ticket = Ticket::new(Slot::new());
        match request {
            Request::ListGroups(_) => self.list_groups(Arc::clone(&ticket)),
            request => self.start(Outgoing::Call { request, ticket: Arc::clone(&ticket) }, REQUEST_TIMEOUT),
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

    /// Gives a consumer what leaders have answered. That a partition has moved it learns a moment later: the new leader may not be
    /// known yet; but records that came with it are not kept from it.
    fn fetched(&self, asked: &Gathered, whole: FetchResponse) {
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
