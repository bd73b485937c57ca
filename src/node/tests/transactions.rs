//! What a reader sees of transactions, whose batches and markers no client of this version writes.

use super::*;
use crate::{
    client::{Client, Consumer},
    config::ConsumerConfig,
    group::{CommitRecord, Committed},
    record::{BatchWriter, Record},
    types::{Acks, Durability, OffsetSpec, Timestamp},
};

/// A broker on a disk that can be opened anew.
struct World {
    disk: SimDisk,
    node: Arc<Node>,
    client: Client,
    /// By topic, partition and producer.
    sequences: std::cell::RefCell<BTreeMap<(String, i32, i64), i32>>,
}

impl World {
    fn open(disk: SimDisk) -> Self {
        let node = open(&disk).unwrap().0;
        let client = client(&node);
        Self { disk, node, client, sequences: Default::default() }
    }

    fn with_topic() -> Self {
        let world = Self::open(SimDisk::new(0));
        world.client.create_topic("t", TopicConfig::new()).unwrap();
        world
    }

    fn reopen(self) -> Self {
        self.node.close().unwrap();
        let (disk, sequences) = (self.disk.clone(), self.sequences.clone());
        drop(self);
        Self { sequences, ..Self::open(disk) }
    }

    /// Appends a record, of a transaction or as its marker.
    fn append(&self, topic: &str, partition: i32, id: i64, is_marker: bool, (key, value): (&[u8], &[u8])) {
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        writer.push(Timestamp::from_millis(1000), Some(key), Some(value), &[]).unwrap();
        let batch = &mut writer.finish_transactional(id, is_marker);
        if !is_marker {
            let mut sequences = self.sequences.borrow_mut();
            let next = sequences.entry((topic.to_owned(), partition, id)).or_default();
            batch.set_producer(id, 0, *next);
            *next += 1;
        }
        let partition = self.node.partition_named(topic, partition).unwrap();
        self.node.append(&partition, batch, (Acks::All, Durability::Buffered)).unwrap();
    }

    fn in_transaction(&self, id: i64, value: &str) {
        self.append("t", 0, id, false, (b"k", value.as_bytes()));
    }

    fn end(&self, topic: &str, partition: i32, id: i64, commit: bool) {
        self.append(topic, partition, id, true, (&[0, 0, 0, u8::from(commit)], &[0; 6]));
    }

    fn put(&self, value: &str) {
        self.client.produce(Record::to("t").value(value).timestamp(Timestamp::from_millis(2000))).unwrap();
    }

    fn reader(&self, isolation: IsolationLevel) -> Consumer {
        let config = ConsumerConfig::standalone().isolation_level(isolation);
        self.client.consumer(config).assign([("t", 0)]).unwrap()
    }

    /// What a reader gets, and where it stands then.
    fn read(&self, isolation: IsolationLevel) -> (String, i64) {
        let mut consumer = self.reader(isolation);
        let mut values = String::new();
        for _ in 0..20 {
            let records = consumer.poll(Duration::ZERO).unwrap();
            values.extend(records.iter().map(|record| record.value_str().unwrap().to_owned()));
        }
        (values, consumer.position(("t", 0)).unwrap())
    }
}

const COMMITTED: IsolationLevel = IsolationLevel::ReadCommitted;
const UNCOMMITTED: IsolationLevel = IsolationLevel::ReadUncommitted;

#[test]
fn rule_30_read_uncommitted_shows_what_was_aborted_and_read_committed_does_not() {
    let mut world = World::with_topic();
    world.in_transaction(1, "a");
    world.put("b");
    world.in_transaction(2, "c");
    world.in_transaction(1, "d");
    world.end("t", 0, 1, false);
    world.end("t", 0, 2, true);
    world.put("e");
    for _ in 0..2 {
        assert_eq!(world.read(UNCOMMITTED), ("abcde".to_owned(), 7));
        assert_eq!(world.read(COMMITTED), ("bce".to_owned(), 7));
        world = world.reopen();
    }
}

#[test]
fn rule_29_read_committed_ends_where_the_first_open_transaction_begins() {
    let world = World::with_topic();
    world.put("a");
    world.in_transaction(1, "b");
    world.put("c");
    assert_eq!(world.read(UNCOMMITTED), ("abc".to_owned(), 3));
    assert_eq!(world.read(COMMITTED), ("a".to_owned(), 1));
    world.end("t", 0, 1, true);
    assert_eq!(world.read(COMMITTED), ("abc".to_owned(), 4));
}

#[test]
fn rule_03_a_fetch_above_the_last_stable_offset_is_empty_up_to_the_end() {
    let world = World::open(SimDisk::new(0));
    let partition = make_topic(&world.node);
    world.in_transaction(1, "a");
    world.put("b");
    for (offset, fine) in [(0, true), (1, true), (2, true), (3, false)] {
        let request = FetchRequest { isolation: COMMITTED, ..fetch(partition, offset) };
        let answer = world.node.fetch(1.into(), &request).wait(world.node.clock(), Instant::default());
        match answer.unwrap().partitions.remove(0) {
            Ok(fetched) => assert!(fine && fetched.records.is_empty(), "{offset}: {fetched:?}"),
            Err(error) => assert!(!fine && matches!(error, Error::OffsetOutOfRange { .. }), "{error}"),
        }
    }
}

#[test]
fn rule_08_a_time_at_or_above_the_last_stable_offset_gives_no_offset() {
    let world = World::with_topic();
    world.in_transaction(1, "a");
    world.put("b");
    let find = |isolation, ms| {
        let at = OffsetSpec::Timestamp(Timestamp::from_millis(ms));
        world.reader(isolation).offset(("t", 0), at).unwrap()
    };
    for (ms, uncommitted) in [(1000, Some(0)), (2000, Some(1)), (2001, None)] {
        assert_eq!((find(UNCOMMITTED, ms), find(COMMITTED, ms)), (uncommitted, None), "{ms}");
    }
    world.end("t", 0, 1, true);
    assert_eq!((find(COMMITTED, 1000), find(COMMITTED, 2000)), (Some(0), Some(1)));
}

#[test]
fn rule_34_offsets_of_a_transaction_count_when_it_commits() {
    for commit in [true, false] {
        let mut world = World::with_topic();
        (0..9).for_each(|_| world.put("x"));
        world.client.consumer("g").assign([("t", 0)]).unwrap().commit_offsets([(("t", 0), 3)]).unwrap();
        let committed = |world: &World| {
            let consumer = world.client.consumer("g").assign([("t", 0)]).unwrap();
            consumer.committed(("t", 0)).unwrap().map(|committed| committed.offset)
        };
        let value = Committed {
            offset: Offset::new(7),
            leader_epoch: None,
            metadata: String::new(),
            at: Timestamp::from_millis(1),
            topic_id: None,
        };
        let record =
            CommitRecord { group: "g".to_owned(), partition: ("t", 0).into(), committed: Some(value) };
        let (key, value) = record.encode().unwrap();
        let number = crate::group::partition_for_group("g", 50);
        world.append("__consumer_offsets", number, 1, false, (&key, &value.unwrap()));
        world = world.reopen();
        assert_eq!(committed(&world), Some(3), "nobody knows yet how it ends");
        world.end("__consumer_offsets", number, 1, commit);
        world = world.reopen();
        assert_eq!(committed(&world), Some(if commit { 7 } else { 3 }));
    }
}
