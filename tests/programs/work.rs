//! Programs that work on what they read: a worker with a stop signal, dead letters, a codec.

use brooklet::{
    Broker, Client, Consumer, ConsumerHandle, ConsumerRecord, Error, Record, Result, SharedBytes, TopicConfig,
};
use std::{thread, time::Duration};

fn worker(mut consumer: Consumer) -> Result<u64> {
    let mut done = 0;
    loop {
        let records = match consumer.poll(Duration::MAX) {
            Err(Error::Wakeup | Error::Closed) => break, // asked to stop, or the broker went
            polled => polled?,
        };
        done += records.iter().filter(|record| record.value().is_some()).count() as u64;
        consumer.commit_offset()?;
    }
    consumer.close()?; // leaves at once: the others take over
    Ok(done)
}

/// A worker for each group, since a group has one member yet; nobody waits out a poll timeout to stop.
#[test]
fn workers_stop_when_they_are_told_to() -> Result<()> {
    let broker = Broker::temporary()?;
    broker.ensure_topic("uploads", TopicConfig::new().partitions(8))?;
    let groups = ["thumbnails", "search", "audit", "mail"];
    let consumers = groups.map(|group| broker.consumer(group).subscribe(["uploads"]).unwrap());
    let handles: Vec<_> = consumers.iter().map(Consumer::handle).collect();
    let workers: Vec<_> =
        consumers.into_iter().map(|consumer| thread::spawn(move || worker(consumer))).collect();
    for n in 0..500 {
        broker.produce(Record::to("uploads").key(&n.to_string()).value("an image"))?;
    }
    handles.iter().for_each(ConsumerHandle::wakeup);
    for (group, worker) in groups.iter().zip(workers) {
        let done = worker.join().expect("no panic")?;
        // What the worker was not told to do any more, the next one of its group does: nothing twice, nothing missed.
        let mut next = broker.consumer(*group).subscribe(["uploads"])?;
        let mut rest = 0;
        while !next.is_caught_up()? {
            rest += next.poll(Duration::ZERO)?.len() as u64;
        }
        assert_eq!(done + rest, 500, "{group}");
    }
    broker.close()
}

fn handle(record: ConsumerRecord<'_>) -> Result<(), String> {
    record.value().map(drop).ok_or_else(|| "no value".to_owned())
}

/// What cannot be handled goes to another topic, with a note; each record is committed as it is done.
#[test]
fn dead_letters_go_to_a_topic_of_their_own() -> Result<()> {
    let broker = Broker::temporary()?;
    broker.create_topic("payments", TopicConfig::new())?;
    broker.create_topic("payments.DLT", TopicConfig::new())?;
    broker.produce(Record::to("payments").key("a").value("1"))?;
    broker.produce(Record::to("payments").key("b").header("trace", "7"))?;
    broker.produce(Record::to("payments").key("c").value("3"))?;

    let mut consumer = broker.consumer("ledger").subscribe(["payments"])?;
    for record in &consumer.poll(Duration::from_secs(1))? {
        if let Err(why) = handle(record) {
            let source = format!("{}@{}", record.topic_partition(), record.offset());
            let letter =
                Record::to("payments.DLT").copy_of(record).header("error", &why).header("source", &source);
            broker.produce(letter)?;
        }
        consumer.commit_offsets(record)?; // through this one; no "+ 1"
        let committed = consumer.committed(("payments", 0))?.map(|o| o.offset);
        assert_eq!(committed, Some(record.offset() + 1));
    }
    let letters = broker.consumer("post").subscribe("payments.DLT")?.poll(Duration::from_secs(1))?;
    let letter = letters.iter().next().unwrap();
    let notes: Vec<_> = letter.headers().iter().map(|h| (h.key, h.value.unwrap())).collect();
    assert_eq!(notes, [("trace", &b"7"[..]), ("error", b"no value"), ("source", b"payments-0@1")]);
    assert_eq!((letters.len(), letter.key()), (1, Some(&b"b"[..])));
    Ok(())
}

/// An order as text; it borrows from the record that it is read from.
#[derive(Debug, PartialEq, Eq)]
struct Order<'a> {
    id: u64,
    item: &'a str,
}

impl<'a> Order<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (id, item) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
        Some(Self { id: id.parse().ok()?, item })
    }
}

fn put(client: &Client, order: &Order<'_>) -> Result<i64> {
    let text = format!("{} {}", order.id, order.item);
    Ok(client.produce(Record::to("orders").key(&order.id.to_string()).value(&text))?.offset)
}

#[test]
fn what_is_parsed_borrows_from_the_records() -> Result<()> {
    let broker = Broker::temporary()?;
    broker.create_topic("orders", TopicConfig::new())?;
    let orders = [Order { id: 1, item: "apples" }, Order { id: 2, item: "pears" }];
    for order in &orders {
        put(broker.client(), order)?;
    }
    let mut consumer = broker.consumer("printer").subscribe("orders")?;
    let records = consumer.poll(Duration::from_secs(1))?;
    let parsed: Vec<Order<'_>> = records.iter().filter_map(|r| r.value()).filter_map(Order::parse).collect();
    assert_eq!(parsed, orders);
    for order in &parsed {
        put(broker.client(), order)?; // while what was read is borrowed
    }
    consumer.commit_offset()?;
    let values: Vec<SharedBytes> = records.into_iter().filter_map(|record| record.into_value()).collect();
    drop(consumer);
    broker.close()?;
    assert_eq!(values.iter().map(AsRef::as_ref).collect::<Vec<_>>(), [&b"1 apples"[..], b"2 pears"]);
    Ok(())
}
