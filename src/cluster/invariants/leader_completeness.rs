//! Whoever leads has all that was committed in earlier epochs: every record that was acknowledged with `acks` all, and every one
//! that somebody could read. Unless an unclean election has given it up, which `disks.rs` looks at.

use super::{
    Held, broken,
    committed::Committed,
    copies::{Copy, Stamp},
};

const NAME: &str = "leader completeness";

/// A new leader has everything.
pub(super) fn check(committed: &Committed, leader: &Copy, name: &dyn Fn() -> String) -> Held {
    // A broker that was halted may lead for a moment although others have led, and committed, since.
    has(committed.before(leader.view.epoch), leader, name)
}

/// A leader of a later epoch has what was committed just now.
pub(super) fn check_last(
    committed: &Committed,
    new: usize,
    leader: &Copy,
    name: &dyn Fn() -> String,
) -> Held {
    has(committed.last(new).iter(), leader, name)
}

fn has<'a>(mut batches: impl Iterator<Item = &'a Stamp>, leader: &Copy, name: &dyn Fn() -> String) -> Held {
    let lacks = |batch: &&Stamp| batch.next > leader.view.start && leader.at(batch.base) != Some(*batch);
    match batches.find(lacks) {
        None => Ok(()),
        Some(batch) => {
            let (epoch, there) = (leader.view.epoch, leader.at(batch.base));
            let what = format_args!("{}: who leads in epoch {epoch} has {there:?}, not {batch:?}", name());
            Err(broken(NAME, what))
        }
    }
}
