//! The feature `metrics`: what a recorder gets. On a manual clock the broker publishes on the thread that moves the time, so
//! that each test has a recorder of its own.

use crate::{
    common::{put, put_batch, put_numbers, read_all, topic},
    on,
};
use brooklet::{Broker, ConsumerConfig, Durability, Offsets, Record, SimDisk, TopicConfig};
use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, atomics::AtomicU64,
    with_local_recorder,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

const SECOND: Duration = Duration::from_secs(1);

/// A name, and whether it is a `counter` or a `gauge`.
type Kinds = BTreeSet<(String, &'static str)>;

/// Keeps the last value of each.
#[derive(Default)]
struct Numbers {
    described: Mutex<Kinds>,
    /// By name and labels.
    values: Mutex<BTreeMap<String, (&'static str, Arc<AtomicU64>)>>,
    /// How often the number of topics came.
    times: AtomicU64,
}

impl Numbers {
    fn keep(&self, key: &Key, kind: &'static str) -> Arc<AtomicU64> {
        let labels: Vec<String> = key.labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut values = self.values.lock().unwrap();
        Arc::clone(&values.entry(name).or_insert_with(|| (kind, Arc::default())).1)
    }

    fn describe(&self, name: &KeyName, kind: &'static str) {
        self.described.lock().unwrap().insert((name.as_str().to_owned(), kind));
    }

    /// `None`: it was never published.
    fn get(&self, name: &str) -> Option<u64> {
        let values = self.values.lock().unwrap();
        let (kind, value) = values.get(name)?;
        let value = value.load(Ordering::SeqCst);
        Some(if *kind == "gauge" { f64::from_bits(value) as u64 } else { value })
    }

    fn of_broker(&self, name: &str) -> Option<u64> {
        self.get(&format!("{name}{{dir=data}}"))
    }

    fn of_topic(&self, name: &str, topic: &str) -> Option<u64> {
        self.get(&format!("{name}{{dir=data,topic={topic}}}"))
    }

    fn published(&self) -> Kinds {
        let values = self.values.lock().unwrap();
        values.iter().map(|(name, (kind, _))| (name.split('{').next().unwrap().to_owned(), *kind)).collect()
    }
}

impl Recorder for Numbers {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name, "counter");
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&name, "gauge");
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("{name:?} is a histogram");
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.keep(key, "counter"))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.times.fetch_add(u64::from(key.name() == "brooklet_topics"), Ordering::SeqCst);
        Gauge::from_arc(self.keep(key, "gauge"))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("{key} is a histogram");
    }
}

/// The rows of the table in the documentation of `BrokerMetrics`: name, kind and field.
fn table() -> Vec<(String, String, String)> {
    let source = include_str!("../../src/node/metrics.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("/// | `brooklet_"));
    let row = |row: &str| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let field = cells[2].split('`').nth(1).unwrap();
        (format!("brooklet_{}", cells[0].trim_end_matches('`')), cells[1].to_owned(), field.to_owned())
    };
    rows.map(row).collect()
}

/// A bit of everything, and of nothing as much as of something else.
fn work(broker: &Broker) {
    let segments = TopicConfig::new().segment_bytes(1024).partitions(3);
    broker.create_topic("t", segments).unwrap();
    topic(broker.client(), "u", 1);
    let big = "x".repeat(800);
    (0..7).for_each(|_| assert!(put(broker.client(), "t", &big) < 7));
    put_batch(broker.client(), "t", &["1".to_owned(), "2".to_owned(), "3".to_owned()]);
    broker.admin().delete_records(("t", 0), 4).unwrap();
    let too_early = broker.now() + Duration::from_secs(2 * 3600);
    for _ in 0..2 {
        broker.produce(Record::to("t").timestamp(too_early)).unwrap_err();
    }
    broker.produce(Record::to("t").partition(1).durability(Durability::Flushed)).unwrap();
    let mut consumer = broker.consumer(ConsumerConfig::new("g")).subscribe("t").unwrap();
    consumer.poll(Duration::ZERO).unwrap();
    (0..4).for_each(|_| consumer.commit_offset().unwrap());
    for _ in 0..3 {
        consumer.commit_offsets(Offsets::from([(("nowhere", 0), 1)])).unwrap_err();
    }
    consumer.seek(("t", 0), 100).unwrap();
    consumer.poll(Duration::ZERO).unwrap();
}

#[test]
fn the_broker_publishes_each_second_and_as_it_closes() {
    let (numbers, disk) = (Numbers::default(), SimDisk::new(1));
    with_local_recorder(&numbers, || {
        let (broker, clock) = on(&disk);
        let appended = || numbers.of_broker("brooklet_records_appended_total");
        topic(broker.client(), "t", 1);
        put_numbers(broker.client(), "t", 3);
        clock.advance(SECOND - Duration::from_millis(1));
        assert_eq!(appended(), None);
        clock.advance(Duration::from_millis(1));
        assert_eq!(appended(), Some(3));
        put(broker.client(), "t", "x");
        clock.advance(SECOND - Duration::from_millis(1));
        assert_eq!(appended(), Some(3));
        clock.advance(Duration::from_millis(1));
        assert_eq!(appended(), Some(4));
        put(broker.client(), "t", "x");
        broker.close().unwrap();
        assert_eq!(appended(), Some(5));
        assert_eq!(numbers.of_topic("brooklet_topic_records", "t"), Some(5), "as it was before the close");
        let (broker, clock) = on(&disk);
        put(broker.client(), "t", "x");
        clock.advance(SECOND);
        assert_eq!(appended(), Some(6), "a counter goes on in the next broker");
        assert_eq!(numbers.of_topic("brooklet_topic_records", "t"), Some(6));
    });
}

/// There the worker publishes, in a thread that no local recorder is for.
#[test]
fn by_the_wall_clock_it_is_published_in_the_background() {
    let numbers: &Numbers = Box::leak(Box::default());
    metrics::set_global_recorder(numbers).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let broker = Broker::open(dir.path()).unwrap();
    topic(broker.client(), "t", 1);
    put_numbers(broker.client(), "t", 3);
    let name = format!("brooklet_records_appended_total{{dir={}}}", dir.path().display());
    let begun = Instant::now();
    for total in [3, 4] {
        while numbers.get(&name) != Some(total) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", numbers.get(&name));
            thread::yield_now();
        }
        put(broker.client(), "t", "x");
    }
}

#[test]
fn a_manual_clock_that_is_moved_by_a_year_is_worth_one_publication() {
    let numbers = Numbers::default();
    with_local_recorder(&numbers, || {
        let (broker, clock) = on(&SimDisk::new(1));
        clock.advance(SECOND);
        clock.advance(365 * 24 * 3600 * SECOND);
        assert_eq!(numbers.times.load(Ordering::SeqCst), 2);
        broker.close().unwrap();
        clock.advance(SECOND);
        assert_eq!(numbers.times.load(Ordering::SeqCst), 3, "the last one comes with the close");
    });
}

#[test]
fn a_topic_that_is_gone_holds_nothing_and_one_that_is_made_again_counts_on() {
    let numbers = Numbers::default();
    with_local_recorder(&numbers, || {
        let (broker, clock) = on(&SimDisk::new(1));
        let now = |what: &str| {
            clock.advance(SECOND);
            numbers.of_topic(what, "t").unwrap()
        };
        topic(broker.client(), "t", 2);
        put_numbers(broker.client(), "t", 3);
        assert_eq!((now("brooklet_topic_records"), now("brooklet_topic_partitions")), (3, 2));
        broker.admin().delete_topic("t").unwrap();
        assert_eq!((now("brooklet_topic_records"), now("brooklet_topic_partitions")), (0, 0));
        assert_eq!(now("brooklet_topic_records_appended_total"), 3);
        topic(broker.client(), "t", 1);
        put_numbers(broker.client(), "t", 2);
        assert_eq!((now("brooklet_topic_records"), now("brooklet_topic_partitions")), (2, 1));
        assert_eq!(now("brooklet_topic_records_appended_total"), 5);
        // Between two publications.
        broker.admin().delete_topic("t").unwrap();
        topic(broker.client(), "t", 1);
        put(broker.client(), "t", "x");
        assert_eq!(now("brooklet_topic_records_appended_total"), 6);
        assert_eq!(numbers.of_broker("brooklet_records_appended_total"), Some(6));
    });
}

#[test]
fn what_is_published_is_what_the_table_of_the_documentation_says() {
    let numbers = Numbers::default();
    let in_table: BTreeSet<(String, String)> =
        table().into_iter().map(|(name, kind, _)| (name, kind)).collect();
    let owned = |kinds: Kinds| kinds.into_iter().map(|(name, kind)| (name, kind.to_owned()));
    with_local_recorder(&numbers, || {
        let (broker, clock) = on(&SimDisk::new(1));
        let described = numbers.described.lock().unwrap().clone();
        assert_eq!(owned(described).collect::<BTreeSet<_>>(), in_table);
        topic(broker.client(), "t", 1);
        clock.advance(SECOND);
        assert_eq!(owned(numbers.published()).collect::<BTreeSet<_>>(), in_table);
    });
}

#[test]
fn each_number_is_published_under_the_name_of_its_own() {
    let numbers = Numbers::default();
    with_local_recorder(&numbers, || {
        let (broker, clock) = on(&SimDisk::new(1));
        work(&broker);
        // The flushes of the first second come with its end, and are published with the next one's.
        clock.advance(2 * SECOND);
        let metrics = broker.metrics();
        let t = metrics.topics.iter().find(|topic| topic.topic == "t").unwrap();
        let whole = format!("{metrics:?}").replace(&format!("{:?}", metrics.topics), "");
        let mut seen = BTreeSet::new();
        for (name, _, field) in table() {
            let of_topic = name.starts_with("brooklet_topic_");
            let shown = if of_topic { format!("{t:?}") } else { whole.clone() };
            let told = match shown.split_once(&format!("{field}: ")) {
                None if field == "topics.len()" => metrics.topics.len().to_string(),
                told => told.unwrap().1.split([',', ' ']).next().unwrap().replace("0ns", "0"),
            };
            let got = if of_topic { numbers.of_topic(&name, "t") } else { numbers.of_broker(&name) };
            assert_eq!(got.map(|got| got.to_string()), Some(told.clone()), "{name}");
            seen.insert(told);
        }
        assert!(seen.len() > 15, "hardly two are alike, so that none stands in for another: {seen:?}");
        assert_eq!(read_all(broker.client(), "t").len(), 7);
    });
}
