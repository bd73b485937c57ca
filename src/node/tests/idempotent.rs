//! What a leader and its followers make of a producer's sequences.

use super::{replication::Brokers, *};
use crate::record::BatchWriter;
use crate::{
    rpc::ProduceResponse,
    types::{Acks, Durability, Timestamp, TimestampType},
};

const ID: i64 = 4000;

/// A batch of one record: epoch, sequence, value.
type Sent<'v> = (i16, i32, &'v str);

fn produce(node: &Node, partition: PartitionRef, sent: Sent<'_>, acks: Acks) -> Answer<ProduceResponse> {
    let (epoch, sequence, value) = sent;
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    writer.push(Timestamp::from_millis(1000), None, Some(value.as_bytes()), &[]).unwrap();
    let mut batch = writer.finish();
    batch.set_producer(ID, epoch, sequence);
    let request = ProduceRequest {
        partition: &partition,
        acks,
        timeout: Duration::from_secs(30),
        durability: Durability::Buffered,
        batch: &mut batch,
    };
    node.produce(node.id, request)
}

fn ready(answer: Answer<ProduceResponse>) -> Result<i64> {
    match answer {
        Answer::Ready(answer) => answer.map(|at| at.base_offset.get()).map_err(|error| *error),
        Answer::Parked(ticket) => panic!("it waits: {ticket:?}"),
    }
}

impl Brokers {
    fn send(&self, sent: Sent<'_>, acks: Acks) -> Answer<ProduceResponse> {
        let leader = self.leader.unwrap();
        produce(self.node(leader), self.partition(), sent, acks)
    }
}

#[test]
fn rule_22_a_duplicate_succeeds_with_its_offset_and_an_embedded_broker_says_so_too() {
    let disk = SimDisk::new(0);
    let node = open(&disk).unwrap().0;
    let partition = make_topic(&node);
    let send = |node: &Node, sent| ready(produce(node, partition, sent, Acks::All));
    for n in 0..6 {
        assert_eq!(send(&node, (0, n, "a")).unwrap(), i64::from(n));
    }
    for n in 1..6 {
        assert_eq!(send(&node, (0, n, "a")).unwrap(), i64::from(n));
    }
    assert!(matches!(send(&node, (0, 0, "a")), Err(Error::OutOfOrderSequenceNumber { expected: 6, .. })));
    assert!(matches!(send(&node, (0, 7, "a")), Err(Error::OutOfOrderSequenceNumber { sequence: 7, .. })));
    assert_eq!(send(&node, (1, 0, "b")).unwrap(), 6);
    assert!(matches!(send(&node, (0, 6, "a")), Err(Error::InvalidProducerEpoch { producer_id: ID, .. })));
    // Rule 26: after a close the snapshot is all there is.
    send(&node, (1, 1, "b")).unwrap();
    node.close().unwrap();
    let node = open(&disk).unwrap().0;
    assert_eq!(send(&node, (1, 1, "b")).unwrap(), 7);
    assert!(matches!(send(&node, (1, 0, "b")), Err(Error::OutOfOrderSequenceNumber { .. })));
}

#[test]
fn rule_22_a_duplicate_has_the_time_that_the_broker_gave_and_is_flushed_if_that_is_asked_for() {
    let node = node();
    let config = TopicConfig::new().timestamp_type(TimestampType::LogAppendTime);
    call(&node, CreateTopicRequest { name: "t".to_owned(), config }).unwrap();
    let metadata = call(&node, MetadataRequest { topics: None }).unwrap();
    let Response::Metadata(metadata) = metadata else { panic!("{metadata:?}") };
    let partition = metadata.topics[0].partitions[0].partition;
    let send = || match produce(&node, partition, (0, 0, "a"), Acks::All) {
        Answer::Ready(Ok(at)) => (at.base_offset, at.log_append_time.unwrap()),
        other => panic!("{other:?}"),
    };
    let first = send();
    assert_eq!(send(), first);
}

#[test]
fn rule_22_a_duplicate_is_acknowledged_when_all_in_sync_have_the_first() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    let Answer::Parked(first) = brokers.send((0, 0, "a"), Acks::All) else { panic!("nobody else has it") };
    let Answer::Parked(second) = brokers.send((0, 0, "a"), Acks::All) else { panic!("nobody else has it") };
    assert_eq!(ready(brokers.send((0, 0, "a"), Acks::One)).unwrap(), 0, "one has it");
    brokers.copy(2);
    assert!(!first.is_filled() && !second.is_filled());
    brokers.copy(2);
    for ticket in [first, second] {
        assert_eq!(ticket.take().unwrap().unwrap().base_offset, Offset::ZERO);
    }
    assert_eq!(ready(brokers.send((0, 0, "a"), Acks::All)).unwrap(), 0);
    assert_eq!(brokers.ends(1), (1, 1));
}

#[test]
fn rule_22_whoever_leads_next_knows_the_last_five_batches_again() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    for n in 0..7 {
        ready(brokers.send((0, n, "a"), Acks::One)).unwrap();
    }
    brokers.catch_up(2);
    brokers.elect(2);
    for n in 2..7 {
        assert_eq!(ready(brokers.send((0, n, "a"), Acks::One)).unwrap(), i64::from(n));
    }
    for wrong in [0, 8] {
        let refused = ready(brokers.send((0, wrong, "a"), Acks::One));
        assert!(matches!(refused, Err(Error::OutOfOrderSequenceNumber { expected: 7, .. })), "{refused:?}");
    }
    brokers.catch_up(1);
    assert_eq!(ready(brokers.send((0, 7, "a"), Acks::One)).unwrap(), 7);
}

#[test]
fn what_is_cut_off_is_not_known_any_more() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    ready(brokers.send((0, 0, "a"), Acks::One)).unwrap();
    brokers.catch_up(2);
    for n in 1..4 {
        ready(brokers.send((0, n, "lost"), Acks::One)).unwrap();
    }
    brokers.elect(2);
    assert_eq!(ready(brokers.send((0, 1, "b"), Acks::One)).unwrap(), 1);
    brokers.catch_up(1);
    brokers.elect(1);
    assert_eq!(ready(brokers.send((0, 1, "b"), Acks::One)).unwrap(), 1, "it is there");
    assert!(ready(brokers.send((0, 3, "lost"), Acks::One)).is_err(), "it is not");
    assert_eq!(ready(brokers.send((0, 2, "c"), Acks::One)).unwrap(), 2);
}

#[test]
fn a_leader_that_was_killed_knows_its_producers_from_its_log() {
    let mut brokers = Brokers::new(1);
    brokers.elect(1);
    for n in 0..6 {
        ready(brokers.send((0, n, "a"), Acks::All)).unwrap();
    }
    brokers.kill(1);
    brokers.start(1);
    brokers.elect(1);
    for n in 1..6 {
        assert_eq!(ready(brokers.send((0, n, "a"), Acks::All)).unwrap(), i64::from(n));
    }
    assert_eq!(ready(brokers.send((0, 6, "a"), Acks::All)).unwrap(), 6);
}
