//! One segment: a log file and the two indexes over it. (Kafka: `LogSegment`)

use super::{
    LogConfig,
    idle::KnownTimes,
    names::{Kind, segment_file},
    offset_index::{self, OffsetIndex},
    scan::{Found, Scanner},
    time_index::{self, TimeIndex},
};
use crate::{
    bugs::{self, Bug},
    config::TopicSettings,
    env::{Bytes, File, Open, Storage, read_file},
    error::{Error, Result},
    record::{BATCH_HEADER_LEN, Batch, BatchError, BatchHeader, MAX_INFLATED, RecordRef},
    types::{LeaderEpoch, Offset, TopicPartition},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The largest index file that is read, in bytes: a larger one is made anew.
pub(super) const INDEX_LIMIT: u64 = 64 << 20;

/// How much of a log is looked at at once in search of an offset: two default index intervals.
const WINDOW: u64 = 8192;

/// Where a batch is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Located {
    pub(crate) position: u64,
    pub(crate) header: BatchHeader,
}

/// A segment whose end is known.
#[derive(Debug)]
pub(crate) struct Segment {
    dir: PathBuf,
    partition: TopicPartition,
    base: Offset,
    /// Whether offsets may be missing between batches.
    gaps: bool,
    file: Arc<dyn File>,
    /// The bytes of whole batches. The file may be longer by what is reserved.
    size: u64,
    /// Exclusive.
    end: Offset,
    index: OffsetIndex,
    times: TimeIndex,
    /// The max timestamp of the first batch, if there is one.
    first_timestamp: Option<i64>,
    /// The largest timestamp, and the last offset of the first batch that reached it.
    largest: (i64, Offset),
    /// Bytes since the last index entry.
    unindexed: u64,
    /// From this position, and this offset, on every batch was read, or appended, by this process.
    known_from: (u64, Offset),
    /// Whether a batch of a producer with an id was among these.
    has_producers: bool,
    /// Whether the time index is known to be this log's.
    times_known: bool,
    /// Whether the index files were not this log's, so that they are to be written anew.
    rebuilt: bool,
    /// The bytes, as positions, that were there after a crash: whether they are on the disk nobody knows.
    unsure: Option<(u64, u64)>,
    /// What the two index files held when the segment was opened.
    stored: [Vec<u8>; 2],
}

/// Whether a batch may come where `expected` is the next offset.
pub(super) fn follows(header: &BatchHeader, expected: Offset, gaps: bool) -> bool {
    header.base_offset == expected || (gaps && header.base_offset > expected)
}

impl Segment {
    /// A new, empty segment at the end of a log.
    pub(crate) fn create(storage: &dyn Storage, config: &LogConfig, base: Offset) -> Result<Self> {
        let capacity = u64::from(config.settings.segment_bytes);
        let file = storage.open(&segment_file(&config.dir, base, Kind::Log), Open::Append { capacity })?;
        Ok(Self::empty((&config.dir, &config.partition), base, config.gaps, file))
    }

    /// A new, empty segment whose log is in `file`, under whatever name.
    pub(super) fn over(config: &LogConfig, base: Offset, file: Arc<dyn File>) -> Self {
        Self::empty((&config.dir, &config.partition), base, config.gaps, file)
    }

    fn empty(
        (dir, partition): (&Path, &TopicPartition),
        base: Offset,
        gaps: bool,
        file: Arc<dyn File>,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            partition: partition.clone(),
            base,
            gaps,
            file,
            size: 0,
            end: base,
            index: OffsetIndex::new(base),
            times: TimeIndex::new(base),
            first_timestamp: None,
            largest: (-1, base),
            unindexed: 0,
            known_from: (0, base),
            has_producers: false,
            times_known: true,
            rebuilt: false,
            unsure: None,
            stored: Default::default(),
        }
    }

    /// Opens the segment `base` with what its indexes know of the offsets below `trusted`, checked against the log.
    /// What lies behind that is yet to be scanned: see [`scan`](Self::scan).
    pub(crate) fn open(
        storage: &dyn Storage,
        config: &LogConfig,
        base: Offset,
        how: Open,
        trusted: Offset,
    ) -> Result<Self> {
        let dir = config.dir.as_path();
        let file = storage.open(&segment_file(dir, base, Kind::Log), how)?;
        let mut segment = Self::empty((dir, &config.partition), base, config.gaps, file);
        let read = |kind| match read_file(storage, &segment_file(dir, base, kind), INDEX_LIMIT) {
            // Larger than any that makes sense.
            Err(Error::KafkaStorageError { .. }) => Ok(Vec::new()),
            other => Ok::<_, Error>(other?.unwrap_or_default()),
        };
        segment.first_timestamp = segment.header_at(0)?.map(|first| first.max_timestamp);
        segment.stored = [read(Kind::Index)?, read(Kind::TimeIndex)?];
        segment.index = OffsetIndex::parse(base, &segment.stored[0], segment.file.len()?);
        segment.times = TimeIndex::parse(base, &segment.stored[1]);
        segment.index.truncate(trusted);
        if !segment.resume()? {
            segment.forget_indexes();
        }
        Ok(segment)
    }

    /// Takes up the state at the last index entry, so that a scan can go on from there. `false`: the indexes are not
    /// this log's.
    fn resume(&mut self) -> Result<bool> {
        let Some((last_offset, position)) = self.index.last() else {
            return Ok(self.times.len() == 0);
        };
        let Some(header) = self.header_at(position)? else { return Ok(false) };
        self.times.truncate(header.base_offset);
        self.size = position;
        self.end = header.base_offset;
        self.largest = self.times.last().unwrap_or((-1, self.base));
        self.unindexed = 0;
        (self.known_from, self.times_known) = ((position, header.base_offset), false);
        let is_so = header.last_offset() == last_offset || bugs::is(Bug::TrustIndex);
        Ok(is_so && self.times.len() > 0)
    }

    fn header_at(&self, position: u64) -> Result<Option<BatchHeader>> {
        let mut bytes = [0; BATCH_HEADER_LEN];
        let read = self.file.read_at(position, &mut bytes)?;
        Ok(BatchHeader::parse(bytes.get(..read).unwrap_or_default()).ok())
    }

    fn forget_indexes(&mut self) {
        let fresh = Self::empty((&self.dir, &self.partition), self.base, self.gaps, Arc::clone(&self.file));
        let stored = std::mem::take(&mut self.stored);
        *self = Self { rebuilt: true, unsure: self.unsure, stored, ..fresh };
    }

    /// Ends the opening of a segment that takes no more records: notes its largest timestamp, and whether the index
    /// files hold just what they should.
    pub(crate) fn seal(&mut self) {
        self.note_largest_timestamp();
        self.index.set_persisted(0);
        self.times.set_persisted(0);
        self.rebuilt = self.stored != [self.index.unpersisted().1, self.times.unpersisted().1];
        if !self.rebuilt {
            self.index.set_persisted(self.index.len());
            self.times.set_persisted(self.times.len());
            // The last entry tells the largest timestamp, and that is found in what was read: none is missing.
            self.times_known |= self.largest.1 >= self.known_from.1;
        }
        self.stored = Default::default();
    }

    /// Reads on from the known end and takes every batch in, up to the first that is bad or does not go on where the
    /// last one ended.
    pub(crate) fn scan(&mut self, interval: u32) -> Result<Scan> {
        self.scan_telling(interval, &mut |_| {})
    }

    /// As `scan`; says now and then how many bytes were read.
    pub(crate) fn scan_telling(&mut self, interval: u32, tell: &mut dyn FnMut(u64)) -> Result<Scan> {
        let len = self.file.len()?;
        self.scan_to(len, interval, tell)
    }

    fn scan_to(&mut self, len: u64, interval: u32, tell: &mut dyn FnMut(u64)) -> Result<Scan> {
        let file = Arc::clone(&self.file);
        let mut scanner = Scanner::new(&*file, self.size, len);
        let mut epochs: Vec<(LeaderEpoch, Offset)> = Vec::new();
        let mut told = 0;
        let bad = loop {
            let position = scanner.position();
            if scanner.bytes_read() != told {
                told = scanner.bytes_read();
                tell(told);
            }
            let header = match scanner.next()? {
                Found::Batch(header) => header,
                Found::End => break None,
                Found::Bad(error) => break Some(error.to_string()),
            };
            let expected = self.end;
            if !self.follows(&header, expected) || self.leaves_no_room(&header, expected, &scanner)? {
                break Some(format!("a batch at offset {} where {} should be", header.base_offset, self.end));
            }
            let newest = epochs.last().map(|(epoch, _)| *epoch);
            match newest {
                Some(newest) if header.leader_epoch < newest => {
                    break Some("its leader epoch goes back".to_owned());
                }
                Some(newest) if header.leader_epoch == newest => {}
                _ => epochs.push((header.leader_epoch, header.base_offset)),
            }
            self.note(&header, position, interval);
        };
        Ok(Scan { bad, bytes_read: scanner.bytes_read(), epochs })
    }

    /// Whether a batch behind a gap lies upon the one behind it, which could come in its stead: then its own offset, which no
    /// checksum covers, is not what it was.
    fn leaves_no_room(&self, header: &BatchHeader, expected: Offset, scanner: &Scanner<'_>) -> Result<bool> {
        if header.base_offset <= expected {
            return Ok(false);
        }
        let overlapped = expected..header.next_offset();
        Ok(matches!(scanner.peek()?, Found::Batch(behind) if overlapped.contains(&behind.base_offset)))
    }

    /// Whether a batch may come where `expected` is the next offset.
    pub(crate) fn follows(&self, header: &BatchHeader, expected: Offset) -> bool {
        follows(header, expected, self.gaps)
    }

    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// The offset behind the last record.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    /// The largest timestamp, as far as is known, and the last offset of the first batch that reached it.
    pub(super) fn largest(&self) -> (i64, Offset) {
        self.largest
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The max timestamp of the first batch, if there is one.
    pub(super) fn first_timestamp(&self) -> Option<i64> {
        self.first_timestamp
    }

    /// How many bytes the two indexes have.
    pub(super) fn index_sizes(&self) -> [u64; 2] {
        [self.index.len() * offset_index::ENTRY, self.times.len() * time_index::ENTRY].map(|size| size as u64)
    }

    /// The bytes of both index files of a segment that takes no more records; they are to be written.
    pub(super) fn index_files(&mut self) -> [Vec<u8>; 2] {
        let bytes = [self.index.unpersisted().1, self.times.unpersisted().1];
        self.index.set_persisted(self.index.len());
        self.times.set_persisted(self.times.len());
        bytes
    }

    /// Notes that the bytes from `from` on were found after a crash.
    pub(super) fn doubt(&mut self, from: u64) {
        self.unsure = Some((from, self.size)).filter(|(from, to)| from < to);
    }

    /// What is to be written again before a sync proves anything.
    pub(super) fn unsure(&self) -> Option<(u64, u64)> {
        self.unsure
    }

    /// Notes that what was to be written again is durable.
    pub(super) fn trust(&mut self) {
        self.unsure = None;
    }

    /// From this position on every batch was read, or appended, by this process.
    pub(crate) fn known_from(&self) -> u64 {
        self.known_from.0
    }

    /// Whether it is known that no batch from `from` on is of a producer with an id.
    pub(super) fn has_no_producers_from(&self, from: Offset) -> bool {
        !self.has_producers && self.known_from.1 <= from.max(self.base)
    }

    /// Whether the index files have to be written anew.
    pub(crate) fn is_rebuilt(&self) -> bool {
        self.rebuilt
    }

    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Whether a batch of `size` bytes that ends at `last` (inclusive) belongs here. Not if it would make the segment too
    /// large, has offsets that its indexes cannot say, finds an index full, or is younger than the first batch by more
    /// than a segment may span (rule 39).
    #[inline]
    pub(crate) fn has_room(&self, size: usize, header: &BatchHeader, limits: &TopicSettings) -> bool {
        let fits = self.size + size as u64 <= u64::from(limits.segment_bytes);
        let expressible = i32::try_from(header.last_offset().since(self.base)).is_ok();
        let index_bytes = limits.segment_index_bytes as usize;
        let indexable = self.index.len() < (index_bytes / offset_index::ENTRY).max(1)
            && self.times.len() < (index_bytes / time_index::ENTRY).saturating_sub(1).max(1);
        // From a first batch without a timestamp on nothing is measured.
        let first = self.first_timestamp.filter(|first| *first >= 0);
        let span = first.map_or(0, |first| header.max_timestamp.saturating_sub(first));
        let in_time = span <= limits.segment_ms;
        match self.size {
            0 => expressible,
            _ => fits && expressible && indexable && in_time,
        }
    }

    /// Appends a batch whose offsets are set. On an error nothing is changed that a reader could see.
    pub(crate) fn append(&mut self, bytes: &[u8], header: &BatchHeader, interval: u32) -> Result<()> {
        let position = self.size;
        if bugs::is(Bug::PublishBeforeCopy) {
            self.note(header, position, interval);
            return self.file.write_at(position, bytes);
        }
        self.file.write_at(position, bytes)?;
        self.note(header, position, interval);
        Ok(())
    }

    /// Takes in the batch at `position`, the end so far: indexes first, then the ends.
    fn note(&mut self, header: &BatchHeader, position: u64, interval: u32) {
        if self.unindexed > u64::from(interval) {
            self.index.push(header.last_offset(), position);
            self.times.push(self.largest.0, self.largest.1);
            self.unindexed = 0;
        }
        self.unindexed += header.size as u64;
        self.has_producers |= header.producer_id >= 0;
        if position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        if header.max_timestamp > self.largest.0 {
            self.largest = (header.max_timestamp, header.last_offset());
        }
        self.size = position + header.size as u64;
        self.end = header.next_offset();
    }

    /// The batch that holds `offset`, or the first one behind it; `None` if the segment ends before.
    pub(crate) fn locate(&mut self, offset: Offset, interval: u32) -> Result<Option<Located>> {
        match self.walk_to(offset)? {
            Walk::Found(located) => Ok(Some(located)),
            Walk::End => Ok(None),
            // An index is never evidence: what it says was not so. It is made anew, from the log.
            Walk::IndexLied => {
                self.rebuild(interval)?;
                match self.walk_to(offset)? {
                    Walk::Found(located) => Ok(Some(located)),
                    Walk::End => Ok(None),
                    Walk::IndexLied => Err(self.damage((0, self.base), "it has changed while it was read")),
                }
            }
        }
    }

    fn walk_to(&self, offset: Offset) -> Result<Walk> {
        let (position, first) = match self.index.floor(offset) {
            Some((last, position)) => (position, First::Ends(last)),
            None => (0, First::Begins(self.base)),
        };
        self.walk(position, first, |header| header.last_offset() >= offset)
    }

    /// The first record at or behind `log_start` with a timestamp of `timestamp` or later.
    pub(crate) fn find_time(
        &mut self,
        timestamp: i64,
        log_start: Offset,
        interval: u32,
    ) -> Result<Option<Offset>> {
        self.check_times(interval)?;
        if self.largest.0 < timestamp {
            return Ok(None);
        }
        let mut from = (0, self.base);
        if let Some((time, last)) = self.times.below(timestamp).filter(|(_, last)| *last >= log_start) {
            match self.behind_first(time, last, log_start, interval)? {
                Some(behind) => from = behind,
                // As for offsets: what the index says was not so.
                None => self.rebuild(interval)?,
            }
        }
        if from.1 < log_start
            && let Some(Located { position, header }) = self.locate(log_start, interval)?
        {
            from = (position, header.base_offset);
        }
        self.scan_for_time(from, timestamp, log_start)
    }

    /// Where the batch ends that ends at `last` and is the first to reach `time`, as the time index says. `None` if it is
    /// not, by what lies behind the entry before, and behind the log's start.
    fn behind_first(
        &mut self,
        time: i64,
        last: Offset,
        log_start: Offset,
        interval: u32,
    ) -> Result<Option<(u64, Offset)>> {
        let from = self.times.below(time).map_or(self.base, |(_, offset)| offset.plus(1)).max(log_start);
        let Some(start) = self.locate(from, interval)? else { return Ok(None) };
        let start = (start.position, start.header.base_offset);
        let mut next = start.1;
        let mut scanner = Scanner::new(&*self.file, start.0, self.size);
        while next <= last {
            let position = scanner.position();
            let header = match scanner.next()? {
                Found::Batch(header) if self.follows(&header, next) => header,
                Found::Batch(header) => return Err(self.misplaced(position, &header, next)),
                Found::End => return Ok(None),
                Found::Bad(error) => return Err(self.damage((position, next), &error.to_string())),
            };
            next = header.next_offset();
            if header.last_offset() == last {
                return Ok((header.max_timestamp == time).then_some((scanner.position(), next)));
            }
            if header.max_timestamp >= time {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Looks for a record at least as young from a position, where the batch of the offset begins, on. Every batch is
    /// checked: a flipped bit in a timestamp must not hide one.
    fn scan_for_time(
        &self,
        from: (u64, Offset),
        timestamp: i64,
        log_start: Offset,
    ) -> Result<Option<Offset>> {
        let (mut position, mut next) = from;
        let mut scanner = Scanner::new(&*self.file, position, self.size);
        loop {
            let header = match scanner.next()? {
                Found::Batch(header) if self.follows(&header, next) => header,
                Found::Batch(header) => return Err(self.misplaced(position, &header, next)),
                Found::End => return Ok(None),
                Found::Bad(error) => return Err(self.damage((position, next), &error.to_string())),
            };
            if header.max_timestamp >= timestamp {
                let bytes = self.file.bytes(position, header.size)?;
                if let Some(offset) = self.find_in_batch(position, &bytes, timestamp, log_start)? {
                    return Ok(Some(offset));
                }
            }
            (position, next) = (scanner.position(), header.next_offset());
        }
    }

    fn find_in_batch(
        &self,
        position: u64,
        bytes: &[u8],
        timestamp: i64,
        log_start: Offset,
    ) -> Result<Option<Offset>> {
        let Some(batch) = Batch::unchecked(bytes) else { return Ok(None) };
        let at = |header: &BatchHeader| (position, header.base_offset);
        let damaged = |error: BatchError| self.damage(at(batch.header()), &error.to_string());
        let inflated = batch.inflate(MAX_INFLATED).map_err(damaged)?;
        let Some(readable) = inflated.as_deref().map_or(Some(batch), Batch::unchecked) else {
            return Ok(None);
        };
        readable.check_records().map_err(damaged)?;
        let wanted =
            |record: &RecordRef<'_>| record.timestamp.as_millis() >= timestamp && record.offset >= log_start;
        Ok(readable.records().find(wanted).map(|record| record.offset))
    }

    /// Sees to it, once, that the time index says all that the log says. Where it is used nothing tells that an entry is
    /// missing, and the records that it would lead to are hidden.
    pub(super) fn check_times(&mut self, interval: u32) -> Result<()> {
        if self.times_known {
            return Ok(());
        }
        let all = |segment: &mut Self| {
            segment.index.set_persisted(0);
            segment.times.set_persisted(0);
            [segment.index.unpersisted().1, segment.times.unpersisted().1]
        };
        let (before, rebuilt) = (all(self), self.rebuilt);
        self.rebuild(interval)?;
        self.rebuilt = rebuilt || before != all(self);
        if !self.rebuilt {
            self.index.set_persisted(self.index.len());
            self.times.set_persisted(self.times.len());
        }
        Ok(())
    }

    /// What is known of the times, if they were checked.
    pub(super) fn known_times(&self) -> Option<KnownTimes> {
        let known = KnownTimes { largest: self.largest.0, checksum: self.times.checksum() };
        Some(known).filter(|_| self.times_known)
    }

    /// Spares the check of the times if they are the same as when they were checked before.
    pub(super) fn take_times_as(&mut self, known: KnownTimes) {
        self.times_known |= known == KnownTimes { largest: self.largest.0, checksum: self.times.checksum() };
    }

    /// Goes through headers from `position` on, each of a batch that begins where the one before ended, to the first
    /// that is `wanted`.
    fn walk(&self, position: u64, first: First, wanted: impl Fn(&BatchHeader) -> bool) -> Result<Walk> {
        let mut position = position;
        let mut next = first;
        let behind = self.index.behind(position);
        let bound = behind.map_or(self.end, |(last, _)| last);
        let mut window = Bytes::from(Vec::new());
        let mut window_at = position;
        while position < self.size {
            let offset_in_window = usize::try_from(position - window_at).unwrap_or(usize::MAX);
            let mut parsed = BatchHeader::parse(window.get(offset_in_window..).unwrap_or_default());
            if parsed.is_err() && (position > window_at || window.is_empty()) {
                let len = WINDOW.min(self.size - position);
                window = self.file.bytes(position, usize::try_from(len).unwrap_or(0))?;
                window_at = position;
                parsed = BatchHeader::parse(&window);
            }
            let header = match (parsed, next) {
                (Ok(header), First::Ends(last)) if ends_at(&header, last) => header,
                (_, First::Ends(_)) => return Ok(Walk::IndexLied),
                (Ok(header), First::Begins(base)) if self.fits(&header, base, bound) => header,
                // What an index says of the batches that come is no evidence either.
                (Ok(header), First::Begins(base)) if behind.is_some() && self.follows(&header, base) => {
                    return Ok(Walk::IndexLied);
                }
                (Ok(header), First::Begins(base)) => return Err(self.misplaced(position, &header, base)),
                (Err(error), First::Begins(base)) => {
                    return Err(self.damage((position, base), &error.to_string()));
                }
            };
            if position + header.size as u64 > self.size {
                let at = (position, header.base_offset);
                return Err(self.damage(at, "a batch is longer than the segment"));
            }
            if wanted(&header) {
                return Ok(Walk::Found(Located { position, header }));
            }
            position += header.size as u64;
            next = First::Begins(header.next_offset());
        }
        Ok(Walk::End)
    }

    /// Makes both indexes anew from the log. Where that is damaged they stay: what they lead to behind the damage is found,
    /// now and when the log is opened next.
    fn rebuild(&mut self, interval: u32) -> Result<()> {
        let empty = Self::empty((&self.dir, &self.partition), self.base, self.gaps, Arc::clone(&self.file));
        let mut fresh = Self { rebuilt: true, unsure: self.unsure, ..empty };
        // What an append that failed left behind the end does not count.
        let scan = fresh.scan_to(self.size, interval, &mut |_| {})?;
        // Not less, and not more: what is appended next must not come over what is there.
        if (fresh.size, fresh.end) != (self.size, self.end) {
            // Nothing is known of the times behind the damage: a look-up comes here again.
            self.times_known = false;
            let otherwise = format!("it ends at offset {} and not at {}", fresh.end, self.end);
            return Err(self.damage((fresh.size, fresh.end), &scan.bad.unwrap_or(otherwise)));
        }
        fresh.note_largest_timestamp();
        fresh.stored = std::mem::take(&mut self.stored);
        *self = fresh;
        Ok(())
    }

    /// Whether a batch may come where `expected` is the next offset, and all before `bound` (exclusive): where offsets may
    /// be missing, what comes behind must leave room for what an index, or the end, says to come later.
    fn fits(&self, header: &BatchHeader, expected: Offset, bound: Offset) -> bool {
        self.follows(header, expected) && (!self.gaps || header.last_offset() <= bound)
    }

    fn misplaced(&self, position: u64, found: &BatchHeader, expected: Offset) -> Error {
        let found = found.base_offset;
        self.damage((position, expected), &format!("a batch at offset {found} where {expected} should be"))
    }

    fn damage(&self, (position, offset): (u64, Offset), why: &str) -> Error {
        let partition = &self.partition;
        Error::KafkaStorageError {
            path: self.file.path().to_owned(),
            partition: Some(partition.clone()),
            offset: Some(offset.get()),
            reason: format!("{partition} from offset {offset} on: at byte {position}: {why}"),
        }
    }

    /// Says in the time index what the largest timestamp is: at roll, at close and behind recovery.
    pub(crate) fn note_largest_timestamp(&mut self) {
        self.times.push(self.largest.0, self.largest.1);
    }

    /// Cuts the file to its batches.
    pub(crate) fn trim(&self) -> Result<()> {
        if self.file.len()? > self.size { self.file.set_len(self.size) } else { Ok(()) }
    }

    /// What the index files lack, to be written without a lock on the log.
    pub(crate) fn unpersisted(&self) -> IndexUpdate {
        let update = |kind, (at, bytes): (u64, Vec<u8>), len: usize| {
            (segment_file(&self.dir, self.base, kind), at, bytes, len)
        };
        IndexUpdate {
            files: [
                update(Kind::Index, self.index.unpersisted(), self.index.len()),
                update(Kind::TimeIndex, self.times.unpersisted(), self.times.len()),
            ],
        }
    }

    /// Says that `update` was written.
    pub(crate) fn persisted(&mut self, update: &IndexUpdate) {
        let [(_, _, _, index), (_, _, _, times)] = &update.files;
        self.rebuilt = false;
        self.index.set_persisted(*index);
        self.times.set_persisted(*times);
    }
}

/// Whether an index says of a batch what is so.
fn ends_at(header: &BatchHeader, last: Offset) -> bool {
    header.last_offset() == last || bugs::is(Bug::TrustIndex)
}

/// What is known of the batch that a walk begins with.
#[derive(Clone, Copy)]
enum First {
    /// Its first offset: from the batch before it, or from the segment's name.
    Begins(Offset),
    /// Its last offset, as an index says.
    Ends(Offset),
}

enum Walk {
    Found(Located),
    End,
    IndexLied,
}

/// What a scan found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// Why it ended, if not at the end of the file just behind a batch.
    pub(crate) bad: Option<String>,
    pub(crate) bytes_read: u64,
    /// The leader epochs met, each with the first offset it was met at.
    pub(crate) epochs: Vec<(LeaderEpoch, Offset)>,
}

/// Entries for a segment's index files: path, position, bytes, and how many entries the file has then.
#[derive(Debug)]
pub(crate) struct IndexUpdate {
    files: [(PathBuf, u64, Vec<u8>, usize); 2],
}

impl IndexUpdate {
    /// Writes and syncs the entries; whatever lay behind them in the files is cut off.
    pub(crate) fn write(&self, storage: &dyn Storage) -> Result<()> {
        for (path, at, bytes, _) in &self.files {
            let file = storage.open(path, Open::Write)?;
            let end = at + bytes.len() as u64;
            if bytes.is_empty() && file.len()? == end {
                continue;
            }
            file.set_len(*at)?;
            file.write_at(*at, bytes)?;
            file.sync()?;
        }
        Ok(())
    }
}
