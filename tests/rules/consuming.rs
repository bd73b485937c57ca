//! What a consumer promises beyond plain polls: pausing, lag, one record at a time, automatic commits, the way back.

use crate::common::{
    Backend, assert_refused, committed, numbers, offsets, on_a_simulated_broker, on_every_backend,
    on_one_broker, put, put_batch, put_numbers, reader, rest, topic, values, with_threads,
};
use brooklet::{AutoOffsetReset, ConsumerConfig, Error, OffsetSpec, Offsets, Record, Timestamp};
use std::time::Duration;

on_every_backend![
    a_paused_partition_gives_nothing_and_loses_nothing,
    other_partitions_go_on_while_one_is_paused,
    a_poll_with_all_paused_waits_its_time,
    a_seek_in_a_paused_partition_counts_after_the_resume,
    what_is_not_assigned_cannot_be_paused,
    lag_counts_from_the_position_to_the_end,
    rule_07_offsets_are_named_by_their_meaning,
    one_record_at_a_time_moves_the_position_by_one,
    one_record_at_a_time_comes_from_each_partition_in_turn,
    an_automatic_commit_is_of_what_earlier_polls_handed_out,
    without_automatic_commits_nothing_is_committed_unasked,
    a_close_commits_and_a_drop_does_not,
    an_automatic_commit_writes_nothing_where_nothing_moved,
    an_automatic_commit_leaves_out_topics_that_are_gone,
    an_automatic_commit_that_is_refused_comes_out_of_the_poll_and_costs_no_record,
    automatic_commits_need_a_group,
    the_way_back_leads_to_the_commit_or_to_where_the_consumer_began,
    the_way_back_without_a_group_leads_to_where_the_consumer_began,
    a_fetch_waits_for_enough_bytes_and_not_for_long,
    a_poll_that_does_not_wait_takes_what_there_is,
    a_full_partition_does_not_starve_the_others,
];

on_one_broker![enough_bytes_may_come_from_several_partitions,];

with_threads![a_wakeup_ends_a_poll_with_all_paused,];

on_a_simulated_broker![a_poll_without_an_end_is_given_up_on_a_clock_that_nobody_moves,];

/// Commits as each poll begins, since no test waits for the wall clock.
fn eager(group: &str) -> ConsumerConfig {
    ConsumerConfig::new(group).enable_auto_commit(true).auto_commit_interval(Duration::ZERO)
}

fn a_paused_partition_gives_nothing_and_loses_nothing(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 10);
    let mut consumer = client.consumer(ConsumerConfig::new("g").max_poll_records(3)).subscribe("t").unwrap();
    let mut seen: Vec<_> = consumer.poll(Duration::ZERO).unwrap().into_iter().collect();
    for n in [3, 6, 9] {
        consumer.pause([("t", 0)]).unwrap();
        consumer.pause([("t", 0)]).unwrap();
        for _ in 0..3 {
            assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
        }
        assert_eq!(consumer.position(("t", 0)).unwrap(), n);
        assert!(!consumer.is_caught_up().unwrap(), "paused or not");
        consumer.resume(consumer.paused()).unwrap();
        assert!(consumer.paused().is_empty());
        consumer.resume([("t", 0)]).unwrap();
        seen.extend(consumer.poll(Duration::ZERO).unwrap());
    }
    assert_eq!(values(&seen), numbers(0..10));
}

fn other_partitions_go_on_while_one_is_paused(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.pause([("t", 1)]).unwrap();
    for n in 0..6 {
        client.produce(Record::to("t").value(&n.to_string()).partition(n % 3)).unwrap();
    }
    let mut seen: Vec<_> = consumer.poll(Duration::ZERO).unwrap().into_iter().collect();
    assert_eq!(values(&seen), ["0", "3", "2", "5"]);
    consumer.commit_offset().unwrap();
    assert_eq!(consumer.committed(("t", 1)).unwrap().map(|c| c.offset), Some(0));
    consumer.resume([("t", 1)]).unwrap();
    seen = rest(&mut consumer);
    assert_eq!(values(&seen), ["1", "4"]);
}

fn a_poll_with_all_paused_waits_its_time(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put(&client, "t", "x");
    let mut consumer = reader(&client, "t");
    consumer.pause([("t", 0)]).unwrap();
    let before = client.now();
    assert!(consumer.poll(Duration::from_millis(5)).unwrap().is_empty());
    assert!(client.now() >= before + Duration::from_millis(5), "it waited");
}

fn a_wakeup_ends_a_poll_with_all_paused(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = reader(&client, "t");
    consumer.pause([("t", 0)]).unwrap();
    for _ in 0..50 {
        let handle = consumer.handle();
        let poll =
            std::thread::spawn(move || (consumer.poll(Duration::MAX).map(|records| records.len()), consumer));
        handle.wakeup();
        let (polled, back) = poll.join().unwrap();
        assert_refused!(polled, Error::Wakeup);
        consumer = back;
    }
}

fn a_seek_in_a_paused_partition_counts_after_the_resume(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    let mut consumer =
        client.consumer(ConsumerConfig::standalone().max_poll_records(1)).subscribe("t").unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    consumer.pause([("t", 0)]).unwrap();
    consumer.seek(("t", 0), 3).unwrap();
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    consumer.resume([("t", 0)]).unwrap();
    assert_eq!(offsets(&rest(&mut consumer)), [3, 4]);
}

fn what_is_not_assigned_cannot_be_paused(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([("t", 1)]).unwrap();
    for of in [("t", 0), ("t", 2), ("nowhere", 0)] {
        assert_refused!(consumer.pause([("t", 1), of]), Error::IllegalState(_));
        assert!(consumer.paused().is_empty(), "all of them or none");
    }
    consumer.pause([("t", 1)]).unwrap();
    assert_refused!(consumer.resume([("t", 1), ("t", 0)]), Error::IllegalState(_));
    assert_eq!(consumer.paused(), [("t", 1).into()]);
    consumer.resume(Vec::<(&str, i32)>::new()).unwrap();
}

fn lag_counts_from_the_position_to_the_end(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let mut consumer = client.consumer(ConsumerConfig::new("g").max_poll_records(4)).subscribe("t").unwrap();
    assert_eq!(consumer.lag(("t", 0)).unwrap(), 0);
    put_numbers(&client, "t", 10);
    assert_eq!((consumer.lag(("t", 0)).unwrap(), consumer.lag(("t", 1)).unwrap()), (10, 0));
    consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(consumer.lag(("t", 0)).unwrap(), 6);
    consumer.pause([("t", 0)]).unwrap();
    assert_eq!(consumer.lag(("t", 0)).unwrap(), 6, "paused or not");
    consumer.seek(("t", 0), 9).unwrap();
    assert_eq!(consumer.lag(("t", 0)).unwrap(), 1);
    consumer.seek(("t", 0), 100).unwrap();
    assert_eq!(consumer.lag(("t", 0)).unwrap(), 0, "there is nothing behind the end");
    assert_refused!(consumer.lag(("t", 2)), Error::IllegalState(_));
}

fn rule_07_offsets_are_named_by_their_meaning(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    for n in 0..5 {
        let at = Timestamp::from_millis(1000 + n * 10);
        client.produce(Record::to("t").value("x").timestamp(at)).unwrap();
    }
    client.admin().delete_records(("t", 0), 2).unwrap();
    let mut consumer = reader(&client, "t");
    let at = |millis| OffsetSpec::Timestamp(Timestamp::from_millis(millis));
    let specs = [
        OffsetSpec::Earliest,
        OffsetSpec::Latest,
        OffsetSpec::At(4),
        at(0),
        at(1000),
        at(1021),
        at(1040),
        at(1041),
    ];
    let offsets = [2, 5, 4, 2, 2, 3, 4, 5];
    for (spec, offset) in specs.into_iter().zip(offsets) {
        let named = consumer.offset(("t", 0), spec).unwrap();
        assert_eq!(named, Some(offset).filter(|_| spec != at(1041)), "{spec:?}");
        consumer.seek(("t", 0), spec).unwrap();
        assert_eq!(consumer.position(("t", 0)).unwrap(), offset, "{spec:?}");
        assert_eq!(consumer.lag(("t", 0)).unwrap(), 5 - offset, "{spec:?}");
    }
}

fn one_record_at_a_time_moves_the_position_by_one(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_batch(&client, "t", &numbers(0..10));
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    for n in 0..5 {
        let record = consumer.poll_one(Duration::ZERO).unwrap().unwrap();
        assert_eq!((record.offset(), record.value_str().unwrap()), (n, n.to_string().as_str()));
        assert_eq!(consumer.position(("t", 0)).unwrap(), n + 1);
        consumer.commit_offset().unwrap();
        assert_eq!(committed(&consumer, "t", 0), Some(n + 1));
    }
    drop(consumer);
    let mut next = client.consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut next)), [5, 6, 7, 8, 9]);
    assert!(next.poll_one(Duration::ZERO).unwrap().is_none());
    next.handle().wakeup();
    assert_refused!(next.poll_one(Duration::MAX), Error::Wakeup);
}

fn one_record_at_a_time_comes_from_each_partition_in_turn(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    for partition in [0, 0, 0, 0, 0, 0, 1, 1, 2] {
        client.produce(Record::to("t").value("x").partition(partition)).unwrap();
    }
    let mut consumer = reader(&client, "t");
    let mut served = Vec::new();
    while let Some(record) = consumer.poll_one(Duration::ZERO).unwrap() {
        served.push(record.partition());
    }
    assert_eq!(served, [0, 1, 2, 0, 1, 0, 0, 0, 0]);
}

fn an_automatic_commit_is_of_what_earlier_polls_handed_out(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 10);
    let mut consumer = client.consumer(eager("g").max_poll_records(3)).subscribe("t").unwrap();
    for n in 0..3 {
        consumer.poll(Duration::ZERO).unwrap();
        // Before the first one there was no position yet.
        assert_eq!(committed(&consumer, "t", 0), Some(3 * n).filter(|_| n > 0));
        assert_eq!(consumer.position(("t", 0)).unwrap(), 3 * n + 3);
    }
    consumer.poll_one(Duration::ZERO).unwrap().unwrap();
    assert_eq!(committed(&consumer, "t", 0), Some(9));
    drop(consumer);
    let mut next = client.consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut next)), [9], "the last one might not be done");
    if backend.is_virtual() {
        an_automatic_commit_waits_for_its_time(backend);
    }
}

fn an_automatic_commit_waits_for_its_time(backend: &Backend) {
    let client = backend.client();
    let config = ConsumerConfig::new("timed").enable_auto_commit(true).max_poll_records(1);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    let next = |consumer: &mut brooklet::Consumer| {
        consumer.poll(Duration::ZERO).unwrap();
        committed(consumer, "t", 0)
    };
    assert_eq!(next(&mut consumer), None);
    backend.advance(Duration::from_millis(4_999));
    assert_eq!(next(&mut consumer), None);
    backend.advance(Duration::from_millis(1));
    assert_eq!(next(&mut consumer), Some(2), "5 s after the first poll");
    assert_eq!(next(&mut consumer), Some(2));
    backend.advance(Duration::from_secs(5));
    assert_eq!(next(&mut consumer), Some(4));
}

fn without_automatic_commits_nothing_is_committed_unasked(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 3);
    let config = ConsumerConfig::new("g").auto_commit_interval(Duration::ZERO);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    assert_eq!(rest(&mut consumer).len(), 3);
    consumer.close().unwrap();
    assert_eq!(committed(&client.consumer("g").subscribe("t").unwrap(), "t", 0), None);
}

fn a_close_commits_and_a_drop_does_not(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put_numbers(&client, "t", 6);
    let config = || ConsumerConfig::new("g").enable_auto_commit(true).max_poll_records(4);
    let mut consumer = client.consumer(config()).subscribe("t").unwrap();
    assert_eq!(consumer.poll(Duration::ZERO).unwrap().len(), 4);
    drop(consumer);
    let mut consumer = client.consumer(config()).subscribe("t").unwrap();
    assert_eq!(committed(&consumer, "t", 0), None);
    assert_eq!(consumer.poll(Duration::ZERO).unwrap().len(), 4);
    consumer.close().unwrap();
    backend.reopen();
    let client = backend.client();
    let mut assigned = client.consumer(config()).assign([("t", 0)]).unwrap();
    assert_eq!(committed(&assigned, "t", 0), Some(4));
    assert_eq!(offsets(&rest(&mut assigned)), [4, 5]);
    assigned.close().unwrap();
    assert_eq!(committed(&client.consumer("g").subscribe("t").unwrap(), "t", 0), Some(6));
}

fn an_automatic_commit_writes_nothing_where_nothing_moved(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 3);
    let mut consumer = client.consumer(eager("g")).subscribe("t").unwrap();
    assert_eq!(rest(&mut consumer).len(), 3);
    consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(committed(&consumer, "t", 0), Some(3));
    consumer.commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(committed(&consumer, "t", 0), Some(1), "what was committed by hand stands");
    put(&client, "t", "x");
    consumer.poll(Duration::ZERO).unwrap();
    consumer.close().unwrap();
    assert_eq!(committed(&client.consumer("g").subscribe("t").unwrap(), "t", 0), Some(4));
}

fn an_automatic_commit_leaves_out_topics_that_are_gone(backend: &mut Backend) {
    let client = backend.client();
    for name in ["a", "b", "c"] {
        topic(&client, name, 1);
        put_numbers(&client, name, 2);
    }
    let mut consumer = client.consumer(eager("g")).subscribe(["a", "b", "c"]).unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    client.admin().delete_topic("b").unwrap();
    consumer.close().unwrap();
    let next = client.consumer("g").subscribe(["a", "c"]).unwrap();
    assert_eq!([committed(&next, "a", 0), committed(&next, "c", 0)], [Some(2); 2]);
}

fn an_automatic_commit_that_is_refused_comes_out_of_the_poll_and_costs_no_record(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 6);
    let config = eager("g").max_poll_records(2).auto_commit_interval(Duration::from_nanos(1));
    let mut outsider = client.consumer(config).assign([("t", 0)]).unwrap();
    let mut seen: Vec<_> = outsider.poll(Duration::ZERO).unwrap().into_iter().collect();
    let member = client.consumer("g").subscribe("t").unwrap();
    if backend.is_virtual() {
        backend.advance(Duration::from_nanos(1));
    }
    assert_refused!(outsider.poll(Duration::ZERO), Error::UnknownMemberId { .. });
    if backend.is_virtual() {
        // It is due again when its interval has passed, and not before.
        seen.extend(outsider.poll(Duration::ZERO).unwrap());
        backend.advance(Duration::from_nanos(1));
        assert_refused!(outsider.poll(Duration::ZERO), Error::UnknownMemberId { .. });
    }
    drop(member);
    seen.extend(rest(&mut outsider));
    assert_eq!(values(&seen), numbers(0..6));
    outsider.close().unwrap();
    assert_eq!(committed(&client.consumer("g").subscribe("t").unwrap(), "t", 0), Some(6));
}

fn automatic_commits_need_a_group(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let config = ConsumerConfig::standalone().enable_auto_commit(true);
    let refused = |key: &str| key == "enable.auto.commit";
    assert_refused!(client.consumer(config.clone()).subscribe("t"), Error::InvalidConfig { key, .. } if refused(key));
    assert_refused!(client.consumer(config).assign([("t", 0)]), Error::InvalidConfig { key, .. } if refused(key));
}

fn the_way_back_leads_to_the_commit_or_to_where_the_consumer_began(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    for n in 0..12 {
        client.produce(Record::to("t").value(&n.to_string()).partition(n % 2)).unwrap();
    }
    let mut consumer = client.consumer(ConsumerConfig::new("g").max_poll_records(2)).subscribe("t").unwrap();
    let positions = |consumer: &brooklet::Consumer| {
        [0, 1, 2].map(|partition| consumer.position(("t", partition)).unwrap())
    };
    consumer.seek_to_committed().unwrap();
    assert_eq!(positions(&consumer), [0, 0, 0], "nothing was handed out");
    consumer.seek(("t", 1), 3).unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(positions(&consumer), [2, 5, 0]);
    consumer.seek(("t", 1), 4).unwrap();
    consumer.poll_one(Duration::ZERO).unwrap();
    consumer.poll_one(Duration::ZERO).unwrap();
    consumer.seek_to_committed().unwrap();
    assert_eq!(positions(&consumer), [1, 3, 0], "and not to where it was sent last");
    let seen: Vec<_> = rest(&mut consumer).iter().map(|r| (r.partition(), r.offset())).collect();
    assert_eq!(seen.iter().filter(|(partition, _)| *partition == 0).count(), 5);
    assert_eq!(seen.iter().filter(|(partition, _)| *partition == 1).count(), 3);
    consumer.commit_offset().unwrap();
    consumer.seek_to_committed().unwrap();
    assert!(consumer.is_caught_up().unwrap());
}

fn the_way_back_without_a_group_leads_to_where_the_consumer_began(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 4);
    let latest = ConsumerConfig::standalone().auto_offset_reset(AutoOffsetReset::Latest);
    let mut consumer = client.consumer(latest).subscribe("t").unwrap();
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    put_numbers(&client, "t", 2);
    for _ in 0..2 {
        assert_eq!(offsets(&rest(&mut consumer)), [4, 5]);
        consumer.seek_to_committed().unwrap();
    }
}

fn a_fetch_waits_for_enough_bytes_and_not_for_long(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let wait = Duration::from_millis(20);
    let config = ConsumerConfig::standalone().fetch_min_bytes(10_000).fetch_max_wait(wait);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    put(&client, "t", "too little");
    let before = client.now();
    assert_eq!(consumer.poll(Duration::MAX).unwrap().len(), 1);
    assert!(client.now() >= before + wait, "it waited for more");
}

/// Each leader of a cluster waits for enough of its own.
fn enough_bytes_may_come_from_several_partitions(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let config = ConsumerConfig::standalone().fetch_min_bytes(10_000).fetch_max_wait(Duration::from_secs(1));
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    let large = "x".repeat(6_000);
    for partition in 0..2 {
        client.produce(Record::to("t").value(&large).partition(partition)).unwrap();
    }
    let before = client.now();
    assert_eq!(consumer.poll(Duration::MAX).unwrap().len(), 2, "enough, from both together");
    assert!(!backend.is_virtual() || client.now() == before, "at once");
}

fn a_poll_that_does_not_wait_takes_what_there_is(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put(&client, "t", "too little");
    let config = ConsumerConfig::standalone().fetch_min_bytes(10_000).fetch_max_wait(Duration::MAX);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    assert_eq!(consumer.poll(Duration::ZERO).unwrap().len(), 1);
    put(&client, "t", "still too little");
    assert_eq!(consumer.poll(Duration::from_millis(5)).unwrap().len(), 1, "as its time is up");
}

fn a_poll_without_an_end_is_given_up_on_a_clock_that_nobody_moves(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put(&client, "t", "x");
    let held_back = ConsumerConfig::standalone().fetch_min_bytes(2);
    for config in [ConsumerConfig::standalone(), held_back] {
        let mut consumer = client.consumer(config).subscribe("t").unwrap();
        assert_eq!(consumer.poll(Duration::MAX).unwrap().len(), 1);
        let before = client.now();
        assert_refused!(consumer.poll(Duration::MAX), Error::Timeout);
        assert!(client.now() >= before + Duration::from_secs(24 * 3600));
        consumer.seek_all(OffsetSpec::Earliest).unwrap();
        consumer.pause([("t", 0)]).unwrap();
        assert_refused!(consumer.poll(Duration::MAX), Error::Timeout);
    }
}

fn a_full_partition_does_not_starve_the_others(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    let large = "x".repeat(1_000);
    for _ in 0..50 {
        client.produce(Record::to("t").value(&large).partition(1)).unwrap();
    }
    for partition in [0, 2] {
        client.produce(Record::to("t").value("small").partition(partition)).unwrap();
    }
    // Each fetch has room for one batch, of the partition whose turn it is.
    let config = ConsumerConfig::standalone().fetch_max_bytes(1).max_poll_records(1);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    let mut served = Vec::new();
    for _ in 0..52 {
        served.extend(consumer.poll(Duration::ZERO).unwrap().partitions().map(|of| of.partition()));
    }
    assert_eq!(served[..4], [0, 1, 2, 1]);
    assert!(consumer.is_caught_up().unwrap());
}
