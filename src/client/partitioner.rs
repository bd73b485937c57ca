//! Which partition a record goes to, as Kafka's own producer decides it: the same key goes to the same partition
//! whoever produces it.

use crate::prng::Prng;

/// How many bytes go to one partition before records without a key move on to another.
pub(crate) const DEFAULT_BATCH_SIZE: usize = 16_384;

/// Kafka's variant of MurmurHash2: 32 bits, little-endian words, and a seed of its own.
pub(crate) fn murmur2(bytes: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;

    // Lengths beyond 32 bits are not Kafka's; the cast keeps the hash a function of the bytes all the same.
    let mut hash = SEED ^ bytes.len() as u32;
    let (words, tail) = bytes.as_chunks();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| rest << 8 | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    (hash ^ hash >> 15) as i32
}

/// The partition, of `partitions` (`> 0`), for records with this key. An empty key is a key.
pub(crate) fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX).checked_rem(partitions).unwrap_or(0)
}

/// Spreads records without a key: they stay with one partition until it has got a batch, so that batches fill,
/// and then move to another, chosen at random.
#[derive(Debug)]
pub(crate) struct StickyPartitioner {
    batch_size: usize,
    current: Option<i32>,
    /// What went to the current partition since it was chosen.
    bytes: usize,
}

impl StickyPartitioner {
    /// Moves on after about `batch_size` bytes.
    pub(crate) fn new(batch_size: usize) -> Self {
        Self { batch_size, current: None, bytes: 0 }
    }

    /// The partition, of `partitions` (`> 0`), for the next record.
    pub(crate) fn partition(&mut self, partitions: i32, prng: &mut Prng) -> i32 {
        match self.current.filter(|current| *current < partitions) {
            Some(current) => current,
            None => self.move_to(below(partitions, prng)),
        }
    }

    /// Notes that `bytes` went to the partition chosen last.
    pub(crate) fn appended(&mut self, bytes: usize, partitions: i32, prng: &mut Prng) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes < self.batch_size {
            return;
        }
        let next = match self.current.filter(|current| *current < partitions) {
            // One of the others: those from the current one on move up by one place.
            Some(current) if partitions > 1 => {
                let other = below(partitions - 1, prng);
                other + i32::from(other >= current)
            }
            _ => below(partitions, prng),
        };
        self.move_to(next);
    }

    fn move_to(&mut self, partition: i32) -> i32 {
        (self.current, self.bytes) = (Some(partition), 0);
        partition
    }
}

impl Default for StickyPartitioner {
    fn default() -> Self {
        Self::new(DEFAULT_BATCH_SIZE)
    }
}

fn below(partitions: i32, prng: &mut Prng) -> i32 {
    prng.below(u64::try_from(partitions).unwrap_or(0)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_gives_kafkas_numbers() {
        let vectors = [
            ("", 275_646_681),
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("abc", 479_470_107),
            ("a-little-bit-long-string", -985_981_536),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key:?}");
            assert_eq!(partition_for_key(key.as_bytes(), 7), (hash & i32::MAX) % 7, "{key:?}");
        }
        assert_eq!(partition_for_key(b"any", 0), 0);
    }

    #[test]
    fn records_without_a_key_stay_for_a_batch_and_then_move_to_another_partition() {
        let mut prng = Prng::new(5);
        let mut sticky = StickyPartitioner::new(100);
        let mut visits = [0; 4];
        let mut current = sticky.partition(4, &mut prng);
        for _ in 0..1000 {
            for _ in 0..9 {
                sticky.appended(11, 4, &mut prng);
                assert_eq!(sticky.partition(4, &mut prng), current);
            }
            sticky.appended(11, 4, &mut prng);
            let next = sticky.partition(4, &mut prng);
            assert_ne!(next, current);
            visits[next as usize] += 1;
            current = next;
        }
        assert!(visits.iter().all(|&n| n > 150), "{visits:?}");
    }

    #[test]
    fn a_single_partition_is_kept_and_one_that_is_gone_is_left() {
        let mut prng = Prng::new(6);
        let mut sticky = StickyPartitioner::default();
        for _ in 0..3 {
            assert_eq!(sticky.partition(1, &mut prng), 0);
            sticky.appended(DEFAULT_BATCH_SIZE, 1, &mut prng);
        }
        let mut sticky = StickyPartitioner::new(1);
        while sticky.partition(9, &mut prng) < 2 {
            sticky.appended(1, 9, &mut prng);
        }
        assert!(sticky.partition(2, &mut prng) < 2);
        assert_eq!(StickyPartitioner::default().partition(0, &mut prng), 0);
    }
}
