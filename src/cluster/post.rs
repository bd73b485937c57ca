//! What is yet to happen in a world, in order of time, and the network, which decides when a message arrives, and whether.

use super::{host::Message, machine::Machine, network::Network};
use crate::{
    env::{Alarm, Clock, Slot, TimerQueue},
    error::{Error, Result},
    rpc::{FetchRequest, FetchResponse, PartitionRef, ProduceResponse, Request, Response, Ticket, Timed},
    sync::Mutex,
    types::{Acks, BrokerId, Durability, Instant},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

/// Something that will happen.
pub(super) enum Event {
    /// A broker's message to another arrives.
    Message { from: BrokerId, to: BrokerId, message: Message },
    /// A client's request arrives.
    Asked { to: BrokerId, request: ClientRequest },
    /// One that was held up arrives.
    Late { to: BrokerId, request: ClientRequest },
    /// A broker's message that was held up arrives.
    LateMessage { from: BrokerId, to: BrokerId, message: Message },
    /// Something is due at a broker; nothing, if that process has ended.
    Wake { broker: BrokerId, incarnation: u64 },
    /// A broker's process has waited for its disk.
    Waited { broker: BrokerId, incarnation: u64 },
    /// An answer arrives at a client.
    Answered(Box<dyn FnOnce() + Send>),
    /// Something is due at a client.
    Task(Weak<dyn Timed>),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message { from, to, message } | Self::LateMessage { from, to, message } => {
                write!(f, "{from} -> {to}: {message:?}")
            }
            Self::Asked { to, request } | Self::Late { to, request } => {
                write!(f, "client -> {to}: {request:?}")
            }
            Self::Wake { broker, .. } => write!(f, "wake {broker}"),
            Self::Waited { broker, .. } => write!(f, "the disk of {broker}"),
            Self::Answered(_) => f.write_str("answer"),
            Self::Task(_) => f.write_str("task"),
        }
    }
}

/// A request with the place for its answer.
#[derive(Debug)]
pub(super) enum ClientRequest {
    Produce { request: OwnedProduce, ticket: Ticket<ProduceResponse> },
    Fetch { request: FetchRequest, ticket: Ticket<FetchResponse> },
    Call { request: Request, ticket: Ticket<Response> },
}

/// A produce request on its way.
#[derive(Debug)]
pub(super) struct OwnedProduce {
    pub(super) partition: PartitionRef,
    pub(super) acks: Acks,
    pub(super) timeout: Duration,
    pub(super) durability: Durability,
    pub(super) batch: Vec<u8>,
}

/// A client that waits for a broker, so that it can be told when the connection breaks.
#[derive(Debug)]
pub(super) enum Connection {
    Produce(Ticket<ProduceResponse>),
    Fetch(Ticket<FetchResponse>),
    Call(Ticket<Response>),
}

impl Connection {
    pub(super) fn is_open(&self) -> bool {
        !match self {
            Self::Produce(ticket) => ticket.is_filled(),
            Self::Fetch(ticket) => ticket.is_filled(),
            Self::Call(ticket) => ticket.is_filled(),
        }
    }

    pub(super) fn fail(self, post: &Arc<Post>, from: BrokerId, error: Error) {
        match self {
            Self::Produce(ticket) => post.answer(from, &ticket, Err(error)),
            Self::Fetch(ticket) => post.answer(from, &ticket, Err(error)),
            Self::Call(ticket) => post.answer(from, &ticket, Err(error)),
        }
    }
}

/// A connection that breaks when an answer is about to be sent on it.
struct Lost {
    connection: Connection,
    post: Arc<Post>,
    broker: BrokerId,
}

impl Lost {
    fn ticket<T: Send + 'static>(self) -> Ticket<T> {
        let ticket = Ticket::new(Slot::new());
        ticket.on_fill(move |_| self.connection.fail(&self.post, self.broker, Error::NetworkException));
        ticket
    }
}

impl ClientRequest {
    /// The same, but that its answer does not arrive: the connection breaks then.
    pub(super) fn without_answer(self, post: &Arc<Post>, broker: BrokerId) -> Self {
        let connection = self.connection();
        let breaks = Lost { connection, post: Arc::clone(post), broker };
        match self {
            Self::Produce { request, .. } => Self::Produce { request, ticket: breaks.ticket() },
            Self::Fetch { request, .. } => Self::Fetch { request, ticket: breaks.ticket() },
            Self::Call { request, .. } => Self::Call { request, ticket: breaks.ticket() },
        }
    }

    pub(super) fn connection(&self) -> Connection {
        match self {
            Self::Produce { ticket, .. } => Connection::Produce(Arc::clone(ticket)),
            Self::Fetch { ticket, .. } => Connection::Fetch(Arc::clone(ticket)),
            Self::Call { ticket, .. } => Connection::Call(Arc::clone(ticket)),
        }
    }
}

/// Takes what is to happen, from whoever holds whatever lock: nothing is called from here.
#[derive(Debug)]
pub(super) struct Post {
    clock: Clock,
    state: Mutex<State>,
    /// Wakes whoever drives by the wall clock.
    alarm: Alarm,
}

#[derive(Debug)]
struct State {
    events: TimerQueue<Event>,
    network: Network,
    /// What brokers have to wait for before they go on.
    machines: BTreeMap<BrokerId, Machine>,
}

impl State {
    /// When something leaves a broker that is sent by what it does now.
    fn leaves(&self, from: BrokerId, now: Instant) -> Instant {
        now.plus(self.machines.get(&from).map_or(Duration::ZERO, Machine::delay))
    }
}

impl Post {
    pub(super) fn new(clock: Clock, network: Network) -> Arc<Self> {
        let state = State { events: TimerQueue::default(), network, machines: BTreeMap::new() };
        Arc::new(Self { clock, state: Mutex::new(state), alarm: Alarm::default() })
    }

    /// There is another broker, with this machine.
    pub(super) fn add_broker(&self, id: BrokerId, machine: Machine) {
        self.state.lock().machines.insert(id, machine);
    }

    pub(super) fn remove_broker(&self, id: BrokerId) {
        self.state.lock().machines.remove(&id);
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Changes the network, or asks it something.
    pub(super) fn network<T>(&self, with: impl FnOnce(&mut Network) -> T) -> T {
        with(&mut self.state.lock().network)
    }

    pub(super) fn push(&self, at: Instant, event: Event) {
        self.state.lock().events.push(at, event);
        self.came();
    }

    /// Something was put in.
    fn came(&self) {
        if let Clock::System(_) = self.clock {
            self.alarm.ring();
        }
    }

    /// Waits until something is due, or something has been put in.
    pub(super) fn sleep(&self) {
        self.alarm.sleep(&self.clock, self.next().unwrap_or(Instant::MAX));
    }

    /// Ends a wait.
    pub(super) fn ring(&self) {
        self.alarm.ring();
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.state.lock().events.next()
    }

    pub(super) fn pop(&self, now: Instant) -> Option<Event> {
        self.state.lock().events.pop(now)
    }

    /// Sends a message from one broker to another. It may be lost, come twice, or late.
    pub(super) fn send(&self, from: BrokerId, to: BrokerId, message: &Message) {
        let mut state = self.state.lock();
        let now = state.leaves(from, self.clock.now());
        for at in state.network.arrivals(Some(from), Some(to), now) {
            state.events.push(at, Event::Message { from, to, message: message.clone() });
        }
        drop(state);
        self.came();
    }

    /// Sends a client's request to a broker. The connection keeps it from coming twice.
    pub(super) fn ask(&self, to: BrokerId, request: ClientRequest) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let arrival = state.network.arrivals(None, Some(to), now).into_iter().next();
        if let Some(at) = arrival {
            state.events.push(at, Event::Asked { to, request });
        }
        drop(state);
        self.came();
    }

    /// Sends a broker's answer to a client.
    pub(super) fn answer<T: Send + 'static>(
        self: &Arc<Self>,
        from: BrokerId,
        to: &Ticket<T>,
        answer: Result<T>,
    ) {
        let ticket = Arc::clone(to);
        self.tell_client(from, move || {
            ticket.fill(answer);
        });
    }

    /// Has something happen at a client when a broker's message has come there, if it does.
    pub(super) fn tell_client(&self, from: BrokerId, then: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock();
        let now = state.leaves(from, self.clock.now());
        let arrival = state.network.arrivals(Some(from), None, now).into_iter().next();
        if let Some(at) = arrival {
            state.events.push(at, Event::Answered(Box::new(then)));
        }
        drop(state);
        self.came();
    }
}
