//! Indexes of any bytes beside a log that is intact.

use super::{intact::Intact, *};
use crate::log::names::Kind;

const KINDS: [Kind; 3] = [Kind::Index, Kind::TimeIndex, Kind::TxnIndex];

/// A length that says that there is no such file.
const NO_FILE: u16 = u16::MAX;

/// Replaces a segment's indexes: offsets and times are found all the same. The first byte says how the log is opened,
/// whether offsets are missing in it, and which segment it is; each file comes with its length.
pub(crate) fn indexes(input: &[u8]) {
    let Some((mode, mut rest)) = input.split_first() else { return };
    let log = Intact::of(mode & 4 > 0);
    let segment = usize::from(mode >> 3) % log.bases.len();
    let mut files = log.files.clone();
    for kind in KINDS {
        let Some((len, bytes)) = rest.split_first_chunk() else { break };
        let len = u16::from_be_bytes(*len);
        let path = log.path(segment, kind);
        if len == NO_FILE {
            files.remove(&path);
            rest = bytes;
        } else {
            let (bytes, more) = bytes.split_at(bytes.len().min(len.into()));
            files.insert(path, bytes.to_vec());
            rest = more;
        }
    }
    let disk = SimDisk::with_files(&files);
    let (mut opened, _) = open(&disk, &log.config, log.from(*mode)).unwrap();
    log.check(&mut opened);
    log.check(&mut opened);
    close(opened);
    let (mut opened, _) = open(&disk, &log.config, LoadedFrom::CleanClose(log.end)).unwrap();
    log.check(&mut opened);
    close(opened);
    // What it held of offsets and times may be left where nobody asked. Kafka believes what it finds of transactions.
    let path = log.path(segment, Kind::TxnIndex);
    let there = |files: &Files| files.get(&path).filter(|bytes| !bytes.is_empty()).cloned();
    assert_eq!(there(&disk.files()), there(&log.files));
}

/// The right ones, in all ways of opening.
pub(crate) fn index_files() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for mode in 0..24 {
        let log = Intact::of(mode & 4 > 0);
        let mut input = vec![mode];
        for kind in KINDS {
            match log.files.get(&log.path(usize::from(mode >> 3) % log.bases.len(), kind)) {
                Some(bytes) => {
                    input.extend((bytes.len() as u16).to_be_bytes());
                    input.extend(bytes);
                }
                None => input.extend(NO_FILE.to_be_bytes()),
            }
        }
        inputs.push(input);
    }
    inputs
}
