//! Logs that are appended to, flushed, truncated by offset and by epoch, and cut at their start, while the power goes, or
//! the disk fails, at every operation: what was made durable is there, what was cut off never comes back, and nothing is
//! there that was not appended.

use super::{keyed::seal, *};
use crate::{
    env::{DiskFault, DiskOp, Fault},
    prng::{Prng, seeds},
    record::ValidBatch,
    types::Compression,
};

/// A batch as it lies in a log: its first offset, the one behind its last, and its bytes from the checksum on. What comes
/// before these is the leader's to write.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stored {
    base: i64,
    next: i64,
    bytes: Vec<u8>,
}

/// A log, what the broker noted of it, and what must be in it.
struct World {
    disk: SimDisk,
    prng: Prng,
    config: LogConfig,
    storage: Arc<dyn Storage>,
    log: Option<Log>,
    /// The checkpoints, which are durable at once here.
    recovery_point: Offset,
    start: Offset,
    batches: Vec<Stored>,
    /// An append failed that was to put this there.
    maybe: Option<Stored>,
    /// What is promised to be durable, exclusive.
    durable: i64,
    /// Where a truncation that did not end is to leave the log's end.
    cutting: Option<i64>,
    uid: u64,
    marks: Marks,
}

/// How often what is of interest came up.
#[derive(Debug, Default, Clone, Copy)]
struct Marks {
    images: u64,
    truncations: u64,
    interrupted: u64,
    recoveries_cut: u64,
    transactions: u64,
}

impl World {
    fn new(seed: u64, n: u64) -> Self {
        let mut prng = Prng::new(seed);
        let settings = TopicConfig::new().segment_bytes(1024).index_interval_bytes(prng.below(300) as u32);
        let config = LogConfig {
            partition: TopicPartition::new("t", 0),
            dir: "data/t-0".into(),
            settings: settings.settings().unwrap(),
            gaps: false,
            gaps_anywhere: false,
            replicated: false,
        };
        let disk = SimDisk::new(seed.wrapping_mul(1000).wrapping_add(n));
        let storage = disk.boot();
        // As a broker does, before it opens any log.
        storage.create_dir("data".as_ref()).and_then(|()| storage.sync_dir("".as_ref())).unwrap();
        Self {
            disk,
            prng,
            config,
            storage,
            log: None,
            recovery_point: Offset::ZERO,
            start: Offset::ZERO,
            batches: Vec::new(),
            maybe: None,
            durable: 0,
            cutting: None,
            uid: 0,
            marks: Marks::default(),
        }
    }

    fn open(&mut self, from: LoadedFrom) -> Result<()> {
        self.storage = self.disk.boot();
        let (log, _) = Log::open(&self.storage, self.config.clone(), from, Some(self.start))?;
        self.log = Some(log);
        Ok(())
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().unwrap()
    }

    /// Does a few things, the same for every run of a seed.
    fn run(&mut self) -> Result<()> {
        self.open(LoadedFrom::New)?;
        for _ in 0..4 {
            self.append_some()?;
        }
        self.flush(Extent::Everything)?;
        for _ in 0..6 {
            match self.prng.below(8) {
                0..=2 => self.append_some()?,
                3 => self.flush(Extent::Records)?,
                4 => self.flush(Extent::Everything)?,
                5 => self.truncate_by_epoch()?,
                6 => self.truncate_by_offset()?,
                _ => self.delete()?,
            }
        }
        self.truncate_by_offset()?;
        self.append_some()?;
        self.flush(Extent::Everything)
    }

    fn append_some(&mut self) -> Result<()> {
        for _ in 0..1 + self.prng.below(4) {
            self.uid += 1;
            let mut bytes = batch(self.uid, self.prng.below(300) as usize);
            self.append(&mut bytes)?;
        }
        Ok(())
    }

    fn append(&mut self, bytes: &mut [u8]) -> Result<()> {
        let mut batch = ValidBatch::of_leader(bytes).unwrap();
        self.marks.transactions += u64::from(batch.header().attributes.is_transactional());
        let appended = self.log().append(&mut batch);
        let (base, next) = (batch.header().base_offset.get(), batch.header().next_offset().get());
        let stored = Stored { base, next, bytes: bytes[17..].to_vec() };
        match appended {
            Ok(_) => self.batches.push(stored),
            Err(error) => {
                self.maybe = Some(stored);
                return Err(error);
            }
        }
        Ok(())
    }

    fn flush(&mut self, extent: Extent) -> Result<()> {
        let flush = self.log.as_mut().unwrap().begin_flush(extent)?;
        let done = flush.run(&*self.storage);
        self.log().end_flush(&flush, done)?;
        self.durable = self.log().end().get();
        self.recovery_point = self.log().recovery_point();
        Ok(())
    }

    fn truncate_by_offset(&mut self) -> Result<()> {
        let (start, end) = (self.log().start(), self.log().end());
        let to = start.plus(self.prng.below(end.since(start) as u64 + 1) as i64);
        self.truncate(to)
    }

    fn truncate_by_epoch(&mut self) -> Result<()> {
        let (epoch, end) = (self.log().epoch(), self.log().end());
        let epoch = LeaderEpoch(self.prng.below(epoch.0 as u64 + 1) as i32);
        let leader_end = end.plus(4 - self.prng.below(12) as i64);
        let to = self.log().divergence(epoch, leader_end);
        self.truncate(to)
    }

    /// As a broker does it: the recovery point is noted first. Then the log is given records of another leader.
    fn truncate(&mut self, to: Offset) -> Result<()> {
        let around = self.batches.iter().find(|batch| batch.next > to.get()).map(|batch| batch.base);
        let end = around.unwrap_or(self.log().end().get()).max(self.start.get());
        self.recovery_point = self.log().lower_recovery_point(to);
        self.cutting = Some(end);
        self.marks.truncations += 1;
        if let Err(error) = self.log().truncate(to) {
            self.marks.interrupted += 1;
            self.go_on_if_that_is_allowed();
            return Err(error);
        }
        self.cut_model(end);
        assert_eq!((self.log().start(), self.log().end().get()), (self.start, end));
        if self.prng.below(2) == 0 {
            let log = self.log();
            (log.epoch, log.epochs_dirty) = (LeaderEpoch(log.epoch.0 + 1), true);
        }
        let (epoch, end) = (self.log().epoch(), self.log().end());
        self.log().epochs.assign(epoch, end);
        Ok(())
    }

    fn cut_model(&mut self, end: i64) {
        self.batches.retain(|batch| batch.next <= end);
        (self.durable, self.cutting) = (self.durable.min(end), None);
    }

    /// After a truncation that failed: if the log takes a record, and calls it durable, it has to be there.
    fn go_on_if_that_is_allowed(&mut self) {
        let end = self.log().end().get();
        let (maybe, cutting) = (self.maybe.clone(), self.cutting);
        let mut bytes = batch(9_000, 40);
        if self.append(&mut bytes).and_then(|()| self.flush(Extent::Everything)).is_ok() {
            let appended = self.batches.pop().unwrap();
            self.cut_model(end);
            self.durable = appended.next;
            self.batches.push(appended);
        } else {
            (self.maybe, self.cutting) = (maybe, cutting);
        }
    }

    fn delete(&mut self) -> Result<()> {
        let (start, end) = (self.log().start(), self.log().end());
        let to = start.plus(self.prng.below(end.since(start) as u64 + 1) as i64);
        self.log().move_start(to)?;
        self.start = to;
        self.log().drop_below_start().map(drop)
    }

    /// Opens what is there, after two tries that the power ends, and holds it against what must be there.
    fn recover(&mut self, what: &str) {
        for _ in 0..2 {
            let n = self.prng.below(50);
            let cut = self.disk.intercept(DiskOp::Any).skip(n).power_cut();
            self.marks.recoveries_cut +=
                u64::from(self.open(LoadedFrom::Crash(self.recovery_point)).is_err());
            cut.remove();
            self.disk.power_cut();
        }
        if let Err(error) = self.open(LoadedFrom::Crash(self.recovery_point)) {
            panic!("{what}: {error}");
        }
        self.marks.images += 1;
        self.check(what);
    }

    fn check(&mut self, what: &str) {
        let (start, end) = (self.log().start(), self.log().end());
        assert_eq!(start, self.start, "{what}");
        let there = stored(self.log(), start, end);
        let least = self.durable.min(self.cutting.unwrap_or(i64::MAX)).max(start.get());
        assert!(end.get() >= least, "{what}: it ends at {end}, and to {least} it is durable");
        let expected: Vec<&Stored> = self.batches.iter().filter(|batch| batch.next > start.get()).collect();
        let common = there.iter().zip(&expected).take_while(|(there, sent)| there == *sent).count();
        let rest = &there[common..];
        assert!(
            rest.is_empty() || (rest.len() == 1 && rest.first() == self.maybe.as_ref()),
            "{what}: offset {:?} on is not what was appended",
            rest.first().map(|batch| batch.base)
        );
        if start == Offset::ZERO {
            self.check_producers(what);
        }
        (self.batches, self.maybe, self.cutting, self.durable) = (there, None, None, end.get());
    }

    /// What is known of the producers is what the log says.
    fn check_producers(&mut self, what: &str) {
        let (log, mut said) = (self.log.as_mut().unwrap(), Producers::default());
        let mut from = Offset::ZERO;
        while from < log.end() {
            let bytes = log.read(from, log.end(), 1 << 20, true).unwrap();
            let mut rest = &*bytes;
            while let Ok(batch) = Batch::check(rest) {
                said.append(batch.header(), batch.marker());
                (from, rest) = (batch.header().next_offset(), &rest[batch.header().size..]);
            }
        }
        let known: Vec<_> = log.producers.entries().collect();
        assert_eq!(known, said.entries().collect::<Vec<_>>(), "{what}");
        assert_eq!(log.producers.first_open(), said.first_open(), "{what}");
    }
}

/// All batches of a log, whole and in order.
fn stored(log: &mut Log, start: Offset, end: Offset) -> Vec<Stored> {
    let (mut there, mut from) = (Vec::new(), start);
    while from < end {
        let bytes = log.read(from, end, 1 << 20, true).unwrap();
        let mut rest = &*bytes;
        while !rest.is_empty() {
            let batch = Batch::check(rest).unwrap();
            let (base, next) = (batch.header().base_offset.get(), batch.header().next_offset());
            there.push(Stored { base, next: next.get(), bytes: batch.bytes()[17..].to_vec() });
            (from, rest) = (next, &rest[batch.header().size..]);
        }
    }
    there
}

/// The batch `uid`, as a leader has it: of one producer or another, compressed, of a transaction, or its end.
fn batch(uid: u64, size: usize) -> Vec<u8> {
    const CODECS: [Compression; 4] =
        [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    let is_marker = uid % 7 == 6;
    let at = Timestamp::from_millis(uid as i64);
    if is_marker {
        writer.push(at, Some(&[0, 0, 0, (uid % 2) as u8]), Some(&[0; 6]), &[]).unwrap();
    } else {
        for n in 0..1 + uid % 3 {
            let value = format!("{uid}.{n} {}", "x".repeat(size));
            writer.push(at, None, Some(value.as_bytes()), &[]).unwrap();
        }
    }
    let plain = writer.finish();
    let mut bytes = plain.bytes().to_vec();
    match uid % 7 {
        0 | 1 => {}
        2 => {
            let mut compressed = Vec::new();
            // Without its feature it stays as it is.
            if let Ok(batch) = plain.recompress(CODECS[(uid / 7 % 4) as usize], &mut compressed) {
                bytes = batch.bytes().to_vec();
            }
        }
        3 => seal(&mut bytes, 70, 0, uid as i32),
        _ if is_marker => seal(&mut bytes, 71, 0x30, -1),
        _ => seal(&mut bytes, 71, 0x10, uid as i32),
    }
    bytes
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
    // It takes records, and keeps them.
    world.append_some().and_then(|()| world.flush(Extent::Everything)).unwrap();
    world.append_some().unwrap();
    world.disk.power_cut();
    world.recover(&what);
    hit.then_some(world.marks)
}

fn everywhere(test: &str, fault: impl Fn(&SimDisk, u64) -> Fault) {
    let mut all = Marks::default();
    for seed in seeds(24) {
        for n in 0.. {
            let Some(marks) = run_with(seed, n, test, |disk| fault(disk, n)) else { break };
            all.images += marks.images;
            all.truncations += marks.truncations;
            all.interrupted += marks.interrupted;
            all.recoveries_cut += marks.recoveries_cut;
            all.transactions += marks.transactions;
        }
    }
    println!("{all:?}");
    let enough = all.images > 3000 && all.truncations > 2000 && all.interrupted > 200;
    let rich = all.recoveries_cut > 2000 && all.transactions > 5000;
    assert!((enough && rich) || std::env::var_os("BROOKLET_SEEDS").is_some(), "{all:?}");
}

#[test]
fn a_log_survives_power_cuts_at_every_operation_of_appends_truncations_and_deletions() {
    everywhere("a_log_survives_power_cuts", |disk, n| disk.intercept(DiskOp::Any).skip(n).power_cut());
}

#[test]
fn a_log_survives_failures_of_every_operation_of_appends_truncations_and_deletions() {
    everywhere("a_log_survives_failures", |disk, n| {
        let with = [DiskFault::Eio, DiskFault::Enospc, DiskFault::ShortWrite][(n % 3) as usize];
        let times = if n % 2 == 0 { 1 } else { u64::MAX };
        disk.intercept(DiskOp::Any).skip(n).times(times).fail(with)
    });
}
