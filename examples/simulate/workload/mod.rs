//! One seed: a cluster of three brokers or five, producers and consumers, and faults, for at least a virtual minute. After every event
//! the cluster checks its invariants itself; in the end all must have converged, and what the clients have seen must be possible.
//!
//! A seed goes step by step, and what is random in a step, and in its fault, comes from the seed and the step's number alone: a fault can
//! be left out, and the others are as they were. So a seed that fails can be shrunk to the faults that it takes.

mod attempt;
mod consumers;
mod deletions;
mod faults;
mod groups;
mod growth;
mod history;
mod producers;
mod random;
mod shrink;

pub(crate) use attempt::{Failure, attempt};
pub(crate) use faults::Faults;
pub(crate) use shrink::shrink;

use brooklet::{CleanupPolicy, Cluster, ClusterTrace, Mark, Timestamp, TimestampType, TopicConfig};
use faults::Fault;
use history::{History, Partition};
use random::Random;
use std::{collections::BTreeMap, fmt::Display, time::Duration};

/// What a seed must come to before it ends.
const LEAST_TIME: Duration = Duration::from_secs(60);
const LEAST_ACKNOWLEDGED: u64 = 1000;
const LEAST_FAULTS: u64 = 3;
/// By then it must have come to that.
const MOST_TIME: Duration = Duration::from_secs(3600);

/// By the calendars of brokers, which differ.
const SEGMENT_TIME: Duration = Duration::from_secs(600);

/// The topic that is compacted.
const ACCOUNTS: &str = "accounts";

/// How many replicas are to have what is acknowledged.
const MIN_IN_SYNC: i16 = 2;

/// How long faults stay, at most.
const MOST_BROKEN: Duration = Duration::from_secs(30);

/// What a seed has come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) acknowledged: u64,
    pub(crate) in_doubt: u64,
    pub(crate) refused: u64,
    pub(crate) polled: u64,
    /// Records that were asked to be deleted, for sure.
    pub(crate) deleted: u64,
    /// Records that were acknowledged, and in whose place there is only a later one of their key in the end.
    pub(crate) superseded: u64,
    pub(crate) faults: u64,
    pub(crate) virtual_time: Duration,
    pub(crate) marks: BTreeMap<Mark, u64>,
    /// Another one for another story.
    pub(crate) hash: u64,
}

impl Report {
    /// Takes in what another seed has come to.
    pub(crate) fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.in_doubt += other.in_doubt;
        self.refused += other.refused;
        self.polled += other.polled;
        self.deleted += other.deleted;
        self.superseded += other.superseded;
        self.faults += other.faults;
        self.virtual_time += other.virtual_time;
        for (mark, count) in &other.marks {
            *self.marks.entry(*mark).or_default() += count;
        }
    }
}

/// How the topic is set that is compacted: as soon as there is anything to clean.
fn compacted(as_safe: &TopicConfig) -> TopicConfig {
    as_safe.clone().cleanup_policy(CleanupPolicy::Compact).min_cleanable_dirty_ratio(0.01).segment_bytes(2048)
}

pub(crate) struct Run {
    seed: u64,
    /// The number of the step that is under way.
    step: u64,
    random: Random,
    /// Which faults are to happen, which did, and how many were left out.
    faults: Faults,
    happened: Vec<Fault>,
    left_out: u64,
    cluster: Cluster,
    begun: Timestamp,
    partitions: Vec<Partition>,
    /// How many brokers have a copy of each.
    copies: usize,
    /// Then all is healed: a cluster that does nothing finds nothing.
    heal_at: Timestamp,
    /// Whether so many machines may lose power that what was acknowledged is lost.
    careless: bool,
    producers: producers::Producers,
    readers: Vec<consumers::Reader>,
    group: groups::Group,
    /// Counts what was sent.
    values: u64,
    /// The time stamps that producers were told of, by the values.
    stamps: BTreeMap<u64, Timestamp>,
    history: History,
    report: Report,
}

impl Run {
    /// Runs to the end, and gives what the seed has come to, and its story.
    ///
    /// # Panics
    /// If something does not hold.
    fn go(&mut self) -> (Report, ClusterTrace) {
        while !self.is_enough() {
            self.step();
        }
        self.finish();
        let trace = self.cluster.trace();
        self.report.marks = self.cluster.marks();
        self.report.virtual_time = self.elapsed();
        self.report.hash = trace.hash();
        (self.report.clone(), trace)
    }

    fn new(seed: u64, faults: Faults) -> Self {
        let mut random = Random::new(seed);
        let brokers = if random.once_in(4) { 5 } else { 3 };
        let cluster = Cluster::builder()
            .brokers(brokers)
            .seed(seed)
            .replica_lag_time_max(Duration::from_secs(2))
            .offsets_topic_partitions(2)
            // In most runs whoever was away gets a snapshot, in some the log is long enough.
            .metadata_max_bytes_between_snapshots([1_000, 2_000, 4_000, 100_000][seed as usize % 4])
            .leader_imbalance_check_interval(Some(Duration::from_secs(7)))
            .check_invariants(true);
        let safe =
            TopicConfig::new().replication_factor(3).min_insync_replicas(MIN_IN_SYNC).segment_bytes(4096);
        // The topic of groups is as safe as the others.
        let cluster = cluster
            .topic_defaults(TopicConfig::new().replication_factor(3).min_insync_replicas(MIN_IN_SYNC))
            .topic("orders", safe.clone())
            .topic(ACCOUNTS, compacted(&safe))
            .topic("payments", safe.timestamp_type(TimestampType::LogAppendTime).segment_time(SEGMENT_TIME))
            .start()
            .unwrap_or_else(|error| panic!("seed {seed}: a cluster does not start: {error}"));
        let partitions = vec![("orders", 0), ("payments", 0), (ACCOUNTS, 0)];
        let mut history = History::default();
        let made = producers::Producers::new(cluster.client())
            .and_then(|made| Ok((made, consumers::readers(&cluster, &partitions, 2, &mut history)?)));
        let (producers, readers) =
            made.unwrap_or_else(|error| panic!("seed {seed}: there are no clients: {error}"));
        let careless = random.once_in(8);
        let (report, begun) = (Report::default(), cluster.now());
        Self {
            seed,
            step: 0,
            random,
            faults,
            happened: Vec::new(),
            left_out: 0,
            cluster,
            begun,
            partitions,
            copies: 3,
            heal_at: begun + MOST_BROKEN,
            careless,
            producers,
            readers,
            group: groups::Group::default(),
            values: 0,
            stamps: BTreeMap::new(),
            history,
            report,
        }
    }

    fn fail(&self, what: impl Display) -> ! {
        self.cluster.note_failure(&what);
        panic!("seed {}: {what}\n{}", self.seed, self.cluster.trace())
    }

    fn elapsed(&self) -> Duration {
        let since = self.cluster.now().as_millis() - self.begun.as_millis();
        Duration::from_millis(since.unsigned_abs())
    }

    fn is_enough(&self) -> bool {
        let elapsed = self.elapsed();
        if elapsed > MOST_TIME {
            self.fail(format_args!("it does not come to enough: {:?}", self.report));
        }
        elapsed >= LEAST_TIME
            && self.report.acknowledged >= LEAST_ACKNOWLEDGED
            && self.report.faults + self.left_out >= LEAST_FAULTS
    }

    fn step(&mut self) {
        self.step += 1;
        self.random = Random::of_part(self.seed, 2 * self.step);
        match self.random.below(10) {
            0..=3 => self.produce(),
            4..=6 => self.read(),
            7 | 8 => self.go_on_as_group(),
            _ => {
                let pause = self.random.below(3000);
                self.advance(Duration::from_millis(pause));
            }
        }
        if self.cluster.now() >= self.heal_at {
            self.recover();
        } else if self.random.once_in(7) {
            self.fault(Random::of_part(self.seed, 2 * self.step + 1));
        }
    }

    fn advance(&self, by: Duration) {
        self.cluster.advance(by);
    }

    /// With faults healed all converges, and what was seen must be possible.
    fn finish(&mut self) {
        self.random = Random::of_part(self.seed, 0);
        self.recover();
        if self.cluster.run_until(Duration::from_secs(120), Cluster::has_converged).is_err() {
            self.fail(format_args!("it does not converge: {:?}", self.cluster.unconverged()));
        }
        for partition in self.given_up() {
            self.history.given_up(partition);
        }
        self.produce_everywhere();
        self.read_to_the_end_as_group();
        let logs = self.read_to_the_end();
        self.report.superseded = self.history.superseded(&logs);
        let anomalies = self.history.anomalies(&logs);
        if let Some(first) = anomalies.first() {
            self.fail(format_args!("{first}, and {} more", anomalies.len() - 1));
        }
        if let Err(error) = self.close() {
            self.fail(format_args!("what is healed does not end in order: {error}"));
        }
    }

    /// All clients finish, and so do the brokers.
    fn close(&mut self) -> brooklet::Result<()> {
        self.close_group()?;
        self.readers.drain(..).try_for_each(|reader| reader.close())?;
        self.producers.close()?;
        self.cluster.close()
    }

    /// The partitions that were led by who may have lacked something.
    fn given_up(&self) -> Vec<Partition> {
        let trace = self.cluster.trace();
        let lacks = |(topic, number): &Partition| {
            let name = format!(" {topic}-{number}: ");
            trace.lines().iter().any(|line| line.contains(&name) && line.contains("who may lack"))
        };
        let given_up: Vec<Partition> = self.partitions.iter().copied().filter(lacks).collect();
        if !given_up.is_empty() && !self.careless {
            self.fail(format_args!("records may be lost: {given_up:?}"));
        }
        given_up
    }
}
