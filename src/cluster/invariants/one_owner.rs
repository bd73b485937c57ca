//! No partition has two owners in a generation. What an application's own assignor does is its own affair.

use super::{Held, broken};
use crate::{
    assign::MemberAssignment,
    group::Group,
    types::{Generation, GroupState, LeaderEpoch, TopicPartition},
};
use std::{collections::BTreeMap, sync::Arc};

/// Kafka's, which give each partition to one member.
const ASSIGNORS: [&str; 4] = ["range", "roundrobin", "sticky", "cooperative-sticky"];

#[derive(Debug, Default)]
pub(super) struct Owners {
    /// Who was looked at last.
    last: Option<(LeaderEpoch, Generation)>,
}

impl Owners {
    pub(super) fn look(&mut self, name: &str, epoch: LeaderEpoch, group: &Group) -> Held {
        let now = Some((epoch, group.generation()));
        if group.state() != GroupState::Stable || now == self.last {
            return Ok(());
        }
        self.last = now;
        if !group.protocol().is_some_and(|protocol| ASSIGNORS.contains(&protocol)) {
            return Ok(());
        }
        let members = group.members();
        check(name, members.iter().map(|member| (member.member_id.as_str(), &member.assignment)))
    }
}

fn check<'m>(group: &str, members: impl Iterator<Item = (&'m str, &'m Arc<[u8]>)>) -> Held {
    let mut owners: BTreeMap<TopicPartition, &str> = BTreeMap::new();
    for (member, assignment) in members {
        let assigned = MemberAssignment::decode(assignment).unwrap_or_default();
        for of in assigned.partitions {
            if let Some(other) = owners.get(&of) {
                let what = format_args!("{group}: {of} is {other}'s and {member}'s");
                return Err(broken("one owner", what));
            }
            owners.insert(of, member);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_of_two_members_is_seen() {
        let part = |numbers: &[i32]| -> Arc<[u8]> {
            let partitions = numbers.iter().map(|n| TopicPartition::new("t", *n)).collect();
            MemberAssignment { partitions, user_data: None }.encode().into()
        };
        let (one, other, both) = (part(&[0, 2]), part(&[1]), part(&[1, 2]));
        assert!(check("g", [("a", &one), ("b", &other)].into_iter()).is_ok());
        assert!(check("g", [("a", &one), ("b", &both)].into_iter()).is_err());
    }
}
