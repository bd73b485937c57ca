//! brooklet

mod config;
mod env;
mod error;
mod prng;
mod record;
mod sync;
mod types;
