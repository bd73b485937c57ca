//! What a client and a broker, and later two brokers, say to each other: typed requests and answers, and the
//! [`Service`] that takes them.
//!
//! In one process they are plain values and nothing is serialised, but they carry what Kafka's carry, so that a codec
//! can be put under them. `produce` and `fetch` borrow their requests: they are the hot path.

mod admin;
mod cluster;
mod fetch;
mod group;
pub(crate) mod metadata_record;
mod produce;
mod replica;

pub(crate) use admin::{
    AlterConfigsRequest, CreatePartitionsRequest, CreateTopicRequest, CreateTopicResponse,
    DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicRequest, DescribeLogDirsRequest,
    DescribeLogDirsResponse, Done, ListOffsetsRequest, ListOffsetsResponse, LogMetadata, MetadataRequest,
    MetadataResponse, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, PartitionMetadata,
    TopicMetadata,
};
pub(crate) use cluster::{
    AddRaftVoterRequest, AllocateProducerIdsRequest, AllocateProducerIdsResponse,
    AlterPartitionReassignmentsRequest, AlterPartitionRequest, BrokerHeartbeatRequest,
    BrokerHeartbeatResponse, ElectLeadersRequest, ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse, Reassignment, RegisterBrokerRequest, RegisterBrokerResponse,
    RemoveRaftVoterRequest, UnregisterBrokerRequest,
};
pub(crate) use fetch::{AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, Fetched};
pub(crate) use group::{
    DeleteGroupRequest, DescribeGroupRequest, DescribeGroupResponse, DescribedMember, FindCoordinatorRequest,
    FindCoordinatorResponse, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, Joined, JoinedMember,
    LeaveGroupRequest, ListGroupsRequest, ListGroupsResponse, MemberIdentity, Notify, OffsetCommitRequest,
    OffsetDeleteRequest, OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse,
};
pub(crate) use produce::{InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse};
pub(crate) use replica::{ReplicaFetchPartition, ReplicaFetchRequest, ReplicaFetchResponse, ReplicaFetched};

use crate::{
    env::{Clock, Slot},
    error::{Error, Result},
    types::{BrokerId, Instant, TopicId},
};
use metadata_record::PartitionState;
use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

/// A partition as a client names it to a broker: the topic's id and the number are what counts; the slot is where the
/// broker last said it keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartitionRef {
    pub(crate) topic_id: TopicId,
    pub(crate) partition: i32,
    pub(crate) slot: u32,
}

/// The place that an answer will be put into.
pub(crate) type Ticket<T> = Arc<Slot<Result<T>>>;

/// An answer, now or later.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    /// An error comes in a box, so that what is handed on for every record stays small.
    Ready(Result<T, Box<Error>>),
    /// The broker fills the ticket, by the request's own deadline at the latest, with no lock held.
    Parked(Ticket<T>),
}

impl<T> Answer<T> {
    /// Gives the answer to `then`: now, if it is there, or else in the thread that has it.
    pub(crate) fn on_answer(self, then: impl FnOnce(Result<T>) + Send + 'static) {
        match self {
            Self::Ready(answer) => then(answer.map_err(|error| *error)),
            Self::Parked(ticket) => ticket.on_fill(then),
        }
    }

    /// The answer, waited for until `deadline`; [`Error::Timeout`] then.
    pub(crate) fn wait(self, clock: &Clock, deadline: Instant) -> Result<T> {
        match self {
            Self::Ready(result) => result.map_err(|error| *error),
            Self::Parked(ticket) => ticket.wait(clock, deadline).unwrap_or(Err(Error::Timeout)),
        }
    }
}

/// Whatever answers requests: a broker, a simulated cluster. Each request names the broker it is for.
pub(crate) trait Service: Send + Sync + fmt::Debug {
    /// The clock of whoever answers.
    fn clock(&self) -> &Clock;
    /// Appends one batch to one partition.
    fn produce(&self, to: BrokerId, request: ProduceRequest<'_, '_>) -> Answer<ProduceResponse>;
    /// Reads from partitions; parked until there is enough to read.
    fn fetch(&self, to: BrokerId, request: &FetchRequest) -> Answer<FetchResponse>;
    /// Everything else.
    fn call(&self, to: BrokerId, request: Request) -> Answer<Response>;
    /// Has something done at a time, on whatever thread sees to times.
    fn schedule(&self, at: Instant, task: Weak<dyn Timed>);
    /// How much later than its own deadline a fetch may be answered, for all that lies between.
    fn latency(&self) -> Duration {
        Duration::ZERO
    }
}

/// What a client has to do at some time: beating its heart.
pub(crate) trait Timed: Send + Sync + fmt::Debug {
    /// Does what is due, without waiting, and says when to come again; `None`: not again.
    fn due(&self, now: Instant) -> Option<Instant>;
}

/// A request together with the kind of its answer.
pub(crate) trait Call: Into<Request> {
    type Answer;

    /// Takes the answer out of its envelope; an answer of another kind is a bug of the service's.
    fn take(response: Response) -> Result<Self::Answer>;
}

/// Sends a request and waits for its answer until `deadline`.
pub(crate) fn call<C: Call>(
    service: &dyn Service,
    to: BrokerId,
    request: C,
    deadline: Instant,
) -> Result<C::Answer> {
    C::take(service.call(to, request.into()).wait(service.clock(), deadline)?)
}

/// Lists the kinds of request, each with its answer.
macro_rules! calls {
    ($($name:ident($request:ident) -> $response:ident,)*) => {
        /// Any request but produce and fetch.
        #[derive(Debug, Clone)]
        pub(crate) enum Request { $($name($request),)* }

        /// The answer to a [`Request`].
        #[derive(Debug, Clone)]
        pub(crate) enum Response { $($name($response),)* }

        $(
            impl From<$request> for Request {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }

            impl Call for $request {
                type Answer = $response;

                fn take(response: Response) -> Result<Self::Answer> {
                    match response {
                        Response::$name(answer) => Ok(answer),
                        other => Err(Error::IllegalState(format!("an answer of another kind: {other:?}"))),
                    }
                }
            }
        )*
    };
}

calls! {
    Metadata(MetadataRequest) -> MetadataResponse,
    CreateTopic(CreateTopicRequest) -> CreateTopicResponse,
    CreatePartitions(CreatePartitionsRequest) -> Done,
    AlterConfigs(AlterConfigsRequest) -> Done,
    DeleteTopic(DeleteTopicRequest) -> Done,
    DeleteRecords(DeleteRecordsRequest) -> DeleteRecordsResponse,
    DescribeLogDirs(DescribeLogDirsRequest) -> DescribeLogDirsResponse,
    ListOffsets(ListOffsetsRequest) -> ListOffsetsResponse,
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse,
    FindCoordinator(FindCoordinatorRequest) -> FindCoordinatorResponse,
    JoinGroup(JoinGroupRequest) -> JoinGroupResponse,
    SyncGroup(SyncGroupRequest) -> SyncGroupResponse,
    Heartbeat(HeartbeatRequest) -> Done,
    LeaveGroup(LeaveGroupRequest) -> Done,
    OffsetCommit(OffsetCommitRequest) -> Done,
    OffsetFetch(OffsetFetchRequest) -> OffsetFetchResponse,
    ListGroups(ListGroupsRequest) -> ListGroupsResponse,
    DescribeGroup(DescribeGroupRequest) -> DescribeGroupResponse,
    DeleteGroup(DeleteGroupRequest) -> Done,
    OffsetDelete(OffsetDeleteRequest) -> Done,
    RegisterBroker(RegisterBrokerRequest) -> RegisterBrokerResponse,
    BrokerHeartbeat(BrokerHeartbeatRequest) -> BrokerHeartbeatResponse,
    AlterPartition(AlterPartitionRequest) -> PartitionState,
    AllocateProducerIds(AllocateProducerIdsRequest) -> AllocateProducerIdsResponse,
    ElectLeaders(ElectLeadersRequest) -> Done,
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest) -> Done,
    UnregisterBroker(UnregisterBrokerRequest) -> Done,
    AddRaftVoter(AddRaftVoterRequest) -> Done,
    RemoveRaftVoter(RemoveRaftVoterRequest) -> Done,
    ListPartitionReassignments(ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse,
    InitProducerId(InitProducerIdRequest) -> InitProducerIdResponse,
}
