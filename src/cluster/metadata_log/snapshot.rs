//! The file of the newest snapshot: CRC u32 of what follows, term u64, index u64, records as in the embedded broker's file. It is
//! replaced as a whole.

use super::{HEAD, LIMIT, lost, position};
use crate::{
    controller::quorum::Snapshot,
    env::{Storage, read_file, replace_file},
    error::Result,
    rpc::metadata_record::{decode, encode},
};
use std::path::Path;

const CRC: usize = 4;

pub(super) fn write(storage: &dyn Storage, path: &Path, snapshot: &Snapshot) -> Result<()> {
    replace_file(storage, path, &to_bytes(snapshot))
}

/// The newest one; that of nothing, if there is none.
pub(super) fn read(storage: &dyn Storage, path: &Path) -> Result<Snapshot> {
    let Some(bytes) = read_file(storage, path, LIMIT)? else { return Ok(Snapshot::default()) };
    from_bytes(&bytes).ok_or_else(|| lost(path, "the snapshot of the metadata is lost"))
}

pub(super) fn to_bytes(snapshot: &Snapshot) -> Vec<u8> {
    let mut bytes = vec![0; CRC];
    bytes.extend(snapshot.position.term.0.to_be_bytes());
    bytes.extend(snapshot.position.index.0.to_be_bytes());
    bytes.extend(encode(&snapshot.records));
    let crc = crc32fast::hash(bytes.get(CRC..).unwrap_or_default()).to_be_bytes();
    bytes.splice(..CRC, crc);
    bytes
}

pub(super) fn from_bytes(bytes: &[u8]) -> Option<Snapshot> {
    let (crc, body) = bytes.split_at_checked(CRC)?;
    let position = position(body).filter(|_| crc == crc32fast::hash(body).to_be_bytes())?;
    let records = decode(body.get(HEAD..)?).ok()?;
    Some(Snapshot { position, records: records.into() })
}
