//! SipHash-2-4 with 128 bits: whoever chooses keys cannot choose two that are taken for one, since the secret is not known.

use crate::prng::Prng;

/// A hash of keys with a secret of its own.
#[derive(Clone, Copy)]
pub(crate) struct KeyHash {
    secret: [u64; 2],
}

impl std::fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyHash")
    }
}

struct State([u64; 4]);

impl KeyHash {
    pub(crate) fn new(prng: &mut Prng) -> Self {
        Self { secret: [prng.next_u64(), prng.next_u64()] }
    }

    pub(super) fn of(&self, key: &[u8]) -> u128 {
        let [k0, k1] = self.secret;
        let mut state = State([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ]);
        let (words, rest) = key.as_chunks::<8>();
        words.iter().for_each(|word| state.take(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(into, byte)| *into = *byte);
        state.take(u64::from_le_bytes(last) | (key.len() as u64) << 56);
        let low = state.end(2, 0xee);
        let high = state.end(1, 0xdd);
        u128::from(high) << 64 | u128::from(low)
    }
}

impl State {
    fn round(&mut self) {
        let [a, b, c, d] = &mut self.0;
        *a = a.wrapping_add(*b);
        *b = b.rotate_left(13) ^ *a;
        *a = a.rotate_left(32);
        *c = c.wrapping_add(*d);
        *d = d.rotate_left(16) ^ *c;
        *a = a.wrapping_add(*d);
        *d = d.rotate_left(21) ^ *a;
        *c = c.wrapping_add(*b);
        *b = b.rotate_left(17) ^ *c;
        *c = c.rotate_left(32);
    }

    fn take(&mut self, word: u64) {
        self.0[3] ^= word;
        self.round();
        self.round();
        self.0[0] ^= word;
    }

    /// Half of the hash: the first one marks the third word, the second one the second.
    fn end(&mut self, at: usize, mark: u64) -> u64 {
        if let Some(word) = self.0.get_mut(at) {
            *word ^= mark;
        }
        (0..4).for_each(|_| self.round());
        let [a, b, c, d] = self.0;
        a ^ b ^ c ^ d
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_the_reference_does() {
        let secret = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let of = |len: u8| KeyHash { secret }.of(&(0..len).collect::<Vec<_>>()).to_le_bytes();
        assert_eq!(
            of(0),
            [0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93]
        );
        assert_eq!(
            of(1),
            [0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45]
        );
        assert_ne!(of(8), of(9));
    }
}
