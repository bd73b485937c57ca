//! The metadata log on a broker's disk: what its member of the quorum has to remember. One file for its term and vote and one for its
//! newest snapshot, each replaced as a whole, and one that entries are appended to.
//!
//! The log's file begins with the position of the entry before its first one: term u64, index u64, CRC u32. Then a frame for each entry:
//! length u32, CRC u32 of what follows, term u64, index u64, records as in the embedded broker's file. What is not a whole frame ends
//! the log: nothing that a crash tears was told to anybody. To drop its first entries it is written anew and takes the old one's name.
//!
//! The log does not begin behind the snapshot: an entry is dropped when a snapshot that has it is durable. Where the log has not got the
//! snapshot's position the snapshot was installed, and the power went before the log was begun anew: that is done at the next open.

mod snapshot;
#[cfg(test)]
mod tests;

use crate::{
    controller::quorum::{Entry, Index, Position, Restored, Snapshot, Term},
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
const SNAPSHOT: &str = "snapshot";
const STATE: &str = "quorum-state";
/// Before the first frame.
const HEADER: usize = 20;
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
    /// The index of the entry before the first one that is here.
    base: Index,
    /// Where each entry's frame ends.
    ends: Vec<u64>,
}

impl MetadataLog {
    /// Opens it, and gives what was durable.
    pub(super) fn open(storage: &Arc<dyn Storage>, dir: &Path) -> Result<(Self, Restored)> {
        storage.create_dir(dir)?;
        let (term, vote) = read_state(&**storage, &dir.join(STATE))?;
        let snapshot = snapshot::read(&**storage, &dir.join(SNAPSHOT))?;
        let path = dir.join(ENTRIES);
        let bytes = match read_file(&**storage, &path, LIMIT)? {
            Some(bytes) => bytes,
            None => {
                let bytes = header(Position::default());
                replace_file(&**storage, &path, &bytes)?;
                bytes
            }
        };
        let base = read_header(&bytes).ok_or_else(|| lost(&path, "where the log begins is lost"))?;
        if base.index > snapshot.position.index {
            return Err(lost(&path, "the snapshot that has what came before is lost"));
        }
        let (log, ends) = read_frames(&bytes, base.index);
        let file = storage.open(&path, Open::Write)?;
        let mut opened =
            Self { storage: Arc::clone(storage), dir: dir.to_owned(), file, base: base.index, ends };
        opened.file.set_len(opened.end())?;
        opened.file.sync()?;
        storage.sync_dir(dir)?;
        dir.parent().map_or(Ok(()), |parent| storage.sync_dir(parent))?;
        let mut restored = Restored { term, vote, snapshot, base, log };
        if !restored.has_position() {
            let at = restored.snapshot.position;
            opened.begin(at, &[])?;
            (restored.base, restored.log) = (at, Vec::new());
        }
        Ok((opened, restored))
    }

    pub(super) fn save(&self, term: Term, vote: Option<BrokerId>) -> Result<()> {
        let mut bytes = term.0.to_be_bytes().to_vec();
        bytes.extend(vote.map_or(-1, BrokerId::get).to_be_bytes());
        let crc = crc32fast::hash(&bytes);
        bytes.extend(crc.to_be_bytes());
        replace_file(&*self.storage, &self.dir.join(STATE), &bytes)
    }

    pub(super) fn truncate(&mut self, from: Index) -> Result<()> {
        self.ends.truncate(self.count(Index(from.0.saturating_sub(1))));
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

    /// Makes a snapshot durable, in place of the one before it.
    pub(super) fn save_snapshot(&self, snapshot: &Snapshot) -> Result<()> {
        snapshot::write(&*self.storage, &self.dir.join(SNAPSHOT), snapshot)
    }

    /// The snapshot is all that there is.
    pub(super) fn install(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.save_snapshot(snapshot)?;
        self.begin(snapshot.position, &[])
    }

    /// The entries up to here, inclusive, go: a durable snapshot has them.
    pub(super) fn drop_up_to(&mut self, position: Position) -> Result<()> {
        let from = self.end_of(position.index);
        let len = usize::try_from(self.end() - from).unwrap_or(0);
        let mut kept = vec![0; len];
        let read = self.file.read_at(from, &mut kept)?;
        if read < len {
            return Err(lost(self.file.path(), "it is shorter than what was written"));
        }
        self.begin(position, &kept)
    }

    /// Has another file take the log's place: with these frames, behind this position.
    fn begin(&mut self, base: Position, frames: &[u8]) -> Result<()> {
        let path = self.dir.join(ENTRIES);
        let mut bytes = header(base);
        bytes.extend(frames);
        replace_file(&*self.storage, &path, &bytes)?;
        self.file = self.storage.open(&path, Open::Write)?;
        (self.base, self.ends) = (base.index, read_frames(&bytes, base.index).1);
        Ok(())
    }

    /// How many bytes the entries behind one index take, up to another one.
    pub(super) fn bytes_between(&self, from: Index, up_to: Index) -> u64 {
        self.end_of(up_to).saturating_sub(self.end_of(from))
    }

    /// How many entries there are up to an index.
    fn count(&self, up_to: Index) -> usize {
        usize::try_from(up_to.0.saturating_sub(self.base.0)).unwrap_or(usize::MAX)
    }

    /// Where the entry at an index ends, or where the first one begins if that lies behind it.
    fn end_of(&self, index: Index) -> u64 {
        let ends = self.ends.get(..self.count(index)).unwrap_or(&self.ends);
        ends.last().copied().unwrap_or(HEADER as u64)
    }

    fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(HEADER as u64)
    }
}

fn header(base: Position) -> Vec<u8> {
    let mut bytes = base.term.0.to_be_bytes().to_vec();
    bytes.extend(base.index.0.to_be_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    bytes
}

fn read_header(bytes: &[u8]) -> Option<Position> {
    let (body, crc) = bytes.get(..HEADER)?.split_at_checked(HEAD)?;
    (crc == crc32fast::hash(body).to_be_bytes()).then(|| position(body))?
}

/// Term and index.
fn position(bytes: &[u8]) -> Option<Position> {
    let term = Term(u64::from_be_bytes(*bytes.first_chunk()?));
    let index = Index(u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?));
    Some(Position { term, index })
}

fn write_frame(entry: &Entry, into: &mut Vec<u8>) {
    let mut body = entry.term.0.to_be_bytes().to_vec();
    body.extend(entry.index.0.to_be_bytes());
    body.extend(encode(&entry.payload));
    into.extend((body.len() as u32).to_be_bytes());
    into.extend(crc32fast::hash(&body).to_be_bytes());
    into.extend(body);
}

/// The entries behind the header of a log with this base, and where each ends.
fn read_frames(bytes: &[u8], base: Index) -> (Vec<Entry>, Vec<u64>) {
    let (mut log, mut ends) = (Vec::new(), Vec::new());
    let mut end = HEADER;
    while let Some((entry, size)) = read_frame(bytes.get(end..).unwrap_or_default()) {
        if Some(entry.index.0) != base.0.checked_add(log.len() as u64 + 1) {
            break;
        }
        end += size;
        log.push(entry);
        ends.push(end as u64);
    }
    (log, ends)
}

/// The entry that the bytes begin with, and how long its frame is.
fn read_frame(bytes: &[u8]) -> Option<(Entry, usize)> {
    let len = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let crc = u32::from_be_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(FRAME..)?.get(..len)?;
    if crc32fast::hash(body) != crc {
        return None;
    }
    let Position { term, index } = position(body)?;
    let payload = decode(body.get(HEAD..)?).ok()?;
    Some((Entry { term, index, payload: payload.into() }, FRAME + len))
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
    parsed().ok_or_else(|| lost(path, "the term and the vote are lost"))
}

/// A file is not what was written.
fn lost(path: &Path, what: &str) -> Error {
    Error::KafkaStorageError {
        path: path.to_owned(),
        partition: None,
        offset: None,
        reason: format!("it is not what was written: {what}"),
    }
}
