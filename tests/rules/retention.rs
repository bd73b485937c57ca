//! Rules 36 to 38, 40 and 41: where a log begins, and how that moves up.

use crate::common::{
    Backend, assert_refused, in_virtual_time, numbers, offsets, on_every_backend, put, put_batch, reader,
    rest, topic, values, with_threads,
};
use brooklet::{
    AutoOffsetReset, CleanupPolicy, Client, ConsumerConfig, Error, OffsetSpec, Offsets, Record, TopicConfig,
};
use std::{thread, time::Duration};

on_every_backend![
    rule_36_a_segment_is_as_young_as_its_largest_timestamp,
    rule_36_a_timestamp_ahead_pins_its_segment,
    rule_36_without_retention_nothing_goes,
    rule_37_only_a_prefix_goes,
    rule_37_by_size_as_much_stays_as_is_to_be_kept,
    rule_37_a_compacted_topic_keeps_what_is_old,
    rule_38_a_log_of_which_all_expired_goes_on_where_it_was,
    rule_40_a_log_may_begin_inside_a_batch,
    rule_40_reads_below_the_start_are_out_of_range,
    rule_41_latest_is_the_high_watermark,
    rule_41_beyond_the_high_watermark_or_negative_is_out_of_range,
    rule_41_below_the_start_nothing_happens,
    rule_41_before_a_time,
    rule_41_policies_and_internal_topics,
    records_stay_readable_that_are_removed,
    records_stay_readable_when_their_topic_is_deleted,
];

in_virtual_time![rule_36_what_is_just_as_old_as_it_may_be_stays,];

with_threads![a_poll_that_waits_ends_when_its_topic_is_deleted,];

const MINUTE: Duration = Duration::from_secs(60);

/// So large that two records, each in a batch of its own, fill a segment of 1024 bytes.
const HALF: usize = 400;
/// So large that one does.
const WHOLE: usize = 800;
/// The bytes of a batch with a record of [`WHOLE`] bytes and no key: 61 of header, 9 of the record's lengths and deltas.
const WHOLE_BATCH: u64 = 61 + 9 + WHOLE as u64;

fn small_segments() -> TopicConfig {
    TopicConfig::new().segment_bytes(1024).retention_time(60 * MINUTE)
}

/// Puts records of `len` bytes into partition 0, each as old as told, in minutes.
fn put_aged(client: &Client, topic: &str, len: usize, ages: &[i32]) {
    for age in ages {
        let span = MINUTE * age.unsigned_abs();
        let at = if *age < 0 { client.now() + span } else { client.now() - span };
        client.produce(Record::to(topic).value(&"x".repeat(len)).partition(0).timestamp(at)).unwrap();
    }
}

fn start_and_end(client: &Client, topic: &str) -> (i64, i64) {
    let partition = &client.admin().describe_topic(topic).unwrap().partitions[0];
    (partition.log_start_offset, partition.high_watermark)
}

fn rule_36_a_segment_is_as_young_as_its_largest_timestamp(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", small_segments()).unwrap();
    put_aged(&client, "t", HALF, &[120, 90, 30, 120, 200, 200, 0]);
    backend.apply_retention();
    assert_eq!(start_and_end(&client, "t"), (2, 7), "the second segment has a record of half an hour ago");
    let left = rest(&mut reader(&client, "t"));
    assert_eq!(offsets(&left), [2, 3, 4, 5, 6]);
    backend.reopen();
    assert_eq!(start_and_end(&backend.client(), "t"), (2, 7));
}

fn rule_36_a_timestamp_ahead_pins_its_segment(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", small_segments()).unwrap();
    put_aged(&client, "t", HALF, &[120, -59, 120, 120]);
    backend.apply_retention();
    assert_eq!(start_and_end(&client, "t"), (0, 4));
}

fn rule_36_what_is_just_as_old_as_it_may_be_stays(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", small_segments()).unwrap();
    put_aged(&client, "t", WHOLE, &[60, 60, 0]);
    backend.apply_retention();
    assert_eq!(start_and_end(&client, "t"), (0, 3));
    backend.advance(Duration::from_millis(1));
    backend.apply_retention();
    assert_eq!(start_and_end(&client, "t"), (2, 3));
}

fn rule_36_without_retention_nothing_goes(backend: &mut Backend) {
    let client = backend.client();
    for (name, config) in [
        ("for-ever", small_segments().retention_time(Duration::MAX)),
        ("no-policy", small_segments().cleanup_policy(CleanupPolicy::None)),
    ] {
        client.create_topic(name, config).unwrap();
        put_aged(&client, name, WHOLE, &[10_000_000, 120, 0]);
        backend.apply_retention();
        assert_eq!(start_and_end(&client, name), (0, 3), "{name}");
    }
}

fn rule_37_only_a_prefix_goes(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", small_segments()).unwrap();
    put_aged(&client, "t", WHOLE, &[120, 10, 120, 120]);
    backend.apply_retention();
    assert_eq!(start_and_end(&client, "t"), (1, 4), "what is old stays behind something young");
}

fn rule_37_by_size_as_much_stays_as_is_to_be_kept(backend: &mut Backend) {
    let client = backend.client();
    for (keep, start) in [(3 * WHOLE_BATCH - 1, 2), (3 * WHOLE_BATCH, 2), (3 * WHOLE_BATCH + 1, 1), (0, 5)] {
        let (name, config) = (format!("keep-{keep}"), small_segments().retention_bytes(keep));
        client.create_topic(&name, config).unwrap();
        put_aged(&client, &name, WHOLE, &[0; 5]);
        backend.apply_retention();
        assert_eq!(start_and_end(&client, &name), (start, 5), "{name}");
        backend.apply_retention();
        assert_eq!(start_and_end(&client, &name), (start, 5), "{name}, again");
    }
}

fn rule_37_a_compacted_topic_keeps_what_is_old(backend: &mut Backend) {
    let client = backend.client();
    for (policy, start) in [(CleanupPolicy::Compact, 0), (CleanupPolicy::CompactDelete, 2)] {
        let name = format!("{policy:?}");
        client.create_topic(&name, small_segments().cleanup_policy(policy)).unwrap();
        for age in [120, 120, 0] {
            let (at, value) = (client.now() - MINUTE * age, "x".repeat(WHOLE));
            client.produce(Record::to(&name).key("k").value(&value).timestamp(at)).unwrap();
        }
        backend.apply_retention();
        assert_eq!(start_and_end(&client, &name), (start, 3), "{name}");
    }
}

fn rule_38_a_log_of_which_all_expired_goes_on_where_it_was(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", small_segments()).unwrap();
    put_aged(&client, "t", WHOLE, &[120, 120, 120]);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), 1)])).unwrap();
    backend.apply_retention();
    assert_eq!(start_and_end(&client, "t"), (3, 3));
    assert!(rest(&mut consumer).is_empty());
    consumer.close().unwrap();
    backend.reopen();
    let client = backend.client();
    assert_eq!(start_and_end(&client, "t"), (3, 3));
    assert_eq!(put(&client, "t", "next"), 3, "offsets never begin anew");
    backend.reopen();
    assert_eq!(values(&rest(&mut reader(&backend.client(), "t"))), ["next"]);
    let mut consumer = backend.client().consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut consumer)), [3], "the commit is out of range");
}

fn rule_40_a_log_may_begin_inside_a_batch(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_batch(&client, "t", &numbers(0..10));
    assert_eq!(client.admin().delete_records(("t", 0), 4).unwrap(), 4);
    for _ in 0..2 {
        let client = backend.client();
        assert_eq!(start_and_end(&client, "t"), (4, 10));
        let mut consumer = reader(&client, "t");
        assert_eq!(consumer.offset(("t", 0), OffsetSpec::Earliest).unwrap(), Some(4));
        let long_ago = OffsetSpec::Timestamp(client.now() - 60 * MINUTE);
        assert_eq!(consumer.offset(("t", 0), long_ago).unwrap(), Some(4));
        assert_eq!(values(&rest(&mut consumer)), numbers(4..10));
        backend.reopen();
    }
}

fn rule_40_reads_below_the_start_are_out_of_range(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_batch(&client, "t", &numbers(0..10));
    let with = |reset| client.consumer(ConsumerConfig::standalone().auto_offset_reset(reset));
    let mut none = with(AutoOffsetReset::None).assign([("t", 0)]).unwrap();
    let mut earliest = with(AutoOffsetReset::Earliest).assign([("t", 0)]).unwrap();
    let mut latest = with(AutoOffsetReset::Latest).assign([("t", 0)]).unwrap();
    for consumer in [&mut none, &mut earliest, &mut latest] {
        consumer.seek(("t", 0), 3).unwrap();
    }
    client.admin().delete_records(("t", 0), 4).unwrap();
    assert_refused!(
        none.poll(Duration::ZERO),
        Error::OffsetOutOfRange { offset: 3, log_start_offset: 4, .. }
    );
    assert_eq!(offsets(&rest(&mut earliest)), (4..10).collect::<Vec<_>>());
    assert!(rest(&mut latest).is_empty());
    none.seek(("t", 0), 4).unwrap();
    assert_eq!(offsets(&rest(&mut none)), (4..10).collect::<Vec<_>>());
}

fn rule_41_latest_is_the_high_watermark(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", small_segments()).unwrap();
    let admin = client.admin();
    assert_eq!(admin.delete_records(("t", 0), OffsetSpec::Latest).unwrap(), 0, "there is nothing to delete");
    put_aged(&client, "t", WHOLE, &[0; 4]);
    assert_eq!(admin.delete_records(("t", 0), OffsetSpec::Latest).unwrap(), 4);
    assert_eq!(start_and_end(&client, "t"), (4, 4));
    assert_eq!(put(&client, "t", "next"), 4);
    assert_eq!(admin.delete_records(("t", 0), OffsetSpec::Earliest).unwrap(), 4, "nothing lies below");
    backend.reopen();
    assert_eq!(offsets(&rest(&mut reader(&backend.client(), "t"))), [4]);
}

fn rule_41_beyond_the_high_watermark_or_negative_is_out_of_range(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put_batch(&client, "t", &numbers(0..3));
    let admin = client.admin();
    for (partition, before) in [(0, 4), (0, i64::MAX), (0, -1), (0, -2), (0, i64::MIN), (1, 1), (1, -1)] {
        let result = admin.delete_records(("t", partition), before);
        assert_refused!(result, Error::OffsetOutOfRange { offset, .. } if *offset == before);
    }
    assert_eq!(start_and_end(&client, "t"), (0, 3), "nothing was deleted");
    assert_eq!(admin.delete_records(("t", 0), 3).unwrap(), 3, "the high watermark itself is fine");
}

fn rule_41_below_the_start_nothing_happens(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_batch(&client, "t", &numbers(0..5));
    for before in [3, 0, 2, 3] {
        assert_eq!(client.admin().delete_records(("t", 0), before).unwrap(), 3);
    }
    assert_eq!(values(&rest(&mut reader(&client, "t"))), ["3", "4"]);
}

fn rule_41_before_a_time(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_aged(&client, "t", 1, &[30, 20, 10, 5]);
    let before = |minutes: u32| client.admin().delete_records(("t", 0), client.now() - MINUTE * minutes);
    assert_eq!(before(40).unwrap(), 0);
    assert_eq!(before(15).unwrap(), 2);
    assert_eq!(before(1).unwrap(), 4, "all are older");
}

fn rule_41_policies_and_internal_topics(backend: &mut Backend) {
    let client = backend.client();
    let admin = client.admin();
    for (policy, fine) in [
        (CleanupPolicy::Compact, false),
        (CleanupPolicy::CompactDelete, true),
        (CleanupPolicy::Delete, true),
        (CleanupPolicy::None, true),
    ] {
        let name = format!("{policy:?}");
        client.create_topic(&name, TopicConfig::new().cleanup_policy(policy)).unwrap();
        client.produce(Record::to(&name).key("k").value("v")).unwrap();
        let result = admin.delete_records((&*name, 0), 1);
        if fine {
            assert_eq!(result.unwrap(), 1, "{name}");
        } else {
            assert_eq!(result.as_ref().unwrap_err().code(), Some(44));
            assert_refused!(result, Error::PolicyViolation { topic, .. } if *topic == name);
        }
    }
    let consumer = client.consumer("g").subscribe("Delete").unwrap();
    consumer.commit_offsets(Offsets::from([(("Delete", 0), 1)])).unwrap();
    assert_refused!(admin.delete_records(("__consumer_offsets", 0), 0), Error::InvalidTopic { .. });
    for nothing in [("nothing", 0), ("Delete", 1), ("Delete", -1)] {
        assert_refused!(admin.delete_records(nothing, 0), Error::UnknownTopicOrPartition { .. });
    }
}

/// Some records of several segments, held in both ways.
fn held(client: &Client) -> (Vec<brooklet::OwnedRecord>, brooklet::Records) {
    let config = small_segments().file_delete_delay(Duration::ZERO);
    client.create_topic("t", config).unwrap();
    for n in 0..12 {
        put(client, "t", &format!("{n:0>400}"));
    }
    let mut consumer = reader(client, "t");
    let owned = rest(&mut consumer);
    consumer.seek_all(OffsetSpec::Earliest).unwrap();
    let records = consumer.poll(Duration::ZERO).unwrap();
    assert!(owned.len() == 12 && !records.is_empty());
    (owned, records)
}

fn check_held((owned, records): &(Vec<brooklet::OwnedRecord>, brooklet::Records)) {
    let expected: Vec<String> = (0..12).map(|n| format!("{n:0>400}")).collect();
    assert_eq!(values(owned), expected);
    let borrowed: Vec<_> = records.iter().map(|record| record.value_str().unwrap()).collect();
    assert_eq!(borrowed, expected[..borrowed.len()]);
}

fn records_stay_readable_that_are_removed(backend: &mut Backend) {
    let client = backend.client();
    let held = held(&client);
    client.admin().delete_records(("t", 0), 9).unwrap();
    check_held(&held);
    put_aged(&client, "t", WHOLE, &[120, 120]);
    // What was removed is not there any more.
    backend.reopen();
    let client = backend.client();
    check_held(&held);
    client.admin().delete_records(("t", 0), OffsetSpec::Latest).unwrap();
    put_aged(&client, "t", WHOLE, &[0, 0]);
    backend.close();
    check_held(&held);
}

fn records_stay_readable_when_their_topic_is_deleted(backend: &mut Backend) {
    let client = backend.client();
    let held = held(&client);
    let mut consumer = reader(&client, "t");
    consumer.poll(Duration::ZERO).unwrap();
    client.admin().delete_topic("t").unwrap();
    check_held(&held);
    assert_refused!(consumer.poll(Duration::ZERO), Error::UnknownTopicId { .. });
    topic(&client, "t", 1);
    put_aged(&client, "t", WHOLE, &[0; 12]);
    check_held(&held);
    backend.reopen();
    check_held(&held);
    assert_eq!(start_and_end(&backend.client(), "t"), (0, 12));
}

fn a_poll_that_waits_ends_when_its_topic_is_deleted(backend: &mut Backend) {
    let client = backend.client();
    for _ in 0..20 {
        topic(&client, "t", 1);
        put(&client, "t", "x");
        let mut consumer = reader(&client, "t");
        let first = consumer.poll(Duration::ZERO).unwrap();
        let waiting = thread::spawn(move || consumer.poll(Duration::MAX));
        client.admin().delete_topic("t").unwrap();
        assert_refused!(waiting.join().unwrap(), Error::UnknownTopicId { .. });
        assert_eq!(first.iter().next().unwrap().value(), Some(&b"x"[..]));
    }
}
