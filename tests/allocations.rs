//! The hot paths allocate nothing for a record: what they allocate is for a batch, a poll or an entry of an index, of which
//! there is one for many records. Counted on the calling thread.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use brooklet::{Broker, Client, ConsumerConfig, ProducerConfig, Record, TopicConfig};
use std::time::Duration;

const RECORDS: u64 = 20_000;

fn broker() -> Broker {
    let broker = Broker::temporary().unwrap();
    broker.create_topic("t", TopicConfig::new()).unwrap();
    // The first record makes what is there for all.
    produce(broker.client(), 1);
    broker
}

fn produce(client: &Client, records: u64) {
    for n in 0..records {
        client.produce(Record::to("t").key(&n.to_be_bytes()).value(&[b'v'; 100])).unwrap();
    }
}

/// How many allocations there are for a hundred records.
#[track_caller]
fn assert_few(what: &str, at_most: u64, work: impl FnOnce()) {
    let counted = allocation_counter::measure(work).count_total;
    let of_a_hundred = counted * 100 / RECORDS;
    assert!(of_a_hundred <= at_most, "{what}: {counted} allocations for {RECORDS} records");
}

#[test]
fn an_append_allocates_nothing() {
    let broker = broker();
    assert_few("append", 0, || produce(broker.client(), RECORDS));
}

#[test]
fn a_producer_allocates_for_batches_only() {
    let broker = broker();
    let producer = broker.producer(ProducerConfig::new()).unwrap();
    assert_few("send", 20, || {
        for n in 0..RECORDS {
            let delivery = producer.send(Record::to("t").key(&n.to_be_bytes()).value(&[b'v'; 100]));
            drop(delivery.unwrap());
        }
        producer.flush().unwrap();
    });
}

#[test]
fn a_reader_allocates_for_polls_only() {
    let broker = broker();
    produce(broker.client(), RECORDS);
    let value = [b'v'; 100];
    let batched = (0..RECORDS).map(|_| Record::to("t").key("k").value(&value).header("h", "x"));
    broker.produce_all(batched).unwrap();
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).subscribe("t").unwrap();
    consumer.poll_one(Duration::ZERO).unwrap();
    for how in ["written one by one", "written in batches"] {
        assert_few(how, 5, || {
            let (mut seen, mut bytes) = (0, 0);
            while seen < RECORDS {
                for record in &consumer.poll(Duration::ZERO).unwrap() {
                    let headers: usize = record.headers().iter().map(|header| header.key.len()).sum();
                    bytes += record.key().unwrap().len() + record.value().unwrap().len() + headers;
                    seen += 1;
                }
            }
            assert!(bytes as u64 > 100 * RECORDS);
        });
    }
}
