//! How much there is to read when a log is opened.

use super::{LoadedFrom, LogConfig, names::base_of_log};
use crate::{
    env::{Open, Storage},
    error::Result,
    types::Offset,
};
use std::collections::BTreeMap;

/// How many bytes of a log opening it will read, at most: after a crash what lies from the segment on that holds the
/// recovery point, reserved zeros with it; after a clean close not more than the last segment.
pub(crate) fn bytes_to_scan(storage: &dyn Storage, config: &LogConfig, from: LoadedFrom) -> Result<u64> {
    let entries = storage.list(&config.dir)?.unwrap_or_default();
    let logs = entries.iter().filter(|entry| !entry.is_dir);
    let logs: BTreeMap<Offset, &str> =
        logs.filter_map(|entry| Some((base_of_log(&entry.name)?, &*entry.name))).collect();
    let from = match from {
        LoadedFrom::New => return Ok(0),
        LoadedFrom::CleanClose(_) => Offset::new(i64::MAX),
        LoadedFrom::Crash(point) => point.plus(-1),
    };
    let first = logs.range(..=from).next_back().map_or(from, |(base, _)| *base);
    logs.range(first..)
        .try_fold(0, |sum, (_, name)| Ok(sum + storage.open(&config.dir.join(name), Open::Read)?.len()?))
}
