//! Making a log durable, in two steps that need no lock: what is to be synced is noted under the log's lock, synced
//! without it, and then noted as done.

use super::{segment::IndexUpdate, transactions::write_whole};
use crate::{
    bugs::{self, Bug},
    env::{File, Storage, replace_file},
    error::Result,
    types::Offset,
};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// How much a flush covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What an acknowledgement needs: the records, and the names of their files.
    Records,
    /// That, and what recovery begins with: indexes and leader epochs. Moves the recovery point.
    Everything,
}

/// What a flush has to sync.
#[derive(Debug)]
pub(crate) struct Flush {
    pub(super) extent: Extent,
    /// The log's end when the flush was noted, exclusive.
    pub(super) up_to: Offset,
    /// The segment that was active then.
    pub(super) active: Option<Offset>,
    /// How many segments had been begun.
    pub(super) rolls: u64,
    /// Log files with records that are not durable, oldest first.
    pub(super) files: Vec<Arc<dyn File>>,
    /// Parts of them, as positions, that were found after a crash: a sync alone proves nothing of them.
    pub(super) unsure: Vec<(Arc<dyn File>, u64, u64)>,
    /// The index entries of each segment that has any to write, by the segment's base offset.
    pub(super) indexes: Vec<(Offset, IndexUpdate)>,
    /// Transaction index files, each whole.
    pub(super) txn_indexes: Vec<(Offset, PathBuf, Vec<u8>)>,
    /// Snapshots of the producers.
    pub(super) snapshots: BTreeMap<PathBuf, Vec<u8>>,
    /// The leader-epoch checkpoint, if it changed.
    pub(super) epochs: Option<(PathBuf, String)>,
    /// The directories whose names are not durable, the partition's own first.
    pub(super) dirs: Vec<PathBuf>,
}

impl Flush {
    /// Does it. On an error nothing may be taken for durable that was not before.
    pub(crate) fn run(&self, storage: &dyn Storage) -> Result<()> {
        self.unsure.iter().try_for_each(|(file, from, to)| file.write_again(*from, *to))?;
        self.files.iter().try_for_each(|file| file.sync())?;
        self.indexes.iter().try_for_each(|(_, update)| update.write(storage))?;
        for (_, path, bytes) in &self.txn_indexes {
            write_whole(storage, path, bytes)?;
        }
        self.snapshots.iter().try_for_each(|(path, bytes)| write_whole(storage, path, bytes))?;
        if let Some((path, text)) = &self.epochs {
            replace_file(storage, path, text.as_bytes())?;
        }
        let dirs = if bugs::is(Bug::SkipDirectorySync) { &[] } else { self.dirs.as_slice() };
        dirs.iter().try_for_each(|dir| storage.sync_dir(dir))
    }
}
