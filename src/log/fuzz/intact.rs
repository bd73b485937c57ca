//! A log that is as it should be, beside which other files say whatever they say.

use super::*;
use crate::{
    log::names::{Kind, segment_file},
    record::{fuzz, owned::Owned},
    rpc::AbortedTransaction,
};
use std::rc::Rc;

/// The last one opens a transaction.
const BATCHES: usize = 32;
const BATCHES_IN_SEGMENT: usize = 11;

#[derive(Debug)]
pub(super) struct Intact {
    pub(super) config: LogConfig,
    /// Of the closed log.
    pub(super) files: Files,
    /// The base offsets of its segments.
    pub(super) bases: Vec<Offset>,
    pub(super) end: Offset,
    batches: Vec<Placed>,
    aborted: Vec<AbortedTransaction>,
    stable: Offset,
}

#[derive(Debug)]
struct Placed {
    base: i64,
    times: Vec<i64>,
    bytes: Vec<u8>,
}

impl Placed {
    fn end(&self) -> i64 {
        self.base + self.times.len() as i64
    }
}

thread_local! {
    static INTACT: [Rc<Intact>; 2] = [false, true].map(|gaps| Rc::new(Intact::new(gaps)));
}

impl Intact {
    /// The log of this kind, made once.
    pub(super) fn of(gaps: bool) -> Rc<Self> {
        INTACT.with(|logs| Rc::clone(&logs[usize::from(gaps)]))
    }

    fn new(gaps: bool) -> Self {
        let config = config(gaps, 250);
        let batches = placed(gaps);
        let segments: Vec<&[Placed]> = batches.chunks(BATCHES_IN_SEGMENT).collect();
        let bases: Vec<Offset> = segments.iter().map(|batches| Offset::new(batches[0].base)).collect();
        let bytes = segments.iter().map(|batches| batches.iter().flat_map(|b| b.bytes.clone()).collect());
        let paths = bases.iter().map(|base| segment_file(DIR.as_ref(), *base, Kind::Log));
        let disk = SimDisk::with_files(&paths.zip(bytes).collect());
        let (mut log, recovered) = open(&disk, &config, LoadedFrom::Crash(Offset::ZERO)).unwrap();
        assert_eq!(recovered.bytes_cut, 0);
        let end = log.end();
        let (aborted, stable) = (log.aborted(Offset::ZERO, end).unwrap(), log.last_stable(end));
        assert!(aborted.len() > 3 && stable < end, "{aborted:?}, {stable}");
        close(log);
        Self { config, files: disk.files(), bases, end, batches, aborted, stable }
    }

    pub(super) fn path(&self, segment: usize, kind: Kind) -> PathBuf {
        segment_file(DIR.as_ref(), self.bases[segment], kind)
    }

    /// Where its recovery might have begun, or that it was closed.
    pub(super) fn from(&self, mode: u8) -> LoadedFrom {
        match mode & 3 {
            0 => LoadedFrom::CleanClose(self.end),
            1 => LoadedFrom::Crash(self.end),
            2 => LoadedFrom::Crash(Offset::new(self.batches[BATCHES / 2].base)),
            _ => LoadedFrom::Crash(Offset::ZERO),
        }
    }

    /// Whatever it is asked, it gives the answers of an intact log.
    pub(super) fn check(&self, log: &mut Log) {
        for batch in self.batches.iter().rev() {
            let last = Offset::new(batch.end() - 1);
            assert_eq!(*log.read(last, self.end, 1, true).unwrap(), batch.bytes, "at {last}");
        }
        let all: Vec<u8> = self.batches.iter().flat_map(|batch| batch.bytes.clone()).collect();
        assert!(read_all(log) == all);
        for time in (995..1400).step_by(5) {
            let found = log.find_time(Timestamp::from_millis(time)).unwrap();
            assert_eq!(found.map(Offset::get), self.first_at(time), "at {time} ms");
        }
        assert_eq!(log.aborted(Offset::ZERO, self.end).unwrap(), self.aborted);
        assert_eq!(log.last_stable(self.end), self.stable);
    }

    fn first_at(&self, time: i64) -> Option<i64> {
        let times = |batch: &Placed| batch.times.clone().into_iter().zip(batch.base..);
        self.batches.iter().flat_map(times).find(|(at, _)| *at >= time).map(|(_, offset)| offset)
    }
}

/// Batches of one to three records, of nobody and of two producers of transactions, which end now one way, now the
/// other; the last of them does not end.
fn placed(gaps: bool) -> Vec<Placed> {
    let mut batches: Vec<Placed> = Vec::new();
    for n in 0..BATCHES as i64 {
        let (id, attributes) = match n % 5 {
            1 | 2 => (4000 + n % 5, 0x10),
            3 => (4002, 0x30),
            4 => (4001, 0x30),
            _ => (-1, 0),
        };
        let count = if attributes == 0x30 { 1 } else { n % 3 + 1 };
        let times: Vec<i64> = (0..count).map(|k| 1000 + n * 10 + (n * 7 + k * 5) % 23).collect();
        let record = |time: &i64| match attributes {
            0x30 => Owned { timestamp: *time, ..fuzz::marker(n % 4 > 0) },
            _ => Owned {
                timestamp: *time,
                key: None,
                value: Some(vec![b'v'; 30 + n as usize]),
                headers: Vec::new(),
            },
        };
        let records: Vec<Owned> = times.iter().map(record).collect();
        let mut bytes = fuzz::of_producer(id, if attributes == 0x10 { 0 } else { -1 }, attributes, &records);
        let base = batches.last().map_or(0, Placed::end) + if gaps { n % 4 } else { 0 };
        ValidBatch::trusted(&mut bytes).place(Offset::new(base), LeaderEpoch(n as i32 / 12));
        batches.push(Placed { base, times, bytes });
    }
    batches
}
