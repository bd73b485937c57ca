//! What is left of a log file that may be damaged anywhere: batches with a right checksum, and where they lie.

use super::scan::{Found, Scanner, end_of_nonzero, find_batch};
use crate::{
    env::File,
    error::Result,
    record::{BATCH_HEADER_LEN, BatchHeader},
};

/// A whole batch with a right checksum. Its base offset and its leader epoch have none.
#[derive(Debug, Clone)]
pub(super) struct Remnant {
    pub(super) header: BatchHeader,
    pub(super) position: u64,
    /// What is wrong with the bytes between it and the one before, if there are any.
    pub(super) before: Option<String>,
}

/// Who looks at batches, with their positions.
pub(super) type Look<'f> = &'f mut dyn FnMut(u64, &[u8]);

/// Goes through a file's good batches.
pub(super) struct Remains<'f> {
    file: &'f dyn File,
    scanner: Scanner<'f>,
    len: u64,
    look: Look<'f>,
    /// What is wrong with the bytes behind the last batch, if there are any but zeros.
    pub(super) tail: Option<String>,
    read: u64,
}

impl<'f> Remains<'f> {
    /// Goes through the first `len` bytes, and shows each good batch to `look`.
    pub(super) fn new(file: &'f dyn File, len: u64, look: Look<'f>) -> Self {
        Self { file, scanner: Scanner::new(file, 0, len), len, look, tail: None, read: 0 }
    }

    /// How many bytes were read in all.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read + self.scanner.bytes_read()
    }

    pub(super) fn next(&mut self) -> Result<Option<Remnant>> {
        let mut before: Option<String> = None;
        loop {
            let position = self.scanner.position();
            let reason = match self.scanner.next()? {
                Found::Batch(header) => {
                    (self.look)(position, self.scanner.last(&header));
                    return Ok(Some(Remnant { header, position, before }));
                }
                Found::End => break,
                Found::Bad(_) if self.is_reserved(position)? => break,
                Found::Bad(error) => error.to_string(),
            };
            before.get_or_insert(reason);
            let Some(next) = self.resume_behind(position)? else { break };
            self.read += self.scanner.bytes_read();
            self.scanner = Scanner::new(self.file, next, self.len);
        }
        self.tail = before.or(self.tail.take());
        Ok(None)
    }

    /// Whether nothing but zeros follows.
    fn is_reserved(&self, position: u64) -> Result<bool> {
        let mut head = [0; BATCH_HEADER_LEN];
        self.file.read_at(position, &mut head)?;
        Ok(head == [0; BATCH_HEADER_LEN] && end_of_nonzero(self.file, position, self.len)? == position)
    }

    /// Where the next good batch begins behind a bad one: where the bad one says that it ends, if one begins there, else
    /// wherever one is found. A record's value may hold what looks like a batch, so the first is tried first.
    fn resume_behind(&self, position: u64) -> Result<Option<u64>> {
        let len = self.len;
        let mut head = [0; BATCH_HEADER_LEN];
        let read = self.file.read_at(position, &mut head)?;
        let claimed = BatchHeader::claimed_size(head.get(..read).unwrap_or_default());
        match claimed.map(|size| position + size as u64).filter(|behind| *behind <= len) {
            Some(behind) if behind == len => Ok(None),
            Some(behind) if matches!(Scanner::new(self.file, behind, len).next()?, Found::Batch(_)) => {
                Ok(Some(behind))
            }
            _ => find_batch(self.file, position + 1, len),
        }
    }
}
