//! Fetches that wait for records.

use super::Node;
use crate::{
    env::TimerId,
    error::Error,
    rpc::{FetchRequest, FetchResponse, Ticket},
    sync::Mutex,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
};

/// The most requests that may wait in one broker.
const MAX_PARKED: usize = 100_000;

/// So few need no tidying.
const MIN_CROWD: usize = 16;

/// A fetch that found too little to answer with.
#[derive(Debug)]
pub(super) struct ParkedFetch {
    pub(super) id: u64,
    pub(super) request: FetchRequest,
    pub(super) ticket: Ticket<FetchResponse>,
    pub(super) node: Weak<Node>,
}

/// Somebody who waits for news of a partition.
pub(super) trait Waiter: Send + Sync + std::fmt::Debug {
    /// Something changed: answers, or waits on. Called with no lock held.
    fn look_again(self: Arc<Self>);
    /// Whether it was not answered yet.
    fn is_waiting(&self) -> bool;
}

impl Waiter for ParkedFetch {
    fn look_again(self: Arc<Self>) {
        if let Some(node) = self.node.upgrade() {
            node.retry_fetch(&self);
        }
    }

    fn is_waiting(&self) -> bool {
        !self.ticket.is_filled()
    }
}

/// All fetches that wait, with the timers that end their waiting.
#[derive(Debug, Default)]
pub(super) struct Parked {
    fetches: Mutex<Fetches>,
}

#[derive(Debug, Default)]
struct Fetches {
    last_id: u64,
    /// How many there may be before those are thrown out that nobody waits for any more.
    crowd: usize,
    by_id: BTreeMap<u64, (Arc<ParkedFetch>, Option<TimerId>)>,
}

impl Fetches {
    /// Throws out what its own client has answered, as a wakeup does. There may be twice as many as were left the last
    /// time, so that each costs little.
    fn forget_the_abandoned(&mut self) {
        if self.by_id.len() >= self.crowd {
            self.by_id.retain(|_, (fetch, _)| !fetch.ticket.is_filled());
            self.crowd = (2 * self.by_id.len()).clamp(MIN_CROWD, MAX_PARKED);
        }
    }
}

impl Parked {
    /// Takes in a request. `None`: as many wait as may.
    pub(super) fn park(&self, node: &Weak<Node>, request: &FetchRequest) -> Option<Arc<ParkedFetch>> {
        let mut fetches = self.fetches.lock();
        fetches.forget_the_abandoned();
        if fetches.by_id.len() >= MAX_PARKED {
            return None;
        }
        fetches.last_id += 1;
        let id = fetches.last_id;
        let ticket = Ticket::new(crate::env::Slot::new());
        let fetch = Arc::new(ParkedFetch { id, request: request.clone(), ticket, node: Weak::clone(node) });
        fetches.by_id.insert(id, (Arc::clone(&fetch), None));
        Some(fetch)
    }

    /// Notes the timer of a fetch; gives it back if the fetch was answered meanwhile.
    pub(super) fn set_timer(&self, id: u64, timer: TimerId) -> Result<(), TimerId> {
        match self.fetches.lock().by_id.get_mut(&id) {
            Some((_, slot)) => {
                *slot = Some(timer);
                Ok(())
            }
            None => Err(timer),
        }
    }

    /// Takes a fetch out, if it still waits.
    pub(super) fn unpark(&self, id: u64) -> Option<(Arc<ParkedFetch>, Option<TimerId>)> {
        self.fetches.lock().by_id.remove(&id)
    }

    /// How many there are that somebody waits for.
    pub(super) fn waiting(&self) -> usize {
        self.fetches.lock().by_id.values().filter(|(fetch, _)| !fetch.ticket.is_filled()).count()
    }

    /// Those that wait for newer metadata than they know of, too, which is at `version` now.
    pub(super) fn who_watches(&self, version: u64) -> Vec<Arc<ParkedFetch>> {
        let fetches = self.fetches.lock();
        let waiting = fetches.by_id.values().map(|(fetch, _)| fetch);
        let watches =
            |fetch: &&Arc<ParkedFetch>| fetch.request.metadata_version.is_some_and(|known| known < version);
        waiting.filter(watches).cloned().collect()
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.fetches.lock().by_id.len()
    }

    /// Ends all waiting with an error.
    pub(super) fn fail_all(&self, error: &Error) {
        let all = std::mem::take(&mut self.fetches.lock().by_id);
        for (fetch, _) in all.into_values() {
            fetch.ticket.fill(Err(error.clone()));
        }
    }
}
