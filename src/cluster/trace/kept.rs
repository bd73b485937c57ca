//! A list that forgets its beginning, so that a cluster which lives for long does not eat all memory.

/// How many items are kept at least: the last ones. Up to twice as many are there.
const LIMIT: usize = 100_000;

/// The last items that were put in, each with a number that counts from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kept<T> {
    items: Vec<T>,
    /// How many were forgotten.
    forgotten: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { items: Vec::new(), forgotten: 0 }
    }
}

impl<T> Kept<T> {
    /// Gives the item's number.
    pub(super) fn push(&mut self, item: T) -> u64 {
        if self.items.len() >= 2 * LIMIT {
            self.items.drain(..LIMIT);
            self.forgotten += LIMIT as u64;
        }
        self.items.push(item);
        self.forgotten + self.items.len() as u64 - 1
    }

    /// `None`: it is forgotten.
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.items.get_mut(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_kept_under_their_numbers() {
        let mut kept = Kept::default();
        let count = 2 * LIMIT as u64 + 7;
        for n in 0..count {
            assert_eq!(kept.push(n), n);
        }
        assert_eq!(kept.items().len(), LIMIT + 7);
        assert_eq!(kept.get_mut(LIMIT as u64 - 1), None);
        for n in [LIMIT as u64, count - 1] {
            assert_eq!(kept.get_mut(n).copied(), Some(n));
        }
        assert_eq!(kept.get_mut(count), None);
    }
}
