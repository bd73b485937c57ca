//! What is due at some time, in order.

use crate::types::Instant;
use std::collections::BTreeMap;

/// Things by the time they are due; among those due at the same time, the one that was put in first goes first. No lock, no clock.
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    things: BTreeMap<TimerId, T>,
    count: u64,
}

/// Something that was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerId(Instant, u64);

impl<T> Default for TimerQueue<T> {
    fn default() -> Self {
        Self { things: BTreeMap::new(), count: 0 }
    }
}

impl<T> TimerQueue<T> {
    /// Puts in a thing that is due at `at`; one that is never due is not kept.
    pub(crate) fn push(&mut self, at: Instant, thing: T) -> TimerId {
        self.count += 1;
        let id = TimerId(at, self.count);
        if at < Instant::MAX {
            self.things.insert(id, thing);
        }
        id
    }

    /// Takes out what has not come out.
    pub(crate) fn remove(&mut self, id: TimerId) {
        self.things.remove(&id);
    }

    /// When the first one is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.things.first_key_value().map(|(id, _)| id.0)
    }

    /// Takes out the first one that is due at `now`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<T> {
        let first = self.things.first_entry().filter(|entry| entry.key().0 <= now);
        first.map(|entry| entry.remove())
    }
}
