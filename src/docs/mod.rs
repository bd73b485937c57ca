//! How brooklet is built, and what its files are: for those who want to trust it, and those who work on it.

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("format.md")]
pub mod format {}
