//! A partition's directory: whose it is, and what it is called on its way out.

use crate::{
    env::{Open, Storage, read_file},
    error::Result,
    log::PARTITION_METADATA,
    types::TopicId,
};
use std::path::{Path, PathBuf};

/// Writes a partition's directory and, in it, which topic it is of; the bytes are synced, the names are not.
pub(super) fn write_partition_metadata(storage: &dyn Storage, dir: &Path, id: TopicId) -> Result<()> {
    storage.create_dir(dir)?;
    let file = storage.open(&dir.join(PARTITION_METADATA), Open::Write)?;
    file.write_at(0, format!("version: 0\ntopic_id: {id}").as_bytes())?;
    file.sync()
}

/// Which topic a partition's directory says that it is of. `None`: it does not say.
pub(super) fn read_partition_metadata(storage: &dyn Storage, dir: &Path) -> Result<Option<TopicId>> {
    let bytes = read_file(storage, &dir.join(PARTITION_METADATA), 4096)?.unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    Ok(text.strip_prefix("version: 0\ntopic_id: ").and_then(|id| TopicId::parse(id.trim_end())))
}

/// What a directory is called while it is being removed.
pub(super) fn removed_dir(dir: &Path, id: TopicId) -> PathBuf {
    let hex: String = id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut name = dir.as_os_str().to_owned();
    name.push(format!(".{hex}-delete"));
    name.into()
}

/// Whether a directory is called so.
pub(super) fn is_removed_dir(name: &str) -> bool {
    let hex = name.strip_suffix("-delete").and_then(|rest| rest.rsplit_once('.'));
    hex.is_some_and(|(_, hex)| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
