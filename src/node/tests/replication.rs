//! Brokers that copy from each other, with the test as their controller and their network: the histories that broke Kafka.

use super::*;
use crate::{
    env::{DiskFault, DiskOp},
    record::BatchWriter,
    replica::LeaderState,
    rpc::{ReplicaFetchRequest, ReplicaFetchResponse},
    types::{Acks, Durability, Timestamp},
};
use std::collections::BTreeSet;

const TOPIC: TopicId = TopicId::from_bytes([7; 16]);
pub(super) const PARTITION: (TopicId, i32) = (TOPIC, 0);

pub(super) struct Brokers {
    clock: ManualClock,
    disks: Vec<SimDisk>,
    nodes: Vec<Option<Arc<Node>>>,
    pub(super) min_insync_replicas: usize,
    epoch: i32,
    partition_epoch: i32,
    isr: BTreeSet<i32>,
    pub(super) leader: Option<i32>,
}

impl Brokers {
    pub(super) fn new(count: usize) -> Self {
        Self::on((0..count as u64).map(SimDisk::new).collect())
    }

    /// One broker on each of these disks.
    fn on(disks: Vec<SimDisk>) -> Self {
        let count = disks.len();
        let mut brokers = Self {
            clock: ManualClock::new(),
            nodes: disks.iter().map(|_| None).collect(),
            disks,
            min_insync_replicas: 1,
            epoch: -1,
            partition_epoch: 0,
            isr: (1..=count as i32).collect(),
            leader: None,
        };
        (1..=count as i32).for_each(|id| brokers.start(id));
        brokers
    }

    pub(super) fn node(&self, id: i32) -> &Arc<Node> {
        self.nodes[id as usize - 1].as_ref().unwrap()
    }

    pub(super) fn start(&mut self, id: i32) {
        let replication = Some(Replication::new(Duration::from_secs(10), 1));
        let (node, _) = open_as(id, &self.disks[id as usize - 1], &self.clock, replication).unwrap();
        node.host_topic("t", TOPIC, &TopicConfig::new()).unwrap();
        node.set_broker_epoch(i64::from(id));
        self.nodes[id as usize - 1] = Some(node);
        self.tell(id);
    }

    pub(super) fn kill(&mut self, id: i32) {
        self.nodes[id as usize - 1] = None;
    }

    fn power_cut(&mut self, id: i32) {
        self.kill(id);
        self.disks[id as usize - 1].power_cut();
    }

    fn said(&self) -> Leadership {
        let ids = |ids: &BTreeSet<i32>| ids.iter().map(|id| BrokerId::from(*id)).collect::<Vec<_>>();
        let all = (1..=self.disks.len() as i32).collect();
        Leadership {
            is_adding: false,
            leader: self.leader.map(BrokerId::from),
            state: LeaderState {
                epoch: LeaderEpoch(self.epoch),
                partition_epoch: self.partition_epoch,
                replicas: ids(&all),
                isr: ids(&self.isr).into_iter().collect(),
                active: ids(&all).into_iter().collect(),
                min_insync_replicas: self.min_insync_replicas,
            },
        }
    }

    fn tell(&self, id: i32) {
        if let Some(node) = &self.nodes[id as usize - 1] {
            node.take_leadership(PARTITION, &self.said()).unwrap();
        }
    }

    /// Makes a broker the leader in a new epoch, and tells those that run.
    pub(super) fn elect(&mut self, id: i32) {
        (self.leader, self.epoch, self.partition_epoch) =
            (Some(id), self.epoch + 1, self.partition_epoch + 1);
        (1..=self.disks.len() as i32).for_each(|id| self.tell(id));
    }

    pub(super) fn isr_is(&mut self, isr: &[i32]) {
        (self.isr, self.partition_epoch) = (isr.iter().copied().collect(), self.partition_epoch + 1);
        (1..=self.disks.len() as i32).for_each(|id| self.tell(id));
    }

    fn next_fetch(&self, from: i32, of: i32) -> ReplicaFetchRequest {
        let (node, leader) = (self.node(from), of.into());
        let copies = node.followed();
        node.next_replica_fetch((leader, &copies[&leader]), Instant::default(), Some(usize::MAX)).unwrap()
    }

    /// A follower's fetch, answered and taken in; gives the answer.
    pub(super) fn copy(&self, to: i32) -> ReplicaFetchResponse {
        let leader = self.leader.unwrap();
        let request = self.next_fetch(to, leader);
        let answer = self.node(leader).replica_fetch(request.clone());
        let response = answer.wait(self.node(leader).clock(), Instant::default()).unwrap();
        self.node(to).replica_fetched(&request, response.clone());
        response
    }

    pub(super) fn partition(&self) -> PartitionRef {
        PartitionRef { topic_id: TOPIC, partition: 0, slot: 0 }
    }

    pub(super) fn produce(&self, value: &str, acks: Acks) -> Answer<ProduceResponse> {
        self.produce_batch(&[value], acks)
    }

    fn produce_batch(&self, values: &[&str], acks: Acks) -> Answer<ProduceResponse> {
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        let at = Timestamp::from_millis(1_704_067_200_000);
        for value in values {
            writer.push(at, None, Some(value.as_bytes()), &[]).unwrap();
        }
        let partition = self.partition();
        let request = ProduceRequest {
            partition: &partition,
            acks,
            timeout: Duration::from_secs(30),
            durability: Durability::Buffered,
            batch: &mut writer.finish(),
        };
        let leader = self.leader.unwrap();
        self.node(leader).produce(leader.into(), request)
    }

    /// Moves the time on: nobody else sees to it where there is no cluster.
    pub(super) fn advance(&self, by: Duration) {
        self.clock.advance(by);
        for node in self.nodes.iter().flatten() {
            node.fire(node.clock().now());
        }
    }

    /// The high watermark, and the end.
    pub(super) fn ends(&self, id: i32) -> (i64, i64) {
        let view = self.node(id).view(PARTITION).unwrap();
        (view.high_watermark.get(), view.end.get())
    }

    fn bytes(&self, id: i32) -> Vec<u8> {
        self.node(id).batches(PARTITION, Offset::ZERO).unwrap()
    }

    /// Has a follower copy until there is nothing new.
    pub(super) fn catch_up(&self, id: i32) {
        for _ in 0..100 {
            let before = (self.bytes(id), self.ends(id));
            self.copy(id);
            if before == (self.bytes(id), self.ends(id)) {
                assert_eq!(self.bytes(id), self.bytes(self.leader.unwrap()), "broker {id}");
                return;
            }
        }
        panic!("broker {id} never catches up");
    }
}

#[test]
fn rule_19_54_a_record_is_acknowledged_when_all_in_sync_have_it() {
    let mut brokers = Brokers::new(3);
    brokers.elect(1);
    let Answer::Parked(ticket) = brokers.produce("a", Acks::All) else { panic!("nobody else has it") };
    brokers.copy(2);
    brokers.copy(3);
    assert!(!ticket.is_filled() && brokers.ends(1) == (0, 1));
    brokers.copy(2);
    assert!(!ticket.is_filled(), "the third has not said that it has it");
    brokers.copy(3);
    assert_eq!(ticket.take().unwrap().unwrap().base_offset, Offset::ZERO);
    assert_eq!((brokers.ends(1), brokers.ends(3)), ((1, 1), (1, 1)));
    assert!(matches!(brokers.produce("b", Acks::One), Answer::Ready(Ok(_))), "one has it");
}

/// A fetch that waits has said how far its follower is when it came. It does not say so again when it is looked at once more.
#[test]
fn what_a_waiting_fetch_has_said_does_not_count_again() {
    let mut brokers = Brokers::new(3);
    brokers.elect(1);
    let Answer::Parked(ticket) = brokers.produce("a", Acks::All) else { panic!("nobody else has it") };
    let mut early = brokers.next_fetch(2, 1);
    brokers.copy(2);
    let mut waiting = brokers.next_fetch(2, 1);
    waiting.deadline = Instant::default().plus(Duration::from_secs(5));
    early.deadline = waiting.deadline;
    let Answer::Parked(waiting) = brokers.node(1).replica_fetch(waiting) else { panic!("nothing is new") };
    // One of before comes once more, and late.
    assert!(matches!(brokers.node(1).replica_fetch(early), Answer::Ready(Ok(_))));
    brokers.copy(3);
    brokers.copy(3);
    assert!(matches!(brokers.produce("b", Acks::One), Answer::Ready(Ok(_))));
    assert!(waiting.is_filled(), "there is something new");
    assert!(!ticket.is_filled() && brokers.ends(1) == (0, 2));
    brokers.copy(2);
    assert!(ticket.is_filled());
}

#[test]
fn rule_18_with_too_few_in_sync_nothing_is_appended_for_all() {
    let mut brokers = Brokers::new(3);
    brokers.min_insync_replicas = 2;
    brokers.elect(1);
    brokers.isr_is(&[1]);
    match brokers.produce("a", Acks::All) {
        Answer::Ready(Err(error)) => assert!(matches!(*error, Error::NotEnoughReplicas { .. }), "{error}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(brokers.ends(1), (0, 0));
    assert!(matches!(brokers.produce("b", Acks::One), Answer::Ready(Ok(_))));
    assert_eq!(brokers.ends(1), (0, 1), "it stays invisible");
}

#[test]
fn a_waiting_record_times_out_and_is_in_doubt_when_its_leader_is_another() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    let Answer::Parked(late) = brokers.produce("a", Acks::All) else { panic!("nobody else has it") };
    brokers.advance(Duration::from_secs(30));
    assert!(matches!(late.take(), Some(Err(Error::RequestTimedOut))));
    let Answer::Parked(lost) = brokers.produce("b", Acks::All) else { panic!("nobody else has it") };
    brokers.elect(2);
    assert!(lost.take().unwrap().unwrap_err().is_indeterminate());
    match brokers.node(1).take_proposals().as_slice() {
        [proposal] => assert_eq!(proposal.isr, [(1.into(), 1)], "the other one was silent"),
        other => panic!("{other:?}"),
    }
}

/// KIP-101, scenario 1: a follower that restarts before it knows of the high watermark, and then leads, loses nothing.
#[test]
fn a_follower_that_restarts_and_leads_has_what_was_acknowledged() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    for value in ["a", "b"] {
        brokers.produce(value, Acks::All);
    }
    brokers.copy(2);
    brokers.copy(2);
    assert_eq!(brokers.ends(1), (2, 2));
    brokers.kill(2);
    brokers.start(2);
    brokers.kill(1);
    brokers.elect(2);
    assert_eq!(brokers.ends(2).1, 2, "it cuts nothing by its high watermark");
    brokers.start(1);
    brokers.catch_up(1);
    brokers.copy(1);
    assert_eq!(brokers.ends(2), (2, 2));
}

/// KIP-101, scenario 2: both lose power, and the one that lost records leads first. What a disk loses its seed says.
#[test]
fn after_a_power_cut_of_all_no_offset_has_two_records() {
    let mut lost = 0;
    for seed in 0..20 {
        let mut brokers = Brokers::on([2 * seed, 2 * seed + 1].map(SimDisk::new).to_vec());
        brokers.elect(1);
        brokers.produce("a", Acks::All);
        brokers.catch_up(2);
        let flush = |brokers: &Brokers, id| brokers.node(id).flush_all().unwrap();
        flush(&brokers, 1);
        flush(&brokers, 2);
        brokers.produce("b", Acks::All);
        brokers.catch_up(2);
        flush(&brokers, 1);
        brokers.power_cut(2);
        brokers.power_cut(1);
        brokers.start(2);
        brokers.elect(2);
        let end = brokers.ends(2).1;
        lost += usize::from(end == 1);
        brokers.isr_is(&[2]);
        assert!(matches!(brokers.produce("c", Acks::All), Answer::Ready(Ok(_))));
        brokers.start(1);
        assert_eq!(brokers.ends(1).1, 2, "seed {seed}: what was flushed is there");
        brokers.catch_up(1);
        assert_eq!((brokers.ends(1).1, brokers.ends(2).1), (end + 1, end + 1), "seed {seed}");
    }
    assert!(lost > 0, "no disk has lost the record, so nothing was shown");
}

/// KIP-279: leaders change faster than followers fetch.
#[test]
fn logs_that_parted_in_several_epochs_become_one() {
    let mut brokers = Brokers::new(3);
    brokers.elect(1);
    for value in ["a", "b", "c"] {
        brokers.produce(value, Acks::One);
    }
    brokers.elect(2);
    brokers.produce("d", Acks::One);
    brokers.elect(3);
    brokers.elect(1);
    brokers.produce("e", Acks::One);
    brokers.elect(2);
    brokers.produce("f", Acks::One);
    brokers.elect(3);
    brokers.produce("g", Acks::One);
    brokers.elect(2);
    brokers.catch_up(1);
    brokers.catch_up(3);
    assert_eq!(brokers.bytes(1), brokers.bytes(3));
}

#[test]
fn an_epoch_in_which_a_copy_led_and_took_nothing_does_not_keep_it_from_following() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    brokers.produce("a", Acks::One);
    brokers.catch_up(2);
    brokers.produce("b", Acks::One);
    brokers.elect(2);
    brokers.elect(1);
    brokers.produce("c", Acks::One);
    brokers.catch_up(2);
}

/// While a follower has what its leader does not have, and may yet be elected, nobody may read it there.
#[test]
fn a_follower_takes_nothing_for_committed_that_its_leader_does_not_have() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    brokers.produce("a", Acks::One);
    brokers.copy(2);
    brokers.produce("only the first has it", Acks::One);
    brokers.elect(2);
    brokers.produce("in its place", Acks::One);
    for _ in 0..5 {
        brokers.copy(1);
        let ((reached, end), is_alike) = (brokers.ends(1), brokers.bytes(1) == brokers.bytes(2));
        assert!(reached <= 1 || is_alike, "{reached} of {end} may be read");
    }
    assert_eq!((brokers.ends(1), brokers.ends(2)), ((2, 2), (2, 2)));
}

#[test]
fn a_follower_of_an_old_epoch_is_fenced_and_a_stale_leader_takes_nothing() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    let request = brokers.next_fetch(2, 1);
    brokers.elect(1);
    let answer = brokers.node(1).replica_fetch(request).wait(brokers.node(1).clock(), Instant::default());
    assert!(matches!(answer.unwrap().partitions[0], Err(Error::FencedLeaderEpoch)));
    brokers.elect(2);
    let stale = Brokers { leader: Some(1), ..brokers };
    match stale.produce("a", Acks::One) {
        Answer::Ready(Err(error)) => assert!(matches!(*error, Error::NotLeaderOrFollower), "{error}"),
        other => panic!("{other:?}"),
    }
}

/// Also in the midst of a batch.
#[test]
fn a_follower_goes_on_where_its_leaders_log_begins() {
    for seed in 0..20 {
        goes_on_where_its_leaders_log_begins(seed, &[&["b"], &["c"], &["d"]]);
        goes_on_where_its_leaders_log_begins(seed, &[&["b", "c", "d"]]);
        goes_on_where_its_leaders_log_begins(seed, &[&["b"], &["c", "d"]]);
    }
}

/// The disk is full just then: the log ends before it begins, and nothing more is done to it.
#[test]
fn a_follower_that_cannot_begin_in_the_midst_of_a_batch_says_so() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    brokers.isr_is(&[1]);
    brokers.produce_batch(&["a", "b", "c"], Acks::All);
    let partition = PartitionRef { topic_id: TOPIC, partition: 0, slot: 0 };
    let before = crate::types::OffsetSpec::At(2);
    let request = crate::rpc::DeleteRecordsRequest { partition, before };
    brokers.node(1).call(1.into(), request.into()).wait(brokers.node(1).clock(), Instant::default()).unwrap();
    brokers.copy(2);
    let full = brokers.disks[1].intercept(DiskOp::Write).path(".log").fail(DiskFault::Enospc);
    brokers.copy(2);
    assert!(full.hits() > 0 && brokers.node(2).take_failure().is_some());
    assert!(brokers.node(2).flush_all().is_err());
}

fn goes_on_where_its_leaders_log_begins(seed: u64, batches: &[&[&str]]) {
    let mut brokers = Brokers::on((0..2).map(|disk| SimDisk::new(2 * seed + disk)).collect());
    brokers.elect(1);
    brokers.produce("a", Acks::One);
    brokers.catch_up(2);
    brokers.advance(Duration::from_secs(11));
    brokers.isr_is(&[1]);
    for batch in batches {
        brokers.produce_batch(batch, Acks::All);
    }
    let partition = PartitionRef { topic_id: TOPIC, partition: 0, slot: 0 };
    let before = crate::types::OffsetSpec::At(3);
    let request = crate::rpc::DeleteRecordsRequest { partition, before };
    brokers.node(1).call(1.into(), request.into()).wait(brokers.node(1).clock(), Instant::default()).unwrap();
    for flushes in [false, false, true, true] {
        brokers.catch_up(2);
        let node = brokers.node(2);
        let view = node.view(PARTITION).unwrap();
        assert_eq!((view.start.get(), view.end.get()), (3, 4), "seed {seed}, {batches:?}");
        if flushes {
            node.flush_all().unwrap();
        }
        brokers.power_cut(2);
        brokers.start(2);
        let there = brokers.node(2).view(PARTITION).unwrap().end.get();
        assert!(there == 4 || !flushes, "seed {seed}, {batches:?}: what was flushed is gone");
    }
}
