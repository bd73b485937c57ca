//! Rules 14, 16 and 36, and what a topic's settings make of records: how batches are stored.

use crate::common::{Backend, assert_refused, numbers, on_every_backend, put_batch, reader, rest, values};
use brooklet::{
    CleanupPolicy, Client, Compression, ConsumerConfig, Error, OwnedRecord, Record, Timestamp, TimestampType,
    TopicConfig,
};
use std::time::Duration;

on_every_backend![
    every_codec_gives_back_what_was_produced,
    a_compressed_batch_is_left_as_far_as_it_was_read,
    rule_14_a_null_key_on_a_compacted_topic_fails_its_whole_batch,
    rule_15_the_limit_holds_before_and_after_compression,
    rule_16_log_append_time_is_the_brokers_and_that_of_every_record,
    rule_36_a_timestamp_too_far_back_is_refused,
];

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn make(client: &Client, name: &str, config: TopicConfig) {
    client.create_topic(name, config).unwrap();
}

fn every_codec_gives_back_what_was_produced(backend: &mut Backend) {
    for codec in CODECS {
        make(
            &backend.client(),
            &codec.to_string(),
            TopicConfig::new().compression(codec).segment_bytes(4096),
        );
    }
    let long = "a value that is well worth compressing ".repeat(20);
    for round in 0..3 {
        let client = backend.client();
        for codec in CODECS {
            let topic = codec.to_string();
            let pairs: Vec<(String, String)> =
                numbers(round * 10..round * 10 + 10).into_iter().map(|n| (format!("{long}{n}"), n)).collect();
            client
                .produce_all(
                    pairs.iter().map(|(value, n)| Record::to(&topic).key(n).value(value).header("n", n)),
                )
                .unwrap();
            let there = rest(&mut reader(&client, &topic));
            assert_eq!(there.len(), round * 10 + 10, "{codec}");
            for (n, record) in there.iter().enumerate() {
                assert_eq!((record.offset(), record.key_str().unwrap()), (n as i64, n.to_string().as_str()));
                assert_eq!(record.value_str().unwrap(), format!("{long}{n}"), "{codec}");
                let headers: Vec<_> =
                    record.headers().iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::len))).collect();
                assert_eq!(headers, [("n".to_owned(), Some(n.to_string().len()))]);
            }
        }
        backend.reopen();
    }
}

fn a_compressed_batch_is_left_as_far_as_it_was_read(backend: &mut Backend) {
    let client = backend.client();
    make(&client, "t", TopicConfig::new().compression(Compression::Lz4));
    put_batch(&client, "t", &numbers(0..10));
    put_batch(&client, "t", &numbers(10..20));
    for limit in [1, 3, 7, 10, 11, 100] {
        let config = ConsumerConfig::new(format!("g{limit}")).max_poll_records(limit);
        let mut consumer = client.consumer(config.clone()).subscribe("t").unwrap();
        let mut seen: Vec<OwnedRecord> = Vec::new();
        while !consumer.is_caught_up().unwrap() {
            let records = consumer.poll(Duration::ZERO).unwrap();
            assert!(records.len() <= limit);
            seen.extend(records);
            consumer.commit_offset().unwrap();
            drop(consumer);
            // Another goes on in the middle of a batch.
            consumer = client.consumer(config.clone()).subscribe("t").unwrap();
        }
        assert_eq!(values(&seen), numbers(0..20), "{limit}");
    }
}

fn rule_14_a_null_key_on_a_compacted_topic_fails_its_whole_batch(backend: &mut Backend) {
    let client = backend.client();
    make(&client, "t", TopicConfig::new().cleanup_policy(CleanupPolicy::Compact));
    let keyed = |key: Option<&'static str>| {
        let record = Record::to("t").value("v").partition(0);
        key.map_or(record.clone(), |key| record.key(key))
    };
    assert_refused!(client.produce(keyed(None)), Error::InvalidRecord(_));
    assert_refused!(
        client.produce_all([keyed(Some("a")), keyed(None)]),
        Error::PartialProduce { .. } | Error::InvalidRecord(_)
    );
    client.produce(keyed(Some(""))).unwrap();
    assert_eq!(rest(&mut reader(&client, "t")).len(), 1, "nothing of a refused batch was appended");
}

fn rule_15_the_limit_holds_before_and_after_compression(backend: &mut Backend) {
    let client = backend.client();
    make(&client, "t", TopicConfig::new().compression(Compression::Gzip).max_message_bytes(1000));
    let send = |len| client.produce(Record::to("t").value(&vec![b'v'; len]));
    send(900).unwrap();
    // It would be small enough compressed, and was not sent so.
    assert_refused!(send(1000), Error::MessageTooLarge { limit: 1000, .. });
}

fn rule_16_log_append_time_is_the_brokers_and_that_of_every_record(backend: &mut Backend) {
    let client = backend.client();
    for codec in CODECS {
        let topic = format!("t-{codec}");
        let config = TopicConfig::new().timestamp_type(TimestampType::LogAppendTime);
        // Whatever a producer says, no rule about timestamps is asked.
        let config = config.timestamp_after_max(Duration::ZERO).timestamp_before_max(Duration::ZERO);
        make(&client, &topic, config.compression(codec));
        let before = client.now();
        let old = Record::to(&topic).value("v").timestamp(Timestamp::from_millis(7));
        let young = Record::to(&topic).value("w").timestamp(before + Duration::from_secs(1 << 30));
        let at = client.produce_all([old, young]).unwrap();
        for record in rest(&mut reader(&client, &topic)) {
            assert_eq!(record.timestamp_type(), TimestampType::LogAppendTime);
            assert!(before <= record.timestamp() && record.timestamp() <= client.now());
            assert!(
                at.iter().all(|at| at.timestamp == record.timestamp()),
                "what produce said, and one for both"
            );
        }
    }
}

fn rule_36_a_timestamp_too_far_back_is_refused(backend: &mut Backend) {
    let client = backend.client();
    make(&client, "t", TopicConfig::new().timestamp_before_max(Duration::from_secs(60)));
    let now = client.now();
    let at = |back: u64| {
        let time = now + Duration::from_secs(30) - Duration::from_secs(back);
        client.produce(Record::to("t").value("v").timestamp(time))
    };
    at(0).unwrap();
    at(60).unwrap();
    assert_refused!(at(10_000), Error::InvalidTimestamp { limit_ms: 60_000, .. });
}
