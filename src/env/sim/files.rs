//! The files of a simulated disk as values: to be changed as no broker would, and looked at.

#![allow(clippy::unwrap_used, reason = "for tests")]

use super::SimDisk;
use crate::env::{Open, Storage, read_file};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Bytes by path.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

impl SimDisk {
    /// A disk that has these files, synced.
    pub(crate) fn with_files(files: &Files) -> Self {
        let disk = Self::new(0);
        let storage = disk.boot();
        for (path, bytes) in files {
            let dir = path.parent().unwrap();
            storage.create_dir(dir).unwrap();
            let file = storage.open(path, Open::Write).unwrap();
            file.write_at(0, bytes).unwrap();
            file.sync().unwrap();
            dir.ancestors().for_each(|dir| storage.sync_dir(dir).unwrap());
        }
        disk
    }

    /// All files as a reader sees them now.
    pub(crate) fn files(&self) -> Files {
        let mut files = Files::new();
        collect(&*self.boot(), Path::new(""), &mut files);
        files
    }
}

fn collect(storage: &dyn Storage, dir: &Path, files: &mut Files) {
    for entry in storage.list(dir).unwrap().unwrap() {
        let path = dir.join(entry.name);
        if entry.is_dir {
            collect(storage, &path, files);
        } else {
            let bytes = read_file(storage, &path, u64::MAX).unwrap().unwrap();
            files.insert(path, bytes);
        }
    }
}
