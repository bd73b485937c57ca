//! Where all who subscribe to anything subscribe to the same topics: each gets as many as any other, or one more.

use super::{
    board::{Board, Movable},
    topics::Class,
};
use std::collections::VecDeque;

/// Members that have too many give up the last ones; then those that have too few are filled up in turn, and what is
/// left goes one each to the first that have none too many.
pub(super) fn spread(board: &mut Board, class: &Class, mut unassigned: Vec<usize>) {
    let Some(least) = class.partitions.checked_div(class.subscribers.len()) else { return };
    let extras = class.partitions - least * class.subscribers.len();
    unassigned.extend(take_what_is_too_much(board, class, least, extras));
    unassigned.sort_unstable();

    let members = class.subscribers.iter().copied();
    let mut too_few: VecDeque<usize> = members.clone().filter(|&it| board.load(it) < least).collect();
    let mut left = unassigned.into_iter();
    while let Some(member) = too_few.pop_front() {
        let Some(partition) = left.next() else { return };
        board.give(member, partition);
        if board.load(member) < least {
            too_few.push_back(member);
        }
    }
    let enough: Vec<usize> = members.filter(|&it| board.load(it) == least).collect();
    for (partition, member) in left.zip(enough) {
        board.give(member, partition);
    }
}

/// No more than `extras` members may have one more than `least`: the first that do.
fn take_what_is_too_much(board: &mut Board, class: &Class, least: usize, mut extras: usize) -> Vec<usize> {
    let mut taken = Vec::new();
    for &member in &class.subscribers {
        let mut most = least;
        if board.load(member) > least && extras > 0 {
            extras -= 1;
            most += 1;
        }
        while board.load(member) > most {
            let Some(partition) = board.take(member, 0, Movable::All) else { break };
            taken.push(partition);
        }
    }
    taken
}
