//! A closed store whose files somebody damaged: opening it, or reading, gives a clear error or what was written. Never
//! a panic, never an altered record, never a commit that is silently gone; and nothing is deleted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "damage/files.rs"]
mod files;
#[path = "damage/flips.rs"]
mod flips;
#[path = "damage/matrix.rs"]
mod matrix;
#[path = "damage/store.rs"]
mod store;
