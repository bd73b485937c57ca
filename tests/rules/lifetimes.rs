//! What outlives what: records outlive everything; clients do not outlive their broker.

use crate::common::{
    Backend, assert_refused, numbers, on_every_backend, on_one_broker, put, put_batch, put_numbers, rest,
    topic, with_threads,
};
use brooklet::{Consumer, ConsumerConfig, Error, OffsetSpec, Offsets, Record, Records, TopicConfig};
use std::{thread, time::Duration};

on_every_backend![
    records_outlive_polls_the_consumer_the_topic_and_the_broker,
    records_go_to_other_threads,
    whatever_outlives_its_broker_says_closed,
];

with_threads![a_poll_that_waits_ends_when_the_broker_is_closed,];

on_one_broker![a_client_of_a_closed_broker_is_not_one_of_the_next,];

fn texts(records: &Records) -> Vec<String> {
    records.iter().map(|record| record.value_str().unwrap().to_owned()).collect()
}

fn records_outlive_polls_the_consumer_the_topic_and_the_broker(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", TopicConfig::new().segment_bytes(4096)).unwrap();
    put_batch(&client, "t", &numbers(0..100));
    let config = ConsumerConfig::standalone().max_poll_records(60);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    let first = consumer.poll(Duration::ZERO).unwrap();
    let second = consumer.poll(Duration::ZERO).unwrap();
    let owned: Vec<_> = second.clone().into_iter().collect();
    let check = || {
        assert_eq!(texts(&first), numbers(0..60));
        assert_eq!(texts(&second), numbers(60..100));
        let values: Vec<_> = owned.iter().map(|record| record.value_str().unwrap().to_owned()).collect();
        assert_eq!(values, numbers(60..100));
    };
    check();
    for n in 0..100 {
        put(&client, "t", &format!("more {n}"));
    }
    consumer.poll(Duration::ZERO).unwrap();
    check();
    consumer.close().unwrap();
    check();
    client.admin().delete_topic("t").unwrap();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 500);
    check();
    backend.close();
    check();
    backend.reopen();
    check();
}

fn records_go_to_other_threads(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 4);
    for n in 0..100 {
        client.produce(Record::to("t").key(&format!("{n}")).value(&n.to_string())).unwrap();
    }
    let records = client.consumer("g").subscribe("t").unwrap().poll(Duration::ZERO).unwrap();
    let sum =
        |part: Records| part.iter().map(|r| r.value_str().unwrap().parse::<u32>().unwrap()).sum::<u32>();
    let workers: Vec<_> =
        records.by_partition().into_iter().map(|part| thread::spawn(move || sum(part))).collect();
    assert_eq!(workers.len(), 4);
    assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u32>(), 4950);
    let owned = records.into_iter().map(|record| thread::spawn(move || record.value().unwrap().len()));
    assert_eq!(owned.map(|thread| thread.join().unwrap()).sum::<usize>(), 190);
}

fn whatever_outlives_its_broker_says_closed(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 3);
    let mut fresh = client.consumer("fresh").subscribe("t").unwrap();
    let mut used = client.consumer(ConsumerConfig::new("used").max_poll_records(1)).subscribe("t").unwrap();
    used.poll(Duration::ZERO).unwrap();
    let mut paused = client.consumer(ConsumerConfig::standalone()).assign([("t", 0)]).unwrap();
    paused.pause([("t", 0)]).unwrap();
    let admin = client.admin();
    let handle = used.handle();
    backend.close();
    assert_refused!(client.produce(Record::to("t").value("x")), Error::Closed);
    assert_refused!(client.produce_all([Record::to("t").value("x")]), Error::PartialProduce { results, .. }
        if matches!(results[0], Err(Error::Closed)));
    assert_refused!(client.create_topic("u", TopicConfig::new()), Error::Closed);
    assert_refused!(client.ensure_topic("t", TopicConfig::new()), Error::Closed);
    assert_refused!(client.consumer("g").subscribe("t"), Error::Closed);
    assert_refused!(client.consumer("g").assign([("t", 0)]), Error::Closed);
    assert_refused!(admin.list_topics(), Error::Closed);
    assert_refused!(admin.describe_topic("t"), Error::Closed);
    assert_refused!(admin.delete_topic("t"), Error::Closed);
    assert_refused!(fresh.poll(Duration::MAX), Error::Closed);
    assert_refused!(paused.poll(Duration::MAX), Error::Closed);
    assert_refused!(used.commit_offset(), Error::Closed);
    assert_refused!(used.commit_offsets(Offsets::from([(("t", 0), 1)])), Error::Closed);
    assert_refused!(used.committed(("t", 0)), Error::Closed);
    assert_refused!(used.offset(("t", 0), OffsetSpec::Latest), Error::Closed);
    assert_refused!(used.is_caught_up(), Error::Closed);
    handle.wakeup();
    assert_refused!(used.poll(Duration::MAX), Error::Wakeup);
    // What was fetched before is handed out first, as what was polled before stays.
    let left = (0..3).map(|_| used.poll(Duration::MAX)).filter(Result::is_ok).count();
    assert!(left <= 2);
    assert_refused!(used.poll(Duration::MAX), Error::Closed);
    used.close().unwrap();
    drop(fresh);
}

fn a_poll_that_waits_ends_when_the_broker_is_closed(backend: &mut Backend) {
    // A cluster takes a second to start, and another one to end.
    let rounds = if backend.brokers() > 1 { 3 } else { 30 };
    for _ in 0..rounds {
        backend.client().ensure_topic("t", TopicConfig::new().partitions(2)).unwrap();
        let waiting = |mut consumer: Consumer| thread::spawn(move || consumer.poll(Duration::MAX));
        let client = backend.client();
        let member = |group: &str| client.consumer(group).subscribe("t").unwrap();
        let alone = || client.consumer(ConsumerConfig::standalone()).assign([("t", 0)]).unwrap();
        let mut paused = alone();
        paused.pause([("t", 0)]).unwrap();
        let polls = [member("a"), member("b"), alone(), paused].map(waiting);
        backend.close();
        for poll in polls {
            assert_refused!(poll.join().unwrap(), Error::Closed);
        }
        backend.reopen();
    }
}

fn a_client_of_a_closed_broker_is_not_one_of_the_next(backend: &mut Backend) {
    let old = backend.client();
    topic(&old, "t", 1);
    let mut consumer = old.consumer("g").subscribe("t").unwrap();
    backend.reopen();
    put(&backend.client(), "t", "x");
    assert_refused!(old.produce(Record::to("t").value("y")), Error::Closed);
    assert_refused!(consumer.poll(Duration::ZERO), Error::Closed);
    drop(consumer);
    let mut next = backend.client().consumer("g").subscribe("t").unwrap();
    assert_eq!(rest(&mut next).len(), 1, "the old member does not stand in its way");
}
