//! Three workers of one group share a topic, in threads; one dies without a goodbye, one comes late:
//!
//!     cargo run --release --example groups
//!
//! Six days of flights are put in while they work. Each worker prints what it owns from when to when. It fails if a flight was
//! handled by nobody, if two workers owned a partition at once, or if more flights came twice than were handed out and not
//! committed when the one died.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "an application reads files, and has threads"
)]
#![allow(clippy::expect_used, reason = "a thread that has panicked has said why")]

use brooklet::{
    Broker, Consumer, ConsumerConfig, ConsumerHandle, Error, RebalanceConsumer, RebalanceListener, Record,
    TopicConfig, TopicPartition,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const TOPIC: &str = "flights";
const GROUP: &str = "gates";
const PARTITIONS: i32 = 6;
/// How many flights a poll hands out at most: so many come twice at most when a worker dies.
const AT_ONCE: usize = 50;
/// How many flights are put in before they are handled.
const AHEAD: usize = 1000;
/// Short, so that the example is: by default a member may be silent for 45 s.
const SESSION: Duration = Duration::from_millis(600);

/// Who owns what, and how often each flight was handled.
#[derive(Default)]
struct Gates {
    owners: BTreeMap<TopicPartition, &'static str>,
    conflicts: Vec<String>,
    handled: BTreeMap<(TopicPartition, i64), u32>,
}

/// With a bell for who waits until more is handled.
type Shared = Arc<(Mutex<Gates>, Condvar)>;

fn lock(gates: &Shared) -> MutexGuard<'_, Gates> {
    gates.0.lock().expect("no panic")
}

/// Waits until so many flights were handled.
fn wait_for(gates: &Shared, flights: usize) -> Result<()> {
    let late = || format!("no more flights are handled than {}", lock(gates).handled.len());
    let wait = gates
        .1
        .wait_timeout_while(lock(gates), Duration::from_secs(60), |gates| gates.handled.len() < flights);
    let timed_out = wait.map_err(|_| "a worker panicked")?.1.timed_out();
    if timed_out { Err(late().into()) } else { Ok(()) }
}

/// Notes and prints what a worker gets and gives up.
struct Log {
    name: &'static str,
    begun: Instant,
    gates: Shared,
}

impl Log {
    fn say(&self, what: &str, partitions: &[TopicPartition]) {
        let numbers: Vec<String> = partitions.iter().map(|of| of.partition().to_string()).collect();
        println!(
            "{:>5} ms  {:<6} {what:<8} {}",
            self.begun.elapsed().as_millis(),
            self.name,
            numbers.join(" ")
        );
    }

    fn take(&self, partitions: &[TopicPartition]) {
        let mut gates = lock(&self.gates);
        for of in partitions {
            if let Some(other) = gates.owners.insert(of.clone(), self.name) {
                gates.conflicts.push(format!("{of} of {other} went to {}", self.name));
            }
        }
    }

    fn leave(&self, partitions: &[TopicPartition]) {
        let mut gates = lock(&self.gates);
        for of in partitions {
            gates.owners.remove(of);
        }
    }
}

impl RebalanceListener for Log {
    fn assigned(
        &mut self,
        _: &mut RebalanceConsumer<'_>,
        partitions: &[TopicPartition],
    ) -> brooklet::Result<()> {
        self.say("gets", partitions);
        self.take(partitions);
        Ok(())
    }

    fn revoked(
        &mut self,
        consumer: &mut RebalanceConsumer<'_>,
        partitions: &[TopicPartition],
    ) -> brooklet::Result<()> {
        consumer.commit_offset()?; // what was handed out is handled: the next owner goes on behind it
        self.say("gives up", partitions);
        self.leave(partitions);
        Ok(())
    }
}

/// What a worker does until it is told to stop; or, if it is mortal, until it has handled so many flights.
fn work(mut consumer: Consumer, gates: &Shared, dies_after: usize) -> Result<()> {
    let mut done = 0;
    loop {
        let records = match consumer.poll(Duration::MAX) {
            Err(Error::Wakeup) => break,
            polled => polled?,
        };
        for record in &records {
            let flight = (record.topic_partition().clone(), record.offset());
            *lock(gates).handled.entry(flight).or_default() += 1;
        }
        gates.1.notify_all();
        done += records.len();
        if done > dies_after {
            // Handled, and not committed.
            lock(gates).owners.retain(|of, _| !consumer.assignment().contains(of));
            consumer.abandon();
            return Ok(());
        }
        consumer.commit_offset()?;
    }
    Ok(consumer.close()?)
}

struct Worker {
    handle: ConsumerHandle,
    thread: JoinHandle<Result<()>>,
}

impl Worker {
    fn start(broker: &Broker, name: &'static str, log: Log, dies_after: usize) -> Result<Self> {
        let config = ConsumerConfig::new(GROUP)
            .client_id(name)
            .max_poll_records(AT_ONCE)
            .session_timeout(SESSION)
            .heartbeat_interval(SESSION / 4);
        let gates = Arc::clone(&log.gates);
        let consumer = broker.consumer(config).on_rebalance(log).subscribe(TOPIC)?;
        let handle = consumer.handle();
        Ok(Self { handle, thread: thread::spawn(move || work(consumer, &gates, dies_after)) })
    }

    fn stop(self) -> Result<()> {
        self.handle.wakeup();
        self.thread.join().map_err(|_| "a worker panicked")?
    }
}

fn main() -> Result<()> {
    let csv = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/flights.csv"))?;
    let flights: Vec<&str> = csv.lines().skip(1).collect();
    let broker = Broker::builder().group_min_session_timeout(SESSION).open_temporary()?;
    broker.create_topic(TOPIC, TopicConfig::new().partitions(PARTITIONS))?;

    let (gates, begun) = (Shared::default(), Instant::now());
    let start = |name, dies_after| {
        Worker::start(&broker, name, Log { name, begun, gates: Arc::clone(&gates) }, dies_after)
    };
    let mut workers =
        vec![start("anna", usize::MAX)?, start("ben", flights.len() / 6)?, start("cleo", usize::MAX)?];
    let mut put_in = 0;
    for some in flights.chunks(100) {
        let tail_number = |flight: &str| flight.split(',').nth(11).unwrap_or_default().to_owned();
        let keys: Vec<String> = some.iter().map(|flight| tail_number(flight)).collect();
        broker.produce_all(
            keys.iter().zip(some).map(|(key, flight)| Record::to(TOPIC).key(key).value(*flight)),
        )?;
        put_in += some.len();
        if put_in >= flights.len() / 2 && workers.len() == 3 {
            workers.push(start("dora", usize::MAX)?);
        }
        wait_for(&gates, put_in.saturating_sub(AHEAD))?;
    }
    wait_for(&gates, flights.len())?;
    workers.into_iter().try_for_each(Worker::stop)?;

    let Gates { conflicts, handled, .. } = &*lock(&gates);
    let again: u32 = handled.values().map(|times| times - 1).sum();
    println!(
        "{} flights handled, {again} of them twice: at most the {AT_ONCE} that the dead one had not committed",
        handled.len()
    );
    if !conflicts.is_empty() || handled.len() != flights.len() || again as usize > AT_ONCE {
        return Err(
            format!("{conflicts:?}, {} of {} flights, {again} twice", handled.len(), flights.len()).into()
        );
    }
    Ok(broker.close()?)
}
