//! Compacted logs are cleaned in the background, the dirtiest first, one at a time: in jobs of a bounded size, so that flushes
//! come in between. Whoever cleans by hand keeps the background out meanwhile.

use super::{Node, Task, background::Job, partition::Partition};
use crate::{
    env::TimerId,
    error::{Error, Result},
    log::{Cleaned, Cleaning, Extent, How, KeyHash, Replacement, Step},
    sync::Mutex,
    trace,
    types::{Instant, Offset, TopicId},
};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

/// How long nothing is cleaned where nothing was to be cleaned.
const BACKOFF: Duration = Duration::from_secs(15);
/// How many bytes one job reads, about.
const SLICE: u64 = 8 << 20;
/// What keys take while a log is cleaned, at most, in bytes.
const MEMORY: usize = 128 << 20;

/// A cleaning that is under way, and whose log it cleans.
type Current = (Arc<Partition>, Box<Cleaning>);

/// Who cleans holds it.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    /// What the background is at.
    current: Option<Current>,
    /// Partitions whose logs are damaged: they are not tried again.
    damaged: BTreeSet<(TopicId, i32)>,
}

/// When the background looks for the next time.
#[derive(Debug, Default)]
pub(super) struct CleanerTimer(Mutex<Option<(Instant, TimerId)>>);

/// What a part of a cleaning came to.
enum Came {
    /// There is more to do.
    On,
    /// To its end. `None`: somebody else changed the log, and it is to be begun anew.
    ToEnd(Option<Cleaned>),
}

/// Whose log was cleaned, or could not be.
type Told = (Arc<Partition>, Result<Cleaned>);

impl Node {
    /// Sees to the first look.
    pub(super) fn begin_cleaning(&self) {
        if self.topics.read().partitions().any(|partition| partition.awaits_cleaning()) {
            self.clean_in(BACKOFF);
        }
    }

    /// A segment was closed, or a topic's policy is another.
    pub(super) fn clean_later(&self) {
        self.clean_in(BACKOFF);
    }

    fn clean_in(&self, span: Duration) {
        let at = self.clock.now().plus(span);
        let mut next = self.cleaner_timer.0.lock();
        match *next {
            Some((armed, _)) if armed <= at => return,
            Some((_, id)) => self.timers.disarm(id),
            None => {}
        }
        *next = Some((at, self.timers.arm(at, Task::Clean)));
    }

    /// The timer has fired.
    pub(super) fn clean_now(&self) {
        *self.cleaner_timer.0.lock() = None;
        self.submit(Job::Clean);
    }

    /// What the timer has done: a part of a cleaning.
    pub(super) fn clean_a_part(&self) {
        let Some(mut cleaner) = self.cleaner.try_lock() else { return self.clean_in(BACKOFF) };
        let (again, told) = self.clean_slice(&mut cleaner);
        drop(cleaner);
        told.iter().for_each(tell);
        match again {
            Some(span) => self.clean_in(span),
            None => self.begin_cleaning(),
        }
    }

    /// `None`: there is nothing to clean as of now.
    fn clean_slice(&self, cleaner: &mut Cleaner) -> (Option<Duration>, Option<Told>) {
        if cleaner.current.is_none() {
            let told;
            (cleaner.current, told) = self.dirtiest(cleaner);
            if told.is_some() {
                return (None, told);
            }
        }
        let Some((partition, mut cleaning)) = cleaner.current.take() else { return (None, None) };
        match self.go_on(&partition, &mut cleaning, SLICE) {
            Ok(Came::On) => {
                cleaner.current = Some((partition, cleaning));
                (Some(Duration::ZERO), None)
            }
            Ok(Came::ToEnd(Some(cleaned))) if cleaned.to > cleaned.from => {
                (Some(Duration::ZERO), Some((partition, Ok(cleaned))))
            }
            // Of what is there nothing can be cleaned yet.
            Ok(Came::ToEnd(Some(_))) => (None, None),
            Ok(Came::ToEnd(None)) => {
                cleaning.abandon();
                (Some(Duration::ZERO), None)
            }
            Err(error) => {
                cleaning.abandon();
                let is_gone = partition.lock().log_if_any().is_err();
                if is_gone {
                    return (Some(Duration::ZERO), None);
                }
                cleaner.note(&partition, &error);
                (None, Some((partition, Err(error))))
            }
        }
    }

    /// The log that is most in need of cleaning, of those that are due; or what kept it from being cleaned.
    fn dirtiest(&self, cleaner: &mut Cleaner) -> (Option<Current>, Option<Told>) {
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        let (now, mut most) = (self.wall(), None);
        for partition in
            partitions.into_iter().filter(|partition| !cleaner.damaged.contains(&partition.key()))
        {
            let mut state = partition.lock();
            let Ok(Some(log)) = state.log_if_any() else { continue };
            let high_watermark = partition.high_watermark(log);
            let dirt = match log.dirt(now, high_watermark) {
                Ok(dirt) => dirt.filter(|dirt| dirt.is_due),
                Err(error) => {
                    drop(state);
                    cleaner.note(&partition, &error);
                    return (None, Some((partition, Err(error))));
                }
            };
            drop(state);
            if let Some(dirt) = dirt
                && most.as_ref().is_none_or(|(_, ratio)| dirt.ratio > *ratio)
            {
                most = Some((partition, dirt.ratio));
            }
        }
        let Some((partition, _)) = most else { return (None, None) };
        match self.begin(&partition, false) {
            Ok(begun) => (begun.map(|cleaning| (partition, cleaning)), None),
            Err(error) => {
                cleaner.note(&partition, &error);
                (None, Some((partition, Err(error))))
            }
        }
    }

    fn begin(&self, partition: &Partition, thorough: bool) -> Result<Option<Box<Cleaning>>> {
        let hash = KeyHash::new(&mut self.prng.lock().fork("cleaner"));
        let mut state = partition.lock();
        let Some(log) = state.log_if_any()? else { return Ok(None) };
        let high_watermark = partition.high_watermark(log);
        let how = How { hash, memory: MEMORY, thorough };
        let begun = log.begin_cleaning(self.wall(), high_watermark, how)?;
        drop(state);
        // A recovery must not take what is cleaned for what was lost.
        if begun.is_some() {
            self.write_recovery_points()?;
        }
        Ok(begun.map(Box::new))
    }

    /// Goes on with a cleaning, for about as many bytes.
    fn go_on(&self, partition: &Arc<Partition>, cleaning: &mut Cleaning, bytes: u64) -> Result<Came> {
        let until = cleaning.bytes_read().saturating_add(bytes);
        while cleaning.bytes_read() < until {
            self.check_open()?;
            match cleaning.step(until - cleaning.bytes_read())? {
                Step::More => {}
                Step::Void => return Ok(Came::ToEnd(None)),
                Step::Swap(replacement) => match partition.swap_in(*replacement)? {
                    Some(files) => self.remove_later(partition, files),
                    None => return Ok(Came::ToEnd(None)),
                },
                Step::Done(cleaned) => {
                    partition.end_cleaning(&cleaned);
                    self.write_cleaned()?;
                    return Ok(Came::ToEnd(Some(cleaned)));
                }
            }
        }
        Ok(Came::On)
    }

    /// Cleans all that can be cleaned of a topic, or of all.
    pub(crate) fn compact_now(&self, topic: Option<&str>) -> Result<()> {
        self.check_open()?;
        let partitions: Vec<Arc<Partition>> = {
            let topics = self.topics.read();
            match topic {
                None => topics.partitions().cloned().collect(),
                Some(name) => {
                    let unknown =
                        || Error::UnknownTopicOrPartition { topic: name.to_owned(), partition: None };
                    topics.get(name).ok_or_else(unknown)?.partitions.clone()
                }
            }
        };
        let compacted =
            partitions.iter().filter(|partition| partition.lock().settings().cleanup_policy.compacts());
        let each: Vec<Result<()>> = compacted.map(|partition| self.compact(partition)).collect();
        each.into_iter().collect()
    }

    fn compact(&self, partition: &Arc<Partition>) -> Result<()> {
        // What is not flushed is not cleaned.
        partition.flush(Offset::new(i64::MAX), Extent::Everything)?;
        let mut cleaner = self.cleaner.lock();
        cleaner.give_up();
        let mut told: Vec<Told> = Vec::new();
        let result = self.compact_all(partition, &mut told);
        match &result {
            Ok(()) => drop(cleaner.damaged.remove(&partition.key())),
            Err(error) => cleaner.note(partition, error),
        }
        drop(cleaner);
        told.iter().for_each(tell);
        result
    }

    fn compact_all(&self, partition: &Arc<Partition>, told: &mut Vec<Told>) -> Result<()> {
        while let Some(mut cleaning) = self.begin(partition, true)? {
            let came = loop {
                match self.go_on(partition, &mut cleaning, SLICE) {
                    Ok(Came::On) => {}
                    Ok(Came::ToEnd(came)) => break came,
                    Err(error) => {
                        cleaning.abandon();
                        return Err(error);
                    }
                }
            };
            match came {
                Some(cleaned) => {
                    told.push((Arc::clone(partition), Ok(cleaned)));
                    if !cleaned.is_full {
                        break;
                    }
                }
                None => cleaning.abandon(),
            }
        }
        Ok(())
    }

    /// Waits until nobody cleans, who sees that the broker is closed, and removes what is not finished.
    pub(super) fn end_cleaning(&self) {
        self.cleaner.lock().give_up();
    }

    /// Has files removed that were taken out of a log, after its topic's delay.
    pub(super) fn remove_later(&self, partition: &Partition, files: Vec<PathBuf>) {
        let delay = partition.lock().settings().file_delete_delay;
        self.timers.arm(self.clock.now().plus(delay), Task::Remove(files));
    }
}

impl Cleaner {
    fn give_up(&mut self) {
        if let Some((_, cleaning)) = self.current.take() {
            cleaning.abandon();
        }
    }

    /// What is damaged stays so; what the disk could not do it may do the next time.
    fn note(&mut self, partition: &Partition, error: &Error) {
        if matches!(error, Error::KafkaStorageError { .. }) {
            self.damaged.insert(partition.key());
        }
    }
}

fn tell((partition, result): &Told) {
    match result {
        Ok(cleaned) => {
            let Cleaned { to, bytes_before, bytes_after, .. } = *cleaned;
            trace::log_cleaned(partition.name(), to.get(), bytes_before, bytes_after);
        }
        Err(Error::Closed) => {}
        Err(error) => trace::cleaning_failed(partition.name(), error),
    }
}

impl Partition {
    fn key(&self) -> (TopicId, i32) {
        (self.topic_id, self.name().partition())
    }

    fn awaits_cleaning(&self) -> bool {
        matches!(self.lock().log_if_any(), Ok(Some(log)) if log.awaits_cleaning())
    }

    fn end_cleaning(&self, cleaned: &Cleaned) {
        let mut state = self.lock();
        if let Ok(Some(log)) = state.log_if_any() {
            log.end_cleaning(cleaned);
        }
        state.counts.logs_cleaned += 1;
        state.counts.bytes_cleaned += cleaned.bytes_before.saturating_sub(cleaned.bytes_after);
    }

    /// Puts a cleaned segment in the place of those that it was made of. Gives the files that are to be removed; `None`: the
    /// log is another by now, and stays as it is.
    fn swap_in(&self, by: Replacement) -> Result<Option<Vec<PathBuf>>> {
        // Nobody else renames files of the log, or writes some by name, meanwhile.
        let _no_flush = self.hold_flushes();
        let can = matches!(self.lock().log_if_any(), Ok(Some(log)) if log.can_replace(&by));
        if !can {
            by.abandon(self.storage());
            return Ok(None);
        }
        if let Err((error, undone)) = by.announce(self.storage()) {
            if !undone {
                self.give_up(&error);
            }
            return Err(error);
        }
        let swapped = self.put_in_place(by);
        if let Err(error) = &swapped {
            self.give_up(error);
        }
        swapped.map(Some)
    }

    fn put_in_place(&self, by: Replacement) -> Result<Vec<PathBuf>> {
        let (base, dir) = (by.base(), by.dir().to_owned());
        let files = self.lock().log_if_any()?.ok_or(Error::Closed)?.replace(by)?;
        self.storage().sync_dir(&dir)?;
        self.lock().log_if_any()?.ok_or(Error::Closed)?.end_replace(base)?;
        self.storage().sync_dir(&dir)?;
        Ok(files)
    }

    /// What the disk holds of the log is not known any more.
    fn give_up(&self, why: &Error) {
        let mut state = self.lock();
        if let Ok(Some(log)) = state.log_if_any() {
            log.give_up(why);
        }
    }
}
