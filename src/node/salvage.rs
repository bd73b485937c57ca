//! Opening a store that is damaged, if that was asked for: what is put in order before a log is loaded as ever.

use super::{Node, checkpoints::Checkpoints};
use crate::{
    error::{Error, Result},
    log::{Damage, LOG_STARTS, LoadedFrom, LogConfig, RECOVERY_POINTS, Salvaged, salvage},
    types::Offset,
};
use std::path::PathBuf;

/// How many copies of one file are kept aside at most.
const MAX_ASIDE: u32 = 10_000;

/// How a log is to be loaded: by what is known of its end, and where it begins.
type How = (LoadedFrom, Option<Offset>);

impl Node {
    /// What was read of one of the broker's own files. `None` for one that is damaged: it is kept aside, and counts as lost.
    pub(super) fn or_aside<T>(
        &self,
        file: &str,
        read: Result<T>,
        kept_aside: &mut Vec<PathBuf>,
    ) -> Result<Option<T>> {
        match read {
            Err(Error::KafkaStorageError { .. }) if self.salvage => {
                let there = self.storage.list(&self.dir)?.unwrap_or_default();
                let mut names = (0..MAX_ASIDE).map(|n| format!("{file}.{n}.cut"));
                let free = names.find(|name| there.iter().all(|entry| entry.name != *name));
                let full = || Error::IllegalState(format!("{MAX_ASIDE} copies of {file} are kept aside"));
                let aside = self.dir.join(free.ok_or_else(full)?);
                self.storage.rename(&self.dir.join(file), &aside)?;
                self.storage.sync_dir(&self.dir)?;
                kept_aside.push(aside);
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    /// Puts a log in order, and says how it is to be loaded then. `None` if nobody asked for that.
    pub(super) fn salvage_log(
        &self,
        config: &LogConfig,
        (from, start): How,
        checkpoints: &Checkpoints,
    ) -> Result<Option<(How, Salvaged)>> {
        if !self.salvage {
            return Ok(None);
        }
        let known = Some(from).filter(|_| !checkpoints.points_lost);
        let start = if checkpoints.starts_lost { self.adopted_start(&config.dir, None)? } else { start };
        let mut salvaged = salvage(&*self.storage, config, known, start)?;
        let end = salvaged.end;
        let mut disagrees = |file: &str, at: Offset, reason: String| {
            let (path, offset) = (self.dir.join(file), at.get());
            salvaged.damage.push(Damage { path, offset, next_offset: offset, reason });
        };
        let mut start = salvaged.start;
        if let Some(noted) = start.filter(|noted| *noted > end) {
            disagrees(
                LOG_STARTS,
                end,
                format!("it says that the log begins at {noted}, and it ends at {end}"),
            );
            start = self.adopted_start(&config.dir, None)?;
        }
        if let LoadedFrom::CleanClose(closed) = from
            && end > closed
            && known.is_some()
        {
            disagrees(
                RECOVERY_POINTS,
                closed,
                format!("it says that the log ends at {closed}, and it goes on"),
            );
        }
        let from = match from {
            _ if known.is_none() => LoadedFrom::Crash(Offset::ZERO),
            LoadedFrom::CleanClose(end) if !salvaged.damage.is_empty() => LoadedFrom::Crash(end),
            from => from,
        };
        Ok(Some(((from, start), salvaged)))
    }
}
