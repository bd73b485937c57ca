//! What poll, seek, position and the other threads of a consumer promise.

use crate::common::{
    Backend, assert_refused, numbers, offsets, on_every_backend, put, put_batch, put_numbers, reader, rest,
    topic, values, with_threads,
};
use brooklet::{AutoOffsetReset, Consumer, ConsumerConfig, Error, OffsetSpec, Record};
use std::{thread, time::Duration};

on_every_backend![
    a_poll_that_times_out_gives_nothing_and_loses_nothing,
    a_wakeup_ends_the_next_poll_once,
    a_wakeup_is_for_polls_only,
    a_wakeup_spends_no_record,
    a_poll_hands_out_at_most_so_many_records,
    polls_serve_partitions_in_turn,
    records_know_their_partitions_and_their_ends,
    a_position_moves_with_polls_and_seeks,
    seeks_go_to_the_ends_and_back,
    to_be_caught_up_is_to_stand_at_the_end_of_every_partition,
    what_is_not_assigned_has_no_position,
    each_consumer_has_its_own_position,
];

with_threads![
    a_poll_wakes_on_the_append_of_another_thread,
    a_wakeup_ends_a_poll_that_waits,
    many_wakeups_in_a_row_do_no_harm,
    records_are_read_while_others_are_appended,
];

/// Runs a poll in a thread of its own.
fn polling(mut consumer: Consumer) -> thread::JoinHandle<(Consumer, brooklet::Result<brooklet::Records>)> {
    thread::spawn(move || {
        let polled = consumer.poll(Duration::MAX);
        (consumer, polled)
    })
}

fn a_poll_wakes_on_the_append_of_another_thread(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    // Whether the append or the poll comes first is the scheduler's choice, and both must do.
    for n in 0..200 {
        let poll = polling(consumer);
        let at = client.produce(Record::to("t").value(&n.to_string()).partition(n % 3)).unwrap();
        let (back, polled) = poll.join().unwrap();
        let records = polled.unwrap();
        let got: Vec<_> = records.iter().map(|r| (r.partition(), r.offset())).collect();
        assert_eq!(got, [(at.partition, at.offset)]);
        consumer = back;
    }
}

fn a_poll_that_times_out_gives_nothing_and_loses_nothing(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    for n in 0..3 {
        let before = client.now();
        assert!(consumer.poll(Duration::from_millis(5)).unwrap().is_empty());
        assert!(client.now() >= before + Duration::from_millis(5), "it waited");
        put(&client, "t", "x");
        assert_eq!(offsets(&rest(&mut consumer)), [n]);
    }
}

fn a_wakeup_ends_a_poll_that_waits(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    for _ in 0..200 {
        let handle = consumer.handle();
        let poll = polling(consumer);
        handle.wakeup();
        let (back, polled) = poll.join().unwrap();
        assert_refused!(polled, Error::Wakeup);
        consumer = back;
    }
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty(), "each wakeup was spent");
}

fn a_wakeup_ends_the_next_poll_once(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 2);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    let handle = consumer.handle();
    for timeout in [Duration::MAX, Duration::ZERO] {
        handle.wakeup();
        handle.clone().wakeup();
        assert_refused!(consumer.poll(timeout), Error::Wakeup);
    }
    assert_eq!(consumer.poll(Duration::ZERO).unwrap().len(), 2);
}

fn a_wakeup_is_for_polls_only(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 2);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.handle().wakeup();
    assert!(!consumer.is_caught_up().unwrap());
    assert_eq!(consumer.position(("t", 0)).unwrap(), 0);
    assert_eq!(consumer.assignment().len(), 1);
    consumer.seek(("t", 0), 1).unwrap();
    consumer.seek_all(0).unwrap();
    assert_eq!(consumer.offset(("t", 0), OffsetSpec::Latest).unwrap(), Some(2));
    consumer.commit_offset().unwrap();
    assert_refused!(consumer.poll(Duration::MAX), Error::Wakeup);
}

fn a_wakeup_spends_no_record(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let config = ConsumerConfig::new("g").max_poll_records(1);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    put_batch(&client, "t", &numbers(0..20));
    let mut seen = Vec::new();
    while !consumer.is_caught_up().unwrap() {
        consumer.handle().wakeup();
        assert_refused!(consumer.poll(Duration::ZERO), Error::Wakeup);
        seen.extend(consumer.poll(Duration::ZERO).unwrap());
    }
    assert_eq!(values(&seen), numbers(0..20));
}

/// Each of them leaves a request behind that nobody waits for any more.
fn many_wakeups_in_a_row_do_no_harm(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let mut consumer = reader(&client, "t");
    let handle = consumer.handle();
    let stopped = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                handle.wakeup();
                thread::yield_now();
            }
        });
        for _ in 0..5_000 {
            let polled = consumer.poll(Duration::MAX);
            if !matches!(polled, Err(Error::Wakeup)) {
                stopped.store(true, std::sync::atomic::Ordering::Relaxed);
                panic!("{polled:?}");
            }
        }
        stopped.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

fn a_poll_hands_out_at_most_so_many_records(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 3);
    for partition in 0..3 {
        let values = numbers(0..700);
        client.produce_all(values.iter().map(|v| Record::to("t").value(v).partition(partition))).unwrap();
    }
    let polls = |config: ConsumerConfig| {
        let mut consumer = client.consumer(config).subscribe("t").unwrap();
        let (mut counts, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        while !consumer.is_caught_up().unwrap() {
            let records = consumer.poll(Duration::ZERO).unwrap();
            assert_eq!(records.len(), records.iter().len());
            seen.extend(records.iter().map(|r| (r.partition(), r.offset())));
            counts.push(records.len());
        }
        assert_eq!(seen.len(), 2100, "all of them, each once");
        counts
    };
    assert_eq!(polls(ConsumerConfig::standalone()), [500, 500, 500, 500, 100]);
    assert_eq!(polls(ConsumerConfig::standalone().max_poll_records(usize::MAX)), [2100]);
    assert_eq!(polls(ConsumerConfig::standalone().max_poll_records(1)), [1; 2100]);
}

fn polls_serve_partitions_in_turn(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 4);
    for partition in 0..4 {
        for n in 0..50 {
            client.produce(Record::to("t").value(&n.to_string()).partition(partition)).unwrap();
        }
    }
    let config = ConsumerConfig::standalone().max_poll_records(10);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    let mut served = Vec::new();
    for _ in 0..8 {
        served.extend(consumer.poll(Duration::ZERO).unwrap().partitions().map(|p| p.partition()));
    }
    assert_eq!(served, [0, 1, 2, 3, 0, 1, 2, 3]);
}

fn records_know_their_partitions_and_their_ends(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "b", 2);
    topic(&client, "a", 1);
    for (name, partition) in [("b", 1), ("a", 0), ("b", 1)] {
        client.produce(Record::to(name).value("x").partition(partition)).unwrap();
    }
    let mut consumer = client.consumer("g").subscribe(["b", "a"]).unwrap();
    let records = consumer.poll(Duration::ZERO).unwrap();
    let partitions: Vec<String> = records.partitions().map(ToString::to_string).collect();
    assert_eq!(partitions, ["a-0", "b-1"]);
    let parts = records.by_partition();
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [1, 2]);
    let next = records.next_offsets();
    assert_eq!(next.len(), 2);
    assert_eq!(next.get(("a", 0)).unwrap().offset, 1);
    assert_eq!(next.get(("b", 1)).unwrap().offset, 2);
    consumer.commit_offsets(&parts[1]).unwrap();
    assert_eq!(consumer.committed(("a", 0)).unwrap(), None);
    assert_eq!(consumer.committed(("b", 1)).unwrap().unwrap().offset, 2);
}

fn a_position_moves_with_polls_and_seeks(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 5);
    let config = ConsumerConfig::standalone().max_poll_records(2);
    let mut consumer = client.consumer(config).subscribe("t").unwrap();
    let position = |consumer: &Consumer| consumer.position(("t", 0)).unwrap();
    assert_eq!(position(&consumer), 0);
    consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(position(&consumer), 2);
    consumer.seek(("t", 0), 4).unwrap();
    assert_eq!(position(&consumer), 4);
    let records = consumer.poll(Duration::ZERO).unwrap();
    assert_eq!(
        records.iter().map(|r| r.offset()).collect::<Vec<_>>(),
        [4],
        "what was fetched before does not count"
    );
    consumer.seek(("t", 0), 1).unwrap();
    assert_eq!(offsets(&rest(&mut consumer)), [1, 2, 3, 4]);
}

fn seeks_go_to_the_ends_and_back(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    put_numbers(&client, "t", 5);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    consumer.seek_all(OffsetSpec::Latest).unwrap();
    assert!(consumer.is_caught_up().unwrap());
    assert!(consumer.poll(Duration::ZERO).unwrap().is_empty());
    consumer.seek_all(OffsetSpec::Earliest).unwrap();
    assert_eq!(consumer.poll(Duration::ZERO).unwrap().len(), 5);
    consumer.seek(("t", 0), OffsetSpec::At(3)).unwrap();
    assert_eq!(offsets(&rest(&mut consumer)), [3, 4]);
    assert_eq!(consumer.committed(("t", 0)).unwrap(), None, "to seek is not to commit");
}

fn to_be_caught_up_is_to_stand_at_the_end_of_every_partition(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    let mut consumer = client.consumer("g").subscribe("t").unwrap();
    assert!(consumer.is_caught_up().unwrap(), "there is nothing");
    client.produce(Record::to("t").value("x").partition(1)).unwrap();
    assert!(!consumer.is_caught_up().unwrap());
    consumer.poll(Duration::ZERO).unwrap();
    assert!(consumer.is_caught_up().unwrap());
    let latest = ConsumerConfig::standalone().auto_offset_reset(AutoOffsetReset::Latest);
    assert!(client.consumer(latest).subscribe("t").unwrap().is_caught_up().unwrap());
}

fn what_is_not_assigned_has_no_position(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 2);
    topic(&client, "other", 1);
    let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([("t", 1)]).unwrap();
    for of in [("t", 0), ("t", 2), ("other", 0), ("nowhere", 0)] {
        assert_refused!(consumer.position(of), Error::IllegalState(_));
        assert_refused!(consumer.seek(of, 0), Error::IllegalState(_));
        assert_refused!(consumer.offset(of, OffsetSpec::Latest), Error::IllegalState(_));
    }
    assert_refused!(client.consumer("g").assign(Vec::<(&str, i32)>::new()), Error::IllegalState(_));
}

fn each_consumer_has_its_own_position(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put_numbers(&client, "t", 4);
    let (mut a, mut b) = (reader(&client, "t"), reader(&client, "t"));
    assert_eq!(rest(&mut a).len(), 4);
    assert_eq!(b.position(("t", 0)).unwrap(), 0);
    b.seek(("t", 0), 3).unwrap();
    assert_eq!(offsets(&rest(&mut b)), [3]);
    assert!(rest(&mut a).is_empty());
}

fn records_are_read_while_others_are_appended(backend: &mut Backend) {
    const EACH: usize = 2000;
    let client = backend.client();
    client.create_topic("t", brooklet::TopicConfig::new().partitions(2).segment_bytes(8192)).unwrap();
    thread::scope(|scope| {
        for producer in 0..2 {
            let client = client.clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    let value = format!("{producer} {n}");
                    client.produce(Record::to("t").value(&value).partition(producer)).unwrap();
                }
            });
        }
        let mut seen = [0, 0];
        let mut consumer = client.consumer("g").subscribe("t").unwrap();
        while seen != [EACH, EACH] {
            for record in &consumer.poll(Duration::MAX).unwrap() {
                let next = &mut seen[record.partition() as usize];
                assert_eq!(record.value_str().unwrap(), format!("{} {next}", record.partition()));
                assert_eq!(record.offset(), *next as i64);
                *next += 1;
            }
        }
    });
}
