//! A group's members, and the partitions that they may have.

use super::super::member::GroupMember;
use crate::types::TopicPartition;
use std::{collections::BTreeMap, sync::Arc};

/// The partitions of all topics to which the same members subscribe. Any of these may have any of them, so that they
/// need not be told apart.
#[derive(Debug)]
pub(super) struct Class {
    /// In the order of members.
    pub(super) subscribers: Vec<usize>,
    /// How many partitions there are.
    pub(super) partitions: usize,
}

/// Members and partitions by number, and who may have what.
#[derive(Debug)]
pub(super) struct Topics<'a> {
    /// By member id.
    pub(super) members: Vec<&'a GroupMember>,
    /// Of topics that somebody subscribes to, in order.
    pub(super) partitions: Vec<TopicPartition>,
    /// Of each partition.
    class_of: Vec<usize>,
    /// Those with fewest subscribers first, and among them those whose first topic comes first.
    pub(super) classes: Vec<Class>,
    /// The number of each topic's first partition, and how many it has.
    ranges: BTreeMap<String, (usize, usize)>,
}

impl<'a> Topics<'a> {
    pub(super) fn new(counts: &BTreeMap<String, i32>, members: &'a [GroupMember]) -> Self {
        let mut members: Vec<_> = members.iter().collect();
        members.sort_by(|a, b| a.member_id.cmp(&b.member_id));
        let topics = subscribers_by_topic(counts, &members);
        let (numbers, mut classes) = classes_of(&topics);
        let (mut partitions, mut class_of) = (Vec::new(), Vec::new());
        let mut ranges = BTreeMap::new();
        for (topic, subscribers) in &topics {
            let name: Arc<str> = (*topic).into();
            let (start, class) = (partitions.len(), numbers.get(subscribers).copied().unwrap_or_default());
            let count = counts.get(*topic).copied().unwrap_or_default();
            partitions.extend((0..count).map(|n| TopicPartition::shared(Arc::clone(&name), n)));
            class_of.resize(partitions.len(), class);
            if let Some(class) = classes.get_mut(class) {
                class.partitions += partitions.len() - start;
            }
            ranges.insert((*topic).to_owned(), (start, partitions.len() - start));
        }
        Self { members, partitions, class_of, classes, ranges }
    }

    /// The number of a partition that somebody may have.
    pub(super) fn number(&self, partition: &TopicPartition) -> Option<usize> {
        let (start, count) = self.ranges.get(partition.topic())?;
        let at = usize::try_from(partition.partition()).ok().filter(|at| at < count)?;
        Some(start + at)
    }

    /// Partitions by their names.
    pub(super) fn named(&self, numbers: Vec<usize>) -> Vec<TopicPartition> {
        numbers.into_iter().filter_map(|number| self.partitions.get(number).cloned()).collect()
    }

    pub(super) fn class_of(&self, partition: usize) -> usize {
        self.class_of.get(partition).copied().unwrap_or_default()
    }

    pub(super) fn subscribes(&self, member: usize, partition: usize) -> bool {
        let class = self.classes.get(self.class_of(partition));
        class.is_some_and(|class| class.subscribers.binary_search(&member).is_ok())
    }
}

/// The topics that have partitions and subscribers.
fn subscribers_by_topic<'t>(
    counts: &'t BTreeMap<String, i32>,
    members: &[&GroupMember],
) -> BTreeMap<&'t str, Vec<usize>> {
    let mut topics: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, member) in members.iter().enumerate() {
        let known = member.topics.iter().filter_map(|topic| counts.get_key_value(topic));
        for (topic, _) in known.filter(|(_, count)| **count > 0) {
            topics.entry(topic).or_default().push(number);
        }
    }
    topics
}

/// The number of each set of subscribers, and its class.
fn classes_of<'t>(topics: &'t BTreeMap<&str, Vec<usize>>) -> (BTreeMap<&'t Vec<usize>, usize>, Vec<Class>) {
    let mut sets: Vec<&Vec<usize>> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for subscribers in topics.values() {
        if seen.insert(subscribers) {
            sets.push(subscribers);
        }
    }
    sets.sort_by_key(|subscribers| subscribers.len());
    let classes = sets.iter().map(|&set| Class { subscribers: set.clone(), partitions: 0 }).collect();
    (sets.into_iter().enumerate().map(|(number, set)| (set, number)).collect(), classes)
}
