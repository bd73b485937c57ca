//! Waiting: the only timed waits of the crate.

use super::clock::Clock;
use crate::{
    sync::{AtomicBool, Condvar, Mutex, MutexGuard, Ordering},
    types::Instant,
};
use std::{fmt, time::Duration};

/// A place that a value is put into once, by whoever has the answer, and taken out of once, by whoever waits for it.
pub(crate) struct Slot<T> {
    value: Mutex<State<T>>,
    /// Whether whoever waits is to look up.
    interrupted: AtomicBool,
    filled: Condvar,
}

/// Something that is waited for.
pub(crate) trait Interrupt: Send + Sync + fmt::Debug {
    /// Ends the wait that goes on, or else the next one, as if its time were up. What is waited for may come all the same.
    fn interrupt(&self);
}

impl<T: Send> Interrupt for Slot<T> {
    fn interrupt(&self) {
        let value = self.value.lock();
        self.interrupted.store(true, Ordering::Release);
        drop(value);
        self.filled.notify_all();
    }
}

enum State<T> {
    Empty,
    /// Nobody waits: the value goes to that.
    Watched(Box<dyn FnOnce(T) + Send>),
    Full(T),
    Taken,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        let (value, interrupted) = (Mutex::new(State::Empty), AtomicBool::new(false));
        Self { value, interrupted, filled: Condvar::new() }
    }

    /// Puts the value in; `false`, and nothing happens, if there was one before.
    pub(crate) fn fill(&self, value: T) -> bool {
        let mut state = self.value.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Empty => {
                *state = State::Full(value);
                drop(state);
                self.filled.notify_all();
                true
            }
            State::Watched(then) => {
                drop(state);
                then(value);
                true
            }
            other => {
                *state = other;
                false
            }
        }
    }

    /// Gives the value to `then`: now, if it is there, or else in the thread that puts it in. Instead of waiting for it.
    pub(crate) fn on_fill(&self, then: impl FnOnce(T) + Send + 'static) {
        let mut state = self.value.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Full(value) => {
                drop(state);
                then(value);
            }
            State::Empty => *state = State::Watched(Box::new(then)),
            other => *state = other,
        }
    }

    /// Whether a value was put in.
    pub(crate) fn is_filled(&self) -> bool {
        !matches!(*self.value.lock(), State::Empty | State::Watched(_))
    }

    /// Takes the value out.
    pub(crate) fn take(&self) -> Option<T> {
        let mut state = self.value.lock();
        match std::mem::replace(&mut *state, State::Taken) {
            State::Full(value) => Some(value),
            other => {
                *state = other;
                None
            }
        }
    }

    /// Waits until there is a value, at most until `deadline`, and takes it out. On a manual clock the caller drives:
    /// it fires what is due, in order, and moves the time.
    pub(crate) fn wait(&self, clock: &Clock, deadline: Instant) -> Option<T> {
        match clock {
            Clock::System(system) => {
                let mut state = self.value.lock();
                while matches!(*state, State::Empty) && !self.is_interrupted() {
                    let left = deadline.since(system.now());
                    if left.is_zero() {
                        break;
                    }
                    self.filled.wait_for(&mut state, left.min(LONGEST_WAIT));
                }
            }
            Clock::Manual(manual) => manual.drive(deadline, || self.is_filled() || self.is_interrupted()),
        }
        self.interrupted.store(false, Ordering::Release);
        self.take()
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }
}

/// State behind a lock, and a way to wait until somebody has changed it.
#[derive(Debug, Default)]
pub(crate) struct Monitor<T> {
    state: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.state.lock()
    }

    /// Wakes all who wait.
    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits for the next change, at most until `deadline`; `false`: that has come. On a manual clock there is no deadline:
    /// only what another thread is doing just now is worth a wait.
    pub(crate) fn wait(&self, state: &mut MutexGuard<'_, T>, clock: &Clock, deadline: Instant) -> bool {
        if let (Clock::System(system), true) = (clock, deadline != Instant::MAX) {
            let left = deadline.since(system.now());
            if left.is_zero() {
                return false;
            }
            self.changed.wait_for(state, left.min(LONGEST_WAIT));
        } else {
            self.changed.wait(state);
        }
        true
    }
}

/// A wait that is longer is done in parts: the system's own calls overflow on very long ones.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("filled", &self.is_filled()).finish_non_exhaustive()
    }
}

/// Wakes the thread that drives a queue of timers when something earlier came into it, or when it shall end.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_one();
    }

    /// Sleeps until the alarm rings, or by the system's clock until `deadline`.
    pub(crate) fn sleep(&self, clock: &Clock, deadline: Instant) {
        let mut rung = self.rung.lock();
        while !*rung {
            let left = deadline.since(clock.now());
            if left.is_zero() {
                break;
            }
            self.changed.wait_for(&mut rung, left.min(LONGEST_WAIT));
        }
        *rung = false;
    }
}
