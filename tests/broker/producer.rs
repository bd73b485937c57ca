//! The batching producer: what goes together, who is told what, and what happens when it is too much or too late.

use brooklet::{
    Broker, Client, Compression, ConsumerConfig, DiskFault, DiskOp, Durability, Error, ManualClock,
    ProducerConfig, Record, Result, SimDisk, TopicConfig,
};
use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

const HOUR: Duration = Duration::from_secs(3600);

fn values(client: &Client, partition: i32) -> Vec<String> {
    let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([("t", partition)]).unwrap();
    let mut all = Vec::new();
    while !consumer.is_caught_up().unwrap() {
        let records = consumer.poll(Duration::from_secs(10)).unwrap();
        all.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
    }
    all
}

fn broker(partitions: i32) -> Broker {
    let broker = Broker::temporary().unwrap();
    broker.create_topic("t", TopicConfig::new().partitions(partitions)).unwrap();
    broker
}

fn on_a_manual_clock() -> (Broker, ManualClock) {
    let clock = ManualClock::new();
    let broker = Broker::builder().clock(&clock).open_temporary().unwrap();
    broker.create_topic("t", TopicConfig::new()).unwrap();
    (broker, clock)
}

#[test]
fn what_is_sent_within_the_linger_goes_together_once_the_time_has_passed() {
    let (broker, clock) = on_a_manual_clock();
    let producer = broker.producer(ProducerConfig::new().linger(Duration::from_millis(20))).unwrap();
    for value in ["a", "b", "c"] {
        drop(producer.send(Record::to("t").value(value)).unwrap());
    }
    clock.advance(Duration::from_millis(19));
    assert_eq!(producer.metrics().records_sent, 0);
    clock.advance(Duration::from_millis(1));
    let metrics = producer.metrics();
    assert_eq!((metrics.records_sent, metrics.batches_sent, metrics.buffered_bytes), (3, 1, 0));
    assert_eq!(values(broker.client(), 0), ["a", "b", "c"]);
}

#[test]
fn who_waits_does_not_pay_the_linger() {
    let (manual, clock) = on_a_manual_clock();
    let before = clock.now();
    for broker in [manual, broker(1)] {
        let producer = broker.producer(ProducerConfig::new().linger(HOUR)).unwrap();
        let first = producer.send(Record::to("t").value("a")).unwrap();
        assert_eq!(producer.produce(Record::to("t").value("b")).unwrap().offset, 1);
        assert_eq!(first.wait_timeout(Duration::ZERO).unwrap().unwrap().offset, 0);
        assert_eq!(producer.metrics().batches_sent, 1, "they were in one batch");
        producer.close().unwrap();
    }
    assert_eq!(clock.now(), before);
}

#[test]
fn by_the_wall_clock_the_linger_passes_by_itself() {
    let broker = broker(1);
    let producer = broker.producer(ProducerConfig::new()).unwrap();
    let (told, offsets) = mpsc::channel();
    for value in ["a", "b"] {
        let told = told.clone();
        producer
            .send(Record::to("t").value(value))
            .unwrap()
            .on_complete(move |delivered| told.send(delivered.map(|at| at.offset)).unwrap());
    }
    let mut got: Vec<i64> = (0..2).map(|_| offsets.recv().unwrap().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, [0, 1]);
}

#[test]
fn threads_that_send_flush_and_wait_keep_the_order_of_each() {
    let broker = broker(3);
    let small = ProducerConfig::new().batch_size(200).buffer_memory(2000).linger(Duration::from_millis(1));
    let producer = broker.producer(small).unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let producer = producer.clone();
            scope.spawn(move || {
                for n in 0..2000 {
                    let value = format!("{thread}:{n}");
                    let record = Record::to("t").partition(thread % 3).value(&value);
                    let delivery = producer.send(record).unwrap();
                    match n % 50 {
                        7 => assert!(delivery.wait().unwrap().offset >= 0),
                        20 => producer.flush().unwrap(),
                        _ => drop(delivery),
                    }
                }
            });
        }
    });
    producer.close().unwrap();
    assert_eq!(producer.metrics().records_sent, 8000);
    for partition in 0..3 {
        let there = values(broker.client(), partition);
        for thread in (0..4).filter(|thread| thread % 3 == partition) {
            let prefix = format!("{thread}:");
            let of_thread = there.iter().filter_map(|value| value.strip_prefix(&prefix));
            assert!(of_thread.map(|n| n.parse::<i32>().unwrap()).eq(0..2000), "of thread {thread}");
        }
    }
}

#[test]
fn metadata_tells_the_place_of_each_record() {
    let broker = broker(2);
    let producer = broker.producer(ProducerConfig::new().batch_size(300)).unwrap();
    let deliveries: Vec<_> = (0..100)
        .map(|n| producer.send(Record::to("t").partition(n % 2).value(&n.to_string())).unwrap())
        .collect();
    let places: Vec<_> = deliveries.into_iter().map(|delivery| delivery.wait().unwrap()).collect();
    let all = [values(broker.client(), 0), values(broker.client(), 1)];
    for (n, at) in places.iter().enumerate() {
        assert_eq!(all[at.partition as usize][at.offset as usize], n.to_string());
    }
}

#[test]
fn a_failure_is_told_once_to_who_asks_and_else_by_the_flush() {
    let disk = SimDisk::new(0);
    let open = || Broker::builder().disk(&disk).clock(&ManualClock::new()).open("data").unwrap();
    let broker = open();
    broker.create_topic("t", TopicConfig::new().partitions(2)).unwrap();
    let producer = broker.producer(ProducerConfig::new()).unwrap();
    let flushed = |partition| Record::to("t").partition(partition).durability(Durability::Flushed);
    disk.intercept(DiskOp::Flush).path("t-0").times(1).fail(DiskFault::Eio);
    let failed = producer.produce(flushed(0)).unwrap_err();
    assert!(matches!(failed, Error::Io { .. }), "{failed}");
    producer.flush().unwrap();
    // The partition takes no more.
    drop(producer.send(flushed(0)).unwrap());
    drop(producer.send(flushed(1)).unwrap());
    let told = producer.flush().unwrap_err();
    assert!(matches!(told, Error::Io { .. }), "{told}");
    producer.flush().unwrap();
    let metrics = producer.metrics();
    assert_eq!((metrics.records_sent, metrics.records_failed, metrics.buffered_bytes), (1, 2, 0));
    drop(producer.send(flushed(0)).unwrap());
    assert!(producer.close().is_err());
    producer.close().unwrap();
}

#[test]
fn a_record_too_large_for_its_topic_is_told_by_its_delivery_and_the_others_go() {
    let broker = Broker::temporary().unwrap();
    broker.create_topic("t", TopicConfig::new().max_message_bytes(1000)).unwrap();
    let producer = broker.producer(ProducerConfig::new()).unwrap();
    let small = producer.send(Record::to("t").value("small")).unwrap();
    let large = producer.send(Record::to("t").value(&vec![0; 2000])).unwrap();
    let after = producer.send(Record::to("t").value("after")).unwrap();
    assert!(matches!(large.wait(), Err(Error::MessageTooLarge { .. })));
    assert_eq!((small.wait().unwrap().offset, after.wait().unwrap().offset), (0, 1));
}

#[test]
fn where_nothing_is_known_send_says_so_at_once() {
    let broker = broker(1);
    let producer = broker.producer(ProducerConfig::new()).unwrap();
    let unknown = producer.send(Record::to("nowhere")).unwrap_err();
    assert!(matches!(unknown, Error::UnknownTopicOrPartition { .. }));
    assert!(producer.send(Record::to("t").partition(1)).is_err());
    for config in [ProducerConfig::new().batch_size(0), ProducerConfig::new().buffer_memory(0)] {
        assert!(matches!(broker.producer(config), Err(Error::InvalidConfig { .. })));
    }
}

#[test]
fn the_last_clone_sends_what_is_buffered() {
    for broker in [on_a_manual_clock().0, broker(1)] {
        let producer = broker.producer(ProducerConfig::new().linger(HOUR)).unwrap();
        let clone = producer.clone();
        drop(clone.send(Record::to("t").value("a")).unwrap());
        drop(producer);
        assert_eq!(values(broker.client(), 0).len(), 0);
        drop(clone);
        assert_eq!(values(broker.client(), 0), ["a"]);
    }
}

#[test]
fn a_topic_made_anew_gets_what_was_buffered_for_the_old_one() {
    let (broker, _clock) = on_a_manual_clock();
    let producer = broker.producer(ProducerConfig::new().linger(HOUR)).unwrap();
    let old = producer.send(Record::to("t").value("a")).unwrap();
    broker.admin().delete_topic("t").unwrap();
    broker.create_topic("t", TopicConfig::new()).unwrap();
    assert_eq!(old.wait().unwrap().offset, 0);
    let gone = producer.send(Record::to("t").value("b")).unwrap();
    broker.admin().delete_topic("t").unwrap();
    assert!(matches!(gone.wait(), Err(Error::UnknownTopicOrPartition { .. })));
}

#[test]
fn a_partition_that_came_since_gets_its_records() {
    let broker = broker(1);
    let producer = broker.producer(ProducerConfig::new()).unwrap();
    producer.produce(Record::to("t").value("a")).unwrap();
    broker.admin().create_partitions("t", 2).unwrap();
    assert_eq!(producer.produce(Record::to("t").partition(1).value("b")).unwrap().offset, 0);
    assert_eq!(values(broker.client(), 1), ["b"]);
}

#[test]
fn batches_are_compressed_as_a_whole() -> Result<()> {
    let value = "the same again and again ".repeat(20);
    let sizes: Vec<u64> = [Compression::None, Compression::Zstd]
        .into_iter()
        .map(|codec| {
            let (broker, _clock) = on_a_manual_clock();
            let producer = broker.producer(ProducerConfig::new().compression(codec))?;
            (0..20).try_for_each(|_| producer.send(Record::to("t").value(&value)).map(drop))?;
            producer.close()?;
            assert_eq!(values(broker.client(), 0), vec![value.clone(); 20]);
            Ok(producer.metrics().bytes_sent)
        })
        .collect::<Result<_>>()?;
    assert!(sizes[1] * 10 < sizes[0], "{sizes:?}");
    Ok(())
}

#[test]
fn a_callback_may_send_and_close() {
    let broker = broker(1);
    let producer = broker.producer(ProducerConfig::new().linger(Duration::ZERO)).unwrap();
    let (told, done) = mpsc::channel();
    let again = producer.clone();
    producer.send(Record::to("t").value("a")).unwrap().on_complete(move |first| {
        drop(again.send(Record::to("t").value("b")).unwrap());
        told.send((first.unwrap().offset, again.close())).unwrap();
    });
    let (offset, closed) = done.recv().unwrap();
    assert_eq!(offset, 0);
    closed.unwrap();
    assert_eq!(values(broker.client(), 0), ["a", "b"]);
    assert!(matches!(producer.send(Record::to("t")), Err(Error::Closed)));
}

#[test]
fn a_closed_broker_fails_what_is_buffered() {
    let (broker, _clock) = on_a_manual_clock();
    let producer = broker.producer(ProducerConfig::new().linger(HOUR)).unwrap();
    let delivery = producer.send(Record::to("t")).unwrap();
    broker.close().unwrap();
    assert!(matches!(delivery.wait(), Err(Error::Closed)));
    producer.close().unwrap();
}

#[test]
fn a_full_buffer_makes_room_before_it_makes_anybody_wait() {
    let (broker, _clock) = on_a_manual_clock();
    let tiny = ProducerConfig::new().buffer_memory(100).linger(HOUR).max_block(Duration::ZERO);
    let producer = broker.producer(tiny).unwrap();
    let offsets = Arc::new(Mutex::new(Vec::new()));
    for n in 0..20 {
        let told = Arc::clone(&offsets);
        let delivery = producer.send(Record::to("t").value(&n.to_string().repeat(50))).unwrap();
        delivery.on_complete(move |delivered| told.lock().unwrap().push(delivered.unwrap().offset));
    }
    producer.flush().unwrap();
    assert_eq!(*offsets.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert!(producer.metrics().batches_sent > 10);
}

#[test]
fn a_close_that_does_not_wait_sends_nothing_more() {
    for broker in [on_a_manual_clock().0, broker(1)] {
        let producer = broker.producer(ProducerConfig::new().linger(HOUR)).unwrap();
        let asked = producer.send(Record::to("t").value("a")).unwrap();
        let (told, heard) = mpsc::channel();
        producer.send(Record::to("t").value("b")).unwrap().on_complete(move |done| told.send(done).unwrap());
        assert!(matches!(producer.close_timeout(Duration::ZERO), Err(Error::Timeout)));
        assert!(matches!(asked.wait(), Err(Error::Closed)));
        assert!(matches!(heard.recv().unwrap(), Err(Error::Closed)));
        let metrics = producer.metrics();
        assert_eq!((metrics.records_sent, metrics.records_failed, metrics.buffered_bytes), (0, 2, 0));
        assert_eq!(values(broker.client(), 0).len(), 0);
        producer.close_timeout(Duration::ZERO).unwrap();
        assert!(matches!(producer.send(Record::to("t")), Err(Error::Closed)));
    }
}

#[test]
fn a_close_with_time_enough_sends_all() {
    for broker in [on_a_manual_clock().0, broker(1)] {
        let producer = broker.producer(ProducerConfig::new().linger(HOUR).batch_size(100)).unwrap();
        for n in 0..20 {
            drop(producer.send(Record::to("t").value(&n.to_string().repeat(30))).unwrap());
        }
        producer.close_timeout(HOUR).unwrap();
        assert_eq!(values(broker.client(), 0).len(), 20);
    }
}

#[test]
fn a_close_gives_up_on_what_cannot_be_sent_in_its_time() {
    let broker = broker(2);
    let producer = broker.producer(ProducerConfig::new().linger(Duration::ZERO)).unwrap();
    let ((began, begins), (end, ends)) = (mpsc::channel(), mpsc::channel());
    // It keeps the sender from its work.
    producer.send(Record::to("t").partition(0)).unwrap().on_complete(move |_| {
        began.send(()).unwrap();
        ends.recv().unwrap();
    });
    begins.recv().unwrap();
    let stuck = producer.send(Record::to("t").partition(1)).unwrap();
    assert!(matches!(producer.close_timeout(Duration::from_millis(1)), Err(Error::Timeout)));
    assert!(matches!(stuck.wait(), Err(Error::Closed)));
    end.send(()).unwrap();
    producer.close().unwrap();
    assert_eq!((values(broker.client(), 0).len(), values(broker.client(), 1).len()), (1, 0));
}

#[test]
fn a_callback_may_close_with_a_deadline() {
    let broker = broker(1);
    let producer = broker.producer(ProducerConfig::new().linger(Duration::ZERO)).unwrap();
    let (told, done) = mpsc::channel();
    let again = producer.clone();
    producer.send(Record::to("t").value("a")).unwrap().on_complete(move |_| {
        drop(again.send(Record::to("t").value("b")).unwrap());
        told.send(again.close_timeout(HOUR)).unwrap();
    });
    done.recv().unwrap().unwrap();
    assert_eq!(values(broker.client(), 0), ["a", "b"]);
}

#[test]
fn a_partitioner_chooses_for_records_that_name_no_partition() {
    let broker = broker(3);
    let by_length = |topic: &str, key: Option<&[u8]>, value: Option<&[u8]>, partitions: i32| {
        assert_eq!(topic, "t");
        (key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len)) as i32 % partitions
    };
    let producer = broker.producer(ProducerConfig::new().partitioner(by_length)).unwrap();
    let went = |record| producer.produce(record).unwrap().partition;
    assert_eq!(went(Record::to("t").key("ab").value("c")), 0);
    assert_eq!(went(Record::to("t").value("c")), 1);
    assert_eq!(went(Record::to("t")), 0);
    assert_eq!(went(Record::to("t").partition(2).value("c")), 2);
    broker.admin().create_partitions("t", 4).unwrap();
    // It learns of them with the next record that names one of them, or finds that it knows too little.
    assert_eq!(went(Record::to("t").partition(3)), 3);
    assert_eq!(went(Record::to("t").key("ab").value("c")), 3);

    let wrong = |_: &str, _: Option<&[u8]>, _: Option<&[u8]>, partitions: i32| partitions;
    let producer = broker.producer(ProducerConfig::new().partitioner(wrong)).unwrap();
    let refused = producer.send(Record::to("t")).unwrap_err();
    assert!(matches!(refused, Error::UnknownTopicOrPartition { partition: Some(4), .. }), "{refused}");
    let unknown = producer.send(Record::to("nowhere")).unwrap_err();
    assert!(matches!(unknown, Error::UnknownTopicOrPartition { .. }), "{unknown}");
}

#[test]
fn settings_come_as_text_too() {
    let broker = broker(1);
    let producer =
        broker.producer(ProducerConfig::new().set("linger.ms", "3600000").set("acks", "all")).unwrap();
    drop(producer.send(Record::to("t")).unwrap());
    assert_eq!(producer.metrics().records_sent, 0);
    producer.close().unwrap();
    for (key, value) in [("linger", "5"), ("linger.ms", "soon")] {
        let refused = broker.producer(ProducerConfig::new().set(key, value)).unwrap_err();
        assert!(matches!(refused, Error::InvalidConfig { key: told, .. } if told == key));
    }
}
