//! What a consumer reads, and how that changes; and commits from elsewhere than its own thread.

use crate::common::{
    Backend, assert_refused, committed, on_every_backend, put, put_numbers, reader, rest, topic, values,
    with_threads,
};
use brooklet::{
    AutoOffsetReset, Client, Consumer, ConsumerConfig, Error, OffsetTracker, Offsets, OwnedRecord, Record,
    Subscription,
};
use std::{sync::mpsc, thread, time::Duration};

on_every_backend![
    what_stays_subscribed_goes_on_where_it_is,
    what_is_given_up_is_read_no_more_and_begins_at_the_commit_when_it_is_back,
    a_subscription_that_fails_changes_nothing,
    a_new_subscription_commits_before_where_commits_are_automatic,
    partitions_are_assigned_anew,
    a_subscription_and_an_assignment_exclude_each_other,
    a_pattern_reads_what_matches_and_what_comes,
    a_pattern_leaves_topics_that_go_without_a_word,
    a_pattern_that_matches_nothing_is_not_caught_up,
    a_pattern_never_matches_internal_topics,
    a_member_of_a_group_may_have_a_pattern,
    a_topic_made_anew_under_a_pattern_is_another_one,
    a_handle_commits_from_another_thread,
    a_handle_outlives_its_consumer_and_commits_nothing_then,
    a_handle_does_not_commit_for_a_topic_made_anew,
    commits_that_are_not_waited_for_are_applied_in_order,
    a_commit_that_is_not_waited_for_says_what_became_of_it,
    a_consumer_may_begin_a_while_ago,
    what_is_committed_of_tracked_records_has_no_hole,
    tracked_records_that_come_again_are_in_flight_again,
];

with_threads![a_poll_that_waits_learns_of_a_topic_that_matches,];

fn one_at_a_time(client: &Client, group: &str) -> Consumer {
    client.consumer(ConsumerConfig::new(group).max_poll_records(1)).subscribe("a").unwrap()
}

fn next(consumer: &mut Consumer) -> Option<String> {
    let record = consumer.poll_one(Duration::ZERO).unwrap();
    record.map(|record| format!("{}{}", record.topic(), record.value_str().unwrap()))
}

fn topics(client: &Client, names: &[&str]) {
    for name in names {
        topic(client, name, 1);
        put_numbers(client, name, 3);
    }
}

fn what_stays_subscribed_goes_on_where_it_is(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a", "b"]);
    let mut consumer = one_at_a_time(&client, "g");
    assert_eq!(next(&mut consumer).as_deref(), Some("a0"));
    consumer.subscribe(["a", "b"]).unwrap();
    assert_eq!(consumer.assignment(), [("a", 0).into(), ("b", 0).into()]);
    let mut seen: Vec<String> = std::iter::from_fn(|| next(&mut consumer)).collect();
    seen.sort();
    assert_eq!(seen, ["a1", "a2", "b0", "b1", "b2"]);
    assert_eq!(consumer.metrics().records_consumed, 6, "of both subscriptions");

    consumer.pause([("a", 0)]).unwrap();
    consumer.subscribe("a").unwrap();
    assert_eq!(consumer.paused(), [("a", 0).into()]);
}

fn what_is_given_up_is_read_no_more_and_begins_at_the_commit_when_it_is_back(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a", "b"]);
    let mut consumer = one_at_a_time(&client, "g");
    next(&mut consumer);
    consumer.commit_offset().unwrap();
    next(&mut consumer);
    consumer.subscribe("b").unwrap();
    assert_refused!(consumer.position(("a", 0)), Error::IllegalState(_));
    assert_eq!(values(&rest(&mut consumer)), ["0", "1", "2"]);
    consumer.commit_offset().unwrap();
    assert_eq!((committed(&consumer, "a", 0), committed(&consumer, "b", 0)), (Some(1), Some(3)));
    consumer.subscribe("a").unwrap();
    assert_eq!(next(&mut consumer).as_deref(), Some("a1"));
}

fn a_subscription_that_fails_changes_nothing(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let mut consumer = one_at_a_time(&client, "g");
    next(&mut consumer);
    assert_refused!(consumer.subscribe(["a", "no/where"]), Error::InvalidTopic { topic, .. } if topic == "no/where");
    assert_refused!(consumer.subscribe(Vec::<String>::new()), Error::IllegalState(_));
    assert_eq!(next(&mut consumer).as_deref(), Some("a1"));
    consumer.commit_offset().unwrap();
    assert_eq!(committed(&consumer, "a", 0), Some(2));
}

fn a_new_subscription_commits_before_where_commits_are_automatic(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a", "b"]);
    let config = ConsumerConfig::new("g").enable_auto_commit(true).max_poll_records(1);
    let mut consumer = client.consumer(config).subscribe("a").unwrap();
    next(&mut consumer);
    consumer.subscribe("b").unwrap();
    assert_eq!(committed(&consumer, "a", 0), Some(1));
    next(&mut consumer);
    consumer.close().unwrap();
    let after = client.consumer("g").subscribe(["a", "b"]).unwrap();
    assert_eq!((committed(&after, "a", 0), committed(&after, "b", 0)), (Some(1), Some(1)));
}

fn partitions_are_assigned_anew(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    for n in 0..6 {
        client.produce(Record::to("t").value(&n.to_string()).partition(n % 3)).unwrap();
    }
    let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([("t", 0), ("t", 1)]).unwrap();
    assert_eq!(consumer.poll_one(Duration::ZERO).unwrap().map(|r| r.partition()), Some(0));
    consumer.assign([("t", 0), ("t", 2)]).unwrap();
    assert_eq!(values(&rest(&mut consumer)), ["3", "2", "5"]);
    assert_refused!(consumer.assign([("t", 3)]), Error::UnknownTopicOrPartition { .. });
    assert_refused!(consumer.assign(Vec::<(&str, i32)>::new()), Error::IllegalState(_));
    assert_eq!(consumer.assignment(), [("t", 0).into(), ("t", 2).into()]);
}

fn a_subscription_and_an_assignment_exclude_each_other(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let mut subscribed = reader(&client, "a");
    assert_refused!(subscribed.assign([("a", 0)]), Error::IllegalState(_));
    let mut assigned = client.consumer(ConsumerConfig::standalone()).assign([("a", 0)]).unwrap();
    assert_refused!(assigned.subscribe("a"), Error::IllegalState(_));
    assert_eq!(rest(&mut subscribed).len() + rest(&mut assigned).len(), 6);
}

fn matching(client: &Client, prefix: &'static str) -> Consumer {
    let some = Subscription::matching(move |topic| topic.starts_with(prefix));
    client.consumer(ConsumerConfig::standalone()).subscribe(some).unwrap()
}

fn a_pattern_reads_what_matches_and_what_comes(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["eu.a", "us.a"]);
    let mut consumer = matching(&client, "eu.");
    assert_eq!(rest(&mut consumer).len(), 3);
    topics(&client, &["eu.b", "us.b"]);
    assert!(!consumer.is_caught_up().unwrap(), "there is a topic that it has not read");
    let came = rest(&mut consumer);
    assert!(came.iter().all(|record| record.topic() == "eu.b") && came.len() == 3);
    topics(&client, &["eu.c"]);
    let polled = consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(polled.len(), 3, "a poll that does not wait has looked");
    client.admin().create_partitions("eu.c", 2).unwrap();
    client.produce(Record::to("eu.c").partition(1)).unwrap();
    assert_eq!(rest(&mut consumer).len(), 1);
}

fn a_poll_that_waits_learns_of_a_topic_that_matches(backend: &mut Backend) {
    let client = backend.client();
    for before in [false, true] {
        if before {
            topics(&client, &["eu.a"]);
        }
        let mut consumer = matching(&client, "eu.");
        rest_if_any(&mut consumer);
        let poll = thread::spawn(move || consumer.poll(Duration::MAX).map(|records| records.len()));
        let name = format!("eu.new.{before}");
        topic(&client, &name, 1);
        put(&client, &name, "x");
        assert_eq!(poll.join().unwrap().unwrap(), 1);
        client.admin().delete_topic(&name).unwrap();
    }
}

fn rest_if_any(consumer: &mut Consumer) {
    if !consumer.assignment().is_empty() {
        rest(consumer);
    }
}

fn a_pattern_leaves_topics_that_go_without_a_word(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["eu.a", "eu.b"]);
    let mut consumer = matching(&client, "eu.");
    rest(&mut consumer);
    client.admin().delete_topic("eu.a").unwrap();
    put(&client, "eu.b", "3");
    assert_eq!(values(&rest(&mut consumer)), ["3"]);
    assert_eq!(consumer.assignment(), [("eu.b", 0).into()]);
    client.admin().delete_topic("eu.b").unwrap();
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    assert!(consumer.assignment().is_empty());
}

fn a_pattern_that_matches_nothing_is_not_caught_up(backend: &mut Backend) {
    let client = backend.client();
    let mut consumer = matching(&client, "eu.");
    assert!(!consumer.is_caught_up().unwrap());
    assert!(consumer.poll(Duration::from_millis(1)).unwrap().is_empty());
    topics(&client, &["eu.a"]);
    assert_eq!(rest(&mut consumer).len(), 3);
    assert!(consumer.is_caught_up().unwrap());
}

fn a_pattern_never_matches_internal_topics(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let consumer = client.consumer("g").subscribe("a").unwrap();
    consumer.commit_offsets([(("a", 0), 1)]).unwrap();
    assert_eq!(matching(&client, "").assignment(), [("a", 0).into()]);
}

fn a_member_of_a_group_may_have_a_pattern(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["eu.a"]);
    let all = || Subscription::matching(|topic| topic.starts_with("eu."));
    let mut consumer = client.consumer("g").subscribe(all()).unwrap();
    rest(&mut consumer);
    topics(&client, &["eu.b"]);
    rest(&mut consumer);
    consumer.commit_offset().unwrap();
    drop(consumer);
    let next = client.consumer("g").subscribe(all()).unwrap();
    assert!(next.is_caught_up().unwrap());
    assert_eq!((committed(&next, "eu.a", 0), committed(&next, "eu.b", 0)), (Some(3), Some(3)));
}

fn a_topic_made_anew_under_a_pattern_is_another_one(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["eu.a"]);
    let mut consumer = matching(&client, "eu.");
    rest(&mut consumer);
    client.admin().delete_topic("eu.a").unwrap();
    topics(&client, &["eu.a"]);
    assert_eq!(values(&rest(&mut consumer)), ["0", "1", "2"]);
}

fn a_handle_commits_from_another_thread(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let mut consumer = one_at_a_time(&client, "g");
    let (to_worker, work) = mpsc::channel::<OwnedRecord>();
    let handle = consumer.handle();
    let worker = thread::spawn(move || work.iter().try_for_each(|record| handle.commit_offsets(&record)));
    while let Some(record) = consumer.poll_one(Duration::ZERO).unwrap() {
        to_worker.send(record).unwrap();
    }
    drop(to_worker);
    worker.join().unwrap().unwrap();
    assert_eq!(committed(&consumer, "a", 0), Some(3));
}

fn a_handle_outlives_its_consumer_and_commits_nothing_then(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let consumer = one_at_a_time(&client, "g");
    let closed = consumer.handle();
    consumer.close().unwrap();
    let consumer = one_at_a_time(&client, "g");
    let dropped = consumer.handle();
    drop(consumer);
    for handle in [closed, dropped] {
        assert_refused!(handle.commit_offsets([(("a", 0), 3)]), Error::Closed);
        assert_refused!(handle.commit_async([(("a", 0), 3)]).wait(), Error::Closed);
        handle.wakeup();
    }
    assert_eq!(committed(&one_at_a_time(&client, "g"), "a", 0), None);
    let alone = reader(&client, "a");
    assert_refused!(alone.handle().commit_offsets([(("a", 0), 3)]), Error::IllegalState(_));
}

fn a_handle_does_not_commit_for_a_topic_made_anew(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let mut consumer = one_at_a_time(&client, "g");
    let handle = consumer.handle();
    let old = consumer.poll_one(Duration::ZERO).unwrap().unwrap();
    client.admin().delete_topic("a").unwrap();
    topics(&client, &["a"]);
    assert_refused!(handle.commit_offsets(&old), Error::UnknownTopicId { .. });
    // Once the consumer has learnt of the new one, that is what commits are for.
    while let Ok(records) = consumer.poll(Duration::ZERO) {
        assert!(!records.is_empty(), "it is told that the topic is gone");
    }
    let new = consumer.poll_one(Duration::ZERO).unwrap().unwrap();
    handle.commit_offsets(&new).unwrap();
    assert_eq!(committed(&consumer, "a", 0), Some(1));
}

fn commits_that_are_not_waited_for_are_applied_in_order(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let consumer = one_at_a_time(&client, "g");
    for offset in [1, 3, 2] {
        drop(consumer.commit_async([(("a", 0), offset)]));
    }
    assert_eq!(committed(&consumer, "a", 0), Some(2));
}

fn a_commit_that_is_not_waited_for_says_what_became_of_it(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let consumer = one_at_a_time(&client, "g");
    consumer.commit_async([(("a", 0), 1)]).wait().unwrap();
    assert_refused!(consumer.commit_async([(("a", 0), -1)]).wait(), Error::IllegalState(_));
    let (told, heard) = mpsc::channel();
    consumer.commit_async([(("nowhere", 0), 1)]).on_complete(move |done| told.send(done).unwrap());
    assert_refused!(heard.recv().unwrap(), Error::CommitFailed { .. });
    assert_eq!(committed(&consumer, "a", 0), Some(1));
}

fn a_consumer_may_begin_a_while_ago(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let now = client.now();
    for hours in [5, 3, 1, 0] {
        let at = now - Duration::from_secs(hours * 3600);
        client.produce(Record::to("t").partition(0).value(&hours.to_string()).timestamp(at)).unwrap();
    }
    let old = now - Duration::from_secs(9 * 3600);
    client.produce(Record::to("t").partition(1).value("9").timestamp(old)).unwrap();
    let since = |hours: u64| {
        let reset = AutoOffsetReset::ByDuration(Duration::from_secs(hours * 3600));
        let mut consumer =
            client.consumer(ConsumerConfig::new("g").auto_offset_reset(reset)).subscribe("t").unwrap();
        values(&rest(&mut consumer))
    };
    assert_eq!(since(4), ["3", "1", "0"]);
    assert_eq!(since(100), ["5", "3", "1", "0", "9"]);
    // A position outside of the log, too.
    let reset = AutoOffsetReset::ByDuration(Duration::from_secs(2 * 3600));
    let mut consumer =
        client.consumer(ConsumerConfig::new("g").auto_offset_reset(reset)).subscribe("t").unwrap();
    consumer.seek(("t", 0), 4711).unwrap();
    let polled: Vec<OwnedRecord> = consumer.poll(Duration::ZERO).unwrap().into_iter().collect();
    assert_eq!(values(&polled), ["1", "0"]);
}

fn what_is_committed_of_tracked_records_has_no_hole(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    for n in 0..20 {
        client.produce(Record::to("t").value(&n.to_string()).partition(n % 2)).unwrap();
    }
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    let tracker = OffsetTracker::new();
    assert!(tracker.committable().is_empty());
    let mut left: Vec<OwnedRecord> = Vec::new();
    while !consumer.is_caught_up().unwrap() {
        let records = consumer.poll(Duration::ZERO).unwrap();
        tracker.start(&records);
        left.extend(records);
    }
    // In an order of no pattern, and each time looked at from outside.
    let mut step = 7;
    while !left.is_empty() {
        assert_eq!(tracker.in_flight(), left.len());
        let wanted = |partition| {
            let of = left.iter().filter(|record| record.partition() == partition);
            of.map(OwnedRecord::offset).min().unwrap_or(10)
        };
        let wanted: Offsets = [(("t", 0), wanted(0)), (("t", 1), wanted(1))].into();
        let committable = tracker.committable();
        let plain =
            |offsets: &Offsets| offsets.iter().map(|(p, o)| (p.clone(), o.offset)).collect::<Vec<_>>();
        assert_eq!(plain(&committable), plain(&wanted));
        step = (step * 5 + 3) % 64;
        tracker.done(&left.swap_remove(step % left.len()));
    }
    consumer.commit_offsets(tracker.committable()).unwrap();
    assert_eq!((committed(&consumer, "t", 0), committed(&consumer, "t", 1)), (Some(10), Some(10)));
    let epoch = consumer.committed(("t", 0)).unwrap().unwrap().leader_epoch;
    assert!(epoch.is_some(), "with none in flight the leader epoch is known");
}

fn tracked_records_that_come_again_are_in_flight_again(backend: &mut Backend) {
    let client = backend.client();
    topics(&client, &["a"]);
    let mut consumer = reader(&client, "a");
    let tracker = OffsetTracker::new();
    for _ in 0..2 {
        let records = consumer.poll(Duration::ZERO).unwrap();
        tracker.start(&records);
        let records: Vec<OwnedRecord> = records.into_iter().collect();
        records.iter().for_each(|record| tracker.done(record));
        assert_eq!((tracker.in_flight(), tracker.committable()), (0, Offsets::from(&records[2])));
        consumer.seek(("a", 0), 1).unwrap();
        let again = consumer.poll_one(Duration::ZERO).unwrap().unwrap();
        assert_eq!(again.offset(), 1);
        consumer.seek(("a", 0), 0).unwrap();
    }
    tracker.start(&consumer.poll(Duration::ZERO).unwrap());
    assert_eq!(tracker.committable().get(("a", 0)).map(|o| o.offset), Some(0));
    tracker.forget(&consumer.assignment());
    assert!(tracker.committable().is_empty() && tracker.in_flight() == 0);
}
