//! Survival: workloads on the simulated disk, with the power cut at every operation, every operation failing once and
//! for good, and a model that says what must be there afterwards.
//!
//! `BROOKLET_SEED` and `BROOKLET_SEEDS` choose the first seed and how many; a failure prints the command that replays
//! it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "crash/altering.rs"]
mod altering;
#[path = "crash/cases.rs"]
mod cases;
#[path = "crash/check.rs"]
mod check;
#[path = "crash/compaction.rs"]
mod compaction;
#[path = "crash/faults.rs"]
mod faults;
#[path = "crash/model.rs"]
mod model;
#[path = "crash/outcomes.rs"]
mod outcomes;
#[path = "crash/power.rs"]
mod power;
#[path = "crash/replay.rs"]
mod replay;
#[path = "crash/threads.rs"]
mod threads;
#[path = "crash/workloads.rs"]
mod workloads;
#[path = "crash/world.rs"]
mod world;
