//! A replica of a partition, as the broker that has it knows it: what its leader knows of the others. Pure: no log, no
//! clock, no lock.

mod leader;

pub(crate) use leader::{Leader, LeaderState, News};
