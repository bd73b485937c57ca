//! The system's clocks.

use crate::types::{Instant, Timestamp};

#[derive(Debug, Clone)]
pub(crate) struct SystemClock {
    start: std::time::Instant,
}

impl SystemClock {
    pub(super) fn begin() -> Self {
        Self { start: std::time::Instant::now() }
    }

    pub(in crate::env) fn now(&self) -> Instant {
        Instant::default().plus(self.start.elapsed())
    }

    /// The same as `SystemTime::now().into()`, of which half is arithmetic on spans; every record pays for it.
    #[cfg(all(unix, target_pointer_width = "64"))]
    pub(super) fn wall(&self) -> Timestamp {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Timestamp::from_millis(now.tv_sec * 1000 + now.tv_nsec / 1_000_000)
    }

    #[cfg(not(all(unix, target_pointer_width = "64")))]
    pub(super) fn wall(&self) -> Timestamp {
        std::time::SystemTime::now().into()
    }
}
