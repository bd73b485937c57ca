//! The names of a partition's files.

use crate::types::Offset;
use std::path::{Path, PathBuf};

/// What a file of a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Log,
    Index,
    TimeIndex,
    TxnIndex,
    Snapshot,
}

/// What is derived from a segment's log, and made anew where it is missing.
pub(crate) const DERIVED: [Kind; 4] = [Kind::Index, Kind::TimeIndex, Kind::TxnIndex, Kind::Snapshot];

impl Kind {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Index => "index",
            Self::TimeIndex => "timeindex",
            Self::TxnIndex => "txnindex",
            Self::Snapshot => "snapshot",
        }
    }
}

pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";

/// The file of the segment that begins at `base`: 20 digits and a suffix.
pub(crate) fn segment_file(dir: &Path, base: Offset, kind: Kind) -> PathBuf {
    dir.join(format!("{:020}.{}", base.get(), kind.suffix()))
}

/// The log of the segment that begins at `base`, under the name that it has while it is made or put in place.
pub(crate) fn unplaced_log(dir: &Path, base: Offset, suffix: &str) -> PathBuf {
    let mut path = segment_file(dir, base, Kind::Log).into_os_string();
    path.push(suffix);
    path.into()
}

/// A file that bytes are kept aside in which recovery cut from the segment `base` at `position`. No loader reads it.
pub(crate) fn cut_file(dir: &Path, base: Offset, position: u64, attempt: u32) -> PathBuf {
    dir.join(format!("{:020}-{position}.{attempt}.cut", base.get()))
}

/// The base offset of a segment by the name of its log.
pub(crate) fn base_of_log(name: &str) -> Option<Offset> {
    base_of(name.strip_suffix(".log")?)
}

/// The offset that 20 digits say.
pub(crate) fn base_of(digits: &str) -> Option<Offset> {
    let whole = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    whole.then(|| digits.parse().ok().map(Offset::new)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_named_by_twenty_digits() {
        let path = segment_file(Path::new("t-0"), Offset::new(170), Kind::TimeIndex);
        assert_eq!(path, Path::new("t-0/00000000000000000170.timeindex"));
        assert_eq!(base_of_log("00000000000000000170.log"), Some(Offset::new(170)));
        for other in [
            "170.log",
            "00000000000000000170.index",
            "0000000000000000017x.log",
            "00000000000000000170.log.deleted",
            "99999999999999999999.log",
        ] {
            assert_eq!(base_of_log(other), None, "{other}");
        }
    }
}
