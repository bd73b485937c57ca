//! What is not as it was written.

use std::{fmt, path::PathBuf};

/// A part of a log that is not what was written there.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// for partition in &broker.verify(|_| {})?.partitions {
///     for damage in &partition.damage {
///         println!("{}: offsets {} to {}", partition.partition, damage.offset, damage.next_offset);
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The file, or the directory where a file is missing.
    pub path: PathBuf,
    /// The first offset of which the record is lost, or cannot be read.
    pub offset: i64,
    /// The offset behind the last such record, exclusive. Equal to `offset` where no record is lost by the damage, or where
    /// nothing tells how many there were: at the end of a log.
    pub next_offset: i64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, offset, next_offset, reason } = self;
        write!(f, "offsets {offset} to {next_offset} (exclusive) in {}: {reason}", path.display())
    }
}
