//! One broker for each directory, in this process and in all others.

use crate::{
    error::{Error, Result},
    sync::Mutex,
};
use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// The directories that this process has locked. A record lock is the process's, not the handle's: it does not keep
/// out a second broker of the same process, and whoever closes any handle of the file gives it up. So this comes
/// before the file is so much as opened.
static OURS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A directory that is this broker's until this is dropped.
#[derive(Debug)]
pub(super) struct DirLock {
    // Fields are dropped in this order: the file, and with it the system's locks, before the process's own note.
    file: File,
    _claim: Claim,
}

impl Drop for DirLock {
    /// Gives the lock up in so many words. To close the file is not enough where another thread has just begun to start
    /// a program: until that program runs, its process has a handle of the same file, and with it the lock.
    fn drop(&mut self) {
        release(&self.file);
    }
}

/// Takes the directory, by its file `.lock`; [`Error::Locked`] if somebody has it.
pub(super) fn lock(dir: &Path) -> Result<DirLock> {
    let path = dir.join(".lock");
    let locked = || Error::Locked { path: dir.to_owned() };
    let real = std::fs::canonicalize(dir).map_err(|error| Error::io(dir, error))?;
    let claim = Claim::take(real).ok_or_else(locked)?;
    let file = open(&path).map_err(|error| Error::io(&path, error))?;
    if !take(&file).map_err(|error| Error::io(&path, error))? {
        return Err(locked());
    }
    Ok(DirLock { file, _claim: claim })
}

#[derive(Debug)]
struct Claim(PathBuf);

impl Claim {
    fn take(dir: PathBuf) -> Option<Self> {
        let free = OURS.lock().insert(dir.clone());
        // Only now: a claim that is made is dropped again, and gives the directory up.
        free.then(|| Self(dir))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        OURS.lock().remove(&self.0);
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Two kinds of lock, which do not see each other: record locks are what a Kafka takes (through Java's `FileChannel`),
/// flock is what most else takes, and it holds even if something in this process closes the file.
#[cfg(unix)]
fn take(file: &File) -> io::Result<bool> {
    use rustix::{
        fs::{FlockOperation, fcntl_lock, flock},
        io::{Errno, Result},
    };
    let got = |result: Result<()>| match result {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN | Errno::ACCESS) => Ok(false),
        Err(error) => Err(io::Error::from(error)),
    };
    Ok(got(fcntl_lock(file, FlockOperation::NonBlockingLockExclusive))?
        && got(flock(file, FlockOperation::NonBlockingLockExclusive))?)
}

#[cfg(unix)]
fn release(file: &File) {
    // It fails for no lock that is held, and closing the file comes next anyway.
    let _ = rustix::fs::flock(file, rustix::fs::FlockOperation::Unlock);
}

#[cfg(not(unix))]
fn release(file: &File) {
    let _ = file.unlock();
}

#[cfg(not(unix))]
fn take(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const CHILD_DIR: &str = "BROOKLET_TEST_LOCK_DIR";

    #[test]
    fn a_directory_is_locked_once_in_a_process_until_the_guard_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let again = dir.path().join("..").join(dir.path().file_name().unwrap());
        assert!(matches!(lock(&again), Err(Error::Locked { .. })), "another name of the same directory");
        drop(first);
        let _second = lock(&again).unwrap();
        assert_eq!(dir.path().join(".lock").metadata().unwrap().len(), 0);
    }

    #[test]
    fn a_directory_that_is_missing_is_an_error_and_leaves_no_claim() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert!(matches!(lock(&missing), Err(Error::Io { .. })));
        std::fs::create_dir(&missing).unwrap();
        lock(&missing).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_handle_that_a_starting_program_inherits_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let first = lock(dir.path()).unwrap();
        let inherited = first.file.try_clone().unwrap();
        drop(first);
        let second = open(&dir.path().join(".lock")).unwrap();
        assert!(take(&second).unwrap());
        drop(inherited);
    }

    /// Runs in a process of its own, started by the test below; does nothing without a directory to try.
    #[test]
    #[cfg(unix)]
    fn child_process_finds_both_locks_taken() {
        use rustix::fs::{FlockOperation, fcntl_lock, flock};
        let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
        let file = open(&Path::new(&dir).join(".lock")).unwrap();
        fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive).unwrap_err();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap_err();
        assert!(matches!(lock(Path::new(&dir)), Err(Error::Locked { .. })));
    }

    #[test]
    #[cfg(unix)]
    fn another_process_is_kept_out_by_flock_and_by_a_record_lock() {
        let dir = tempfile::tempdir().unwrap();
        let child = || {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "env::lock::tests::child_process_finds_both_locks_taken"])
                .env(CHILD_DIR, dir.path())
                .output()
                .unwrap()
        };
        let guard = lock(dir.path()).unwrap();
        let refused = child();
        assert!(refused.status.success(), "{}", String::from_utf8_lossy(&refused.stdout));
        drop(guard);
        assert!(
            !child().status.success(),
            "the child gets the locks when nobody has them, and says so by failing"
        );
    }
}
