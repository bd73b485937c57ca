//! The copies of partitions that a broker of a cluster has: some it leads, some follow another broker's. The controller says
//! which; an embedded broker is alone with all of its own.

mod acks;
mod follow;
mod mailbox;
mod removal;
mod role;
mod serve;
mod starts;
mod topics;
mod view;

pub(super) use acks::Acknowledgements;
pub(crate) use follow::Copies;
pub(super) use role::{Followed, Role};
pub(super) use serve::ParkedReplicaFetch;
pub(super) use starts::Starts;
pub(crate) use view::CopyView;

use super::{Node, partition::Partition};
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    replica::{Leader, LeaderState, News},
    rpc::PartitionRef,
    sync::{AtomicI64, Ordering},
    types::{BrokerId, LeaderEpoch, OFFSETS_TOPIC, Offset, TopicId},
};
use mailbox::Mailbox;
use std::{sync::Arc, time::Duration};

/// What a broker of a cluster keeps, and an embedded one does not need.
#[derive(Debug)]
pub(crate) struct Replication {
    /// How long a follower may lag behind before it is not in sync any more. (`replica.lag.time.max.ms`)
    pub(crate) max_lag: Duration,
    /// That of the broker's registration.
    broker_epoch: AtomicI64,
    /// How many partitions groups are kept in. (`offsets.topic.num.partitions`)
    offsets_partitions: i32,
    /// What the controller is to be asked for.
    proposals: Mailbox<IsrProposal>,
    /// What the disk has refused in the background.
    failures: Mailbox<Error>,
    /// High watermarks that leaders here have raised.
    raised: Mailbox<Raised>,
}

/// How far a partition may be read from now on, exclusive, as its leader says.
pub(crate) type Raised = ((TopicId, i32), Offset);

/// A leader wants another ISR for its partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IsrProposal {
    pub(crate) partition: (TopicId, i32),
    pub(crate) leader_epoch: LeaderEpoch,
    pub(crate) partition_epoch: i32,
    /// With the registrations that the leader knows the brokers by.
    pub(crate) isr: Vec<(BrokerId, i64)>,
}

/// What the controller says of a partition.
#[derive(Debug, Clone)]
pub(crate) struct Leadership {
    pub(crate) leader: Option<BrokerId>,
    /// Whether this broker is yet to get the partition.
    pub(crate) is_adding: bool,
    pub(crate) state: LeaderState,
}

impl Replication {
    pub(crate) fn new(max_lag: Duration, offsets_partitions: i32) -> Self {
        Self {
            max_lag,
            offsets_partitions,
            broker_epoch: AtomicI64::new(-1),
            proposals: Mailbox::default(),
            failures: Mailbox::default(),
            raised: Mailbox::default(),
        }
    }
}

impl Node {
    /// The broker is registered under this number from now on.
    pub(crate) fn set_broker_epoch(&self, epoch: i64) {
        if let Some(replication) = &self.replication {
            replication.broker_epoch.store(epoch, Ordering::Release);
        }
    }

    fn broker_epoch(&self) -> i64 {
        self.replication.as_ref().map_or(-1, |replication| replication.broker_epoch.load(Ordering::Acquire))
    }

    /// That number.
    pub(crate) fn metadata_version(&self) -> u64 {
        self.metadata.get()
    }

    /// What clients know of topics is not what holds any more. In a cluster the controller's word says so.
    pub(in crate::node) fn metadata_changed(&self) {
        if self.replication.is_none() {
            self.metadata.change();
        }
    }

    /// What clients know of topics has another number: that of the controller's last word.
    pub(crate) fn set_metadata_version(&self, version: u64) {
        self.metadata.set(version);
        self.tell_of_topics();
    }

    /// A log is not kept any more as it should be.
    pub(super) fn note_failure(&self, error: Error) {
        if let Some(replication) = self.replication.as_ref().filter(|_| error.is_of_the_disk()) {
            replication.failures.put(error);
        }
    }

    /// What the disk has refused in the background.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.replication.as_ref()?.failures.take().into_iter().next()
    }

    /// The high watermarks that leaders here have raised since this was asked last, in order.
    pub(crate) fn take_raised(&self) -> Vec<Raised> {
        self.replication.as_ref().map_or_else(Vec::new, |replication| replication.raised.take())
    }

    /// What the controller is to be asked for, since this was asked last.
    pub(crate) fn take_proposals(&self) -> Vec<IsrProposal> {
        self.replication.as_ref().map_or_else(Vec::new, |replication| replication.proposals.take())
    }

    /// A partition by its topic's id and number, wherever it is kept.
    pub(super) fn partition_by_id(&self, (topic_id, partition): (TopicId, i32)) -> Result<Arc<Partition>> {
        self.partition(PartitionRef { topic_id, partition, slot: u32::MAX })
    }

    /// The controller says who leads a partition, and who is in sync. What is older than what is known changes nothing.
    pub(crate) fn take_leadership(&self, of: (TopicId, i32), said: &Leadership) -> Result<()> {
        let mut partition = self.partition_by_id(of)?;
        let leads = said.leader == Some(self.id);
        if leads { self.lead(&partition, &said.state) } else { self.follow(&partition, said) }?;
        if self.keeps_too_much(&partition, said) {
            partition = self.remove_copy(&partition)?;
            self.follow(&partition, said)?;
        }
        if partition.name().topic() == OFFSETS_TOPIC { self.coordination_changed(&partition) } else { Ok(()) }
    }

    /// Whether there is a copy here that is to be none, for all that is known.
    fn keeps_too_much(&self, partition: &Partition, said: &Leadership) -> bool {
        let state = partition.lock();
        let follows = matches!(&state.role, Role::Follower(followed) if !followed.is_replica);
        follows && state.role.epoch() == said.state.epoch && state.has_log()
    }

    fn lead(&self, partition: &Arc<Partition>, said: &LeaderState) -> Result<()> {
        let Some(replication) = &self.replication else { return Ok(()) };
        let now = self.clock.now();
        let mut state = partition.lock();
        if let Role::Leader(leader) = &mut state.role
            && leader.epoch() == said.epoch
        {
            if !leader.learn(said) {
                return Ok(());
            }
        } else {
            if said.epoch <= state.role.epoch() {
                return Ok(());
            }
            let high_watermark = partition.known_watermark();
            let log = state.log_to_append(partition)?;
            log.begin_epoch(said.epoch);
            let ends = (log.end(), high_watermark.min(log.end()).max(log.start()));
            let leader = Leader::new(self.id, said.clone(), ends, replication.max_lag, now);
            state.role = Role::Leader(Box::new(leader));
        }
        drop(state);
        self.tick_replicas(partition);
        Ok(())
    }

    fn follow(&self, partition: &Arc<Partition>, said: &Leadership) -> Result<()> {
        let mut state = partition.lock();
        if said.state.epoch < state.role.epoch()
            || said.state.epoch == state.role.epoch() && matches!(state.role, Role::Leader(_))
        {
            return Ok(());
        }
        let is_replica = said.state.replicas.contains(&self.id);
        let was_leader = matches!(state.role, Role::Leader(_));
        let (leader, epoch, is_adding) = (said.leader, said.state.epoch, said.is_adding);
        let followed = Followed { leader, epoch, is_replica, is_adding };
        state.role = Role::Follower(followed);
        let woken = state.take_waiting();
        let waiting = state.acknowledgements.take_all();
        let deletions = state.starts.take_all();
        if is_replica {
            let log = state.log_to_append(partition)?;
            if bugs::is(Bug::TruncateToHighWatermark) {
                let to = partition.known_watermark();
                log.lower_recovery_point(to);
                log.truncate(to)?;
                partition.cut(to);
            }
        }
        drop(state);
        if was_leader {
            self.fail_acknowledgements(waiting);
            starts::fail(deletions, &Error::NotLeaderOrFollower);
        }
        woken.into_iter().for_each(|waiter| waiter.look_again());
        Ok(())
    }

    /// Whether a leader here waits for what the controller says to a proposal.
    pub(crate) fn stands_by(&self, proposal: &IsrProposal) -> bool {
        let Ok(partition) = self.partition_by_id(proposal.partition) else { return false };
        let state = partition.lock();
        let Role::Leader(leader) = &state.role else { return false };
        leader.has_proposed()
            && (leader.epoch(), leader.partition_epoch()) == (proposal.leader_epoch, proposal.partition_epoch)
    }

    /// The controller has not taken a proposal, for sure: another one may be made.
    pub(crate) fn proposal_refused(&self, proposal: &IsrProposal) {
        let Ok(partition) = self.partition_by_id(proposal.partition) else { return };
        {
            let mut state = partition.lock();
            let Role::Leader(leader) = &mut state.role else { return };
            if (leader.epoch(), leader.partition_epoch()) != (proposal.leader_epoch, proposal.partition_epoch)
            {
                return;
            }
            leader.refused();
        }
        self.tick_replicas(&partition);
    }

    /// Looks at whether a partition's followers keep up, and when to look again.
    pub(super) fn tick_replicas(&self, partition: &Arc<Partition>) {
        let now = self.clock.now();
        let mut state = partition.lock();
        let end = state.log_if_any().ok().flatten().map(|log| log.end());
        let (Role::Leader(leader), Some(end)) = (&mut state.role, end) else { return };
        let news = leader.tick(end, now);
        let next = leader.next_deadline(end);
        let arm = next < state.replicas_due;
        if arm {
            state.replicas_due = next;
        }
        let told = self.take_news(partition, &mut state, news);
        drop(state);
        if arm {
            self.timers.arm(next, super::Task::Replicas(Arc::downgrade(partition)));
        }
        self.tell(told);
    }

    /// The timer of [`tick_replicas`](Self::tick_replicas).
    pub(super) fn replicas_are_due(&self, partition: &Arc<Partition>) {
        partition.lock().replicas_due = crate::types::Instant::MAX;
        self.tick_replicas(partition);
    }

    /// A batch is in the log that ends at `end` now.
    #[inline]
    pub(super) fn appended_as_leader(
        &self,
        partition: &Partition,
        state: &mut super::partition::State,
        end: Offset,
    ) -> role::Told {
        let Role::Leader(leader) = &mut state.role else { return role::Told::default() };
        let news = leader.appended(end, self.clock.now());
        self.take_news(partition, state, news)
    }

    /// Does what a leader's news ask for, under its lock; what is given back is told without it.
    pub(super) fn take_news(
        &self,
        partition: &Partition,
        state: &mut super::partition::State,
        news: News,
    ) -> role::Told {
        let Role::Leader(leader) = &state.role else { return role::Told::default() };
        let reached = leader.high_watermark();
        if let (Some(isr), Some(replication)) = (news.propose, &self.replication) {
            let own = self.broker_epoch();
            let named = isr.into_iter().map(|(id, epoch)| (id, if id == self.id { own } else { epoch }));
            replication.proposals.put(IsrProposal {
                partition: (partition.topic_id, partition.name().partition()),
                leader_epoch: leader.epoch(),
                partition_epoch: leader.partition_epoch(),
                isr: named.collect(),
            });
        }
        partition.set_watermark(reached);
        if !news.raised {
            return role::Told::default();
        }
        if let Some(replication) = &self.replication {
            let of = (partition.topic_id, partition.name().partition());
            replication.raised.put((of, reached));
        }
        let acknowledged = state.acknowledgements.take_below(reached);
        role::Told { waiters: state.take_waiting(), acknowledged }
    }

    /// Tells those who waited for what a leader has learned.
    pub(super) fn tell(&self, told: role::Told) {
        self.acknowledge(told.acknowledged);
        told.waiters.into_iter().for_each(|waiter| waiter.look_again());
    }
}
