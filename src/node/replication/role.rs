//! What a broker is to a partition.

use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    node::{parked::Waiter, partition::State},
    replica::Leader,
    types::{Acks, BrokerId, LeaderEpoch},
};
use std::{cmp::Ordering, sync::Arc};

/// What a broker is to a partition.
#[derive(Debug)]
pub(in crate::node) enum Role {
    /// It has the only copy there can be.
    Alone,
    Leader(Box<Leader>),
    Follower(Followed),
}

/// Somebody else leads.
#[derive(Debug, Clone, Copy)]
pub(in crate::node) struct Followed {
    /// `None`: nobody does just now.
    pub(in crate::node) leader: Option<BrokerId>,
    pub(in crate::node) epoch: LeaderEpoch,
    /// Whether there is a copy here at all.
    pub(in crate::node) is_replica: bool,
    /// Whether the partition is on its way here: others do not wait for this copy.
    pub(in crate::node) is_adding: bool,
}

/// Who is to be told of what a leader has learned.
#[derive(Debug, Default)]
pub(in crate::node) struct Told {
    pub(in crate::node) waiters: Vec<Arc<dyn Waiter>>,
    pub(in crate::node) acknowledged: Vec<super::acks::Waiting>,
}

impl Role {
    /// Before the controller has said anything.
    pub(in crate::node) const NOBODY: Self = Self::Follower(Followed {
        leader: None,
        epoch: LeaderEpoch(-1),
        is_replica: false,
        is_adding: false,
    });

    /// The newest leader epoch that is known; -1 before the first.
    pub(in crate::node) fn epoch(&self) -> LeaderEpoch {
        match self {
            Self::Alone => LeaderEpoch(-1),
            Self::Leader(leader) => leader.epoch(),
            Self::Follower(followed) => followed.epoch,
        }
    }

    /// In which epoch this broker leads; `None`: it does not.
    pub(in crate::node) fn leads_in(&self) -> Option<LeaderEpoch> {
        match self {
            Self::Leader(leader) => Some(leader.epoch()),
            Self::Alone | Self::Follower(_) => None,
        }
    }

    /// Whether the partition is on its way here.
    pub(in crate::node) fn is_adding(&self) -> bool {
        matches!(self, Self::Follower(followed) if followed.is_adding)
    }

    /// Whom this copy follows.
    pub(in crate::node) fn copies_from(&self) -> Option<BrokerId> {
        match self {
            Self::Follower(followed) if followed.is_replica => followed.leader,
            _ => None,
        }
    }
}

impl State {
    /// Who leads, and in which epoch, as clients are told by the broker `me`.
    pub(in crate::node) fn leader(&mut self, me: BrokerId) -> (BrokerId, LeaderEpoch) {
        match &self.role {
            Role::Alone => (me, self.log_if_any().ok().flatten().map(|log| log.epoch()).unwrap_or_default()),
            Role::Leader(leader) => (me, leader.epoch()),
            Role::Follower(followed) => (followed.leader.unwrap_or(BrokerId::NOBODY), followed.epoch),
        }
    }

    /// Rule 10: whether a client that knows the leader epoch `known` may be answered here.
    #[inline]
    pub(in crate::node) fn check_leads(&mut self, known: LeaderEpoch) -> Result<()> {
        let epoch = match &self.role {
            Role::Alone => self.log_if_any()?.map(|log| log.epoch()).unwrap_or_default(),
            Role::Leader(leader) => leader.epoch(),
            Role::Follower(_) => return Err(Error::NotLeaderOrFollower),
        };
        match known.cmp(&epoch) {
            Ordering::Less => Err(Error::FencedLeaderEpoch),
            Ordering::Greater => Err(Error::UnknownLeaderEpoch),
            Ordering::Equal => Ok(()),
        }
    }

    /// Whether a client that does not say what it knows of the leader may be answered here.
    pub(in crate::node) fn check_is_leader(&self) -> Result<()> {
        if let Role::Follower(_) = self.role { Err(Error::NotLeaderOrFollower) } else { Ok(()) }
    }

    /// Rule 9: whether it is known where that ends which may be read.
    pub(in crate::node) fn check_knows_end(&self) -> Result<()> {
        match &self.role {
            Role::Leader(leader) if !leader.knows_end() => Err(Error::OffsetNotAvailable),
            _ => self.check_is_leader(),
        }
    }

    /// Rule 18: whether a record may be appended that so many replicas are to have.
    #[inline]
    pub(in crate::node) fn check_takes(&self, acks: Acks) -> Result<()> {
        match &self.role {
            Role::Alone => Ok(()),
            Role::Follower(_) if bugs::is(Bug::ServeStaleLeader) => Ok(()),
            Role::Follower(_) => Err(Error::NotLeaderOrFollower),
            Role::Leader(leader) if acks == Acks::All && !leader.has_enough() => {
                Err(Error::NotEnoughReplicas {
                    partition: self.name().clone(),
                    in_sync: leader.isr().len(),
                    needed: leader.needed(),
                })
            }
            Role::Leader(_) => Ok(()),
        }
    }
}
