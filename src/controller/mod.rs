//! A cluster's controller: the quorum that keeps its metadata.
//!
//! All of it is pure: events go in, effects come out. No clock, no file, no lock; random numbers are handed in.

pub(crate) mod quorum;
