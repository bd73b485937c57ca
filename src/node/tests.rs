//! Requests to a broker that no client of this version sends.

mod adopting;
mod idempotent;
mod replication;
mod transactions;
mod visible;

use super::*;
use crate::{
    client::Client,
    env::{ManualClock, SimDisk},
    rpc::{
        CreateTopicRequest, FetchPartition, JoinGroupRequest, JoinGroupResponse, MemberIdentity,
        MetadataRequest, OffsetCommitRequest, SyncGroupRequest,
    },
    types::{Generation, IsolationLevel, LeaderEpoch, Offset, Offsets, TopicId},
};
use std::collections::BTreeMap;

/// A broker on a disk, with a clock that nobody moves.
fn open(disk: &SimDisk) -> Result<(Arc<Node>, RecoveryReport)> {
    open_as(1, disk, &ManualClock::new(), None)
}

fn open_as(
    id: i32,
    disk: &SimDisk,
    clock: &ManualClock,
    replication: Option<Replication>,
) -> Result<(Arc<Node>, RecoveryReport)> {
    Node::open(NodeConfig {
        replication,
        id: id.into(),
        dir: "data".into(),
        storage: disk.boot(),
        clock: Clock::Manual(clock.clone()),
        skew: Arc::default(),
        prng: Prng::new(disk.sessions()),
        topic_defaults: TopicConfig::new(),
        retention_check_interval: Duration::MAX,
        group_limits: Limits::default(),
        offsets_retention: Duration::MAX,
        salvage: false,
        on_progress: OnProgress::default(),
    })
}

fn node() -> Arc<Node> {
    open(&SimDisk::new(0)).unwrap().0
}

fn client(node: &Arc<Node>) -> Client {
    let service: Arc<dyn Service> = Arc::<Node>::clone(node);
    Client::new(service, 1.into(), Prng::new(0))
}

fn call(node: &Node, request: impl Into<Request>) -> Result<Response> {
    node.call(1.into(), request.into()).wait(node.clock(), Instant::default())
}

fn make_topic(node: &Node) -> PartitionRef {
    let request = CreateTopicRequest { name: "t".to_owned(), config: TopicConfig::new() };
    call(node, request).unwrap();
    let metadata = call(node, MetadataRequest { topics: None }).unwrap();
    let Response::Metadata(metadata) = metadata else { panic!("{metadata:?}") };
    metadata.topics[0].partitions[0].partition
}

fn fetch(partition: PartitionRef, offset: i64) -> FetchRequest {
    let wanted = FetchPartition {
        partition,
        offset: Offset::new(offset),
        current_leader_epoch: LeaderEpoch(0),
        max_bytes: 1 << 20,
    };
    FetchRequest {
        isolation: IsolationLevel::default(),
        deadline: Instant::default(),
        min_bytes: 1,
        max_bytes: 1 << 20,
        partitions: vec![wanted],
        metadata_version: None,
    }
}

#[test]
fn rule_44_a_commit_is_refused_for_the_group_then_the_member_then_the_generation() {
    let node = node();
    make_topic(&node);
    let commit = |group: &str, member_id: &str, generation| {
        let member = Some(member(member_id, generation));
        let offsets = Offsets::from([(("t", 0), 1)]);
        let (group, topic_ids) = (group.to_owned(), BTreeMap::new());
        call(&node, OffsetCommitRequest { group, member, offsets, topic_ids })
    };
    let refused = |result: Result<Response>| result.unwrap_err();
    assert!(matches!(refused(commit("g", "nobody", 99)), Error::GroupIdNotFound { .. }));
    let (id, generation) = join(&node);
    assert!(matches!(refused(commit("h", &id, generation)), Error::GroupIdNotFound { .. }));
    assert!(matches!(refused(commit("g", "nobody", generation + 1)), Error::UnknownMemberId { .. }));
    assert!(matches!(refused(commit("g", &id, generation + 1)), Error::IllegalGeneration { .. }));
    assert!(matches!(refused(commit("g", &id, generation)), Error::RebalanceInProgress { .. }));
    let (group, member) = ("g".to_owned(), member(&id, generation));
    let (protocol, assignments) = ("range".to_owned(), Vec::new());
    call(&node, SyncGroupRequest { group, member, protocol, assignments }).unwrap();
    commit("g", &id, generation).unwrap();
}

fn member(member_id: &str, generation: i32) -> MemberIdentity {
    MemberIdentity { member_id: member_id.to_owned(), generation: Generation(generation), instance_id: None }
}

/// The first member of the group `g`, and its generation.
fn join(node: &Node) -> (String, i32) {
    let seconds = Duration::from_secs;
    let joined = call(
        node,
        JoinGroupRequest {
            group: "g".to_owned(),
            member_id: String::new(),
            instance_id: None,
            client_id: "c".to_owned(),
            session_timeout: seconds(10),
            rebalance_timeout: seconds(60),
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), b"".as_slice().into())],
            requires_known_member_id: false,
            notify: None,
        },
    );
    match joined {
        Ok(Response::JoinGroup(JoinGroupResponse::Joined(joined))) => (joined.member_id, joined.generation.0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rule_03_a_fetch_below_the_start_or_above_the_end_is_out_of_range() {
    let node = node();
    let partition = make_topic(&node);
    for (offset, fine) in [(-1, false), (0, true), (1, false), (i64::MIN, false), (i64::MAX, false)] {
        let answer = node.fetch(1.into(), &fetch(partition, offset)).wait(node.clock(), Instant::default());
        let fetched = answer.unwrap().partitions.remove(0);
        assert_eq!(fetched.is_ok(), fine, "{offset}: {fetched:?}");
        assert!(fine || matches!(fetched, Err(Error::OffsetOutOfRange { .. })), "{offset}");
    }
}

#[test]
fn rule_11_a_partition_of_another_topic_id_is_unknown() {
    let node = node();
    let partition = make_topic(&node);
    for other in [
        PartitionRef { topic_id: TopicId::from_bytes([9; 16]), ..partition },
        PartitionRef { partition: 1, ..partition },
    ] {
        let answer = node.fetch(1.into(), &fetch(other, 0)).wait(node.clock(), Instant::default());
        let fetched = answer.unwrap().partitions.remove(0);
        assert!(matches!(fetched, Err(Error::UnknownTopicId { .. })), "{other:?}: {fetched:?}");
    }
    let elsewhere = PartitionRef { slot: 7, ..partition };
    let answer = node.fetch(1.into(), &fetch(elsewhere, 0)).wait(node.clock(), Instant::default());
    assert!(answer.unwrap().partitions.remove(0).is_ok(), "the slot is a hint");
}

#[test]
fn a_request_for_another_broker_is_refused() {
    let node = node();
    let answer = node.call(2.into(), MetadataRequest { topics: None }.into());
    let refused = answer.wait(node.clock(), Instant::default());
    assert!(matches!(refused, Err(Error::NotLeaderOrFollower)), "{refused:?}");
}

#[test]
fn fetches_that_nobody_waits_for_any_more_do_not_pile_up() {
    let node = node();
    let partition = make_topic(&node);
    let forever = FetchRequest { deadline: Instant::MAX, ..fetch(partition, 0) };
    let mut waiting = Vec::new();
    for n in 0..1000 {
        let Answer::Parked(ticket) = node.fetch(1.into(), &forever) else { panic!("nothing is there") };
        if n % 100 == 0 {
            waiting.push(ticket);
        } else {
            ticket.fill(Err(Error::Wakeup));
        }
    }
    assert!(node.parked.count() <= 2 * waiting.len() + 16, "{}", node.parked.count());
    assert!(waiting.iter().all(|ticket| !ticket.is_filled()));
    node.close().unwrap();
    assert!(waiting.iter().all(|ticket| matches!(ticket.take(), Some(Err(Error::Closed)))));
}
