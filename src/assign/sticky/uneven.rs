//! Where members subscribe to different topics: no partition could move, nor any chain of partitions, so that one who
//! has more would get closer to one who has less.

use super::{
    board::{Board, Movable},
    topics::Class,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, VecDeque},
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
        let open = (0..board.members()).filter(|&member| settled.get(member) == Some(&false));
        // The first of those that have most.
        let Some(from) = open.rev().max_by_key(|&member| board.load(member)) else { return };
        match Search::run(board, classes, movable, from, &settled) {
            Some(chain) => {
                for Step { from, class, to } in chain {
                    if let Some(partition) = board.take(from, class, to, movable) {
                        board.give(to, partition);
                    }
                }
            }
            None => settled.iter_mut().skip(from).take(1).for_each(|done| *done = true),
        }
    }
}

/// One partition of `class` goes from one member to another.
#[derive(Debug, Clone, Copy)]
struct Step {
    from: usize,
    class: usize,
    to: usize,
}

/// A search, breadth first, for the one that has least, and for the fewest moves there.
struct Search {
    /// How each member was reached.
    steps: Vec<Option<Step>>,
    seen_classes: Vec<bool>,
    queue: VecDeque<usize>,
    best: Option<(usize, usize)>,
}

impl Search {
    /// The moves that bring one partition less to `from`, and one more to a member that has two less at least.
    fn run(
        board: &Board,
        classes: &[Class],
        movable: Movable,
        from: usize,
        settled: &[bool],
    ) -> Option<Vec<Step>> {
        let mut search = Self {
            steps: vec![None; board.members()],
            seen_classes: vec![false; classes.len()],
            queue: VecDeque::from([from]),
            best: None,
        };
        let enough = board.load(from).checked_sub(2)?;
        while let Some(member) = search.queue.pop_front() {
            for class in board.classes(member, movable) {
                search.look_at(board, classes, Step { from: member, class, to: from }, enough, settled);
            }
        }
        search.chain(from)
    }

    /// Reaches all subscribers of a class of which the member has something. `start` is where the search began.
    fn look_at(&mut self, board: &Board, classes: &[Class], at: Step, enough: usize, settled: &[bool]) {
        let (Some(class), Some(seen)) = (classes.get(at.class), self.seen_classes.get_mut(at.class)) else {
            return;
        };
        if std::mem::replace(seen, true) {
            return;
        }
        let start = at.to;
        for &to in &class.subscribers {
            let Some(step) = self.steps.get_mut(to) else { continue };
            if to == start || step.is_some() || settled.get(to) == Some(&true) {
                continue;
            }
            *step = Some(Step { to, ..at });
            self.queue.push_back(to);
            let load = board.load(to);
            if load <= enough && self.best.is_none_or(|(least, _)| load < least) {
                self.best = Some((load, to));
            }
        }
    }

    /// The steps from the start to the best one.
    fn chain(&self, start: usize) -> Option<Vec<Step>> {
        let (_, mut at) = self.best?;
        let mut chain = Vec::new();
        while at != start {
            let step = self.steps.get(at).copied().flatten()?;
            chain.push(step);
            at = step.from;
        }
        Some(chain)
    }
}
