//! Reading batches for a consumer. What nobody has looked at since the log was opened is checked for what no checksum
//! covers: the offsets and leader epochs of its batches.

use super::{Log, names, segment::follows};
use crate::{
    env::{Bytes, File},
    error::Result,
    record::{BATCH_HEADER_LEN, BatchHeader},
    types::Offset,
};
use std::{ops::Bound, sync::Arc};

/// Where batches lie that nobody has looked at: their segment, and their place in its file.
struct Unseen {
    base: Offset,
    position: u64,
    file: Arc<dyn File>,
    size: u64,
}

impl Log {
    /// Whole batches from the one on that holds `from`, up to `below` (exclusive), `max_bytes` of them; the last one
    /// perhaps cut short. A first batch that is larger comes whole if `at_least_one`, else not at all. Empty at `below`
    /// and above.
    pub(crate) fn read(
        &mut self,
        from: Offset,
        below: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Bytes> {
        if from < self.log_start || from > self.end() {
            return Err(self.out_of_range(from));
        }
        let interval = self.config.settings.index_interval_bytes;
        let mut base = self.segment_of(from);
        while let Some(at) = base.filter(|_| from < below) {
            let segment = self.segment(at)?;
            if let Some(first) = segment.locate(from, interval)? {
                let end = match segment.end() {
                    end if below >= end => segment.size(),
                    _ => segment.locate(below, interval)?.map_or(segment.size(), |at| at.position),
                };
                let left = usize::try_from(end.saturating_sub(first.position)).unwrap_or(usize::MAX);
                let len = match first.header.size {
                    size if size <= max_bytes => max_bytes,
                    size if at_least_one => size,
                    _ => break,
                };
                let (file, size) = (Arc::clone(segment.file()), segment.size());
                let bytes = file.bytes(first.position, left.min(len))?;
                let (known, rebuilt) = (first.position >= segment.known_from(), segment.is_rebuilt());
                if rebuilt {
                    self.unflushed.insert(at);
                }
                if known {
                    return Ok(bytes);
                }
                let expected = from.min(first.header.base_offset);
                return self.in_order(
                    Unseen { base: at, position: first.position, file, size },
                    expected,
                    bytes,
                );
            }
            base = self.segment_behind(at);
        }
        Ok(Bytes::from(Vec::new()))
    }

    /// Batches that nobody has looked at since the log was opened, where `next` is the next offset: as many of them as have
    /// the offsets and the leader epochs that they must have, since no checksum covers these two.
    fn in_order(&self, of: Unseen, mut next: Offset, batches: Bytes) -> Result<Bytes> {
        let mut at = 0;
        while let Ok(header) = BatchHeader::parse(batches.get(at..).unwrap_or_default()) {
            let epoch = self.epochs.at(header.base_offset);
            let behind = at + header.size;
            let leaves_room =
                header.base_offset <= next || self.leaves_room(&of, &header, next, &batches, behind)?;
            if !follows(&header, next, self.config.gaps)
                || !leaves_room
                || epoch.is_some_and(|e| e != header.leader_epoch)
            {
                if at > 0 {
                    return Ok(batches.slice(0, at));
                }
                let path = names::segment_file(&self.config.dir, of.base, names::Kind::Log);
                let (found, said) = (header.leader_epoch, header.base_offset);
                let why = match epoch {
                    Some(epoch) if epoch != found => {
                        format!("a batch of leader epoch {found} where {epoch} should be")
                    }
                    _ => format!("a batch at offset {said} where {next} should be"),
                };
                return Err(self.damaged(path, next, &why));
            }
            (at, next) = (behind, header.next_offset());
        }
        Ok(batches)
    }

    /// The segment behind the one that begins at `base`.
    fn segment_behind(&self, base: Offset) -> Option<Offset> {
        self.segments.range((Bound::Excluded(base), Bound::Unbounded)).next().map(|(base, _)| *base)
    }

    /// Whether a batch behind a gap is where it says: it must leave room for the one behind it, which lies at `behind` among
    /// the batches or else in the file; unless that is itself before its place. The last one of a segment must leave room for the
    /// next segment.
    fn leaves_room(
        &self,
        of: &Unseen,
        header: &BatchHeader,
        next: Offset,
        batches: &[u8],
        behind: usize,
    ) -> Result<bool> {
        let position = of.position + behind as u64;
        let head = match batches.get(behind..behind + BATCH_HEADER_LEN) {
            Some(head) => BatchHeader::parse(head).ok(),
            None if position + BATCH_HEADER_LEN as u64 > of.size => None,
            None => BatchHeader::parse(&of.file.bytes(position, BATCH_HEADER_LEN)?).ok(),
        };
        Ok(match head {
            Some(head) => head.base_offset >= header.next_offset() || head.base_offset < next,
            None => header.next_offset() <= self.segment_behind(of.base).unwrap_or(self.end()),
        })
    }
}
