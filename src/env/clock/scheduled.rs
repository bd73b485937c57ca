//! A stand-in for the system's clocks where `shuttle` schedules the threads: the time passes when the test says so.

use super::EPOCH;
use crate::{
    sync::{AtomicU64, Ordering},
    types::{Instant, Timestamp},
};
use std::{sync::Arc, time::Duration};

/// Clones are the same clock.
#[derive(Debug, Clone)]
pub(crate) struct SystemClock {
    nanos: Arc<AtomicU64>,
}

impl SystemClock {
    pub(super) fn begin() -> Self {
        Self { nanos: Arc::new(AtomicU64::new(0)) }
    }

    pub(in crate::env) fn now(&self) -> Instant {
        Instant::from_nanos(self.nanos.load(Ordering::Acquire))
    }

    pub(super) fn wall(&self) -> Timestamp {
        EPOCH + self.now().since(Instant::default())
    }

    /// Wakes nobody.
    pub(crate) fn pass(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(by, Ordering::AcqRel);
    }
}
