//! Programs as users write them, run as tests: they use what they would use, in the way that they would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "programs/crash.rs"]
mod crash;
#[path = "programs/read.rs"]
mod read;
#[path = "programs/work.rs"]
mod work;
