//! What must hold of any bytes, one [`Target`] for each kind of file. Here for `cargo test`, which tries some bytes, and for
//! the fuzzers in `tests/fuzz`, which look for others; the properties stand beside what they are about.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "what does not hold panics")]

mod store;
#[cfg(test)]
mod tests;

use crate::{group, log, node, record};

/// A kind of input, and what must hold of it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Panics where a property does not hold of the bytes.
    pub run: fn(&[u8]),
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Inputs made of a file that Kafka wrote: its path and its bytes.
    pub seeds_of: fn(&str, &[u8]) -> Vec<Vec<u8>>,
}

/// A record batch, foreign or from a disk.
pub const BATCH: Target = Target {
    name: "batch",
    run: record::fuzz::batch,
    seeds: record::fuzz::batches,
    seeds_of: |path, bytes| if path.ends_with(".log") { record::fuzz::batches_of(bytes) } else { Vec::new() },
};

/// A `.log` that is recovered.
pub const SEGMENT: Target = Target {
    name: "segment",
    run: log::fuzz::segment,
    seeds: log::fuzz::segments,
    // The mode of a log in which offsets may be missing.
    seeds_of: |path, bytes| if path.ends_with(".log") { vec![[&[2], bytes].concat()] } else { Vec::new() },
};

/// `.index`, `.timeindex` and `.txnindex` beside an intact log.
pub const INDEXES: Target = Target {
    name: "indexes",
    run: log::fuzz::indexes,
    seeds: log::fuzz::index_files,
    seeds_of: |_, _| Vec::new(),
};

/// The checkpoints, and what says which topics there are.
pub const CHECKPOINTS: Target = Target {
    name: "checkpoints",
    run: |bytes| {
        log::fuzz::checkpoint(bytes);
        log::fuzz::epochs(bytes);
        node::fuzz::partition_metadata(bytes);
        node::fuzz::metadata(bytes);
    },
    seeds: || {
        let texts = [
            "0\n2\na-b 0 7\nplain 2 207\n",
            "0\n2\n0 0\n2 113\n",
            "version: 0\ntopic_id: 1U0ZGec3Tv-Y7UAS5iGDCw",
        ];
        texts.into_iter().map(|text| text.as_bytes().to_vec()).chain(node::fuzz::metadata_files()).collect()
    },
    seeds_of: |path, bytes| {
        if path.ends_with("checkpoint") || path.ends_with(".metadata") {
            vec![bytes.to_vec()]
        } else {
            Vec::new()
        }
    },
};

/// A `.snapshot` beside an intact log.
pub const SNAPSHOTS: Target = Target {
    name: "snapshots",
    run: log::fuzz::snapshot,
    seeds: log::fuzz::snapshot_files,
    seeds_of: |path, bytes| {
        if path.ends_with(".snapshot") { vec![[&[0], bytes].concat()] } else { Vec::new() }
    },
};

/// A record of `__consumer_offsets`.
pub const OFFSETS: Target = Target {
    name: "offsets",
    run: group::fuzz::offsets_record,
    seeds: group::fuzz::records,
    seeds_of: |path, bytes| {
        let is_one = path.contains("__consumer_offsets") && path.ends_with(".log");
        if is_one { group::fuzz::records_of(bytes) } else { Vec::new() }
    },
};

/// A store of several files.
pub const STORE: Target =
    Target { name: "store", run: store::store, seeds: store::seeds, seeds_of: |_, _| Vec::new() };

/// All targets.
pub const ALL: [Target; 7] = [BATCH, SEGMENT, INDEXES, CHECKPOINTS, SNAPSHOTS, OFFSETS, STORE];
