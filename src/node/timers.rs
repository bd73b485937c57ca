//! The broker's one queue of timers.

use crate::{
    env::{Alarm, TimerId, TimerQueue},
    sync::Mutex,
    types::Instant,
};

/// Tasks by the time they are due; among those due at the same time, the one that was armed first goes first.
#[derive(Debug)]
pub(super) struct Timers<T> {
    queue: Mutex<TimerQueue<T>>,
    alarm: Alarm,
}

impl<T> Timers<T> {
    pub(super) fn new() -> Self {
        Self { queue: Mutex::new(TimerQueue::default()), alarm: Alarm::default() }
    }

    /// Puts in a task that is due at `at`; one that is never due is not kept.
    pub(super) fn arm(&self, at: Instant, task: T) -> TimerId {
        let mut queue = self.queue.lock();
        let earliest = queue.next().is_none_or(|first| at < first);
        let id = queue.push(at, task);
        drop(queue);
        if earliest {
            self.alarm.ring();
        }
        id
    }

    /// Takes out a task that has not fired.
    pub(super) fn disarm(&self, id: TimerId) {
        self.queue.lock().remove(id);
    }

    /// When the next task is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.lock().next()
    }

    /// Takes out the first task that is due at `now`.
    pub(super) fn pop(&self, now: Instant) -> Option<T> {
        self.queue.lock().pop(now)
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
