//! Rules 1 to 8: offsets, positions and what a fetch gives.

use crate::common::{
    Backend, assert_refused, committed, numbers, offsets, on_every_backend, on_one_broker, put, put_batch,
    put_numbers, reader, rest, topic, values,
};
use brooklet::{
    AutoOffsetReset, Client, Consumer, ConsumerConfig, Error, OffsetSpec, Offsets, Record, Timestamp,
    TopicConfig,
};
use std::time::Duration;

on_every_backend![
    rule_01_a_committed_offset_is_the_next_one_to_read,
    rule_01_a_commit_beyond_the_end_is_accepted,
    rule_02_a_reset_does_not_move_a_group_that_has_committed,
    rule_02_a_reset_decides_where_nothing_is_committed,
    rule_02_a_reset_decides_for_a_position_out_of_range,
    rule_02_without_a_reset_it_is_an_error_until_somebody_seeks,
    rule_03_fetch_at_the_high_watermark_is_empty,
    rule_03_fetch_above_the_log_end_is_out_of_range,
    rule_03_a_negative_offset_is_refused,
    rule_04_a_fetch_from_the_middle_of_a_batch_drops_what_lies_before,
    rule_05_a_batch_larger_than_the_fetch_comes_all_the_same,
    rule_05_other_partitions_get_what_fits_and_their_turn,
    rule_06_the_position_behind_a_batch_is_its_last_offset_and_one,
    rule_07_latest_is_the_high_watermark,
    rule_08_an_offset_for_a_time_is_the_first_record_as_young,
    rule_08_a_time_is_found_across_segments,
    rule_08_no_record_as_young_gives_no_offset_and_seeks_to_the_end,
];

on_one_broker![rule_05_one_partition_may_have_all_of_a_fetch,];

fn with_reset(client: &Client, reset: AutoOffsetReset) -> Consumer {
    client.consumer(ConsumerConfig::standalone().auto_offset_reset(reset)).subscribe("t").unwrap()
}

fn rule_01_a_committed_offset_is_the_next_one_to_read(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    let records = rest(&mut consumer);
    consumer.commit_offsets(&records[2]).unwrap();
    assert_eq!(committed(&consumer, "t", 0), Some(3));
    consumer.close().unwrap();
    let mut next = client.consumer("g").subscribe("t").unwrap();
    let records = next.poll(Duration::ZERO).unwrap();
    assert_eq!(records.iter().map(|r| r.offset()).collect::<Vec<_>>(), [3, 4]);
    next.commit_offsets(records.iter().next().unwrap()).unwrap();
    assert_eq!(committed(&next, "t", 0), Some(4));
    next.commit_offsets(&records).unwrap();
    assert_eq!(committed(&next, "t", 0), Some(5));
}

fn rule_01_a_commit_beyond_the_end_is_accepted(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 3);
    let consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), 100)])).unwrap();
    assert_eq!(committed(&consumer, "t", 0), Some(100));
    consumer.close().unwrap();
    let config = ConsumerConfig::new("g").auto_offset_reset(AutoOffsetReset::None);
    let mut next = client.consumer(config).subscribe("t").unwrap();
    assert_eq!(next.position(("t", 0)).unwrap(), 100);
    assert_refused!(next.poll(Duration::ZERO), Error::OffsetOutOfRange { offset: 100, .. });
}

fn rule_02_a_reset_does_not_move_a_group_that_has_committed(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 4);
    let consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.commit_offsets(Offsets::from([(("t", 0), 2)])).unwrap();
    consumer.close().unwrap();
    for reset in [AutoOffsetReset::Latest, AutoOffsetReset::Earliest, AutoOffsetReset::None] {
        let config = ConsumerConfig::new("g").auto_offset_reset(reset);
        let mut consumer = client.consumer(config).subscribe("t").unwrap();
        assert_eq!(offsets(&rest(&mut consumer)), [2, 3], "{reset:?}");
    }
}

fn rule_02_a_reset_decides_where_nothing_is_committed(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 2);
    for config in [ConsumerConfig::new("g"), ConsumerConfig::standalone()] {
        let with = |reset| client.consumer(config.clone().auto_offset_reset(reset)).subscribe("t").unwrap();
        assert_eq!(with(AutoOffsetReset::Earliest).position(("t", 0)).unwrap(), 0);
        assert_eq!(with(AutoOffsetReset::Latest).position(("t", 0)).unwrap(), 2);
        let mut none = with(AutoOffsetReset::None);
        assert_refused!(none.poll(Duration::ZERO), Error::NoOffsetForPartition { .. });
    }
    let mut by_default = client.consumer("g").subscribe("t").unwrap();
    assert_eq!(offsets(&rest(&mut by_default)), [0, 1], "earliest is the default");
}

fn rule_02_a_reset_decides_for_a_position_out_of_range(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 3);
    let mut earliest = with_reset(&client, AutoOffsetReset::Earliest);
    earliest.seek(("t", 0), 7).unwrap();
    assert_eq!(earliest.poll(Duration::ZERO).unwrap().len(), 3);
    let mut latest = with_reset(&client, AutoOffsetReset::Latest);
    latest.seek(("t", 0), 7).unwrap();
    assert!(latest.poll(Duration::ZERO).unwrap().is_empty());
    put(&client, "t", "new");
    assert_eq!(values(&rest(&mut latest)), ["new"]);
}

fn rule_02_without_a_reset_it_is_an_error_until_somebody_seeks(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put_numbers(&client, "t", 3);
    for config in [ConsumerConfig::new("g"), ConsumerConfig::standalone()] {
        let config = config.auto_offset_reset(AutoOffsetReset::None);
        let mut consumer = client.consumer(config).subscribe("t").unwrap();
        for _ in 0..2 {
            assert_refused!(consumer.poll(Duration::ZERO), Error::NoOffsetForPartition { .. });
        }
        assert_eq!(consumer.assignment().len(), 2);
        consumer.seek_all(OffsetSpec::Earliest).unwrap();
        assert_eq!(consumer.poll(Duration::ZERO).unwrap().len(), 3);
    }
}

fn rule_03_fetch_at_the_high_watermark_is_empty(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = with_reset(&client, AutoOffsetReset::None);
    for count in 0..3 {
        consumer.seek(("t", 0), count).unwrap();
        assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
        assert!(consumer.poll(Duration::from_millis(1)).unwrap().is_empty());
        assert_eq!(consumer.position(("t", 0)).unwrap(), count);
        put(&client, "t", "one more");
    }
}

fn rule_03_fetch_above_the_log_end_is_out_of_range(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 2);
    let mut consumer = with_reset(&client, AutoOffsetReset::None);
    for offset in [3, i64::MAX] {
        consumer.seek(("t", 0), offset).unwrap();
        let refused = consumer.poll(Duration::ZERO);
        assert_refused!(refused, Error::OffsetOutOfRange { offset: o, log_start_offset: 0, log_end_offset: 2, .. } if *o == offset);
        assert_eq!(consumer.position(("t", 0)).unwrap(), offset, "no error moves a position");
    }
}

fn rule_03_a_negative_offset_is_refused(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    assert_refused!(consumer.seek(("t", 0), -1), Error::IllegalState(_));
    assert_refused!(consumer.commit_offsets(Offsets::from([(("t", 0), -1)])), Error::IllegalState(_));
    assert_eq!(committed(&consumer, "t", 0), None);
}

fn rule_04_a_fetch_from_the_middle_of_a_batch_drops_what_lies_before(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_batch(&client, "t", &numbers(0..10));
    put_batch(&client, "t", &numbers(10..12));
    let mut consumer = reader(&client, "t");
    for offset in [7, 0, 9, 10, 11] {
        consumer.seek(("t", 0), offset).unwrap();
        let records = consumer.poll(Duration::ZERO).unwrap();
        let expected: Vec<i64> = (offset..12).collect();
        assert_eq!(records.len(), expected.len());
        assert_eq!(records.iter().map(|r| r.offset()).collect::<Vec<_>>(), expected);
        let owned: Vec<_> = records.into_iter().collect();
        assert_eq!(values(&owned), numbers(offset as usize..12));
    }
}

fn rule_05_a_batch_larger_than_the_fetch_comes_all_the_same(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let large = "x".repeat(10_000);
    put_batch(&client, "t", &vec![large.clone(); 3]);
    put(&client, "t", "small");
    for config in [
        ConsumerConfig::standalone().fetch_max_bytes(1),
        ConsumerConfig::standalone().max_partition_fetch_bytes(1),
    ] {
        let mut consumer = client.consumer(config).subscribe("t").unwrap();
        assert_eq!(consumer.poll(Duration::ZERO).unwrap().len(), 3, "the whole first batch and nothing else");
        let next: Vec<_> = consumer.poll(Duration::ZERO).unwrap().into_iter().collect();
        assert_eq!(values(&next), ["small"]);
    }
}

/// Puts four records of a kilobyte into each of three partitions.
fn put_large(client: &Client) {
    for partition in 0..3 {
        for n in 0..4 {
            let value = format!("{partition}.{n} {}", "x".repeat(1000));
            client.produce(Record::to("t").value(&value).partition(partition)).unwrap();
        }
    }
}

fn rule_05_other_partitions_get_what_fits_and_their_turn(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    put_large(&client);
    let mut narrow = client.consumer(ConsumerConfig::standalone().fetch_max_bytes(1)).subscribe("t").unwrap();
    let mut served = Vec::new();
    while !narrow.is_caught_up().unwrap() {
        let records = narrow.poll(Duration::ZERO).unwrap();
        served.extend(records.partitions().map(|p| p.partition()));
    }
    assert_eq!(served, [0, 1, 2].repeat(4), "one batch a fetch, and nobody waits for long");
}

/// Of a cluster each leader keeps to the limit by itself.
fn rule_05_one_partition_may_have_all_of_a_fetch(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    put_large(&client);
    let config = ConsumerConfig::standalone().fetch_max_bytes(2500);
    let mut wider = client.consumer(config).subscribe("t").unwrap();
    let records = wider.poll(Duration::ZERO).unwrap();
    assert_eq!(records.iter().map(|r| (r.partition(), r.offset())).collect::<Vec<_>>(), [(0, 0), (0, 1)]);
}

fn rule_06_the_position_behind_a_batch_is_its_last_offset_and_one(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_batch(&client, "t", &numbers(0..10));
    let config = ConsumerConfig::standalone().max_poll_records(4);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    let mut positions = vec![consumer.position(("t", 0)).unwrap()];
    while !consumer.is_caught_up().unwrap() {
        let records = consumer.poll(Duration::ZERO).unwrap();
        let position = consumer.position(("t", 0)).unwrap();
        assert_eq!(records.next_offsets().get(("t", 0)).unwrap().offset, position);
        positions.push(position);
    }
    assert_eq!(positions, [0, 4, 8, 10]);
}

fn rule_07_latest_is_the_high_watermark(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", TopicConfig::new().durability(brooklet::Durability::Flushed)).unwrap();
    let consumer = reader(&client, "t");
    let mut latest = with_reset(&client, AutoOffsetReset::Latest);
    assert_eq!(latest.position(("t", 0)).unwrap(), 0);
    for count in 1..4 {
        put(&client, "t", "x");
        assert_eq!(consumer.offset(("t", 0), OffsetSpec::Latest).unwrap(), Some(count));
        assert_eq!(consumer.offset(("t", 0), OffsetSpec::Earliest).unwrap(), Some(0));
        let described = client.admin().describe_topic("t").unwrap();
        assert_eq!(described.partitions[0].high_watermark, count);
    }
    assert_eq!(latest.poll(Duration::ZERO).unwrap().len(), 3, "what came after it stood at the end");
    latest.seek(("t", 0), OffsetSpec::Latest).unwrap();
    assert_eq!(latest.position(("t", 0)).unwrap(), 3);
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn put_at(client: &Client, times: &[i64]) {
    client
        .produce_all(times.iter().map(|ms| Record::to("t").value("x").partition(0).timestamp(at(*ms))))
        .unwrap();
}

fn rule_08_an_offset_for_a_time_is_the_first_record_as_young(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_at(&client, &[100, 300, 200]);
    put_at(&client, &[50]);
    put_at(&client, &[300, 400]);
    let mut consumer = reader(&client, "t");
    for (ms, first) in [(0, 0), (100, 0), (101, 1), (200, 1), (300, 1), (301, 5), (400, 5)] {
        assert_eq!(consumer.offset(("t", 0), at(ms)).unwrap(), Some(first), "{ms} ms");
        consumer.seek(("t", 0), at(ms)).unwrap();
        assert_eq!(consumer.position(("t", 0)).unwrap(), first, "{ms} ms");
    }
}

fn rule_08_a_time_is_found_across_segments(backend: &mut Backend) {
    let client = backend.client();
    let config = TopicConfig::new().segment_bytes(1024).index_interval_bytes(0);
    client.create_topic("t", config).unwrap();
    (0..200).for_each(|n| put_at(&client, &[1000 + n * 10]));
    for reopened in [false, true] {
        let consumer = reader(&backend.client(), "t");
        for n in 0..200 {
            assert_eq!(
                consumer.offset(("t", 0), at(1000 + n * 10)).unwrap(),
                Some(n),
                "reopened: {reopened}"
            );
            assert_eq!(
                consumer.offset(("t", 0), at(1000 + n * 10 - 9)).unwrap(),
                Some(n),
                "reopened: {reopened}"
            );
        }
        backend.reopen();
    }
}

fn rule_08_no_record_as_young_gives_no_offset_and_seeks_to_the_end(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = reader(&client, "t");
    assert_eq!(consumer.offset(("t", 0), at(0)).unwrap(), None, "nothing is there at all");
    put_at(&client, &[100, 200]);
    assert_eq!(consumer.offset(("t", 0), at(201)).unwrap(), None);
    consumer.seek_all(at(201)).unwrap();
    assert_eq!(consumer.position(("t", 0)).unwrap(), 2);
}
