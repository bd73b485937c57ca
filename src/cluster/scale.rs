//! A cluster that grows and shrinks.

use super::Cluster;
use crate::{
    bugs::{self, Bug},
    controller::spread,
    error::{Error, Result},
    rpc::{AddRaftVoterRequest, RemoveRaftVoterRequest, UnregisterBrokerRequest},
    types::{BrokerId, ElectionType, TopicPartition},
};
use std::{collections::BTreeSet, time::Duration};

/// How long it may take until a broker is registered and in its place.
const JOINS_WITHIN: Duration = Duration::from_secs(60);

/// How long it may take until a broker that has stopped is known to be gone.
const FENCED_WITHIN: Duration = Duration::from_secs(60);

impl Cluster {
    /// Adds a broker, with an empty disk, and waits until it is in its place, at most 60 s. Its id is the highest that there ever was and 1.
    ///
    /// Partitions that are made from now on may come to it; those that are there stay where they are. It has no vote on who the controller
    /// is, until one that has is [taken out](Self::decommission).
    ///
    /// # Errors
    /// [`Error::IllegalState`] where there are 100 brokers; [`Error::Timeout`] if nobody
    /// could register it, in which case it is there and goes on trying.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).start()?;
    /// let fourth = cluster.add_broker()?;
    /// assert_eq!(cluster.brokers().last(), Some(&fourth));
    /// cluster.create_topic("orders", TopicConfig::new().replication_factor(4))?;
    /// assert!(cluster.isr("orders", 0)?.contains(&fourth));
    /// # Ok(()) }
    /// ```
    pub fn add_broker(&self) -> Result<BrokerId> {
        let id = self.inner.world.add_broker()?;
        self.inner.network.set_brokers(self.brokers());
        self.run_until(JOINS_WITHIN, |cluster| cluster.is_in_place(id))?;
        Ok(id)
    }

    /// Spreads partitions evenly: afterwards brokers differ by no more than one in how many copies they have, and in how many partitions
    /// they lead; as little as possible is moved. It waits for that, at most `within`. Clients may go on.
    ///
    /// # Errors
    /// [`Error::Timeout`] if it is not done by then: what has begun goes on. Those of
    /// [`Admin::alter_partition_reassignment`](crate::Admin::alter_partition_reassignment).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let orders = TopicConfig::new().partitions(8).replication_factor(2);
    /// let cluster = Cluster::builder().brokers(3).topic("orders", orders).start()?;
    /// let fourth = cluster.add_broker()?;
    /// cluster.rebalance(Duration::from_secs(60))?;
    /// let led = (0..8).filter(|n| cluster.leader("orders", *n).is_ok_and(|leader| leader == fourth));
    /// assert_eq!(led.count(), 2);
    /// # Ok(()) }
    /// ```
    pub fn rebalance(&self, within: Duration) -> Result<()> {
        self.spread(&BTreeSet::new(), within)?;
        self.elect_preferred()
    }

    /// Takes a broker out of the cluster for good: what it has moves to the others, so does its vote on who the controller is, if it has
    /// one, to a broker that has none; then it [stops](Self::stop), and its machine is gone. It waits for that, at most about `within`.
    /// Clients may go on, and nothing is lost.
    ///
    /// # Errors
    /// - [`Error::IllegalState`] if there is no such broker, or no other one.
    /// - [`Error::InvalidReplicationFactor`] if too few brokers would be left for the partitions' copies. One that does not run, or that the
    ///   controller does not hear of by then, does not count.
    /// - [`Error::Timeout`] if what it has could not move by then. It goes on moving, and this can be called again.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let orders = TopicConfig::new().partitions(4).replication_factor(2);
    /// let cluster = Cluster::builder().brokers(3).topic("orders", orders).start()?;
    /// cluster.add_broker()?;
    /// cluster.decommission(1, Duration::from_secs(60))?;
    /// assert_eq!(cluster.brokers(), [2.into(), 3.into(), 4.into()]);
    /// # Ok(()) }
    /// ```
    pub fn decommission(&self, broker: impl Into<BrokerId>, within: Duration) -> Result<()> {
        let id = broker.into();
        let world = &self.inner.world;
        world.is_running(id)?;
        if self.brokers().len() < 2 {
            return Err(Error::IllegalState(format!("broker {id} is the only one")));
        }
        self.spread(&[id].into(), within)?;
        self.hand_over_vote(id)?;
        self.stop(id)?;
        self.run_until(FENCED_WITHIN, |cluster| cluster.is_fenced(id))?;
        let unregistered = self.inner.client.call(UnregisterBrokerRequest { id });
        if !matches!(unregistered, Ok(_) | Err(Error::BrokerIdNotRegistered { .. })) {
            return unregistered.map(drop);
        }
        world.remove_broker(id)?;
        self.inner.network.set_brokers(self.brokers());
        Ok(())
    }

    /// Has another broker vote in place of one, if there is one that does not.
    fn hand_over_vote(&self, id: BrokerId) -> Result<()> {
        let voters = self.inner.world.voters();
        if !voters.contains(&id) {
            return Ok(());
        }
        let heir =
            self.brokers().into_iter().find(|other| !voters.contains(other) && self.is_in_place(*other));
        if let Some(id) = heir.filter(|_| !bugs::is(Bug::TakeVoteAway)) {
            self.inner.client.call(AddRaftVoterRequest { id })?;
        }
        self.inner.client.call(RemoveRaftVoterRequest { id }).map(drop)
    }

    /// Moves partitions until they are spread as they should be. New ones may come meanwhile.
    fn spread(&self, without: &BTreeSet<BrokerId>, within: Duration) -> Result<()> {
        let until = self.now() + within;
        let left = || {
            let millis = until.as_millis().saturating_sub(self.now().as_millis()).max(0);
            Duration::from_millis(millis.unsigned_abs())
        };
        loop {
            let moves = match self.moves(without) {
                Ok(moves) => moves,
                // Whoever runs and was not heard of for a while is back in a moment.
                Err(error) if self.are_all_active() => return Err(error),
                Err(error) => {
                    self.run_until(left(), Self::are_all_active).map_err(|_| error)?;
                    continue;
                }
            };
            if moves.is_empty() && self.moving() == Some(0) {
                return Ok(());
            }
            for (partition, replicas) in moves {
                let moved = self.admin().alter_partition_reassignment(partition, replicas);
                // Its topic may be gone by now.
                if !matches!(moved, Ok(()) | Err(Error::UnknownTopicOrPartition { .. })) {
                    return moved;
                }
            }
            self.run_until(left(), |cluster| cluster.moving() == Some(0))?;
        }
    }

    /// What is to be moved, by the newest word of the controller.
    fn moves(&self, without: &BTreeSet<BrokerId>) -> Result<Vec<(TopicPartition, Vec<BrokerId>)>> {
        let planned = self.inner.world.ask_newest(|running| {
            let image = running.image();
            let name = |((id, number), replicas)| {
                let topic = image.topic_by_id(id)?;
                Some((TopicPartition::new(&topic.name, number), replicas))
            };
            let moves = spread(image, without).map(|moves| moves.into_iter().filter_map(name).collect());
            (moves, image.active_brokers())
        });
        let (moves, brokers): (Option<Vec<_>>, usize) = planned.ok_or(Error::NotController)?;
        moves.ok_or(Error::InvalidReplicationFactor {
            replication_factor: i16::try_from(brokers).unwrap_or(i16::MAX),
            brokers: brokers.saturating_sub(without.len()),
        })
    }

    /// How many partitions are on their way, by the newest word of the controller.
    fn moving(&self) -> Option<usize> {
        self.inner.world.ask_newest(|running| {
            let topics = running.image().topics().values();
            let partitions = topics.flat_map(|topic| topic.partitions.values());
            partitions.filter(|state| state.is_reassigning()).count()
        })
    }

    /// Has each partition led by the replica that is preferred, where that is in sync.
    fn elect_preferred(&self) -> Result<()> {
        let others = self.inner.world.ask_newest(|running| {
            let mut others = Vec::new();
            for topic in running.image().topics().values() {
                let led_by_another = topic.partitions.iter().filter(|(_, state)| {
                    let preferred = state.replicas.first();
                    state.leader.as_ref() != preferred && preferred.is_some_and(|id| state.isr.contains(id))
                });
                others.extend(led_by_another.map(|(number, _)| TopicPartition::new(&topic.name, *number)));
            }
            others
        });
        for partition in others.into_iter().flatten() {
            let elected = self.admin().elect_leader(partition, ElectionType::Preferred);
            let is_fine = matches!(
                elected,
                Ok(())
                    | Err(Error::ElectionNotNeeded
                        | Error::PreferredLeaderNotAvailable
                        | Error::UnknownTopicOrPartition { .. })
            );
            if !is_fine {
                return elected;
            }
        }
        Ok(())
    }

    /// Limits how fast brokers copy partitions that are on their way to them: bytes a second, each broker by itself. `None`, which is the
    /// default, does not. Copies that are in sync are not slowed down. (`follower.replication.throttled.rate`)
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(2).topic("orders", TopicConfig::new().replication_factor(1)).start()?;
    /// for _ in 0..100 {
    ///     cluster.produce(Record::to("orders").value(&[b'x'; 1000]))?;
    /// }
    /// cluster.set_replication_throttle(Some(10_000));
    /// let before = cluster.now();
    /// cluster.admin().alter_partition_reassignment(("orders", 0), [1, 2])?;
    /// cluster.run_until(Duration::from_secs(60), Cluster::has_converged)?;
    /// assert!(cluster.now() >= before + Duration::from_secs(9));
    /// # Ok(()) }
    /// ```
    pub fn set_replication_throttle(&self, bytes_per_second: Option<u64>) {
        self.inner.world.set_throttle(bytes_per_second);
    }

    /// Whether a broker is known not to be there, by the newest word of the controller.
    pub(super) fn is_fenced(&self, id: BrokerId) -> bool {
        self.inner.world.ask_newest(|running| !running.image().is_active(id)).unwrap_or(false)
    }

    /// Whether all that run are known to be there, by the newest word of the controller.
    fn are_all_active(&self) -> bool {
        let running = self.inner.world.survey(|id, _| id);
        let known =
            self.inner.world.ask_newest(|newest| running.iter().all(|id| newest.image().is_active(*id)));
        known.unwrap_or(false)
    }

    /// Whether a broker knows that it is registered, and not fenced.
    fn is_in_place(&self, id: BrokerId) -> bool {
        let known = self.inner.world.survey(|of, running| of == id && running.image().is_active(id));
        known.into_iter().any(|active| active)
    }
}
