//! The bytes of a simulated file: those that a reader sees, and those that a power cut leaves.

use super::fate::Fate;
use crate::types::Timestamp;
use std::collections::BTreeMap;

/// What a disk writes as a whole or not at all.
const SECTOR: usize = 512;

/// Bytes and a length; what lies between the last byte held and the length is zero, and costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Image {
    bytes: Vec<u8>,
    len: u64,
    /// When it was last changed.
    modified: Timestamp,
}

impl Image {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let Some(buffer) = buffer.get_mut(..wanted) else { return 0 };
        let held = usize::try_from(offset).ok().and_then(|start| self.bytes.get(start..)).unwrap_or_default();
        let (from_bytes, zeros) = buffer.split_at_mut(wanted.min(held.len()));
        from_bytes.iter_mut().zip(held).for_each(|(to, from)| *to = *from);
        zeros.fill(0);
        wanted
    }

    /// Puts bytes in without a look at the length.
    fn put(&mut self, start: usize, bytes: &[u8]) {
        let end = start.saturating_add(bytes.len());
        if self.bytes.len() == start {
            self.bytes.extend_from_slice(bytes);
            return;
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if let Some(target) = self.bytes.get_mut(start..end) {
            target.copy_from_slice(bytes);
        }
    }

    fn set_len(&mut self, len: u64) {
        self.bytes.truncate(usize::try_from(len).unwrap_or(usize::MAX));
        self.len = len;
    }
}

/// A write, or the zeros of a cut, on its way to the disk.
#[derive(Debug)]
struct Write {
    start: usize,
    bytes: Vec<u8>,
}

impl Write {
    /// The numbers of the sectors that it touches.
    fn sectors(&self) -> impl Iterator<Item = usize> + use<> {
        let end = self.start + self.bytes.len();
        (self.start / SECTOR)..end.div_ceil(SECTOR)
    }

    /// What of it lies in the sector, and where that is in the file.
    fn within(&self, sector: usize) -> (usize, &[u8]) {
        let from = self.start.max(sector * SECTOR);
        let to = (self.start + self.bytes.len()).min((sector + 1) * SECTOR);
        (from, self.bytes.get(from - self.start..to - self.start).unwrap_or_default())
    }
}

/// A file's content, live and durable.
#[derive(Debug, Default)]
pub(super) struct Content {
    live: Image,
    durable: Image,
    /// What was written since the last sync, in order.
    pending: Vec<Write>,
    /// The lengths that the file has had since the last sync, in order, other than the durable one.
    lengths: Vec<u64>,
    /// A sync failed since: what is live is not simply the durable with what is pending.
    parted: bool,
    handed_out: HandedOut,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.live.len
    }

    pub(super) fn modified(&self) -> Timestamp {
        self.live.modified
    }

    /// It is changed now.
    pub(super) fn touch(&mut self, now: Timestamp) {
        self.live.modified = now;
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        self.live.read(offset, buffer)
    }

    pub(super) fn write(&mut self, start: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.handed_out.check(start as u64, (start + bytes.len()) as u64);
        self.live.put(start, bytes);
        self.pending.push(Write { start, bytes: bytes.to_vec() });
        self.lengthen((start + bytes.len()) as u64);
    }

    /// Has what is there on its way to the disk once more.
    pub(super) fn write_again(&mut self, from: u64, len: u64) {
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
        let there = self.live.read(from, &mut bytes);
        bytes.truncate(there);
        if let Ok(start) = usize::try_from(from)
            && !bytes.is_empty()
        {
            self.pending.push(Write { start, bytes });
            self.lengths.push(self.live.len);
        }
    }

    /// Makes the file at least `len` long.
    pub(super) fn lengthen(&mut self, len: u64) {
        if len > self.live.len {
            self.live.set_len(len);
            self.lengths.push(len);
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len >= self.live.len {
            return self.lengthen(len);
        }
        self.handed_out.check(len, u64::MAX);
        let held = self.live.bytes.len();
        self.live.set_len(len);
        self.lengths.push(len);
        let start = self.live.bytes.len();
        if start < held {
            self.pending.push(Write { start, bytes: vec![0; held - start] });
        }
    }

    /// All that was written, and the length, become durable.
    pub(super) fn sync(&mut self) {
        for write in self.pending.drain(..) {
            self.durable.put(write.start, &write.bytes);
        }
        self.lengths.clear();
        self.durable.set_len(self.live.len);
        self.durable.modified = self.live.modified;
    }

    /// Decides what of the pending writes has reached the disk; the rest never will. This is what a power cut does,
    /// and a failed sync: the system then takes the pages for clean, and does not try again.
    pub(super) fn settle(&mut self, fate: &mut Fate<'_>) {
        if self.pending.is_empty() && self.lengths.is_empty() {
            return;
        }
        self.parted = true;
        let pending = std::mem::take(&mut self.pending);
        let mut by_sector = BTreeMap::<usize, Vec<&Write>>::new();
        for write in &pending {
            write.sectors().for_each(|sector| by_sector.entry(sector).or_default().push(write));
        }
        let sectors = fate.some_of_each(by_sector.values().map(Vec::len));
        for ((sector, writes), count) in by_sector.into_iter().zip(sectors) {
            for write in writes.into_iter().take(count) {
                let (start, bytes) = write.within(sector);
                self.durable.put(start, bytes);
            }
        }
        self.settle_len(fate);
    }

    fn settle_len(&mut self, fate: &mut Fate<'_>) {
        let mut lengths = std::mem::take(&mut self.lengths);
        lengths.insert(0, self.durable.len);
        lengths.dedup();
        let chosen = fate.one_of(lengths.len());
        self.durable.set_len(lengths.get(chosen).copied().unwrap_or_default());
        if fate.is_time_done(chosen > 0) {
            self.durable.modified = self.live.modified;
        }
    }

    /// What a power cut leaves is all there is.
    pub(super) fn power_cut(&mut self, fate: &mut Fate<'_>) {
        self.settle(fate);
        if std::mem::take(&mut self.parted) {
            self.live = self.durable.clone();
        }
    }

    /// Notes that a session has bytes of this file, which from now on may not change.
    pub(super) fn hand_out(&mut self, session: u64, start: u64, end: u64) {
        if cfg!(debug_assertions) && start < end {
            self.handed_out.add(session, start, end);
        }
    }

    /// The session may go on writing: whoever wrote before it is gone.
    pub(super) fn used_by(&mut self, session: u64) {
        if self.handed_out.session != session {
            self.handed_out = HandedOut { session, ranges: Vec::new() };
        }
    }

    /// The length, and the bytes without the zeros at their end.
    pub(super) fn parts(&self) -> (u64, &[u8]) {
        let end = self.live.bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        (self.live.len, self.live.bytes.get(..end).unwrap_or_default())
    }
}

/// Which bytes somebody may hold, for one session: ranges that neither touch nor overlap, in the order of handing out.
#[derive(Debug, Default)]
struct HandedOut {
    session: u64,
    ranges: Vec<(u64, u64)>,
}

impl HandedOut {
    fn add(&mut self, session: u64, start: u64, end: u64) {
        if self.session != session {
            *self = Self { session, ranges: Vec::new() };
        }
        let (mut from, mut to) = (start, end);
        self.ranges.retain(|&(start, end)| {
            let joins = start <= to && from <= end;
            if joins {
                (from, to) = (from.min(start), to.max(end));
            }
            !joins
        });
        self.ranges.push((from, to));
    }

    /// # Panics
    /// If a byte from `start` to `end` was handed out: changing it is a bug, and undefined behaviour on a mapped file.
    fn check(&self, start: u64, end: u64) {
        let hit = self.ranges.iter().find(|&&(from, to)| from < end && start < to);
        assert!(hit.is_none(), "bytes {start}..{end} change although {hit:?} of them were handed out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    fn drawn(seed: u64, leave: impl FnOnce(&mut Fate<'_>)) {
        leave(&mut Fate::Drawn(&mut Prng::new(seed)));
    }

    fn bytes(content: &Content) -> Vec<u8> {
        let mut buffer = vec![0xee; content.len() as usize];
        assert_eq!(content.read(0, &mut buffer), buffer.len());
        buffer
    }

    #[test]
    fn synced_bytes_survive_and_later_ones_come_sector_by_sector() {
        let (mut torn, mut none, mut all) = (0, 0, 0);
        for seed in 0..200 {
            let mut content = Content::default();
            content.write(0, &[1; 2048]);
            content.sync();
            content.write(0, &[2; 2048]);
            drawn(seed, |fate| content.power_cut(fate));
            let bytes = bytes(&content);
            assert_eq!(bytes.len(), 2048);
            for sector in bytes.chunks(SECTOR) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "seed {seed}: torn within a sector");
                assert!(matches!(sector[0], 1 | 2), "seed {seed}: what was synced has gone");
            }
            match bytes.iter().filter(|byte| **byte == 2).count() {
                0 => none += 1,
                2048 => all += 1,
                _ => torn += 1,
            }
        }
        assert!(torn > 50 && none > 20 && all > 20, "torn {torn}, none {none}, all {all}");
    }

    #[test]
    fn each_sector_has_some_prefix_of_its_writes_and_every_prefix_comes_up() {
        let mut seen = [0; 4];
        for seed in 0..200 {
            let mut content = Content::default();
            content.write(0, &[0; 512]);
            content.sync();
            (1..4).for_each(|n| content.write(0, &[n; 512]));
            drawn(seed, |fate| content.power_cut(fate));
            seen[usize::from(bytes(&content)[0])] += 1;
        }
        assert!(seen.iter().all(|n| *n > 10), "{seen:?}");
    }

    #[test]
    fn the_length_is_one_that_the_file_had_and_what_never_came_is_zero() {
        let mut lengths = std::collections::BTreeSet::new();
        let mut zeros = 0;
        for seed in 0..200 {
            let mut content = Content::default();
            content.write(0, &[7; 100]);
            content.sync();
            content.write(100, &[7; 900]);
            content.set_len(700);
            content.lengthen(5000);
            drawn(seed, |fate| content.power_cut(fate));
            let bytes = bytes(&content);
            lengths.insert(bytes.len());
            assert_eq!(bytes[..100], [7; 100]);
            zeros += usize::from(bytes.len() > 100 && bytes[512..600].iter().all(|byte| *byte == 0));
        }
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [100, 700, 1000, 5000]);
        assert!(zeros > 20, "{zeros}");
    }

    #[test]
    fn what_was_cut_and_synced_does_not_come_back() {
        for seed in 0..20 {
            let mut content = Content::default();
            content.write(0, &[7; 1000]);
            content.sync();
            content.set_len(100);
            content.set_len(1000);
            content.sync();
            content.write(990, &[8; 1]);
            drawn(seed, |fate| content.power_cut(fate));
            let bytes = bytes(&content);
            assert_eq!((&bytes[..100], &bytes[100..990]), (&[7; 100][..], &[0; 890][..]), "seed {seed}");
        }
    }

    #[test]
    fn what_a_failed_sync_lost_is_seen_until_the_power_cut_and_no_later_sync_brings_it_back() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut content = Content::default();
            content.write(0, &[1; 512]);
            drawn(seed, |fate| content.settle(fate));
            assert_eq!(bytes(&content), [1; 512]);
            content.sync();
            drawn(seed, |fate| content.power_cut(fate));
            lost += usize::from(bytes(&content) == [0; 512]);
        }
        assert!((20..90).contains(&lost), "{lost}");
    }

    #[test]
    fn every_outcome_of_a_power_cut_has_its_number() {
        let cut = |nth| {
            let mut content = Content::default();
            content.write(0, &[1; 1024]);
            content.sync();
            content.write(0, &[2; 1024]);
            content.write(0, &[3; 512]);
            content.write(1024, &[4; 100]);
            let mut outcomes = 1;
            content.power_cut(&mut Fate::Nth { rest: nth, outcomes: &mut outcomes });
            (bytes(&content), outcomes)
        };
        let (_, outcomes) = cut(0);
        // Two writes of the first sector, one of each other one, and two lengths.
        assert_eq!(outcomes, 3 * 2 * 2 * 2);
        let all: std::collections::BTreeSet<Vec<u8>> = (0..outcomes).map(|nth| cut(nth).0).collect();
        // What the last sector holds is not seen where the length is the old one.
        assert_eq!(all.len(), 3 * 2 * (1 + 2));
        assert_eq!(cut(outcomes).0, cut(0).0, "behind the last comes the first");
    }

    #[test]
    #[should_panic(expected = "were handed out")]
    fn writing_over_handed_out_bytes_is_a_bug() {
        let mut content = Content::default();
        content.write(0, &[1; 100]);
        content.hand_out(1, 10, 20);
        content.hand_out(1, 50, 60);
        content.write(20, &[2; 30]);
        content.write(59, &[2; 1]);
    }

    #[test]
    #[should_panic(expected = "were handed out")]
    fn cutting_handed_out_bytes_off_is_a_bug() {
        let mut content = Content::default();
        content.write(0, &[1; 100]);
        content.hand_out(1, 10, 20);
        content.set_len(20);
        content.set_len(19);
    }
}
