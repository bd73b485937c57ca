//! The feature `metrics`: each second what the broker counts goes to the recorder that the application has installed. Nobody who
//! appends or reads has anything to do with it. Without the feature no timer is armed.
//!
//! On a manual clock it goes there when the time was moved, however far: nobody wants a year of seconds.

#[cfg(feature = "metrics")]
mod facade;

use super::{BrokerMetrics, Node, Task};
use crate::{env::Clock, sync::Mutex, types::Instant};
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Published(Mutex<Last>);

#[derive(Debug, Default)]
struct Last {
    metrics: BrokerMetrics,
    /// When it is time again, on a manual clock.
    due: Instant,
}

impl Node {
    /// Sees to the first time.
    pub(super) fn begin_publishing(&self) {
        if cfg!(feature = "metrics") {
            facade::describe();
            self.publish_later();
        }
    }

    fn publish_later(&self) {
        let at = self.clock.now().plus(EVERY);
        match self.clock {
            Clock::System(_) => drop(self.timers.arm(at, Task::Publish)),
            Clock::Manual(_) => self.published.0.lock().due = at,
        }
    }

    /// What the timer has done.
    pub(super) fn check_publishing(&self) {
        self.publish_counts();
        self.publish_later();
    }

    /// A manual clock was moved.
    pub(super) fn publish_if_due(&self, now: Instant) {
        if cfg!(feature = "metrics") && self.check_open().is_ok() && now >= self.published.0.lock().due {
            self.check_publishing();
        }
    }

    /// Publishes what was done since the last time, while the logs are there to be asked. Nobody else publishes any more.
    pub(super) fn end_publishing(&self) {
        if cfg!(feature = "metrics") {
            self.publish_counts();
        }
    }

    fn publish_counts(&self) {
        let now = self.metrics();
        // A recorder is user code: no lock is held while it is told.
        let before = std::mem::take(&mut self.published.0.lock().metrics);
        facade::publish(&self.dir.to_string_lossy(), &now, &before);
        self.published.0.lock().metrics = now;
    }
}

#[cfg(not(feature = "metrics"))]
mod facade {
    use super::BrokerMetrics;

    pub(super) fn describe() {}

    pub(super) fn publish(_dir: &str, _now: &BrokerMetrics, _before: &BrokerMetrics) {}
}
