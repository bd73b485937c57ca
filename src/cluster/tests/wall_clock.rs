//! Clusters whose time passes by itself, with threads.

use super::*;
use crate::{
    env::{Clock, Slot},
    rpc::Ticket,
};

fn by_the_wall_clock() -> Cluster {
    let config = TopicConfig::new().partitions(3).replication_factor(3).min_insync_replicas(2);
    let builder = Cluster::builder().wall_clock().broker_session_timeout(Duration::from_secs(1));
    builder.offsets_topic_partitions(3).topic("t", config).start().unwrap()
}

#[test]
fn producers_and_a_group_live_in_threads_of_their_own() {
    const THREADS: usize = 4;
    const EACH: usize = 50;
    let cluster = by_the_wall_clock();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let client = cluster.client().clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    let value = format!("{thread}.{n}");
                    client.produce(Record::to("t").key(&value).value(&value)).unwrap();
                }
            });
        }
        let members: Vec<_> = (0..2)
            .map(|_| {
                let client = cluster.client().clone();
                scope.spawn(move || {
                    let config = ConsumerConfig::new("g").heartbeat_interval(Duration::from_millis(50));
                    let mut consumer = client.consumer(config).subscribe("t").unwrap();
                    let mut values = Vec::new();
                    let all = |consumer: &crate::Consumer| {
                        let counts =
                            (0..3).map(|n| consumer.committed(("t", n)).unwrap().map_or(0, |c| c.offset));
                        counts.sum::<i64>() == (THREADS * EACH) as i64
                    };
                    while !all(&consumer) {
                        let records = consumer.poll(Duration::from_millis(20)).unwrap();
                        let polled: Vec<String> =
                            records.iter().map(|record| record.value_str().unwrap().to_owned()).collect();
                        // Whoever has lost its part in between leaves it to the other.
                        if consumer.commit_offsets(&records).is_ok() {
                            values.extend(polled);
                        }
                    }
                    consumer.close().unwrap();
                    values
                })
            })
            .collect();
        let mut values: Vec<String> = members.into_iter().flat_map(|member| member.join().unwrap()).collect();
        values.sort();
        values.dedup();
        assert_eq!(values.len(), THREADS * EACH);
    });
    cluster.close().unwrap();
}

#[test]
fn a_leader_dies_while_others_produce() {
    let cluster = by_the_wall_clock();
    let done = crate::sync::AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let producers: Vec<_> = (0..2)
            .map(|thread| {
                let (cluster, done) = (cluster.clone(), &done);
                scope.spawn(move || {
                    let mut sent = Vec::new();
                    for n in 0.. {
                        if done.load(crate::sync::Ordering::Acquire) && n >= 20 {
                            break;
                        }
                        let value = format!("{thread}.{n}");
                        if put(&cluster, &value).is_ok() {
                            sent.push(value);
                        }
                    }
                    sent
                })
            })
            .collect();
        let leader = cluster.leader("t", 0).unwrap();
        cluster.kill(leader).unwrap();
        let moved = |c: &Cluster| c.leader("t", 0).is_ok_and(|now| now != leader);
        cluster.run_until(Duration::from_secs(20), moved).unwrap();
        cluster.restart(leader).unwrap();
        let whole = |c: &Cluster| c.isr("t", 0).is_ok_and(|isr| isr.len() == 3);
        cluster.run_until(Duration::from_secs(20), whole).unwrap();
        done.store(true, crate::sync::Ordering::Release);
        producers.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let there: BTreeSet<String> = read(&cluster).into_iter().collect();
    let lost: Vec<_> = sent.iter().filter(|value| !there.contains(*value)).collect();
    assert!(lost.is_empty(), "{lost:?}\n{}", cluster.trace());
}

#[test]
fn a_client_goes_on_without_a_handle() {
    let cluster = by_the_wall_clock();
    let client = cluster.client().clone();
    let poll = polling(&client);
    drop(cluster);
    client.produce(Record::to("t").value("x")).unwrap();
    assert_eq!(answer(&poll).unwrap(), 1);
}

#[test]
fn a_poll_ends_with_its_cluster() {
    let dir = tempfile::tempdir().unwrap();
    let real = || Cluster::builder().wall_clock().directory(dir.path()).topic("t", TopicConfig::new());
    for (builder, is_closed) in [(real(), false), (real(), true), (Cluster::builder().wall_clock(), true)] {
        let cluster = builder.topic("t", TopicConfig::new()).start().unwrap();
        let poll = polling(cluster.client());
        if is_closed {
            cluster.close().unwrap();
        }
        drop(cluster);
        assert!(matches!(answer(&poll), Err(Error::Closed)));
    }
}

/// What panics in the cluster's thread: whoever waits is told, and the test fails in the end.
#[test]
fn a_panic_of_its_thread_closes_it() {
    let cluster = by_the_wall_clock();
    let poll = polling(cluster.client());
    let producer = cluster.producer(ProducerConfig::new()).unwrap();
    let panics = |_: Result<RecordMetadata>| panic!("as the test wants it");
    producer.send(Record::to("t").value("x").partition(0)).unwrap().on_complete(panics);
    let mut polled = answer(&poll);
    if polled.is_ok() {
        // The record had come to the consumer before.
        polled = answer(&polling(cluster.client()));
    }
    assert!(matches!(polled, Err(Error::Closed)), "{polled:?}");
    assert!(matches!(producer.produce(Record::to("t").value("y")), Err(Error::Closed)));
    drop(producer);
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(cluster)));
    assert!(dropped.is_err());
}

/// A consumer that waits for ever in a thread of its own: how many records it gets.
fn polling(client: &Client) -> Ticket<usize> {
    let mut consumer = client.consumer(ConsumerConfig::standalone()).subscribe("t").unwrap();
    let ticket = Ticket::new(Slot::new());
    let told = Arc::clone(&ticket);
    let poll = move || assert!(told.fill(consumer.poll(Duration::MAX).map(|records| records.len())));
    crate::sync::spawn("poll", poll).unwrap();
    ticket
}

/// What has become of it, which it has to be told soon.
fn answer(of: &Ticket<usize>) -> Result<usize> {
    let clock = Clock::system();
    of.wait(&clock, clock.now().plus(Duration::from_secs(60))).expect("it ends")
}
