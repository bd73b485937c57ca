//! Putting a cleaned segment in the place of those that it was made of. A crash on the way leaves the old ones or the new one:
//!
//! 1. The new files, which are durable, are renamed from `.cleaned` to `.swap`, durably. From here on a loader finishes it.
//! 2. In memory the new segment takes the place of the old ones, whose files are renamed to `.deleted`, durably.
//! 3. The new files get their names.
//!
//! Nothing else may change the log's segments meanwhile, and none may be flushed: whoever does it holds the flushes. The log
//! itself is locked in the second step and the third alone, for a few names.

use crate::{
    bugs::{self, Bug},
    env::Storage,
    error::{Error, Result},
    log::{
        Log,
        interrupted::{CLEANED, DELETED, SWAP},
        names::{Kind, segment_file},
        segment::Segment,
    },
    types::Offset,
};
use std::path::{Path, PathBuf};

/// What a segment's files are for, but for the producers.
const OF_SEGMENT: [Kind; 4] = [Kind::Log, Kind::Index, Kind::TimeIndex, Kind::TxnIndex];

/// A file of a segment under the name that it has while it is made or put in place.
pub(super) fn unplaced(dir: &Path, base: Offset, kind: Kind, suffix: &str) -> PathBuf {
    let mut path = segment_file(dir, base, kind).into_os_string();
    path.push(suffix);
    path.into()
}

/// Removes what was written of a segment. What is left over is removed by the next open.
pub(super) fn remove_unplaced(storage: &dyn Storage, dir: &Path, base: Offset, suffix: &str) {
    OF_SEGMENT.iter().for_each(|kind| drop(storage.remove_file(&unplaced(dir, base, *kind, suffix))));
}

/// A cleaned segment that is durable, and not in its log yet.
#[derive(Debug)]
pub(crate) struct Replacement {
    dir: PathBuf,
    segment: Segment,
    /// What it is made of, in order.
    sources: Vec<Offset>,
    /// Its files.
    kinds: Vec<Kind>,
    /// How often the log had been cut when its sources were noted.
    cuts: u64,
}

impl Replacement {
    pub(super) fn new(
        dir: PathBuf,
        segment: Segment,
        sources: Vec<Offset>,
        kinds: Vec<Kind>,
        cuts: u64,
    ) -> Self {
        Self { dir, segment, sources, kinds, cuts }
    }

    pub(crate) fn base(&self) -> Offset {
        self.segment.base()
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn size(&self) -> u64 {
        self.segment.size()
    }

    /// The first step. On an error it is undone if that can be; `false` beside the error: perhaps it is not.
    pub(crate) fn announce(&self, storage: &dyn Storage) -> Result<(), (Error, bool)> {
        self.rename_to_swap(storage).map_err(|error| {
            let bases = [SWAP, CLEANED];
            let undone = bases.iter().try_for_each(|suffix| {
                let files = self.kinds.iter().map(|kind| unplaced(&self.dir, self.base(), *kind, suffix));
                files.into_iter().try_for_each(|file| storage.remove_file(&file))
            });
            (error, undone.and_then(|()| storage.sync_dir(&self.dir)).is_ok())
        })
    }

    fn rename_to_swap(&self, storage: &dyn Storage) -> Result<()> {
        for kind in &self.kinds {
            let name = |suffix| unplaced(&self.dir, self.base(), *kind, suffix);
            storage.rename(&name(CLEANED), &name(SWAP))?;
        }
        // By one that is left over of a cleaning that was given up, a loader would take this one for unfinished too.
        for entry in storage.list(&self.dir)?.unwrap_or_default() {
            if entry.name.ends_with(CLEANED) {
                storage.remove_file(&self.dir.join(&entry.name))?;
            }
        }
        if bugs::is(Bug::SwapBeforeSync) { Ok(()) } else { storage.sync_dir(&self.dir) }
    }

    /// Removes what was written of it.
    pub(crate) fn abandon(&self, storage: &dyn Storage) {
        remove_unplaced(storage, &self.dir, self.base(), CLEANED);
    }
}

impl Log {
    /// Whether the log is still what a replacement was made of.
    pub(crate) fn can_replace(&self, by: &Replacement) -> bool {
        let (Some(first), Some(last)) = (by.sources.first(), by.sources.last()) else { return false };
        let there = self.segments.range(*first..=*last).map(|(base, _)| base);
        self.poison.is_none()
            && self.clean.cuts == by.cuts
            && self.config.gaps
            && self.config.settings.cleanup_policy.compacts()
            && self.segments.keys().next_back() > Some(last)
            && there.eq(&by.sources)
    }

    /// The second step. Gives the files that are to be removed, under the names that they have now.
    pub(crate) fn replace(&mut self, by: Replacement) -> Result<Vec<PathBuf>> {
        let (dir, base) = (by.dir, by.segment.base());
        for source in &by.sources {
            self.segments.remove(source);
            self.transactions.remove(source);
            self.idle.forget(*source);
            self.unflushed.remove(source);
            if *source != base {
                self.snapshots.remove(&segment_file(&dir, *source, Kind::Snapshot));
            }
        }
        self.segments.insert(base, Some(by.segment));
        // Until it has its name it must stay open.
        self.unflushed.insert(base);
        self.clean.replaced += 1;
        let there = self.storage.list(&dir)?.unwrap_or_default();
        let mut renamed = Vec::new();
        for source in &by.sources {
            let snapshot = Some(Kind::Snapshot).filter(|_| *source != base);
            for kind in OF_SEGMENT.into_iter().chain(snapshot) {
                let path = segment_file(&dir, *source, kind);
                if there.iter().any(|entry| path.ends_with(&entry.name)) {
                    let to = unplaced(&dir, *source, kind, DELETED);
                    self.storage.rename(&path, &to)?;
                    renamed.push(to);
                }
            }
        }
        Ok(renamed)
    }

    /// The third step.
    pub(crate) fn end_replace(&mut self, base: Offset) -> Result<()> {
        let dir = self.config.dir.clone();
        for kind in OF_SEGMENT {
            let from = unplaced(&dir, base, kind, SWAP);
            let there = kind != Kind::TxnIndex
                || self
                    .storage
                    .list(&dir)?
                    .unwrap_or_default()
                    .iter()
                    .any(|entry| from.ends_with(&entry.name));
            if there {
                self.storage.rename(&from, &segment_file(&dir, base, kind))?;
            }
        }
        self.unflushed.remove(&base);
        if let Some(segment) = self.segments.insert(base, None).flatten() {
            self.idle.keep(base, &segment);
        }
        self.check();
        Ok(())
    }

    /// A step failed half way: what the disk holds is not known, and nothing is taken until the log is opened anew.
    pub(crate) fn give_up(&mut self, why: &Error) {
        self.poison.get_or_insert_with(|| why.clone());
    }

    /// How often segments were put in the place of others.
    pub(crate) fn replaced(&self) -> u64 {
        self.clean.replaced
    }
}
