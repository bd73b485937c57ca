//! What a thread remembers of something that is shared behind a lock, so that the hot paths need not take that lock.

use super::{AtomicU64, Ordering};
use std::sync::atomic::AtomicU64 as SystemAtomicU64;

/// Drawn from by all versions, so that no two of them are ever the same, whatever they are versions of. Always the
/// system's: a model checker's own would have to be of one run.
static LAST: SystemAtomicU64 = SystemAtomicU64::new(0);

/// The version of something that is shared. What was remembered of an older one does not count.
#[derive(Debug)]
pub(crate) struct Version(AtomicU64);

impl Default for Version {
    fn default() -> Self {
        Self(AtomicU64::new(next()))
    }
}

impl Version {
    /// The version now. To be read while the lock is held if something is to be remembered of it.
    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Makes it a number that others know too: of something that many have a copy of.
    pub(crate) fn set(&self, version: u64) {
        self.0.store(version, Ordering::Release);
    }

    /// Makes all that was remembered count no more. To be called while the lock is held for the change.
    pub(crate) fn change(&self) {
        self.0.store(next(), Ordering::Release);
    }
}

fn next() -> u64 {
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// How much a memo remembers.
const PLACES: usize = 16;

/// A few things that a thread remembers, each in a place of its own that others share with it: the last one stays.
#[derive(Debug)]
pub(crate) struct Memo<T>([Option<(u64, T)>; PLACES]);

impl<T> Memo<T> {
    pub(crate) const fn new() -> Self {
        Self([const { None }; PLACES])
    }

    /// What was remembered of this version in the place of `hash`.
    #[inline]
    pub(crate) fn get(&self, version: u64, hash: usize) -> Option<&T> {
        let place = self.0.get(hash % PLACES)?.as_ref();
        place.filter(|(of, _)| *of == version).map(|(_, value)| value)
    }

    /// Remembers.
    pub(crate) fn put(&mut self, version: u64, hash: usize, value: T) {
        if let Some(place) = self.0.get_mut(hash % PLACES) {
            *place = Some((version, value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_counts_for_its_version_only() {
        let (version, other) = (Version::default(), Version::default());
        let mut memo = Memo::new();
        memo.put(version.get(), 3, "three");
        memo.put(version.get(), 4, "four");
        assert_eq!(memo.get(version.get(), 3), Some(&"three"));
        assert_eq!(memo.get(other.get(), 3), None);
        memo.put(version.get(), 3 + PLACES, "nineteen");
        assert_eq!(memo.get(version.get(), 3), Some(&"nineteen"));
        version.change();
        assert_eq!(memo.get(version.get(), 4), None);
    }
}
