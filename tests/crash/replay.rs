//! Seeds: what comes from them, and how a failure is run again.

use std::collections::BTreeMap;

/// Random numbers from a seed (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, n: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ n.wrapping_mul(0xd134_2543_de82_ef95))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }
}

/// Says, if the test panics while it lives, how to run the same again.
pub(crate) struct Replay {
    pub(crate) test: &'static str,
    pub(crate) seed: u64,
    pub(crate) what: String,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { test, seed, what } = self;
            eprintln!("\nseed {seed}: {what}");
            let target = env!("CARGO_CRATE_NAME");
            eprintln!(
                "BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --test {target} {test} -- --nocapture\n"
            );
        }
    }
}

/// How often interesting things came up.
#[derive(Debug, Default)]
pub(crate) struct Marks(BTreeMap<&'static str, u64>);

impl Marks {
    pub(crate) fn add(&mut self, mark: &'static str, count: u64) {
        *self.0.entry(mark).or_default() += count;
    }

    pub(crate) fn get(&self, mark: &str) -> u64 {
        self.0.get(mark).copied().unwrap_or(0)
    }

    pub(crate) fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(mark, count)| self.add(mark, count));
    }

    /// Prints all, and fails if a mark is below its floor.
    pub(crate) fn assert_floors(&self, floors: &[(&str, u64)]) {
        println!("{:?}", self.0);
        for (mark, floor) in floors {
            assert!(self.get(mark) >= *floor, "{mark}: {} times, and {floor} are wanted", self.get(mark));
        }
    }
}
