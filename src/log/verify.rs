//! Reading all of a log that is in use, and checking it against itself. Nothing is changed, and the log is not locked
//! meanwhile: what is read was published before.

use super::{
    Damage, LeaderEpochs, LoadedFrom, Log, LogConfig,
    names::{Kind, segment_file},
    offset_index::OffsetIndex,
    repair::{Around, repair},
    segment::INDEX_LIMIT,
};
use crate::{
    env::{File, Open, Storage, read_file},
    error::{Error, Result},
    record::{Batch, BatchError},
    types::Offset,
};
use std::{io::ErrorKind, sync::Arc};

/// What there is to read of a log.
#[derive(Debug)]
pub(crate) struct Verification {
    config: LogConfig,
    epochs: LeaderEpochs,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    segments: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    base: Offset,
    next: Option<Offset>,
    /// Its file, and the bytes of its batches, if somebody has asked for it before.
    open: Option<(Arc<dyn File>, u64)>,
}

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) bytes_read: u64,
    pub(crate) batches: u64,
    pub(crate) records: u64,
    /// Segments whose index file says what is not so.
    pub(crate) indexes_wrong: u32,
    pub(crate) damage: Vec<Damage>,
}

impl Log {
    /// Notes what there is to read now.
    pub(crate) fn verification(&self) -> Verification {
        let nexts = self.segments.keys().skip(1).copied().map(Some).chain([None]);
        let parts = self.segments.iter().zip(nexts).map(|((base, segment), next)| Part {
            base: *base,
            next,
            open: segment.as_ref().map(|segment| (Arc::clone(segment.file()), segment.size())),
        });
        Verification {
            config: self.config.clone(),
            epochs: self.epochs.clone(),
            start: self.start(),
            end: self.end(),
            segments: parts.collect(),
        }
    }
}

impl Verification {
    /// How many bytes there are to read, about: those of segments that nobody has asked for yet by the lengths of their
    /// files.
    pub(crate) fn bytes(&self, storage: &dyn Storage) -> Result<u64> {
        self.segments.iter().try_fold(0, |sum, part| Ok(sum + self.file(storage, part)?.map_or(0, |f| f.1)))
    }

    /// Reads everything. `is_gone` says whether a segment that is not there was removed meanwhile.
    pub(crate) fn run(
        &self,
        storage: &dyn Storage,
        is_gone: &dyn Fn(Offset) -> bool,
        tell: &mut dyn FnMut(u64),
    ) -> Result<Verified> {
        let mut verified = Verified::default();
        for part in &self.segments {
            match self.file(storage, part)? {
                Some((file, len)) => self.read(storage, part, (&*file, len), &mut verified, tell)?,
                None if is_gone(part.base) => {}
                None => {
                    let path = segment_file(&self.config.dir, part.base, Kind::Log);
                    let next_offset = part.next.unwrap_or(self.end).get();
                    let reason = "it is missing".to_owned();
                    verified.damage.push(Damage { path, offset: part.base.get(), next_offset, reason });
                }
            }
        }
        Ok(verified)
    }

    fn file(&self, storage: &dyn Storage, part: &Part) -> Result<Option<(Arc<dyn File>, u64)>> {
        if let Some(open) = &part.open {
            return Ok(Some(open.clone()));
        }
        match storage.open(&segment_file(&self.config.dir, part.base, Kind::Log), Open::Read) {
            Ok(file) => file.len().map(|len| Some((file, len))),
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn read(
        &self,
        storage: &dyn Storage,
        part: &Part,
        (file, len): (&dyn File, u64),
        verified: &mut Verified,
        tell: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let before = verified.bytes_read;
        let path = segment_file(&self.config.dir, part.base, Kind::Log);
        let mut index = self.index(storage, part, len)?;
        let mut unreadable = Vec::new();
        let mut look = |position: u64, bytes: &[u8]| {
            tell(before + position);
            let Some(batch) = Batch::unchecked(bytes) else { return };
            let header = batch.header();
            verified.batches += 1;
            verified.records += u64::try_from(header.record_count).unwrap_or_default();
            if let Some(index) = &mut index {
                index.check(position, header.last_offset());
            }
            // A codec that this build does not have says nothing of the bytes.
            match batch.check_records() {
                Ok(()) | Err(BatchError::UnsupportedCodec(_)) => {}
                Err(error) => unreadable.push(Damage {
                    path: path.clone(),
                    offset: header.base_offset.get(),
                    next_offset: header.next_offset().get(),
                    reason: error.to_string(),
                }),
            }
        };
        let around = Around {
            config: &self.config,
            base: part.base,
            next: part.next,
            known: Some(LoadedFrom::CleanClose(self.end)),
            epochs: Some(&self.epochs),
        };
        let found = repair(around, (file, len), &mut look, None)?;
        verified.bytes_read += found.bytes_read;
        verified.damage.extend(found.damage);
        verified.damage.extend(unreadable);
        verified.damage.sort_by_key(|damage| damage.offset);
        verified.indexes_wrong += u32::from(index.is_some_and(|index| !index.is_right()));
        Ok(())
    }

    /// The index of a segment that takes no more records.
    fn index(&self, storage: &dyn Storage, part: &Part, len: u64) -> Result<Option<IndexCheck>> {
        if part.next.is_none() {
            return Ok(None);
        }
        let path = segment_file(&self.config.dir, part.base, Kind::Index);
        let bytes = match read_file(storage, &path, INDEX_LIMIT) {
            Err(Error::KafkaStorageError { .. }) => return Ok(Some(IndexCheck::WRONG)),
            // Retention has taken it meanwhile.
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?.unwrap_or_default(),
        };
        let index = OffsetIndex::parse(part.base, &bytes, len);
        let whole = index.len() * super::offset_index::ENTRY == bytes.len();
        Ok(Some(IndexCheck { entries: index.entries(), next: 0, right: whole }))
    }
}

/// The entries of an index, to be compared with the batches as they are met.
#[derive(Debug)]
struct IndexCheck {
    entries: Vec<(Offset, u64)>,
    next: usize,
    right: bool,
}

impl IndexCheck {
    const WRONG: Self = Self { entries: Vec::new(), next: 0, right: false };

    fn check(&mut self, position: u64, last: Offset) {
        while let Some((entry, at)) = self.entries.get(self.next).filter(|(_, at)| *at <= position) {
            self.right &= (*entry, *at) == (last, position);
            self.next += 1;
        }
    }

    fn is_right(&self) -> bool {
        self.right && self.next == self.entries.len()
    }
}
