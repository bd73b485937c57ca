//! A seed that may fail: what it has come to, or how it failed, as far as it got.

use super::{
    Report, Run,
    faults::{Fault, Faults},
};
use brooklet::ClusterTrace;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a seed failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the panic said, with the story where there is one.
    pub(crate) message: String,
    /// `None`: there was no cluster yet.
    pub(crate) trace: Option<ClusterTrace>,
    /// The faults that happened before, in order.
    pub(crate) faults: Vec<Fault>,
}

impl Failure {
    /// What does not hold, without what is another thing in each run: two failures are of one kind if they have the same.
    pub(crate) fn kind(&self) -> &str {
        kind(&self.message)
    }

    /// What does not hold.
    pub(crate) fn what(&self) -> &str {
        what(&self.message)
    }
}

fn what(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default();
    let of_seed = line.strip_prefix("seed ").and_then(|rest| rest.split_once(": ")).map(|(_, what)| what);
    of_seed.unwrap_or(line)
}

fn kind(message: &str) -> &str {
    let begins = |char: char| ":{[(".contains(char) || char.is_ascii_digit();
    what(message).split(begins).next().unwrap_or_default().trim()
}

/// Runs one seed with some of its faults.
pub(crate) fn attempt(seed: u64, faults: &Faults) -> Result<(Report, ClusterTrace), Box<Failure>> {
    // It stays outside, so that what there is can be looked at after a panic.
    let mut run = None;
    let go = || run.insert(Run::new(seed, faults.clone())).go();
    let panic = match catch_unwind(AssertUnwindSafe(go)) {
        Ok(done) => return Ok(done),
        Err(panic) => panic,
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let message = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned();
    let mut failure = Failure { message, trace: None, faults: Vec::new() };
    if let Some(run) = &run {
        run.note_panic(failure.what());
        (failure.trace, failure.faults) = (Some(run.cluster.trace()), run.happened.clone());
    }
    // Its clients say good-bye to a cluster that may be broken.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(run)));
    Err(Box::new(failure))
}

impl Run {
    /// Has the trace tell of a panic that it does not know of.
    fn note_panic(&self, what: &str) {
        let is_told = |line: &String| {
            [" a check fails: ", " an invariant is broken, "].iter().any(|told| line.contains(told))
        };
        if !self.cluster.trace().lines().iter().any(is_told) {
            self.cluster.note_failure(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_of_one_kind_that_differ_in_figures_only() {
        let kinds = [
            (
                "an invariant is broken, high watermark: t-0 of broker 1: 7 is not in 0 to 3\nthe seed",
                "high watermark",
            ),
            ("an invariant is broken, log matching: t-0", "log matching"),
            (
                "seed 17: LostWrite { partition: (\"orders\", 0), offset: 3 }, and 0 more\n0.0 broker",
                "LostWrite",
            ),
            ("seed 3: the group goes on at (\"orders\", 1) 7, and not at one of [3]", "the group goes on at"),
            ("seed 4: it does not converge: []", "it does not converge"),
        ];
        for (message, expected) in kinds {
            assert!(kind(message).ends_with(expected), "{message}: {}", kind(message));
        }
        assert_ne!(kind(kinds[0].0), kind(kinds[1].0));
    }
}
