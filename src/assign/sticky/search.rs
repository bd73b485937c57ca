//! Chains of moves: a gives one partition to b, b another one to c, and so on.

use super::{
    board::{Board, Movable},
    topics::Class,
};
use std::collections::VecDeque;

/// One partition of `class` goes from one member to another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) from: usize,
    pub(super) class: usize,
    pub(super) to: usize,
}

/// Where a chain is to end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Goal {
    /// With the member that has least, if it has two less at least than the one where the chain begins, which has
    /// `from`. Nobody has less than `least`.
    Least { from: usize, least: usize },
    /// With `member`, which has `load`, or with one that has one less.
    InPlaceOf { member: usize, load: usize },
}

/// A search, breadth first, for the fewest moves.
pub(super) struct Search<'a> {
    board: &'a Board,
    classes: &'a [Class],
    settled: &'a [bool],
    start: usize,
    goal: Goal,
    /// How each member was reached.
    steps: Vec<Option<Step>>,
    seen_classes: Vec<bool>,
    queue: VecDeque<usize>,
    best: Option<(usize, usize)>,
}

impl<'a> Search<'a> {
    /// The moves from `start` to the goal, last one first, if there are any. No chain goes through those that are
    /// settled.
    pub(super) fn run(
        board: &'a Board,
        classes: &'a [Class],
        movable: Movable,
        start: usize,
        goal: Goal,
        settled: &'a [bool],
    ) -> Option<Vec<Step>> {
        let mut search = Self {
            board,
            classes,
            settled,
            start,
            goal,
            steps: vec![None; board.members()],
            seen_classes: vec![false; classes.len()],
            queue: VecDeque::from([start]),
            best: None,
        };
        while let Some(from) = search.queue.pop_front() {
            for class in board.classes(from, movable) {
                search.look_at(from, class);
                if search.is_done() {
                    return search.chain();
                }
            }
        }
        search.chain()
    }

    /// Reaches all subscribers of a class of which `from` may give something.
    fn look_at(&mut self, from: usize, class: usize) {
        let Some(seen) = self.seen_classes.get_mut(class) else { return };
        if std::mem::replace(seen, true) {
            return;
        }
        let subscribers = self.classes.get(class).into_iter().flat_map(|class| &class.subscribers);
        for &to in subscribers {
            let Some(step) = self.steps.get_mut(to) else { continue };
            if to == self.start || step.is_some() || self.settled.get(to) == Some(&true) {
                continue;
            }
            *step = Some(Step { from, class, to });
            self.queue.push_back(to);
            self.reached(to);
        }
    }

    fn reached(&mut self, member: usize) {
        let load = self.board.load(member);
        let rank = match self.goal {
            Goal::Least { from, .. } => Some(load).filter(|load| load + 2 <= from),
            Goal::InPlaceOf { member: holder, .. } if member == holder => Some(0),
            Goal::InPlaceOf { load: held, .. } => (load + 1 == held).then_some(1),
        };
        if let Some(rank) = rank.filter(|rank| self.best.is_none_or(|(best, _)| *rank < best)) {
            self.best = Some((rank, member));
        }
    }

    fn is_done(&self) -> bool {
        match self.goal {
            Goal::Least { least, .. } => self.best.is_some_and(|(load, _)| load == least),
            Goal::InPlaceOf { .. } => self.best.is_some(),
        }
    }

    fn chain(&self) -> Option<Vec<Step>> {
        let (_, mut at) = self.best?;
        let mut chain = Vec::new();
        while at != self.start {
            let step = self.steps.get(at).copied().flatten()?;
            chain.push(step);
            at = step.from;
        }
        Some(chain)
    }
}
