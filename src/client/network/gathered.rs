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
    told: bool,
}

impl Gathered {
    pub(super) fn new(request: &FetchRequest, leaders: usize, ticket: Ticket<FetchResponse>) -> Self {
        let results = request.partitions.iter().map(|_| None).collect();
        let metadata_version = request.metadata_version.unwrap_or_default();
        let state = Mutex::new(State { results, metadata_version, waiting: leaders, told: false });
        Self { request: request.clone(), ticket, state }
    }

    /// The part of the request for one leader.
    pub(super) fn part(&self, places: &[usize]) -> FetchRequest {
        let partitions =
            places.iter().filter_map(|place| self.request.partitions.get(*place)).cloned().collect();
        FetchRequest { partitions, ..self.request.clone() }
    }

    /// Takes in what a leader has answered; the whole answer, if there is something to tell by now, once.
    pub(super) fn take(&self, places: &[usize], answer: Result<FetchResponse>) -> Option<FetchResponse> {
        let mut state = self.state.lock();
        state.waiting = state.waiting.saturating_sub(1);
        let mut tells = state.waiting == 0;
        match answer {
            Ok(response) => {
                tells |=
                    self.request.metadata_version.is_some_and(|known| known != response.metadata_version);
                state.metadata_version = response.metadata_version;
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
        if !tells || std::mem::replace(&mut state.told, true) {
            return None;
        }
        let results = std::mem::take(&mut state.results);
        let partitions = results.into_iter().map(|result| result.unwrap_or(Err(Error::Timeout))).collect();
        Some(FetchResponse { partitions, metadata_version: state.metadata_version })
    }
}

fn put(results: &mut [Option<Result<Fetched>>], place: usize, result: Result<Fetched>) {
    if let Some(slot) = results.get_mut(place) {
        *slot = Some(result);
    }
}
