//! Bytes that many may hold: the memory a record is read from.

use std::{fmt, ops::Deref, sync::Arc};

/// A range of shared memory that never changes while anyone holds it: heap memory, or a part of a mapped file.
/// A clone and a [`slice`](Self::slice) copy nothing.
#[derive(Clone)]
pub(crate) struct Bytes {
    memory: Memory,
    start: usize,
    end: usize,
}

#[derive(Clone)]
enum Memory {
    Heap(Arc<Vec<u8>>),
    #[cfg(target_os = "linux")]
    Map(Arc<super::mmap::Map>),
}

impl Bytes {
    /// A part of a mapping that has been written and never will be again.
    #[cfg(target_os = "linux")]
    pub(super) fn mapped(map: Arc<super::mmap::Map>, start: usize, end: usize) -> Self {
        Self { memory: Memory::Map(map), start, end }
    }

    /// The part from `start` to `end` (exclusive) of this range; both are cut to what there is.
    pub(crate) fn slice(&self, start: usize, end: usize) -> Self {
        let end = self.start.saturating_add(end).min(self.end);
        let start = self.start.saturating_add(start).min(end);
        Self { memory: self.memory.clone(), start, end }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { memory: Memory::Heap(Arc::new(bytes)), start: 0, end }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(bytes) => bytes.get(self.start..self.end).unwrap_or_default(),
            #[cfg(target_os = "linux")]
            Memory::Map(map) => map.written(self.start, self.end),
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}
