//! A `.snapshot` of any bytes.

use super::{intact::Intact, *};
use crate::{
    log::{
        names::{Kind, segment_file},
        snapshot::{decode, encode},
    },
    record::crc32c,
};

/// Reads a snapshot, as it is and with a right checksum, and puts it beside an intact log. What is none there changes no
/// answer. The first byte says how the log is opened, whether the checksum is set right, and where the file is put.
pub(crate) fn snapshot(input: &[u8]) {
    let Some((mode, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if mode & 4 > 0 && bytes.len() > 6 {
        let crc = crc32c(&bytes[6..]).to_be_bytes();
        bytes[2..6].copy_from_slice(&crc);
    }
    let decoded = decode(&bytes);
    if let Some(producers) = &decoded {
        assert_eq!(decode(&encode(producers)).as_ref(), Some(producers));
    }
    let log = Intact::of(false);
    let places = [&log.bases[..], &[log.end, log.end.plus(1), log.bases[1].plus(1)]].concat();
    let at = places[usize::from(mode >> 3) % places.len()];
    let mut files = log.files.clone();
    files.insert(segment_file(DIR.as_ref(), at, Kind::Snapshot), bytes);
    let disk = SimDisk::with_files(&files);
    for from in [log.from(*mode), LoadedFrom::CleanClose(log.end)] {
        let (mut opened, _) = open(&disk, &log.config, from).unwrap();
        if decoded.is_none() {
            log.check(&mut opened);
        } else {
            // It is believed, and may say what it likes of transactions.
            opened.aborted(Offset::ZERO, log.end).unwrap();
            assert!(opened.last_stable(log.end) <= log.end);
        }
        close(opened);
    }
}

/// Those of the intact log, in all its ways.
pub(crate) fn snapshot_files() -> Vec<Vec<u8>> {
    let log = Intact::of(false);
    let is_snapshot = |path: &&PathBuf| path.extension().is_some_and(|extension| extension == "snapshot");
    let files: Vec<&PathBuf> = log.files.keys().filter(is_snapshot).collect();
    (0..48)
        .flat_map(|mode| files.iter().map(move |path| (mode, *path)))
        .map(|(mode, path)| [&[mode], &*log.files[path]].concat())
        .collect()
}
