//! What goes on beside the requests: flushing, and the threads that see to it by the wall clock.
//!
//! By the wall clock one thread drives the timers and another does what touches the disk. On a manual clock there are
//! no threads: whoever moves the time does both. A cluster drives its brokers' timers itself; by the wall clock each has a thread that
//! flushes, so that no broker waits for the disk of another.

use super::{Node, Task, partition::Partition};
use crate::{
    error::{Error, Result},
    log::Extent,
    sync::{JoinHandle, Mutex, Ordering, channel, is_current, spawn},
    trace,
    types::{Instant, Offset},
};
use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

/// Work for the disk.
#[derive(Debug)]
pub(super) enum Job {
    Flush(Weak<Partition>),
    /// Note how far the logs are flushed.
    NoteRecoveryPoints,
    /// Have pages ready for the appends that come next.
    RunAhead(Weak<Partition>),
    /// Look at all logs for what need not be kept.
    Retention,
    /// Look at all groups for offsets that nobody has asked for.
    ExpireOffsets,
    /// Look at compacted logs, and clean a part of one.
    Clean,
    /// Publish what is counted: sizes of segments may have to be looked up.
    Publish,
    /// Remove these files.
    Remove(Vec<PathBuf>),
    /// Remove these directories with all that is in them.
    RemoveDirs(Vec<PathBuf>),
}

/// How long the recovery points that are noted may stay behind a flush: one file has those of all partitions, which are flushed one by
/// one. (Kafka: `log.flush.offset.checkpoint.interval.ms`, a minute)
const RECOVERY_POINTS_WITHIN: Duration = Duration::from_secs(1);

/// How many jobs may wait for the worker: as many as there may be partitions with records to flush is plenty. A queue
/// that is full holds the timers up, not the appends.
const MAX_JOBS: usize = 10_000;

/// The threads, if there are any.
#[derive(Debug, Default)]
pub(super) struct Background {
    jobs: Mutex<Option<channel::Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Node {
    /// Starts the threads, by the wall clock.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        self.start_worker()?;
        let failed = |error| Error::io(&self.dir, error);
        let node = Arc::clone(self);
        let timers = spawn("brooklet-timers", move || {
            while node.check_open().is_ok() {
                node.timers.alarm().sleep(&node.clock, node.timers.next().unwrap_or(Instant::MAX));
                node.run_timers(node.clock.now());
            }
        });
        self.background.threads.lock().push(timers.map_err(failed)?);
        Ok(())
    }

    /// Starts the thread that does what touches the disk.
    pub(super) fn start_worker(self: &Arc<Self>) -> Result<()> {
        let (jobs, waiting) = channel::bounded(MAX_JOBS);
        let node = Arc::downgrade(self);
        let worker = spawn("brooklet-worker", move || {
            for job in waiting {
                let Some(node) = node.upgrade() else { break };
                node.run(job);
            }
        });
        self.background.threads.lock().push(worker.map_err(|error| Error::io(&self.dir, error))?);
        *self.background.jobs.lock() = Some(jobs);
        Ok(())
    }

    /// Ends without closing anything, as a process does that is killed: when this returns, no thread of the broker's touches its files.
    pub(crate) fn halt(&self) {
        self.begin_close();
        self.stop();
    }

    /// Ends the threads, and waits for what they are at.
    pub(super) fn stop(&self) {
        *self.background.jobs.lock() = None;
        self.timers.alarm().ring();
        let threads = std::mem::take(&mut *self.background.threads.lock());
        for thread in threads.into_iter().filter(|thread| !is_current(thread)) {
            // A thread of ours that panicked has said so on its own.
            drop(thread.join());
        }
    }

    /// For a test that schedules the threads: there the time passes by nothing else.
    #[cfg(brooklet_shuttle)]
    pub(crate) fn let_time_pass(&self, by: std::time::Duration) {
        if let crate::env::Clock::System(system) = &self.clock {
            system.pass(by);
        }
        self.timers.alarm().ring();
    }

    /// Has a job done: by the worker, or here where there is none.
    pub(super) fn submit(&self, job: Job) {
        // A log that followers copy may be cut at any time: what rewrites or removes files is done where that is.
        let here = self.replication.is_some() && !matches!(job, Job::Flush(_) | Job::NoteRecoveryPoints);
        let jobs = self.background.jobs.lock().clone().filter(|_| !here);
        let left = match jobs {
            Some(jobs) => jobs.send(job).err().map(|unsent| unsent.0),
            None => Some(job),
        };
        if let Some(job) = left {
            self.run(job);
        }
    }

    /// Has a job done by the worker, if there is one and it is not behind with others.
    pub(super) fn offer(&self, job: Job) {
        if let Some(jobs) = self.background.jobs.lock().as_ref() {
            // Nobody waits for what is only offered.
            drop(jobs.try_send(job));
        }
    }

    fn run(&self, job: Job) {
        if self.check_open().is_err() {
            return;
        }
        match job {
            Job::Flush(partition) => partition.upgrade().into_iter().for_each(|there| self.flush(&there)),
            Job::NoteRecoveryPoints => self.note_recovery_points(),
            Job::RunAhead(partition) => partition.upgrade().into_iter().for_each(|there| run_ahead(&there)),
            Job::Retention => self.check_retention(),
            Job::ExpireOffsets => self.check_offsets(),
            Job::Clean => self.clean_a_part(),
            Job::Publish => self.check_publishing(),
            // What is left over is removed by the next open.
            Job::Remove(paths) => paths.iter().for_each(|path| drop(self.storage.remove_file(path))),
            Job::RemoveDirs(dirs) => dirs.iter().for_each(|dir| drop(self.storage.remove_dir(dir))),
        }
    }

    /// Sees to it that what was found after a crash becomes durable, as if it had come just now.
    pub(super) fn flush_recovered(&self) {
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        for partition in partitions {
            let dirty = partition.lock().arm_if_dirty();
            if dirty {
                self.arm_flush(&partition, false);
            }
        }
    }

    fn flush(&self, partition: &Partition) {
        partition.lock().flush_armed = false;
        // A flush that fails poisons the partition: its next append or flush gives the error.
        if let Err(error) = partition.flush(Offset::new(i64::MAX), Extent::Everything) {
            self.note_failure(error);
        } else if !self.points_armed.swap(true, Ordering::AcqRel) {
            self.timers.arm(self.clock.now().plus(RECOVERY_POINTS_WITHIN), Task::NoteRecoveryPoints);
        }
    }

    fn note_recovery_points(&self) {
        // What is flushed from here on may not be in them.
        self.points_armed.store(false, Ordering::Release);
        // One that fails loses nothing: the next recovery starts earlier.
        if let Err(error) = self.write_recovery_points()
            && !matches!(error, Error::Closed)
        {
            trace::checkpoint_failed(&error);
        }
    }

    /// Makes all records durable that are in the logs now.
    pub(crate) fn flush_all(&self) -> Result<()> {
        self.check_open()?;
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        for partition in &partitions {
            let dirty = partition.lock().log_if_any()?.is_some_and(|log| log.is_dirty());
            if dirty {
                partition.flush(Offset::new(i64::MAX), Extent::Everything)?;
            }
        }
        self.write_recovery_points()?;
        self.write_high_watermarks()
    }

    /// The offset below which the records of a partition survive a power cut, exclusive.
    pub(crate) fn durable_offset(&self, topic: &str, partition: i32) -> Result<Offset> {
        self.check_open()?;
        let unknown =
            || Error::UnknownTopicOrPartition { topic: topic.to_owned(), partition: Some(partition) };
        let partition = self.partition_named(topic, partition).ok_or_else(unknown)?;
        let mut state = partition.lock();
        Ok(state.log_if_any()?.map_or(Offset::ZERO, |log| log.durable()))
    }

    /// Says that nothing more will be answered. `false`: it was said before.
    pub(super) fn begin_close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }
}

fn run_ahead(partition: &Partition) {
    let ahead = partition.lock().log_if_any().ok().flatten().and_then(|log| log.ahead());
    // What fails here is told to the append that comes there.
    drop(ahead.map(|(file, from)| file.run_ahead(from)));
}
