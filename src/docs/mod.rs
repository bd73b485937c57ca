//! Beside the reference: recipes for those who use brooklet, and, for those who want to trust it or work on it, how it is
//! built and what its files are.

pub mod recipes;

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("format.md")]
pub mod format {}
