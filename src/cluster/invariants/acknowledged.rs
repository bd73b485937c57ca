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
