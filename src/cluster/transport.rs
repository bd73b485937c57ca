//! How a client's requests get to the brokers of a cluster.

use super::{
    post::{ClientRequest, Event, OwnedProduce},
    trace::{Answered, Asked},
    world::World,
};
use crate::{
    env::{Clock, Slot},
    error::Result,
    rpc::{
        Answer, FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, Request, Response, Service,
        Ticket, Timed,
    },
    types::{BrokerId, Instant},
};
use std::sync::{Arc, Weak};

/// Takes requests, and has them arrive at brokers.
#[derive(Debug)]
pub(super) struct Transport(pub(super) Arc<World>);

impl Transport {
    fn ask<T: Answered>(&self, to: BrokerId, request: impl FnOnce(Ticket<T>) -> ClientRequest) -> Answer<T> {
        if let Err(closed) = self.0.check_open() {
            return Answer::Ready(Err(closed.into()));
        }
        let (noted, ticket) = (Ticket::new(Slot::new()), Ticket::new(Slot::new()));
        let request = request(Arc::clone(&noted));
        // What becomes of it is noted on the way to the client.
        let (trace, clock) = (Arc::clone(&self.0.trace), self.clock().clone());
        let number = trace.asked(clock.now(), to, Asked::of(&request));
        let waits = Arc::clone(&ticket);
        noted.on_fill(move |answer: Result<T>| {
            let outcome = answer.as_ref().map_or_else(Into::into, Answered::outcome);
            trace.answered(clock.now(), number, outcome);
            waits.fill(answer);
        });
        self.0.ask(to, request);
        Answer::Parked(ticket)
    }
}

impl Service for Transport {
    fn clock(&self) -> &Clock {
        self.0.post.clock()
    }

    fn produce(&self, to: BrokerId, request: ProduceRequest<'_, '_>) -> Answer<ProduceResponse> {
        let ProduceRequest { partition, acks, timeout, durability, batch } = request;
        let batch = batch.bytes().to_vec();
        let request = OwnedProduce { partition: *partition, acks, timeout, durability, batch };
        self.ask(to, |ticket| ClientRequest::Produce { request, ticket })
    }

    fn fetch(&self, to: BrokerId, request: &FetchRequest) -> Answer<FetchResponse> {
        let request = request.clone();
        self.ask(to, |ticket| ClientRequest::Fetch { request, ticket })
    }

    fn call(&self, to: BrokerId, request: Request) -> Answer<Response> {
        self.ask(to, |ticket| ClientRequest::Call { request, ticket })
    }

    fn schedule(&self, at: Instant, task: Weak<dyn Timed>) {
        self.0.post.push(at, Event::Task(task));
    }
}
