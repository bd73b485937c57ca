//! The only source of locks, condition variables, atomics, threads, what is local to a thread, and channels.
//!
//! Everything else takes them from here, so that a model checker's can stand in for all of them at once: in a build with
//! `--cfg brooklet_shuttle` those of the crate `shuttle` do, for `tests/schedules.rs`. A wait with a time limit is not among
//! them: it needs a clock, and lives in [`crate::env`].

mod memo;
#[cfg(brooklet_shuttle)]
mod scheduled;
#[cfg(not(brooklet_shuttle))]
mod system;

pub(crate) use memo::{Memo, Version};
#[cfg(brooklet_shuttle)]
pub(crate) use scheduled::*;
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::Ordering;
#[cfg(not(brooklet_shuttle))]
pub(crate) use system::*;

/// Whether the caller's thread is on its way out, by a panic.
pub(crate) fn is_panicking() -> bool {
    std::thread::panicking()
}
