//! What can go wrong, by Kafka's names where Kafka has one.

use crate::types::{BrokerId, RecordMetadata, TopicPartition};
use std::{io, path::Path, path::PathBuf, sync::Arc};

/// Short for a result with brooklet's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can go wrong.
///
/// Cloned freely: the failure of one batch goes to each of its records. [`code`](Self::code) is Kafka's number of
/// the error, [`is_retriable`](Self::is_retriable) says whether the same call may succeed later.
///
/// ```
/// # use brooklet::*;
/// # use std::time::Duration;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
/// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
/// match broker.produce(Record::to("nothing")) {
///     Err(Error::UnknownTopicOrPartition { topic, .. }) => assert_eq!(topic, "nothing"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker behind this handle was closed.
    #[error("the broker is closed")]
    Closed,
    /// [`ConsumerHandle::wakeup`](crate::ConsumerHandle::wakeup) was called.
    #[error("woken up from another thread")]
    Wakeup,
    /// The call's time was up.
    #[error("timed out")]
    Timeout,
    /// A setting that cannot be.
    #[error("{key} = {value}: {reason}")]
    #[non_exhaustive]
    InvalidConfig {
        /// The setting, by Kafka's name.
        key: String,
        /// What it was set to.
        value: String,
        /// What it should be.
        reason: String,
    },
    /// The call does not fit the state that the object is in.
    #[error("{0}")]
    IllegalState(String),
    /// Another broker, in this process or another, has the directory open.
    #[error("{} is in use by another broker (or by a Kafka)", path.display())]
    #[non_exhaustive]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Some records of a [`produce_all`](crate::Client::produce_all) failed.
    #[error("{} of {} records were not produced; the first: {}", failures(results), results.len(), first_failure(results))]
    #[non_exhaustive]
    PartialProduce {
        /// What became of each record, in the order given.
        results: Arc<[Result<RecordMetadata>]>,
    },
    /// An error of the user's own, handed through.
    #[error("{0}")]
    Other(Arc<dyn std::error::Error + Send + Sync>),
    /// There is no such topic, or it has no such partition.
    #[error("unknown topic or partition: {topic}{}", partition.map(|p| format!("-{p}")).unwrap_or_default())]
    #[non_exhaustive]
    UnknownTopicOrPartition {
        /// The topic.
        topic: String,
        /// The partition, if it was one that was missing.
        partition: Option<i32>,
    },
    /// The topic was deleted, and perhaps made again: what was known of the old one does not apply to the new.
    #[error("the topic {topic} was deleted or made anew")]
    #[non_exhaustive]
    UnknownTopicId {
        /// The topic's name.
        topic: String,
    },
    /// There is a topic of this name.
    #[error("the topic {topic} exists already")]
    #[non_exhaustive]
    TopicAlreadyExists {
        /// The topic.
        topic: String,
    },
    /// A name that no topic can have, or a topic that the call is not for.
    #[error("invalid topic {topic:?}: {reason}")]
    #[non_exhaustive]
    InvalidTopic {
        /// The topic.
        topic: String,
        /// Why not.
        reason: String,
    },
    /// A number of partitions that the topic cannot get: it only grows.
    #[error("invalid number of partitions for {topic}: {reason}")]
    #[non_exhaustive]
    InvalidPartitions {
        /// The topic.
        topic: String,
        /// Why not.
        reason: String,
    },
    /// What was asked for is not allowed by the topic's settings.
    #[error("{topic}: {reason}")]
    #[non_exhaustive]
    PolicyViolation {
        /// The topic.
        topic: String,
        /// Which setting, and what it does not allow.
        reason: String,
    },
    /// The broker asked is not the partition's leader.
    #[error("not the leader of the partition")]
    NotLeaderOrFollower,
    /// The leader epoch that the caller knows is older than the partition's.
    #[error("the leader epoch is older than the partition's")]
    FencedLeaderEpoch,
    /// The leader epoch that the caller knows is newer than the partition's.
    #[error("the leader epoch is newer than the partition's")]
    UnknownLeaderEpoch,
    /// The partition has no leader just now.
    #[error("the partition has no leader")]
    LeaderNotAvailable,
    /// Too few replicas are in sync with the leader: nothing was appended.
    #[error("{partition}: {in_sync} replicas are in sync, and {needed} are needed")]
    #[non_exhaustive]
    NotEnoughReplicas {
        /// The partition.
        partition: TopicPartition,
        /// How many are in sync, the leader among them.
        in_sync: usize,
        /// The topic's `min_insync_replicas`.
        needed: usize,
    },
    /// The record is in the log, but before all had it who were to have it, too few were left.
    #[error("the record was appended, but too few replicas stayed in sync")]
    NotEnoughReplicasAfterAppend,
    /// The broker has done what was asked for, but what was to happen before its answer did not in time.
    #[error("the request timed out at the broker")]
    RequestTimedOut,
    /// A new leader does not know yet how far the partition can be read.
    #[error("the leader does not know the end of what can be read yet")]
    OffsetNotAvailable,
    /// The broker asked is not the group's coordinator.
    #[error("not the coordinator of the group {group}")]
    #[non_exhaustive]
    NotCoordinator {
        /// The group.
        group: String,
    },
    /// The group's coordinator is still reading what was committed.
    #[error("the coordinator of the group {group} is loading")]
    #[non_exhaustive]
    CoordinatorLoadInProgress {
        /// The group.
        group: String,
    },
    /// The group has no coordinator just now.
    #[error("the group {group} has no coordinator")]
    #[non_exhaustive]
    CoordinatorNotAvailable {
        /// The group.
        group: String,
    },
    /// The connection to the broker broke before it had answered.
    #[error("the connection to the broker broke before it had answered")]
    NetworkException,
    /// The broker is not there: it was asked for nothing.
    #[error("the broker is not there")]
    BrokerNotAvailable,
    /// The broker asked is not the active controller.
    #[error("not the active controller")]
    NotController,
    /// The broker has registered anew since.
    #[error("the broker has registered anew since")]
    StaleBrokerEpoch,
    /// More replicas than there are brokers for, or none.
    #[error("a replication factor of {replication_factor}, and there are {brokers} brokers")]
    #[non_exhaustive]
    InvalidReplicationFactor {
        /// What was asked for.
        replication_factor: i16,
        /// How many brokers there are.
        brokers: usize,
    },
    /// The partition's state has changed since.
    #[error("the partition's state has changed since")]
    InvalidUpdateVersion,
    /// A replica that may not be among those in sync: its broker is fenced, shuts down, or has registered anew.
    #[error("a replica may not be in sync")]
    IneligibleReplica,
    /// The partition has another leader by now.
    #[error("the partition has another leader by now")]
    NewLeaderElected,
    /// The replica that is preferred as the leader is not in sync, or its broker is not there.
    #[error("the preferred leader is not available")]
    PreferredLeaderNotAvailable,
    /// The brokers that were named cannot be a partition's replicas.
    #[error("{partition} cannot have these replicas: {reason}")]
    #[non_exhaustive]
    InvalidReplicaAssignment {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        reason: String,
    },
    /// There is no such broker, as far as the controller knows.
    #[error("broker {broker} is not registered")]
    #[non_exhaustive]
    BrokerIdNotRegistered {
        /// The broker.
        broker: BrokerId,
    },
    /// The partition's replicas do not change just now.
    #[error("no reassignment of the partition is going on")]
    NoReassignmentInProgress,
    /// No replica that may lead is there.
    #[error("no replica that may lead is available")]
    EligibleLeadersNotAvailable,
    /// The partition has the leader that was asked for, or has one at all.
    #[error("the partition needs no election")]
    ElectionNotNeeded,
    /// The batch is not the producer's next one.
    #[error("{partition}: producer {producer_id} sent sequence {sequence}, and {expected} is the next one")]
    #[non_exhaustive]
    OutOfOrderSequenceNumber {
        /// The partition.
        partition: TopicPartition,
        /// The producer.
        producer_id: i64,
        /// The first sequence of the batch.
        sequence: i32,
        /// What would have been the next one.
        expected: i32,
    },
    /// Another producer with the same id has come since.
    #[error("{partition}: producer {producer_id} has a newer epoch by now")]
    #[non_exhaustive]
    InvalidProducerEpoch {
        /// The partition.
        partition: TopicPartition,
        /// The producer.
        producer_id: i64,
    },
    /// A record was not acknowledged in the [time](crate::ProducerConfig::delivery_timeout) that it had for all attempts, and no leader
    /// has refused it.
    #[error("not delivered in time: {last}")]
    #[non_exhaustive]
    DeliveryTimedOut {
        /// What the last attempt ended with.
        last: Box<Error>,
    },
    /// The offset lies outside the log.
    #[error("{partition}: offset {offset} is not in [{log_start_offset}, {log_end_offset}]")]
    #[non_exhaustive]
    OffsetOutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The offset that was asked for.
        offset: i64,
        /// The first offset there is.
        log_start_offset: i64,
        /// One more than the last offset there is.
        log_end_offset: i64,
    },
    /// There is no committed offset, and `auto_offset_reset` is `None`.
    #[error("{partition}: no committed offset, and auto_offset_reset is none")]
    #[non_exhaustive]
    NoOffsetForPartition {
        /// The partition.
        partition: TopicPartition,
    },
    /// A record batch larger than the topic's `max_message_bytes`.
    #[error("a batch of {size} bytes is larger than the topic's max.message.bytes, {limit}")]
    #[non_exhaustive]
    MessageTooLarge {
        /// The batch's size in bytes, its header included.
        size: usize,
        /// The limit in bytes; a batch of just this size passes.
        limit: usize,
    },
    /// A record batch larger than a segment.
    #[error("a batch of {size} bytes is larger than a segment, {limit} bytes")]
    #[non_exhaustive]
    RecordListTooLarge {
        /// The batch's size in bytes, its header included.
        size: usize,
        /// The topic's `segment_bytes`.
        limit: usize,
    },
    /// A batch that breaks a rule of the format.
    #[error("invalid record: {0}")]
    InvalidRecord(String),
    /// A timestamp further ahead than the topic allows.
    #[error("the timestamp {timestamp} is more than {limit_ms} ms ahead of the broker's clock")]
    #[non_exhaustive]
    InvalidTimestamp {
        /// The record's timestamp.
        timestamp: crate::types::Timestamp,
        /// The topic's `message_timestamp_after_max`, in milliseconds.
        limit_ms: i64,
    },
    /// No such group, or a name that no group can have.
    #[error("invalid group id {group:?}")]
    #[non_exhaustive]
    InvalidGroupId {
        /// The group.
        group: String,
    },
    /// The group has as many members as it may have.
    #[error("the group {group} has {limit} members, as many as it may have")]
    #[non_exhaustive]
    GroupMaxSizeReached {
        /// The group.
        group: String,
        /// How many members it may have.
        limit: usize,
    },
    /// There is no such group: nobody is a member of it, and nothing is committed.
    #[error("the group {group} does not exist")]
    #[non_exhaustive]
    GroupIdNotFound {
        /// The group.
        group: String,
    },
    /// The group has a member, and what was asked for would change its offsets behind that member's back.
    #[error("the group {group} has a member")]
    #[non_exhaustive]
    NonEmptyGroup {
        /// The group.
        group: String,
    },
    /// The group does not know the member, any more.
    #[error("unknown member of the group {group}")]
    #[non_exhaustive]
    UnknownMemberId {
        /// The group.
        group: String,
    },
    /// The group has rebalanced since.
    #[error("the group {group} has rebalanced since")]
    #[non_exhaustive]
    IllegalGeneration {
        /// The group.
        group: String,
    },
    /// Another consumer has come with the same group instance id: it is the member now.
    #[error("the group {group} has another member with the instance id {instance_id}")]
    #[non_exhaustive]
    FencedInstanceId {
        /// The group.
        group: String,
        /// The static member's name.
        instance_id: String,
    },
    /// The group is dividing its partitions anew: poll, and see what is assigned then.
    #[error("the group {group} is rebalancing")]
    #[non_exhaustive]
    RebalanceInProgress {
        /// The group.
        group: String,
    },
    /// The consumer has no assignor that all other members of the group have, too.
    #[error("no assignor of this consumer is one of all members of the group {group}")]
    #[non_exhaustive]
    InconsistentGroupProtocol {
        /// The group.
        group: String,
    },
    /// A session timeout outside of what the broker allows.
    #[error("a session timeout of {session_timeout:?} is not in [{min:?}, {max:?}]")]
    #[non_exhaustive]
    InvalidSessionTimeout {
        /// What was asked for.
        session_timeout: std::time::Duration,
        /// The least that the broker allows.
        min: std::time::Duration,
        /// The most that the broker allows.
        max: std::time::Duration,
    },
    /// The partition is not assigned to the consumer, any more: another member may be at work on it, and commits for it.
    /// Nothing was committed.
    #[error("{partition} is not assigned to this consumer, so that it commits nothing for it")]
    #[non_exhaustive]
    CommitFailed {
        /// The partition.
        partition: TopicPartition,
    },
    /// The note of a committed offset is longer than 4096 UTF-16 code units.
    #[error("the metadata of an offset has at most 4096 UTF-16 code units")]
    OffsetMetadataTooLarge,
    /// Bytes that are not what was written: a bad checksum or a bad structure.
    #[error(
        "{partition}: the batch at offset {offset} is corrupt: {reason} (the next one is at {next_offset})"
    )]
    #[non_exhaustive]
    CorruptMessage {
        /// The partition.
        partition: TopicPartition,
        /// Where the bad batch is.
        offset: i64,
        /// Where to go on behind it: `seek` there to skip it.
        next_offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// A batch that is compressed in a way that this build does not read, or with more records than the consumer allows.
    #[error(
        "{partition}: the batch at offset {offset} is not read: {reason} (the next one is at {next_offset})"
    )]
    #[non_exhaustive]
    UnsupportedCompressionType {
        /// The partition.
        partition: TopicPartition,
        /// Where the batch is.
        offset: i64,
        /// Where to go on behind it: `seek` there to skip it.
        next_offset: i64,
        /// The feature that is off, or the limit.
        reason: String,
    },
    /// What the store should hold, since it was made durable, is not there or is not what was written. Nothing was
    /// changed.
    #[error("{} is damaged: {reason}", path.display())]
    #[non_exhaustive]
    KafkaStorageError {
        /// The file or directory.
        path: PathBuf,
        /// The partition, if it is one's.
        partition: Option<TopicPartition>,
        /// The offset from which it is damaged, if it is known.
        offset: Option<i64>,
        /// What is wrong.
        reason: String,
    },
    /// The disk, or what stands in for it, refused.
    #[error("{}: {source}", path.display())]
    #[non_exhaustive]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

fn failures(results: &[Result<RecordMetadata>]) -> usize {
    results.iter().filter(|result| result.is_err()).count()
}

fn first_failure(results: &[Result<RecordMetadata>]) -> String {
    results.iter().find_map(|result| result.as_ref().err()).map(ToString::to_string).unwrap_or_default()
}

impl Error {
    /// Wraps an error of the user's own.
    ///
    /// ```
    /// let error = brooklet::Error::other("the database is away");
    /// assert_eq!(error.to_string(), "the database is away");
    /// ```
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into().into())
    }

    /// Whether it is the disk that refuses, or does not give back what was written.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Io { .. } | Self::KafkaStorageError { .. })
    }

    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source: Arc::new(source) }
    }

    /// Whether the same call may succeed if it is made again, with nothing changed by the caller.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert!(Error::NotLeaderOrFollower.is_retriable() && !Error::Closed.is_retriable());
    /// ```
    pub fn is_retriable(&self) -> bool {
        if let Self::DeliveryTimedOut { last } = self {
            return last.is_retriable();
        }
        matches!(
            self,
            Self::Timeout
                | Self::UnknownTopicOrPartition { .. }
                | Self::UnknownTopicId { .. }
                | Self::NotLeaderOrFollower
                | Self::FencedLeaderEpoch
                | Self::UnknownLeaderEpoch
                | Self::RebalanceInProgress { .. }
                | Self::LeaderNotAvailable
                | Self::NotEnoughReplicas { .. }
                | Self::NotEnoughReplicasAfterAppend
                | Self::RequestTimedOut
                | Self::OffsetNotAvailable
                | Self::NotCoordinator { .. }
                | Self::CoordinatorLoadInProgress { .. }
                | Self::CoordinatorNotAvailable { .. }
                | Self::NotController
                | Self::NetworkException
                | Self::BrokerNotAvailable
                | Self::PreferredLeaderNotAvailable
                | Self::EligibleLeadersNotAvailable
        )
    }

    /// [`NotEnoughReplicas`](Self::NotEnoughReplicas), to inject it: `in_sync` replicas are, and `needed` have to be.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// cluster.intercept(ApiKey::Produce).times(2).fail(Error::not_enough_replicas(("orders", 0), 1, 2));
    /// cluster.produce(Record::to("orders").value("tried again inside"))?;
    /// # Ok(()) }
    /// ```
    pub fn not_enough_replicas(partition: impl Into<TopicPartition>, in_sync: usize, needed: usize) -> Self {
        Self::NotEnoughReplicas { partition: partition.into(), in_sync, needed }
    }

    /// Whether the caller's place in its group is gone, and what it has read may be another's by now: it must not go on with
    /// that. The next poll joins the group anew, unless the error is [`FencedInstanceId`](Self::FencedInstanceId).
    ///
    /// ```
    /// # use brooklet::*;
    /// assert!(!Error::Closed.is_fenced());
    /// ```
    pub fn is_fenced(&self) -> bool {
        matches!(
            self,
            Self::UnknownMemberId { .. }
                | Self::IllegalGeneration { .. }
                | Self::FencedInstanceId { .. }
                | Self::CommitFailed { .. }
        )
    }

    /// Whether what was to be written may be in the log all the same: the write went through, or may have, but what
    /// was promised of it could not be confirmed. (`Closed` is among them: the broker may have been closed between.)
    ///
    /// ```
    /// # use brooklet::*;
    /// assert!(!Error::NotLeaderOrFollower.is_indeterminate());
    /// ```
    pub fn is_indeterminate(&self) -> bool {
        match self {
            Self::Timeout | Self::Closed | Self::Io { .. } | Self::KafkaStorageError { .. } => true,
            Self::RequestTimedOut | Self::NotEnoughReplicasAfterAppend | Self::NetworkException => true,
            Self::DeliveryTimedOut { last } => last.is_indeterminate(),
            Self::PartialProduce { results } => {
                results.iter().any(|result| result.as_ref().is_err_and(Self::is_indeterminate))
            }
            _ => false,
        }
    }

    /// Kafka's number of the error, for those that Kafka knows.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(Error::NotLeaderOrFollower.code(), Some(6));
    /// ```
    pub fn code(&self) -> Option<i16> {
        Some(match self {
            Self::OffsetOutOfRange { .. } => 1,
            Self::CorruptMessage { .. } => 2,
            Self::UnknownTopicOrPartition { .. } => 3,
            Self::LeaderNotAvailable => 5,
            Self::NotLeaderOrFollower => 6,
            Self::Timeout | Self::RequestTimedOut => 7,
            Self::MessageTooLarge { .. } => 10,
            Self::OffsetMetadataTooLarge => 12,
            Self::BrokerNotAvailable => 8,
            Self::NetworkException => 13,
            Self::CoordinatorLoadInProgress { .. } => 14,
            Self::CoordinatorNotAvailable { .. } => 15,
            Self::NotCoordinator { .. } => 16,
            Self::InvalidTopic { .. } => 17,
            Self::RecordListTooLarge { .. } => 18,
            Self::NotEnoughReplicas { .. } => 19,
            Self::NotEnoughReplicasAfterAppend => 20,
            Self::IllegalGeneration { .. } => 22,
            Self::InconsistentGroupProtocol { .. } => 23,
            Self::InvalidGroupId { .. } => 24,
            Self::UnknownMemberId { .. } => 25,
            Self::InvalidSessionTimeout { .. } => 26,
            Self::RebalanceInProgress { .. } => 27,
            Self::InvalidTimestamp { .. } => 32,
            Self::TopicAlreadyExists { .. } => 36,
            Self::InvalidPartitions { .. } => 37,
            Self::InvalidReplicationFactor { .. } => 38,
            Self::InvalidReplicaAssignment { .. } => 39,
            Self::InvalidConfig { .. } => 40,
            Self::NotController => 41,
            Self::PolicyViolation { .. } => 44,
            Self::OutOfOrderSequenceNumber { .. } => 45,
            Self::InvalidProducerEpoch { .. } => 47,
            Self::KafkaStorageError { .. } | Self::Io { .. } => 56,
            Self::NonEmptyGroup { .. } => 68,
            Self::GroupIdNotFound { .. } => 69,
            Self::FencedLeaderEpoch => 74,
            Self::UnknownLeaderEpoch => 75,
            Self::UnsupportedCompressionType { .. } => 76,
            Self::StaleBrokerEpoch => 77,
            Self::OffsetNotAvailable => 78,
            Self::GroupMaxSizeReached { .. } => 81,
            Self::PreferredLeaderNotAvailable => 80,
            Self::FencedInstanceId { .. } => 82,
            Self::EligibleLeadersNotAvailable => 83,
            Self::ElectionNotNeeded => 84,
            Self::NoReassignmentInProgress => 85,
            Self::InvalidRecord(_) => 87,
            Self::InvalidUpdateVersion => 95,
            Self::UnknownTopicId { .. } => 100,
            Self::BrokerIdNotRegistered { .. } => 102,
            Self::IneligibleReplica => 107,
            Self::NewLeaderElected => 124,
            _ => return None,
        })
    }

    /// The partition that the error is about, if it is about one.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(Error::Closed.topic_partition(), None);
    /// ```
    pub fn topic_partition(&self) -> Option<&TopicPartition> {
        match self {
            Self::OffsetOutOfRange { partition, .. }
            | Self::NoOffsetForPartition { partition }
            | Self::NotEnoughReplicas { partition, .. }
            | Self::OutOfOrderSequenceNumber { partition, .. }
            | Self::InvalidProducerEpoch { partition, .. }
            | Self::CommitFailed { partition }
            | Self::UnsupportedCompressionType { partition, .. }
            | Self::InvalidReplicaAssignment { partition, .. }
            | Self::CorruptMessage { partition, .. } => Some(partition),
            Self::KafkaStorageError { partition, .. } => partition.as_ref(),
            _ => None,
        }
    }
}
