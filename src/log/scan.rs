//! Reading a log file batch by batch from the disk itself, each batch checked: for recovery and for indexes.

use crate::{
    env::File,
    error::Result,
    record::{BATCH_HEADER_LEN, Batch, BatchError, BatchHeader},
};

/// How much is read at a time.
const CHUNK: usize = 1 << 20;

/// What a scan finds at its position.
#[derive(Debug)]
pub(crate) enum Found {
    /// A whole batch with a right checksum.
    Batch(BatchHeader),
    /// The end, just behind a batch.
    End,
    /// Anything else.
    Bad(BatchError),
}

/// Goes through a part of a log file with positioned reads, so that a failing disk is an error and no signal.
#[derive(Debug)]
pub(crate) struct Scanner<'f> {
    file: &'f dyn File,
    position: u64,
    end: u64,
    /// What lies at `position - consumed` and on.
    buffer: Vec<u8>,
    consumed: usize,
    read: u64,
}

impl<'f> Scanner<'f> {
    /// Scans from `position`, where a batch must begin, to `end`.
    pub(crate) fn new(file: &'f dyn File, position: u64, end: u64) -> Self {
        Self { file, position, end, buffer: Vec::new(), consumed: 0, read: 0 }
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes were read in all.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Looks at the next batch, and goes on behind it if it is one.
    pub(crate) fn next(&mut self) -> Result<Found> {
        if self.position >= self.end {
            return Ok(Found::End);
        }
        self.fill(BATCH_HEADER_LEN)?;
        let claimed = match BatchHeader::parse(self.rest()) {
            Ok(header) => header.size,
            Err(error) => return Ok(Found::Bad(error)),
        };
        let left = self.end.saturating_sub(self.position);
        if claimed as u64 > left {
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            return Ok(Found::Bad(BatchError::TooShort { needed: claimed, have: left }));
        }
        self.fill(claimed)?;
        match Batch::check(self.rest()) {
            Ok(batch) => {
                let header = *batch.header();
                self.consumed += header.size;
                self.position += header.size as u64;
                Ok(Found::Batch(header))
            }
            Err(error) => Ok(Found::Bad(error)),
        }
    }

    /// Looks at the next batch without going on.
    pub(crate) fn peek(&self) -> Result<Found> {
        Scanner::new(self.file, self.position, self.end).next()
    }

    /// The bytes of the batch that was found last.
    pub(crate) fn last(&self, header: &BatchHeader) -> &[u8] {
        self.buffer.get(self.consumed.saturating_sub(header.size)..self.consumed).unwrap_or_default()
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.consumed..).unwrap_or_default()
    }

    /// Sees to it that `needed` bytes are in the buffer, if the file goes that far.
    fn fill(&mut self, needed: usize) -> Result<()> {
        if self.rest().len() >= needed {
            return Ok(());
        }
        self.buffer.drain(..self.consumed.min(self.buffer.len()));
        self.consumed = 0;
        let have = self.buffer.len();
        let left = usize::try_from(self.end.saturating_sub(self.position)).unwrap_or(usize::MAX);
        let want = needed.max(CHUNK).min(left);
        self.buffer.resize(want.max(have), 0);
        let into = self.buffer.get_mut(have..).unwrap_or_default();
        let got = self.file.read_at(self.position + have as u64, into)?;
        self.buffer.truncate(have + got);
        self.read += got as u64;
        Ok(())
    }
}

/// The end of what is not zero in a file's bytes from `from` to `end`: `from` if all are zero.
pub(crate) fn end_of_nonzero(file: &dyn File, from: u64, end: u64) -> Result<u64> {
    let mut last = from;
    let mut position = from;
    let mut buffer = vec![0; CHUNK];
    while position < end {
        let want = usize::try_from(end - position).unwrap_or(CHUNK).min(CHUNK);
        let got = file.read_at(position, buffer.get_mut(..want).unwrap_or_default())?;
        if got == 0 {
            break;
        }
        let read = buffer.get(..got).unwrap_or_default();
        if let Some(nonzero) = read.iter().rposition(|byte| *byte != 0) {
            last = position + nonzero as u64 + 1;
        }
        position += got as u64;
    }
    Ok(last)
}

/// Where the first whole batch with a right checksum begins, from `from` on and before `end`: what lies before it was
/// damaged.
pub(crate) fn find_batch(file: &dyn File, from: u64, end: u64) -> Result<Option<u64>> {
    let mut position = from;
    while position < end {
        let len = usize::try_from(end - position).unwrap_or(CHUNK).min(CHUNK + BATCH_HEADER_LEN);
        let mut chunk = vec![0; len];
        let got = file.read_at(position, &mut chunk)?;
        chunk.truncate(got);
        for (at, window) in chunk.windows(BATCH_HEADER_LEN).enumerate() {
            let at = position + at as u64;
            let plausible = BatchHeader::parse(window).is_ok_and(|header| header.size as u64 <= end - at);
            if plausible && matches!(Scanner::new(file, at, end).next()?, Found::Batch(_)) {
                return Ok(Some(at));
            }
        }
        position += CHUNK as u64;
    }
    Ok(None)
}
