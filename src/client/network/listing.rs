//! All groups of a cluster: each broker knows those that it keeps, and all of those brokers are asked.

use super::{BACKOFF, Later, NetworkClient, REQUEST_TIMEOUT, SILENCE};
use crate::{
    error::{Error, Result},
    rpc::{
        Answer, ListGroupsRequest, ListGroupsResponse, MetadataRequest, MetadataResponse, Request, Response,
        Ticket,
    },
    sync::Mutex,
    types::{BrokerId, Instant},
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

/// The topic whose partitions' leaders keep groups.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Somebody wants to know all groups.
#[derive(Debug)]
pub(super) struct Listing {
    ticket: Ticket<Response>,
    deadline: Instant,
}

/// One try: whoever takes the listing out goes on with it, the last answer, the first failure, or the silence.
#[derive(Debug)]
pub(super) struct Round {
    state: Mutex<Found>,
}

#[derive(Debug)]
struct Found {
    listing: Option<Listing>,
    groups: BTreeSet<String>,
    /// How many brokers have not answered.
    waiting: usize,
}

impl Round {
    fn new(listing: Listing) -> Arc<Self> {
        let found = Found { listing: Some(listing), groups: BTreeSet::new(), waiting: 0 };
        Arc::new(Self { state: Mutex::new(found) })
    }

    fn give_up(&self) -> Option<Listing> {
        self.state.lock().listing.take()
    }

    /// Takes in what a broker has answered; all of them, once the last one has.
    fn take(&self, groups: Vec<String>) -> Option<(Listing, Vec<String>)> {
        let mut state = self.state.lock();
        state.groups.extend(groups);
        state.waiting = state.waiting.saturating_sub(1);
        if state.waiting > 0 {
            return None;
        }
        let listing = state.listing.take()?;
        Some((listing, std::mem::take(&mut state.groups).into_iter().collect()))
    }
}

impl NetworkClient {
    pub(super) fn list_groups(&self, ticket: Ticket<Response>) {
        let deadline = self.now().plus(REQUEST_TIMEOUT);
        self.ask_who_keeps_groups(Listing { ticket, deadline });
    }

    pub(super) fn ask_who_keeps_groups(&self, listing: Listing) {
        let round = Round::new(listing);
        self.at(self.now().plus(4 * SILENCE), Later::ListingSilence(Arc::clone(&round)));
        let to = self.any();
        let request = MetadataRequest { topics: Some(vec![OFFSETS_TOPIC.to_owned()]) };
        self.ask_for_round(to, request.into(), &round, move |client, round, answer| match answer {
            Response::Metadata(metadata) => client.ask_for_groups(round, &metadata),
            _ => client.list_later(round, &Error::CoordinatorNotAvailable { group: String::new() }),
        });
    }

    /// Asks those who lead the topic's partitions. Where there is no such topic, there are no groups.
    fn ask_for_groups(&self, round: &Arc<Round>, metadata: &MetadataResponse) {
        let partitions = metadata.topics.iter().flat_map(|topic| &topic.partitions);
        let leaders: BTreeSet<BrokerId> = partitions.map(|partition| partition.leader).collect();
        if leaders.contains(&BrokerId::NOBODY) {
            return self.list_later(round, &Error::CoordinatorNotAvailable { group: String::new() });
        }
        round.state.lock().waiting = leaders.len().max(1);
        if leaders.is_empty() {
            self.listed(round, Vec::new());
        }
        for leader in leaders {
            self.ask_for_round(
                leader,
                ListGroupsRequest.into(),
                round,
                |client, round, answer| match answer {
                    Response::ListGroups(ListGroupsResponse { groups }) => client.listed(round, groups),
                    _ => client.list_later(round, &Error::CoordinatorNotAvailable { group: String::new() }),
                },
            );
        }
    }

    fn listed(&self, round: &Round, groups: Vec<String>) {
        if let Some((listing, groups)) = round.take(groups) {
            listing.ticket.fill(Ok(Response::ListGroups(ListGroupsResponse { groups })));
        }
    }

    fn ask_for_round(
        &self,
        to: BrokerId,
        request: Request,
        round: &Arc<Round>,
        then: impl FnOnce(&Self, &Arc<Round>, Response) + Send + 'static,
    ) {
        let (me, round) = (Weak::clone(&self.me), Arc::clone(round));
        let told = move |answer: Result<Response>| {
            let Some(client) = me.upgrade() else { return };
            match answer {
                Ok(answer) => then(&client, &round, answer),
                Err(error) => {
                    client.avoid(to);
                    client.list_later(&round, &error);
                }
            }
        };
        match self.transport.call(to, request) {
            Answer::Ready(answer) => told(answer.map_err(|error| *error)),
            Answer::Parked(ticket) => ticket.on_fill(told),
        }
    }

    /// A try has failed, or nobody has answered.
    pub(super) fn list_later(&self, round: &Round, error: &Error) {
        let Some(listing) = round.give_up() else { return };
        let again = self.now().plus(BACKOFF);
        if again < listing.deadline {
            self.at(again, Later::List(listing));
        } else {
            listing.ticket.fill(Err(error.clone()));
        }
    }
}
