//! A seeded generator of random numbers. Each component forks its own by name, so that drawing one number more in
//! one component changes nothing in another.

/// xoshiro256++, seeded through SplitMix64. Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Prng {
    state: [u64; 4],
}

fn split_mix(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Prng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut seed = seed;
        Self { state: std::array::from_fn(|_| split_mix(&mut seed)) }
    }

    /// A generator that no other seed of this process is likely to share, from the system's randomness.
    pub(crate) fn from_entropy() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Self::new(RandomState::new().hash_one("brooklet"))
    }

    /// A generator of its own for the component `name`: a function of this generator's seed and the name.
    pub(crate) fn fork(&self, name: &str) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let [a, b, c, d] = self.state;
        Self::new(a ^ b.rotate_left(16) ^ c.rotate_left(32) ^ d.rotate_left(48) ^ hash)
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let out = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        out
    }

    /// A number below `bound`, each about equally likely; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// Sixteen random bytes.
    pub(crate) fn bytes16(&mut self) -> [u8; 16] {
        let high = u128::from(self.next_u64()) << 64;
        (high | u128::from(self.next_u64())).to_be_bytes()
    }
}

/// The seeds that a seeded test should run: from `BROOKLET_SEED` on (default 0), `BROOKLET_SEEDS` of them (default
/// `default_count`).
///
/// A value that is not a number counts as not set.
///
/// ```
/// for seed in brooklet::seeds(3) {
///     let disk = brooklet::SimDisk::new(seed);
///     // ... a test that prints `seed` when it fails; BROOKLET_SEED=that BROOKLET_SEEDS=1 runs it again
/// #   let _ = disk;
/// }
/// ```
pub fn seeds(default_count: u64) -> impl Iterator<Item = u64> {
    let read = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let first = read("BROOKLET_SEED").unwrap_or(0);
    let count = read("BROOKLET_SEEDS").unwrap_or(default_count);
    (0..count).map(move |n| first.wrapping_add(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_forks_differ() {
        let (mut a, mut b) = (Prng::new(7), Prng::new(7));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
        assert_ne!(a.fork("disk").next_u64(), a.fork("group").next_u64());
        assert_eq!(a.fork("disk").next_u64(), b.fork("disk").next_u64());
    }

    #[test]
    fn below_reaches_every_number_and_nothing_else() {
        let mut prng = Prng::new(1);
        let mut seen = [0u32; 10];
        for _ in 0..1000 {
            seen[prng.below(10) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n > 50), "{seen:?}");
        assert_eq!(prng.below(0), 0);
    }
}
