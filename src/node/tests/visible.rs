//! What a leader lets consumers see of its log, and what it tells those who wait for others to have it.

use super::{
    replication::{Brokers, PARTITION},
    *,
};
use crate::{
    record::BatchWriter,
    rpc::{Fetched, ListOffsetsRequest},
    types::{Acks, Durability, OffsetSpec, Timestamp},
};

/// What the leader gives a consumer that knows this leader epoch.
fn fetched(brokers: &Brokers, offset: i64, epoch: i32, isolation: IsolationLevel) -> Result<Fetched> {
    let leader = brokers.leader.unwrap();
    let mut request = FetchRequest { isolation, ..fetch(brokers.partition(), offset) };
    request.partitions[0].current_leader_epoch = LeaderEpoch(epoch);
    let node = brokers.node(leader);
    node.fetch(leader.into(), &request).wait(node.clock(), Instant::default()).unwrap().partitions.remove(0)
}

/// Where the leader says that something is.
fn listed(brokers: &Brokers, spec: OffsetSpec) -> Result<Option<i64>> {
    let (partition, isolation) = (brokers.partition(), IsolationLevel::default());
    let leader = brokers.leader.unwrap();
    let node = brokers.node(leader);
    let request = ListOffsetsRequest { partition, spec, isolation };
    match node.call(leader.into(), request.into()).wait(node.clock(), Instant::default())? {
        Response::ListOffsets(listed) => Ok(listed.offset.map(Offset::get)),
        other => panic!("{other:?}"),
    }
}

/// Has some fetch until all of them have what there is, and the leader knows.
fn copy_to(brokers: &Brokers, ids: &[i32]) {
    for _ in 0..2 {
        ids.iter().for_each(|id| drop(brokers.copy(*id)));
    }
}

#[test]
fn rule_03_07_55_what_not_all_in_sync_have_is_there_and_nobody_sees_it() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    brokers.produce("a", Acks::All);
    copy_to(&brokers, &[2]);
    brokers.produce("b", Acks::All);
    brokers.produce("c", Acks::One);
    assert_eq!(brokers.ends(1), (1, 3));
    for isolation in [IsolationLevel::ReadUncommitted, IsolationLevel::ReadCommitted] {
        let fetched = |offset| fetched(&brokers, offset, 0, isolation);
        let first = fetched(0).unwrap();
        assert_eq!(
            crate::record::Batch::unchecked(&first.records).unwrap().header().size,
            first.records.len()
        );
        for offset in 1..=3 {
            let nothing = fetched(offset).unwrap();
            assert!(nothing.records.is_empty(), "{offset}");
            assert_eq!(nothing.high_watermark, Offset::new(1));
        }
        for offset in [-1, 4] {
            assert!(matches!(fetched(offset), Err(Error::OffsetOutOfRange { .. })), "{offset}");
        }
    }
    assert_eq!(listed(&brokers, OffsetSpec::Latest).unwrap(), Some(1));
    copy_to(&brokers, &[2]);
    assert!(!fetched(&brokers, 1, 0, IsolationLevel::default()).unwrap().records.is_empty());
    assert_eq!(listed(&brokers, OffsetSpec::Latest).unwrap(), Some(3));
}

#[test]
fn rule_08_what_not_all_in_sync_have_is_found_by_no_time() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    brokers.produce("a", Acks::One);
    let time = OffsetSpec::Timestamp(Timestamp::default());
    // Where nobody knows of a high watermark there is nothing that anybody could see.
    assert_eq!((brokers.ends(1), listed(&brokers, time).unwrap()), ((0, 1), None));
    copy_to(&brokers, &[2]);
    assert_eq!(listed(&brokers, time).unwrap(), Some(0));
}

#[test]
fn rule_09_a_new_leader_does_not_say_where_the_end_is_before_it_knows() {
    let mut brokers = Brokers::new(2);
    brokers.elect(1);
    brokers.produce("a", Acks::All);
    copy_to(&brokers, &[2]);
    brokers.produce("b", Acks::All);
    copy_to(&brokers, &[2]);
    // The second one has both, and was told that consumers may read the first one.
    brokers.copy(2);
    brokers.produce("c", Acks::All);
    brokers.copy(2);
    assert_eq!((brokers.ends(1), brokers.ends(2)), ((2, 3), (2, 3)));
    brokers.elect(2);
    let time = OffsetSpec::Timestamp(Timestamp::default());
    for spec in [OffsetSpec::Latest, time] {
        let refused = listed(&brokers, spec);
        assert!(matches!(refused, Err(Error::OffsetNotAvailable)), "{spec:?}: {refused:?}");
        assert!(refused.unwrap_err().is_retriable());
    }
    assert_eq!(listed(&brokers, OffsetSpec::Earliest).unwrap(), Some(0));
    // What it knows that all have it gives.
    assert!(!fetched(&brokers, 1, 1, IsolationLevel::default()).unwrap().records.is_empty());
    copy_to(&brokers, &[1]);
    assert_eq!(listed(&brokers, OffsetSpec::Latest).unwrap(), Some(3));
    assert_eq!(listed(&brokers, time).unwrap(), Some(0));
}

#[test]
fn rule_10_a_consumer_that_knows_another_leader_epoch_is_told() {
    let mut brokers = Brokers::new(2);
    (0..3).for_each(|_| brokers.elect(1));
    let known = |epoch| fetched(&brokers, 0, epoch, IsolationLevel::default());
    assert!(matches!(known(1), Err(Error::FencedLeaderEpoch)));
    assert!(known(2).is_ok());
    assert!(matches!(known(3), Err(Error::UnknownLeaderEpoch)));
    brokers.leader = Some(2);
    let follower = fetched(&brokers, 0, 2, IsolationLevel::default());
    assert!(matches!(follower, Err(Error::NotLeaderOrFollower)), "{follower:?}");
}

#[test]
fn rule_19_what_timed_out_may_be_seen_later() {
    let mut brokers = Brokers::new(3);
    brokers.min_insync_replicas = 2;
    brokers.elect(1);
    let Answer::Parked(late) = brokers.produce("late", Acks::All) else { panic!("nobody else has it") };
    brokers.isr_is(&[1]);
    copy_to(&brokers, &[2, 3]);
    assert_eq!(brokers.ends(1), (0, 1), "too few are in sync for it to rise");
    brokers.advance(Duration::from_secs(30));
    let error = late.take().unwrap().unwrap_err();
    assert!(matches!(error, Error::RequestTimedOut) && error.is_indeterminate(), "{error}");
    let seen = |brokers: &Brokers| fetched(brokers, 0, 0, IsolationLevel::default()).unwrap().records.len();
    assert_eq!(seen(&brokers), 0);
    brokers.isr_is(&[1, 2, 3]);
    copy_to(&brokers, &[2, 3]);
    assert_eq!(brokers.ends(1), (1, 1));
    assert!(seen(&brokers) > 0);
}

/// A flush lies between the append and the wait for the others, or another thread: meanwhile they may get it, and go.
#[test]
fn rule_19_whoever_has_it_and_is_too_few_by_now_is_told_apart() {
    for (isr, enough) in [(&[1, 2][..], true), (&[1], false)] {
        let mut brokers = Brokers::new(3);
        brokers.min_insync_replicas = 2;
        brokers.elect(1);
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        writer.push(Timestamp::default(), None, Some(b"a"), &[]).unwrap();
        let node = brokers.node(1);
        let partition = node.partition_by_id(PARTITION).unwrap();
        let asked = (Acks::All, Durability::Buffered);
        let produced = node.append(&partition, &mut writer.finish(), asked).unwrap();
        copy_to(&brokers, &[2, 3]);
        assert_eq!(brokers.ends(1), (1, 1));
        brokers.isr_is(isr);
        let deadline = Instant::default().plus(Duration::from_secs(30));
        match brokers.node(1).when_replicated(&partition, produced, deadline) {
            Answer::Ready(Ok(at)) => assert!(enough && at.base_offset == Offset::ZERO),
            Answer::Ready(Err(error)) => {
                assert!(!enough && matches!(*error, Error::NotEnoughReplicasAfterAppend), "{error}");
                assert!(error.is_indeterminate());
            }
            other @ Answer::Parked(_) => panic!("{other:?}"),
        }
        assert!(!fetched(&brokers, 0, 0, IsolationLevel::default()).unwrap().records.is_empty());
    }
}
