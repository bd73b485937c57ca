//! Where a record lies in the memory that it was polled from: what a poll finds as it checks a batch, so that nobody has to
//! take the batch apart again.

use crate::{
    record::{BatchHeader, Headers, RecordRef},
    types::{Offset, Timestamp, TimestampType},
};

/// A record in some memory, with all that it has from its batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordAt {
    pub(super) offset: Offset,
    pub(super) timestamp: Timestamp,
    key: Span,
    value: Span,
    headers: Span,
    header_count: i32,
    /// The leader epoch of its batch, or -1.
    pub(super) epoch: i32,
    /// Which memory, of those that a poll has got.
    pub(super) chunk: u32,
    by_broker: bool,
}

/// A part of that memory. It is smaller than a segment can be, and that is less than 4 GiB.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    /// -1 for null.
    len: i32,
}

impl RecordAt {
    /// A record that was read in `memory`, the `chunk`th of a poll's.
    #[inline]
    pub(super) fn of(record: &RecordRef<'_>, header: &BatchHeader, (chunk, memory): (u32, &[u8])) -> Self {
        let span = |part: Option<&[u8]>| match part {
            Some(part) => Span {
                start: part.as_ptr().addr().wrapping_sub(memory.as_ptr().addr()) as u32,
                len: part.len() as i32,
            },
            None => Span { start: 0, len: -1 },
        };
        let (headers, header_count) = record.headers.raw();
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            key: span(record.key),
            value: span(record.value),
            headers: span(Some(headers)),
            header_count,
            epoch: header.leader_epoch.0,
            chunk,
            by_broker: header.attributes.is_log_append_time(),
        }
    }

    #[inline]
    pub(super) fn key<'m>(&self, memory: &'m [u8]) -> Option<&'m [u8]> {
        self.key.of(memory)
    }

    #[inline]
    pub(super) fn value<'m>(&self, memory: &'m [u8]) -> Option<&'m [u8]> {
        self.value.of(memory)
    }

    pub(super) fn headers<'m>(&self, memory: &'m [u8]) -> Headers<'m> {
        Headers::new(self.headers.of(memory).unwrap_or_default(), self.header_count)
    }

    /// Where the value lies, from and to (exclusive).
    pub(super) fn value_range(&self) -> Option<(usize, usize)> {
        let len = usize::try_from(self.value.len).ok()?;
        Some((self.value.start as usize, self.value.start as usize + len))
    }

    pub(super) fn timestamp_type(&self) -> TimestampType {
        if self.by_broker { TimestampType::LogAppendTime } else { TimestampType::CreateTime }
    }

    pub(super) fn leader_epoch(&self) -> Option<i32> {
        Some(self.epoch).filter(|epoch| *epoch >= 0)
    }
}

impl Span {
    #[inline]
    fn of(self, memory: &[u8]) -> Option<&[u8]> {
        let len = usize::try_from(self.len).ok()?;
        let start = self.start as usize;
        memory.get(start..start + len)
    }
}
