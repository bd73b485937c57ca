//! What is left for somebody who looks often, and mostly in vain.

use crate::sync::{AtomicBool, Mutex, Ordering};

/// A list to put things into, under whatever lock, and to take them out of. To find it empty costs one load.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    has_some: AtomicBool,
    things: Mutex<Vec<T>>,
}

impl<T> Default for Mailbox<T> {
    fn default() -> Self {
        Self { has_some: AtomicBool::new(false), things: Mutex::default() }
    }
}

impl<T> Mailbox<T> {
    pub(super) fn put(&self, thing: T) {
        let mut things = self.things.lock();
        things.push(thing);
        self.has_some.store(true, Ordering::Release);
    }

    /// All that was put in since this was asked last, in order.
    #[inline]
    pub(super) fn take(&self) -> Vec<T> {
        if self.has_some.load(Ordering::Acquire) { self.take_some() } else { Vec::new() }
    }

    #[cold]
    fn take_some(&self) -> Vec<T> {
        let mut things = self.things.lock();
        self.has_some.store(false, Ordering::Release);
        std::mem::take(&mut *things)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_taken_once_and_in_order() {
        let mailbox = Mailbox::default();
        assert!(mailbox.take().is_empty());
        mailbox.put(1);
        mailbox.put(2);
        assert_eq!(mailbox.take(), vec![1, 2]);
        assert!(mailbox.take().is_empty());
        mailbox.put(3);
        assert_eq!(mailbox.take(), vec![3]);
    }
}
