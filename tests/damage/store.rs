//! A store to be damaged, and what may come of it.

use brooklet::{
    Broker, Client, ConsumerConfig, Durability, Error, OffsetSpec, Offsets, Record, Result, Timestamp,
    TopicConfig,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// How many records the topic `t` has; each has a second of its own, and a value that tells its offset.
pub(crate) const RECORDS: i64 = 120;
/// What the group has committed for the topic.
const COMMITTED: i64 = 77;

/// The files of a closed store, by their names in it.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

fn time(offset: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + offset * 1000)
}

fn value(offset: i64) -> String {
    format!("record {offset} {}", "x".repeat(offset as usize % 50))
}

fn fill(client: &Client) -> Result<()> {
    let config = TopicConfig::new().segment_bytes(1500).index_interval_bytes(300);
    client.ensure_topic("t", config)?;
    client.ensure_topic("flushed", TopicConfig::new().partitions(2).durability(Durability::Flushed))?;
    let mut offset = client.admin().describe_topic("t")?.partitions[0].high_watermark;
    let half = offset + RECORDS / 2;
    while offset < half {
        let values: Vec<String> = (offset..offset + 3).map(value).collect();
        let record = |(n, value)| Record::to("t").value::<String>(value).timestamp(time(offset + n as i64));
        client.produce_all(values.iter().enumerate().map(record))?;
        offset += 3;
    }
    client.produce(Record::to("flushed").key("a").value("b"))?;
    let consumer = client.consumer("g").subscribe("t")?;
    consumer.commit_offsets(Offsets::from([(("t", 0), COMMITTED)]))
}

impl Image {
    /// A store of several segments, made by two runs; closed.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let broker = Broker::builder().seed(1).open(dir.path()).unwrap();
            fill(broker.client()).unwrap();
            broker.close().unwrap();
        }
        let image = Self::of(dir.path());
        assert!(image.logs().len() > 4, "{:?}", image.files.keys());
        image
    }

    pub(crate) fn of(dir: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(dir, dir, &mut files);
        Self { files }
    }

    /// The names of the topic's log files, in order.
    pub(crate) fn logs(&self) -> Vec<String> {
        self.names(|name| name.starts_with("t-0/") && name.ends_with(".log"))
    }

    pub(crate) fn names(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.files.keys().filter(|name| wanted(name)).cloned().collect()
    }

    pub(crate) fn write(&self, dir: &Path) {
        for (name, bytes) in &self.files {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }

    pub(crate) fn with(&self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let mut image = self.clone();
        image.files.insert(name.to_owned(), bytes.into());
        image
    }

    pub(crate) fn without(&self, name: &str) -> Self {
        let mut image = self.clone();
        image.files.remove(name).unwrap();
        image
    }
}

fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// What came of opening and reading a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It could not be opened, or some of it could not be read; all that was read was right.
    Refused,
    /// Everything was there.
    Whole,
}

/// A directory for the images of one test; in memory, where there is such a place.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Opens an image and reads all of it, twice: what is refused or whole the first time is so the second time.
///
/// # Panics
/// If anything is wrong: see this file's first lines.
pub(crate) fn check(image: &Image, maps: bool, what: &str) -> Outcome {
    let dir = scratch();
    let dir = dir.path();
    image.write(dir);
    let first = open_and_read(dir, maps, what);
    for (name, bytes) in image.files.iter().filter(|(name, _)| name.ends_with(".log")) {
        let kept = fs::read(dir.join(name)).unwrap_or_else(|error| panic!("{what}: {name} is gone: {error}"));
        assert!(kept == *bytes, "{what}: {name} was changed");
    }
    let second = open_and_read(dir, maps, what);
    assert_eq!(first, second, "{what}: the second time it was otherwise");
    first
}

fn open_and_read(dir: &Path, maps: bool, what: &str) -> Outcome {
    let broker = match Broker::builder().memory_maps(maps).seed(2).open(dir) {
        Ok(broker) => broker,
        Err(error) => return refused(&error, what),
    };
    let checks = [read_all, read_from_the_middle, look_up_times, look_up_the_commit];
    let mut outcome = Outcome::Whole;
    for check in checks {
        if let Err(error) = check(broker.client(), what) {
            outcome = refused(&error, what);
        }
    }
    broker.close().unwrap_or_else(|error| panic!("{what}: {error}"));
    outcome
}

fn refused(error: &Error, what: &str) -> Outcome {
    let clear = matches!(error, Error::KafkaStorageError { .. } | Error::CorruptMessage { .. });
    assert!(clear, "{what}: {error:?}");
    assert!(!error.to_string().is_empty());
    Outcome::Refused
}

fn read(client: &Client, from: i64, what: &str) -> Result<()> {
    let mut consumer = client.consumer(ConsumerConfig::standalone().max_poll_records(7)).subscribe("t")?;
    consumer.seek(("t", 0), from)?;
    let mut next = from;
    while next < RECORDS {
        let records = consumer.poll(Duration::ZERO)?;
        assert!(!records.is_empty(), "{what}: the records from {next} on are missing, without an error");
        for record in &records {
            let read = (record.offset(), record.timestamp(), record.value_str().unwrap());
            assert_eq!(read, (next, time(next), value(next).as_str()), "{what}");
            next += 1;
        }
    }
    assert!(consumer.is_caught_up()?, "{what}: there are more records than were written");
    Ok(())
}

fn read_all(client: &Client, what: &str) -> Result<()> {
    let end = client.admin().describe_topic("t")?.partitions[0].high_watermark;
    assert_eq!(end, RECORDS, "{what}");
    assert_eq!(client.admin().describe_topic("flushed")?.partitions.len(), 2, "{what}");
    read(client, 0, what)
}

fn read_from_the_middle(client: &Client, what: &str) -> Result<()> {
    [RECORDS / 3, RECORDS - 5].into_iter().try_for_each(|from| read(client, from, what))
}

fn look_up_times(client: &Client, what: &str) -> Result<()> {
    let consumer = client.consumer(ConsumerConfig::standalone()).subscribe("t")?;
    for offset in (0..RECORDS).step_by(7) {
        let spec = OffsetSpec::Timestamp(time(offset));
        assert_eq!(consumer.offset(("t", 0), spec)?, Some(offset), "{what}: by its time");
    }
    Ok(())
}

fn look_up_the_commit(client: &Client, what: &str) -> Result<()> {
    // Not as a member, of which the group would make a note.
    let consumer = client.consumer("g").assign([("t", 0)])?;
    let committed = consumer.committed(("t", 0))?.map(|committed| committed.offset);
    assert_eq!(committed, Some(COMMITTED), "{what}");
    Ok(())
}
