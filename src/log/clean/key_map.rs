//! The last offset of each key, in bounded memory. (Kafka: `SkimpyOffsetMap`)

use super::key_hash::KeyHash;
use crate::types::Offset;

/// What a key takes, in bytes.
const SLOT: usize = size_of::<Slot>();
/// How many slots there are at first.
const FIRST: usize = 1024;
/// Kafka's load factor, in tenths. Before the map is as large as it may be it grows earlier.
const FULL: usize = 9;
const CROWDED: usize = 7;

/// A key is known by 128 bits of a keyed hash, never by itself.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u128,
    /// Negative: free.
    offset: i64,
}

const FREE: Slot = Slot { key: 0, offset: -1 };

/// Keys with the last offset of each.
#[derive(Debug)]
pub(super) struct KeyMap {
    hash: KeyHash,
    slots: Vec<Slot>,
    taken: usize,
    /// How many slots there may be.
    most: usize,
}

impl KeyMap {
    /// An empty map that takes `memory` bytes at most.
    pub(super) fn new(hash: KeyHash, memory: usize) -> Self {
        let most = (memory / SLOT).max(2);
        Self { hash, slots: vec![FREE; most.min(FIRST)], taken: 0, most }
    }

    /// Notes that a key comes at `offset`. `false`: it is a new one, and the map is full.
    pub(super) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let key = self.hash.of(key);
        if self.find(key).is_none_or(|at| self.is_free(at)) && !self.make_room() {
            return false;
        }
        self.insert(Slot { key, offset: offset.get() });
        true
    }

    /// The last offset of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots.get(self.find(self.hash.of(key))?)?;
        (slot.offset >= 0).then_some(Offset::new(slot.offset))
    }

    /// Sees to it that there is room for one key more.
    fn make_room(&mut self) -> bool {
        let len = self.slots.len();
        let tenths = if len == self.most { FULL } else { CROWDED };
        // One slot is always free, so that a search ends.
        if self.taken + 1 < len && (self.taken + 1) * 10 <= (len * tenths).max(10) {
            return true;
        }
        if len == self.most {
            return false;
        }
        let larger = vec![FREE; (len * 2).min(self.most)];
        let old = std::mem::replace(&mut self.slots, larger);
        self.taken = 0;
        old.into_iter().filter(|slot| slot.offset >= 0).for_each(|slot| self.insert(slot));
        self.make_room()
    }

    fn insert(&mut self, slot: Slot) {
        let Some(at) = self.find(slot.key) else { return };
        self.taken += usize::from(self.is_free(at));
        if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
        }
    }

    fn is_free(&self, at: usize) -> bool {
        self.slots.get(at).is_some_and(|slot| slot.offset < 0)
    }

    /// The slot that has a key, or that is free for it.
    fn find(&self, key: u128) -> Option<usize> {
        let len = self.slots.len();
        // The upper half of the product: each slot as likely, however many there are.
        let first = (((key >> 64) * len as u128) >> 64) as usize;
        let from = |slots: std::ops::Range<usize>| {
            let range = self.slots.get(slots.clone()).unwrap_or_default();
            let at = range.iter().position(|slot| slot.offset < 0 || slot.key == key);
            at.map(|at| slots.start + at)
        };
        from(first..len).or_else(|| from(0..first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;
    use std::collections::BTreeMap;

    fn map(memory: usize) -> KeyMap {
        KeyMap::new(KeyHash::new(&mut Prng::new(1)), memory)
    }

    #[test]
    fn the_last_offset_of_a_key_counts_and_others_have_none() {
        let mut map = map(1 << 20);
        let mut model = BTreeMap::new();
        for n in 0..20_000_i64 {
            let key = format!("key {}", n * n % 7001);
            assert!(map.put(key.as_bytes(), Offset::new(n)));
            model.insert(key, n);
        }
        for (key, last) in &model {
            assert_eq!(map.get(key.as_bytes()), Some(Offset::new(*last)), "{key}");
        }
        assert_eq!(map.get(b"another"), None);
    }

    #[test]
    fn a_full_map_takes_no_other_key_and_still_knows_its_own() {
        for memory in [0, 10 * SLOT, 5000 * SLOT] {
            let mut map = map(memory);
            let most = (memory / SLOT).max(2);
            let taken = (0..10_000_u32).take_while(|n| map.put(&n.to_be_bytes(), Offset::new(1))).count();
            assert_eq!(taken, (most * FULL / 10).max(1), "{memory} bytes");
            assert!(map.slots.len() * SLOT <= memory.max(2 * SLOT));
            assert!(map.put(&0_u32.to_be_bytes(), Offset::new(9)));
            assert_eq!(map.get(&0_u32.to_be_bytes()), Some(Offset::new(9)));
            assert!(!map.put(b"one more", Offset::new(10)));
        }
    }
}
