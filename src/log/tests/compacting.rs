//! A compacted log held against a model, which knows all that was ever appended, while the power goes, or the disk fails, at
//! every operation: what is superseded by nothing that is there stays, what was deleted or aborted never comes back, and
//! producers and transactions are what they were.

use super::{
    keyed::{By, Pair, Seen, clean, keyed, marker, try_seen},
    *,
};
use crate::{
    config::TopicConfig,
    env::{DiskFault, DiskOp, Fault},
    prng::{Prng, seeds},
    record::ValidBatch,
    types::{CleanupPolicy, Compression},
};
use std::collections::BTreeMap;

/// How long tombstones stay, in ms.
const RETENTION: i64 = 40;
const KEYS: u64 = 7;
const CODECS: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];

/// A record, or a marker, that was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    offset: i64,
    at: i64,
    key: Option<String>,
    value: Option<String>,
    /// In whose transaction it is.
    transaction: Option<i64>,
    /// Whether it ends one, and aborts it.
    ends: Option<(i64, bool)>,
    /// Of which producer it is the sequence.
    sequence: Option<(i64, i32)>,
}

/// What became of a record's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    Open,
}

/// How often what is of interest came up.
#[derive(Debug, Default, Clone, Copy)]
struct Marks {
    images: u64,
    cleanings: u64,
    full: u64,
    swaps_left: u64,
    superseded: u64,
    tombstones_gone: u64,
    aborted_gone: u64,
    open_at_the_end: u64,
    merged: u64,
}

struct World {
    disk: SimDisk,
    prng: Prng,
    config: LogConfig,
    storage: Arc<dyn Storage>,
    log: Option<Log>,
    /// The checkpoints, which are durable at once here.
    recovery_point: Offset,
    start: Offset,
    cleaned: Option<Offset>,
    now: i64,
    sent: Vec<Sent>,
    /// An append failed that was to put this there.
    maybe: Vec<Sent>,
    durable: i64,
    /// When cleanings were begun, with the log's end of then.
    begun: Vec<(i64, i64)>,
    sequences: BTreeMap<i64, i32>,
    in_transaction: [bool; 2],
    uid: u64,
    marks: Marks,
}

impl World {
    fn new(seed: u64, n: u64) -> Self {
        let mut prng = Prng::new(seed);
        let settings = TopicConfig::new()
            .segment_bytes(1024)
            .index_interval_bytes(prng.below(300) as u32)
            .cleanup_policy(CleanupPolicy::CompactDelete)
            .delete_retention(std::time::Duration::from_millis(RETENTION as u64));
        let config = LogConfig {
            partition: TopicPartition::new("t", 0),
            dir: "data/t-0".into(),
            settings: settings.settings().unwrap(),
            gaps: true,
            gaps_anywhere: false,
            replicated: false,
        };
        let disk = SimDisk::new(seed.wrapping_mul(1000).wrapping_add(n));
        let storage = disk.boot();
        storage.create_dir("data".as_ref()).and_then(|()| storage.sync_dir("".as_ref())).unwrap();
        Self {
            disk,
            prng,
            config,
            storage,
            log: None,
            recovery_point: Offset::ZERO,
            start: Offset::ZERO,
            cleaned: None,
            now: 1000,
            sent: Vec::new(),
            maybe: Vec::new(),
            durable: 0,
            begun: Vec::new(),
            sequences: BTreeMap::new(),
            in_transaction: [false; 2],
            uid: 0,
            marks: Marks::default(),
        }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    fn open(&mut self, from: LoadedFrom) -> Result<()> {
        self.log = None;
        self.storage = self.disk.boot();
        let (mut log, _) = Log::open(&self.storage, self.config.clone(), from, Some(self.start))?;
        log.take_up_cleaned(self.cleaned);
        self.log = Some(log);
        Ok(())
    }

    /// Does a few things, the same for every run of a seed.
    fn run(&mut self) -> Result<()> {
        self.open(LoadedFrom::New)?;
        for _ in 0..18 {
            self.now += self.prng.below(30) as i64;
            match self.prng.below(16) {
                0..=7 => self.append_some()?,
                8..=10 => self.flush()?,
                11..=13 => self.clean()?,
                14 => self.reopen()?,
                _ => self.delete()?,
            }
        }
        self.end_transactions()?;
        self.append_some()?;
        self.flush()?;
        self.clean()?;
        self.append_some()
    }

    fn append_some(&mut self) -> Result<()> {
        for _ in 0..1 + self.prng.below(5) {
            self.append_one()?;
        }
        Ok(())
    }

    /// A batch of nobody, of a producer, of one in a transaction, or a marker.
    fn append_one(&mut self) -> Result<()> {
        self.uid += 1;
        let what = self.prng.below(10);
        let id = [50, 60, 61][(what % 3) as usize];
        match what {
            0..=4 => self.append_data(None),
            5 => self.append_data(Some((50, false))),
            6..=8 if id != 50 => self.append_data(Some((id, true))),
            _ => {
                let at = self.prng.below(2) as usize;
                if self.in_transaction[at] {
                    self.append_marker(60 + at as i64)
                } else {
                    self.append_data(None)
                }
            }
        }
    }

    fn end_transactions(&mut self) -> Result<()> {
        for at in 0..2 {
            if self.in_transaction[at] {
                self.append_marker(60 + at as i64)?;
            }
        }
        Ok(())
    }

    fn append_data(&mut self, by: Option<(i64, bool)>) -> Result<()> {
        let pairs: Vec<(Option<String>, Option<String>)> = (0..1 + self.prng.below(4))
            .map(|n| {
                let key = (self.prng.below(12) > 0).then(|| format!("k{}", self.prng.below(KEYS)));
                let long = "x".repeat(self.prng.below(150) as usize);
                let is_tombstone = key.is_some() && self.prng.below(4) == 0;
                (key, (!is_tombstone).then(|| format!("{}.{n} {long}", self.uid)))
            })
            .collect();
        let (sequence, codec) =
            (by.map(|(id, _)| self.sequences.get(&id).copied().unwrap_or(0)), self.prng.below(5));
        let producer = by.zip(sequence).map(|((id, is_in), sequence)| By(id, is_in, sequence));
        let refs: Vec<Pair<'_>> = pairs.iter().map(|(k, v)| (k.as_deref(), v.as_deref())).collect();
        let codec = CODECS.get(codec as usize).copied().unwrap_or(Compression::None);
        let bytes = keyed(self.now, &refs, producer, codec);
        let count = pairs.len() as i32;
        let sent = pairs.into_iter().zip(0..).map(|((key, value), n)| Sent {
            offset: n,
            at: self.now,
            key,
            value,
            transaction: by.filter(|(_, is_in)| *is_in).map(|(id, _)| id),
            ends: None,
            sequence: by.zip(sequence).map(|((id, _), first)| (id, first + n as i32)),
        });
        let sent = sent.collect();
        self.append(bytes, sent)?;
        if let (Some((id, is_in)), Some(sequence)) = (by, sequence) {
            self.sequences.insert(id, sequence + count);
            if is_in {
                self.in_transaction[(id - 60) as usize] = true;
            }
        }
        Ok(())
    }

    fn append_marker(&mut self, id: i64) -> Result<()> {
        let is_abort = self.prng.below(2) == 0;
        let bytes = marker(self.now, id, is_abort);
        let (at, ends) = (self.now, Some((id, is_abort)));
        let sent = Sent { offset: 0, at, key: None, value: None, transaction: None, ends, sequence: None };
        self.append(bytes, vec![sent])?;
        self.in_transaction[(id - 60) as usize] = false;
        Ok(())
    }

    fn append(&mut self, mut bytes: Vec<u8>, mut sent: Vec<Sent>) -> Result<()> {
        let base = self.log().end().get();
        sent.iter_mut().for_each(|sent| sent.offset += base);
        match self.log().append(&mut ValidBatch::of_leader(&mut bytes).unwrap()) {
            Ok(_) => self.sent.extend(sent),
            Err(error) => {
                self.maybe = sent;
                return Err(error);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let flush = self.log.as_mut().unwrap().begin_flush(Extent::Everything)?;
        let done = flush.run(&*self.storage);
        self.log().end_flush(&flush, done)?;
        self.durable = self.log().end().get();
        self.recovery_point = self.log().recovery_point();
        Ok(())
    }

    fn clean(&mut self) -> Result<()> {
        let (now, keys) = (self.now, 1 + self.prng.below(2 * KEYS) as usize);
        let (end, before) = (self.log().end().get(), self.log().segments.len());
        self.begun.push((now, end));
        let cleaned = clean(self.log(), now, keys)?;
        self.marks.cleanings += u64::from(cleaned.is_some());
        self.marks.full += u64::from(cleaned.is_some_and(|cleaned| cleaned.is_full));
        self.marks.merged += u64::from(self.log().segments.len() < before);
        self.cleaned = self.log().cleaned_noted();
        self.check("while it is open", end)
    }

    fn reopen(&mut self) -> Result<()> {
        self.log().prepare_close()?;
        self.flush()?;
        let end = self.log().end();
        self.open(LoadedFrom::CleanClose(end))?;
        self.check("after a close", end.get())
    }

    fn delete(&mut self) -> Result<()> {
        let (start, end) = (self.log().start(), self.log().end());
        let to = start.plus(self.prng.below(end.since(start) as u64 / 3 + 1) as i64);
        self.log().move_start(to)?;
        self.start = to;
        self.log().drop_below_start().map(drop)
    }

    fn recover(&mut self, what: &str) {
        let left = self.disk.boot().list(&self.config.dir).ok().flatten().unwrap_or_default();
        self.marks.swaps_left += u64::from(left.iter().any(|entry| entry.name.ends_with(".log.swap")));
        for _ in 0..2 {
            let n = self.prng.below(60);
            let cut = self.disk.intercept(DiskOp::Any).skip(n).power_cut();
            drop(self.open(LoadedFrom::Crash(self.recovery_point)));
            cut.remove();
            self.log = None;
            self.disk.power_cut();
        }
        if let Err(error) = self.open(LoadedFrom::Crash(self.recovery_point)) {
            panic!("{what}: {error}");
        }
        self.marks.images += 1;
        let end = self.log().end().get();
        if self.maybe.first().is_some_and(|maybe| maybe.offset < end) {
            let maybe = std::mem::take(&mut self.maybe);
            self.sent.extend(maybe);
        }
        self.maybe.clear();
        self.sent.retain(|sent| sent.offset < end);
        self.check(what, self.durable).unwrap();
        (self.durable, self.in_transaction) = (end, [60, 61].map(|id| self.is_open(id)));
        for (id, next) in &mut self.sequences {
            let last = self.sent.iter().rev().find_map(|sent| sent.sequence.filter(|(of, _)| of == id));
            *next = last.map_or(0, |(_, sequence)| sequence + 1);
        }
    }

    fn is_open(&self, id: i64) -> bool {
        self.sent.iter().any(|sent| sent.transaction == Some(id) && self.fate(sent) == Fate::Open)
    }

    fn fate(&self, sent: &Sent) -> Fate {
        let Some(id) = sent.transaction else { return Fate::Committed };
        let ends = self.sent.iter().filter(|later| later.offset > sent.offset);
        match ends.filter_map(|later| later.ends).find(|(of, _)| *of == id) {
            Some((_, true)) => Fate::Aborted,
            Some((_, false)) => Fate::Committed,
            None => Fate::Open,
        }
    }

    /// Holds the log against the model, whose records end where the log does.
    fn check(&mut self, what: &str, at_least: i64) -> Result<()> {
        let what = format!("{what}, now {}, begun {:?}", self.now, self.begun);
        let (start, end) = (self.log().start(), self.log().end());
        assert_eq!(start, self.start, "{what}");
        assert!(end.get() >= at_least, "{what}: it ends at {end}, and to {at_least} it is durable");
        assert_eq!(self.sent.last().map_or(0, |last| last.offset + 1), end.get(), "{what}");
        let (there, _) = try_seen(self.log())?;
        let there: BTreeMap<i64, Seen> = there.into_iter().map(|seen| (seen.offset, seen)).collect();
        let sent = self.sent.clone();
        let of_log = |sent: &&Sent| sent.offset >= start.get() && sent.ends.is_none();
        for sent in sent.iter().filter(of_log) {
            match there.get(&sent.offset) {
                Some(seen) => self.check_record(sent, seen, &what),
                None => self.check_gone(sent, &what),
            }
        }
        let known = there.keys().all(|offset| sent.iter().any(|s| s.offset == *offset && s.ends.is_none()));
        assert!(known, "{what}: something is there that nobody appended");
        self.check_latest(&there, &what);
        self.check_producers(&what);
        Ok(())
    }

    fn check_record(&self, sent: &Sent, seen: &Seen, what: &str) {
        let is_same = (&sent.key, &sent.value, sent.at) == (&seen.key, &seen.value, seen.at);
        assert!(is_same, "{what}: {seen:?} was {sent:?}");
        let is_aborted = self.fate(sent) == Fate::Aborted;
        assert_eq!(seen.aborted, is_aborted, "{what}: whether {sent:?} is hidden");
    }

    /// What is gone went for a reason.
    fn check_gone(&mut self, sent: &Sent, what: &str) {
        if self.fate(sent) == Fate::Aborted {
            self.marks.aborted_gone += 1;
            return;
        }
        let later =
            |later: &&Sent| later.offset > sent.offset && later.key == sent.key && later.ends.is_none();
        let is_superseded = self.sent.iter().filter(later).any(|later| self.fate(later) == Fate::Committed);
        if sent.key.is_some() && is_superseded {
            self.marks.superseded += 1;
            return;
        }
        let first_cleaned = self.begun.iter().find(|(_, end)| *end > sent.offset).map(|(at, _)| *at);
        let is_expired = first_cleaned.is_some_and(|first| self.now >= first + RETENTION);
        let may_go = sent.key.is_some() && sent.value.is_none() && is_expired;
        assert!(may_go, "{what}: {sent:?} is gone, and nothing superseded it");
        self.marks.tombstones_gone += 1;
    }

    /// A reader of what is committed gets the last value of each key, and of a deleted one none.
    fn check_latest(&self, there: &BTreeMap<i64, Seen>, what: &str) {
        for key in (0..KEYS).map(|n| Some(format!("k{n}"))) {
            let visible = |sent: &&Sent| {
                sent.offset >= self.start.get()
                    && sent.key == key
                    && sent.ends.is_none()
                    && self.fate(sent) == Fate::Committed
            };
            let expected = self.sent.iter().rfind(visible);
            let is_committed = |offset: i64| {
                self.sent.iter().any(|sent| sent.offset == offset && self.fate(sent) == Fate::Committed)
            };
            let found = there.values().rfind(|seen| seen.key == key && is_committed(seen.offset));
            let value = |value: Option<&Option<String>>| value.cloned().flatten();
            assert_eq!(
                value(found.map(|seen| &seen.value)),
                value(expected.map(|sent| &sent.value)),
                "{what}: the value of {key:?}"
            );
        }
    }

    fn check_producers(&mut self, what: &str) {
        let open = |sent: &&Sent| sent.transaction.is_some() && self.fate(sent) == Fate::Open;
        let first = self.sent.iter().find(open).map(|sent| sent.offset);
        self.marks.open_at_the_end += u64::from(first.is_some());
        if self.start > Offset::ZERO {
            return;
        }
        let mut expected: BTreeMap<i64, (i32, i64)> = BTreeMap::new();
        for sent in &self.sent {
            expected.extend(sent.sequence.map(|(id, sequence)| (id, (sequence, sent.offset))));
        }
        let end = self.log().end();
        let stable = self.log().last_stable(end).get();
        assert_eq!(stable, first.unwrap_or(end.get()), "{what}: the last stable offset");
        let known: BTreeMap<i64, (i32, i64)> = self
            .log()
            .producers
            .entries()
            .map(|(id, producer)| (*id, (producer.last_sequence, producer.last_offset)))
            .collect();
        assert_eq!(known, expected, "{what}: the producers");
    }
}

/// Runs a seed with something that goes wrong at operation `n`. `None`: it has no such operation.
fn run_with(seed: u64, n: u64, test: &str, fault: impl FnOnce(&SimDisk) -> Fault) -> Option<Marks> {
    let what = format!("operation {n}; BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --lib {test}");
    let mut world = World::new(seed, n);
    let fault = fault(&world.disk);
    let ran = world.run();
    if fault.hits() == 0 {
        ran.unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    let hit = fault.hits() > 0;
    fault.remove();
    world.log = None;
    world.disk.power_cut();
    world.recover(&what);
    // It takes records, is cleaned, and keeps what it has.
    world.now += RETENTION;
    world.append_some().and_then(|()| world.end_transactions()).and_then(|()| world.flush()).unwrap();
    world.clean().unwrap();
    world.append_some().unwrap();
    world.log = None;
    world.disk.power_cut();
    world.recover(&what);
    hit.then_some(world.marks)
}

fn everywhere(test: &str, fault: impl Fn(&SimDisk, u64) -> Fault) {
    let mut all = Marks::default();
    for seed in seeds(6) {
        for n in 0.. {
            let Some(marks) = run_with(seed, n, test, |disk| fault(disk, n)) else { break };
            all.images += marks.images;
            all.cleanings += marks.cleanings;
            all.full += marks.full;
            all.swaps_left += marks.swaps_left;
            all.superseded += marks.superseded;
            all.tombstones_gone += marks.tombstones_gone;
            all.aborted_gone += marks.aborted_gone;
            all.open_at_the_end += marks.open_at_the_end;
            all.merged += marks.merged;
        }
    }
    println!("{all:?}");
    let Marks { images, cleanings, full, swaps_left, superseded, tombstones_gone, .. } = all;
    let enough = images > 1000 && cleanings > 1000 && full > 200 && swaps_left > 50;
    let rich = superseded > 1000 && tombstones_gone > 100 && all.aborted_gone > 100;
    let transactions = all.open_at_the_end > 100 && all.merged > 100;
    assert!((enough && rich && transactions) || std::env::var_os("BROOKLET_SEEDS").is_some(), "{all:?}");
}

#[test]
fn a_compacted_log_survives_power_cuts_at_every_operation() {
    everywhere("a_compacted_log_survives_power_cuts", |disk, n| {
        disk.intercept(DiskOp::Any).skip(n).power_cut()
    });
}

#[test]
fn a_compacted_log_survives_failures_of_every_operation() {
    everywhere("a_compacted_log_survives_failures", |disk, n| {
        let with = [DiskFault::Eio, DiskFault::Enospc, DiskFault::ShortWrite][(n % 3) as usize];
        let times = if n % 2 == 0 { 1 } else { u64::MAX };
        disk.intercept(DiskOp::Any).skip(n).times(times).fail(with)
    });
}
