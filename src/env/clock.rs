//! The two times of a broker, real and manual.

#[cfg(brooklet_shuttle)]
mod scheduled;
#[cfg(not(brooklet_shuttle))]
mod system;

#[cfg(brooklet_shuttle)]
use scheduled::SystemClock;
#[cfg(not(brooklet_shuttle))]
use system::SystemClock;

use crate::{
    sync::{Mutex, MutexGuard},
    types::{Instant, Timestamp},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// Tells the time that only goes on, for timers, and the time of the calendar, for records.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    System(SystemClock),
    Manual(ManualClock),
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System(SystemClock::begin())
    }

    /// When a wait that may last until `deadline` is given up. Where the waiting itself moves the time, one without an end
    /// would never be.
    pub(crate) fn patience(&self, deadline: Instant) -> Instant {
        match self {
            Self::Manual(_) if deadline == Instant::MAX => self.now().plus(PATIENCE),
            _ => deadline,
        }
    }

    /// For timers: never goes back.
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System(system) => system.now(),
            Self::Manual(manual) => manual.state().now,
        }
    }

    /// For records: what the calendar says; may jump.
    pub(crate) fn wall(&self) -> Timestamp {
        match self {
            Self::System(system) => system.wall(),
            Self::Manual(manual) => manual.now(),
        }
    }
}

/// A queue of timers that a manual clock fires. Called with no lock of the clock's held.
pub(crate) trait Driver: Send + Sync {
    /// When the earliest timer is due.
    fn next_timer(&self) -> Option<Instant>;
    /// Fires all timers that are due at `now`, in the order of their deadlines.
    fn fire(&self, now: Instant);
    /// The time has been moved, and all that was due on the way was fired.
    fn arrived(&self, _now: Instant) {}
}

/// A clock that stands still until it is moved: time for tests.
///
/// A [`Broker`](crate::Broker) on a manual clock starts no thread. [`advance`](Self::advance) runs on the caller's
/// thread whatever falls due on the way, in order, and returns when it has run. A call that waits, such as
/// [`Consumer::poll`](crate::Consumer::poll), moves the time itself, up to its own deadline, so that no test hangs:
/// who waits, drives. A wait without an end ([`Duration::MAX`]) gives up with
/// [`Error::Timeout`](crate::Error::Timeout) after a day of this clock's time.
///
/// Clones are the same clock. It may serve several brokers; keep it to one thread if runs are to be the same.
///
/// ```
/// use brooklet::{Broker, ManualClock, Record, TopicConfig};
/// use std::time::Duration;
/// # fn main() -> brooklet::Result<()> {
/// let clock = ManualClock::new();
/// let broker = Broker::builder().clock(&clock).open_temporary()?;
/// broker.create_topic("ticks", TopicConfig::new())?;
/// let first = broker.produce(Record::to("ticks").value("one"))?;
/// clock.advance(Duration::from_secs(3600));
/// let second = broker.produce(Record::to("ticks").value("two"))?;
/// assert_eq!(second.timestamp, first.timestamp + Duration::from_secs(3600));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Held by the thread that moves the time.
    driving: Mutex<()>,
    drivers: Mutex<Vec<Weak<dyn Driver>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.state.lock().fmt(f)
    }
}

#[derive(Debug)]
struct State {
    now: Instant,
}

/// What a manual clock shows at its start.
const EPOCH: Timestamp = Timestamp::from_millis(1_704_067_200_000);

/// The most virtual time that one wait without an end may take.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl ManualClock {
    /// A clock that shows 2024-01-01T00:00:00Z.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ManualClock::new().now().to_string(), "2024-01-01T00:00:00Z");
    /// ```
    pub fn new() -> Self {
        let state = Mutex::new(State { now: Instant::default() });
        Self { shared: Arc::new(Shared { state, driving: Mutex::new(()), drivers: Mutex::new(Vec::new()) }) }
    }

    /// What the clock shows.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ManualClock::new().now().to_string(), "2024-01-01T00:00:00Z");
    /// ```
    pub fn now(&self) -> Timestamp {
        EPOCH + self.state().now.since(Instant::default())
    }

    /// Moves the time on by `by`, and fires whatever is due on the way, at its own time, on this thread.
    ///
    /// ```
    /// # use brooklet::*;
    /// let clock = ManualClock::new();
    /// clock.advance(std::time::Duration::from_secs(90));
    /// assert_eq!(clock.now().to_string(), "2024-01-01T00:01:30Z");
    /// ```
    pub fn advance(&self, by: Duration) {
        let target = self.state().now.plus(by);
        self.drive(target, || false);
    }

    /// Moves the time on by `within` at most, until `done`; says whether it is.
    pub(crate) fn run_until(&self, within: Duration, mut done: impl FnMut() -> bool) -> bool {
        let deadline = self.state().now.plus(within);
        loop {
            if done() {
                return true;
            }
            let next = self.drivers().iter().filter_map(|driver| driver.next_timer()).min();
            match next.filter(|due| *due <= deadline) {
                Some(due) => {
                    let now = self.state().now;
                    self.drive(due.max(now), || false);
                }
                None => {
                    self.drive(deadline, || false);
                    return done();
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    /// Adds a queue of timers, for as long as it lives.
    pub(crate) fn attach(&self, driver: Weak<dyn Driver>) {
        let mut drivers = self.shared.drivers.lock();
        drivers.retain(|driver| driver.strong_count() > 0);
        drivers.push(driver);
    }

    /// Moves the time to `deadline`, firing what is due on the way, or until `done`.
    pub(super) fn drive(&self, deadline: Instant, done: impl Fn() -> bool) {
        let _driving = self.shared.driving.lock();
        let deadline = if deadline == Instant::MAX { self.state().now.plus(PATIENCE) } else { deadline };
        while !done() {
            let drivers = self.drivers();
            let next = drivers.iter().filter_map(|driver| driver.next_timer()).min();
            let Some(due) = next.filter(|due| *due <= deadline) else {
                let mut state = self.state();
                state.now = state.now.max(deadline);
                break;
            };
            let now = {
                let mut state = self.state();
                state.now = state.now.max(due);
                state.now
            };
            drivers.iter().for_each(|driver| driver.fire(now));
        }
        let now = self.state().now;
        self.drivers().iter().for_each(|driver| driver.arrived(now));
    }

    fn drivers(&self) -> Vec<Arc<dyn Driver>> {
        self.shared.drivers.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Timers(Mutex<Vec<(Instant, &'static str)>>, Mutex<Vec<(Instant, &'static str)>>);

    impl Driver for Timers {
        fn next_timer(&self) -> Option<Instant> {
            self.0.lock().iter().map(|(at, _)| *at).min()
        }

        fn fire(&self, now: Instant) {
            let mut due: Vec<_> = self.0.lock().extract_if(.., |(at, _)| *at <= now).collect();
            due.sort();
            self.1.lock().extend(due.into_iter().map(|(_, name)| (now, name)));
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(seconds))
    }

    #[test]
    fn advance_fires_what_is_due_in_order_and_at_its_time() {
        let clock = ManualClock::new();
        let timers =
            Arc::new(Timers(Mutex::new(vec![(at(5), "b"), (at(2), "a"), (at(9), "c")]), Mutex::default()));
        let driver: Arc<dyn Driver> = timers.clone();
        clock.attach(Arc::downgrade(&driver));
        clock.advance(Duration::from_secs(7));
        assert_eq!(*timers.1.lock(), [(at(2), "a"), (at(5), "b")]);
        assert_eq!(clock.now(), EPOCH + Duration::from_secs(7));
    }

    #[test]
    fn a_wait_moves_the_time_to_its_own_deadline_and_one_without_end_returns() {
        let manual = ManualClock::new();
        let clock = Clock::Manual(manual.clone());
        let slot = super::super::Slot::<()>::new();
        assert_eq!(slot.wait(&clock, at(3)), None);
        assert_eq!(clock.now(), at(3));
        assert_eq!(slot.wait(&clock, Instant::MAX), None);
        assert_eq!(clock.now(), at(3).plus(PATIENCE));
    }
}
