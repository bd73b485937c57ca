//! A fetch from several leaders at once.

use super::attempt::has_moved;
use crate::{
    error::{Error, Result},
    rpc::{FetchRequest, FetchResponse, Fetched, Ticket},
    sync::Mutex,
};

#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) request: FetchRequest,
    pub(super) ticket: Ticket<FetchResponse>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By place in the request.
    results: Vec<Option<Result<Fetched>>>,
    metadata_version: u64,
    /// How many leaders have not answered.
    waiting: usize,
    told: Told,
}

/// Whether the consumer is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    /// There is something to tell, once all has come in that comes at the same time.
    Soon,
    Yes,
}

/// What is to be done when an answer has come in.
#[derive(Debug)]
pub(super) enum Next {
    Wait,
    /// Take the whole at the end of this instant.
    Soon,
    Tell(FetchResponse),
}

impl Gathered {
    pub(super) fn new(request: &FetchRequest, leaders: usize, ticket: Ticket<FetchResponse>) -> Self {
        let results = request.partitions.iter().map(|_| None).collect();
        let metadata_version = request.metadata_version.unwrap_or_default();
        let state = Mutex::new(State { results, metadata_version, waiting: leaders, told: Told::No });
        Self { request: request.clone(), ticket, state }
    }

    /// The part of the request for one leader.
    pub(super) fn part(&self, places: &[usize]) -> FetchRequest {
        let partitions =
            places.iter().filter_map(|place| self.request.partitions.get(*place)).cloned().collect();
        FetchRequest { partitions, ..self.request.clone() }
    }

    /// Takes in what a leader has answered.
    pub(super) fn take(&self, places: &[usize], answer: Result<FetchResponse>) -> Next {
        let mut state = self.state.lock();
        state.waiting = state.waiting.saturating_sub(1);
        let mut tells = state.waiting == 0;
        match answer {
            Ok(response) => {
                tells |= self.request.metadata_version.is_some_and(|known| known < response.metadata_version);
                state.metadata_version = state.metadata_version.max(response.metadata_version);
                for (place, result) in places.iter().zip(response.partitions) {
                    tells |= result.as_ref().map_or(true, |fetched| !fetched.records.is_empty());
                    put(&mut state.results, *place, result);
                }
            }
            Err(error) => {
                tells = true;
                // Whoever is not there, or breaks off, leads nothing any more.
                let error = if has_moved(&error) { Error::NotLeaderOrFollower } else { error };
                places.iter().for_each(|place| put(&mut state.results, *place, Err(error.clone())));
            }
        }
        match state.told {
            _ if state.waiting == 0 => state.tell().map_or(Next::Wait, Next::Tell),
            Told::No if tells => {
                state.told = Told::Soon;
                Next::Soon
            }
            Told::No | Told::Soon | Told::Yes => Next::Wait,
        }
    }

    /// The whole answer, as far as it has come, once.
    pub(super) fn whole(&self) -> Option<FetchResponse> {
        self.state.lock().tell()
    }
}

impl State {
    fn tell(&mut self) -> Option<FetchResponse> {
        if std::mem::replace(&mut self.told, Told::Yes) == Told::Yes {
            return None;
        }
        let results = std::mem::take(&mut self.results);
        let partitions = results.into_iter().map(|result| result.unwrap_or(Err(Error::Timeout))).collect();
        Some(FetchResponse { partitions, metadata_version: self.metadata_version })
    }
}

fn put(results: &mut [Option<Result<Fetched>>], place: usize, result: Result<Fetched>) {
    if let Some(slot) = results.get_mut(place) {
        *slot = Some(result);
    }
}
