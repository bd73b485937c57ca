//! Rules 46 to 48, and what groups promise each other.

use crate::common::{
    Backend, assert_refused, committed, offsets, on_every_backend, put, put_numbers, rest, topic,
};
use brooklet::{ConsumerConfig, Error, OffsetAndMetadata, Offsets, Record};
use std::time::Duration;

on_every_backend![
    rule_46_a_commit_from_outside_passes_while_the_group_is_empty,
    rule_46_a_commit_from_outside_is_refused_while_the_group_has_a_member,
    rule_47_what_was_not_committed_comes_again,
    rule_48_metadata_comes_back_as_it_was,
    rule_48_metadata_is_limited_in_utf16_code_units,
    groups_do_not_disturb_each_other,
    offsets_are_committed_by_group_topic_and_partition,
    commits_survive_a_reopen,
    a_group_goes_on_where_it_was_after_a_reopen,
    a_commit_for_many_partitions_is_all_or_nothing,
    a_commit_may_go_back,
    a_commit_of_nothing_is_fine,
    without_a_group_nothing_is_committed,
    many_commits_leave_the_last_one,
];

fn rule_46_a_commit_from_outside_passes_while_the_group_is_empty(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let outside = client.consumer("g").assign([("t", 0)]).unwrap();
    outside.commit_offsets(Offsets::from([(("t", 0), 3)])).unwrap();
    let member = client.consumer("g").subscribe("t").unwrap();
    assert_eq!(committed(&member, "t", 0), Some(3), "a simple group's offsets are the group's");
    member.close().unwrap();
    outside.commit_offsets(Offsets::from([(("t", 0), 4), (("t", 1), 9)])).unwrap();
    assert_eq!((committed(&outside, "t", 0), committed(&outside, "t", 1)), (Some(4), Some(9)));
}

fn rule_46_a_commit_from_outside_is_refused_while_the_group_has_a_member(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let outside = client.consumer("g").assign([("t", 0)]).unwrap();
    let member = client.consumer("g").subscribe("t").unwrap();
    member.commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
    let refused = outside.commit_offsets(Offsets::from([(("t", 0), 5)]));
    assert_refused!(refused, Error::UnknownMemberId { group, .. } if group == "g");
    assert!(outside.commit_offsets(Offsets::from([(("t", 0), 5)])).unwrap_err().is_fenced());
    assert_eq!(committed(&member, "t", 0), Some(1));
    drop(member);
    outside.commit_offsets(Offsets::from([(("t", 0), 5)])).unwrap();
}

fn rule_47_what_was_not_committed_comes_again(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 10);
    let config = ConsumerConfig::new("g").max_poll_records(3);
    let mut first = client.consumer(config.clone()).subscribe("t").unwrap();
    first.poll(Duration::ZERO).unwrap();
    first.commit_offset().unwrap();
    assert_eq!(first.poll(Duration::ZERO).unwrap().len(), 3, "handed out, and not committed");
    drop(first);
    let mut second = client.consumer(config).subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut second)), (3..10).collect::<Vec<_>>());
    second.close().unwrap();
    backend.reopen();
    let mut third = backend.client().consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut third)), (3..10).collect::<Vec<_>>(), "closing commits nothing");
}

fn rule_48_metadata_comes_back_as_it_was(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    for note in ["", "a note", "é \u{1f980}\0\n", &"x".repeat(4096)] {
        let offset = OffsetAndMetadata::new(7, note);
        backend
            .client()
            .consumer("g")
            .subscribe("t")
            .unwrap()
            .commit_offsets(Offsets::from([(("t", 0), offset.clone())]))
            .unwrap();
        for _ in 0..2 {
            let consumer = backend.client().consumer("g").subscribe("t").unwrap();
            assert_eq!(consumer.committed(("t", 0)).unwrap(), Some(offset.clone()));
            drop(consumer);
            backend.reopen();
        }
    }
}

fn rule_48_metadata_is_limited_in_utf16_code_units(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let consumer = client.consumer("g").subscribe("t").unwrap();
    let commit =
        |note: String| consumer.commit_offsets(Offsets::from([(("t", 0), OffsetAndMetadata::new(1, note))]));
    for fits in ["x".repeat(4096), "é".repeat(4096), "\u{1f980}".repeat(2048)] {
        commit(fits.clone()).unwrap();
        assert_refused!(commit(fits.clone() + "x"), Error::OffsetMetadataTooLarge);
        assert_eq!(consumer.committed(("t", 0)).unwrap().unwrap().metadata, fits);
    }
}

fn groups_do_not_disturb_each_other(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 6);
    let groups = ["a", "b", "c"];
    let mut consumers = groups.map(|group| client.consumer(group).subscribe("t").unwrap());
    for (n, consumer) in consumers.iter_mut().enumerate() {
        assert_eq!(rest(consumer).len(), 6, "each gets all");
        consumer.commit_offsets(Offsets::from([(("t", 0), n as i64)])).unwrap();
    }
    for (n, consumer) in consumers.iter().enumerate() {
        assert_eq!(committed(consumer, "t", 0), Some(n as i64));
    }
    put(&client, "t", "new");
    consumers.iter_mut().for_each(|consumer| assert_eq!(offsets(&rest(consumer)), [6]));
}

fn offsets_are_committed_by_group_topic_and_partition(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "a", 2);
    topic(&client, "b", 2);
    let all =
        |n: i64| Offsets::from([(("a", 0), n), (("a", 1), n + 1), (("b", 0), n + 2), (("b", 1), n + 3)]);
    // Many groups, so that several share a partition of the topic of offsets.
    let groups: Vec<String> = (0..60).map(|n| format!("group {n}")).collect();
    for (n, group) in groups.iter().enumerate() {
        client
            .consumer(group.as_str())
            .subscribe(["a", "b"])
            .unwrap()
            .commit_offsets(all(n as i64 * 10))
            .unwrap();
    }
    for _ in 0..2 {
        for (n, group) in groups.iter().enumerate() {
            let consumer = backend.client().consumer(group.as_str()).subscribe("a").unwrap();
            for (partition, offset) in all(n as i64 * 10) {
                assert_eq!(consumer.committed(&partition).unwrap(), Some(offset), "{group} {partition}");
            }
        }
        backend.reopen();
    }
}

fn commits_survive_a_reopen(backend: &mut Backend) {
    topic(&backend.client(), "t", 1);
    for n in 1..5 {
        let consumer = backend.client().consumer("g").subscribe("t").unwrap();
        assert_eq!(committed(&consumer, "t", 0), (n > 1).then_some(n - 1));
        consumer.commit_offsets(Offsets::from([(("t", 0), n)])).unwrap();
        drop(consumer);
        backend.reopen();
    }
}

fn a_group_goes_on_where_it_was_after_a_reopen(backend: &mut Backend) {
    topic(&backend.client(), "t", 3);
    let mut seen = Vec::new();
    for round in 0..4 {
        let client = backend.client();
        for n in 0..30 {
            client.produce(Record::to("t").value(&format!("{round}.{n}")).partition(n % 3)).unwrap();
        }
        let mut consumer = client.consumer("g").subscribe("t").unwrap();
        seen.extend(rest(&mut consumer).iter().map(|r| (r.partition(), r.offset())));
        consumer.commit_offset().unwrap();
        backend.reopen();
    }
    seen.sort();
    let expected: Vec<_> =
        (0..3).flat_map(|partition| (0..40).map(move |offset| (partition, offset))).collect();
    assert_eq!(seen, expected, "each once");
}

fn a_commit_for_many_partitions_is_all_or_nothing(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let consumer = client.consumer("g").subscribe("t").unwrap();
    let long = "x".repeat(4097);
    let bad = [
        Offsets::from_iter([
            (("t", 0), OffsetAndMetadata::from(5)),
            (("t", 1), OffsetAndMetadata::new(5, long)),
        ]),
        Offsets::from([(("t", 0), 5), (("t", 2), 5)]),
        Offsets::from([(("t", 0), 5), (("nowhere", 0), 5)]),
        Offsets::from([(("t", 0), 5), (("t", 1), -1)]),
    ];
    for offsets in bad {
        assert!(consumer.commit_offsets(offsets).is_err());
        assert_eq!((committed(&consumer, "t", 0), committed(&consumer, "t", 1)), (None, None));
    }
}

fn a_commit_may_go_back(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    rest(&mut consumer);
    consumer.commit_offset().unwrap();
    consumer.seek(("t", 0), 2).unwrap();
    consumer.commit_offset().unwrap();
    consumer.close().unwrap();
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut consumer)), [2, 3, 4]);
}

fn a_commit_of_nothing_is_fine(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.commit_offset().unwrap();
    consumer.commit_offsets(Offsets::new()).unwrap();
    let records = consumer.poll(Duration::ZERO).unwrap();
    assert!(records.is_empty());
    consumer.commit_offsets(&records).unwrap();
    assert_eq!(committed(&consumer, "t", 0), None);
}

fn without_a_group_nothing_is_committed(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 2);
    let mut consumer = client.consumer(ConsumerConfig::standalone()).subscribe("t").unwrap();
    rest(&mut consumer);
    assert_refused!(consumer.commit_offset(), Error::IllegalState(_));
    assert_refused!(consumer.commit_offsets(Offsets::from([(("t", 0), 1)])), Error::IllegalState(_));
    assert_refused!(consumer.committed(("t", 0)), Error::IllegalState(_));
    consumer.close().unwrap();
}

fn many_commits_leave_the_last_one(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let consumer = client.consumer("g").subscribe("t").unwrap();
    let note = "x".repeat(4000);
    for n in 0..600 {
        consumer
            .commit_offsets(Offsets::from([(("t", 0), OffsetAndMetadata::new(n, note.as_str()))]))
            .unwrap();
    }
    drop(consumer);
    // More than is replayed at a time.
    backend.reopen();
    let consumer = backend.client().consumer("g").subscribe("t").unwrap();
    assert_eq!(committed(&consumer, "t", 0), Some(599));
}
