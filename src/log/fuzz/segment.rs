//! Recovery of a `.log` of any bytes.

use super::*;
use crate::{
    log::names::{Kind, segment_file},
    record::{BatchError, BatchHeader, BatchWriter, MAX_INFLATED, fuzz::batches, fuzz::seal},
};

/// Recovers a log of these bytes: what follows each other from its first byte on, and that alone, is the log. The first
/// byte says whether checksums are set right, whether offsets may be missing, and how dense the index is.
pub(crate) fn segment(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if mode & 1 > 0 {
        seal_all(&mut bytes);
    }
    let config = config(mode & 2 > 0, [0, 300, 4096, 1 << 20][usize::from(mode >> 2 & 3)]);
    let expected = Expected::of(&bytes, config.gaps);
    let path = log_file();
    let disk = SimDisk::with_files(&Files::from([(path.clone(), bytes.clone())]));
    let crash = LoadedFrom::Crash(Offset::ZERO);

    let (mut log, recovered) = open(&disk, &config, crash).unwrap();
    expected.check(&mut log, &bytes);
    let files = disk.files();
    let (kept, rest) = files[&path].split_at(expected.size);
    assert!(kept == &bytes[..expected.size] && rest.iter().all(|byte| *byte == 0), "the log was changed");
    let aside: Vec<u8> = recovered.kept_aside.iter().flat_map(|path| files[path].clone()).collect();
    let cut = without_zeros(&bytes[expected.size..]);
    assert_eq!(aside, cut, "what was cut is kept aside");
    assert_eq!(recovered.bytes_cut, cut.len() as u64);

    let (mut log, recovered) = open(&disk, &config, crash).unwrap();
    assert_eq!((recovered.bytes_cut, &*recovered.kept_aside), (0, &[][..]), "the second recovery");
    expected.check(&mut log, &bytes);
    if expected.end.get() < i64::MAX / 2 {
        append(&mut log, &mut bytes, expected.size);
        let expected = Expected::of(&bytes, config.gaps);
        let end = close(log);
        let (mut log, recovered) = open(&disk, &config, LoadedFrom::CleanClose(end)).unwrap();
        assert_eq!(recovered.bytes_cut, 0);
        expected.check(&mut log, &bytes);
        close(log);
        // What is appended may have come into a segment of its own.
        let logs = disk.files().into_iter().filter(|(other, _)| other.extension() == path.extension());
        assert!(logs.flat_map(|(_, bytes)| bytes).eq(bytes), "a clean open changes nothing");
    }
}

fn log_file() -> PathBuf {
    segment_file(DIR.as_ref(), Offset::ZERO, Kind::Log)
}

fn append(log: &mut Log, bytes: &mut Vec<u8>, size: usize) {
    let mut buffer = Vec::new();
    let mut writer = BatchWriter::new(&mut buffer);
    writer.push(Timestamp::from_millis(7), None, Some(b"appended"), &[]).unwrap();
    let mut batch = writer.finish();
    log.append(&mut batch).unwrap();
    bytes.truncate(size);
    bytes.extend(batch.bytes());
}

fn seal_all(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(size) = seal(&mut bytes[at..]) {
        at += size;
    }
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// What the bytes of a log say, found in the plainest way.
struct Expected {
    /// The position of each batch.
    batches: Vec<(usize, BatchHeader)>,
    size: usize,
    end: Offset,
}

impl Expected {
    fn of(bytes: &[u8], gaps: bool) -> Self {
        let mut found = Self { batches: Vec::new(), size: 0, end: Offset::ZERO };
        let mut epoch = None;
        while let Ok(batch) = Batch::check(&bytes[found.size..]) {
            let header = *batch.header();
            let follows = header.base_offset == found.end || (gaps && header.base_offset > found.end);
            let behind =
                Batch::check(&bytes[found.size + header.size..]).ok().map(|b| b.header().base_offset);
            let overlaps = behind.is_some_and(|b| (found.end..header.next_offset()).contains(&b));
            if !follows || (header.base_offset > found.end && overlaps) || Some(header.leader_epoch) < epoch {
                break;
            }
            epoch = Some(header.leader_epoch);
            found.batches.push((found.size, header));
            found.size += header.size;
            found.end = header.next_offset();
        }
        found
    }

    /// The first record at least as young, in batches that say that they have one.
    fn first_at(&self, bytes: &[u8], timestamp: i64) -> Result<Option<Offset>, BatchError> {
        for (at, _) in self.batches.iter().filter(|(_, header)| header.max_timestamp >= timestamp) {
            let batch = Batch::check(&bytes[*at..])?;
            let inflated = batch.inflate(MAX_INFLATED)?;
            let batch = inflated.as_deref().map_or(Some(batch), Batch::unchecked).unwrap();
            batch.check_records()?;
            let young = |record: &crate::record::RecordRef<'_>| record.timestamp.as_millis() >= timestamp;
            if let Some(record) = batch.records().find(young) {
                return Ok(Some(record.offset));
            }
        }
        Ok(None)
    }

    fn check(&self, log: &mut Log, bytes: &[u8]) {
        assert_eq!((log.start(), log.end()), (Offset::ZERO, self.end));
        assert!(read_all(log) == bytes[..self.size], "the log reads otherwise");
        for (at, header) in self.batches.iter().take(40) {
            for offset in [header.base_offset, header.last_offset()] {
                let read = log.read(offset, self.end, 1, true).unwrap();
                assert_eq!(*read, bytes[*at..*at + header.size], "at {offset}");
            }
        }
        let times = self.batches.iter().take(20).map(|(_, header)| header.max_timestamp);
        for time in times.flat_map(|t| [t, t.saturating_add(1)]).chain([i64::MIN, -1, 0, i64::MAX]) {
            let expected = self.first_at(bytes, time);
            match log.find_time(Timestamp::from_millis(time)) {
                Ok(found) => assert_eq!(Ok(found), expected, "at {time} ms"),
                Err(error) => assert!(expected.is_err(), "at {time} ms: {error}"),
            }
        }
        log.aborted(Offset::ZERO, self.end).unwrap();
        assert!(log.last_stable(self.end) <= self.end);
    }
}

/// Logs of batches of all kinds.
pub(crate) fn segments() -> Vec<Vec<u8>> {
    let mut log = Vec::new();
    for (n, mut batch) in batches().into_iter().enumerate() {
        let end = Expected::of(&log, false).end;
        let mut batch = ValidBatch::trusted(&mut batch);
        batch.place(end, LeaderEpoch(n as i32 / 4));
        log.extend(batch.bytes());
    }
    let torn = log[..log.len() - 50].to_vec();
    let zeros = [&log[..], &[0; 300]].concat();
    let hole = [&log[..400], &[0; 100], &log[500..]].concat();
    let seeds = [log, torn, zeros, hole];
    (0..16u8).flat_map(|mode| seeds.iter().map(move |seed| [&[mode], &seed[..]].concat())).collect()
}
