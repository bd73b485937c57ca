//! Storage on the system's files.

mod file;
#[cfg(target_os = "linux")]
mod mapping;
mod positioned;
mod space;

use super::{Entry, File, Open, Storage, lock};
use crate::error::{Error, Result};
use file::RealFile;
use std::{
    fs::{DirBuilder, OpenOptions},
    io::ErrorKind,
    path::Path,
    sync::Arc,
};

/// Files and directories of the system, for their owner alone.
#[derive(Debug)]
pub(crate) struct RealStorage {
    /// Counts the maps; `None`: without maps.
    #[cfg(target_os = "linux")]
    maps: Option<Arc<super::mmap::Maps>>,
    /// Whether somebody else sees to locks.
    locked: bool,
}

impl RealStorage {
    /// With `memory_maps`, files are written and read through maps where the system has them; else all is positioned
    /// reads and writes.
    pub(crate) fn new(memory_maps: bool) -> Self {
        #[cfg(target_os = "linux")]
        return Self {
            maps: memory_maps.then(|| super::mmap::Maps::new(super::mmap::MAX_MAPS)),
            locked: false,
        };
        #[cfg(not(target_os = "linux"))]
        {
            let _ = memory_maps;
            Self { locked: false }
        }
    }

    /// The same for who has locked all directories that it is used for, and holds them beyond those who lock them: their
    /// locks do nothing.
    pub(crate) fn of_locked(self) -> Self {
        Self { locked: true, ..self }
    }

    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn with_map_limit(limit: usize) -> (Self, Arc<super::mmap::Maps>) {
        let maps = super::mmap::Maps::new(limit);
        (Self { maps: Some(maps.clone()), locked: false }, maps)
    }
}

/// The directory to ask the system for: the parent of a bare file name is the empty path, which it does not know.
pub(super) fn or_here(dir: &Path) -> &Path {
    if dir.as_os_str().is_empty() { Path::new(".") } else { dir }
}

fn unless_missing<T: Default>(path: &Path, result: std::io::Result<T>) -> Result<T> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(T::default()),
        other => other.map_err(|error| Error::io(path, error)),
    }
}

impl Storage for RealStorage {
    fn open(&self, path: &Path, how: Open) -> Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        if how != Open::Read {
            options.write(true).create(true).truncate(false);
        }
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| Error::io(path, error))?;
        #[cfg(target_os = "linux")]
        return Ok(Arc::new(RealFile::new(path, file, how, self.maps.as_ref())));
        #[cfg(not(target_os = "linux"))]
        return Ok(Arc::new(RealFile::new(path, file)));
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<Entry>>> {
        let dir = or_here(dir);
        let Some(found) = unless_missing(dir, std::fs::read_dir(dir).map(Some))? else { return Ok(None) };
        let mut entries = Vec::new();
        for entry in found {
            let entry = entry.map_err(|error| Error::io(dir, error))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // Follows links: a partition may have been moved to another disk that way.
            let metadata = unless_missing(&entry.path(), std::fs::metadata(entry.path()).map(Some))?;
            entries.extend(metadata.map(|metadata| Entry { name, is_dir: metadata.is_dir() }));
        }
        entries.sort();
        Ok(Some(entries))
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        let dir = or_here(dir);
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(dir).map_err(|error| Error::io(dir, error))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        unless_missing(path, std::fs::remove_file(path))
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        unless_missing(dir, std::fs::remove_dir_all(dir))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        debug_assert_eq!(from.parent(), to.parent(), "renamed from one directory to another");
        std::fs::rename(from, to).map_err(|error| Error::io(from, error))
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        #[cfg(unix)]
        {
            let dir = or_here(dir);
            let synced = std::fs::File::open(dir).and_then(|file| file.sync_all());
            synced.map_err(|error| Error::io(dir, error))
        }
        // Elsewhere a directory cannot be opened as a file; NTFS journals its names by itself.
        #[cfg(not(unix))]
        {
            let _ = dir;
            Ok(())
        }
    }

    fn lock(&self, dir: &Path) -> Result<Box<dyn Send + Sync>> {
        if self.locked {
            return Ok(Box::new(()));
        }
        Ok(Box::new(lock::lock(or_here(dir))?))
    }
}
