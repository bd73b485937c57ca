//! What is produced is there once, in order, whoever dies between its append and its answer; and producer ids are given out once.

use super::{super::transport::Transport, *};
use crate::{
    record::{BatchWriter, ValidBatch},
    rpc::{
        Answer, InitProducerIdRequest, PartitionRef, ProduceRequest, ProduceResponse, Response, Service,
        Ticket,
    },
    types::{Acks, Durability, Offset},
};

/// Sends a record without waiting for it.
pub(super) fn send(cluster: &Cluster, of: (TopicId, i32), value: &str) -> Ticket<ProduceResponse> {
    send_by(&*cluster.inner.network, (cluster.now(), BrokerId::NOBODY), of, value)
}

/// The same, to one broker.
pub(super) fn send_to(
    cluster: &Cluster,
    to: BrokerId,
    of: (TopicId, i32),
    value: &str,
) -> Ticket<ProduceResponse> {
    send_by(&Transport(Arc::clone(&cluster.inner.world)), (cluster.now(), to), of, value)
}

fn send_by(
    service: &dyn Service,
    (now, to): (Timestamp, BrokerId),
    (topic_id, partition): (TopicId, i32),
    value: &str,
) -> Ticket<ProduceResponse> {
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    writer.push(now, None, Some(value.as_bytes()), &[]).unwrap();
    let mut batch: ValidBatch<'_> = writer.finish();
    let request = ProduceRequest {
        partition: &PartitionRef { topic_id, partition, slot: u32::MAX },
        acks: Acks::All,
        timeout: Duration::from_secs(30),
        durability: Durability::Buffered,
        batch: &mut batch,
    };
    match service.produce(to, request) {
        Answer::Parked(ticket) => ticket,
        Answer::Ready(answer) => panic!("{answer:?}"),
    }
}

pub(super) fn topic(cluster: &Cluster) -> TopicId {
    let known = cluster.inner.world.survey(|_, running| running.image().topic("t").map(|(id, _)| id));
    known.into_iter().flatten().next().unwrap()
}

/// Where the leader's log ends.
fn end(cluster: &Cluster, of: (TopicId, i32)) -> Offset {
    let views = cluster.inner.world.survey(|_, running| running.node.view(of));
    views.into_iter().flatten().filter(|view| view.leads).map(|view| view.end).max().unwrap_or_default()
}

#[test]
fn rule_20_a_retry_after_the_leader_was_killed_between_append_and_answer_is_the_same_record() {
    for seed in seeds(20) {
        let cluster = three(seed);
        let of = (topic(&cluster), 0);
        put(&cluster, "0").unwrap();
        let mut sent = vec!["0".to_owned()];
        for round in 0..3i64 {
            let values: Vec<String> = (0..8).map(|n| format!("{round}.{n}")).collect();
            let tickets: Vec<_> = values.iter().map(|value| send(&cluster, of, value)).collect();
            let wanted = sent.len() as i64 + 1 + (seed as i64 + round) % 4;
            let appended = |c: &Cluster| end(c, of).get() >= wanted;
            cluster.run_until(Duration::from_secs(5), appended).unwrap();
            assert!(tickets.iter().any(|ticket| !ticket.is_filled()), "seed {seed}");
            let leader = cluster.leader("t", 0).unwrap();
            cluster.kill(leader).unwrap();
            let all = |_: &Cluster| tickets.iter().all(|ticket| ticket.is_filled());
            cluster.run_until(Duration::from_secs(40), all).unwrap();
            for (value, ticket) in values.iter().zip(&tickets) {
                let at = ticket.take().unwrap().unwrap().base_offset.get();
                assert_eq!(at, sent.len() as i64, "seed {seed}: {value}\n{}", cluster.trace());
                sent.push(value.clone());
            }
            cluster.restart(leader).unwrap();
            let whole = |c: &Cluster| c.isr("t", 0).is_ok_and(|isr| isr.len() == 3);
            cluster.run_until(Duration::from_secs(30), whole).unwrap();
        }
        assert_eq!(read(&cluster), sent, "seed {seed}\n{}", cluster.trace());
    }
}

#[test]
fn rule_20_a_record_that_is_refused_keeps_no_other_one_back() {
    let cluster = three(9);
    let of = (topic(&cluster), 0);
    put(&cluster, "0").unwrap();
    let large = "x".repeat(2 << 20);
    let values = ["1", large.as_str(), "2", "3", large.as_str(), "4"];
    let tickets: Vec<_> = values.iter().map(|value| send(&cluster, of, value)).collect();
    cluster.advance(Duration::from_secs(5));
    for (value, ticket) in values.iter().zip(tickets) {
        match ticket.take().unwrap() {
            Ok(_) => assert!(value.len() == 1),
            Err(error) => assert!(matches!(error, Error::MessageTooLarge { .. }), "{error}"),
        }
    }
    assert_eq!(read(&cluster), ["0", "1", "2", "3", "4"]);
}

#[test]
fn what_is_under_way_as_the_cluster_is_closed_is_told_so_at_once() {
    for has_id in [false, true] {
        let cluster = three(4);
        let of = (topic(&cluster), 0);
        if has_id {
            put(&cluster, "0").unwrap();
        }
        let tickets = [send(&cluster, of, "1"), send(&cluster, of, "2")];
        cluster.close().unwrap();
        cluster.advance(Duration::from_millis(500));
        for ticket in tickets.into_iter().chain([send(&cluster, of, "3")]) {
            let answer = ticket.take();
            assert!(matches!(answer, Some(Err(Error::Closed))), "{has_id}: {answer:?}");
        }
    }
}

/// Asks a broker for a producer id.
fn producer_id(cluster: &Cluster, broker: BrokerId) -> Result<i64> {
    let transport = Transport(Arc::clone(&cluster.inner.world));
    let deadline = transport.clock().now().plus(Duration::from_secs(5));
    match transport.call(broker, InitProducerIdRequest.into()).wait(transport.clock(), deadline)? {
        Response::InitProducerId(given) => {
            assert_eq!(given.producer_epoch, 0);
            Ok(given.producer_id)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_producer_id_is_given_out_once_whatever_is_restarted() {
    let cluster = three(5);
    let mut given = BTreeSet::new();
    let mut take = |cluster: &Cluster, broker| {
        let id = producer_id(cluster, broker).unwrap();
        assert!(given.insert(id), "{id} is given out twice");
    };
    for round in 0..4 {
        for broker in cluster.brokers() {
            (0..3).for_each(|_| take(&cluster, broker));
        }
        let broker = if round % 2 == 0 { cluster.controller().unwrap() } else { 1.into() };
        if round < 2 {
            cluster.kill(broker).unwrap()
        } else {
            cluster.power_cut(broker).unwrap()
        };
        cluster.restart(broker).unwrap();
        cluster.run_until(Duration::from_secs(30), Cluster::is_complete).unwrap();
    }
    // More than a block has.
    (0..1100).for_each(|_| take(&cluster, 2.into()));
}

#[test]
fn who_asks_for_a_producer_id_where_there_is_no_controller_is_told_in_time() {
    let cluster = three(6);
    cluster.isolate(1).unwrap();
    cluster.isolate(2).unwrap();
    cluster.advance(Duration::from_secs(10));
    let error = producer_id(&cluster, 3.into()).unwrap_err();
    assert!(matches!(error, Error::NotController) && error.is_retriable(), "{error}");
    cluster.heal().unwrap();
    cluster.run_until(Duration::from_secs(30), Cluster::is_complete).unwrap();
    producer_id(&cluster, 3.into()).unwrap();
}
