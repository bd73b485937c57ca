//! Where members subscribe to different topics: no partition could move, nor any chain of partitions, so that one who
//! has more would get closer to one who has less.

use super::{
    board::{Board, Displaced, Movable},
    search::{Goal, Search, Step},
    topics::Class,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

/// Fills, and then balances: first by moving what nobody had before, and only then what members own.
///
/// The first makes the balance as good as it can be without taking anything away. After the first of two cooperative
/// rebalances that is as good as it can be at all, so that nothing is taken away in the second.
pub(super) fn spread(board: &mut Board, classes: &[Class], unassigned: &[usize]) {
    fill(board, classes, unassigned);
    for movable in [Movable::Fresh, Movable::All] {
        balance(board, classes, movable);
    }
    bring_home(board, classes);
}

/// Gives each partition to the one that has least of those that may have it; those with fewest takers first.
fn fill(board: &mut Board, classes: &[Class], unassigned: &[usize]) {
    let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &partition in unassigned {
        by_class.entry(board.class_of(partition)).or_default().push(partition);
    }
    for (class, partitions) in by_class {
        let subscribers = classes.get(class).into_iter().flat_map(|class| &class.subscribers);
        let mut least: BinaryHeap<_> =
            subscribers.map(|&member| Reverse((board.load(member), member))).collect();
        for partition in partitions {
            if let Some(Reverse((load, member))) = least.pop() {
                board.give(member, partition);
                least.push(Reverse((load + 1, member)));
            }
        }
    }
}

/// Moves from whoever has most to whoever has least of those that can be reached, until it cannot be better.
///
/// Who cannot be helped is done with for good. All that can be reached from it have about as much or more, and
/// whatever they have can only go to each other: no later chain ends there, and none leads through.
fn balance(board: &mut Board, classes: &[Class], movable: Movable) {
    let mut settled = vec![false; board.members()];
    loop {
        let open = || (0..board.members()).filter(|&member| settled.get(member) == Some(&false));
        // The first of those that have most.
        let Some(from) = open().rev().max_by_key(|&member| board.load(member)) else { return };
        let least = open().map(|member| board.load(member)).min().unwrap_or_default();
        if board.load(from) <= least + 1 {
            return;
        }
        let goal = Goal::Least { from: board.load(from), least };
        match Search::run(board, classes, movable, from, goal, &settled) {
            Some(chain) => shift(board, &chain, movable),
            None => settled.iter_mut().skip(from).take(1).for_each(|done| *done = true),
        }
    }
}

fn shift(board: &mut Board, chain: &[Step], movable: Movable) {
    for &Step { from, class, to } in chain {
        if let Some(partition) = board.take(from, class, movable) {
            board.give(to, partition);
        }
    }
}

/// Gives partitions back to their owners where that costs no balance: what the owner got instead moves on, to the
/// member that has the partition now, or to one that has one less than that and then has as many as it had.
fn bring_home(board: &mut Board, classes: &[Class]) {
    let nobody = vec![false; board.members()];
    for displaced in board.displaced(classes) {
        let Displaced { partition, holder, owner } = displaced;
        let load = board.load(holder);
        let goal = Goal::InPlaceOf { member: holder, load };
        let chain = match board.load(owner) + 1 == load {
            true => Some(Vec::new()),
            false => Search::run(board, classes, Movable::Fresh, owner, goal, &nobody),
        };
        if let Some(chain) = chain.filter(|_| board.take_fresh(holder, partition)) {
            board.give(owner, partition);
            shift(board, &chain, Movable::Fresh);
        }
    }
}
