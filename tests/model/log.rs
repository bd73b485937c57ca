//! The model: a partition is a list of segments, a segment a list of batches, a batch a list of records. All questions
//! are answered by going through the records one by one.

use crate::settings::Settings;
use std::fmt;

/// A record: its timestamp in ms, and its value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) time: i64,
    pub(crate) value: String,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.value.trim_start_matches('0');
        write!(f, "{number}@{} ({} bytes)", self.time, self.value.len())
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) base: i64,
    pub(crate) records: Vec<Written>,
    /// In bytes, as it lies in the log.
    pub(crate) size: u64,
}

impl Batch {
    fn end(&self) -> i64 {
        self.base + self.records.len() as i64
    }

    fn youngest(&self) -> i64 {
        self.records.iter().map(|record| record.time).max().unwrap()
    }
}

#[derive(Debug, Clone)]
struct Segment {
    base: i64,
    batches: Vec<Batch>,
    /// How many time entries it may have beyond those that its batches make: reading it anew adds one for its end.
    extra_times: usize,
}

impl Segment {
    fn at(base: i64) -> Self {
        Self { base, batches: Vec::new(), extra_times: 0 }
    }

    fn end(&self) -> i64 {
        self.batches.last().map_or(self.base, Batch::end)
    }

    fn size(&self) -> u64 {
        self.batches.iter().map(|batch| batch.size).sum()
    }

    fn youngest(&self) -> i64 {
        self.batches.iter().map(Batch::youngest).max().unwrap()
    }

    /// How many entries its two indexes have.
    fn entries(&self, interval: u64) -> (usize, usize) {
        let (mut offsets, mut times, mut noted, mut largest, mut since) = (0, 0, -1, -1, 0);
        for batch in &self.batches {
            if since > interval {
                offsets += 1;
                times += usize::from(largest > noted);
                noted = largest.max(noted);
                since = 0;
            }
            since += batch.size;
            largest = largest.max(batch.youngest());
        }
        (offsets, times)
    }
}

/// Why a batch begins a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roll {
    Size,
    Time,
    Index,
    /// An index may be full: that depends on how often the log was read anew.
    Perhaps,
}

/// Why a log's start is where it is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expired {
    pub(crate) by_age: bool,
    pub(crate) by_size: bool,
    pub(crate) rolled: bool,
}

#[derive(Debug)]
pub(crate) struct Log {
    segments: Vec<Segment>,
    pub(crate) start: i64,
    pub(crate) high_watermark: i64,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { segments: vec![Segment::at(0)], start: 0, high_watermark: 0 }
    }

    pub(crate) fn end(&self) -> i64 {
        self.active().end()
    }

    fn active(&self) -> &Segment {
        self.segments.last().unwrap()
    }

    pub(crate) fn bases(&self) -> Vec<i64> {
        self.segments.iter().map(|segment| segment.base).collect()
    }

    fn records(&self) -> impl Iterator<Item = (i64, &Written)> {
        let batches = self.segments.iter().flat_map(|segment| &segment.batches);
        batches.flat_map(|batch| (batch.base..).zip(&batch.records))
    }

    /// What a consumer gets that begins at `from`.
    pub(crate) fn read(&self, from: i64) -> Vec<(i64, Written)> {
        let wanted = self.records().filter(|(offset, _)| (from..self.high_watermark).contains(offset));
        wanted.map(|(offset, record)| (offset, record.clone())).collect()
    }

    /// Rule 8, whatever the high watermark is.
    fn first_as_young(&self, time: i64) -> Option<(i64, &Written)> {
        self.records().find(|(offset, record)| *offset >= self.start && record.time >= time)
    }

    pub(crate) fn find(&self, time: i64) -> Option<i64> {
        self.first_as_young(time).map(|(offset, _)| offset).filter(|offset| *offset < self.high_watermark)
    }

    /// Whether the record of a time is there, and not to be seen yet.
    pub(crate) fn hides(&self, time: i64) -> bool {
        self.find(time).is_none() && self.first_as_young(time).is_some()
    }

    /// Whether older records come behind this one.
    pub(crate) fn is_out_of_order(&self, offset: i64, time: i64) -> bool {
        self.records().any(|(other, record)| other > offset && record.time < time)
    }

    pub(crate) fn is_inside_a_batch(&self, offset: i64) -> bool {
        let mut batches = self.segments.iter().flat_map(|segment| &segment.batches);
        batches.any(|batch| batch.base < offset && offset < batch.end())
    }

    /// Whether a batch of this size and largest timestamp begins another segment (rule 39 among others).
    pub(crate) fn roll(&self, size: u64, youngest: i64, settings: &Settings) -> Option<Roll> {
        let active = self.active();
        let first = active.batches.first()?;
        let (offsets, times) = active.entries(settings.index_interval);
        let (most_offsets, most_times) = (settings.index_bytes / 8, settings.index_bytes / 12 - 1);
        if active.size() + size > settings.segment_bytes {
            Some(Roll::Size)
        } else if youngest - first.youngest() > settings.segment_ms {
            Some(Roll::Time)
        } else if offsets >= most_offsets || times >= most_times.max(1) {
            Some(Roll::Index)
        } else if times + active.extra_times >= most_times.max(1) {
            Some(Roll::Perhaps)
        } else {
            None
        }
    }

    pub(crate) fn append(&mut self, records: Vec<Written>, size: u64, rolled: bool) {
        let base = self.end();
        if rolled {
            self.segments.push(Segment::at(base));
        }
        self.segments.last_mut().unwrap().batches.push(Batch { base, records, size });
    }

    /// It is opened anew.
    pub(crate) fn reopen(&mut self) {
        self.high_watermark = self.end();
        self.segments.last_mut().unwrap().extra_times += 2;
        self.drop_below_start();
    }

    /// When the first segment is just as old as it may be.
    pub(crate) fn next_expiry(&self, settings: &Settings) -> Option<i64> {
        let first = self.segments.iter().find(|segment| segment.end() > self.start)?;
        Some(first.youngest() + settings.retention_ms?)
    }

    /// Rules 36 to 38: what is left at `now`.
    pub(crate) fn expire(&mut self, now: i64, settings: &Settings) -> Expired {
        let mut expired = Expired::default();
        self.drop_below_start();
        if !settings.deletes {
            return expired;
        }
        let mut start = self.start;
        for segment in self.segments.iter().filter(|segment| !segment.batches.is_empty()) {
            let is_old = settings.retention_ms.is_some_and(|keep| now - segment.youngest() > keep);
            if segment.end() > self.high_watermark || !is_old {
                break;
            }
            expired.by_age = true;
            start = start.max(segment.end());
        }
        for segment in self.segments.iter().filter(|segment| !segment.batches.is_empty()) {
            if segment.end() <= start {
                continue;
            }
            let behind: u64 =
                self.segments.iter().filter(|other| other.base >= segment.end()).map(Segment::size).sum();
            let is_spare = settings.retention_bytes.is_some_and(|keep| behind >= keep);
            if segment.end() > self.high_watermark || !is_spare {
                break;
            }
            expired.by_size = true;
            start = segment.end();
        }
        if start > self.start && start == self.end() && !self.active().batches.is_empty() {
            self.segments.push(Segment::at(start));
            expired.rolled = true;
        }
        self.start = start;
        self.drop_below_start();
        expired
    }

    /// Rule 41. `None`: out of range.
    pub(crate) fn delete_records(&mut self, to: i64) -> Option<i64> {
        if to < 0 || to > self.high_watermark {
            return None;
        }
        self.start = self.start.max(to);
        self.drop_below_start();
        Some(self.start)
    }

    /// Segments go that another one makes needless: one that begins at the log's start or below.
    fn drop_below_start(&mut self) {
        let kept = self.segments.iter().rposition(|segment| segment.base <= self.start).unwrap_or(0);
        self.segments.drain(..kept);
    }
}
