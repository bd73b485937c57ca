//! The broker's one queue of timers.

use crate::{env::Alarm, sync::Mutex, types::Instant};
use std::collections::BTreeMap;

/// Tasks by the time they are due; among those due at the same time, the one that was armed first goes first.
#[derive(Debug)]
pub(super) struct Timers<T> {
    queue: Mutex<Queue<T>>,
    alarm: Alarm,
}

#[derive(Debug)]
struct Queue<T> {
    tasks: BTreeMap<(Instant, u64), T>,
    armed: u64,
}

/// A timer that was armed.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimerId(Instant, u64);

impl<T> Timers<T> {
    pub(super) fn new() -> Self {
        Self { queue: Mutex::new(Queue { tasks: BTreeMap::new(), armed: 0 }), alarm: Alarm::default() }
    }

    /// Puts in a task that is due at `at`; one that is never due is not kept.
    pub(super) fn arm(&self, at: Instant, task: T) -> TimerId {
        let mut queue = self.queue.lock();
        queue.armed += 1;
        let id = TimerId(at, queue.armed);
        let earliest = queue.tasks.keys().next().is_none_or(|(first, _)| at < *first);
        if at < Instant::MAX {
            queue.tasks.insert((id.0, id.1), task);
        }
        drop(queue);
        if earliest {
            self.alarm.ring();
        }
        id
    }

    /// Takes out a task that has not fired.
    pub(super) fn disarm(&self, id: TimerId) {
        self.queue.lock().tasks.remove(&(id.0, id.1));
    }

    /// When the next task is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.lock().tasks.keys().next().map(|(at, _)| *at)
    }

    /// Takes out the first task that is due at `now`.
    pub(super) fn pop(&self, now: Instant) -> Option<T> {
        let mut queue = self.queue.lock();
        let first = queue.tasks.first_entry().filter(|entry| entry.key().0 <= now);
        first.map(|entry| entry.remove())
    }

    /// What the thread that drives the queue sleeps on.
    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_come_out_in_order_of_their_deadlines_and_then_of_arming() {
        let timers = Timers::new();
        let at = Instant::from_nanos;
        for (due, name) in [(5, "c"), (3, "a"), (5, "d"), (3, "b"), (9, "z")] {
            timers.arm(at(due), name);
        }
        let gone = timers.arm(at(4), "gone");
        timers.disarm(gone);
        timers.arm(Instant::MAX, "never");
        assert_eq!(timers.next(), Some(at(3)));
        let due: Vec<_> = std::iter::from_fn(|| timers.pop(at(5))).collect();
        assert_eq!(due, ["a", "b", "c", "d"]);
        assert_eq!(timers.next(), Some(at(9)));
    }
}
