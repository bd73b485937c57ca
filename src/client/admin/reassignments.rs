//! Who has a partition, and who leads it, changed by hand.

use super::Admin;
use crate::{
    error::Result,
    rpc::{AlterPartitionReassignmentsRequest, ElectLeadersRequest, ListPartitionReassignmentsRequest},
    types::{BrokerId, ElectionType, TopicPartition},
};

/// A partition on its way to other brokers. (Kafka: `PartitionReassignment`)
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new().replication_factor(1)).start()?;
/// for moving in cluster.admin().list_partition_reassignments()? {
///     println!("{}: to {:?}, from {:?}", moving.partition, moving.adding_replicas, moving.removing_replicas);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionReassignment {
    /// Which one.
    pub partition: TopicPartition,
    /// All that have a copy, or are to get one.
    pub replicas: Vec<BrokerId>,
    /// Those of them that did not have one before. Who is among the next ones too was added by a move before this one.
    pub adding_replicas: Vec<BrokerId>,
    /// Those of them that will have none in the end.
    pub removing_replicas: Vec<BrokerId>,
}

impl Admin {
    /// Has other brokers have a partition: `replicas`, of which the first is preferred as the leader. Returns when the move has begun.
    ///
    /// Those that are added copy the partition while it is in use. When all of them are in sync, and with them as many of those that
    /// are to have it as [`min_insync_replicas`](crate::TopicConfig::min_insync_replicas) says, the others' copies are removed, and if the
    /// leader is among these another one is elected. A move that goes on already is replaced by this one; who was added by it goes at
    /// once, or with the others where too few have all that was acknowledged without it.
    ///
    /// # Errors
    /// - [`Error::InvalidReplicaAssignment`](crate::Error::InvalidReplicaAssignment) if there is no such broker, none is named or one
    ///   twice; or if none of those that have the partition now, or had it before the move that goes on, is in sync.
    /// - [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition).
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new().replication_factor(1)).start()?;
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// cluster.admin().alter_partition_reassignment(("orders", 0), [2, 3])?;
    /// cluster.run_until(Duration::from_secs(60), Cluster::has_converged)?;
    /// assert_eq!(cluster.replicas("orders", 0)?, [2.into(), 3.into()]);
    /// # Ok(()) }
    /// ```
    pub fn alter_partition_reassignment<B: Into<BrokerId>>(
        &self,
        partition: impl Into<TopicPartition>,
        replicas: impl IntoIterator<Item = B>,
    ) -> Result<()> {
        self.reassign(partition.into(), Some(replicas.into_iter().map(Into::into).collect()))
    }

    /// Takes a move back: those that had the partition before have it again. Who was added goes at once, unless fewer than
    /// [`min_insync_replicas`](crate::TopicConfig::min_insync_replicas) of the others have all that was acknowledged: then when they do.
    ///
    /// # Errors
    /// [`Error::NoReassignmentInProgress`](crate::Error::NoReassignmentInProgress);
    /// [`Error::InvalidReplicaAssignment`](crate::Error::InvalidReplicaAssignment) if none of them is in sync any more;
    /// [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new().replication_factor(1)).start()?;
    /// let before = cluster.replicas("orders", 0)?;
    /// cluster.admin().alter_partition_reassignment(("orders", 0), [1, 2, 3])?;
    /// cluster.admin().cancel_partition_reassignment(("orders", 0))?;
    /// assert_eq!(cluster.replicas("orders", 0)?, before);
    /// # Ok(()) }
    /// ```
    pub fn cancel_partition_reassignment(&self, partition: impl Into<TopicPartition>) -> Result<()> {
        self.reassign(partition.into(), None)
    }

    fn reassign(&self, partition: TopicPartition, replicas: Option<Vec<BrokerId>>) -> Result<()> {
        self.client.call(AlterPartitionReassignmentsRequest { partition, replicas }).map(drop)
    }

    /// The partitions that are on their way to other brokers, in order.
    ///
    /// # Errors
    /// Those of the cluster's controller.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// assert!(broker.admin().list_partition_reassignments()?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn list_partition_reassignments(&self) -> Result<Vec<PartitionReassignment>> {
        let answer = self.client.call(ListPartitionReassignmentsRequest)?;
        let moving = answer.reassignments.into_iter().map(|moving| PartitionReassignment {
            partition: moving.partition,
            replicas: moving.replicas,
            adding_replicas: moving.adding,
            removing_replicas: moving.removing,
        });
        Ok(moving.collect())
    }

    /// Has a partition's leader elected by hand. See [`ElectionType`] for an example.
    ///
    /// # Errors
    /// - [`Error::ElectionNotNeeded`](crate::Error::ElectionNotNeeded) if it has the preferred leader, or, for an unclean election, any.
    /// - [`Error::PreferredLeaderNotAvailable`](crate::Error::PreferredLeaderNotAvailable) if that one is not in sync or not there;
    ///   [`Error::EligibleLeadersNotAvailable`](crate::Error::EligibleLeadersNotAvailable) if no replica is there.
    /// - [`Error::UnknownTopicOrPartition`](crate::Error::UnknownTopicOrPartition).
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// broker.create_topic("orders", TopicConfig::new())?;
    /// let elected = broker.admin().elect_leader(("orders", 0), ElectionType::Preferred);
    /// assert!(matches!(elected, Err(Error::ElectionNotNeeded))); // an embedded broker leads all that it has
    /// # Ok(()) }
    /// ```
    pub fn elect_leader(&self, partition: impl Into<TopicPartition>, election: ElectionType) -> Result<()> {
        let partition: TopicPartition = partition.into();
        let (topic, partition) = (partition.topic().to_owned(), partition.partition());
        self.client.call(ElectLeadersRequest { topic, partition, election }).map(drop)
    }
}
