//! A cluster's controller: the quorum that keeps its metadata, and what the quorum's leader decides.
//!
//! All of it is pure: requests and events go in, records and effects come out. No clock, no file, no lock; random numbers are
//! handed in.

mod balance;
mod brokers;
mod election;
mod image;
mod partitions;
mod placement;
pub(crate) mod quorum;
mod reassignment;
#[cfg(test)]
mod tests;
mod topics;

pub(crate) use balance::spread;
pub(crate) use image::Image;

use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    prng::Prng,
    rpc::{Request, Response, metadata_record::MetadataRecord},
    types::{BrokerId, Instant, Offset, TopicId},
};
use election::{Assignment, Change, Election};
use quorum::Index;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

#[derive(Debug, Clone, Copy)]
pub(crate) struct ControllerConfig {
    /// A broker that is not heard for as long is fenced. (`broker.session.timeout.ms`)
    pub(crate) session_timeout: Duration,
    /// How often it looks for brokers that lead too little of what prefers them; `None`: never.
    /// (`leader.imbalance.check.interval.seconds`)
    pub(crate) leader_check: Option<Duration>,
}

impl Default for ControllerConfig {
    fn default() -> Self {
        Self { session_timeout: Duration::from_secs(9), leader_check: Some(Duration::from_secs(300)) }
    }
}

/// The active controller. It is made when its member of the quorum is elected, and dropped when that resigns.
///
/// It decides on what is appended, committed or not. Records that a call gives are to be proposed as one entry, in the order
/// of the calls, and nothing else is; its answer, or error, is given out when all that was proposed until then is committed,
/// so that nobody hears of what may vanish.
#[derive(Debug)]
pub(crate) struct Controller {
    image: Image,
    config: ControllerConfig,
    prng: Prng,
    /// Where the next records will be in the log.
    next: Index,
    /// What this call has decided so far.
    decided: Vec<MetadataRecord>,
    /// When it looks next at whether preferred leaders lead.
    leader_check_at: Instant,
    /// Of the brokers that are not fenced.
    sessions: BTreeMap<BrokerId, Session>,
}

#[derive(Debug, Clone, Copy)]
struct Session {
    ends: Instant,
    /// What the broker has applied of the metadata log.
    caught_up_to: Offset,
    /// Which entry, of those that it has to have before the broker may go, was the last to move a leader away from it.
    moved_at: Index,
}

impl Controller {
    /// Of a member that was just elected: `image` has all of its log, `next` is the index of the next entry. Every broker that
    /// is not fenced gets a whole session: it had no chance to be heard here.
    pub(crate) fn new(
        mut image: Image,
        next: Index,
        config: ControllerConfig,
        prng: Prng,
        now: Instant,
    ) -> Self {
        if bugs::is(Bug::ForgetReassignments) {
            image.forget_reassignments();
        }
        let unfenced = image.brokers.iter().filter(|(_, broker)| !broker.fenced);
        let session = Session {
            ends: now.plus(config.session_timeout),
            caught_up_to: Offset::new(-1),
            moved_at: Index(next.0.saturating_sub(1)),
        };
        let sessions = unfenced.map(|(id, _)| (*id, session)).collect();
        let leader_check_at = config.leader_check.map_or(Instant::MAX, |interval| now.plus(interval));
        Self { image, config, prng, next, decided: Vec::new(), leader_check_at, sessions }
    }

    /// Answers a request: see [`Controller`] for what is to be done with the records. Where there is an error there are none.
    pub(crate) fn handle(
        &mut self,
        request: &Request,
        now: Instant,
    ) -> (Vec<MetadataRecord>, Result<Response>) {
        let answer = match request {
            Request::RegisterBroker(request) => Ok(Response::RegisterBroker(self.register(request))),
            Request::BrokerHeartbeat(request) => self.heartbeat(request, now).map(Response::BrokerHeartbeat),
            Request::AlterPartition(request) => self.alter_partition(request).map(Response::AlterPartition),
            Request::AllocateProducerIds(request) => {
                self.allocate_producer_ids(request).map(Response::AllocateProducerIds)
            }
            Request::AlterPartitionReassignments(request) => {
                self.reassign(request).map(Response::AlterPartitionReassignments)
            }
            Request::UnregisterBroker(request) => self.unregister(request).map(Response::UnregisterBroker),
            Request::ListPartitionReassignments(_) => {
                Ok(Response::ListPartitionReassignments(self.list_reassignments()))
            }
            Request::ElectLeaders(request) => self.elect_leaders(request).map(Response::ElectLeaders),
            Request::CreateTopic(request) => self.create_topic(request).map(Response::CreateTopic),
            Request::DeleteTopic(request) => self.delete_topic(request).map(Response::DeleteTopic),
            Request::CreatePartitions(request) => {
                self.create_partitions(request).map(Response::CreatePartitions)
            }
            Request::AlterConfigs(request) => self.alter_configs(request).map(Response::AlterConfigs),
            other => Err(Error::IllegalState(format!("no request for a controller: {other:?}"))),
        };
        (self.take_decided(), answer)
    }

    /// Fences the brokers that were not heard for too long, and has preferred leaders lead where too few do.
    pub(crate) fn tick(&mut self, now: Instant) -> Vec<MetadataRecord> {
        let silent = self.sessions.iter().filter(|(_, session)| session.ends <= now);
        let silent: Vec<BrokerId> = silent.map(|(id, _)| *id).collect();
        self.fence(&silent);
        if self.leader_check_at <= now {
            self.leader_check_at =
                self.config.leader_check.map_or(Instant::MAX, |interval| now.plus(interval));
            self.balance_leaders();
        }
        self.take_decided()
    }

    /// When it wants a [`tick`](Self::tick).
    pub(crate) fn next_deadline(&self) -> Instant {
        let sessions = self.sessions.values().map(|session| session.ends);
        sessions.chain([self.leader_check_at]).min().unwrap_or(Instant::MAX)
    }

    /// What it goes by: all that is appended.
    #[cfg(test)]
    pub(crate) fn image(&self) -> &Image {
        &self.image
    }

    /// Where the next records will be in the log, if they are proposed as they should be.
    pub(crate) fn next_index(&self) -> Index {
        self.next
    }

    /// Entries that are none of its own are in the log before this one.
    pub(crate) fn skip_to(&mut self, next: Index) {
        self.next = self.next.max(next);
    }

    fn decide(&mut self, record: MetadataRecord) {
        self.image.apply(&record);
        self.decided.push(record);
    }

    fn take_decided(&mut self) -> Vec<MetadataRecord> {
        let decided = std::mem::take(&mut self.decided);
        self.next = Index(self.next.0 + u64::from(!decided.is_empty()));
        decided
    }

    /// Sees to who leads a partition and who is in sync, now that something has changed: `isr`, where it is given, is to be in
    /// sync, and `lost` has lost its data.
    fn change_partition(
        &mut self,
        (topic, partition): (TopicId, i32),
        isr: Option<BTreeSet<BrokerId>>,
        lost: Option<BrokerId>,
        election: Election,
    ) {
        self.change((topic, partition), None, isr, lost, election);
    }

    /// As `change_partition`, with the brokers that are to have the partition, where they are others.
    fn change(
        &mut self,
        (topic, partition): (TopicId, i32),
        assignment: Option<Assignment>,
        isr: Option<BTreeSet<BrokerId>>,
        lost: Option<BrokerId>,
        election: Election,
    ) {
        let Some(settings) = self.image.topics.get(&topic) else { return };
        let Some(before) = settings.partitions.get(&partition) else { return };
        let change = Change {
            before,
            assignment,
            isr: isr.unwrap_or_else(|| before.isr.clone()),
            lost,
            election,
            min_insync_replicas: settings.min_insync_replicas,
            unclean_allowed: settings.unclean_leader_election,
            is_active: &|broker| self.image.is_active(broker),
        };
        if let Some(state) = change.apply() {
            self.decide(MetadataRecord::Partition { topic, partition, state });
        }
    }
}
