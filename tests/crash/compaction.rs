//! Compacted topics, with the power cut at every operation of appends, cleanings by hand and in the background, and closes: of
//! each key the last record that survived is there, and no older one comes back behind it.

use crate::replay::{Marks, Random, Replay};
use brooklet::{
    Broker, CleanupPolicy, ConsumerConfig, DiskOp, Durability, ManualClock, Record, Result, SimDisk,
    TopicConfig,
};
use std::{collections::BTreeMap, time::Duration};

/// Keys, and for each offset which one it has; a value is its offset, and there is none where it is a tombstone.
struct World {
    disk: SimDisk,
    clock: ManualClock,
    random: Random,
    sent: Vec<(u64, bool)>,
    durable: usize,
    marks: Marks,
}

const KEYS: u64 = 5;

impl World {
    fn new(seed: u64, n: u64) -> Self {
        let (disk, clock) = (SimDisk::new(seed * 1000 + n), ManualClock::new());
        Self {
            disk,
            clock,
            random: Random::new(seed, 5),
            sent: Vec::new(),
            durable: 0,
            marks: Marks::default(),
        }
    }

    fn open(&self) -> Result<Broker> {
        Broker::builder().disk(&self.disk).clock(&self.clock).seed(1).open("data")
    }

    fn run(&mut self) -> Result<()> {
        let mut broker = self.open()?;
        let config = TopicConfig::new()
            .segment_bytes(1024)
            .cleanup_policy(CleanupPolicy::Compact)
            .delete_retention(Duration::from_secs(30))
            .flush_interval(Duration::from_secs(5));
        broker.create_topic("t", config)?;
        for _ in 0..14 {
            match self.random.below(10) {
                0..=4 => (0..1 + self.random.below(6)).try_for_each(|_| self.send(&broker))?,
                5 => {
                    broker.flush()?;
                    self.durable = self.sent.len();
                }
                6 | 7 => broker.compact_now(Some("t"))?,
                8 => self.clock.advance(Duration::from_secs(1 + self.random.below(40))),
                _ => {
                    broker.close()?;
                    self.durable = self.sent.len();
                    broker = self.open()?;
                }
            }
            self.marks.add("cleanings", broker.metrics().logs_cleaned);
        }
        broker.compact_now(None)
    }

    fn send(&mut self, broker: &Broker) -> Result<()> {
        let (key, is_tombstone) = (self.random.below(KEYS), self.random.below(4) == 0);
        let (name, value) = (format!("k{key}"), format!("{} {}", self.sent.len(), "x".repeat(200)));
        let record = Record::to("t").key(&name);
        let record = if is_tombstone { record.header("padding", &value) } else { record.value(&value) };
        let flushed = self.random.below(5) == 0;
        let durability = if flushed { Durability::Flushed } else { Durability::Buffered };
        self.sent.push((key, is_tombstone));
        let at = broker.produce(record.durability(durability))?;
        assert_eq!(at.offset as usize, self.sent.len() - 1);
        if flushed {
            self.durable = self.sent.len();
        }
        Ok(())
    }

    fn check(&mut self, what: &str) {
        let broker = self.open().unwrap_or_else(|error| panic!("{what}: {error}"));
        let Ok(described) = broker.admin().describe_topic("t") else {
            assert_eq!(self.durable, 0, "{what}: the topic is gone");
            return;
        };
        let (start, end) = (described.partitions[0].log_start_offset, described.partitions[0].high_watermark);
        assert_eq!(start, 0, "{what}: compaction moves no start");
        let end = end as usize;
        assert!(self.durable <= end && end <= self.sent.len(), "{what}: {end} of {}", self.sent.len());
        let mut consumer = broker.consumer(ConsumerConfig::standalone()).assign([("t", 0)]).unwrap();
        let (mut found, mut polls) = (BTreeMap::new(), 0);
        while !consumer.is_caught_up().unwrap() {
            polls += 1;
            assert!(polls < 10_000, "{what}: a consumer never catches up");
            for record in &consumer.poll(Duration::ZERO).unwrap() {
                let (key, is_tombstone) = self.sent[record.offset() as usize];
                assert_eq!(record.key_str().unwrap(), format!("k{key}"), "{what}");
                assert_eq!(record.value().is_none(), is_tombstone, "{what}");
                found.insert(key, record.offset() as usize);
            }
        }
        self.marks.add("records gone", (end - found.len().min(end)) as u64);
        for key in 0..KEYS {
            let last = self.sent[..end].iter().rposition(|(of, _)| *of == key);
            match last {
                Some(at) if self.sent[at].1 => {
                    assert!(found.get(&key).is_none_or(|found| *found == at), "{what}: k{key} is back");
                }
                last => assert_eq!(found.get(&key), last.as_ref(), "{what}: the last record of k{key}"),
            }
        }
        broker.verify(|_| {}).map(|report| assert!(report.is_intact(), "{what}: {report}")).unwrap();
        broker.compact_now(None).unwrap();
        self.marks.add("images", 1);
    }
}

#[test]
fn whatever_the_power_cut_interrupts_the_last_record_of_each_key_stays() {
    let mut marks = Marks::default();
    for seed in brooklet::seeds(5) {
        for n in 0.. {
            let mut world = World::new(seed, n);
            let replay = Replay {
                test: "whatever_the_power_cut_interrupts_the_last_record",
                seed,
                what: format!("operation {n}"),
            };
            let cut = world.disk.intercept(DiskOp::Any).skip(n).power_cut();
            let ran = world.run();
            let hit = cut.hits() > 0;
            cut.remove();
            if !hit {
                ran.unwrap();
                break;
            }
            world.disk.power_cut();
            world.check(&replay.what);
            marks.merge(world.marks);
        }
    }
    if std::env::var_os("BROOKLET_SEEDS").is_none() {
        marks.assert_floors(&[("images", 500), ("cleanings", 500), ("records gone", 1000)]);
    }
}
