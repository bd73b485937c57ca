//! The log as a whole, on the simulated disk: what is read where, and what damage does.

mod cleaning;
mod compacting;
mod damage;
mod flushing;
mod idle;
mod keyed;
mod lies;
mod reading;
mod replacing;
mod retention;
mod salvage;
mod surviving;
mod truncating;

use super::*;
use crate::{
    config::TopicConfig,
    env::{Clock, ManualClock, Open, SimDisk},
    record::{Batch, BatchWriter},
};
use std::path::Path;

/// A record as it is read: offset, timestamp in ms, value.
type Read = (i64, i64, String);

struct Store {
    disk: SimDisk,
    /// By which files get their times.
    clock: ManualClock,
    storage: Arc<dyn Storage>,
    config: LogConfig,
    log: Log,
}

impl Store {
    fn new(segment_bytes: u32, interval: u32) -> Self {
        Self::of(TopicConfig::new().segment_bytes(segment_bytes).index_interval_bytes(interval))
    }

    fn of(settings: TopicConfig) -> Self {
        let config = LogConfig {
            partition: TopicPartition::new("t", 0),
            dir: "data/t-0".into(),
            settings: settings.settings().unwrap(),
            gaps: false,
            gaps_anywhere: false,
            replicated: false,
        };
        let (disk, clock) = (SimDisk::new(0), ManualClock::new());
        let storage = disk.boot_at(&Clock::Manual(clock.clone()));
        let (log, _) = Log::open(&storage, config.clone(), LoadedFrom::New, Some(Offset::ZERO)).unwrap();
        Self { disk, clock, storage, config, log }
    }

    /// Appends a batch of records with these timestamps; their values tell the offsets that they should have.
    fn append(&mut self, times: &[i64]) {
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        for (n, time) in times.iter().enumerate() {
            let value = format!("record {}", self.log.end().plus(n as i64));
            writer.push(Timestamp::from_millis(*time), None, Some(value.as_bytes()), &[]).unwrap();
        }
        self.log.append(&mut writer.finish()).unwrap();
    }

    /// Closes the log, and gives its end.
    fn close(&mut self) -> Offset {
        self.log.prepare_close().unwrap();
        let flush = self.log.begin_flush(Extent::Everything).unwrap();
        let result = flush.run(&*self.storage);
        self.log.end_flush(&flush, result).unwrap();
        self.log.end()
    }

    /// Opens the log anew, as another process would: what is read by it is its own.
    fn reopen(&self, from: LoadedFrom) -> Result<Log> {
        self.reopen_at(from, Some(Offset::ZERO))
    }

    /// As `reopen`, where the log's start was noted.
    fn reopen_at(&self, from: LoadedFrom, start: Option<Offset>) -> Result<Log> {
        let storage = self.disk.boot_at(&Clock::Manual(self.clock.clone()));
        Ok(Log::open(&storage, self.config.clone(), from, start)?.0)
    }

    fn crash_and_reopen(&mut self) {
        let end = self.close();
        self.log = self.reopen(LoadedFrom::Crash(end)).unwrap();
    }

    fn files(&self, suffix: &str) -> Vec<PathBuf> {
        let entries = self.storage.list(&self.config.dir).unwrap().unwrap();
        let names = entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(suffix));
        names.map(|name| self.config.dir.join(name)).collect()
    }

    fn content(&self, path: &Path) -> Vec<u8> {
        crate::env::read_file(&*self.storage, path, 1 << 20).unwrap().unwrap()
    }

    /// Puts another file in the place of one: who reads the old one keeps it.
    fn overwrite(&self, path: &Path, bytes: &[u8]) {
        self.storage.remove_file(path).unwrap();
        let file = self.storage.open(path, Open::Write).unwrap();
        file.write_at(0, bytes).unwrap();
    }
}

/// Where the segments begin.
fn bases(log: &Log) -> Vec<i64> {
    log.segments.keys().map(|base| base.get()).collect()
}

/// Reads as a client does, fetch by fetch, each batch checked: all records from `from` on, and the error that ended it.
fn read(log: &mut Log, from: i64, max_bytes: usize) -> (Vec<Read>, Option<String>) {
    let mut position = Offset::new(from);
    let mut records = Vec::new();
    loop {
        let end = log.end();
        let bytes = match log.read(position, end, max_bytes, true) {
            Ok(bytes) if bytes.is_empty() => return (records, None),
            Ok(bytes) => bytes,
            Err(error) => return (records, Some(error.to_string())),
        };
        let (mut rest, start) = (&*bytes, position);
        while !rest.is_empty() {
            let batch = match Batch::check(rest).and_then(|batch| batch.check_records().map(|()| batch)) {
                Ok(batch) => batch,
                Err(_) if position > start => break,
                Err(error) => return (records, Some(error.to_string())),
            };
            let wanted = batch.records().filter(|record| record.offset >= position);
            records.extend(wanted.map(|record| {
                let value = String::from_utf8(record.value.unwrap().to_vec()).unwrap();
                (record.offset.get(), record.timestamp.as_millis(), value)
            }));
            position = batch.header().next_offset();
            rest = &rest[batch.header().size..];
        }
    }
}

/// What the records from `from` to `to` (exclusive) should be, with these timestamps from offset 0 on.
fn expected(times: &[i64], from: usize, to: usize) -> Vec<Read> {
    (from..to).map(|n| (n as i64, times[n], format!("record {n}"))).collect()
}
