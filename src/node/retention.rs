//! Where logs begin, and how that moves up: by retention, on a timer, and because a client deletes records.
//!
//! Each step is one that a crash may follow: the start is moved, then noted durably in two files, then the segments below it get names
//! that no loader reads, and some time later they are removed.

use super::{Node, Task, admin::is_internal, partition::Partition};
use crate::{
    bugs::{self, Bug},
    env::replace_file,
    error::{Error, Result},
    log::Log,
    rpc::DeleteRecordsResponse,
    trace,
    types::{CleanupPolicy, Offset, OffsetSpec, Timestamp},
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// How long after an open the logs are looked at for the first time, unless the interval is shorter.
const FIRST_CHECK: Duration = Duration::from_secs(30);

impl Node {
    /// Sees to the first check.
    pub(super) fn begin_retention(&self) {
        if self.retention_check_interval < Duration::MAX {
            self.check_retention_in(FIRST_CHECK.min(self.retention_check_interval));
        }
    }

    fn check_retention_in(&self, span: Duration) {
        if span < Duration::MAX {
            self.timers.arm(self.clock.now().plus(span), Task::Retention);
        }
    }

    /// What the timer has done.
    pub(super) fn check_retention(&self) {
        // What failed is tried again the next time.
        if let Err(error) = self.apply_retention()
            && !matches!(error, Error::Closed)
        {
            trace::retention_failed(&error);
        }
        drop(self.write_high_watermarks());
        self.check_retention_in(self.retention_check_interval);
    }

    /// Removes what topics need not keep any more (rules 36 to 38). One partition's error does not keep the others.
    pub(crate) fn apply_retention(&self) -> Result<()> {
        self.check_open()?;
        let one_at_a_time = self.starts.lock();
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        let now = self.wall();
        let expire = |partition: &Arc<Partition>| match partition.expire(now)? {
            true => partition.write_epochs(),
            false => Ok(()),
        };
        let moved: Vec<Result<()>> = partitions.iter().map(expire).collect();
        // Also what could not be noted when it was moved.
        let noted = self.write_log_starts();
        let droppable = if noted.is_ok() { partitions.as_slice() } else { &[] };
        let dropped: Vec<Result<Dropped>> =
            droppable.iter().map(|partition| self.drop_below_start(partition)).collect();
        drop(one_at_a_time);
        for (partition, dropped) in droppable.iter().zip(&dropped) {
            partition.tell_dropped(dropped);
        }
        let dropped = dropped.into_iter().map(|dropped| dropped.map(drop));
        moved.into_iter().chain([noted]).chain(dropped).collect()
    }

    /// Rules 40 and 41, in this broker's own log.
    pub(super) fn delete_records(
        &self,
        partition: &Arc<Partition>,
        before: OffsetSpec,
    ) -> Result<DeleteRecordsResponse> {
        let topic = || partition.name().topic().to_owned();
        if is_internal(partition.name().topic()) {
            let reason = "records of an internal topic cannot be deleted".to_owned();
            return Err(Error::InvalidTopic { topic: topic(), reason });
        }
        let policy = {
            let state = partition.lock();
            state.check_is_leader()?;
            state.settings().cleanup_policy
        };
        if policy == CleanupPolicy::Compact {
            let reason =
                "a topic with cleanup_policy compact does not delete records by their age".to_owned();
            return Err(Error::PolicyViolation { topic: topic(), reason });
        }
        let one_at_a_time = self.starts.lock();
        let log_start_offset = partition.delete_records(before)?;
        partition.write_epochs()?;
        if bugs::is(Bug::DropBeforeStartIsNoted) {
            self.drop_below_start(partition)?;
        }
        self.write_log_starts()?;
        // They are deleted by now. Segments that could not be renamed are removed by the next retention, or open.
        let dropped = self.drop_below_start(partition);
        drop(one_at_a_time);
        partition.tell_dropped(&dropped);
        Ok(DeleteRecordsResponse { log_start_offset })
    }

    /// A follower's log begins no earlier than its leader's.
    pub(super) fn follow_start(&self, partition: &Arc<Partition>, to: Offset) -> Result<()> {
        let one_at_a_time = self.starts.lock();
        if let Some(log) = partition.lock().log_if_any()? {
            log.move_start(to)?;
        }
        partition.write_epochs()?;
        self.write_log_starts()?;
        let dropped = self.drop_below_start(partition);
        drop(one_at_a_time);
        partition.tell_dropped(&dropped);
        Ok(())
    }

    /// Takes segments out of a log that lie below its start, which is durable, and has them removed later.
    fn drop_below_start(&self, partition: &Arc<Partition>) -> Result<Dropped> {
        let mut dropped = partition.drop_below_start()?;
        let paths = std::mem::take(&mut dropped.files);
        if paths.is_empty() {
            return Ok(dropped);
        }
        self.remove_later(partition, paths);
        // The names, too, are to be durable at some time.
        let armed = std::mem::replace(&mut partition.lock().flush_armed, true);
        if !armed {
            self.arm_flush(partition, false);
        }
        Ok(dropped)
    }
}

/// Segments that were taken out of a log.
#[derive(Debug, Default)]
struct Dropped {
    segments: u64,
    /// Their files, under the names that they have now.
    files: Vec<PathBuf>,
    /// Where the log begins.
    start: Offset,
}

impl Partition {
    /// Moves the log's start up as its topic's retention says. `true`: it moved.
    fn expire(&self, now: Timestamp) -> Result<bool> {
        let mut state = self.lock();
        // A topic that is being deleted, or whose log is not made yet.
        let Ok(Some(log)) = state.log_if_any() else { return Ok(false) };
        let high_watermark = self.high_watermark(log);
        let start = log.retention_start(now, high_watermark)?;
        start.map_or(Ok(()), |start| log.move_start(start))?;
        Ok(start.is_some())
    }

    /// Writes the leader epochs of a log whose start moved, before that start is noted. The next open removes what lies below
    /// a start that both files tell of, whatever a crash left of it; what only one tells of it keeps.
    fn write_epochs(&self) -> Result<()> {
        // A flush that is under way writes the same file.
        let _no_flush = self.hold_flushes();
        let unwritten = match self.lock().log_if_any() {
            Ok(Some(log)) => log.unwritten_epochs(),
            _ => None,
        };
        let Some((path, text)) = unwritten else { return Ok(()) };
        replace_file(self.storage(), &path, text.as_bytes())?;
        if let Ok(Some(log)) = self.lock().log_if_any() {
            log.epochs_written(&text);
        }
        Ok(())
    }

    fn delete_records(&self, before: OffsetSpec) -> Result<Offset> {
        let mut state = self.lock();
        let Some(log) = state.log_if_any()? else {
            return match before {
                OffsetSpec::At(offset) if offset != 0 => {
                    Err(self.out_of_range(offset, Offset::ZERO, Offset::ZERO))
                }
                _ => Ok(Offset::ZERO),
            };
        };
        let high_watermark = self.high_watermark(log);
        let to = delete_below(log, before, high_watermark)?;
        if to < Offset::ZERO || to > high_watermark {
            return Err(self.out_of_range(to.get(), log.start(), high_watermark));
        }
        log.move_start(to)?;
        Ok(log.start())
    }

    fn out_of_range(&self, offset: i64, start: Offset, end: Offset) -> Error {
        Error::OffsetOutOfRange {
            partition: self.name().clone(),
            offset,
            log_start_offset: start.get(),
            log_end_offset: end.get(),
        }
    }

    /// Takes segments out of the log that lie below its start.
    fn drop_below_start(&self) -> Result<Dropped> {
        if !matches!(self.lock().log_if_any(), Ok(Some(log)) if !log.below_start().is_empty()) {
            return Ok(Dropped::default());
        }
        // A flush that is under way writes the index files of segments, by their names.
        let _no_flush = self.hold_flushes();
        let mut state = self.lock();
        let Ok(Some(log)) = state.log_if_any() else { return Ok(Dropped::default()) };
        let (below, start) = (log.below_start().len(), log.start());
        let files = log.drop_below_start();
        let segments = (below - log.below_start().len()) as u64;
        state.counts.segments_deleted += segments;
        Ok(Dropped { segments, files: files?, start })
    }

    fn tell_dropped(&self, dropped: &Result<Dropped>) {
        if let Ok(Dropped { segments, start, .. }) = dropped
            && *segments > 0
        {
            trace::segments_deleted(self.name(), *segments, start.get());
        }
    }
}

/// The offset below which records are to go. Where none is as young as asked for, all are older.
fn delete_below(log: &mut Log, before: OffsetSpec, high_watermark: Offset) -> Result<Offset> {
    Ok(match before {
        OffsetSpec::Earliest => log.start(),
        OffsetSpec::Latest => high_watermark,
        OffsetSpec::Timestamp(at) => {
            log.find_time(at)?.filter(|found| *found < high_watermark).unwrap_or(high_watermark)
        }
        OffsetSpec::At(offset) => Offset::new(offset),
    })
}
