//! Groups, from outside.

use super::Admin;
use crate::{
    assign::{MemberAssignment, MemberSubscription},
    error::{Error, Result},
    rpc::{
        DeleteGroupRequest, DescribeGroupRequest, DescribeGroupResponse, DescribedMember,
        FindCoordinatorRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest,
        OffsetDeleteRequest, PartitionRef,
    },
    types::{
        BrokerId, GroupState, IsolationLevel, Offset, OffsetAndMetadata, OffsetSpec, Offsets, TopicPartition,
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// What a group is, and how far it has come.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// (0..5).try_for_each(|_| broker.produce(Record::to("orders")).map(drop))?;
/// broker.admin().alter_group_offsets("billing", [(("orders", 0), 3)])?;
/// let billing = broker.admin().describe_group("billing")?;
/// assert_eq!((billing.state, billing.members.len(), billing.lag()), (GroupState::Empty, 0, 2));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDescription {
    /// Its name.
    pub group: String,
    /// Whether it has members.
    pub state: GroupState,
    /// The assignor that its members agreed on; none while there are no members.
    pub assignor: Option<String>,
    /// Its members, by id.
    pub members: Vec<MemberDescription>,
    /// The partitions that something is committed for, sorted.
    pub partitions: Vec<GroupPartition>,
}

impl GroupDescription {
    /// How many offsets lie between what is committed and the end, over all partitions.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders"))?;
    /// broker.admin().alter_group_offsets("billing", [(("orders", 0), 0)])?;
    /// assert_eq!(broker.admin().describe_group("billing")?.lag(), 1);
    /// # Ok(()) }
    /// ```
    pub fn lag(&self) -> i64 {
        self.partitions.iter().map(GroupPartition::lag).fold(0, i64::saturating_add)
    }
}

/// A member of a group.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// let consumer = broker.consumer("billing").subscribe("orders")?;
/// let members: Vec<MemberDescription> = broker.admin().describe_group("billing")?.members;
/// assert!(members[0].member_id.starts_with("consumer-"));
/// assert_eq!(members[0].assignment, consumer.assignment());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberDescription {
    /// The id that its coordinator gave it.
    pub member_id: String,
    /// The name of a [static member](crate::ConsumerConfig::group_instance_id).
    pub group_instance_id: Option<String>,
    /// What it calls [itself](crate::ConsumerConfig::client_id).
    pub client_id: String,
    /// The topics that it subscribes to, sorted.
    pub topics: Vec<String>,
    /// What it is to read, sorted; nothing while the group rebalances for the first time.
    pub assignment: Vec<TopicPartition>,
}

impl MemberDescription {
    /// What cannot be read, of a member of another kind, counts as nothing.
    fn new(member: DescribedMember) -> Self {
        Self {
            assignment: MemberAssignment::decode(&member.assignment).unwrap_or_default().partitions,
            topics: MemberSubscription::decode(&member.metadata)
                .unwrap_or_default()
                .topics
                .into_iter()
                .collect(),
            member_id: member.member_id,
            group_instance_id: member.instance_id,
            client_id: member.client_id,
        }
    }
}

/// How far a group has come in a partition.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// broker.produce(Record::to("orders"))?;
/// broker.admin().alter_group_offsets("billing", [(("orders", 0), OffsetAndMetadata::new(0, "from the start"))])?;
/// let orders: GroupPartition = broker.admin().describe_group("billing")?.partitions.remove(0);
/// assert_eq!((&*orders.committed.metadata, orders.log_end_offset, orders.lag()), ("from the start", 1, 1));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// What is committed for it.
    pub committed: OffsetAndMetadata,
    /// The offset below which consumers can read now, exclusive: the high watermark, as Kafka's tools show it.
    pub log_end_offset: i64,
}

impl GroupPartition {
    /// How many offsets lie between what is committed and the end; 0 if more is committed than there is.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// broker.admin().alter_group_offsets("billing", [(("orders", 0), 7)])?;
    /// assert_eq!(broker.admin().describe_group("billing")?.partitions[0].lag(), 0);
    /// # Ok(()) }
    /// ```
    pub fn lag(&self) -> i64 {
        self.log_end_offset.saturating_sub(self.committed.offset).max(0)
    }
}

impl Admin {
    /// The names of all groups, sorted: those that have a member, or have committed something.
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::CorruptMessage`] if what groups have committed cannot be read.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let consumer = broker.consumer("billing").subscribe("orders")?;
    /// assert_eq!(broker.admin().list_groups()?, ["billing"]);
    /// # Ok(()) }
    /// ```
    pub fn list_groups(&self) -> Result<Vec<String>> {
        Ok(self.client.call(ListGroupsRequest)?.groups)
    }

    /// What a group is, and how far it has come.
    ///
    /// # Errors
    /// [`Error::GroupIdNotFound`], as of Kafka 4.0; [`Error::InvalidGroupId`], [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// let unknown = broker.admin().describe_group("billing");
    /// assert!(matches!(unknown, Err(Error::GroupIdNotFound { .. })));
    /// # Ok(()) }
    /// ```
    pub fn describe_group(&self, group: &str) -> Result<GroupDescription> {
        let DescribeGroupResponse { state, protocol, members, offsets } = self.ask_for_group(group)?;
        let topics: BTreeSet<String> = offsets.iter().map(|(of, _)| of.topic().to_owned()).collect();
        let there = self.partitions(topics.into_iter().collect())?;
        let mut partitions = Vec::new();
        for (partition, committed) in offsets {
            // A topic may have been deleted meanwhile.
            let Some(reference) = there.get(&partition) else { continue };
            let log_end_offset = self.offset(*reference, OffsetSpec::Latest)?.unwrap_or_default().get();
            partitions.push(GroupPartition { partition, committed, log_end_offset });
        }
        let members = members.into_iter().map(MemberDescription::new).collect();
        Ok(GroupDescription { group: group.to_owned(), state, assignor: protocol, members, partitions })
    }

    /// Deletes a group, with all that it has committed. It is as durable as a commit: flushed within the flush interval.
    ///
    /// # Errors
    /// [`Error::NonEmptyGroup`] while it has a member; [`Error::GroupIdNotFound`], [`Error::InvalidGroupId`]; the disk's.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let consumer = broker.consumer("billing").subscribe("orders")?;
    /// consumer.commit_offsets([(("orders", 0), 3)])?;
    /// assert!(matches!(broker.admin().delete_group("billing"), Err(Error::NonEmptyGroup { .. })));
    /// consumer.close()?;
    /// broker.admin().delete_group("billing")?;
    /// assert!(broker.admin().list_groups()?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn delete_group(&self, group: &str) -> Result<()> {
        let request = DeleteGroupRequest { group: group.to_owned() };
        self.client.call_to(self.coordinator(group)?, request).map(drop)
    }

    /// All that a group has committed for topics that are there; nothing for a group that is not.
    ///
    /// # Errors
    /// [`Error::InvalidGroupId`], [`Error::Closed`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// assert!(broker.admin().group_offsets("billing")?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn group_offsets(&self, group: &str) -> Result<Offsets> {
        match self.ask_for_group(group) {
            Err(Error::GroupIdNotFound { .. }) => Ok(Offsets::new()),
            answer => Ok(answer?.offsets),
        }
    }

    /// Commits offsets for a group, from outside: all of them or none. The offsets of other partitions stay what they
    /// are. A group that is not there is made. Whether there are such offsets is not looked at.
    ///
    /// # Errors
    /// [`Error::NonEmptyGroup`] while it has a member (rule 46); [`Error::UnknownTopicOrPartition`],
    /// [`Error::OffsetMetadataTooLarge`], [`Error::InvalidGroupId`]; [`Error::IllegalState`] for a negative offset; the
    /// disk's.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// broker.admin().alter_group_offsets("billing", [(("orders", 0), 3)])?;
    /// assert_eq!(broker.admin().group_offsets("billing")?, Offsets::from([(("orders", 0), 3)]));
    /// # Ok(()) }
    /// ```
    pub fn alter_group_offsets(&self, group: &str, offsets: impl Into<Offsets>) -> Result<()> {
        let coordinator = self.coordinator(group)?;
        let (group, offsets, topic_ids) = (group.to_owned(), offsets.into(), BTreeMap::new());
        let request = OffsetCommitRequest { group, member: None, offsets, topic_ids };
        match self.client.call_to(coordinator, request) {
            // Who is not a member is refused just while there is one.
            Err(Error::UnknownMemberId { group }) => Err(Error::NonEmptyGroup { group }),
            result => result.map(drop),
        }
    }

    /// Deletes what a group has committed for some partitions. What is not committed is fine. A group without a member
    /// whose last offset goes is no more.
    ///
    /// # Errors
    /// [`Error::NonEmptyGroup`] while it has a member; [`Error::GroupIdNotFound`], [`Error::InvalidGroupId`]; the disk's.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// broker.admin().alter_group_offsets("billing", [(("orders", 0), 3), (("orders", 1), 4)])?;
    /// broker.admin().delete_group_offsets("billing", [("orders", 0)])?;
    /// assert_eq!(broker.admin().group_offsets("billing")?, Offsets::from([(("orders", 1), 4)]));
    /// # Ok(()) }
    /// ```
    pub fn delete_group_offsets<P: Into<TopicPartition>>(
        &self,
        group: &str,
        partitions: impl IntoIterator<Item = P>,
    ) -> Result<()> {
        let partitions = partitions.into_iter().map(Into::into).collect();
        let request = OffsetDeleteRequest { group: group.to_owned(), partitions };
        self.client.call_to(self.coordinator(group)?, request).map(drop)
    }

    /// Has a group go on elsewhere in a topic: commits, for each of its partitions, the offset that `to` names there, and
    /// gives what it committed. Where no record is as young as a time, that is the end; a number outside a partition's log
    /// becomes the nearest one inside, as with Kafka's tool.
    ///
    /// # Errors
    /// Those of [`alter_group_offsets`](Self::alter_group_offsets): [`Error::NonEmptyGroup`] while it has a member.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// (0..5).try_for_each(|_| broker.produce(Record::to("orders")).map(drop))?;
    /// let went = broker.admin().reset_group_offsets("billing", "orders", OffsetSpec::Latest)?;
    /// assert_eq!(went, Offsets::from([(("orders", 0), 5)]));
    /// # Ok(()) }
    /// ```
    pub fn reset_group_offsets(
        &self,
        group: &str,
        topic: &str,
        to: impl Into<OffsetSpec>,
    ) -> Result<Offsets> {
        let to = to.into();
        let topic = self.client.metadata(topic)?;
        let mut offsets = Offsets::new();
        for there in &topic.partitions {
            let reference = there.partition;
            // Where no record is as young as a time, that is the end.
            let named = self.offset(reference, to)?.unwrap_or(Offset::new(i64::MAX));
            let partition = TopicPartition::new(&topic.name, reference.partition);
            offsets.merge([(partition, self.inside(reference, named)?)]);
        }
        self.alter_group_offsets(group, offsets.clone())?;
        Ok(offsets)
    }

    /// Has a group go on so many offsets further on in a topic, or back if `by` is negative: commits that for each partition that it has
    /// committed something for, and gives what it committed. What would be outside a partition's log becomes the nearest offset
    /// inside, as with Kafka's tool (`--shift-by`).
    ///
    /// # Errors
    /// Those of [`alter_group_offsets`](Self::alter_group_offsets): [`Error::NonEmptyGroup`] while it has a member.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// (0..5).try_for_each(|_| broker.produce(Record::to("orders")).map(drop))?;
    /// broker.admin().alter_group_offsets("billing", [(("orders", 0), 4)])?;
    /// let went = broker.admin().shift_group_offsets("billing", "orders", -3)?;
    /// assert_eq!(went, Offsets::from([(("orders", 0), 1)]));
    /// # Ok(()) }
    /// ```
    pub fn shift_group_offsets(&self, group: &str, topic: &str, by: i64) -> Result<Offsets> {
        let committed = self.group_offsets(group)?;
        let shifted = |of: &TopicPartition| committed.get(of).map(|at| Offset::new(at.offset).plus(by));
        let topic = self.client.metadata(topic)?;
        let mut offsets = Offsets::new();
        for there in &topic.partitions {
            let of = TopicPartition::new(&topic.name, there.partition.partition);
            if let Some(to) = shifted(&of) {
                offsets.merge([(of, self.inside(there.partition, to)?)]);
            }
        }
        self.alter_group_offsets(group, offsets.clone())?;
        Ok(offsets)
    }

    /// The offset that is nearest to this one, of those that there are in a partition.
    fn inside(&self, partition: PartitionRef, offset: Offset) -> Result<i64> {
        let start = self.offset(partition, OffsetSpec::Earliest)?.unwrap_or_default();
        let end = self.offset(partition, OffsetSpec::Latest)?.unwrap_or_default().max(start);
        Ok(offset.clamp(start, end).get())
    }

    fn coordinator(&self, group: &str) -> Result<BrokerId> {
        Ok(self.client.call(FindCoordinatorRequest { group: group.to_owned() })?.broker)
    }

    fn ask_for_group(&self, group: &str) -> Result<DescribeGroupResponse> {
        self.client.call_to(self.coordinator(group)?, DescribeGroupRequest { group: group.to_owned() })
    }

    /// The broker's names for all partitions of some topics, of those that are there.
    fn partitions(&self, topics: Vec<String>) -> Result<BTreeMap<TopicPartition, PartitionRef>> {
        let answer = self.client.call(MetadataRequest { topics: Some(topics) })?;
        let mut partitions = BTreeMap::new();
        for topic in &answer.topics {
            for there in &topic.partitions {
                let name = TopicPartition::new(&topic.name, there.partition.partition);
                partitions.insert(name, there.partition);
            }
        }
        Ok(partitions)
    }

    fn offset(&self, partition: PartitionRef, spec: OffsetSpec) -> Result<Option<Offset>> {
        let isolation = IsolationLevel::default();
        Ok(self.client.call(ListOffsetsRequest { partition, spec, isolation })?.offset)
    }
}
