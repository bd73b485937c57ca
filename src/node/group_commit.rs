//! One sync for all who wait: whoever comes while a partition is synced is served by the next sync, which the first of
//! them does for all.

use crate::sync::{AtomicUsize, Condvar, Mutex, Ordering, yield_now};

/// How often who syncs lets other threads run before it does, while fewer have come than were served together last time:
/// they are on their way with their next records. Measured with 8 and 64 threads on two cores.
const GATHER: usize = 64;

#[derive(Debug, Default)]
pub(super) struct GroupCommit {
    state: Mutex<State>,
    ended: Condvar,
    /// How many wait for the next sync.
    arrived: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    claimed: bool,
    /// How many the last sync served.
    served: usize,
}

/// Keeps every other sync of the partition from beginning, until it is dropped.
#[derive(Debug)]
pub(super) struct Claim<'c> {
    commit: &'c GroupCommit,
    served: usize,
}

impl GroupCommit {
    /// Waits until nobody else syncs. `None` if meanwhile somebody has done what was wanted.
    pub(super) fn claim(&self, is_done: impl Fn() -> bool) -> Option<Claim<'_>> {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state.lock();
        while state.claimed {
            self.ended.wait(&mut state);
            if is_done() {
                return None;
            }
        }
        state.claimed = true;
        Some(Claim { commit: self, served: state.served })
    }
}

impl Claim<'_> {
    /// Lets those arrive that are on their way. Who comes from now on is served by the next sync.
    pub(super) fn gather(&mut self) {
        for _ in 0..GATHER {
            if self.commit.arrived.load(Ordering::Relaxed) >= self.served {
                break;
            }
            yield_now();
        }
        self.served = self.commit.arrived.swap(0, Ordering::Relaxed);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.commit.state.lock();
        (state.claimed, state.served) = (false, self.served);
        drop(state);
        self.commit.ended.notify_all();
    }
}
