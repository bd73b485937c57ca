//! One broker: it owns the logs, keeps the groups, and answers requests. Each kind of request has a thin handler of its
//! own; what they decide is decided by the state machines to the left of this layer.
//!
//! # Lock order
//!
//! Locks are taken in this order, each at most once. None is held while user code runs, which subscribers and recorders are
//! too, and none of a partition's while a ticket is filled:
//!
//! 1. `admin`: one topic is made, changed or deleted at a time
//! 2. `groups`: all groups
//! 3. `topics`: which topics there are
//! 4. `cleaner`: one log is cleaned at a time; or `starts`: the starts of logs are moved, noted and acted upon by one at a time.
//!    Then `checkpoint`: one checkpoint is written at a time
//! 5. a claim on a partition's `flushing`, then its `state`
//! 6. when the cleaner looks next; then the parked requests, the timers, the worker's queue: leaves, nothing is taken below them
//!
//! `topics` is never held over I/O: who changes topics holds `admin`, and writes the metadata file beside it.
//!
//! A flush holds the claim while the disk works, and nothing else of a partition: appends and reads go on.

mod admin;
mod adopt;
mod alone;
mod background;
mod checkpoints;
mod cleaner;
mod configs;
mod coordination;
mod counts;
mod directory;
mod fetch;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod group_admin;
mod group_commit;
mod group_log;
mod groups;
mod grow;
mod log_dirs;
mod look;
mod metrics;
mod open;
mod parked;
mod partition;
mod produce;
mod progress;
mod publish;
mod replication;
mod report;
mod retention;
mod salvage;
#[cfg(test)]
mod tests;
mod timers;
mod topics;
mod verify;

pub use self::metrics::{BrokerMetrics, TopicMetrics};
pub(crate) use adopt::CLUSTER_PROPERTIES;
pub(crate) use look::LatestValues;
pub(crate) use progress::OnProgress;
pub use progress::Progress;
pub(crate) use replication::{Copies, CopyView, IsrProposal, Leadership, Replication};
pub use report::{GroupBeyondEnd, PartitionRecovery, RecoveryReport};
pub(crate) use topics::forget_partitions;
pub use verify::{PartitionVerification, VerifyReport};

use crate::{
    config::TopicConfig,
    env::{Clock, Driver, Storage},
    error::{Error, Result},
    group::Limits,
    prng::Prng,
    rpc::{
        Answer, FetchRequest, FetchResponse, PartitionRef, ProduceRequest, ProduceResponse, Request,
        Response, Service, Timed,
    },
    sync::{AtomicBool, AtomicI64, Mutex, Ordering, RwLock, Version},
    types::{BrokerId, Instant, Timestamp},
};
use background::{Background, Job};
use checkpoints::Written;
use cleaner::{Cleaner, CleanerTimer};
use coordination::GroupWritten;
use counts::Requests;
use groups::Groups;
use parked::Parked;
use partition::Partition;
use publish::Published;
use replication::ParkedReplicaFetch;
use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};
use timers::Timers;
use topics::Topics;

/// What a broker is opened with.
#[derive(Debug)]
pub(crate) struct NodeConfig {
    pub(crate) id: BrokerId,
    pub(crate) dir: PathBuf,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) clock: Clock,
    /// How far the broker's calendar is ahead of the clock's, in milliseconds. It may change.
    pub(crate) skew: Arc<AtomicI64>,
    pub(crate) prng: Prng,
    pub(crate) topic_defaults: TopicConfig,
    pub(crate) retention_check_interval: Duration,
    pub(crate) group_limits: Limits,
    pub(crate) offsets_retention: Duration,
    pub(crate) salvage: bool,
    /// Of a broker of a cluster.
    pub(crate) replication: Option<Replication>,
    pub(crate) on_progress: OnProgress,
}

/// A broker.
#[derive(Debug)]
pub(crate) struct Node {
    me: Weak<Self>,
    id: BrokerId,
    dir: PathBuf,
    storage: Arc<dyn Storage>,
    clock: Clock,
    topic_defaults: TopicConfig,
    retention_check_interval: Duration,
    group_limits: Limits,
    offsets_retention: Duration,
    /// Whether what is damaged is put in order as far as it can be, when the broker opens.
    salvage: bool,
    replication: Option<Replication>,
    prng: Mutex<Prng>,
    closed: AtomicBool,
    admin: Mutex<()>,
    groups: Mutex<Groups>,
    topics: RwLock<Topics>,
    /// That of the topics' slots, to be read without the lock.
    slots: Arc<Version>,
    /// Of what clients know of topics: changes when one comes, or gets partitions.
    metadata: Version,
    /// How far its calendar is ahead of the clock's, in milliseconds.
    skew: Arc<AtomicI64>,
    starts: Mutex<()>,
    checkpoint: Mutex<Written>,
    /// Whether a timer is armed to note the recovery points.
    points_armed: AtomicBool,
    cleaner: Mutex<Cleaner>,
    cleaner_timer: CleanerTimer,
    parked: Parked,
    timers: Timers<Task>,
    background: Background,
    requests: Requests,
    published: Published,
    /// The wall clock when it was last read, in milliseconds; spares the appends most of their readings.
    last_wall: AtomicI64,
    lock: Mutex<Option<DirectoryLock>>,
}

/// Keeps every other broker out of the directory.
struct DirectoryLock(#[expect(dead_code, reason = "held, not used")] Box<dyn Send + Sync>);

impl std::fmt::Debug for DirectoryLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirectoryLock")
    }
}

/// What a timer is for.
#[derive(Debug)]
enum Task {
    /// A parked fetch has waited for as long as it may.
    ExpireFetch(u64),
    /// A follower's fetch has waited for as long as it may.
    ExpireReplicaFetch(Arc<ParkedReplicaFetch>),
    /// Somebody has waited for all replicas for as long as he may.
    ExpireAcknowledgements(Weak<Partition>),
    /// Somebody has waited for records to be deleted everywhere for as long as he may.
    ExpireDeletions(Weak<Partition>),
    /// A partition's followers may not keep up.
    Replicas(Weak<Partition>),
    /// A partition's records have waited for their flush for as long as they may.
    Flush(Weak<Partition>),
    /// How far the logs are flushed is to be noted.
    NoteRecoveryPoints,
    /// Something may be due in a group.
    Group(String),
    /// What a group has written is on all replicas in sync, or will not be.
    GroupWritten(GroupWritten),
    /// Offsets are to be looked at that nobody has asked for.
    ExpireOffsets,
    /// Something may be due at a client.
    Client(Weak<dyn Timed>),
    /// Logs are to be looked at for what need not be kept.
    Retention,
    /// Compacted logs are to be looked at, and cleaned.
    Clean,
    /// What the broker counts is to be published.
    Publish,
    /// Files that nobody has asked for since they were taken out of their logs.
    Remove(Vec<PathBuf>),
    /// Directories of partitions of a deleted topic.
    RemoveDirs(Vec<PathBuf>),
}

impl Node {
    /// What the broker's calendar says, for records.
    fn wall(&self) -> Timestamp {
        let ahead = self.skew.load(Ordering::Relaxed);
        Timestamp::from_millis(self.clock.wall().as_millis().saturating_add(ahead))
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    fn check(&self, to: BrokerId) -> Result<()> {
        self.check_open()?;
        if to == self.id { Ok(()) } else { Err(Error::NotLeaderOrFollower) }
    }

    fn partition(&self, of: PartitionRef) -> Result<Arc<Partition>> {
        self.topics.read().partition(of).cloned()
    }

    /// What its partitions meet the world with.
    fn seams(&self) -> (&Arc<dyn Storage>, &Clock) {
        (&self.storage, &self.clock)
    }

    /// Runs all that is due.
    fn run_timers(&self, now: Instant) {
        while let Some(task) = self.timers.pop(now) {
            self.run_task(task, now);
        }
    }

    fn run_client(&self, client: &Weak<dyn Timed>, now: Instant) {
        let next = client.upgrade().and_then(|task| task.due(now));
        if let Some(next) = next {
            self.timers.arm(next, Task::Client(Weak::clone(client)));
        }
    }

    fn run_task(&self, task: Task, now: Instant) {
        match task {
            Task::ExpireFetch(id) => self.expire_fetch(id),
            Task::ExpireReplicaFetch(fetch) => self.retry_replica_fetch(&fetch, true),
            Task::ExpireAcknowledgements(partition) => {
                if let Some(partition) = partition.upgrade() {
                    self.expire_acknowledgements(&partition);
                }
            }
            Task::ExpireDeletions(partition) => {
                if let Some(partition) = partition.upgrade() {
                    self.expire_deletions(&partition);
                }
            }
            Task::Replicas(partition) => {
                if let Some(partition) = partition.upgrade() {
                    self.replicas_are_due(&partition);
                }
            }
            Task::Flush(partition) => self.submit(Job::Flush(partition)),
            Task::NoteRecoveryPoints => self.submit(Job::NoteRecoveryPoints),
            Task::Group(id) => self.tick_group(&id),
            Task::GroupWritten(written) => self.group_written(written),
            Task::ExpireOffsets => self.submit(Job::ExpireOffsets),
            Task::Client(client) => self.run_client(&client, now),
            Task::Retention => self.submit(Job::Retention),
            Task::Clean => self.clean_now(),
            Task::Publish => self.submit(Job::Publish),
            Task::Remove(paths) => self.submit(Job::Remove(paths)),
            Task::RemoveDirs(dirs) => self.submit(Job::RemoveDirs(dirs)),
        }
    }
}

impl Driver for Node {
    fn next_timer(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn fire(&self, now: Instant) {
        self.run_timers(now);
    }

    fn arrived(&self, now: Instant) {
        self.publish_if_due(now);
    }
}

impl Service for Node {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn produce(&self, to: BrokerId, request: ProduceRequest<'_, '_>) -> Answer<ProduceResponse> {
        match self.check(to) {
            Ok(()) => {
                let produced = self.handle_produce(request);
                if let Answer::Ready(Err(_)) = produced {
                    self.requests.produce_failures.up();
                }
                produced
            }
            Err(error) => Answer::Ready(Err(error.into())),
        }
    }

    fn fetch(&self, to: BrokerId, request: &FetchRequest) -> Answer<FetchResponse> {
        match self.check(to) {
            Ok(()) => self.handle_fetch(request),
            Err(error) => Answer::Ready(Err(error.into())),
        }
    }

    fn call(&self, to: BrokerId, request: Request) -> Answer<Response> {
        if let Err(error) = self.check(to) {
            return Answer::Ready(Err(error.into()));
        }
        match request {
            Request::JoinGroup(request) => self.handle_join_group(request),
            Request::SyncGroup(request) => self.handle_sync_group(request),
            Request::Heartbeat(request) => self.handle_heartbeat(request),
            Request::LeaveGroup(request) => self.handle_leave_group(request),
            Request::OffsetCommit(request) => self.handle_offset_commit(request),
            Request::DeleteGroup(request) => self.handle_delete_group(&request),
            Request::DeleteRecords(request) => self.handle_delete_records(request),
            Request::OffsetDelete(request) => self.handle_offset_delete(request),
            other => Answer::Ready(self.handle(other).map_err(Box::new)),
        }
    }

    fn schedule(&self, at: Instant, task: Weak<dyn Timed>) {
        self.timers.arm(at, Task::Client(task));
    }
}

impl Node {
    fn handle(&self, request: Request) -> Result<Response> {
        Ok(match request {
            Request::Metadata(request) => Response::Metadata(self.handle_metadata(&request)),
            Request::CreateTopic(request) => Response::CreateTopic(self.handle_create_topic(&request)?),
            Request::CreatePartitions(request) => {
                Response::CreatePartitions(self.handle_create_partitions(&request)?)
            }
            Request::AlterConfigs(request) => Response::AlterConfigs(self.handle_alter_configs(&request)?),
            Request::DeleteTopic(request) => Response::DeleteTopic(self.handle_delete_topic(&request)?),
            Request::DescribeLogDirs(_) => Response::DescribeLogDirs(self.handle_describe_log_dirs()?),
            Request::ListOffsets(request) => Response::ListOffsets(self.handle_list_offsets(request)?),
            Request::OffsetForLeaderEpoch(request) => {
                Response::OffsetForLeaderEpoch(self.handle_offset_for_leader_epoch(request)?)
            }
            Request::FindCoordinator(request) => {
                Response::FindCoordinator(self.handle_find_coordinator(&request)?)
            }
            Request::ListGroups(_) => Response::ListGroups(self.handle_list_groups()?),
            Request::DescribeGroup(request) => Response::DescribeGroup(self.handle_describe_group(&request)?),
            Request::OffsetFetch(request) => Response::OffsetFetch(self.handle_offset_fetch(&request)?),
            Request::ElectLeaders(request) => Response::ElectLeaders(self.handle_elect_leaders(&request)?),
            Request::AlterPartitionReassignments(request) => {
                Response::AlterPartitionReassignments(self.handle_reassign(&request)?)
            }
            Request::ListPartitionReassignments(_) => {
                Response::ListPartitionReassignments(Default::default())
            }
            // What a cluster's brokers say to their controller, or answer with its help.
            Request::RegisterBroker(_)
            | Request::BrokerHeartbeat(_)
            | Request::AlterPartition(_)
            | Request::AllocateProducerIds(_)
            | Request::InitProducerId(_)
            | Request::UnregisterBroker(_)
            | Request::AddRaftVoter(_)
            | Request::RemoveRaftVoter(_) => return Err(Error::NotController),
            // What may be answered later.
            Request::DeleteRecords(_)
            | Request::JoinGroup(_)
            | Request::SyncGroup(_)
            | Request::Heartbeat(_)
            | Request::LeaveGroup(_)
            | Request::DeleteGroup(_)
            | Request::OffsetDelete(_)
            | Request::OffsetCommit(_) => {
                return Err(Error::IllegalState("a request that is handled elsewhere".to_owned()));
            }
        })
    }
}
