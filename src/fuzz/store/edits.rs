//! Changes of a store's files, as bytes say.

use super::Files;
use crate::record::{take, take_array};
use std::path::PathBuf;

/// How many kinds of edits there are.
pub(super) const KINDS: u8 = 9;

/// How many edits are made at most.
const MAX_EDITS: usize = 12;

/// What unfinished work is called.
const SUFFIXES: [&str; 6] = [".swap", ".cleaned", ".deleted", ".tmp", ".cut", ".1"];

/// Makes the edits, each of a kind, a file, a position and a length. Says whether bytes of a file came to another place:
/// then a batch may be where it does not belong, and no checksum tells.
pub(super) fn apply(mut input: &[u8], files: &mut Files) -> bool {
    let mut moved = false;
    for _ in 0..MAX_EDITS {
        let Some([kind, file, high, low, len]) = take_array(&mut input) else { break };
        let paths: Vec<PathBuf> = files.keys().cloned().collect();
        let Some(path) = paths.get(usize::from(file) % paths.len().max(1)) else { break };
        let at = usize::from(u16::from_be_bytes([high, low]));
        let len = usize::from(len);
        match kind % KINDS {
            4 => drop(files.remove(path)),
            5 => {
                let other = paths[at % paths.len()].clone();
                files.insert(path.clone(), files[&other].clone());
                moved = true;
            }
            6 => {
                let mut name = path.clone().into_os_string();
                name.push(SUFFIXES[len % SUFFIXES.len()]);
                files.insert(name.into(), files[path].clone());
                moved = true;
            }
            7 => {
                let source = files[&paths[len % paths.len()]].clone();
                let from = at.min(source.len());
                let part = source[from..source.len().min(from + len * 8)].to_vec();
                overwrite(files.entry(path.clone()).or_default(), at, &part);
                moved = true;
            }
            kind => edit(files.entry(path.clone()).or_default(), kind, at, len, &mut input),
        }
    }
    moved
}

fn edit(bytes: &mut Vec<u8>, kind: u8, at: usize, len: usize, input: &mut &[u8]) {
    let at = at % (bytes.len() + 1);
    match kind {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= (len as u8).max(1);
            }
        }
        1 => overwrite(bytes, at, take(input, len.min(input.len())).unwrap_or_default()),
        2 => bytes.truncate(at),
        3 => overwrite(bytes, at, &vec![0; len * 8]),
        _ => *bytes = take(input, len.min(input.len())).unwrap_or_default().to_vec(),
    }
}

fn overwrite(bytes: &mut Vec<u8>, at: usize, with: &[u8]) {
    let at = at.min(bytes.len());
    let end = at + with.len();
    bytes.resize(bytes.len().max(end), 0);
    bytes[at..end].copy_from_slice(with);
}
