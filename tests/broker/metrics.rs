//! What a broker and a consumer tell of themselves in numbers.

use crate::common::{assert_refused, numbers, put, put_batch, put_numbers, reader, rest, topic};
use brooklet::{
    Broker, BrokerMetrics, ConsumerConfig, DiskFault, DiskOp, Durability, Error, ManualClock, Offsets,
    ProducerConfig, Record, SimDisk, TopicConfig, TopicMetrics,
};
use std::{
    thread,
    time::{Duration, Instant},
};

fn on(disk: &SimDisk) -> (Broker, ManualClock) {
    let clock = ManualClock::new();
    (Broker::builder().clock(&clock).disk(disk).open("data").unwrap(), clock)
}

fn of_topic(metrics: &BrokerMetrics, name: &str) -> TopicMetrics {
    metrics.topics.iter().find(|topic| topic.topic == name).unwrap().clone()
}

/// Records are refused that are from so far ahead.
fn put_too_early(broker: &Broker, topic: &str) {
    let at = broker.now() + Duration::from_secs(2 * 3600);
    assert_refused!(broker.produce(Record::to(topic).timestamp(at)), Error::InvalidTimestamp { .. });
}

fn put_segment(broker: &Broker) {
    broker.produce(Record::to("t").value(&"x".repeat(800)).partition(0)).unwrap();
}

#[test]
fn appends_are_counted_by_topic_and_all_together() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "a", 2);
    topic(broker.client(), "b", 1);
    put_numbers(broker.client(), "a", 5);
    put_batch(broker.client(), "b", &numbers(0..3));
    put_too_early(&broker, "a");
    let metrics = broker.metrics();
    let (a, b) = (of_topic(&metrics, "a"), of_topic(&metrics, "b"));
    assert_eq!((a.partitions, a.records_appended, a.batches_appended, a.records), (2, 5, 5, 5));
    assert_eq!((b.partitions, b.records_appended, b.batches_appended, b.records), (1, 3, 1, 3));
    assert_eq!((a.bytes_appended, b.bytes_appended), (a.log_bytes, b.log_bytes));
    assert!(b.bytes_appended > 0);
    assert_eq!((metrics.topics.len(), metrics.partitions), (2, 3));
    assert_eq!((metrics.records_appended, metrics.batches_appended), (8, 6));
    assert_eq!(metrics.bytes_appended, a.bytes_appended + b.bytes_appended);
    assert_eq!((metrics.produce_requests, metrics.produce_failures), (7, 1));
}

#[test]
fn a_flush_that_fails_is_counted_and_so_is_what_it_did_to_its_partition() {
    let disk = SimDisk::new(1);
    let (broker, _) = on(&disk);
    topic(broker.client(), "t", 2);
    let fault = disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
    let flushed = |partition| {
        broker.produce(Record::to("t").value("x").partition(partition).durability(Durability::Flushed))
    };
    flushed(0).unwrap_err();
    assert_eq!(fault.hits(), 1);
    let metrics = broker.metrics();
    assert_eq!((metrics.flushes, metrics.flush_failures), (1, 1));
    assert_eq!((metrics.produce_requests, metrics.produce_failures), (1, 1));
    assert_eq!((metrics.records_appended, of_topic(&metrics, "t").partitions_failed), (1, 1));
    flushed(0).unwrap_err();
    flushed(1).unwrap();
    let metrics = broker.metrics();
    assert_eq!((metrics.flushes, metrics.flush_failures), (2, 1), "what is poisoned is not flushed");
    assert_eq!((metrics.produce_requests, metrics.produce_failures), (3, 2));
    assert_eq!((metrics.records_appended, of_topic(&metrics, "t").partitions_failed), (2, 1));
}

#[test]
fn the_time_of_flushes_is_that_of_the_clock() {
    let broker = Broker::temporary().unwrap();
    topic(broker.client(), "t", 1);
    for _ in 0..3 {
        put(broker.client(), "t", "x");
        broker.flush().unwrap();
    }
    let metrics = broker.metrics();
    assert_eq!(metrics.flushes, 3);
    let longest = metrics.flush_time_max;
    assert!(Duration::ZERO < longest && longest < metrics.flush_time, "{metrics:?}");
    assert!(metrics.flush_time <= 3 * longest, "{metrics:?}");
}

#[test]
fn the_settings_of_a_topic_are_altered_with_a_flush() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 1);
    put(broker.client(), "t", "x");
    assert_eq!(broker.metrics().flushes, 0);
    broker.admin().alter_configs("t", TopicConfig::new().durability(Durability::Flushed)).unwrap();
    assert_eq!(broker.metrics().flushes, 1);
}

#[test]
fn what_was_done_in_a_topic_that_is_deleted_still_counts() {
    let (broker, _) = on(&SimDisk::new(1));
    let config = || TopicConfig::new().segment_bytes(1024);
    broker.create_topic("t", config()).unwrap();
    topic(broker.client(), "u", 1);
    (0..3).for_each(|_| put_segment(&broker));
    put(broker.client(), "u", "x");
    let before = broker.metrics();
    assert_eq!((before.records_appended, before.segments_rolled), (4, 2));
    broker.admin().delete_topic("t").unwrap();
    let mut after = broker.metrics();
    assert_eq!((after.topics.len(), after.partitions), (1, 1));
    (after.topics, after.partitions) = (before.topics.clone(), 2);
    assert_eq!(after, before);
    broker.create_topic("t", config()).unwrap();
    put(broker.client(), "t", "x");
    let again = broker.metrics();
    assert_eq!(of_topic(&again, "t").records_appended, 1);
    assert_eq!((again.records_appended, again.segments_rolled), (5, 2));
    // The client asked for the old topic first.
    assert_eq!((again.produce_requests, again.produce_failures), (6, 1));
}

#[test]
fn segments_are_counted_as_they_are_begun_and_as_they_go() {
    let (broker, clock) = on(&SimDisk::new(1));
    let minute = Duration::from_secs(60);
    broker.create_topic("t", TopicConfig::new().segment_bytes(1024).retention_time(10 * minute)).unwrap();
    (0..4).for_each(|_| put_segment(&broker));
    let t = of_topic(&broker.metrics(), "t");
    assert_eq!((t.segments, t.segments_rolled, t.segments_deleted, t.records), (4, 3, 0, 4));
    broker.admin().delete_records(("t", 0), 2).unwrap();
    let t = of_topic(&broker.metrics(), "t");
    assert_eq!((t.segments, t.segments_rolled, t.segments_deleted, t.records), (2, 3, 2, 2));
    clock.advance(11 * minute);
    broker.apply_retention_now().unwrap();
    let metrics = broker.metrics();
    let t = of_topic(&metrics, "t");
    assert_eq!((t.segments, t.segments_rolled, t.segments_deleted, t.records), (1, 4, 4, 0));
    assert_eq!((metrics.segments_rolled, metrics.segments_deleted, t.log_bytes), (4, 4, 0));
}

#[test]
fn sizes_of_segments_are_looked_up_once() {
    let disk = SimDisk::new(1);
    let (broker, _) = on(&disk);
    broker.create_topic("t", TopicConfig::new().segment_bytes(1024)).unwrap();
    (0..20).for_each(|_| put_segment(&broker));
    let t = of_topic(&broker.metrics(), "t");
    assert_eq!((t.segments, t.log_bytes), (20, t.bytes_appended));
    broker.close().unwrap();
    let (broker, _) = on(&disk);
    let again = of_topic(&broker.metrics(), "t");
    assert_eq!((again.segments, again.log_bytes, again.bytes_appended), (20, t.log_bytes, 0));
    let operations = disk.operations().len();
    assert_eq!(of_topic(&broker.metrics(), "t"), again);
    assert_eq!(disk.operations().len(), operations);
    // Also where a segment is closed by another look-up, and goes.
    broker.admin().delete_records(("t", 0), 15).unwrap();
    let less = of_topic(&broker.metrics(), "t");
    assert_eq!((less.segments, less.log_bytes), (5, t.log_bytes / 4));
    assert_eq!(broker.admin().describe_log_dirs().unwrap()[0].size, less.log_bytes);
}

#[test]
fn fetches_are_counted_when_they_are_answered() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 3);
    let bytes = broker.metrics().bytes_appended;
    // The broker looks several times for so many bytes, until the poll gives up, and then gives what there is.
    let config = ConsumerConfig::standalone().fetch_min_bytes(1 << 20);
    let mut patient = broker.consumer(config).subscribe("t").unwrap();
    assert_eq!(patient.poll(Duration::from_secs(5)).unwrap().len(), 3);
    let metrics = broker.metrics();
    assert_eq!((metrics.bytes_fetched, of_topic(&metrics, "t").bytes_fetched), (bytes, bytes));
    assert_eq!(metrics.fetch_requests, patient.metrics().fetches);
    assert_eq!((metrics.fetch_failures, metrics.fetches_waiting), (0, 0));
    patient.seek(("t", 0), 100).unwrap();
    assert_eq!(patient.poll(Duration::from_secs(5)).unwrap().len(), 3, "from the beginning");
    let metrics = broker.metrics();
    assert_eq!((metrics.fetch_failures, metrics.bytes_fetched), (1, 2 * bytes));
}

#[test]
fn a_fetch_that_waits_on_is_counted_once() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 1);
    // What it sends while the poll waits has the broker look again, and find too little.
    let linger = Duration::from_secs(1);
    let producer = broker.producer(ProducerConfig::new().linger(linger)).unwrap();
    drop(producer.send(Record::to("t").value("x")).unwrap());
    let config = ConsumerConfig::standalone().fetch_min_bytes(1 << 20).fetch_max_wait(60 * linger);
    let mut consumer = broker.consumer(config).subscribe("t").unwrap();
    let before = broker.metrics();
    assert_eq!((before.records_appended, before.fetch_requests), (0, 0));
    assert_eq!(consumer.poll(5 * linger).unwrap().len(), 1);
    let metrics = broker.metrics();
    assert_eq!((metrics.fetch_requests, metrics.bytes_fetched), (1, metrics.bytes_appended));
}

#[test]
fn who_waits_for_records_is_counted_while_he_does() {
    let broker = Broker::temporary().unwrap();
    topic(broker.client(), "t", 1);
    let mut consumer = reader(broker.client(), "t");
    let handle = consumer.handle();
    assert_eq!(broker.metrics().fetches_waiting, 0);
    let poll = thread::spawn(move || consumer.poll(Duration::MAX).map(|records| records.len()));
    let begun = Instant::now();
    while broker.metrics().fetches_waiting == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody waits");
        thread::yield_now();
    }
    handle.wakeup();
    assert_refused!(poll.join().unwrap(), Error::Wakeup);
    assert_eq!(broker.metrics().fetches_waiting, 0);
    // What comes now is for nobody.
    put(broker.client(), "t", "x");
    let metrics = broker.metrics();
    assert_eq!((metrics.fetch_requests, metrics.bytes_fetched), (0, 0));
}

#[test]
fn commits_are_counted_by_the_broker_and_by_the_consumer() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 1);
    put(broker.client(), "t", "x");
    let mut consumer = broker.consumer("g").subscribe("t").unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    consumer.commit_offset().unwrap();
    consumer.handle().commit_offsets([(("t", 0), 1)]).unwrap();
    consumer.commit_offsets(Offsets::from([(("nowhere", 0), 1)])).unwrap_err();
    let (metrics, of_consumer) = (broker.metrics(), consumer.metrics());
    assert_eq!((of_consumer.commits, of_consumer.commits_failed), (2, 1));
    assert_eq!(
        (metrics.offset_commits, metrics.offset_commit_failures),
        (2, 0),
        "it did not come to the broker"
    );
    let group_and_commits = of_topic(&metrics, "__consumer_offsets").records_appended;
    assert_eq!((group_and_commits, metrics.produce_requests), (2 + 2, 1));
    assert_eq!(metrics.records_appended, 1 + group_and_commits, "they are records too");
    broker.admin().alter_group_offsets("h", [(("nowhere", 0), 1)]).unwrap_err();
    assert_eq!(broker.metrics().offset_commit_failures, 1);
}

#[test]
fn a_broker_that_is_closed_tells_what_it_did() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 3);
    assert_eq!(of_topic(&broker.metrics(), "t").segments, 1);
    broker.close().unwrap();
    let metrics = broker.metrics();
    let t = of_topic(&metrics, "t");
    assert_eq!((metrics.records_appended, t.records_appended), (3, 3));
    assert_eq!((t.records, t.segments, t.log_bytes), (0, 0, 0));
}

#[test]
fn a_consumer_counts_what_it_hands_out() {
    let (broker, _) = on(&SimDisk::new(1));
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 3);
    let mut consumer = reader(broker.client(), "t");
    let before = consumer.metrics();
    assert_eq!((before.partitions[0].position, before.partitions[0].lag), (None, None));
    consumer.poll_one(Duration::ZERO).unwrap().unwrap();
    consumer.poll_one(Duration::ZERO).unwrap().unwrap();
    let metrics = consumer.metrics();
    assert_eq!((metrics.polls, metrics.records_consumed, metrics.fetches), (2, 2, 1));
    assert_eq!(metrics.bytes_fetched, broker.metrics().bytes_appended);
    put_numbers(broker.client(), "t", 2);
    let known = &consumer.metrics().partitions[0];
    assert_eq!((known.position, known.lag), (Some(2), Some(1)), "as the last fetch told it");
    assert_eq!(consumer.lag(("t", 0)).unwrap(), 3);
    assert_eq!(rest(&mut consumer).len(), 3);
    let metrics = consumer.metrics();
    assert_eq!((metrics.records_consumed, metrics.positions_reset), (5, 0));
    assert_eq!((metrics.partitions[0].position, metrics.partitions[0].lag), (Some(5), Some(0)));
    consumer.seek(("t", 0), 7).unwrap();
    assert_eq!(consumer.metrics().partitions[0].lag, Some(0));
    assert_eq!(rest(&mut consumer).len(), 0, "it stands behind the end");
    consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(consumer.metrics().positions_reset, 1);
}
