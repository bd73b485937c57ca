//! How partitions could be spread evenly over brokers: pure, a proposal.

use super::Image;
use crate::{
    bugs::{self, Bug},
    types::{BrokerId, TopicId},
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

type Key = (TopicId, i32);

/// The partitions whose replicas would be others, with those: as few as can be, so that brokers differ by no more than one in how
/// many replicas they have, and in how many partitions prefer them as the leader. Nothing is on a broker in `without`.
///
/// `None` where too few brokers would be left for a partition's replicas.
pub(crate) fn spread(image: &Image, without: &BTreeSet<BrokerId>) -> Option<Vec<(Key, Vec<BrokerId>)>> {
    let active = image.brokers.iter().filter(|(id, broker)| broker.is_active() && !without.contains(*id));
    let brokers: BTreeSet<BrokerId> = active.map(|(id, _)| *id).collect();
    let mut before: BTreeMap<Key, Vec<BrokerId>> = BTreeMap::new();
    for (id, topic) in &image.topics {
        before.extend(topic.partitions.iter().map(|(number, state)| ((*id, *number), state.target())));
    }
    let mut plan = Plan { brokers, before: before.clone(), replicas: before.clone() };
    plan.leave(without)?;
    plan.even_out_replicas();
    if !bugs::is(Bug::PreferUnevenly) {
        plan.even_out_leaders();
    }
    Some(plan.replicas.into_iter().filter(|(key, replicas)| before.get(key) != Some(replicas)).collect())
}

struct Plan {
    /// Those that get something. Others keep what they have.
    brokers: BTreeSet<BrokerId>,
    before: BTreeMap<Key, Vec<BrokerId>>,
    replicas: BTreeMap<Key, Vec<BrokerId>>,
}

impl Plan {
    /// How many replicas each broker has; of one topic alone, if one is named.
    fn loads(&self, of: Option<TopicId>) -> BTreeMap<BrokerId, usize> {
        let mut loads: BTreeMap<BrokerId, usize> = self.brokers.iter().map(|id| (*id, 0)).collect();
        let counted = self.replicas.iter().filter(|(key, _)| of.is_none_or(|topic| key.0 == topic));
        for id in counted.flat_map(|(_, replicas)| replicas) {
            loads.entry(*id).and_modify(|load| *load += 1);
        }
        loads
    }

    /// Gives what the brokers in `without` have to those that have the least.
    fn leave(&mut self, without: &BTreeSet<BrokerId>) -> Option<()> {
        let leaving = |replicas: &[BrokerId]| replicas.iter().any(|id| without.contains(id));
        let keys = self.replicas.iter().filter(|(_, replicas)| leaving(replicas)).map(|(key, _)| *key);
        for key in keys.collect::<Vec<Key>>() {
            let (loads, of_topic) = (self.loads(None), self.loads(Some(key.0)));
            let load = |id: &BrokerId| (loads.get(id).copied(), of_topic.get(id).copied());
            let replicas = self.replicas.get_mut(&key)?;
            while let Some(at) = replicas.iter().position(|id| without.contains(id)) {
                let free = self.brokers.iter().filter(|id| !replicas.contains(id));
                let least = *free.min_by_key(|id| load(id))?;
                *replicas.get_mut(at)? = least;
            }
        }
        Some(())
    }

    /// Moves single replicas from who has the most to who has the least.
    fn even_out_replicas(&mut self) {
        while let Some((most, least)) = unequal(&self.loads(None)) {
            let movable = |replicas: &Vec<BrokerId>| replicas.contains(&most) && !replicas.contains(&least);
            let keys = self.replicas.iter().filter(|(_, replicas)| movable(replicas)).map(|(key, _)| *key);
            // Of the topic that is the most uneven itself, and rather one copy of each of two partitions than two of one.
            let copied = |key: &Key| {
                let (before, after) = (self.before.get(key), self.replicas.get(key));
                let had = |id: &&BrokerId| !before.is_some_and(|before| before.contains(id));
                after.map_or(0, |after| after.iter().filter(had).count())
            };
            let uneven = |key: &Key| {
                let loads = self.loads(Some(key.0));
                let load = |id: &BrokerId| loads.get(id).map_or(0, |load| *load as i64);
                load(&most) - load(&least)
            };
            let Some(key) = keys.max_by_key(|key| (uneven(key), Reverse((copied(key), *key)))) else {
                return;
            };
            let Some(replicas) = self.replicas.get_mut(&key) else { return };
            replicas.iter_mut().filter(|id| **id == most).for_each(|id| *id = least);
        }
    }

    /// How many partitions prefer each broker as the leader.
    fn preferred(&self) -> BTreeMap<BrokerId, usize> {
        let mut loads: BTreeMap<BrokerId, usize> = self.brokers.iter().map(|id| (*id, 0)).collect();
        for id in self.replicas.values().filter_map(|replicas| replicas.first()) {
            loads.entry(*id).and_modify(|load| *load += 1);
        }
        loads
    }

    /// Has partitions prefer other ones of their replicas: nothing is copied for that.
    fn even_out_leaders(&mut self) {
        loop {
            let loads = self.preferred();
            let Some(most) = loads.iter().max_by_key(|(id, load)| (**load, Reverse(**id))) else {
                return;
            };
            let Some(path) = self.path(*most.0, |id| loads.get(&id).is_some_and(|load| load + 2 <= *most.1))
            else {
                return;
            };
            for (key, to) in path {
                let Some(replicas) = self.replicas.get_mut(&key) else { return };
                if let Some(at) = replicas.iter().position(|id| *id == to) {
                    replicas.swap(0, at);
                }
            }
        }
    }

    /// The shortest way from a broker to one of which `is_goal` holds, over partitions that prefer the one and have the next.
    fn path(&self, from: BrokerId, is_goal: impl Fn(BrokerId) -> bool) -> Option<Vec<(Key, BrokerId)>> {
        let mut came: BTreeMap<BrokerId, (BrokerId, Key)> = BTreeMap::new();
        let mut queue = VecDeque::from([from]);
        while let Some(at) = queue.pop_front() {
            if is_goal(at) {
                let mut path = Vec::new();
                let mut to = at;
                while let Some((before, key)) = came.get(&to).filter(|_| to != from) {
                    path.push((*key, to));
                    to = *before;
                }
                path.reverse();
                return Some(path);
            }
            let prefer = self.replicas.iter().filter(|(_, replicas)| replicas.first() == Some(&at));
            for (key, id) in prefer.flat_map(|(key, replicas)| replicas.iter().map(move |id| (key, id))) {
                if self.brokers.contains(id) && *id != from && !came.contains_key(id) {
                    came.insert(*id, (at, *key));
                    queue.push_back(*id);
                }
            }
        }
        None
    }
}

/// Who has the most and who the least, if they differ by more than one.
fn unequal(loads: &BTreeMap<BrokerId, usize>) -> Option<(BrokerId, BrokerId)> {
    let most = loads.iter().max_by_key(|(id, load)| (**load, Reverse(**id)))?;
    let least = loads.iter().min_by_key(|(id, load)| (**load, **id))?;
    (least.1 + 2 <= *most.1).then_some((*most.0, *least.0))
}
