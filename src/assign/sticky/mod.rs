//! As balanced as can be, and then as much left where it is as can be.
//!
//! Three steps, for both assignors: what members own, and nobody else has a better claim to, is theirs (`claims.rs`);
//! what is left is given to those that have least; and what is still out of balance moves. Where all members may have
//! the same partitions that is arithmetic (`even.rs`), else a search (`uneven.rs`).

mod board;
mod claims;
mod cooperative;
mod eager;
mod even;
mod search;
mod topics;
mod uneven;
mod user_data;

pub use cooperative::CooperativeStickyAssignor;
pub use eager::StickyAssignor;

use super::member::GroupMember;
use board::Board;
use claims::{Claimed, Claims};
use std::collections::BTreeMap;
use topics::Topics;

/// Who gets which partition, in the order of `topics.partitions`, and who claimed it. `claimed` says what a member owns.
fn spread<'a>(
    partitions: &BTreeMap<String, i32>,
    members: &'a [GroupMember],
    claimed: impl Fn(&GroupMember) -> Claimed,
) -> (Topics<'a>, Board, Claims) {
    let topics = Topics::new(partitions, members);
    let claims = Claims::settle(&topics, claimed);
    let mut board = Board::new(&topics, &claims);
    let unassigned = board.keep_what_is_owned(&topics, &claims);
    match topics.classes.as_slice() {
        [class] => even::spread(&mut board, class, unassigned),
        classes => uneven::spread(&mut board, classes, &unassigned),
    }
    (topics, board, claims)
}
