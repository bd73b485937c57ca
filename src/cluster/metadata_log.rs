//! The metadata log on a broker's disk: what its member of the quorum has to remember. One file for its term and vote, which is
//! replaced as a whole, and one that entries are appended to.
//!
//! A frame: length u32, CRC u32 of what follows, term u64, index u64, records as in the embedded broker's file. What is not
//! a whole frame ends the log: nothing that a crash tears was told to anybody.

use crate::{
    controller::quorum::{Entry, Index, Restored, Term},
    env::{File, Open, Storage, read_file, replace_file},
    error::{Error, Result},
    rpc::metadata_record::{decode, encode},
    types::BrokerId,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Not `.log`: it is none of Kafka's.
const ENTRIES: &str = "entries";
const STATE: &str = "quorum-state";
/// Length and CRC.
const FRAME: usize = 8;
/// Term and index.
const HEAD: usize = 16;
const LIMIT: u64 = 1 << 30;

#[derive(Debug)]
pub(super) struct MetadataLog {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    file: Arc<dyn File>,
    /// Where each entry's frame ends; the first entry has index 1.
    ends: Vec<u64>,
}

impl MetadataLog {
    /// Opens it, and gives what was durable.
    pub(super) fn open(storage: &Arc<dyn Storage>, dir: &Path) -> Result<(Self, Restored)> {
        storage.create_dir(dir)?;
        let path = dir.join(ENTRIES);
        let bytes = read_file(&**storage, &path, LIMIT)?.unwrap_or_default();
        let (mut log, mut ends) = (Vec::new(), Vec::new());
        let mut rest: &[u8] = &bytes;
        let mut end = 0;
        while let Some((entry, size)) = read_frame(rest, log.len() as u64 + 1) {
            end += size as u64;
            log.push(entry);
            ends.push(end);
            rest = rest.get(size..).unwrap_or_default();
        }
        let file = storage.open(&path, Open::Write)?;
        file.set_len(end)?;
        file.sync()?;
        storage.sync_dir(dir)?;
        dir.parent().map_or(Ok(()), |parent| storage.sync_dir(parent))?;
        let (term, vote) = read_state(&**storage, &dir.join(STATE))?;
        let opened = Self { storage: Arc::clone(storage), dir: dir.to_owned(), file, ends };
        Ok((opened, Restored { term, vote, log }))
    }

    pub(super) fn save(&self, term: Term, vote: Option<BrokerId>) -> Result<()> {
        let mut bytes = term.0.to_be_bytes().to_vec();
        bytes.extend(vote.map_or(-1, BrokerId::get).to_be_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_be_bytes());
        replace_file(&*self.storage, &self.dir.join(STATE), &bytes)
    }

    pub(super) fn truncate(&mut self, from: Index) -> Result<()> {
        self.ends.truncate(from.0.saturating_sub(1) as usize);
        self.file.set_len(self.end())?;
        self.file.sync()
    }

    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<()> {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for entry in entries {
            write_frame(entry, &mut bytes);
            ends.push(self.end() + bytes.len() as u64);
        }
        self.file.write_at(self.end(), &bytes)?;
        self.file.sync()?;
        self.ends.extend(ends);
        Ok(())
    }

    fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }
}

fn write_frame(entry: &Entry, into: &mut Vec<u8>) {
    let mut body = entry.term.0.to_be_bytes().to_vec();
    body.extend(entry.index.0.to_be_bytes());
    body.extend(encode(&entry.payload));
    into.extend((body.len() as u32).to_be_bytes());
    into.extend(crc32fast::hash(&body).to_be_bytes());
    into.extend(body);
}

/// The entry with this index, if the bytes begin with it, and how long its frame is.
fn read_frame(bytes: &[u8], index: u64) -> Option<(Entry, usize)> {
    let len = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let crc = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(FRAME..)?.get(..len)?;
    if crc32fast::hash(body) != crc {
        return None;
    }
    let term = Term(u64::from_be_bytes(*body.first_chunk()?));
    let found = u64::from_be_bytes(*body.get(8..)?.first_chunk()?);
    let payload = decode(body.get(HEAD..)?).ok()?;
    (found == index).then(|| (Entry { term, index: Index(index), payload: payload.into() }, FRAME + len))
}

fn read_state(storage: &dyn Storage, path: &Path) -> Result<(Term, Option<BrokerId>)> {
    let Some(bytes) = read_file(storage, path, 64)? else { return Ok((Term::default(), None)) };
    let parsed = || {
        let (body, crc) = bytes.split_at_checked(12)?;
        let vote = i32::from_be_bytes(*body.get(8..)?.first_chunk()?);
        let term = Term(u64::from_be_bytes(*body.first_chunk()?));
        (crc == crc32fast::hash(body).to_be_bytes())
            .then_some((term, (vote >= 0).then(|| BrokerId::from(vote))))
    };
    parsed().ok_or_else(|| Error::KafkaStorageError {
        path: path.to_owned(),
        partition: None,
        offset: None,
        reason: "it is not what was written: the term and the vote are lost".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{env::SimDisk, rpc::metadata_record::MetadataRecord, types::TopicId};

    fn entry(term: u64, index: u64) -> Entry {
        let id = TopicId::from_bytes([index as u8; 16]);
        let payload = Arc::from([MetadataRecord::RemoveTopic { id }]);
        Entry { term: Term(term), index: Index(index), payload }
    }

    #[test]
    fn what_was_saved_appended_and_truncated_survives_a_power_cut() {
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            let (mut log, restored) = MetadataLog::open(&disk.boot(), Path::new("metadata")).unwrap();
            assert_eq!((restored.term, restored.log.len()), (Term(0), 0));
            log.save(Term(3), Some(2.into())).unwrap();
            log.append(&[entry(1, 1), entry(1, 2), entry(2, 3)]).unwrap();
            log.truncate(Index(2)).unwrap();
            log.append(&[entry(3, 2)]).unwrap();
            disk.power_cut();
            assert!(log.append(&[entry(3, 3)]).is_err());
            let (_, restored) = MetadataLog::open(&disk.boot(), Path::new("metadata")).unwrap();
            assert_eq!((restored.term, restored.vote), (Term(3), Some(2.into())));
            assert_eq!(restored.log, [entry(1, 1), entry(3, 2)]);
        }
    }

    #[test]
    fn a_torn_append_leaves_whole_entries() {
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let (mut log, _) = MetadataLog::open(&disk.boot(), Path::new("metadata")).unwrap();
            log.append(&[entry(1, 1)]).unwrap();
            let fault = disk.intercept(crate::DiskOp::Any).skip(seed % 2).power_cut();
            assert!(log.append(&[entry(1, 2), entry(1, 3), entry(1, 4)]).is_err());
            fault.remove();
            let (mut log, restored) = MetadataLog::open(&disk.boot(), Path::new("metadata")).unwrap();
            let count = restored.log.len() as u64;
            assert!((1..=4).contains(&count));
            assert!((1..=count).zip(&restored.log).all(|(index, read)| *read == entry(1, index)));
            log.append(&[entry(2, count + 1)]).unwrap();
            let (_, restored) = MetadataLog::open(&disk.boot(), Path::new("metadata")).unwrap();
            assert_eq!(restored.log.len() as u64, count + 1);
        }
    }
}
