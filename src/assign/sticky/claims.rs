//! Who owns what, of those who say so.

use super::{
    super::member::{GroupMember, sorted},
    topics::Topics,
};
use crate::types::TopicPartition;

/// What a member says that it owns, and since which generation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) partitions: Vec<TopicPartition>,
    pub(super) generation: Option<i32>,
}

/// The claims to each partition. Of two, the one of the higher generation holds: the other member missed a rebalance. If
/// both are of one generation neither holds.
#[derive(Debug)]
pub(super) struct Claims(Vec<Option<Claim>>);

#[derive(Debug, Clone, Copy)]
struct Claim {
    member: usize,
    generation: i32,
    /// By another of this generation.
    contested: bool,
}

impl Claims {
    pub(super) fn settle(topics: &Topics<'_>, claimed: impl Fn(&GroupMember) -> Claimed) -> Self {
        let mut claims = vec![None; topics.partitions.len()];
        for (member, said) in topics.members.iter().enumerate() {
            let Claimed { partitions, generation } = claimed(said);
            // A claim without a generation is older than any other.
            let generation = generation.unwrap_or(-1).max(-1);
            for partition in sorted(partitions).iter().filter_map(|it| topics.number(it)) {
                if let Some(best) = claims.get_mut(partition) {
                    let new = Claim { member, generation, contested: false };
                    *best = Some(best.map_or(new, |best: Claim| best.or(new)));
                }
            }
        }
        Self(claims)
    }

    fn of(&self, partition: usize) -> Option<Claim> {
        self.0.get(partition).copied().flatten()
    }

    /// Whose the partition is; nobody's if nobody claims it, or two do that have the same right to it.
    pub(super) fn owner(&self, partition: usize) -> Option<usize> {
        self.of(partition).filter(|claim| !claim.contested).map(|claim| claim.member)
    }

    /// Whether somebody may still have the partition, and `member` is not known to be the one.
    pub(super) fn is_held_against(&self, member: usize, partition: usize) -> bool {
        self.of(partition).is_some() && self.owner(partition) != Some(member)
    }
}

impl Claim {
    fn or(self, new: Self) -> Self {
        match new.generation.cmp(&self.generation) {
            std::cmp::Ordering::Less => self,
            std::cmp::Ordering::Equal => Self { contested: true, ..self },
            std::cmp::Ordering::Greater => new,
        }
    }
}
