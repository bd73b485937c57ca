//! What must hold of the files that say which topics there are, whatever is in them.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "what does not hold panics")]

use super::{
    directory::{read_partition_metadata, write_partition_metadata},
    topics::{METADATA_FILE, TopicEntry, read_metadata, write_metadata},
};
use crate::{
    config::TopicConfig,
    env::{Files, SimDisk},
    error::Error,
    log::PARTITION_METADATA,
    types::{TopicId, check_topic_name},
};
use std::{collections::BTreeSet, path::Path};

/// Where the bytes begin that the checksum of the metadata file covers.
const CRC_END: usize = 16;

/// Takes bytes for the metadata file, as they are and with a right checksum: what is read is written, and read back.
pub(crate) fn metadata(bytes: &[u8]) {
    let mut sealed = bytes.to_vec();
    if let Some((head, body)) = sealed.split_at_mut_checked(CRC_END) {
        head[12..].copy_from_slice(&crc32fast::hash(body).to_be_bytes());
    }
    for bytes in [bytes.to_vec(), sealed] {
        let root = Path::new("data");
        let storage = SimDisk::with_files(&Files::from([(root.join(METADATA_FILE), bytes)])).boot();
        match read_metadata(&*storage, root) {
            Ok(entries) => {
                check_entries(&entries);
                write_metadata(&*storage, root, &entries).unwrap();
                assert_eq!(read_metadata(&*storage, root).unwrap(), entries);
            }
            Err(Error::KafkaStorageError { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

fn check_entries(entries: &[TopicEntry]) {
    let mut names = BTreeSet::new();
    for entry in entries {
        assert!(check_topic_name(&entry.name).is_ok(), "{:?} is the name of a topic", entry.name);
        assert!(entry.removed || names.insert(&entry.name), "{} is there twice", entry.name);
        assert!(entry.config.partition_count().is_ok());
        if let Ok(settings) = entry.config.settings() {
            let _ = entry.log_config(Path::new("data"), 0, &settings);
        }
    }
}

/// Takes bytes for what a partition's directory says of its topic. Whatever that is, it can be made to say another.
pub(crate) fn partition_metadata(bytes: &[u8]) {
    let dir = Path::new("data/t-0");
    let storage = SimDisk::with_files(&Files::from([(dir.join(PARTITION_METADATA), bytes.to_vec())])).boot();
    let there = match read_partition_metadata(&*storage, dir) {
        Ok(there) => there.unwrap_or(TopicId::from_bytes([7; 16])),
        Err(Error::KafkaStorageError { .. }) => TopicId::from_bytes([7; 16]),
        Err(other) => panic!("{other:?}"),
    };
    write_partition_metadata(&*storage, dir, there).unwrap();
    assert_eq!(read_partition_metadata(&*storage, dir).unwrap(), Some(there));
}

/// A metadata file with all that it can say.
pub(crate) fn metadata_files() -> Vec<Vec<u8>> {
    let entry = |name: &str, n: u8| TopicEntry {
        name: name.into(),
        id: TopicId::from_bytes([n; 16]),
        config: TopicConfig::new().partitions(3).segment_bytes(1 << 20),
        removed: n & 1 > 0,
        gaps: n & 2 > 0,
        adopting: n & 4 > 0,
    };
    let all = [vec![], vec![entry("t", 1)], vec![entry("orders", 2), entry("t", 3), entry("__x", 6)]];
    let file = |entries: &Vec<TopicEntry>| {
        let (disk, root) = (SimDisk::new(0), Path::new("data"));
        disk.boot().create_dir(root).unwrap();
        write_metadata(&*disk.boot(), root, entries).unwrap();
        disk.files().remove(&root.join(METADATA_FILE)).unwrap()
    };
    all.iter().map(file).collect()
}
