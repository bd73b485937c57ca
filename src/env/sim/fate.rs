//! What decides how a power cut goes: the seed draws it, or it is the one of all outcomes that a test asked for.

use crate::prng::Prng;

pub(super) enum Fate<'a> {
    /// As the seed has it.
    Drawn(&'a mut Prng),
    /// One of all outcomes, by its number; how many there are is counted on the way.
    Nth { rest: u64, outcomes: &'a mut u64 },
}

impl Fate<'_> {
    /// How many of so many writes to each sector have reached the disk.
    pub(super) fn some_of_each(&mut self, writes: impl Iterator<Item = usize>) -> Vec<usize> {
        let Self::Drawn(prng) = self else { return writes.map(|writes| self.one_of(writes + 1)).collect() };
        // All or nothing now and then: of many sectors, chosen one by one, hardly ever would all be there.
        let mood = prng.below(4);
        let some = |writes| match mood {
            0 => 0,
            1 => writes,
            _ => prng.below(writes as u64 + 1) as usize,
        };
        writes.map(some).collect()
    }

    /// Which of so many things it is, in their order: the first and the last more often than those between.
    pub(super) fn one_of(&mut self, count: usize) -> usize {
        match self {
            Self::Drawn(prng) => match prng.below(3) {
                0 => 0,
                1 => count.saturating_sub(1),
                _ => prng.below(count as u64) as usize,
            },
            Self::Nth { rest, outcomes } => {
                let count = count.max(1) as u64;
                let one = *rest % count;
                *rest /= count;
                **outcomes = outcomes.saturating_mul(count);
                one as usize
            }
        }
    }

    /// Whether a change of a name has reached the disk.
    pub(super) fn is_done(&mut self) -> bool {
        match self {
            Self::Drawn(prng) => prng.below(2) == 0,
            Self::Nth { .. } => self.one_of(2) == 1,
        }
    }
    /// Whether the time of a file's last change has reached the disk. Where outcomes are counted it comes with a new
    /// length, which lies in the same place: on its own it would double their number, and only few things hang on it.
    pub(super) fn is_time_done(&mut self, has_new_length: bool) -> bool {
        match self {
            Self::Drawn(_) => self.is_done(),
            Self::Nth { .. } => has_new_length,
        }
    }
}
