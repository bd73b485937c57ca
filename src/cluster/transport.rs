//! How a client's requests get to the brokers of a cluster.

use super::{
    post::{ClientRequest, Event, OwnedProduce},
    world::World,
};
use crate::{
    env::{Clock, Slot},
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
    fn ask<T>(&self, to: BrokerId, request: impl FnOnce(Ticket<T>) -> ClientRequest) -> Answer<T> {
        if let Err(closed) = self.0.check_open() {
            return Answer::Ready(Err(closed.into()));
        }
        let ticket = Ticket::new(Slot::new());
        self.0.ask(to, request(Arc::clone(&ticket)));
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
