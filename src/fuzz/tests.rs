//! The targets over their seeds, and over what becomes of these at random.

use super::*;
use crate::prng::Prng;

/// Changes a few bytes, as a fuzzer does.
fn mutate(bytes: &mut Vec<u8>, prng: &mut Prng) {
    for _ in 0..=prng.below(4) {
        let at = prng.below(bytes.len() as u64 + 1) as usize;
        let len = (prng.below(16) as usize).min(bytes.len() - at);
        match prng.below(6) {
            0 if len > 0 => bytes[at] ^= 1 << prng.below(8),
            1 if len > 0 => bytes[at] = prng.next_u64() as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.splice(at..at, std::iter::repeat_n(prng.next_u64() as u8, len))),
            4 => drop(bytes.drain(at..at + len)),
            _ => {
                let from = prng.below((bytes.len() - len) as u64 + 1) as usize;
                bytes.copy_within(from..from + len, at);
            }
        }
    }
}

fn run(target: Target, rounds: u64) {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty());
    seeds.iter().for_each(|seed| (target.run)(seed));
    for round in crate::seeds(rounds) {
        let mut prng = Prng::new(round).fork(target.name);
        let mut bytes = seeds[prng.below(seeds.len() as u64) as usize].clone();
        mutate(&mut bytes, &mut prng);
        println!("BROOKLET_SEED={round} BROOKLET_SEEDS=1 cargo test --lib fuzz::tests::{}", target.name);
        (target.run)(&bytes);
    }
}

macro_rules! targets {
    ($($name:ident $target:ident $rounds:literal)*) => {
        $(
            #[test]
            fn $name() {
                run($target, $rounds);
            }
        )*
    };
}

targets! {
    batch BATCH 20_000
    segment SEGMENT 3_000
    indexes INDEXES 3_000
    checkpoints CHECKPOINTS 10_000
    snapshots SNAPSHOTS 3_000
    offsets OFFSETS 50_000
    store STORE 2_000
}
