//! The fewest faults that still fail.

use super::{
    attempt::{Failure, attempt},
    faults::Faults,
};

/// Leaves out of `items` what it can: what is left still fails, and would not without any one of it. Whole parts are left out first, then
/// halves of them, and so on (Zeller's ddmin, of which this tries the complements).
pub(crate) fn ddmin<T: Clone>(items: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut rest = items.to_vec();
    let mut size = rest.len();
    while size > 0 && !rest.is_empty() {
        let before = rest.len();
        let mut at = 0;
        while at < rest.len() {
            let end = (at + size).min(rest.len());
            let without = [&rest[..at], &rest[end..]].concat();
            match fails(&without) {
                true => rest = without,
                false => at = end,
            }
        }
        // One by one until none can go: what could not at first may be able to without others.
        size = if size == 1 && rest.len() < before { 1 } else { size / 2 };
    }
    rest
}

/// Runs a seed that has failed with fewer and fewer of its faults, as long as it fails in the same way, and gives the last failure. What is
/// tried is told: how many faults there are, and whether it fails; who is told says whether to go on.
pub(crate) fn shrink(
    seed: u64,
    first: Box<Failure>,
    mut tell: impl FnMut(usize, bool) -> bool,
) -> Box<Failure> {
    let numbers: Vec<u64> = first.faults.iter().map(|fault| fault.number).collect();
    let (mut last, mut goes_on) = (first, true);
    ddmin(&numbers, |some| {
        if !goes_on {
            return false;
        }
        let failure = attempt(seed, &Faults::Only(some.iter().copied().collect())).err();
        let failure = failure.filter(|failure| failure.kind() == last.kind());
        goes_on = tell(some.len(), failure.is_some());
        failure.map(|failure| last = failure).is_some()
    });
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(all: &'static [u32]) -> impl Fn(&[u32]) -> bool {
        move |some| all.iter().all(|needed| some.contains(needed))
    }

    #[test]
    fn what_is_left_is_what_it_takes() {
        let items: Vec<u32> = (0..100).collect();
        for needed in [&[][..], &[0], &[99], &[3, 17, 40], &[0, 1, 98, 99]] {
            let mut tries = 0;
            let left = ddmin(&items, |some| {
                tries += 1;
                needs(needed)(some)
            });
            assert_eq!(left, needed);
            assert!(tries <= 2 * 100, "{needed:?} took {tries}");
        }
        assert!(ddmin(&[0; 0], |_| true).is_empty());
    }

    #[test]
    fn of_several_causes_one_is_left() {
        let left =
            ddmin(&[1, 2, 3, 4, 5], |some| some.contains(&2) || some.contains(&4) && some.contains(&5));
        assert!(left == [2] || left == [4, 5], "{left:?}");
    }

    #[test]
    fn without_any_one_of_what_is_left_it_does_not_fail() {
        // The later ones can go only when the earlier ones have gone: one round does not do.
        let fails = |some: &[u32]| some.contains(&9) && (some.contains(&8) || !some.contains(&7));
        let left = ddmin(&[9, 8, 7], fails);
        assert!(fails(&left));
        for n in 0..left.len() {
            let mut without = left.clone();
            without.remove(n);
            assert!(!fails(&without), "{left:?} without {}", left[n]);
        }
    }
}
