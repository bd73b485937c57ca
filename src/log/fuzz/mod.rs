//! What must hold of a log whatever its files say.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "what does not hold panics")]

mod checkpoints;
mod indexes;
mod intact;
mod segment;
mod snapshots;

pub(crate) use checkpoints::{checkpoint, epochs};
pub(crate) use indexes::{index_files, indexes};
pub(crate) use segment::{segment, segments};
pub(crate) use snapshots::{snapshot, snapshot_files};

use super::*;
use crate::{
    config::TopicConfig,
    env::{Files, SimDisk},
    log::load::Recovered,
    record::Batch,
};
use std::time::Duration;

const DIR: &str = "data/t-0";

fn config(gaps: bool, interval: u32) -> LogConfig {
    // No timestamp begins a new segment.
    let settings = TopicConfig::new().index_interval_bytes(interval).segment_time(Duration::MAX);
    LogConfig {
        partition: TopicPartition::new("t", 0),
        dir: DIR.into(),
        settings: settings.settings().unwrap(),
        gaps,
        gaps_anywhere: gaps,
        replicated: false,
    }
}

/// Opens a log as another process would.
fn open(disk: &SimDisk, config: &LogConfig, from: LoadedFrom) -> Result<(Log, Recovered)> {
    Log::open(&disk.boot(), config.clone(), from, Some(Offset::ZERO))
}

/// Closes a log, and gives its end.
fn close(mut log: Log) -> Offset {
    log.prepare_close().unwrap();
    let flush = log.begin_flush(Extent::Everything).unwrap();
    let result = flush.run(&*log.storage);
    log.end_flush(&flush, result).unwrap();
    log.end()
}

/// All batches from the log's start on, read as a client does, fetch by fetch, and each checked.
fn read_all(log: &mut Log) -> Vec<u8> {
    let (mut all, mut position) = (Vec::new(), log.start());
    let end = log.end();
    while position < end {
        let bytes = log.read(position, end, 1000, true).unwrap();
        let mut at = 0;
        while let Ok(batch) = Batch::check(&bytes[at..]) {
            assert!(batch.header().last_offset() >= position);
            position = batch.header().next_offset();
            all.extend(batch.bytes());
            at += batch.header().size;
        }
        assert!(at > 0, "nothing to read at {position}, before the end at {end}");
    }
    assert!(log.read(end, end, 1000, true).unwrap().is_empty());
    all
}
