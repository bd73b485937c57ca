//! The machines that brokers run on: simulated, with disks that can lose power and fail, or a directory each of this real one.

use super::directory::Directory;
use crate::{
    env::{self, Clock, DiskOperation, RealStorage, SimDisk, Storage},
    error::{Error, Result},
    prng::Prng,
    types::BrokerId,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// A broker's machine. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) enum Machine {
    Simulated(SimDisk),
    /// Its broker's directory, which is locked as long as the cluster is there.
    Real(PathBuf),
}

impl Machine {
    fn simulate(seed: u64, id: BrokerId) -> Self {
        Self::Simulated(SimDisk::new(Prng::new(seed).fork(&format!("disk {id}")).next_u64()))
    }

    /// What the next process works with, and where its broker's files are in that.
    pub(super) fn storage(&self, clock: &Clock) -> (Arc<dyn Storage>, PathBuf) {
        match self {
            Self::Simulated(disk) => (disk.boot_at(clock), PathBuf::from("data")),
            Self::Real(dir) => (Arc::new(RealStorage::new(true).of_locked()), dir.clone()),
        }
    }

    /// Another number after each loss of power.
    pub(super) fn boot(&self) -> u64 {
        match self {
            Self::Simulated(disk) => disk.power_cuts(),
            Self::Real(_) => env::boot(),
        }
    }

    /// The simulated disk.
    ///
    /// # Errors
    /// [`Error::IllegalState`] if its files are real.
    pub(super) fn simulated(&self) -> Result<&SimDisk> {
        match self {
            Self::Simulated(disk) => Ok(disk),
            Self::Real(dir) => {
                let why = format!("{} is on a real disk, which no test has in its hand", dir.display());
                Err(Error::IllegalState(why))
            }
        }
    }

    /// How much longer operations took than they do, that nobody has waited for. Real ones are waited for by whoever does them.
    pub(super) fn delay(&self) -> Duration {
        self.simulated().map_or(Duration::ZERO, SimDisk::delay)
    }

    /// Somebody waits for it.
    pub(super) fn take_delay(&self) -> Duration {
        self.simulated().map_or(Duration::ZERO, SimDisk::take_delay)
    }

    pub(super) fn last_operation(&self) -> Option<DiskOperation> {
        self.simulated().ok().and_then(|disk| disk.operations().pop())
    }
}

/// All machines of a cluster.
#[derive(Debug)]
pub(super) struct Site {
    seed: u64,
    /// Those that there were at the start.
    machines: BTreeMap<BrokerId, Machine>,
    /// `None`: they are simulated.
    directory: Option<Directory>,
}

impl Site {
    pub(super) fn simulated(seed: u64, brokers: u16) -> Self {
        let ids = (1..=brokers).map(|id| BrokerId::from(i32::from(id)));
        let machines = ids.map(|id| (id, Machine::simulate(seed, id))).collect();
        Self { seed, machines, directory: None }
    }

    /// A directory in `path` for each broker, which nobody else has until this is [released](Self::release).
    pub(super) fn open(path: &Path, brokers: u16, seed: u64) -> Result<Self> {
        let directory = Directory::open(path, brokers)?;
        let machine = |(id, dir)| (id, Machine::Real(dir));
        let machines = directory.of_brokers().map(machine).collect();
        Ok(Self { seed, machines, directory: Some(directory) })
    }

    pub(super) fn machines(&self) -> &BTreeMap<BrokerId, Machine> {
        &self.machines
    }

    /// Another machine, with nothing on it.
    pub(super) fn add(&self, id: BrokerId) -> Result<Machine> {
        match &self.directory {
            Some(directory) => directory.add(id).map(Machine::Real),
            None => Ok(Machine::simulate(self.seed, id)),
        }
    }

    /// A machine is gone for good, with all that it has.
    pub(super) fn remove(&self, id: BrokerId) -> Result<()> {
        self.directory.as_ref().map_or(Ok(()), |directory| directory.remove(id))
    }

    /// The highest id that a broker ever had.
    pub(super) fn last_id(&self) -> BrokerId {
        let gone = self.directory.as_ref().and_then(Directory::last_gone);
        self.machines.keys().next_back().copied().max(gone).unwrap_or_else(|| BrokerId::from(0))
    }

    pub(super) fn is_real(&self) -> bool {
        self.directory.is_some()
    }

    /// How often a cluster was started here before.
    pub(super) fn starts_before(&self) -> u64 {
        self.directory.as_ref().map_or(0, Directory::starts_before)
    }

    /// At least as many processes as each broker had before: the controller tells them apart by their numbers. A start of a
    /// cluster is not expected to see more than 65,536 of one broker's.
    pub(super) fn processes_before(&self) -> u64 {
        self.starts_before() << 16
    }

    /// Lets others have the directory. No process runs any more, and none will.
    pub(super) fn release(&self) {
        self.directory.iter().for_each(Directory::release);
    }
}
