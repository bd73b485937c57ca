//! What a consumer promises beyond plain polls: pausing, lag, one record at a time, automatic commits, the way back.

use crate::common::{
    Backend, assert_refused, numbers, offsets, on_every_backend, put, put_numbers, reader, rest, topic,
    values,
};
use brooklet::{ConsumerConfig, Error, Record};
use std::time::Duration;

on_every_backend![
    a_paused_partition_gives_nothing_and_loses_nothing,
    other_partitions_go_on_while_one_is_paused,
    a_poll_with_all_paused_waits_its_time,
    a_wakeup_ends_a_poll_with_all_paused,
    a_seek_in_a_paused_partition_counts_after_the_resume,
    what_is_not_assigned_cannot_be_paused,
];

fn a_paused_partition_gives_nothing_and_loses_nothing(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 10);
    let mut consumer = client.consumer(ConsumerConfig::new("g").max_poll_records(3)).subscribe("t").unwrap();
    let mut seen: Vec<_> = consumer.poll(Duration::ZERO).unwrap().into_iter().collect();
    for n in [3, 6, 9] {
        consumer.pause([("t", 0)]).unwrap();
        consumer.pause([("t", 0)]).unwrap();
        for _ in 0..3 {
            assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
        }
        assert_eq!(consumer.position(("t", 0)).unwrap(), n);
        assert!(!consumer.is_caught_up().unwrap(), "paused or not");
        consumer.resume(consumer.paused()).unwrap();
        assert!(consumer.paused().is_empty());
        consumer.resume([("t", 0)]).unwrap();
        seen.extend(consumer.poll(Duration::ZERO).unwrap());
    }
    assert_eq!(values(&seen), numbers(0..10));
}

fn other_partitions_go_on_while_one_is_paused(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.pause([("t", 1)]).unwrap();
    for n in 0..6 {
        client.produce(Record::to("t").value(&n.to_string()).partition(n % 3)).unwrap();
    }
    let mut seen: Vec<_> = consumer.poll(Duration::ZERO).unwrap().into_iter().collect();
    assert_eq!(values(&seen), ["0", "3", "2", "5"]);
    consumer.commit_offset().unwrap();
    assert_eq!(consumer.committed(("t", 1)).unwrap().map(|c| c.offset), Some(0));
    consumer.resume([("t", 1)]).unwrap();
    seen = rest(&mut consumer);
    assert_eq!(values(&seen), ["1", "4"]);
}

fn a_poll_with_all_paused_waits_its_time(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put(&client, "t", "x");
    let mut consumer = reader(&client, "t");
    consumer.pause([("t", 0)]).unwrap();
    let before = client.now();
    assert!(consumer.poll(Duration::from_millis(5)).unwrap().is_empty());
    assert!(client.now() >= before + Duration::from_millis(5), "it waited");
}

fn a_wakeup_ends_a_poll_with_all_paused(backend: &mut Backend) {
    if backend.is_virtual() {
        return;
    }
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = reader(&client, "t");
    consumer.pause([("t", 0)]).unwrap();
    for _ in 0..50 {
        let handle = consumer.handle();
        let poll =
            std::thread::spawn(move || (consumer.poll(Duration::MAX).map(|records| records.len()), consumer));
        handle.wakeup();
        let (polled, back) = poll.join().unwrap();
        assert_refused!(polled, Error::Wakeup);
        consumer = back;
    }
}

fn a_seek_in_a_paused_partition_counts_after_the_resume(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    let mut consumer =
        client.consumer(ConsumerConfig::standalone().max_poll_records(1)).subscribe("t").unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    consumer.pause([("t", 0)]).unwrap();
    consumer.seek(("t", 0), 3).unwrap();
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    consumer.resume([("t", 0)]).unwrap();
    assert_eq!(offsets(&rest(&mut consumer)), [3, 4]);
}

fn what_is_not_assigned_cannot_be_paused(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([("t", 1)]).unwrap();
    for of in [("t", 0), ("t", 2), ("nowhere", 0)] {
        assert_refused!(consumer.pause([("t", 1), of]), Error::IllegalState(_));
        assert!(consumer.paused().is_empty(), "all of them or none");
    }
    consumer.pause([("t", 1)]).unwrap();
    assert_refused!(consumer.resume([("t", 1), ("t", 0)]), Error::IllegalState(_));
    assert_eq!(consumer.paused(), [("t", 1).into()]);
    consumer.resume(Vec::<(&str, i32)>::new()).unwrap();
}
