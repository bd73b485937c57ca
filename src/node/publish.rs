//! The feature `metrics`: each second what the broker counts goes to the recorder that the application has installed. Nobody who
//! appends or reads has anything to do with it. Without the feature no timer is armed.

#[cfg(feature = "metrics")]
mod facade;

use super::{BrokerMetrics, Node, Task};
use crate::sync::Mutex;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(1);

/// What was published last.
#[derive(Debug, Default)]
pub(super) struct Published(Mutex<BrokerMetrics>);

impl Node {
    /// Sees to the first time.
    pub(super) fn begin_publishing(&self) {
        if cfg!(feature = "metrics") {
            facade::describe();
            self.publish_later();
        }
    }

    fn publish_later(&self) {
        self.timers.arm(self.clock.now().plus(EVERY), Task::Publish);
    }

    /// What the timer has done.
    pub(super) fn check_publishing(&self) {
        self.publish_counts();
        self.publish_later();
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
        let before = std::mem::take(&mut *self.published.0.lock());
        facade::publish(&self.dir.to_string_lossy(), &now, &before);
        *self.published.0.lock() = now;
    }
}

#[cfg(not(feature = "metrics"))]
mod facade {
    use super::BrokerMetrics;

    pub(super) fn describe() {}

    pub(super) fn publish(_dir: &str, _now: &BrokerMetrics, _before: &BrokerMetrics) {}
}
