//! The directory of a cluster on real files: one for each broker in it, `broker-1` and so on, and `cluster.properties`, which says
//! how many of them have a vote, the first ones, and how often the cluster was started.

use crate::{
    bugs::{self, Bug},
    env::{RealStorage, Storage, read_file, replace_file},
    error::{Error, Result},
    node::CLUSTER_PROPERTIES,
    sync::Mutex,
    types::BrokerId,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// By what a broker's own directory is known, brooklet's or Kafka's.
const META_PROPERTIES: &str = "meta.properties";

/// Of the names of brokers' directories: the id follows.
const PREFIX: &str = "broker-";

/// That of the directory itself, or of a broker's.
type Lock = (Option<BrokerId>, Box<dyn Send + Sync>);

pub(super) struct Directory {
    path: PathBuf,
    /// Those that were there at the start.
    brokers: Vec<BrokerId>,
    starts_before: u64,
    last_gone: Option<BrokerId>,
    /// Those of the directory, and of each broker's in it: also one whose process does not run has its directory for itself.
    locks: Mutex<Vec<Lock>>,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Properties {
    brokers: u16,
    starts: u64,
    /// The ids of those that were taken out.
    gone: BTreeSet<u16>,
}

impl Directory {
    /// Takes a directory, made where there is none, for a cluster.
    pub(super) fn open(path: &Path, brokers: u16) -> Result<Self> {
        let storage = RealStorage::new(false);
        storage.create_dir(path)?;
        let lock = storage.lock(path)?;
        let before = read_properties(&storage, path)?;
        match &before {
            Some(there) if there.brokers != brokers => {
                let (key, value) = ("brokers".to_owned(), brokers.to_string());
                let reason = format!("{} has a cluster of {}", path.display(), there.brokers);
                return Err(Error::InvalidConfig { key, value, reason });
            }
            Some(_) => {}
            None => refuse_a_brokers(&storage, path)?,
        }
        let (starts_before, gone) = before.map_or_else(Default::default, |there| (there.starts, there.gone));
        // What it says holds before there is anything of a broker's.
        write_properties(
            &storage,
            path,
            &Properties { brokers, starts: starts_before + 1, gone: gone.clone() },
        )?;
        let mut ids: BTreeSet<u16> = (1..=brokers).collect();
        for id in added(&storage, path)? {
            // Whoever took it out did not get to that.
            if gone.contains(&id) {
                storage.remove_dir(&dir_of(path, BrokerId::from(i32::from(id))))?;
            }
            ids.insert(id);
        }
        let opened = Self {
            path: path.to_owned(),
            brokers: ids.difference(&gone).map(|id| BrokerId::from(i32::from(*id))).collect(),
            starts_before,
            last_gone: gone.last().map(|id| BrokerId::from(i32::from(*id))),
            locks: Mutex::new(vec![(None, lock)]),
        };
        opened.brokers.iter().try_for_each(|id| opened.add(*id).map(drop))?;
        Ok(opened)
    }

    pub(super) fn of_brokers(&self) -> impl Iterator<Item = (BrokerId, PathBuf)> + use<'_> {
        self.brokers.iter().map(|id| (*id, self.of_broker(*id)))
    }

    fn of_broker(&self, id: BrokerId) -> PathBuf {
        dir_of(&self.path, id)
    }

    /// A broker's directory, made where there is none.
    pub(super) fn add(&self, id: BrokerId) -> Result<PathBuf> {
        let (storage, dir) = (RealStorage::new(false), self.of_broker(id));
        storage.create_dir(&dir)?;
        let lock = storage.lock(&dir)?;
        storage.sync_dir(&self.path)?;
        self.locks.lock().push((Some(id), lock));
        Ok(dir)
    }

    /// Takes a broker's directory away.
    pub(super) fn remove(&self, id: BrokerId) -> Result<()> {
        self.locks.lock().retain(|(of, _)| *of != Some(id));
        let storage = RealStorage::new(false);
        // First it is noted: else it would be made anew at the next start.
        if let Some(mut properties) = read_properties(&storage, &self.path)?
            && let Ok(gone) = u16::try_from(id.get())
            && !bugs::is(Bug::ForgetWhoIsGone)
        {
            properties.gone.insert(gone);
            write_properties(&storage, &self.path, &properties)?;
        }
        storage.remove_dir(&self.of_broker(id))?;
        storage.sync_dir(&self.path)
    }

    /// The highest id of those that were taken out.
    pub(super) fn last_gone(&self) -> Option<BrokerId> {
        self.last_gone
    }

    pub(super) fn starts_before(&self) -> u64 {
        self.starts_before
    }

    pub(super) fn release(&self) {
        self.locks.lock().clear();
    }
}

fn dir_of(path: &Path, id: BrokerId) -> PathBuf {
    path.join(format!("{PREFIX}{id}"))
}

/// The brokers that have a directory.
fn added(storage: &dyn Storage, path: &Path) -> Result<Vec<u16>> {
    let there = storage.list(path)?.unwrap_or_default();
    let id = |name: &str| name.strip_prefix(PREFIX)?.parse::<u16>().ok().filter(|id| *id > 0);
    Ok(there.iter().filter_map(|entry| id(&entry.name)).collect())
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
        let gone = value("gone").unwrap_or_default().split(',').filter(|id| !id.is_empty());
        Some(Properties {
            brokers: value("brokers")?.parse().ok()?,
            starts: value("starts")?.parse().ok()?,
            gone: gone.map(|id| id.parse().ok()).collect::<Option<_>>()?,
        })
    };
    if known { read() } else { None }
}

fn write_properties(storage: &dyn Storage, path: &Path, properties: &Properties) -> Result<()> {
    let Properties { brokers, starts, gone } = properties;
    let gone = gone.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let text = format!("# brooklet\nversion=1\nbrokers={brokers}\nstarts={starts}\ngone={gone}\n");
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
        let properties = Properties { brokers: 5, starts: 7, gone: [2, 4].into() };
        write_properties(&storage, dir.path(), &properties).unwrap();
        assert_eq!(read_properties(&storage, dir.path()).unwrap(), Some(properties));
        for torn in ["", "version=1\nbrokers=5\n", "version=2\nbrokers=5\nstarts=7\n", "brokers=5\nstarts=7"]
        {
            assert_eq!(parse(torn), None, "{torn}");
        }
        replace_file(&storage, &dir.path().join(CLUSTER_PROPERTIES), b"").unwrap();
        let refused = Directory::open(dir.path(), 5).unwrap_err();
        assert!(matches!(refused, Error::KafkaStorageError { .. }), "{refused}");
    }

    fn ids(directory: &Directory) -> Vec<i32> {
        directory.of_brokers().map(|(id, _)| id.get()).collect()
    }

    #[test]
    fn whoever_was_taken_out_is_so_also_where_its_files_are_left() {
        let dir = tempfile::tempdir().unwrap();
        let directory = Directory::open(dir.path(), 3).unwrap();
        let fourth = directory.add(4.into()).unwrap();
        directory.remove(2.into()).unwrap();
        directory.remove(4.into()).unwrap();
        drop(directory);
        // Killed between the note and the end of that: some of it is there.
        let storage = RealStorage::new(false);
        storage.create_dir(&fourth).unwrap();
        replace_file(&storage, &fourth.join(META_PROPERTIES), b"node.id=4\n").unwrap();
        for _ in 0..2 {
            let directory = Directory::open(dir.path(), 3).unwrap();
            assert_eq!(ids(&directory), [1, 3]);
            assert_eq!(directory.last_gone(), Some(4.into()), "nobody gets its id");
            assert_eq!(
                added(&storage, dir.path()).unwrap().into_iter().collect::<BTreeSet<_>>(),
                [1, 3].into()
            );
        }
        // Whoever was added and had nothing yet is one of them.
        storage.create_dir(&dir_of(dir.path(), 5.into())).unwrap();
        assert_eq!(ids(&Directory::open(dir.path(), 3).unwrap()), [1, 3, 5]);
    }
}
