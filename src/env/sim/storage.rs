//! A simulated disk as storage: one session on it.

use super::{
    DiskOp,
    content::Content,
    disk::{Disk, Extent, Session, State, dir_and_name, names},
    file::SimFile,
    tree::{Dir, Node},
};
use crate::{
    env::{Clock, Entry, File, Open, Storage},
    error::{Error, Result},
    sync::Mutex,
};
use std::{
    fmt,
    io::{self, ErrorKind},
    path::Path,
    sync::Arc,
};

pub(super) struct SimStorage {
    disk: Arc<Disk>,
    session: Session,
    clock: Clock,
}

impl SimStorage {
    pub(super) fn new(disk: Arc<Disk>, clock: Clock) -> Self {
        let session = disk.boot();
        Self { disk, session, clock }
    }

    fn operate<T>(
        &self,
        op: DiskOp,
        path: &Path,
        run: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T> {
        self.disk.operate(self.session, (op, &path.into(), 0, 0), run)
    }
}

impl fmt::Debug for SimStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimStorage(seed {}, session {})", self.disk.seed, self.session.id)
    }
}

impl Drop for SimStorage {
    fn drop(&mut self) {
        let id = self.session.id;
        self.disk.state.lock().locks.retain(|_, owner| *owner != id);
    }
}

fn dir_of(state: &State, path: &Path) -> io::Result<(Arc<Mutex<Dir>>, String)> {
    let (dir, name) = dir_and_name(path)?;
    Ok((state.find(&dir)?.dir()?.clone(), name))
}

/// `None` where nothing has the name.
fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

fn create_dirs(state: &State, dir: &Path) -> io::Result<()> {
    let mut at = state.root.clone();
    for name in names(dir)? {
        let next = {
            let mut dir = at.dir()?.lock();
            match dir.get(&name) {
                Some(Node::File(_)) => return Err(ErrorKind::AlreadyExists.into()),
                Some(next) => next.clone(),
                None => {
                    let made = Node::new_dir();
                    dir.put(&name, made.clone());
                    made
                }
            }
        };
        at = next;
    }
    Ok(())
}

/// Removes a directory with all that is in it, or only a part of that.
fn remove_tree(state: &mut State, path: &Path, extent: Extent) -> io::Result<()> {
    let Some((parent, name)) = if_there(dir_of(state, path))? else { return Ok(()) };
    let Some(found) = parent.lock().get(&name).cloned() else { return Ok(()) };
    let dir = found.dir()?;
    let limit = match extent {
        Extent::Whole => u64::MAX,
        Extent::Failing | Extent::Short | Extent::Cut => {
            let count = dir.lock().count();
            state.prng.below(count + 1)
        }
    };
    dir.lock().clear(limit);
    if extent == Extent::Whole {
        parent.lock().remove(&name);
    }
    Ok(())
}

impl Storage for SimStorage {
    fn open(&self, path: &Path, how: Open) -> Result<Arc<dyn File>> {
        let node = self.operate(DiskOp::Open, path, |state| {
            let (dir, name) = dir_of(state, path)?;
            let mut dir = dir.lock();
            if let Some(node) = dir.get(&name) {
                return node.file().cloned();
            }
            if how == Open::Read {
                return Err(ErrorKind::NotFound.into());
            }
            let made: Arc<Mutex<Content>> = Arc::default();
            made.lock().touch(self.clock.wall());
            dir.put(&name, Node::File(Arc::clone(&made)));
            Ok(made)
        })?;
        let (disk, session, clock) = (self.disk.clone(), self.session, self.clock.clone());
        Ok(Arc::new(SimFile { disk, session, clock, path: path.into(), how, content: node }))
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<Entry>>> {
        self.operate(DiskOp::List, dir, |state| {
            let Some(found) = if_there(state.find(&names(dir)?))? else { return Ok(None) };
            let found = found.dir()?.lock();
            let entry = |(name, node): (&String, &Node)| Entry { name: name.clone(), is_dir: node.is_dir() };
            Ok(Some(found.names().iter().map(entry).collect()))
        })
    }

    fn create_dir(&self, dir: &Path) -> Result<()> {
        self.operate(DiskOp::CreateDir, dir, |state| create_dirs(state, dir))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.operate(DiskOp::Remove, path, |state| {
            let Some((dir, name)) = if_there(dir_of(state, path))? else { return Ok(()) };
            let mut dir = dir.lock();
            if let Some(node) = dir.get(&name) {
                node.file()?;
                dir.remove(&name);
            }
            Ok(())
        })
    }

    fn remove_dir(&self, dir: &Path) -> Result<()> {
        let what = (DiskOp::Remove, &dir.into(), 0, 0);
        self.disk.operate_in_part(self.session, what, |state, extent| remove_tree(state, dir, extent))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.operate(DiskOp::Rename, from, |state| {
            let ((from_dir, from), (to_dir, to)) = (dir_of(state, from)?, dir_of(state, to)?);
            if !Arc::ptr_eq(&from_dir, &to_dir) {
                return Err(ErrorKind::CrossesDevices.into());
            }
            from_dir.lock().rename(&from, &to)
        })
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let what = (DiskOp::SyncDir, &dir.into(), 0, 0);
        self.disk.operate_in_part(self.session, what, |state, extent| {
            let found = state.find(&names(dir)?)?;
            let mut found = found.dir()?.lock();
            if extent == Extent::Whole {
                found.sync();
            }
            // Else any part of it may have happened: the power cut decides.
            Ok(())
        })
    }

    fn lock(&self, dir: &Path) -> Result<Box<dyn Send + Sync>> {
        // Even a lock that is refused may make the file, as on a real disk.
        self.open(&dir.join(".lock"), Open::Write)?;
        let key = names(dir).map_err(|error| Error::io(dir, error))?;
        self.disk.peek(self.session, dir, |state| {
            if state.locks.contains_key(&key) {
                return Err(Error::Locked { path: dir.to_owned() });
            }
            state.locks.insert(key.clone(), self.session.id);
            Ok(())
        })??;
        Ok(Box::new(SimLock { disk: self.disk.clone(), session: self.session, dir: key }))
    }
}

#[derive(Debug)]
struct SimLock {
    disk: Arc<Disk>,
    session: Session,
    dir: Vec<String>,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.locks.get(&self.dir) == Some(&self.session.id) {
            state.locks.remove(&self.dir);
        }
    }
}
