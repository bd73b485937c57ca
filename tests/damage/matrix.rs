//! Every file of a store, cut at every byte, zeroed from every 512 bytes on, every bit flipped: opening and reading it
//! gives what was written or an error that names the place, and salvage gives all but what the damage touched.
//!
//! `BROOKLET_SEED` and `BROOKLET_SEEDS` choose cases: a seed for each, spread over all of them.

use crate::store::{Image, scratch};
use brooklet::{
    Broker, BrokerBuilder, Client, Compression, ConsumerConfig, Durability, Error, ManualClock, Record,
    Result, Timestamp, TopicConfig, TopicPartition,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

/// What a record is, as text, but for its leader epoch.
type Records = BTreeMap<(TopicPartition, i64), String>;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Cut(usize),
    Zeros(usize),
    Flip(usize),
}

impl Harm {
    fn of(self, good: &[u8]) -> Vec<u8> {
        let mut bytes = good.to_vec();
        match self {
            Self::Cut(at) => bytes.truncate(at),
            Self::Zeros(at) => bytes[at..].fill(0),
            Self::Flip(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
        }
        bytes
    }

    /// The bytes that are not what they were.
    fn range(self, len: usize) -> std::ops::Range<usize> {
        match self {
            Self::Cut(at) | Self::Zeros(at) => at..len,
            Self::Flip(bit) => bit / 8..bit / 8 + 1,
        }
    }

    /// All that can be done to a file of this length.
    fn all(len: usize) -> impl Iterator<Item = Self> {
        let zeros = (0..len).step_by(512).map(Self::Zeros);
        (0..len).map(Self::Cut).chain(zeros).chain((0..len * 8).map(Self::Flip))
    }
}

/// A store, and what is in it.
struct Subject {
    image: Image,
    records: Records,
    /// Whether its topics were taken up, so that offsets may be missing in them.
    gaps: bool,
}

impl Subject {
    /// A store of brooklet's: several segments, every codec, two leader epochs, commits.
    fn brooklets() -> Self {
        let dir = scratch();
        for round in 0..2 {
            let broker = builder().open(dir.path()).unwrap();
            fill(broker.client(), round).unwrap();
            broker.close().unwrap();
        }
        Self::of(Image::of(dir.path()), false)
    }

    /// Some directories of Kafka's: transactions, a compacted log, one with its start inside a segment.
    fn kafkas() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kafka-4.3.1/clean/data");
        let mut image = Image::of(&root);
        let wanted = ["txn-", "compacted-", "trimmed-", "mixed-", "__consumer_offsets-"];
        image
            .files
            .retain(|name, _| !name.contains('/') || wanted.iter().any(|topic| name.starts_with(topic)));
        Self::of(image, true)
    }

    fn of(image: Image, gaps: bool) -> Self {
        let dir = scratch();
        image.write(dir.path());
        let broker = builder().open(dir.path()).unwrap();
        let (records, errors) = read_all(broker.client());
        assert!(errors.is_empty() && records.len() > 100, "{errors:?}");
        broker.close().unwrap();
        Self { image, records, gaps }
    }

    fn cases(&self) -> Vec<(&str, Harm)> {
        let of = |(name, bytes): (&String, &Vec<u8>)| {
            Harm::all(bytes.len()).map(|harm| (name.clone(), harm)).collect()
        };
        let cases: Vec<Vec<(String, Harm)>> = self.image.files.iter().map(of).collect();
        let name = |name: &str| self.image.files.get_key_value(name).map(|(name, _)| name.as_str()).unwrap();
        cases.into_iter().flatten().map(|(file, harm)| (name(&file), harm)).collect()
    }

    /// The records that the damage touched: those of the batches that it lies in.
    fn touched(&self, name: &str, harm: Harm) -> BTreeSet<(TopicPartition, i64)> {
        let Some((dir, _)) = name.split_once('/').filter(|(_, file)| file.ends_with(".log")) else {
            return BTreeSet::new();
        };
        let (topic, partition) = dir.rsplit_once('-').unwrap();
        let partition = TopicPartition::new(topic, partition.parse().unwrap());
        let bytes = &self.image.files[name];
        let bad = harm.range(bytes.len());
        let batches =
            batches(bytes).into_iter().filter(|(at, size, ..)| *at < bad.end && bad.start < at + size);
        batches
            .flat_map(|(_, _, first, last)| (first..=last).map(|offset| (partition.clone(), offset)))
            .collect()
    }

    /// Whether nothing can tell: an offset or a leader epoch, which have no checksum, where offsets may be missing; the end
    /// of such a log's segment.
    fn is_beyond_checks(&self, name: &str, harm: Harm) -> bool {
        if !self.gaps || !name.ends_with(".log") {
            return false;
        }
        let bytes = &self.image.files[name];
        let start = harm.range(bytes.len()).start;
        let at = batches(bytes).into_iter().find(|(at, size, ..)| (*at..at + size).contains(&start));
        at.is_some_and(|(at, ..)| match harm {
            Harm::Flip(_) => matches!(start - at, 0..8 | 12..16),
            Harm::Cut(_) | Harm::Zeros(_) => start == at,
        })
    }
}

/// Where each batch lies, how long it is, its first and its last offset.
fn batches(bytes: &[u8]) -> Vec<(usize, usize, i64, i64)> {
    let (mut at, mut found) = (0, Vec::new());
    while at + 61 <= bytes.len() {
        let batch = &bytes[at..];
        let first = i64::from_be_bytes(batch[..8].try_into().unwrap());
        let size = 12 + i32::from_be_bytes(batch[8..12].try_into().unwrap()) as usize;
        let last = first + i64::from(i32::from_be_bytes(batch[23..27].try_into().unwrap()));
        found.push((at, size, first, last));
        at += size;
    }
    found
}

fn builder() -> BrokerBuilder {
    Broker::builder().seed(3).clock(&ManualClock::new()).memory_maps(false)
}

fn fill(client: &Client, round: i64) -> Result<()> {
    let small = || TopicConfig::new().segment_bytes(1500).index_interval_bytes(300);
    client.ensure_topic("t", small())?;
    client.ensure_topic("packed", TopicConfig::new().partitions(2))?;
    client.ensure_topic("flushed", TopicConfig::new().durability(Durability::Flushed))?;
    for n in 0..12 {
        let value = format!("{round} {n} {}", "x".repeat(n as usize * 5));
        let record = |m: i64| {
            let at = Timestamp::from_millis(1_600_000_000_000 + (n ^ 1) * 1000 + m);
            Record::to("t").key("k").value(&value).header("h", "v").timestamp(at)
        };
        client.produce_all((0..3).map(record))?;
    }
    client.produce(Record::to("flushed").value("b"))?;
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let name = format!("{codec}");
        client.ensure_topic(&name, TopicConfig::new().compression(codec))?;
        let value = name.repeat(30);
        client.produce_all((0..4).map(|_| Record::to(&name).key("k").value(&value)))?;
        client.produce(Record::to("packed").key(&name).value(&value))?;
    }
    let mut consumer = client.consumer("g").subscribe("t")?;
    consumer.poll(Duration::ZERO)?;
    consumer.commit_offset()
}

/// All that can be read, and what stood in the way.
fn read_all(client: &Client) -> (Records, Vec<Error>) {
    let (mut records, mut errors) = (Records::new(), Vec::new());
    let topics = match client.admin().list_topics() {
        Ok(topics) => topics,
        Err(error) => return (records, vec![error]),
    };
    for topic in topics {
        let partitions = match client.admin().describe_topic(&topic) {
            Ok(described) => described.partitions.len() as i32,
            Err(error) => {
                errors.push(error);
                continue;
            }
        };
        for partition in 0..partitions {
            let of = TopicPartition::new(&topic, partition);
            if let Err(error) = read_partition(client, &of, &mut records) {
                errors.push(error);
            }
        }
    }
    (records, errors)
}

fn read_partition(client: &Client, of: &TopicPartition, into: &mut Records) -> Result<()> {
    let mut consumer = client.consumer(ConsumerConfig::standalone()).assign([of])?;
    while !consumer.is_caught_up()? {
        for record in &consumer.poll(Duration::ZERO)? {
            let (key, value, at) = (record.key(), record.value(), record.timestamp());
            let headers: Vec<_> = record.headers().iter().collect();
            let text = format!("{key:?} {value:?} {at} {headers:?}");
            assert!(into.insert((of.clone(), record.offset()), text).is_none(), "{of}: an offset twice");
        }
    }
    Ok(())
}

/// Checks that nothing is wrong of what is read; gives what is missing.
fn compare(subject: &Subject, read: &Records, what: &str) -> BTreeSet<(TopicPartition, i64)> {
    for (at, record) in read {
        assert_eq!(subject.records.get(at), Some(record), "{what}: {at:?}");
    }
    subject.records.keys().filter(|at| !read.contains_key(at)).cloned().collect()
}

/// As it is: right, or an error that says where.
fn check_refused(subject: &Subject, dir: &Path, name: &str, what: &str) {
    let (read, errors) = match builder().open(dir) {
        Ok(broker) => {
            let found = read_all(broker.client());
            broker.close().unwrap();
            found
        }
        Err(error) => (Records::new(), vec![error]),
    };
    // Where a log begins has no checksum: what was deleted may come back.
    let missing = match name {
        "log-start-offset-checkpoint" => compare_from_start(subject, &read, what),
        _ => compare(subject, &read, what),
    };
    let log = name.ends_with(".log");
    assert!(missing.is_empty() || !errors.is_empty() || !log, "{what}: lost without a word: {missing:?}");
    for error in &errors {
        let offset = match error {
            Error::CorruptMessage { offset, .. } => Some(*offset),
            Error::KafkaStorageError { offset, .. } => *offset,
            other => panic!("{what}: {other:?}"),
        };
        if log {
            let partition = error.topic_partition().map(ToString::to_string);
            assert_eq!(partition.as_deref(), name.split_once('/').map(|(dir, _)| dir), "{what}: {error}");
            assert!(offset.is_some(), "{what}: {error}");
        }
    }
}

/// Put in order: all but what was touched.
fn check_salvaged(subject: &Subject, dir: &Path, touched: &BTreeSet<(TopicPartition, i64)>, what: &str) {
    let broker = builder().salvage(true).open(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
    let (read, errors) = read_all(broker.client());
    assert!(errors.is_empty(), "{what}: {errors:?} {}", broker.recovery());
    let missing = compare_from_start(subject, &read, what);
    assert!(missing.is_subset(touched), "{what}: {:?} {}", missing.difference(touched), broker.recovery());
    let report = broker.verify(|_| {}).unwrap();
    assert!(report.is_intact(), "{what}: {report}");
    broker.close().unwrap();
    // From now on it is a store like any other.
    let again = builder().open(dir).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(read_all(again.client()).0, read, "{what}");
}

/// As `compare`, where records below a log's start may have come back.
fn compare_from_start(subject: &Subject, read: &Records, what: &str) -> BTreeSet<(TopicPartition, i64)> {
    let first = |of: &TopicPartition| {
        let mut of_it = subject.records.keys().filter(|(partition, _)| partition == of);
        of_it.next().map_or(i64::MAX, |(_, offset)| *offset)
    };
    let known: Records = read
        .iter()
        .filter(|((of, offset), _)| *offset >= first(of))
        .map(|(at, record)| (at.clone(), record.clone()))
        .collect();
    compare(subject, &known, what)
}

/// Runs cases, a seed for each, spread over all.
fn run(subject: &Subject, count: u64, test: &str) {
    let cases = subject.cases();
    let total = cases.len() as u64;
    let (mut tried, mut beyond) = (0, 0);
    for seed in brooklet::seeds(count) {
        // A prime larger than there are cases: all of them come up, each once.
        let (name, harm) = cases[(seed.wrapping_mul(2_147_483_647) % total) as usize];
        let replay = format!("BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --test damage {test}");
        let what = format!("{harm:?} of {name} ({replay})");
        if subject.is_beyond_checks(name, harm) {
            beyond += 1;
            continue;
        }
        let damaged = subject.image.with(name, harm.of(&subject.image.files[name]));
        let dir = scratch();
        damaged.write(dir.path());
        check_refused(subject, dir.path(), name, &what);
        let dir = scratch();
        damaged.write(dir.path());
        check_salvaged(subject, dir.path(), &subject.touched(name, harm), &what);
        tried += 1;
    }
    println!("{tried} of {total} cases; {beyond} that nothing can tell");
    assert!(tried > 0);
}

#[test]
fn any_file_of_brooklets_damaged_anywhere() {
    run(&Subject::brooklets(), 300, "any_file_of_brooklets");
}

#[test]
fn any_file_of_kafkas_damaged_anywhere() {
    run(&Subject::kafkas(), 300, "any_file_of_kafkas");
}
