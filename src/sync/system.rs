//! What the system and the usual crates have.

pub(crate) use crossbeam_channel as channel;
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize};
pub(crate) use std::thread::JoinHandle;
pub(crate) use std::thread_local;

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
