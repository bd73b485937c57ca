//! Rules 12, 15 and 36: what a record may be, and what comes back of it.

use crate::common::{
    Backend, assert_refused, numbers, offsets, on_every_backend, put, put_batch, read_all, reader, rest,
    topic,
};
use brooklet::{Client, Durability, Error, Header, Record, RecordMetadata, Result, Timestamp, TopicConfig};
use std::time::Duration;

on_every_backend![
    rule_12_records_of_one_partition_go_together_and_in_order,
    rule_12_what_does_not_fit_one_batch_goes_into_several,
    rule_15_a_batch_of_just_the_limit_passes_and_one_larger_does_not,
    rule_15_a_batch_larger_than_a_segment_is_refused,
    rule_36_a_timestamp_too_far_ahead_is_refused,
    some_records_of_many_that_fail_are_told_apart,
    when_no_record_of_many_can_be_produced_each_says_why,
    nothing_to_produce_is_fine,
    headers_keep_order_duplicates_and_null,
    null_and_empty_are_not_the_same,
    any_bytes_come_back_as_they_were,
    a_record_has_the_timestamp_that_it_was_given,
    a_record_without_a_timestamp_gets_the_brokers_time,
    the_stricter_durability_of_topic_and_record_holds,
    a_copy_has_key_value_and_headers,
];

fn rule_12_records_of_one_partition_go_together_and_in_order(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let values = numbers(0..300);
    let record = |(n, value)| Record::to("t").value::<String>(value).partition((n % 2) as i32);
    let went = client.produce_all(values.iter().enumerate().map(record)).unwrap();
    for (n, at) in went.iter().enumerate() {
        assert_eq!((at.partition, at.offset), ((n % 2) as i32, (n / 2) as i64), "in the order given");
    }
    let all = read_all(&client, "t");
    let (even, odd): (Vec<_>, Vec<_>) = values.into_iter().partition(|v| v.parse::<i32>().unwrap() % 2 == 0);
    assert_eq!(all, [even, odd].concat());
}

fn rule_12_what_does_not_fit_one_batch_goes_into_several(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", TopicConfig::new().max_message_bytes(1000)).unwrap();
    let values: Vec<String> = (0..50).map(|n| format!("{n} {}", "x".repeat(n * 10))).collect();
    let went = put_batch(&client, "t", &values);
    assert_eq!(went.iter().map(|at| at.offset).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    assert_eq!(read_all(&client, "t"), values);
}

/// The length of a value whose record alone makes a batch of `bytes`.
fn value_for_batch_of(client: &Client, bytes: usize) -> String {
    client.create_topic("sizes", TopicConfig::new().max_message_bytes(61)).unwrap();
    let size_with = |len: usize| match client.produce(Record::to("sizes").value(&"x".repeat(len))) {
        Err(Error::MessageTooLarge { size, limit: 61, .. }) => size,
        other => panic!("{other:?}"),
    };
    let len = (0..bytes).find(|len| size_with(*len) == bytes).unwrap();
    "x".repeat(len)
}

fn rule_15_a_batch_of_just_the_limit_passes_and_one_larger_does_not(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", TopicConfig::new().max_message_bytes(500)).unwrap();
    let fits = value_for_batch_of(&client, 500);
    assert_eq!(put(&client, "t", &fits), 0);
    let larger = format!("{fits}x");
    let produced = client.produce(Record::to("t").value(&larger));
    assert_refused!(produced, Error::MessageTooLarge { size: 501, limit: 500, .. });
    let produced = client.produce_all([Record::to("t").value(&larger)]);
    assert_refused!(produced, Error::PartialProduce { results, .. } if matches!(results[0], Err(Error::MessageTooLarge { .. })));
    assert_eq!(put(&client, "t", &fits), 1, "nothing was appended");
}

fn rule_15_a_batch_larger_than_a_segment_is_refused(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", TopicConfig::new().segment_bytes(1024)).unwrap();
    let fits = value_for_batch_of(&client, 1024);
    assert_eq!(put(&client, "t", &fits), 0);
    let produced = client.produce(Record::to("t").value(&format!("{fits}x")));
    assert_refused!(produced, Error::RecordListTooLarge { size: 1025, limit: 1024, .. });
    assert_eq!(put(&client, "t", &fits), 1, "nothing was appended");
}

fn rule_36_a_timestamp_too_far_ahead_is_refused(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let hour = Duration::from_secs(3600);
    let at = |time| client.produce(Record::to("t").value("x").timestamp(time));
    assert_eq!(at(client.now() + hour - Duration::from_secs(60)).unwrap().offset, 0);
    let late = client.now() + hour + Duration::from_secs(60);
    assert_refused!(at(late), Error::InvalidTimestamp { timestamp, limit_ms: 3_600_000, .. } if *timestamp == late);
    assert_refused!(at(Timestamp::from_millis(i64::MAX)), Error::InvalidTimestamp { .. });
    let batch = [Record::to("t").value("a"), Record::to("t").value("b").timestamp(late)];
    assert_refused!(client.produce_all(batch), Error::PartialProduce { results, .. } if results.iter().all(|r| r.is_err()));
    assert_eq!(
        at(Timestamp::from_millis(0)).unwrap().offset,
        1,
        "nothing was appended, and the past is fine"
    );
}

fn some_records_of_many_that_fail_are_told_apart(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let large = "x".repeat(2 << 20);
    let records = [
        Record::to("t").value("a").partition(0),
        Record::to("nowhere").value("b"),
        Record::to("t").value("c").partition(7),
        Record::to("t").value("d").partition(1),
        Record::to("t").value(&large).partition(0),
        Record::to("t").value("e").partition(0),
    ];
    let Err(error @ Error::PartialProduce { .. }) = client.produce_all(records) else {
        panic!("it should fail")
    };
    assert!(error.to_string().starts_with("3 of 6 records were not produced"), "{error}");
    let Error::PartialProduce { results, .. } = error else { panic!() };
    let place = |result: &Result<RecordMetadata>| result.as_ref().ok().map(|at| (at.partition, at.offset));
    let places: Vec<_> = results.iter().map(place).collect();
    assert_eq!(places, [Some((0, 0)), None, None, Some((1, 0)), None, Some((0, 1))]);
    assert_refused!(results[1].clone(), Error::UnknownTopicOrPartition { partition: None, .. });
    assert_refused!(results[2].clone(), Error::UnknownTopicOrPartition { partition: Some(7), .. });
    assert_refused!(results[4].clone(), Error::MessageTooLarge { .. });
    assert_eq!(read_all(&client, "t"), ["a", "e", "d"]);
}

fn when_no_record_of_many_can_be_produced_each_says_why(backend: &mut Backend) {
    let client = backend.client();
    let produced = client.produce_all([Record::to("a").value("1"), Record::to("b").value("2")]);
    let Err(Error::PartialProduce { results, .. }) = produced else { panic!("{produced:?}") };
    for (result, name) in results.iter().zip(["a", "b"]) {
        assert_refused!(result.clone(), Error::UnknownTopicOrPartition { topic, .. } if topic == name);
    }
}

fn nothing_to_produce_is_fine(backend: &mut Backend) {
    assert_eq!(backend.client().produce_all([]).unwrap(), []);
}

fn headers_keep_order_duplicates_and_null(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let record = Record::to("t")
        .header("b", "1")
        .null_header("a")
        .header("b", &[])
        .header("", &[0, 255])
        .header("é", "2");
    client.produce(record).unwrap();
    let expected =
        [("b", Some(&b"1"[..])), ("a", None), ("b", Some(&[])), ("", Some(&[0, 255])), ("é", Some(b"2"))];
    let records = reader(&client, "t").poll(Duration::ZERO).unwrap();
    let record = records.iter().next().unwrap();
    let got: Vec<_> = record.headers().iter().map(|Header { key, value }| (key, value)).collect();
    assert_eq!(got, expected);
    assert_eq!(record.headers().last("b").unwrap().value, Some(&[][..]));
    assert_eq!(record.headers().last("c"), None);
    let owned = record.into_owned();
    let got: Vec<_> = owned.headers().iter().map(|Header { key, value }| (key, value)).collect();
    assert_eq!(got, expected);
}

fn null_and_empty_are_not_the_same(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    for record in [
        Record::to("t"),
        Record::to("t").key("").value(""),
        Record::to("t").key("k"),
        Record::to("t").value("v"),
    ] {
        client.produce(record).unwrap();
    }
    let expected = [(None, None), (Some(&b""[..]), Some(&b""[..])), (Some(b"k"), None), (None, Some(b"v"))];
    let records = rest(&mut reader(&client, "t"));
    assert_eq!(records.iter().map(|r| (r.key(), r.value())).collect::<Vec<_>>(), expected);
    assert_eq!(
        (records[0].key_str().unwrap(), records[0].value_str().unwrap()),
        ("", ""),
        "as text, null reads as empty"
    );
}

fn any_bytes_come_back_as_they_were(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let all: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    for len in [0, 1, 61, 255, 4096, 70_000] {
        client
            .produce(Record::to("t").key(&all[..len.min(300)]).value(&all[..len]).header("h", &all[..len]))
            .unwrap();
    }
    for _ in 0..2 {
        for record in rest(&mut reader(&backend.client(), "t")) {
            let len = record.value().unwrap().len();
            assert_eq!(record.value(), Some(&all[..len]));
            assert_eq!(record.key(), Some(&all[..len.min(300)]));
            assert_eq!(record.headers().last("h").unwrap().value, Some(&all[..len]));
            assert_eq!(record.into_value().unwrap().as_ref(), &all[..len]);
        }
        backend.reopen();
    }
}

fn a_record_has_the_timestamp_that_it_was_given(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let times = [1_700_000_000_000, 0, 1, 1_600_000_000_123].map(Timestamp::from_millis);
    for at in times {
        assert_eq!(client.produce(Record::to("t").value("x").timestamp(at)).unwrap().timestamp, at);
    }
    let batch = times.iter().map(|at| Record::to("t").value("x").timestamp(*at));
    assert_eq!(client.produce_all(batch).unwrap().iter().map(|m| m.timestamp).collect::<Vec<_>>(), times);
    let records = rest(&mut reader(&client, "t"));
    assert_eq!(records.iter().map(|r| r.timestamp()).collect::<Vec<_>>(), [times, times].concat());
}

fn a_record_without_a_timestamp_gets_the_brokers_time(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let before = client.now();
    let one = client.produce(Record::to("t").value("x")).unwrap().timestamp;
    let many = client.produce_all([Record::to("t").value("y"), Record::to("t").value("z")]).unwrap();
    let after = client.now();
    let times = [one, many[0].timestamp, many[1].timestamp];
    assert!(times.iter().all(|at| (before..=after).contains(at)), "{before} {times:?} {after}");
    let records = rest(&mut reader(&client, "t"));
    assert_eq!(records.iter().map(|r| r.timestamp()).collect::<Vec<_>>(), times);
}

fn the_stricter_durability_of_topic_and_record_holds(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("buffered", TopicConfig::new()).unwrap();
    client.create_topic("flushed", TopicConfig::new().durability(Durability::Flushed)).unwrap();
    let reached = |topic, asked: Option<Durability>| {
        let record = Record::to(topic).value("x");
        client.produce(asked.map_or(record.clone(), |asked| record.durability(asked))).unwrap().durability
    };
    assert_eq!(reached("buffered", None), Durability::Buffered);
    assert_eq!(reached("buffered", Some(Durability::Flushed)), Durability::Flushed);
    assert_eq!(reached("flushed", Some(Durability::Buffered)), Durability::Flushed);
    assert_eq!(reached("flushed", None), Durability::Flushed);
}

fn a_copy_has_key_value_and_headers(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "a", 1);
    topic(&client, "b", 1);
    client.produce(Record::to("a").key("k").value("v").header("h", "1")).unwrap();
    client.produce(Record::to("a")).unwrap();
    for record in &reader(&client, "a").poll(Duration::ZERO).unwrap() {
        client.produce(Record::to("b").copy_of(record).header("source", "a")).unwrap();
    }
    let copies = rest(&mut reader(&client, "b"));
    assert_eq!(offsets(&copies), [0, 1]);
    assert_eq!((copies[0].key(), copies[0].value()), (Some(&b"k"[..]), Some(&b"v"[..])));
    assert_eq!(copies[0].headers().iter().map(|h| h.key).collect::<Vec<_>>(), ["h", "source"]);
    assert_eq!((copies[1].key(), copies[1].value()), (None, None));
}
