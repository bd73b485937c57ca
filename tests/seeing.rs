//! What the features `metrics` and `tracing` tell: `cargo test --features metrics,tracing --test seeing`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod common;
#[path = "seeing/published.rs"]
mod published;
#[path = "seeing/told.rs"]
mod told;

use brooklet::{Broker, ManualClock, SimDisk};

fn on(disk: &SimDisk) -> (Broker, ManualClock) {
    let clock = ManualClock::new();
    (Broker::builder().clock(&clock).disk(disk).open("data").unwrap(), clock)
}
