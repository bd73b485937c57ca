//! The directory of a cluster on real files: one for each broker in it, `broker-1` and so on, and `cluster.properties`, which says
//! how many there are, since all of them vote, and how often the cluster was started.

use crate::{
    env::{RealStorage, Storage, read_file, replace_file},
    error::{Error, Result},
    node::CLUSTER_PROPERTIES,
    sync::Mutex,
    types::BrokerId,
};
use std::path::{Path, PathBuf};

/// By what a broker's own directory is known, brooklet's or Kafka's.
const META_PROPERTIES: &str = "meta.properties";

pub(super) struct Directory {
    path: PathBuf,
    brokers: u16,
    starts_before: u64,
    /// Those of the directory, and of each broker's in it: also one whose process does not run has its directory for itself.
    locks: Mutex<Vec<Box<dyn Send + Sync>>>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Properties {
    brokers: u16,
    starts: u64,
}

impl Directory {
    /// Takes a directory, made where there is none, for a cluster.
    pub(super) fn open(path: &Path, brokers: u16) -> Result<Self> {
        let storage = RealStorage::new(false);
        storage.create_dir(path)?;
        let mut locks = vec![storage.lock(path)?];
        let before = read_properties(&storage, path)?;
        match before {
            Some(there) if there.brokers != brokers => {
                let (key, value) = ("brokers".to_owned(), brokers.to_string());
                let reason = format!("{} has a cluster of {}", path.display(), there.brokers);
                return Err(Error::InvalidConfig { key, value, reason });
            }
            Some(_) => {}
            None => refuse_a_brokers(&storage, path)?,
        }
        let starts_before = before.map_or(0, |there| there.starts);
        // What it says holds before there is anything of a broker's.
        write_properties(&storage, path, Properties { brokers, starts: starts_before + 1 })?;
        let mut opened =
            Self { path: path.to_owned(), brokers, starts_before, locks: Mutex::new(Vec::new()) };
        for (_, dir) in opened.of_brokers() {
            storage.create_dir(&dir)?;
            locks.push(storage.lock(&dir)?);
        }
        storage.sync_dir(path)?;
        opened.locks = Mutex::new(locks);
        Ok(opened)
    }

    pub(super) fn of_brokers(&self) -> impl Iterator<Item = (BrokerId, PathBuf)> + use<'_> {
        (1..=self.brokers).map(|id| (BrokerId::from(i32::from(id)), self.path.join(format!("broker-{id}"))))
    }

    pub(super) fn starts_before(&self) -> u64 {
        self.starts_before
    }

    pub(super) fn release(&self) {
        self.locks.lock().clear();
    }
}

fn refuse_a_brokers(storage: &dyn Storage, path: &Path) -> Result<()> {
    let there = storage.list(path)?.unwrap_or_default();
    if there.iter().any(|entry| entry.name == META_PROPERTIES) {
        return Err(damaged(path, "it is the directory of one broker, not of a cluster"));
    }
    Ok(())
}

fn read_properties(storage: &dyn Storage, path: &Path) -> Result<Option<Properties>> {
    let file = path.join(CLUSTER_PROPERTIES);
    let Some(bytes) = read_file(storage, &file, 1 << 16)? else { return Ok(None) };
    match parse(&String::from_utf8_lossy(&bytes)) {
        Some(properties) => Ok(Some(properties)),
        None => Err(damaged(&file, "it does not say of how many brokers the cluster is")),
    }
}

fn parse(text: &str) -> Option<Properties> {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find_map(|(name, value)| (name.trim() == key).then_some(value.trim()))
    };
    let known = value("version")? == "1";
    let read = || {
        Some(Properties { brokers: value("brokers")?.parse().ok()?, starts: value("starts")?.parse().ok()? })
    };
    if known { read() } else { None }
}

fn write_properties(storage: &dyn Storage, path: &Path, properties: Properties) -> Result<()> {
    let Properties { brokers, starts } = properties;
    let text = format!("# brooklet\nversion=1\nbrokers={brokers}\nstarts={starts}\n");
    replace_file(storage, &path.join(CLUSTER_PROPERTIES), text.as_bytes())
}

fn damaged(path: &Path, why: &str) -> Error {
    let (path, reason) = (path.to_owned(), why.to_owned());
    Error::KafkaStorageError { path, partition: None, offset: None, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_torn_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let storage = RealStorage::new(false);
        assert_eq!(read_properties(&storage, dir.path()).unwrap(), None);
        let properties = Properties { brokers: 5, starts: 7 };
        write_properties(&storage, dir.path(), properties).unwrap();
        assert_eq!(read_properties(&storage, dir.path()).unwrap(), Some(properties));
        for torn in ["", "version=1\nbrokers=5\n", "version=2\nbrokers=5\nstarts=7\n", "brokers=5\nstarts=7"]
        {
            assert_eq!(parse(torn), None, "{torn}");
        }
        replace_file(&storage, &dir.path().join(CLUSTER_PROPERTIES), b"").unwrap();
        let refused = Directory::open(dir.path(), 5).unwrap_err();
        assert!(matches!(refused, Error::KafkaStorageError { .. }), "{refused}");
    }
}
