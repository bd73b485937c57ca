//! The broker-wide files that keep an offset for each partition.

use super::{Node, partition::Partition, topics::TopicEntry};
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    log::{
        CLEANED, HIGH_WATERMARKS, LOG_STARTS, Log, OffsetsByPartition, RECOVERY_POINTS, read_checkpoint,
        write_checkpoint,
    },
    types::{Offset, TopicPartition},
};
use std::{path::PathBuf, sync::Arc};

/// What the files said when the broker was opened.
#[derive(Debug)]
pub(super) struct Checkpoints {
    pub(super) recovery_points: OffsetsByPartition,
    pub(super) log_starts: OffsetsByPartition,
    /// Up to where logs were cleaned.
    pub(super) cleaned: OffsetsByPartition,
    /// Whether the files were not to be read, and are kept aside.
    pub(super) points_lost: bool,
    pub(super) starts_lost: bool,
}

impl Checkpoints {
    /// Whether a file was not to be read.
    pub(super) fn is_lost(&self) -> bool {
        self.points_lost || self.starts_lost
    }

    /// All partitions that are named.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.recovery_points.keys().chain(self.log_starts.keys())
    }
}

/// What is in the files now, as far as it is known: what did not change is not written again.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) log_starts: Option<OffsetsByPartition>,
    pub(super) high_watermarks: Option<OffsetsByPartition>,
    pub(super) cleaned: Option<OffsetsByPartition>,
}

impl Node {
    /// Reads what there is to load logs by.
    pub(super) fn read_checkpoints(&self, kept_aside: &mut Vec<PathBuf>) -> Result<Checkpoints> {
        let mut read = |file| {
            let read = read_checkpoint(&*self.storage, &self.dir.join(file));
            self.or_aside(file, read, kept_aside)
        };
        let (points, starts) = (read(RECOVERY_POINTS)?, read(LOG_STARTS)?);
        let cleaned = match read_checkpoint(&*self.storage, &self.dir.join(CLEANED)) {
            // What it said would only spare work.
            Err(Error::KafkaStorageError { .. }) => OffsetsByPartition::new(),
            other => other?,
        };
        Ok(Checkpoints {
            cleaned,
            points_lost: points.is_none(),
            starts_lost: starts.is_none(),
            recovery_points: points.unwrap_or_default(),
            log_starts: starts.unwrap_or_default(),
        })
    }

    /// Writes the recovery points of all partitions.
    pub(super) fn write_recovery_points(&self) -> Result<()> {
        let _one_at_a_time = self.checkpoint.lock();
        // A close writes the last one: none may come behind it that knows less.
        self.check_open()?;
        let ahead = bugs::is(Bug::RecoveryPointAhead);
        let points = self.offsets(|_, log| Some(if ahead { log.end() } else { log.recovery_point() }));
        write_checkpoint(&*self.storage, &self.dir.join(RECOVERY_POINTS), &points)
    }

    /// Writes where the logs begin, those that do not begin at 0. The others are not named: a log whose first records
    /// were removed can so be told from one whose first segment was lost.
    pub(super) fn write_log_starts(&self) -> Result<()> {
        self.write_log_starts_with(None)
    }

    /// As `write_log_starts`, with the start that a log is about to get.
    pub(super) fn write_log_starts_with(&self, next: Option<(TopicPartition, Offset)>) -> Result<()> {
        let mut written = self.checkpoint.lock();
        self.check_open()?;
        let mut starts = self.offsets(|_, log| noted_start(log));
        starts.extend(next);
        self.replace(LOG_STARTS, &mut written.log_starts, starts)
    }

    /// Writes the high watermarks. Nothing here reads them again.
    pub(super) fn write_high_watermarks(&self) -> Result<()> {
        let mut written = self.checkpoint.lock();
        self.check_open()?;
        let offsets = self.offsets(|partition, log| Some(partition.high_watermark(log)));
        self.replace(HIGH_WATERMARKS, &mut written.high_watermarks, offsets)
    }

    /// Writes all of them for the last time.
    pub(super) fn write_last_checkpoints(
        &self,
        logs: &[(TopicPartition, Offset, Option<Offset>)],
    ) -> Result<()> {
        // No other comes behind them: those look first whether the broker is open.
        let mut written = self.checkpoint.lock();
        let ends: OffsetsByPartition = logs.iter().map(|(of, end, _)| (of.clone(), *end)).collect();
        let starts = logs.iter().filter_map(|(of, _, start)| Some((of.clone(), (*start)?))).collect();
        self.replace(LOG_STARTS, &mut written.log_starts, starts)?;
        self.replace(HIGH_WATERMARKS, &mut written.high_watermarks, ends.clone())?;
        write_checkpoint(&*self.storage, &self.dir.join(RECOVERY_POINTS), &ends)
    }

    /// Writes up to where logs are cleaned, behind what cleaned them.
    pub(super) fn write_cleaned(&self) -> Result<()> {
        let mut written = self.checkpoint.lock();
        self.check_open()?;
        let cleaned = self.offsets(|_, log| log.cleaned_noted());
        self.replace(CLEANED, &mut written.cleaned, cleaned)
    }

    /// Takes removed topics out of the file that says how far logs were cleaned.
    pub(super) fn forget_cleaned(&self, removed: &[TopicEntry]) -> Result<()> {
        self.forget_cleaned_of(|of| removed.iter().any(|entry| *entry.name == *of.topic()))
    }

    /// As `forget_cleaned`, of the partitions of which this holds.
    pub(super) fn forget_cleaned_of(&self, removed: impl Fn(&TopicPartition) -> bool) -> Result<()> {
        let mut written = self.checkpoint.lock();
        written.cleaned = None;
        let path = self.dir.join(CLEANED);
        // What is no checkpoint says nothing of a topic.
        let Ok(mut cleaned) = read_checkpoint(&*self.storage, &path) else { return Ok(()) };
        let there = cleaned.len();
        cleaned.retain(|of, _| !removed(of));
        if cleaned.len() == there { Ok(()) } else { write_checkpoint(&*self.storage, &path, &cleaned) }
    }

    fn offsets(&self, of: impl Fn(&Partition, &Log) -> Option<Offset>) -> OffsetsByPartition {
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        let mut offsets = OffsetsByPartition::new();
        for partition in partitions {
            if let Ok(Some(log)) = partition.lock().log_if_any()
                && let Some(offset) = of(&partition, log)
            {
                offsets.insert(partition.name().clone(), offset);
            }
        }
        offsets
    }

    fn replace(
        &self,
        file: &str,
        written: &mut Option<OffsetsByPartition>,
        offsets: OffsetsByPartition,
    ) -> Result<()> {
        if written.as_ref() == Some(&offsets) {
            return Ok(());
        }
        *written = None;
        write_checkpoint(&*self.storage, &self.dir.join(file), &offsets)?;
        *written = Some(offsets);
        Ok(())
    }
}

/// What is written of where a log begins.
pub(super) fn noted_start(log: &Log) -> Option<Offset> {
    Some(log.start()).filter(|start| *start > Offset::ZERO)
}
