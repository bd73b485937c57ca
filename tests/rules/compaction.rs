//! Rules 42 and 43: of each key the last record stays.

use crate::common::{
    Backend, assert_refused, in_virtual_time, offsets, on_a_simulated_broker, on_every_backend,
    on_real_files, reader, rest,
};
use brooklet::{CleanupPolicy, Client, Compression, Error, OwnedRecord, Record, TopicConfig};
use std::{collections::BTreeMap, time::Duration};

on_every_backend![
    rule_42_the_last_record_of_each_key_stays_at_its_offset,
    rule_42_the_last_segment_is_not_cleaned,
    rule_42_the_log_start_does_not_move,
    rule_42_what_is_younger_than_the_least_lag_is_not_cleaned,
    rule_42_topics_that_are_not_compacted_stay_as_they_are,
    rule_42_records_without_a_key_stay,
    rule_42_compressed_batches_are_cleaned_too,
    rule_42_a_log_whose_records_were_deleted_begins_where_it_did,
    rule_42_records_stay_readable_that_are_replaced,
    rule_43_a_tombstone_in_the_last_segment_deletes_nothing_yet,
    what_groups_have_committed_survives_the_cleaner,
];

on_a_simulated_broker![rule_43_a_tombstone_lives_from_its_first_cleaning,];

in_virtual_time![
    the_background_cleans_what_is_dirty_enough,
    the_background_cleans_what_is_older_than_it_may_be,
    what_is_cleaned_is_not_dirty_when_it_is_opened_again,
];

on_real_files![up_to_where_logs_are_cleaned_is_noted_as_kafka_does,];

const HOUR: Duration = Duration::from_secs(3600);

/// So large that each record fills a segment of 1024 bytes.
const WHOLE: usize = 800;

fn compacted() -> TopicConfig {
    TopicConfig::new().cleanup_policy(CleanupPolicy::Compact).segment_bytes(1024)
}

/// Puts records, each with a segment of its own: a key and the first letters of its value, which are none for a tombstone.
fn put(client: &Client, pairs: &[(&str, &str)]) {
    for (key, value) in pairs {
        let long = format!("{value}{}", ".".repeat(WHOLE));
        let record = Record::to("t").key(key).header("h", "v");
        let padding = "x".repeat(WHOLE);
        let record = if value.is_empty() { record.header("padding", &padding) } else { record.value(&long) };
        client.produce(record).unwrap();
    }
}

/// Offset, key, and the value as far as it was given to `put`.
fn read(client: &Client) -> Vec<(i64, String, String)> {
    let text =
        |bytes: Option<&[u8]>| bytes.map_or("", |bytes| std::str::from_utf8(bytes).unwrap()).to_owned();
    let row = |record: &OwnedRecord| {
        let value = text(record.value());
        (record.offset(), text(record.key()), value.trim_end_matches('.').to_owned())
    };
    rest(&mut reader(client, "t")).iter().map(row).collect()
}

fn rows(rows: &[(i64, &str, &str)]) -> Vec<(i64, String, String)> {
    rows.iter().map(|(offset, key, value)| (*offset, (*key).to_owned(), (*value).to_owned())).collect()
}

fn start_and_end(client: &Client) -> (i64, i64) {
    let partition = &client.admin().describe_topic("t").unwrap().partitions[0];
    (partition.log_start_offset, partition.high_watermark)
}

fn rule_42_the_last_record_of_each_key_stays_at_its_offset(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted()).unwrap();
    put(&client, &[("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("a", "3"), ("b", "2"), ("d", "1")]);
    backend.compact();
    let left = rows(&[(3, "c", "1"), (4, "a", "3"), (5, "b", "2"), (6, "d", "1")]);
    assert_eq!(read(&client), left);
    let mut consumer = reader(&client, "t");
    consumer.seek(("t", 0), 1).unwrap();
    assert_eq!(offsets(&rest(&mut consumer)), [3, 4, 5, 6], "positions in a gap go on behind it");
    for round in 0..2 {
        backend.reopen();
        assert_eq!(read(&backend.client()), left, "{round}");
        backend.compact();
    }
}

fn rule_42_the_last_segment_is_not_cleaned(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted().segment_bytes(1 << 20)).unwrap();
    put(&client, &[("a", "1"), ("a", "2"), ("a", "3")]);
    backend.compact();
    assert_eq!(read(&client).len(), 3);
    // A record there supersedes none before it, and none of its own.
    client.admin().alter_configs("t", TopicConfig::new().segment_bytes(1024)).unwrap();
    put(&client, &[("a", "4"), ("a", "5")]);
    backend.compact();
    assert_eq!(read(&client), rows(&[(3, "a", "4"), (4, "a", "5")]));
}

fn rule_42_the_log_start_does_not_move(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted()).unwrap();
    put(&client, &[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]);
    backend.compact();
    assert_eq!(start_and_end(&client), (0, 4));
    assert_eq!(read(&client), rows(&[(2, "a", "3"), (3, "a", "4")]));
    backend.reopen();
    assert_eq!(start_and_end(&backend.client()), (0, 4));
}

fn rule_42_what_is_younger_than_the_least_lag_is_not_cleaned(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted().min_compaction_lag(HOUR)).unwrap();
    let now = client.now();
    for (age, value) in [(3, "1"), (2, "2"), (0, "3"), (2, "4"), (2, "5")] {
        let value = value.repeat(WHOLE);
        client.produce(Record::to("t").key("a").value(&value).timestamp(now - HOUR * age)).unwrap();
    }
    backend.compact();
    let left = offsets(&rest(&mut reader(&client, "t")));
    assert_eq!(left, [1, 2, 3, 4], "from the first young one on nothing is looked at");
    client.admin().alter_configs("t", TopicConfig::new().min_compaction_lag(Duration::ZERO)).unwrap();
    backend.compact();
    assert_eq!(offsets(&rest(&mut reader(&client, "t"))), [3, 4]);
}

fn rule_42_topics_that_are_not_compacted_stay_as_they_are(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted().cleanup_policy(CleanupPolicy::Delete)).unwrap();
    put(&client, &[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]);
    backend.compact();
    assert_eq!(read(&client).len(), 4);
    client
        .admin()
        .alter_configs("t", TopicConfig::new().cleanup_policy(CleanupPolicy::CompactDelete))
        .unwrap();
    backend.compact();
    assert_eq!(read(&client).len(), 2);
    assert_refused!(backend.compact_topic("nothing"), Error::UnknownTopicOrPartition { .. });
}

fn rule_42_records_without_a_key_stay(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted().cleanup_policy(CleanupPolicy::Delete)).unwrap();
    let value = "v".repeat(WHOLE);
    for _ in 0..3 {
        client.produce(Record::to("t").value(&value)).unwrap();
        client.produce(Record::to("t").key("a").value(&value)).unwrap();
    }
    client.admin().alter_configs("t", TopicConfig::new().cleanup_policy(CleanupPolicy::Compact)).unwrap();
    put(&client, &[("a", "1")]);
    backend.compact();
    assert_eq!(offsets(&rest(&mut reader(&client, "t"))), [0, 2, 4, 5, 6]);
}

fn rule_42_compressed_batches_are_cleaned_too(backend: &mut Backend) {
    let codecs =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for codec in codecs {
        let client = backend.client();
        client.create_topic("t", compacted().compression(codec)).unwrap();
        for round in 0..40 {
            // What does not compress well, so that segments fill.
            let value =
                format!("{round} {:x}{:x}", u64::pow(7 + round, 9), u64::pow(11 + round, 9)).repeat(3);
            let keys = ["a", "b", if round % 2 == 0 { "c" } else { "d" }];
            let batch = keys.map(|key| Record::to("t").key(key).value(&value).header("h", "v"));
            client.produce_all(batch).unwrap();
        }
        let before = rest(&mut reader(&client, "t"));
        backend.compact();
        let after = rest(&mut reader(&client, "t"));
        assert!(after.len() < 40, "{codec}: {} of {}", after.len(), before.len());
        assert_eq!(latest(&before), latest(&after), "{codec}");
        for record in &after {
            let was = before.iter().find(|was| was.offset() == record.offset()).unwrap();
            assert_eq!((was.timestamp(), was.value()), (record.timestamp(), record.value()), "{codec}");
        }
        client.admin().delete_topic("t").unwrap();
    }
}

type Latest = BTreeMap<Vec<u8>, (i64, Option<Vec<u8>>)>;

fn latest(records: &[OwnedRecord]) -> Latest {
    let pair = |record: &OwnedRecord| {
        (record.key().unwrap().to_vec(), (record.offset(), record.value().map(<[u8]>::to_vec)))
    };
    records.iter().map(pair).collect()
}

fn rule_42_a_log_whose_records_were_deleted_begins_where_it_did(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted().cleanup_policy(CleanupPolicy::CompactDelete)).unwrap();
    put(&client, &[("a", "1"), ("b", "1"), ("c", "1"), ("a", "2"), ("b", "2"), ("d", "1")]);
    client.admin().delete_records(("t", 0), 2).unwrap();
    backend.compact();
    assert_eq!(start_and_end(&client), (2, 6));
    let left = rows(&[(2, "c", "1"), (3, "a", "2"), (4, "b", "2"), (5, "d", "1")]);
    assert_eq!(read(&client), left);
    client.admin().delete_records(("t", 0), 4).unwrap();
    backend.compact();
    backend.reopen();
    assert_eq!(start_and_end(&backend.client()), (4, 6));
    assert_eq!(read(&backend.client()), left[2..]);
}

fn rule_42_records_stay_readable_that_are_replaced(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted().file_delete_delay(Duration::ZERO)).unwrap();
    put(&client, &[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]);
    let mut consumer = reader(&client, "t");
    let held = consumer.poll(Duration::ZERO).unwrap();
    backend.compact();
    put(&client, &[("a", "5"), ("a", "6")]);
    backend.compact();
    let values: Vec<_> =
        held.iter().map(|record| record.value_str().unwrap().chars().next().unwrap()).collect();
    assert_eq!(values, ['1', '2', '3', '4'][..values.len()]);
    assert!(!values.is_empty());
}

fn rule_43_a_tombstone_lives_from_its_first_cleaning(backend: &mut Backend) {
    let client = backend.client();
    // The background looks only when it is told to.
    let config = compacted().delete_retention(HOUR).min_cleanable_dirty_ratio(1.0);
    client.create_topic("t", config).unwrap();
    put(&client, &[("a", "1"), ("b", "1"), ("a", ""), ("c", "1")]);
    backend.advance(HOUR * 100);
    backend.compact();
    let with_tombstone = rows(&[(1, "b", "1"), (2, "a", ""), (3, "c", "1")]);
    assert_eq!(read(&client), with_tombstone, "however old it is");
    backend.advance(HOUR - Duration::from_millis(1));
    backend.compact();
    assert_eq!(read(&client), with_tombstone);
    backend.reopen();
    backend.compact();
    assert_eq!(read(&backend.client()), with_tombstone);
    backend.advance(Duration::from_millis(1));
    backend.compact();
    let without = rows(&[(1, "b", "1"), (3, "c", "1")]);
    assert_eq!(read(&backend.client()), without);
    backend.reopen();
    assert_eq!(read(&backend.client()), without);
}

fn rule_43_a_tombstone_in_the_last_segment_deletes_nothing_yet(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted().delete_retention(Duration::ZERO)).unwrap();
    put(&client, &[("a", "1"), ("b", "1"), ("a", "")]);
    backend.compact();
    assert_eq!(read(&client), rows(&[(0, "a", "1"), (1, "b", "1"), (2, "a", "")]));
    put(&client, &[("c", "1")]);
    backend.compact();
    assert_eq!(read(&client), rows(&[(1, "b", "1"), (2, "a", ""), (3, "c", "1")]), "it is cleaned once");
    backend.compact();
    assert_eq!(read(&client), rows(&[(1, "b", "1"), (3, "c", "1")]));
}

fn the_background_cleans_what_is_dirty_enough(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted().min_cleanable_dirty_ratio(0.6)).unwrap();
    put(&client, &[("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("d", "1")]);
    backend.advance(Duration::from_secs(20));
    assert_eq!(offsets(&rest(&mut reader(&client, "t"))), [1, 2, 3, 4]);
    put(&client, &[("a", "3"), ("a", "4"), ("a", "5")]);
    backend.advance(Duration::from_secs(60));
    assert_eq!(read(&client).len(), 7, "half of it is dirty");
    put(&client, &[("a", "6"), ("a", "7")]);
    backend.advance(Duration::from_secs(20));
    assert_eq!(offsets(&rest(&mut reader(&client, "t"))), [1, 3, 4, 8, 9]);
    backend.reopen();
    assert_eq!(offsets(&rest(&mut reader(&backend.client(), "t"))), [1, 3, 4, 8, 9]);
}

fn the_background_cleans_what_is_older_than_it_may_be(backend: &mut Backend) {
    let client = backend.client();
    let config = compacted().min_cleanable_dirty_ratio(1.0).max_compaction_lag(HOUR);
    client.create_topic("t", config).unwrap();
    put(&client, &[("a", "1"), ("a", "2"), ("a", "3")]);
    backend.advance(HOUR - Duration::from_secs(60));
    assert_eq!(read(&client).len(), 3);
    backend.advance(Duration::from_secs(120));
    assert_eq!(read(&client).len(), 2);
    // Its segments span no more than that either.
    let before = backend.segments();
    client.produce(Record::to("t").key("b")).unwrap();
    backend.advance(HOUR + Duration::from_secs(1));
    client.produce(Record::to("t").key("b")).unwrap();
    assert_eq!(backend.segments(), before + 1);
}

fn what_groups_have_committed_survives_the_cleaner(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("in", TopicConfig::new()).unwrap();
    for n in 0..300 {
        client.produce(Record::to("in").value(&format!("{n}"))).unwrap();
    }
    let consumer = client.consumer("g").assign([("in", 0)]).unwrap();
    for n in 0..300_i64 {
        consumer.commit_offsets([(("in", 0), n)]).unwrap();
    }
    consumer.close().unwrap();
    backend.compact();
    backend.reopen();
    let consumer = backend.client().consumer("g").assign([("in", 0)]).unwrap();
    assert_eq!(crate::common::committed(&consumer, "in", 0), Some(299));
}

fn what_is_cleaned_is_not_dirty_when_it_is_opened_again(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted()).unwrap();
    put(&client, &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("a", "2")]);
    backend.compact();
    backend.reopen();
    backend.advance(HOUR);
    assert_eq!(backend.cleanings(), 0);
    put(&backend.client(), &[("a", "3"), ("a", "4"), ("a", "5"), ("a", "6"), ("a", "7")]);
    backend.advance(HOUR);
    assert_eq!(backend.cleanings(), 1);
}

fn up_to_where_logs_are_cleaned_is_noted_as_kafka_does(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", compacted()).unwrap();
    client.create_topic("other", TopicConfig::new()).unwrap();
    put(&client, &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("a", "2")]);
    backend.compact();
    let path = backend.dir().join("cleaner-offset-checkpoint");
    let noted = || std::fs::read_to_string(&path).unwrap();
    assert_eq!(noted(), "0\n1\nt 0 4\n");
    // What cannot be so says nothing.
    for text in ["0\n1\nt 0 9\n", "0\n1\nnothing 0 1\n", "no checkpoint"] {
        backend.close();
        std::fs::write(&path, text).unwrap();
        backend.reopen();
        put(&backend.client(), &[("a", "3")]);
        backend.compact();
        let end = start_and_end(&backend.client()).1;
        assert_eq!(noted(), format!("0\n1\nt 0 {}\n", end - 1), "{text:?}");
    }
    backend.client().admin().delete_topic("t").unwrap();
    assert_eq!(noted(), "0\n0\n");
}
