//! Retention, roll and lookup held against a simple model: random operations on partitions whose topics have random
//! settings, through the public API, on the simulated disk and a manual clock. No power is cut here: what that leaves
//! is what `crash` looks at.
//!
//! `BROOKLET_SEED` and `BROOKLET_SEEDS` choose the first seed and how many; a failure prints the command that replays
//! it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "model/log.rs"]
mod log;
#[path = "crash/replay.rs"]
mod replay;
#[path = "model/settings.rs"]
mod settings;
#[path = "model/world.rs"]
mod world;

use replay::{Marks, Random, Replay};
use world::World;

/// How many operations one seed does.
const STEPS: u64 = 100;

#[test]
fn whatever_is_done_a_log_begins_ends_rolls_and_is_found_in_as_the_model_says() {
    let mut marks = Marks::default();
    for seed in brooklet::seeds(400) {
        let mut random = Random::new(seed, 0);
        let mut world = World::new(&mut random);
        let mut replay = Replay { test: "whatever_is_done", seed, what: format!("{:?}", world.settings) };
        let mut seen = Marks::default();
        for _ in 0..STEPS {
            let step = world.step(&mut random, &mut seen);
            replay.what.extend(["\n", &step]);
            world.check();
        }
        marks.merge(seen);
    }
    if std::env::var_os("BROOKLET_SEEDS").is_none() {
        marks.assert_floors(&[
            ("records", 20_000),
            ("rolls by size", 600),
            ("rolls by time", 700),
            ("rolls by a full index", 400),
            ("rolls by retention", 300),
            ("starts moved by age", 200),
            ("starts moved by size", 400),
            ("starts moved by a client", 500),
            ("starts moved into a batch", 150),
            ("times found", 7_000),
            ("times found behind an older record", 4_000),
            ("times not found", 3_000),
            ("times at or above the high watermark", 100),
            ("reads out of range", 600),
            ("reads above the high watermark", 100),
            ("closes", 100),
            ("kills", 250),
            ("failed flushes", 150),
            ("records refused", 600),
        ]);
    }
}
