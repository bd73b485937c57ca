//! Requests that are refused, lost or held up on purpose.

use super::{
    host::{Message, Question},
    post::ClientRequest,
    trace::Fact,
};
use crate::{
    env::{Fault, Intercept, Rules, What},
    error::Error,
    rpc::{PartitionRef, Request},
    types::{BrokerId, TopicId},
};
use std::{collections::BTreeSet, time::Duration};

macro_rules! api_keys {
    ($($(#[$doc:meta])* $key:ident,)*) => {
        /// A kind of request, by Kafka's name for it, for [`Cluster::intercept`](crate::Cluster::intercept).
        ///
        /// ```
        /// # use brooklet::*;
        /// # fn main() -> Result<()> {
        /// let cluster = Cluster::builder().brokers(1).topic("orders", TopicConfig::new()).start()?;
        /// let fault = cluster.intercept(ApiKey::Produce).times(3).fail(Error::NotLeaderOrFollower);
        /// cluster.produce(Record::to("orders").value("3 apples"))?; // tried again inside
        /// assert_eq!(fault.hits(), 3);
        /// # Ok(()) }
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ApiKey {
            $($(#[$doc])* $key,)*
        }
    };
}

api_keys! {
    /// A client's, of any kind: none that a broker asks another one. For [`Cluster::intercept`](crate::Cluster::intercept) only.
    Any,
    /// Records for a partition.
    Produce,
    /// A consumer asks for records.
    Fetch,
    /// A follower asks a leader for records. (A `Fetch`, too; this is how Kafka's metrics tell them apart.)
    FetchFollower,
    /// A client asks which topics there are, and who leads their partitions.
    Metadata,
    /// The first or last offset of a partition, or that of a time.
    ListOffsets,
    /// Where a leader epoch ends.
    OffsetForLeaderEpoch,
    /// Which broker keeps a group.
    FindCoordinator,
    /// A consumer joins its group.
    JoinGroup,
    /// A member asks for its partitions.
    SyncGroup,
    /// A member lives.
    Heartbeat,
    /// A member goes.
    LeaveGroup,
    /// Offsets are committed.
    OffsetCommit,
    /// What a group has committed is asked for.
    OffsetFetch,
    /// Which groups a broker keeps.
    ListGroups,
    /// What a group is.
    DescribeGroups,
    /// A group is deleted.
    DeleteGroups,
    /// What a group has committed is deleted.
    OffsetDelete,
    /// A topic is made.
    CreateTopics,
    /// A topic gets more partitions.
    CreatePartitions,
    /// A topic's settings are changed.
    AlterConfigs,
    /// A topic is deleted.
    DeleteTopics,
    /// Records are deleted.
    DeleteRecords,
    /// How large logs are.
    DescribeLogDirs,
    /// A producer asks for an id.
    InitProducerId,
    /// A leader is elected by hand.
    ElectLeaders,
    /// A partition is to be had by other brokers.
    AlterPartitionReassignments,
    /// Which partitions move.
    ListPartitionReassignments,
    /// A broker that is gone for good is to be forgotten.
    UnregisterBroker,
    /// A broker is to vote on who the controller is.
    AddRaftVoter,
    /// A broker is to vote no more.
    RemoveRaftVoter,
    /// A broker tells the active controller that its process has begun.
    BrokerRegistration,
    /// A broker tells the active controller that it lives, or that it wants to shut down.
    BrokerHeartbeat,
    /// A leader asks the active controller for another ISR.
    AlterPartition,
    /// A broker asks the active controller for producer ids to give out.
    AllocateProducerIds,
}

/// Which requests of a kind.
#[derive(Debug, Default, Clone)]
pub struct Requests {
    broker: Option<BrokerId>,
    topic: Option<String>,
}

impl Requests {
    /// Whether one that arrives at this broker, and names these topics, is meant.
    fn hold(&self, at: BrokerId, topics: impl FnOnce() -> BTreeSet<String>) -> bool {
        self.broker.is_none_or(|broker| broker == at)
            && self.topic.as_ref().is_none_or(|topic| topics().contains(topic))
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Fate {
    Fail(Error),
    LoseRequest,
    LoseAnswer,
    Delay(Duration),
}

impl Fate {
    /// What is told of it: of a request that arrives at a broker from another one, or from a client.
    pub(super) fn fact(&self, broker: BrokerId, from: Option<BrokerId>, api: ApiKey) -> Fact {
        match self {
            Self::Fail(error) => Fact::RequestRefused { broker, from, api, error: error.to_string() },
            Self::LoseRequest => Fact::RequestLost { broker, from, api },
            Self::LoseAnswer => Fact::AnswerLost { broker, from, api },
            Self::Delay(by) => Fact::RequestDelayed { broker, from, api, by: *by },
        }
    }
}

impl What for ApiKey {
    type Which = Requests;
    type Then = Fate;
}

impl Intercept<ApiKey> {
    /// Only requests that arrive at this broker. Default: at any.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let leader = cluster.leader("orders", 0)?;
    /// let fault = cluster.intercept(ApiKey::Produce).at(leader).times(1).fail(Error::NotLeaderOrFollower);
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// assert_eq!(fault.hits(), 1);
    /// # Ok(()) }
    /// ```
    pub fn at(mut self, broker: impl Into<BrokerId>) -> Self {
        self.which.broker = Some(broker.into());
        self
    }

    /// Only requests that name this topic. Default: all, also those that name none.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("a", TopicConfig::new()).topic("b", TopicConfig::new()).start()?;
    /// let fault = cluster.intercept(ApiKey::Produce).topic("b").fail(Error::NotLeaderOrFollower);
    /// cluster.produce(Record::to("a").value("3 apples"))?;
    /// assert_eq!(fault.hits(), 0);
    /// # Ok(()) }
    /// ```
    pub fn topic(mut self, topic: &str) -> Self {
        self.which.topic = Some(topic.to_owned());
        self
    }

    /// Such a request is answered with this error, and not carried out.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// cluster.intercept(ApiKey::CreateTopics).times(1).fail(Error::NotController); // tried again inside
    /// cluster.create_topic("more", TopicConfig::new())?;
    /// # Ok(()) }
    /// ```
    pub fn fail(self, with: Error) -> Fault {
        self.install(Fate::Fail(with), u64::MAX)
    }

    /// Such a request does not arrive: the connection breaks before. Its client cannot know.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// cluster.intercept(ApiKey::Metadata).times(1).drop_request(); // asked again inside
    /// assert_eq!(cluster.admin().list_topics()?, ["orders"]);
    /// # Ok(()) }
    /// ```
    pub fn drop_request(self) -> Fault {
        self.install(Fate::LoseRequest, u64::MAX)
    }

    /// Such a request is carried out, and its answer is lost: the connection breaks before it arrives.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let lost = cluster.intercept(ApiKey::Produce).times(1).drop_response();
    /// cluster.produce(Record::to("orders").value("sent twice, stored once"))?;
    /// lost.wait()?;
    /// assert_eq!(cluster.high_watermark("orders", 0)?, 1);
    /// # Ok(()) }
    /// ```
    pub fn drop_response(self) -> Fault {
        self.install(Fate::LoseAnswer, u64::MAX)
    }

    /// Such a request arrives so much later.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// let before = cluster.now();
    /// cluster.intercept(ApiKey::Produce).times(1).delay(Duration::from_secs(2));
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// assert!(cluster.now() >= before + Duration::from_secs(2));
    /// # Ok(()) }
    /// ```
    pub fn delay(self, by: Duration) -> Fault {
        self.install(Fate::Delay(by), u64::MAX)
    }
}

/// What the rules say of a request that arrives at a broker, which knows topics' names.
pub(super) fn fate(
    rules: &Rules<ApiKey>,
    at: BrokerId,
    request: &ClientRequest,
    name: impl Fn(TopicId) -> Option<String>,
) -> Option<(ApiKey, Fate)> {
    let key = key_of(request);
    let matches = |what: ApiKey, which: &Requests| {
        (what == key || what == ApiKey::Any) && which.hold(at, || topics(request, &name))
    };
    rules.first(matches).map(|fate| (key, fate))
}

/// What the rules say of a message that arrives at a broker, where that is a request of another one's.
pub(super) fn fate_of_message(
    rules: &Rules<ApiKey>,
    at: BrokerId,
    message: &Message,
    name: impl Fn(TopicId) -> Option<String>,
) -> Option<(ApiKey, Fate)> {
    let Message::Question { question, .. } = message else { return None };
    let key = match question {
        Question::Copy(_) => ApiKey::FetchFollower,
        Question::Control(request) => key(request),
    };
    let is_brokers_own = matches!(
        key,
        ApiKey::FetchFollower
            | ApiKey::AlterPartition
            | ApiKey::BrokerRegistration
            | ApiKey::BrokerHeartbeat
            | ApiKey::AllocateProducerIds
    );
    // A client's was intercepted where it came in.
    if !is_brokers_own {
        return None;
    }
    let topics = || match question {
        Question::Copy(request) => {
            request.partitions.iter().filter_map(|wanted| name(wanted.partition.topic_id)).collect()
        }
        Question::Control(request) => topics_of(request, &name),
    };
    let matches = |what: ApiKey, which: &Requests| what == key && which.hold(at, topics);
    rules.first(matches).map(|fate| (key, fate))
}

/// What kind of request it is.
pub(super) fn key_of(request: &ClientRequest) -> ApiKey {
    match request {
        ClientRequest::Produce { .. } => ApiKey::Produce,
        ClientRequest::Fetch { .. } => ApiKey::Fetch,
        ClientRequest::Call { request, .. } => key(request),
    }
}

fn key(request: &Request) -> ApiKey {
    match request {
        Request::Metadata(_) => ApiKey::Metadata,
        Request::CreateTopic(_) => ApiKey::CreateTopics,
        Request::CreatePartitions(_) => ApiKey::CreatePartitions,
        Request::AlterConfigs(_) => ApiKey::AlterConfigs,
        Request::DeleteTopic(_) => ApiKey::DeleteTopics,
        Request::DeleteRecords(_) => ApiKey::DeleteRecords,
        Request::DescribeLogDirs(_) => ApiKey::DescribeLogDirs,
        Request::ListOffsets(_) => ApiKey::ListOffsets,
        Request::OffsetForLeaderEpoch(_) => ApiKey::OffsetForLeaderEpoch,
        Request::FindCoordinator(_) => ApiKey::FindCoordinator,
        Request::JoinGroup(_) => ApiKey::JoinGroup,
        Request::SyncGroup(_) => ApiKey::SyncGroup,
        Request::Heartbeat(_) => ApiKey::Heartbeat,
        Request::LeaveGroup(_) => ApiKey::LeaveGroup,
        Request::OffsetCommit(_) => ApiKey::OffsetCommit,
        Request::OffsetFetch(_) => ApiKey::OffsetFetch,
        Request::ListGroups(_) => ApiKey::ListGroups,
        Request::DescribeGroup(_) => ApiKey::DescribeGroups,
        Request::DeleteGroup(_) => ApiKey::DeleteGroups,
        Request::OffsetDelete(_) => ApiKey::OffsetDelete,
        Request::ElectLeaders(_) => ApiKey::ElectLeaders,
        Request::AlterPartitionReassignments(_) => ApiKey::AlterPartitionReassignments,
        Request::UnregisterBroker(_) => ApiKey::UnregisterBroker,
        Request::AddRaftVoter(_) => ApiKey::AddRaftVoter,
        Request::RemoveRaftVoter(_) => ApiKey::RemoveRaftVoter,
        Request::ListPartitionReassignments(_) => ApiKey::ListPartitionReassignments,
        Request::InitProducerId(_) => ApiKey::InitProducerId,
        Request::RegisterBroker(_) => ApiKey::BrokerRegistration,
        Request::BrokerHeartbeat(_) => ApiKey::BrokerHeartbeat,
        Request::AlterPartition(_) => ApiKey::AlterPartition,
        Request::AllocateProducerIds(_) => ApiKey::AllocateProducerIds,
    }
}

/// The topics that a request names.
fn topics(request: &ClientRequest, name: impl Fn(TopicId) -> Option<String>) -> BTreeSet<String> {
    let one = |partition: &PartitionRef| name(partition.topic_id).into_iter().collect();
    let request = match request {
        ClientRequest::Produce { request, .. } => return one(&request.partition),
        ClientRequest::Fetch { request, .. } => {
            return request.partitions.iter().filter_map(|wanted| name(wanted.partition.topic_id)).collect();
        }
        ClientRequest::Call { request, .. } => request,
    };
    topics_of(request, name)
}

fn topics_of(request: &Request, name: impl Fn(TopicId) -> Option<String>) -> BTreeSet<String> {
    let one = |partition: &PartitionRef| name(partition.topic_id).into_iter().collect();
    match request {
        Request::Metadata(request) => request.topics.iter().flatten().cloned().collect(),
        Request::CreateTopic(request) => [request.name.clone()].into(),
        Request::CreatePartitions(request) => [request.topic.clone()].into(),
        Request::AlterConfigs(request) => [request.topic.clone()].into(),
        Request::DeleteTopic(request) => [request.name.clone()].into(),
        Request::ElectLeaders(request) => [request.topic.clone()].into(),
        Request::AlterPartitionReassignments(request) => [request.partition.topic().to_owned()].into(),
        Request::AlterPartition(request) => name(request.topic_id).into_iter().collect(),
        Request::DeleteRecords(request) => one(&request.partition),
        Request::ListOffsets(request) => one(&request.partition),
        Request::OffsetForLeaderEpoch(request) => one(&request.partition),
        Request::OffsetCommit(request) => {
            request.offsets.iter().map(|(of, _)| of.topic().to_owned()).collect()
        }
        Request::OffsetFetch(request) => request.partitions.iter().map(|of| of.topic().to_owned()).collect(),
        _ => BTreeSet::new(),
    }
}
