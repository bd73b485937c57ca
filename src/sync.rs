//! The only source of locks, condition variables, atomics, threads and channels.
//!
//! Everything else takes them from here, so that a model checker's can stand in for all of them at once. A wait
//! with a time limit is not among them: it needs a clock, and lives in [`crate::env`].

mod memo;

pub(crate) use crossbeam_channel as channel;
pub(crate) use memo::{Memo, Version};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use std::sync::OnceLock;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::thread::JoinHandle;

/// Starts a named thread. Fails when the system has no room for another.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Lets other threads run first, if any can.
pub(crate) fn yield_now() {
    std::thread::yield_now();
}

/// Whether the caller is the thread that `handle` stands for.
pub(crate) fn is_current(handle: &JoinHandle<()>) -> bool {
    handle.thread().id() == std::thread::current().id()
}
