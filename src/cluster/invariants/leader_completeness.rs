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

#[cfg(test)]
mod tests {
    use super::{
        super::committed::tests::{by, leader, stamp},
        *,
    };
    use crate::types::Offset;

    #[test]
    fn a_later_leader_that_lacks_what_was_committed_or_has_something_else_is_seen() {
        let (a, b, c) = (stamp(0, 1, 7), stamp(1, 1, 8), stamp(2, 1, 9));
        let committed = by(&leader(1, 2, &[a, b, c]));
        let elected = |epoch, batches: &[Stamp]| check(&committed, &leader(epoch, 0, batches), &String::new);
        assert!(elected(2, &[a, b]).is_ok(), "what lies above the high watermark nobody was told of");
        assert!(elected(2, &[a, b, stamp(2, 2, 5)]).is_ok());
        for wrong in [&[][..], &[a], &[a, stamp(1, 1, 5)], &[a, stamp(1, 2, 8)], &[stamp(0, 1, 5), b]] {
            assert_eq!(elected(2, wrong).expect_err("not all").invariant, NAME, "{wrong:?}");
        }
        assert!(elected(1, &[a]).is_ok(), "one that was halted meanwhile may lead for a moment");
    }

    #[test]
    fn what_was_deleted_need_not_be_there() {
        let (a, b) = (stamp(0, 1, 7), stamp(1, 1, 8));
        let committed = by(&leader(1, 2, &[a, b]));
        let mut later = leader(2, 0, &[b]);
        assert!(check(&committed, &later, &String::new).is_err());
        later.view.start = Offset::new(1);
        assert!(check(&committed, &later, &String::new).is_ok());
    }

    #[test]
    fn what_an_old_leader_commits_although_a_later_one_lacks_it_is_seen() {
        let (a, b) = (stamp(0, 1, 7), stamp(1, 1, 8));
        let later = leader(2, 0, &[a]);
        assert!(check_last(&by(&leader(1, 1, &[a, b])), 1, &later, &String::new).is_ok());
        assert!(check_last(&by(&leader(1, 2, &[a, b])), 1, &later, &String::new).is_err());
    }
}
