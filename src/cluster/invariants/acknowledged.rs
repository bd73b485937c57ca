//! What is acknowledged with `acks` all is committed.

use super::{Held, broken, committed::Committed};
use crate::types::Offset;

/// A leader has acknowledged the batch at this offset.
pub(super) fn check(committed: &Committed, base: Offset, name: &dyn Fn() -> String) -> Held {
    match committed.at(base) {
        Some(_) => Ok(()),
        None => Err(broken(
            "acknowledged is committed",
            format_args!("{}: what is at {base} is acknowledged, and not all in sync have it", name()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::committed::tests::{by, leader, stamp},
        *,
    };

    #[test]
    fn what_is_acknowledged_before_all_in_sync_have_it_is_seen() {
        let committed = by(&leader(1, 1, &[stamp(0, 1, 7), stamp(1, 1, 8)]));
        assert!(check(&committed, Offset::ZERO, &String::new).is_ok());
        let broken = check(&committed, Offset::new(1), &String::new).expect_err("the leader alone has it");
        assert_eq!(broken.invariant, "acknowledged is committed");
    }
}
