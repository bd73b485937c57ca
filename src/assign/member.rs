//! A member of a group, as an assignor sees it.

use super::subscription::MemberSubscription;
use crate::types::TopicPartition;
use std::{cmp::Ordering, collections::BTreeSet};

/// A member of a group, as its leader's [`Assignor`](crate::Assignor) sees it.
///
/// A group makes these from what its members say; make them yourself to try an assignor:
///
/// ```
/// use brooklet::{Assignor, GroupMember, RangeAssignor};
/// use std::collections::BTreeMap;
///
/// let members = [
///     GroupMember::new("a", ["orders"]),
///     GroupMember::new("b", ["orders"]).group_instance_id("first"), // static members come first
/// ];
/// let assignment = RangeAssignor.assign(&BTreeMap::from([("orders".into(), 3)]), &members);
/// assert_eq!(assignment["b"], [("orders", 0).into(), ("orders", 1).into()]);
/// assert_eq!(assignment["a"], [("orders", 2).into()]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupMember {
    /// The id that the group gave it; another after each restart.
    pub member_id: String,
    /// Of a static member: the id that it keeps over restarts.
    pub group_instance_id: Option<String>,
    /// What it subscribes to, whether or not there are such topics.
    pub topics: BTreeSet<String>,
    /// What it says that it owns, sorted. Only members that follow the cooperative protocol own anything while they
    /// rebalance.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got what it owns; `None` if it did not say.
    pub generation: Option<i32>,
    /// What its [`Assignor::user_data`](crate::Assignor::user_data) gave.
    pub user_data: Option<Vec<u8>>,
}

impl GroupMember {
    /// A member that subscribes to `topics`, owns nothing and says nothing more.
    ///
    /// ```
    /// # use brooklet::*;
    /// let member = GroupMember::new("a", ["orders", "payments"]);
    /// assert!(member.topics.contains("orders") && member.owned.is_empty());
    /// ```
    pub fn new<T: Into<String>>(member_id: impl Into<String>, topics: impl IntoIterator<Item = T>) -> Self {
        Self {
            member_id: member_id.into(),
            group_instance_id: None,
            topics: topics.into_iter().map(Into::into).collect(),
            owned: Vec::new(),
            generation: None,
            user_data: None,
        }
    }

    /// Makes it a static member.
    ///
    /// ```
    /// # use brooklet::*;
    /// let member = GroupMember::new("a", ["orders"]).group_instance_id("first");
    /// assert_eq!(member.group_instance_id.as_deref(), Some("first"));
    /// ```
    #[must_use]
    pub fn group_instance_id(mut self, id: impl Into<String>) -> Self {
        self.group_instance_id = Some(id.into());
        self
    }

    /// What it owns; sorted here, and each partition taken once.
    ///
    /// ```
    /// # use brooklet::*;
    /// let member = GroupMember::new("a", ["orders"]).owned([("orders", 1), ("orders", 0)]).generation(7);
    /// assert_eq!(member.owned, [("orders", 0).into(), ("orders", 1).into()]);
    /// ```
    #[must_use]
    pub fn owned<P: Into<TopicPartition>>(mut self, partitions: impl IntoIterator<Item = P>) -> Self {
        self.owned = sorted(partitions.into_iter().map(Into::into).collect());
        self
    }

    /// The generation in which it got what it owns, `>= 0`.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(GroupMember::new("a", ["orders"]).generation(7).generation, Some(7));
    /// ```
    #[must_use]
    pub fn generation(mut self, generation: i32) -> Self {
        self.generation = Some(generation);
        self
    }

    /// What its assignor has to say, from [`Assignor::user_data`](crate::Assignor::user_data).
    ///
    /// ```
    /// # use brooklet::*;
    /// let member = GroupMember::new("a", ["orders"]).user_data("rack 7");
    /// assert_eq!(member.user_data.as_deref(), Some(&b"rack 7"[..]));
    /// ```
    #[must_use]
    pub fn user_data(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.user_data = Some(bytes.into());
        self
    }

    /// A member from what it said when it joined.
    pub(crate) fn joined(member_id: String, instance_id: Option<String>, said: MemberSubscription) -> Self {
        Self {
            member_id,
            group_instance_id: instance_id,
            topics: said.topics,
            owned: sorted(said.owned),
            generation: said.generation,
            user_data: said.user_data,
        }
    }

    /// Kafka's order of members: static ones first, by instance id, then the others, by member id.
    pub(super) fn rank(&self, other: &Self) -> Ordering {
        match (&self.group_instance_id, &other.group_instance_id) {
            (Some(mine), Some(theirs)) => mine.cmp(theirs).then_with(|| self.member_id.cmp(&other.member_id)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.member_id.cmp(&other.member_id),
        }
    }
}

/// The members in Kafka's order.
pub(super) fn ranked(members: &[GroupMember]) -> Vec<&GroupMember> {
    let mut ranked: Vec<_> = members.iter().collect();
    ranked.sort_by(|a, b| a.rank(b));
    ranked
}

pub(super) fn sorted(mut partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}
