//! Who has what, while it is being worked out.

use super::{
    claims::Claims,
    topics::{Class, Topics},
};
use std::collections::BTreeMap;

/// The partitions that each member has so far, by class.
#[derive(Debug)]
pub(super) struct Board {
    shares: Vec<Share>,
    class_of: Vec<usize>,
    owners: Vec<Option<usize>>,
}

#[derive(Debug, Default)]
struct Share {
    load: usize,
    classes: BTreeMap<usize, Held>,
}

/// Partitions of one class.
#[derive(Debug, Default)]
struct Held {
    /// That are the member's own, in order.
    kept: Vec<usize>,
    /// That come to it: taking them away again costs nobody anything.
    fresh: Vec<usize>,
}

/// A partition that somebody else has than its owner, which may have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Displaced {
    pub(super) partition: usize,
    pub(super) holder: usize,
    pub(super) owner: usize,
}

/// What may be taken from a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Movable {
    /// Only what it did not own before.
    Fresh,
    /// Anything, if need be.
    All,
}

impl Board {
    pub(super) fn new(topics: &Topics<'_>, claims: &Claims) -> Self {
        let partitions = 0..topics.partitions.len();
        Self {
            shares: topics.members.iter().map(|_| Share::default()).collect(),
            class_of: partitions.clone().map(|partition| topics.class_of(partition)).collect(),
            owners: partitions.map(|partition| claims.owner(partition)).collect(),
        }
    }

    /// Gives each partition to its owner, if that still subscribes to it. What is left comes back, in order.
    pub(super) fn keep_what_is_owned(&mut self, topics: &Topics<'_>, claims: &Claims) -> Vec<usize> {
        let mut unassigned = Vec::new();
        for partition in 0..topics.partitions.len() {
            match claims.owner(partition).filter(|&owner| topics.subscribes(owner, partition)) {
                Some(owner) => self.give(owner, partition),
                None => unassigned.push(partition),
            }
        }
        unassigned
    }

    pub(super) fn members(&self) -> usize {
        self.shares.len()
    }

    /// How many partitions a member has.
    pub(super) fn load(&self, member: usize) -> usize {
        self.shares.get(member).map_or(0, |share| share.load)
    }

    pub(super) fn class_of(&self, partition: usize) -> usize {
        self.class_of.get(partition).copied().unwrap_or_default()
    }

    pub(super) fn give(&mut self, member: usize, partition: usize) {
        let (class, owner) = (self.class_of(partition), self.owner(partition));
        let Some(share) = self.shares.get_mut(member) else { return };
        share.load += 1;
        let held = share.classes.entry(class).or_default();
        if owner == Some(member) { held.kept.push(partition) } else { held.fresh.push(partition) }
    }

    /// Takes one partition of a class from a member, its own ones last.
    pub(super) fn take(&mut self, from: usize, class: usize, movable: Movable) -> Option<usize> {
        let share = self.shares.get_mut(from)?;
        let held = share.classes.get_mut(&class)?;
        let taken = held.fresh.pop().or_else(|| held.kept.pop_if(|_| movable == Movable::All));
        share.load -= usize::from(taken.is_some());
        taken
    }

    /// Takes just this partition, if it is one that the member did not own before.
    pub(super) fn take_fresh(&mut self, from: usize, partition: usize) -> bool {
        let class = self.class_of(partition);
        let Some(share) = self.shares.get_mut(from) else { return false };
        let Some(held) = share.classes.get_mut(&class) else { return false };
        let Some(at) = held.fresh.iter().position(|&it| it == partition) else { return false };
        held.fresh.remove(at);
        share.load -= 1;
        true
    }

    pub(super) fn displaced(&self, classes: &[Class]) -> Vec<Displaced> {
        let mut displaced = Vec::new();
        for (holder, share) in self.shares.iter().enumerate() {
            for (class, held) in &share.classes {
                let subscribers = classes.get(*class).map_or(&[][..], |class| &class.subscribers);
                let owned = held.fresh.iter().filter_map(|&it| Some((it, self.owner(it)?)));
                let could = owned.filter(|(_, owner)| subscribers.binary_search(owner).is_ok());
                displaced.extend(could.map(|(partition, owner)| Displaced { partition, holder, owner }));
            }
        }
        displaced
    }

    /// The classes of which something may be taken from `member`.
    pub(super) fn classes(&self, member: usize, movable: Movable) -> impl Iterator<Item = usize> {
        let classes = self.shares.get(member).into_iter().flat_map(|share| &share.classes);
        let has =
            move |held: &Held| !held.fresh.is_empty() || movable == Movable::All && !held.kept.is_empty();
        classes.filter(move |(_, held)| has(held)).map(|(class, _)| *class)
    }

    /// The partitions of each member, by number and sorted.
    pub(super) fn into_shares(self) -> impl Iterator<Item = Vec<usize>> {
        self.shares.into_iter().map(|share| {
            let mut all: Vec<_> = share
                .classes
                .into_values()
                .flat_map(|held| held.kept.into_iter().chain(held.fresh))
                .collect();
            all.sort_unstable();
            all
        })
    }

    fn owner(&self, partition: usize) -> Option<usize> {
        self.owners.get(partition).copied().flatten()
    }
}
