//! A broker beside its model: every operation is done to both, and then both are asked the same.

use crate::{
    log::{Expired, Log, Roll, Written},
    replay::{Marks, Random},
    settings::{Settings, pick},
};
use brooklet::{
    AutoOffsetReset, Broker, Consumer, ConsumerConfig, DiskFault, DiskOp, Error, ManualClock, OffsetSpec,
    Record, SimDisk, Timestamp,
};
use std::{collections::BTreeSet, time::Duration};

const PARTITIONS: i32 = 2;

/// How far ahead of the broker's clock a record may be, in ms.
const AHEAD: i64 = 3_600_000;

/// When a broker looks at retention for the first time, in ms, unless its interval is shorter.
const FIRST_CHECK: i64 = 30_000;

pub(crate) struct World {
    pub(crate) settings: Settings,
    disk: SimDisk,
    clock: ManualClock,
    broker: Option<Broker>,
    logs: Vec<Log>,
    /// When the broker next looks at retention.
    next_check: Option<i64>,
    /// A flush failed: nothing can be appended before the broker is opened anew.
    poisoned: Vec<bool>,
    sent: u64,
}

impl World {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut world = Self {
            settings: Settings::draw(random),
            disk: SimDisk::new(random.next()),
            clock: ManualClock::new(),
            broker: None,
            logs: (0..PARTITIONS).map(|_| Log::new()).collect(),
            next_check: None,
            poisoned: vec![false; PARTITIONS as usize],
            sent: 0,
        };
        world.open();
        world.broker().create_topic("t", world.settings.config(PARTITIONS)).unwrap();
        world
    }

    fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    fn now(&self) -> i64 {
        self.clock.now().as_millis()
    }

    fn open(&mut self) {
        let builder = Broker::builder().disk(&self.disk).clock(&self.clock).seed(1);
        let builder = builder.retention_check_interval(self.settings.check_every());
        self.broker = Some(builder.open("data").unwrap());
        let first = self.settings.check_interval.map(|interval| interval.min(FIRST_CHECK));
        self.next_check = first.map(|first| self.now() + first);
    }

    /// Does one operation, and says which.
    pub(crate) fn step(&mut self, random: &mut Random, marks: &mut Marks) -> String {
        let p = random.below(PARTITIONS as u64) as usize;
        match random.below(100) {
            0..56 => self.send(p, random, marks),
            56..65 => self.advance(random, marks),
            65..70 => self.apply_retention(marks),
            70..77 => self.delete_records(p, random, marks),
            77..86 => self.find(p, random, marks),
            86..95 => self.read(p, random, marks),
            95..98 => self.reopen(random, marks),
            _ => self.fail_a_flush(p, random, marks),
        }
    }

    /// Both say the same of where the logs begin and end, and which segments there are.
    pub(crate) fn check(&self) {
        let described = self.broker().admin().describe_topic("t").unwrap();
        let bases = self.bases();
        for (p, (log, there)) in self.logs.iter().zip(&described.partitions).enumerate() {
            let said = (there.log_start_offset, there.high_watermark);
            assert_eq!(said, (log.start, log.high_watermark), "start and high watermark of t-{p}");
            assert!(bases[p].iter().copied().eq(log.bases()), "segments of t-{p}: {bases:?}, {log:?}");
        }
    }

    /// The segments of each partition that are on the disk, by what was done to their files.
    fn bases(&self) -> Vec<BTreeSet<i64>> {
        let mut bases = vec![BTreeSet::new(); PARTITIONS as usize];
        for operation in self.disk.operations() {
            let name = operation.path.to_str().and_then(|path| path.strip_prefix("data/t-"));
            let log = name.and_then(|name| name.strip_suffix(".log")?.split_once('/'));
            let Some((partition, base)) = log else { continue };
            let (of, base) = (&mut bases[partition.parse::<usize>().unwrap()], base.parse().unwrap());
            match operation.op {
                DiskOp::Rename | DiskOp::Remove => of.remove(&base),
                _ => of.insert(base),
            };
        }
        bases
    }

    /// A time about now: mostly in order, now and then long ago or ahead; rarely too far ahead.
    fn draw_time(&self, random: &mut Random) -> i64 {
        let now = self.now();
        match random.below(20) {
            0..12 => now,
            12..15 => now - random.below(20_000) as i64,
            15..17 => now - random.below(5 * 3_600_000) as i64,
            17 | 18 => now + random.below(AHEAD as u64 + 1) as i64,
            _ => now + AHEAD + random.below(3) as i64,
        }
    }

    fn draw_batch(&mut self, random: &mut Random) -> Vec<Written> {
        let (count, most) = if random.below(2) == 0 { (2 + random.below(6), 40) } else { (1, 800) };
        let mut draw = |_| {
            self.sent += 1;
            let value = format!("{:0>1$}", self.sent, random.below(most) as usize);
            Written { time: self.draw_time(random), value }
        };
        (0..count).map(&mut draw).collect()
    }

    /// Produces a batch; the error of its first record.
    fn produce(&self, p: usize, batch: &[Written]) -> Result<i64, Error> {
        let records = batch.iter().map(|written| {
            let time = Timestamp::from_millis(written.time);
            Record::to("t").partition(p as i32).value(&written.value).timestamp(time)
        });
        match self.broker().produce_all(records) {
            Ok(sent) => {
                let base = sent[0].offset;
                assert!(sent.iter().zip(base..).all(|(sent, offset)| sent.offset == offset), "{sent:?}");
                Ok(base)
            }
            Err(Error::PartialProduce { results, .. }) => Err(results[0].clone().unwrap_err()),
            Err(other) => Err(other),
        }
    }

    fn send(&mut self, p: usize, random: &mut Random, marks: &mut Marks) -> String {
        let batch = self.draw_batch(random);
        let what = format!("t-{p}: send {batch:?} at {}", self.now());
        let sent = self.produce(p, &batch);
        let is_ahead = batch.iter().any(|written| written.time > self.now() + AHEAD);
        if is_ahead && !self.settings.by_broker {
            assert!(matches!(sent, Err(Error::InvalidTimestamp { .. })), "{what}: {sent:?}");
            marks.add("records refused", 1);
        } else if self.poisoned[p] {
            assert!(matches!(sent, Err(Error::Io { .. })), "{what}: {sent:?}");
        } else {
            assert_eq!(sent.unwrap(), self.logs[p].end(), "{what}");
            self.note(p, batch, marks);
            self.logs[p].high_watermark = self.logs[p].end();
        }
        what
    }

    /// Takes a batch into the model that was appended just now.
    fn note(&mut self, p: usize, mut batch: Vec<Written>, marks: &mut Marks) {
        let size = size_of(&batch);
        if self.settings.by_broker {
            let now = self.now();
            batch.iter_mut().for_each(|written| written.time = now);
        }
        let youngest = batch.iter().map(|written| written.time).max().unwrap();
        let roll = self.logs[p].roll(size, youngest, &self.settings);
        let mark = match roll {
            Some(Roll::Size) => "rolls by size",
            Some(Roll::Time) => "rolls by time",
            Some(Roll::Index) => "rolls by a full index",
            Some(Roll::Perhaps) => "rolls that nobody can tell",
            None => "batches without a roll",
        };
        marks.add(mark, 1);
        marks.add("records", batch.len() as u64);
        let rolled = match roll {
            Some(Roll::Perhaps) => self.bases()[p].last() == Some(&self.logs[p].end()),
            other => other.is_some(),
        };
        self.logs[p].append(batch, size, rolled);
    }

    fn expire(&mut self, now: i64, marks: &mut Marks) {
        for log in &mut self.logs {
            let Expired { by_age, by_size, rolled } = log.expire(now, &self.settings);
            marks.add("starts moved by age", u64::from(by_age));
            marks.add("starts moved by size", u64::from(by_size));
            marks.add("rolls by retention", u64::from(rolled));
        }
    }

    fn advance(&mut self, random: &mut Random, marks: &mut Marks) -> String {
        let most = pick(random, &[3, 2_000, 60_000, 3_600_000]);
        let drawn = 1 + random.below(most) as i64;
        // Now and then to when a segment is just as old as it may be.
        let p = random.below(PARTITIONS as u64) as usize;
        let expiry = self.logs[p].next_expiry(&self.settings).map(|expiry| expiry - self.now());
        let by = expiry.filter(|by| *by > 0 && random.below(3) == 0).unwrap_or(drawn);
        self.clock.advance(Duration::from_millis(by as u64));
        while let Some(check) = self.next_check.filter(|check| *check <= self.now()) {
            self.expire(check, marks);
            self.next_check = self.settings.check_interval.map(|interval| check + interval);
        }
        format!("advance by {by} ms")
    }

    fn apply_retention(&mut self, marks: &mut Marks) -> String {
        self.broker().apply_retention_now().unwrap();
        self.expire(self.now(), marks);
        format!("apply retention at {}", self.now())
    }

    /// An offset in the log, at its edges, or a little outside.
    fn draw_offset(&self, p: usize, random: &mut Random) -> i64 {
        let log = &self.logs[p];
        match random.below(8) {
            0 => log.start - 1 - random.below(3) as i64,
            1 => log.high_watermark + random.below(3) as i64,
            2 => log.end() + random.below(2) as i64,
            _ => log.start + random.below((log.end() - log.start) as u64 + 1) as i64,
        }
    }

    /// A time of a record, just before or behind it, or any.
    fn draw_record_time(&self, p: usize, random: &mut Random) -> i64 {
        let records = self.logs[p].read(self.logs[p].start);
        match records.get(random.below(records.len() as u64 + 1) as usize) {
            Some((_, written)) => written.time + random.below(3) as i64 - 1,
            None => self.draw_time(random),
        }
    }

    fn delete_records(&mut self, p: usize, random: &mut Random, marks: &mut Marks) -> String {
        let log = &mut self.logs[p];
        let (spec, to) = match random.below(6) {
            0 => (OffsetSpec::Earliest, log.start),
            1 => (OffsetSpec::Latest, log.high_watermark),
            2 => {
                let time = self.draw_record_time(p, random);
                let to = self.logs[p].find(time).unwrap_or(self.logs[p].high_watermark);
                (OffsetSpec::Timestamp(Timestamp::from_millis(time)), to)
            }
            _ => {
                // Mostly only a few go.
                let far = self.draw_offset(p, random);
                let near = self.logs[p].start + random.below(9) as i64;
                let hidden = self.logs[p].high_watermark + 1;
                let to = match random.below(6) {
                    0 | 1 => far,
                    2 | 3 if hidden <= self.logs[p].end() => hidden,
                    _ => near,
                };
                (OffsetSpec::At(to), to)
            }
        };
        let result = self.broker().admin().delete_records(("t", p as i32), spec);
        let (before, inside) = (self.logs[p].start, self.logs[p].is_inside_a_batch(to));
        match self.logs[p].delete_records(to) {
            Some(start) => assert_eq!(result.unwrap(), start),
            None => assert!(matches!(result, Err(Error::OffsetOutOfRange { offset, .. }) if offset == to)),
        }
        let moved = self.logs[p].start > before;
        marks.add("starts moved by a client", u64::from(moved));
        marks.add("starts moved into a batch", u64::from(moved && inside));
        format!("t-{p}: delete records before {spec:?}, {to}")
    }

    fn consumer(&self, p: usize, config: ConsumerConfig) -> Consumer {
        let config = config.auto_offset_reset(AutoOffsetReset::None);
        let mut consumer = self.broker().consumer(config).assign([("t", p as i32)]).unwrap();
        consumer.seek(("t", p as i32), self.logs[p].start).unwrap();
        consumer
    }

    fn find(&mut self, p: usize, random: &mut Random, marks: &mut Marks) -> String {
        let of = ("t", p as i32);
        let consumer = self.consumer(p, ConsumerConfig::standalone());
        for _ in 0..4 {
            let time = self.draw_record_time(p, random);
            let log = &self.logs[p];
            let expected = log.find(time);
            let found = consumer.offset(of, Timestamp::from_millis(time)).unwrap();
            assert_eq!(found, expected, "t-{p}: the first record of {time} or later");
            marks.add(if found.is_some() { "times found" } else { "times not found" }, 1);
            marks.add("times at or above the high watermark", u64::from(log.hides(time)));
            let behind = found.is_some_and(|found| log.is_out_of_order(found, time));
            marks.add("times found behind an older record", u64::from(behind));
        }
        let log = &self.logs[p];
        let edges = [OffsetSpec::Earliest, OffsetSpec::Latest].map(|spec| consumer.offset(of, spec).unwrap());
        assert_eq!(edges, [Some(log.start), Some(log.high_watermark)]);
        format!("t-{p}: look for times")
    }

    fn read(&mut self, p: usize, random: &mut Random, marks: &mut Marks) -> String {
        let from = self.draw_offset(p, random).max(0);
        let most = pick(random, &[1, 300, 1_500, 1 << 20]);
        let config = ConsumerConfig::standalone().max_partition_fetch_bytes(most);
        let mut consumer = self.consumer(p, config.max_poll_records(pick(random, &[1, 7, 500])));
        consumer.seek(("t", p as i32), from).unwrap();
        let log = &self.logs[p];
        if from < log.start || from > log.end() {
            let refused = consumer.poll(Duration::ZERO);
            assert!(matches!(refused, Err(Error::OffsetOutOfRange { offset, .. }) if offset == from));
            marks.add("reads out of range", 1);
        } else {
            let expected = log.read(from);
            marks.add("reads above the high watermark", u64::from(from > log.high_watermark));
            assert_eq!(read(&mut consumer, expected.len()), expected, "t-{p} from {from} on");
            assert!(consumer.poll(Duration::ZERO).unwrap().is_empty(), "t-{p} from {from} on: and more");
        }
        format!("t-{p}: read from {from}, {most} bytes at a time")
    }

    fn reopen(&mut self, random: &mut Random, marks: &mut Marks) -> String {
        let broker = self.broker.take().unwrap();
        let close = random.below(2) == 0 && !self.poisoned.contains(&true);
        if close {
            broker.close().unwrap();
        } else {
            // What is not closed is as if its process had ended: nothing reaches the disk any more.
            let dead = self.disk.intercept(DiskOp::Any).fail(DiskFault::Eio);
            drop(broker);
            dead.remove();
        }
        self.open();
        assert_eq!(self.broker().recovery().clean, close);
        self.logs.iter_mut().for_each(Log::reopen);
        self.poisoned.fill(false);
        marks.add(if close { "closes" } else { "kills" }, 1);
        format!("open anew, closed before: {close}")
    }

    /// What was appended, and could not be flushed, is there and not to be seen.
    fn fail_a_flush(&mut self, p: usize, random: &mut Random, marks: &mut Marks) -> String {
        if !self.settings.flushed || self.poisoned[p] {
            return self.find(p, random, marks);
        }
        let now = self.now();
        let batch: Vec<_> =
            self.draw_batch(random).into_iter().map(|w| Written { time: w.time.min(now), ..w }).collect();
        let fault = self.disk.intercept(DiskOp::Flush).path("t-").fail(DiskFault::Eio);
        let sent = self.produce(p, &batch);
        fault.remove();
        assert!(matches!(sent, Err(Error::Io { .. })), "{sent:?}");
        self.poisoned[p] = true;
        self.note(p, batch, marks);
        marks.add("failed flushes", 1);
        format!("t-{p}: a flush fails")
    }
}

/// Reads `count` records, or what comes until nothing does.
fn read(consumer: &mut Consumer, count: usize) -> Vec<(i64, Written)> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let records = consumer.poll(Duration::ZERO).unwrap();
        if records.is_empty() {
            break;
        }
        seen.extend(records.iter().map(|record| {
            let value = record.value_str().unwrap().to_owned();
            (record.offset(), Written { time: record.timestamp().as_millis(), value })
        }));
    }
    seen
}

/// The bytes of a batch: 61 of header, and each record with its length.
fn size_of(batch: &[Written]) -> u64 {
    let varint = |number: i64| {
        let zigzag = ((number << 1) ^ (number >> 63)) as u64;
        u64::from((64 - zigzag.leading_zeros()).div_ceil(7).max(1))
    };
    let record = |(n, written): (usize, &Written)| {
        let value = written.value.len() as i64;
        let delta = written.time - batch[0].time;
        // Attributes, no key, no headers.
        let body = 3 + varint(delta) + varint(n as i64) + varint(value) + value as u64;
        varint(body as i64) + body
    };
    61 + batch.iter().enumerate().map(record).sum::<u64>()
}
