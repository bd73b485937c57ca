//! A log on its own: what may happen between the two steps of a flush.

use super::super::{Extent, LoadedFrom, Log, LogConfig};
use crate::types::Offset;
use crate::{
    config::TopicConfig,
    env::{SimDisk, Storage},
    record::BatchWriter,
    types::{Timestamp, TopicPartition},
};
use std::sync::Arc;

fn open(storage: &Arc<dyn Storage>, from: LoadedFrom) -> Log {
    let settings = TopicConfig::new().segment_bytes(1024).settings().unwrap();
    let config = LogConfig {
        partition: TopicPartition::new("t", 0),
        dir: "t-0".into(),
        settings,
        gaps: false,
        gaps_anywhere: false,
        replicated: false,
    };
    storage.create_dir(&config.dir).unwrap();
    Log::open(storage, config, from, Some(Offset::ZERO)).unwrap().0
}

fn append(log: &mut Log, count: usize) {
    for _ in 0..count {
        let mut buffer = Vec::new();
        let mut writer = BatchWriter::new(&mut buffer);
        writer.push(Timestamp::from_millis(1), None, Some(&[7; 300]), &[]).unwrap();
        log.append(&mut writer.finish()).unwrap();
    }
}

#[test]
fn what_is_appended_and_rolled_while_a_flush_is_under_way_is_for_the_next_flush() {
    for (seed, everything) in (0..60).flat_map(|seed| [(seed, false), (seed, true)]) {
        let disk = SimDisk::new(seed);
        let storage = disk.boot();
        let mut log = open(&storage, LoadedFrom::New);
        append(&mut log, 1);
        let under_way = log.begin_flush(Extent::Everything).unwrap();
        under_way.run(&*storage).unwrap();
        append(&mut log, 4);
        log.end_flush(&under_way, Ok(())).unwrap();
        assert!(log.durable() < log.end() && log.segments.len() > 1);
        let next = log.begin_flush(if everything { Extent::Everything } else { Extent::Records }).unwrap();
        let done = next.run(&*storage);
        log.end_flush(&next, done).unwrap();
        let (end, recovery_point) = (log.end(), log.recovery_point());
        disk.power_cut();
        let mut log = open(&disk.boot(), LoadedFrom::Crash(recovery_point));
        assert_eq!(log.end(), end, "seed {seed}");
        let bases: Vec<_> = log.segments.keys().copied().collect();
        assert!(
            bases.into_iter().all(|base| log.segment(base).is_ok()),
            "seed {seed}: a segment was not cut"
        );
    }
}
