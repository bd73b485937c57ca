//! A file of the system.

use super::{positioned, space};
use crate::{
    env::{Bytes, File, Open},
    error::{Error, Result},
    types::Timestamp,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

#[derive(Debug)]
pub(super) struct RealFile {
    path: PathBuf,
    file: fs::File,
    #[cfg(target_os = "linux")]
    mapping: Option<super::mapping::Mapping>,
}

#[cfg(target_os = "linux")]
impl RealFile {
    pub(super) fn new(
        path: &Path,
        file: fs::File,
        how: Open,
        maps: Option<&std::sync::Arc<super::super::mmap::Maps>>,
    ) -> Self {
        let mapping = maps.and_then(|maps| super::mapping::Mapping::new(maps, how));
        Self { path: path.to_owned(), file, mapping }
    }

    #[cold]
    fn write_slowly(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if let Some(mapping) = &self.mapping {
            let end = offset.checked_add(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
            if mapping.prepare(&self.file, offset, end)? && mapping.write(offset, bytes) {
                return Ok(());
            }
        }
        positioned::write_at(&self.file, bytes, offset)
    }
}

#[cfg(not(target_os = "linux"))]
impl RealFile {
    pub(super) fn new(path: &Path, file: fs::File) -> Self {
        Self { path: path.to_owned(), file }
    }

    fn write_slowly(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        positioned::write_at(&self.file, bytes, offset)
    }
}

impl RealFile {
    fn failed(&self) -> impl Fn(io::Error) -> Error {
        |error| Error::io(&self.path, error)
    }

    fn read_to_heap(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let mut bytes = vec![0; len];
        if positioned::read_at(&self.file, &mut bytes, offset)? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.into())
    }
}

impl File for RealFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn len(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(self.failed())
    }

    fn modified(&self) -> Result<Option<Timestamp>> {
        let modified = self.file.metadata().and_then(|metadata| metadata.modified());
        match modified {
            Ok(at) => Ok(Some(at.into())),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(self.failed()(error)),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        positioned::read_at(&self.file, buffer, offset).map_err(self.failed())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        #[cfg(target_os = "linux")]
        if self.mapping.as_ref().is_some_and(|mapping| mapping.write(offset, bytes)) {
            return Ok(());
        }
        self.write_slowly(offset, bytes).map_err(self.failed())
    }

    fn write_again(&self, from: u64, to: u64) -> Result<()> {
        // Through the file, not through a map: there the same bytes in the place of themselves are nothing to see.
        positioned::rewrite(&self.file, from, to).map_err(self.failed())
    }

    fn reserve(&self, len: u64) -> Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(mapping) = &self.mapping
            && mapping.reserve(&self.file, len).map_err(self.failed())?
        {
            return Ok(());
        }
        space::allocate(&self.file, 0, len).map(drop).map_err(self.failed())
    }

    fn run_ahead(&self, from: u64) -> Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(mapping) = &self.mapping {
            return mapping.run_ahead(&self.file, from).map_err(self.failed());
        }
        let _ = from;
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(mapping) = &self.mapping {
            return mapping.set_len(&self.file, len).map_err(self.failed());
        }
        self.file.set_len(len).map_err(self.failed())
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(self.failed())
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<Bytes> {
        #[cfg(target_os = "linux")]
        if let Some(mapping) = &self.mapping
            && let Some(end) = offset.checked_add(len as u64)
            && let Some(bytes) = mapping.bytes(&self.file, offset, end).map_err(self.failed())?
        {
            return Ok(bytes);
        }
        self.read_to_heap(offset, len).map_err(self.failed())
    }
}
