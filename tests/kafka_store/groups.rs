//! Groups of all kinds: of consumers that subscribe, of offsets that are committed from outside, and what compaction
//! leaves of both.

use brooklet::{
    Broker, Client, Consumer, ConsumerConfig, GroupState, ManualClock, OffsetAndMetadata, Offsets,
};
use std::{path::Path, time::Duration};

/// Their offsets are committed from outside, one's in each round.
const OUTSIDE: [&str; 3] = ["a group", "another group", "grüppe/3"];
/// Its consumers subscribe.
pub(crate) const MEMBERS: &str = "subscribed";
/// The same to Java's hash, so that they share a partition, and what closes a segment of one closes it for all.
const COMPACTED: &str = "compacted AaAa";
const COMPACTED_MEMBERS: &str = "compacted AaBB";
/// All that is known of it lies in the closed segment.
const CLOSED: &str = "compacted BBBB";
const DELETED: &str = "compacted BBAa";
const COMPACTED_PARTITION: i32 = 14;
/// A bit more than half of seven days: a segment is closed after these, and offsets are forgotten.
const HALF: Duration = Duration::from_secs(85 * 3600);
const SHAPES: [(&str, i32); 2] = [("shapes", 0), ("shapes", 1)];

pub(crate) fn commit(client: &Client, round: usize) {
    let group = OUTSIDE[round];
    let consumer = client.consumer(ConsumerConfig::new(group)).assign(SHAPES).unwrap();
    for offset in 0..100 {
        let note = OffsetAndMetadata::new(offset, "é".repeat(offset as usize));
        consumer.commit_offsets(Offsets::from([(SHAPES[0], note)])).unwrap();
        consumer.commit_offsets(Offsets::from([(SHAPES[1], offset)])).unwrap();
    }
    consumer.close().unwrap();
    let mut consumer = client.consumer(ConsumerConfig::new(group)).assign([("batches", 0)]).unwrap();
    // With the leader epoch of what was read.
    assert!(!consumer.poll(Duration::ZERO).unwrap().is_empty());
    consumer.commit_offset().unwrap();
}

/// Two members, of which one is further on than the other when they go.
pub(crate) fn read_together(client: &Client, group: &str, round: usize) {
    let config = ConsumerConfig::new(group).max_poll_records(7 + round);
    let mut members = [(); 2].map(|()| client.consumer(config.clone()).subscribe("shapes").unwrap());
    for _ in 0..20 {
        members.iter_mut().for_each(|member| drop(member.poll(Duration::ZERO).unwrap()));
    }
    assert!(members.iter().all(|member| member.assignment().len() == 1), "the partitions are shared");
    let [mut ahead, behind] = members;
    (0..20).for_each(|_| drop(ahead.poll(Duration::ZERO).unwrap()));
    for member in [&ahead, &behind] {
        member.commit_offset().unwrap();
    }
    note(&behind, round);
    [ahead, behind].into_iter().for_each(|member| member.close().unwrap());
}

/// Commits a little more, with a note.
fn note(member: &Consumer, round: usize) {
    let of = member.assignment().remove(0);
    let offset = member.position(&of).unwrap() + round as i64;
    let note = OffsetAndMetadata::new(offset, format!("é \"{round}\""));
    member.commit_offsets(Offsets::from([(of, note)])).unwrap();
}

/// Has groups commit and change until a segment with all that is closed, and has it compacted.
pub(crate) fn compact(broker: &Broker, clock: &ManualClock) {
    let (client, admin) = (broker.client(), broker.admin());
    for time in 0..3 {
        for n in 0..10 {
            let offset = 10 * time + n;
            let note = OffsetAndMetadata::new(offset, format!("{time} {n}"));
            admin.alter_group_offsets(COMPACTED, [(SHAPES[0], note)]).unwrap();
            admin.alter_group_offsets(COMPACTED, [(SHAPES[1], 2 * offset)]).unwrap();
        }
        read_together(client, COMPACTED_MEMBERS, time as usize);
        if time == 0 {
            read_together(client, DELETED, 0);
            admin.delete_group(DELETED).unwrap();
        }
        if time < 2 {
            read_together(client, CLOSED, time as usize);
            clock.advance(HALF);
        }
    }
    broker.compact_now(Some("__consumer_offsets")).unwrap();
}

pub(crate) fn check(broker: &Broker, dir: &Path) {
    let admin = broker.admin();
    let mut groups: Vec<&str> = [&OUTSIDE[..], &[MEMBERS, COMPACTED, COMPACTED_MEMBERS, CLOSED]].concat();
    groups.sort_unstable();
    assert_eq!(admin.list_groups().unwrap(), groups);
    for group in groups {
        let group = admin.describe_group(group).unwrap();
        assert_eq!((group.state, group.partitions.len() > 1), (GroupState::Empty, true), "{group:?}");
    }
    // Nothing is left of the closed segment but what was said last, and there are gaps.
    let segments = super::segments(dir, "__consumer_offsets", COMPACTED_PARTITION);
    assert!(segments.len() > 1, "{segments:?}");
    let of = ("__consumer_offsets", COMPACTED_PARTITION);
    let consumer = broker.consumer(ConsumerConfig::standalone()).assign([of]).unwrap();
    let closed = segments.into_iter().max().unwrap();
    let left = super::manifest::read_all(consumer).iter().filter(|record| record.offset() < closed).count();
    println!("{left} of the first {closed} records are left");
    assert!(left > 0 && (left as i64) < closed / 4, "{left} of {closed} records are left");
}
