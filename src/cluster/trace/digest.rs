//! What tells two runs apart: FNV-1a over what happened, as it happens.

use std::hash::{Hash, Hasher};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// Takes something in; what kind of thing is part of it.
    pub(super) fn take(&mut self, kind: u8, what: impl Hash) {
        self.write_u8(kind);
        what.hash(self);
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
