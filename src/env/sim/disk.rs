//! The state of a simulated disk, and how an operation on it goes: counted, noted, done, failed or cut.

use super::{
    DiskOp, DiskOperation,
    fate::Fate,
    fault::{DiskFault, Then},
    rules::Rules,
    tree::Node,
};
use crate::{
    error::{Error, Result},
    prng::Prng,
    sync::{AtomicU64, Mutex, Ordering},
};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, ErrorKind},
    path::{Component, Path},
    sync::Arc,
};

/// How many operations are remembered.
pub(super) const MAX_OPERATIONS: usize = 1 << 20;

/// How much of an operation is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// What a failing operation does before it fails.
    Failing,
    /// The same of a write that stops in its middle.
    Short,
    /// What is done of it when the power is cut.
    Cut,
}

/// Who works on the disk: one opened broker, until the next power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) id: u64,
    /// The disk's power cuts before it.
    power_cuts: u64,
}

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) seed: u64,
    /// How much longer operations took than they do, in nanoseconds, that nobody has waited for.
    pub(super) delay: AtomicU64,
    pub(super) rules: Arc<Rules<DiskOp>>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) root: Node,
    pub(super) prng: Prng,
    /// Which session has locked a directory.
    pub(super) locks: BTreeMap<Vec<String>, u64>,
    pub(super) operations: VecDeque<DiskOperation>,
    pub(super) power_cuts: u64,
    pub(super) sessions: u64,
    /// The outcome that the next power cut is to have, and of how many the last chosen one was.
    pub(super) chosen: Option<u64>,
    pub(super) outcomes: u64,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        let state = State {
            root: Node::new_dir(),
            prng: Prng::new(seed).fork("disk"),
            locks: BTreeMap::new(),
            operations: VecDeque::new(),
            power_cuts: 0,
            sessions: 0,
            chosen: None,
            outcomes: 0,
        };
        Self { seed, delay: AtomicU64::new(0), rules: Arc::default(), state: Mutex::new(state) }
    }

    pub(super) fn boot(&self) -> Session {
        let mut state = self.state.lock();
        state.sessions += 1;
        Session { id: state.sessions, power_cuts: state.power_cuts }
    }

    /// Does something that is no operation: it is neither counted nor made to fail, except after a power cut.
    pub(super) fn peek<T>(
        &self,
        session: Session,
        path: &Path,
        look: impl FnOnce(&mut State) -> T,
    ) -> Result<T> {
        let mut state = self.state.lock();
        state.check(session).map_err(|error| Error::io(path, error))?;
        Ok(look(&mut state))
    }

    /// Does an operation that happens as a whole or, failing, not at all.
    pub(super) fn operate<T>(
        &self,
        session: Session,
        what: (DiskOp, &Arc<Path>, u64, u64),
        run: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> Result<T> {
        self.operate_in_part(session, what, |state, extent| match extent {
            Extent::Failing | Extent::Short => Err(ErrorKind::Other.into()),
            Extent::Whole | Extent::Cut => run(state),
        })
    }

    /// Does an operation that may happen in part.
    pub(super) fn operate_in_part<T>(
        &self,
        session: Session,
        (op, path, offset, len): (DiskOp, &Arc<Path>, u64, u64),
        run: impl FnOnce(&mut State, Extent) -> io::Result<T>,
    ) -> Result<T> {
        let mut state = self.state.lock();
        let result = state.check(session).and_then(|()| {
            state.note(DiskOperation { op, path: path.clone(), offset, len });
            match self.rules.strike(op, path) {
                None => run(&mut state, Extent::Whole),
                Some(Then::Delay(by)) => {
                    self.delay.fetch_add(by.as_nanos() as u64, Ordering::Relaxed);
                    run(&mut state, Extent::Whole)
                }
                Some(Then::Fail(fault)) => {
                    let short = fault == DiskFault::ShortWrite && op == DiskOp::Write;
                    let _ = run(&mut state, if short { Extent::Short } else { Extent::Failing });
                    Err(fault.error())
                }
                Some(Then::PowerCut) => {
                    // Before the operation, or in its middle.
                    if state.prng.below(2) == 0 {
                        let _ = run(&mut state, Extent::Cut);
                    }
                    state.power_cut();
                    Err(power_was_cut())
                }
            }
        });
        result.map_err(|error| Error::io(path, error))
    }
}

fn power_was_cut() -> io::Error {
    io::Error::other("the power was cut")
}

impl State {
    fn check(&self, session: Session) -> io::Result<()> {
        if session.power_cuts == self.power_cuts { Ok(()) } else { Err(power_was_cut()) }
    }

    fn note(&mut self, operation: DiskOperation) {
        if self.operations.len() == MAX_OPERATIONS {
            self.operations.pop_front();
        }
        self.operations.push_back(operation);
    }

    pub(super) fn power_cut(&mut self) {
        self.power_cuts += 1;
        self.locks.clear();
        let mut fate = match self.chosen.take() {
            None => Fate::Drawn(&mut self.prng),
            Some(nth) => {
                self.outcomes = 1;
                Fate::Nth { rest: nth, outcomes: &mut self.outcomes }
            }
        };
        self.root.power_cut(&mut fate);
    }

    /// What has the name.
    pub(super) fn find(&self, names: &[String]) -> io::Result<Node> {
        names.iter().try_fold(self.root.clone(), |node, name| {
            let found = node.dir()?.lock().get(name).cloned();
            found.ok_or_else(|| ErrorKind::NotFound.into())
        })
    }
}

/// The names along a path. The working directory is the disk's root.
pub(super) fn names(path: &Path) -> io::Result<Vec<String>> {
    let invalid = |what| Err(io::Error::new(ErrorKind::InvalidInput, what));
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => match name.to_str() {
                Some(name) => names.push(name.to_owned()),
                None => return invalid("a simulated disk has names in UTF-8 only"),
            },
            Component::ParentDir => return invalid("a simulated disk knows no `..`"),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Ok(names)
}

/// The names along a path, the last one apart from those of its directory.
pub(super) fn dir_and_name(path: &Path) -> io::Result<(Vec<String>, String)> {
    let mut names = names(path)?;
    let name = names.pop().ok_or(ErrorKind::InvalidInput)?;
    Ok((names, name))
}
