//! A partition's directory: whose it is, and what it is called on its way out.

use crate::{
    env::{Open, Storage, read_file},
    error::Result,
    log::PARTITION_METADATA,
    types::{TopicId, check_topic_name},
};
use std::path::{Path, PathBuf};

/// Writes a partition's directory and, in it, which topic it is of; the bytes are synced, the names are not.
pub(super) fn write_partition_metadata(storage: &dyn Storage, dir: &Path, id: TopicId) -> Result<()> {
    storage.create_dir(dir)?;
    let file = storage.open(&dir.join(PARTITION_METADATA), Open::Write)?;
    let text = format!("version: 0\ntopic_id: {id}");
    if file.len()? > text.len() as u64 {
        // What it said was not to be understood.
        file.set_len(0)?;
    }
    file.write_at(0, text.as_bytes())?;
    file.sync()
}

/// Which topic a partition's directory says that it is of. `None`: it does not say.
pub(super) fn read_partition_metadata(storage: &dyn Storage, dir: &Path) -> Result<Option<TopicId>> {
    let bytes = read_file(storage, &dir.join(PARTITION_METADATA), 4096)?.unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    Ok(text.strip_prefix("version: 0\ntopic_id: ").and_then(|id| TopicId::parse(id.trim_end())))
}

/// The topic and the number of the partition whose directory has this name, if a partition's can have it.
pub(super) fn partition_of_dir(name: &str) -> Option<(&str, i32)> {
    let (topic, digits) = name.rsplit_once('-')?;
    let number: i32 = digits.parse().ok()?;
    let is_one = number >= 0 && number.to_string() == digits && check_topic_name(topic).is_ok();
    is_one.then_some((topic, number))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partitions_directory_is_named_by_topic_and_number() {
        assert_eq!(partition_of_dir("a-b-07-12"), Some(("a-b-07", 12)));
        assert_eq!(partition_of_dir("__consumer_offsets-0"), Some(("__consumer_offsets", 0)));
        for other in [
            "lost+found",
            "t",
            "t-",
            "-1",
            "t-x",
            "t-01",
            "t-+1",
            "t--1",
            "a b-0",
            "t-2147483648",
            "..-0",
            "t-0.0123456789abcdef0123456789abcdef-stray",
            "t-0.0123456789abcdef0123456789abcdef-future",
        ] {
            assert!(partition_of_dir(other).is_none_or(|(topic, _)| topic == "t-"), "{other}");
        }
    }
}
