//! What answers a client in the tests of behaviour: the same tests run over each kind of broker, and later over a
//! cluster and a real Kafka. So a test uses nothing but the [`Client`] and the helpers here.

#![allow(dead_code, unused_macros, unused_imports)]

use brooklet::{
    Broker, BrokerBuilder, BrokerMetrics, Client, Cluster, Consumer, ConsumerConfig, Error, ManualClock,
    OwnedRecord, Record, RecordMetadata, SimDisk, TopicConfig,
};
use std::{path::PathBuf, time::Duration};

/// A kind of broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Real files in memory maps, and the system's clock.
    MappedFiles,
    /// Real files without maps, and the system's clock.
    PlainFiles,
    /// A simulated disk and a clock that stands until somebody waits.
    Simulated,
    /// Three brokers that replicate, on such a clock.
    Cluster,
    /// The same, on the system's clock.
    ClusterByWallClock,
}

/// A broker of some kind, that can be closed and opened again.
pub(crate) struct Backend {
    kind: Kind,
    dir: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    clock: ManualClock,
    disk: SimDisk,
    broker: Option<Broker>,
    cluster: Option<Cluster>,
}

impl Backend {
    pub(crate) fn new(kind: Kind) -> Self {
        let is_real = matches!(kind, Kind::MappedFiles | Kind::PlainFiles);
        let temporary = is_real.then(|| tempfile::tempdir().unwrap());
        let dir = temporary.as_ref().map_or("data".into(), |dir| dir.path().join("data"));
        let (clock, disk) = (ManualClock::new(), SimDisk::new(0));
        let mut backend = Self { kind, dir, _temporary: temporary, clock, disk, broker: None, cluster: None };
        backend.reopen();
        backend
    }

    fn builder(&self) -> BrokerBuilder {
        let builder = Broker::builder().seed(1);
        match self.kind {
            Kind::MappedFiles => builder,
            Kind::PlainFiles => builder.memory_maps(false),
            Kind::Simulated | Kind::Cluster | Kind::ClusterByWallClock => {
                builder.clock(&self.clock).disk(&self.disk)
            }
        }
    }

    /// Closes what is open, if it is, and opens it again.
    pub(crate) fn reopen(&mut self) {
        if self.brokers() > 1 {
            return self.restart();
        }
        self.close();
        self.broker = Some(self.builder().open(&self.dir).unwrap());
    }

    fn start(&self) -> Cluster {
        let builder = Cluster::builder().seed(1).offsets_topic_partitions(3);
        if self.kind == Kind::ClusterByWallClock {
            return builder.wall_clock().start().unwrap();
        }
        let cluster = builder.clock(&self.clock).start().unwrap();
        // So that what is asked for is there at once.
        cluster.set_latency(Duration::ZERO, Duration::ZERO);
        // Has the topic of groups made.
        cluster.admin().describe_group("none").unwrap_err();
        cluster.advance(Duration::from_secs(1));
        cluster
    }

    /// Ends all brokers of the cluster in order, and starts them again; or starts the cluster.
    fn restart(&mut self) {
        let Some(cluster) = &self.cluster else {
            self.cluster = Some(self.start());
            return;
        };
        for broker in cluster.brokers() {
            cluster.stop(broker).unwrap();
        }
        for broker in cluster.brokers() {
            cluster.restart(broker).unwrap();
        }
        let is_whole = |cluster: &Cluster| {
            let topics = cluster.admin().list_topics().unwrap_or_default();
            let has_leaders = |topic: &String| {
                (0..).map_while(|n| cluster.isr(topic, n).ok().map(|isr| (n, isr.len()))).all(
                    |(n, in_sync)| in_sync == cluster.brokers().len() && cluster.leader(topic, n).is_ok(),
                )
            };
            cluster.controller().is_ok() && topics.iter().all(has_leaders)
        };
        cluster.run_until(Duration::from_secs(60), is_whole).unwrap();
        cluster.advance(Duration::from_secs(1));
    }

    pub(crate) fn close(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            cluster.close().unwrap();
        }
        if let Some(broker) = self.broker.take() {
            broker.close().unwrap();
        }
    }

    pub(crate) fn client(&self) -> Client {
        match (&self.broker, &self.cluster) {
            (Some(broker), _) => broker.client().clone(),
            (None, Some(cluster)) => cluster.client().clone(),
            (None, None) => panic!("it is closed"),
        }
    }

    /// Lets what was changed come to all brokers.
    pub(crate) fn settle(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.advance(Duration::from_secs(1));
        }
    }

    /// How many brokers there are.
    pub(crate) fn brokers(&self) -> i16 {
        if matches!(self.kind, Kind::Cluster | Kind::ClusterByWallClock) { 3 } else { 1 }
    }

    /// Has all topics remove what they need not keep.
    pub(crate) fn apply_retention(&self) {
        match &self.cluster {
            Some(cluster) => cluster.apply_retention_now().unwrap(),
            None => self.broker.as_ref().unwrap().apply_retention_now().unwrap(),
        }
    }

    /// Has all compacted topics cleaned.
    pub(crate) fn compact(&self) {
        match &self.cluster {
            Some(cluster) => cluster.compact_now(None).unwrap(),
            None => self.broker.as_ref().unwrap().compact_now(None).unwrap(),
        }
    }

    pub(crate) fn compact_topic(&self, topic: &str) -> brooklet::Result<()> {
        match &self.cluster {
            Some(cluster) => cluster.compact_now(Some(topic)),
            None => self.broker.as_ref().unwrap().compact_now(Some(topic)),
        }
    }

    /// How often a log was cleaned since the broker was opened.
    pub(crate) fn cleanings(&self) -> u64 {
        self.metrics().logs_cleaned
    }

    /// How many segments the first topic by its name has; of a cluster the topic `t`.
    pub(crate) fn segments(&self) -> u64 {
        let is_wanted = |topic: &&brooklet::TopicMetrics| self.cluster.is_none() || topic.topic == "t";
        self.metrics().topics.iter().find(is_wanted).unwrap().segments
    }

    /// What the broker counts, or the one of the cluster's that leads the topic `t`.
    fn metrics(&self) -> BrokerMetrics {
        match &self.cluster {
            Some(cluster) => cluster.metrics(cluster.leader("t", 0).unwrap()).unwrap(),
            None => self.broker.as_ref().unwrap().metrics(),
        }
    }

    /// Where real files are.
    pub(crate) fn dir(&self) -> &std::path::Path {
        &self.dir
    }

    /// Moves a virtual clock on.
    pub(crate) fn advance(&self, by: Duration) {
        assert!(self.is_virtual(), "no test waits for the wall clock");
        self.clock.advance(by);
    }

    /// Whether time goes on only while somebody waits: then no test waits for what another thread does.
    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self.kind, Kind::Simulated | Kind::Cluster)
    }
}

/// Runs tests over some kinds of broker. A test is a function of a `&mut Backend`.
macro_rules! on_kinds {
    ($group:ident: $($module:ident $kind:ident),+; $tests:tt) => {
        mod $group {
            use super::*;
            $(crate::common::on_kinds! { @kind $module $kind $tests })+
        }
    };
    (@kind $module:ident $kind:ident [$($test:ident,)*]) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test(&mut crate::common::Backend::new(crate::common::Kind::$kind));
                }
            )*
        }
    };
}
pub(crate) use on_kinds;

/// Runs each of these tests over every kind of broker.
macro_rules! on_every_backend {
    ($($tests:tt)*) => {
        crate::common::on_kinds! {
            every_backend: mapped_files MappedFiles, plain_files PlainFiles, simulated Simulated, cluster Cluster;
            [$($tests)*]
        }
    };
}
pub(crate) use on_every_backend;

/// Runs tests that have threads of their own, whose time passes by itself.
macro_rules! with_threads {
    ($($tests:tt)*) => {
        crate::common::on_kinds! {
            with_threads: mapped_files MappedFiles, plain_files PlainFiles, cluster ClusterByWallClock;
            [$($tests)*]
        }
    };
}
pub(crate) use with_threads;

/// Runs tests that move the clock on.
macro_rules! in_virtual_time {
    ($($tests:tt)*) => {
        crate::common::on_kinds! { in_virtual_time: simulated Simulated, cluster Cluster; [$($tests)*] }
    };
}
pub(crate) use in_virtual_time;

/// Runs tests of a long time, to the millisecond: the brokers of a cluster have much to say to each other meanwhile.
macro_rules! on_a_simulated_broker {
    ($($tests:tt)*) => {
        crate::common::on_kinds! { on_a_simulated_broker: simulated Simulated; [$($tests)*] }
    };
}
pub(crate) use on_a_simulated_broker;

/// Runs tests of what several brokers do not do together: each fetch of a cluster is several, and its handles outlive a broker.
macro_rules! on_one_broker {
    ($($tests:tt)*) => {
        crate::common::on_kinds! {
            on_one_broker: mapped_files MappedFiles, plain_files PlainFiles, simulated Simulated;
            [$($tests)*]
        }
    };
}
pub(crate) use on_one_broker;

/// Runs tests that look at the files.
macro_rules! on_real_files {
    ($($tests:tt)*) => {
        crate::common::on_kinds! {
            on_real_files: mapped_files MappedFiles, plain_files PlainFiles; [$($tests)*]
        }
    };
}
pub(crate) use on_real_files;

/// Makes a topic of `partitions` partitions.
pub(crate) fn topic(client: &Client, name: &str, partitions: i32) {
    client.create_topic(name, TopicConfig::new().partitions(partitions)).unwrap();
}

/// Puts a value into partition 0 of a topic, and gives its offset.
pub(crate) fn put(client: &Client, topic: &str, value: &str) -> i64 {
    client.produce(Record::to(topic).value(value).partition(0)).unwrap().offset
}

/// Puts `count` records into partition 0 of a topic, each in a batch of its own: `0`, `1`, ...
pub(crate) fn put_numbers(client: &Client, topic: &str, count: usize) {
    for n in 0..count {
        put(client, topic, &n.to_string());
    }
}

/// Puts values into partition 0 of a topic, all in one batch.
pub(crate) fn put_batch(client: &Client, topic: &str, values: &[String]) -> Vec<RecordMetadata> {
    client.produce_all(values.iter().map(|value| Record::to(topic).value(value).partition(0))).unwrap()
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

/// A consumer of no group, of all partitions of a topic.
pub(crate) fn reader(client: &Client, topic: &str) -> Consumer {
    client.consumer(ConsumerConfig::standalone()).subscribe(topic).unwrap()
}

/// All that there is to read.
pub(crate) fn rest(consumer: &mut Consumer) -> Vec<OwnedRecord> {
    let mut records = Vec::new();
    let mut empty = 0;
    while !consumer.is_caught_up().unwrap() {
        let polled = consumer.poll(Duration::from_millis(100)).unwrap();
        empty = if polled.is_empty() { empty + 1 } else { 0 };
        assert!(empty < 100, "there is more to read, and no poll gives it");
        records.extend(polled);
    }
    records
}

pub(crate) fn values(records: &[OwnedRecord]) -> Vec<String> {
    records.iter().map(|record| record.value_str().unwrap().to_owned()).collect()
}

pub(crate) fn offsets(records: &[OwnedRecord]) -> Vec<i64> {
    records.iter().map(OwnedRecord::offset).collect()
}

/// The values of all records of a topic, partition by partition.
pub(crate) fn read_all(client: &Client, topic: &str) -> Vec<String> {
    values(&rest(&mut reader(client, topic)))
}

/// What is committed for a partition, as an offset.
pub(crate) fn committed(consumer: &Consumer, topic: &str, partition: i32) -> Option<i64> {
    consumer.committed((topic, partition)).unwrap().map(|committed| committed.offset)
}

/// What a call was refused with.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T, Error>) -> Error {
    result.expect_err("it should be refused")
}

/// Says that a call was refused with an error of this kind.
macro_rules! assert_refused {
    ($call:expr, $error:pat $(if $guard:expr)?) => {{
        let result = $call;
        assert!(matches!(&result, Err($error) $(if $guard)?), "{result:?} is not {}", stringify!($error));
    }};
}
pub(crate) use assert_refused;
