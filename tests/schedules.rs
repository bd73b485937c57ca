//! What threads share, under many schedules: the crate `shuttle` decides at each lock, atomic, wait and channel of the
//! library who goes on. Its clock stands still unless a test has time pass, so a thread that nobody wakes is a deadlock, which
//! is an error. `tests/schedules/run` runs it; an ordinary build knows nothing of it.
//!
//! `BROOKLET_SEED` and `BROOKLET_SEEDS` choose the first seed and how many, each for `EACH` random schedules and as many of
//! PCT's, which change their mind seldom; a failure prints the command that replays it.

#![cfg(brooklet_shuttle)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::disallowed_methods)]

use brooklet::{
    Broker, Client, Consumer, ConsumerConfig, CooperativeStickyAssignor, Durability, Error, Producer,
    ProducerConfig, RebalanceConsumer, RebalanceListener, Record, Result, SimDisk, TopicConfig,
    TopicPartition,
};
use shuttle::{
    Config, FailurePersistence, Runner,
    scheduler::{PctScheduler, RandomScheduler, Scheduler, UncontrolledNondeterminismCheckScheduler},
    thread::{JoinHandle, spawn},
};
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How many schedules of a kind one seed stands for.
const EACH: usize = 50;
/// How many seeds are run if nobody says.
const SEEDS: u64 = 20;
/// How often PCT's schedules go on with another thread although one could go on, and one more.
const DEPTH: usize = 3;
const HEARTBEAT: Duration = Duration::from_secs(3);
/// A thread needs more than the crate's default.
const STACK: usize = 1 << 20;

fn run(scheduler: impl Scheduler + 'static, test: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(test);
}

/// Runs a test, whose name is given, under all schedules.
fn check(name: &str, test: fn()) {
    let begun = Instant::now();
    let runs = Arc::new(AtomicU64::new(0));
    for seed in brooklet::seeds(SEEDS) {
        let counted = || {
            let runs = Arc::clone(&runs);
            move || {
                runs.fetch_add(1, Ordering::Relaxed);
                test();
            }
        };
        let failed = catch_unwind(AssertUnwindSafe(|| {
            run(RandomScheduler::new_from_seed(seed, EACH), counted());
            run(PctScheduler::new_from_seed(seed, DEPTH, EACH), counted());
        }));
        if let Err(panic) = failed {
            let runs = runs.load(Ordering::Relaxed);
            eprintln!(
                "{name} failed under schedule {runs}; again: BROOKLET_SEED={seed} BROOKLET_SEEDS=1 tests/schedules/run {name}"
            );
            resume_unwind(panic);
        }
    }
    println!("{name}: {} schedules in {:.1} s", runs.load(Ordering::Relaxed), begun.elapsed().as_secs_f32());
}

/// A broker with the topic `t` of one partition, and threads for timers and the disk.
fn broker(disk: &SimDisk, durability: Durability) -> Broker {
    let broker = Broker::builder().disk(disk).open("data").unwrap();
    broker.create_topic("t", TopicConfig::new().durability(durability)).unwrap();
    broker
}

fn reader(client: &Client) -> Consumer {
    reader_of(client, ConsumerConfig::standalone())
}

fn reader_of(client: &Client, config: ConsumerConfig) -> Consumer {
    client.consumer(config).assign([("t", 0)]).unwrap()
}

/// Offsets, and the values that are there.
type Acknowledged = Vec<(i64, String)>;

/// Produces records whose values begin with `name`, until one fails, and gives what was acknowledged, with what failed.
fn produce(broker: &Broker, name: &'static str, count: usize) -> JoinHandle<(Acknowledged, Result<()>)> {
    let broker = broker.clone();
    spawn(move || {
        let mut acknowledged = Vec::new();
        for n in 0..count {
            let value = format!("{name} {n}");
            match broker.produce(Record::to("t").value(&*value)) {
                Ok(at) => acknowledged.push((at.offset, value)),
                Err(error) => return (acknowledged, Err(error)),
            }
        }
        (acknowledged, Ok(()))
    })
}

/// Polls without an end until there were so many records, or an error.
fn poll(mut consumer: Consumer, count: usize) -> Result<usize> {
    let mut seen = 0;
    while seen < count {
        seen += consumer.poll(Duration::MAX)?.len();
    }
    Ok(seen)
}

fn an_append_wakes(durability: Durability) {
    let broker = broker(&SimDisk::new(1), durability);
    // What is less than three batches does for neither of its fetches.
    let patient = ConsumerConfig::standalone().fetch_min_bytes(200).fetch_max_wait(Duration::from_secs(1));
    let readers = [reader(broker.client()), reader_of(broker.client(), patient)];
    let readers = readers.map(|reader| spawn(move || poll(reader, 3)));
    for producer in [produce(&broker, "a", 2), produce(&broker, "b", 1)] {
        producer.join().unwrap().1.unwrap();
    }
    for reader in readers {
        assert_eq!(reader.join().unwrap().unwrap(), 3);
    }
    broker.close().unwrap();
}

#[test]
fn an_append_wakes_who_polls() {
    check("an_append_wakes_who_polls", || an_append_wakes(Durability::Buffered));
}

#[test]
fn a_flush_wakes_who_polls() {
    check("a_flush_wakes_who_polls", || an_append_wakes(Durability::Flushed));
}

/// Sends through a batching producer, which is another thread's too, and gives what was delivered.
fn send(producer: &Producer, name: &'static str) -> JoinHandle<Acknowledged> {
    let producer = producer.clone();
    spawn(move || {
        let mut delivered = Vec::new();
        for n in 0..2 {
            let value = format!("{name} {n}");
            match producer.send(Record::to("t").value(&*value)).and_then(|delivery| delivery.wait()) {
                Ok(at) => delivered.push((at.offset, value)),
                Err(error) => assert!(matches!(error, Error::Closed), "{error:?}"),
            }
        }
        delivered
    })
}

fn a_close_meets_producers() {
    let disk = SimDisk::new(1);
    let before = broker(&disk, Durability::Buffered);
    let producers = [produce(&before, "a", 2), produce(&before, "b", 2)];
    let batching = before.producer(ProducerConfig::new()).unwrap();
    let senders = [send(&batching, "c"), send(&batching, "d")];
    let polling = reader(before.client());
    let polling = spawn(move || poll(polling, usize::MAX));
    before.close().unwrap();
    let mut acknowledged: Acknowledged =
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
    batching.close().unwrap();
    for producer in producers {
        let (records, end) = producer.join().unwrap();
        assert!(matches!(end, Ok(()) | Err(Error::Closed)), "{end:?}");
        acknowledged.extend(records);
    }
    assert!(matches!(polling.join().unwrap(), Err(Error::Closed)));
    let after = Broker::builder().disk(&disk).open("data").unwrap();
    assert!(after.recovery().clean);
    let mut reader = reader(after.client());
    let mut there = BTreeMap::new();
    while !reader.is_caught_up().unwrap() {
        let records = reader.poll(Duration::ZERO).unwrap();
        there.extend(records.iter().map(|record| (record.offset(), record.value_str().unwrap().to_owned())));
    }
    for (offset, value) in acknowledged {
        assert_eq!(there.get(&offset), Some(&value));
    }
    after.close().unwrap();
}

#[test]
fn a_close_leaves_no_producer_in_doubt() {
    check("a_close_leaves_no_producer_in_doubt", a_close_meets_producers);
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::UnknownTopicId { .. } | Error::UnknownTopicOrPartition { .. })
}

fn a_deletion_meets_a_fetch() {
    let broker = broker(&SimDisk::new(1), Durability::Buffered);
    let polling = reader(broker.client());
    let polling = spawn(move || poll(polling, usize::MAX));
    let producer = produce(&broker, "a", 2);
    broker.admin().delete_topic("t").unwrap();
    let end = polling.join().unwrap().unwrap_err();
    assert!(is_unknown(&end), "{end:?}");
    let (_, end) = producer.join().unwrap();
    assert!(end.as_ref().err().is_none_or(is_unknown), "{end:?}");
    broker.close().unwrap();
}

#[test]
fn a_deletion_ends_a_fetch() {
    check("a_deletion_ends_a_fetch", a_deletion_meets_a_fetch);
}

/// A member, which loses nothing unless it is late.
struct Keeps {
    may_lose: bool,
}

impl RebalanceListener for Keeps {
    fn lost(&mut self, _: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        assert!(self.may_lose, "{partitions:?} are lost");
        Ok(())
    }
}

/// One member leaves as its heart beats, and another comes.
fn a_heart_meets_a_close(max_poll_interval: Duration) {
    let broker = broker(&SimDisk::new(1), Durability::Buffered);
    broker.produce(Record::to("t").value("v")).unwrap();
    let config = move || {
        let config = ConsumerConfig::new("g").assignor(CooperativeStickyAssignor);
        config.heartbeat_interval(HEARTBEAT).max_poll_interval(max_poll_interval)
    };
    let may_lose = max_poll_interval <= 3 * HEARTBEAT;
    let mut leaves = broker.consumer(config()).on_rebalance(Keeps { may_lose }).subscribe("t").unwrap();
    let time = broker.clone();
    let time = spawn(move || (0..3).for_each(|_| time.let_time_pass(HEARTBEAT)));
    let comes = broker.clone();
    let comes = spawn(move || poll(comes.consumer(config()).subscribe("t").unwrap(), 1));
    for _ in 0..3 {
        leaves.poll(Duration::ZERO).unwrap();
    }
    leaves.close().unwrap();
    assert_eq!(comes.join().unwrap().unwrap(), 1);
    time.join().unwrap();
    assert!(broker.admin().describe_group("g").unwrap().members.is_empty());
    broker.close().unwrap();
}

fn a_heart_meets_a_close_in_time() {
    a_heart_meets_a_close(100 * HEARTBEAT);
}

#[test]
fn a_member_leaves_while_its_heart_beats() {
    check("a_member_leaves_while_its_heart_beats", a_heart_meets_a_close_in_time);
}

/// The heart, too, has it leave.
#[test]
fn a_member_leaves_while_it_is_late() {
    check("a_member_leaves_while_it_is_late", || a_heart_meets_a_close(2 * HEARTBEAT));
}

/// Else no seed would give a schedule again.
#[test]
fn nothing_but_the_schedule_is_left_to_chance() {
    for test in [a_close_meets_producers, a_deletion_meets_a_fetch, a_heart_meets_a_close_in_time] {
        run(UncontrolledNondeterminismCheckScheduler::new(RandomScheduler::new_from_seed(0, EACH)), test);
    }
}
