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

impl Service for Transport {
    fn clock(&self) -> &Clock {
        self.0.post.clock()
    }

    fn produce(&self, to: BrokerId, request: ProduceRequest<'_, '_>) -> Answer<ProduceResponse> {
        let ticket = Ticket::new(Slot::new());
        let ProduceRequest { partition, acks, timeout, durability, batch } = request;
        let batch = batch.bytes().to_vec();
        let request = OwnedProduce { partition: *partition, acks, timeout, durability, batch };
        self.0.ask(to, ClientRequest::Produce { request, ticket: Arc::clone(&ticket) });
        Answer::Parked(ticket)
    }

    fn fetch(&self, to: BrokerId, request: &FetchRequest) -> Answer<FetchResponse> {
        let ticket = Ticket::new(Slot::new());
        self.0.ask(to, ClientRequest::Fetch { request: request.clone(), ticket: Arc::clone(&ticket) });
        Answer::Parked(ticket)
    }

    fn call(&self, to: BrokerId, mut request: Request) -> Answer<Response> {
        if let Request::JoinGroup(join) = &mut request {
            // A broker elsewhere cannot call a member: that hears of a rebalance by its heartbeat.
            join.notify = None;
        }
        let ticket = Ticket::new(Slot::new());
        self.0.ask(to, ClientRequest::Call { request, ticket: Arc::clone(&ticket) });
        Answer::Parked(ticket)
    }

    fn schedule(&self, at: Instant, task: Weak<dyn Timed>) {
        self.0.post.push(at, Event::Task(task));
    }
}
