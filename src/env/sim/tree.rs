//! The names of a simulated disk: those that are seen, and those that a power cut leaves.

use super::{content::Content, fate::Fate};
use crate::sync::Mutex;
use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    sync::Arc,
};

/// A file or a directory. It lives as long as a name, live or durable, or an open file needs it. The locks are never
/// fought for: the disk's own lock is held by whoever takes one.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Dir(Arc<Mutex<Dir>>),
    File(Arc<Mutex<Content>>),
}

impl Node {
    pub(super) fn new_dir() -> Self {
        Self::Dir(Arc::default())
    }

    pub(super) fn is_dir(&self) -> bool {
        matches!(self, Self::Dir(_))
    }

    pub(super) fn dir(&self) -> io::Result<&Arc<Mutex<Dir>>> {
        match self {
            Self::Dir(dir) => Ok(dir),
            Self::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(super) fn file(&self) -> io::Result<&Arc<Mutex<Content>>> {
        match self {
            Self::File(file) => Ok(file),
            Self::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    /// Leaves of it, and of all below it, what a power cut leaves.
    pub(super) fn power_cut(&self, fate: &mut Fate<'_>) {
        match self {
            Self::Dir(dir) => dir.lock().power_cut(fate),
            Self::File(file) => file.lock().power_cut(fate),
        }
    }
}

/// A change of a directory's names that is not durable yet.
#[derive(Debug)]
enum Change {
    Put { name: String, node: Node },
    Remove { name: String },
    Rename { from: String, to: String, node: Node },
}

impl Change {
    fn node(&self) -> Option<&Node> {
        match self {
            Self::Put { node, .. } | Self::Rename { node, .. } => Some(node),
            Self::Remove { .. } => None,
        }
    }

    fn apply(self, names: &mut BTreeMap<String, Node>) {
        match self {
            Self::Put { name, node } => {
                names.insert(name, node);
            }
            Self::Remove { name } => {
                names.remove(&name);
            }
            // One operation, whatever became of those before it: the target is there even if its source never was.
            Self::Rename { from, to, node } => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
}

/// A directory's names, live and durable.
#[derive(Debug, Default)]
pub(super) struct Dir {
    live: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
    /// What was done since the last sync, in order.
    pending: Vec<Change>,
}

impl Dir {
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        self.live.get(name)
    }

    pub(super) fn names(&self) -> &BTreeMap<String, Node> {
        &self.live
    }

    pub(super) fn put(&mut self, name: &str, node: Node) {
        self.live.insert(name.to_owned(), node.clone());
        self.pending.push(Change::Put { name: name.to_owned(), node });
    }

    pub(super) fn remove(&mut self, name: &str) {
        if self.live.remove(name).is_some() {
            self.pending.push(Change::Remove { name: name.to_owned() });
        }
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let node = self.live.get(from).ok_or(ErrorKind::NotFound)?.clone();
        match self.live.get(to) {
            Some(Node::File(_)) if node.is_dir() => return Err(ErrorKind::NotADirectory.into()),
            Some(Node::Dir(_)) if !node.is_dir() => return Err(ErrorKind::IsADirectory.into()),
            Some(Node::Dir(dir)) if from != to && !dir.lock().live.is_empty() => {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
            _ => {}
        }
        if from != to {
            let rename = || Change::Rename { from: from.to_owned(), to: to.to_owned(), node: node.clone() };
            rename().apply(&mut self.live);
            self.pending.push(rename());
        }
        Ok(())
    }

    /// Removes all that is in it, or the first `limit` names of it and of the directories below it; gives how many
    /// more may go.
    pub(super) fn clear(&mut self, mut limit: u64) -> u64 {
        while limit > 0
            && let Some((name, node)) = self.live.first_key_value()
        {
            let (name, node) = (name.clone(), node.clone());
            if let Node::Dir(dir) = node {
                limit = dir.lock().clear(limit);
            }
            if limit > 0 {
                self.remove(&name);
                limit -= 1;
            }
        }
        limit
    }

    /// How many names are in it and in the directories below it.
    pub(super) fn count(&self) -> u64 {
        let below = |node: &Node| node.dir().map_or(0, |dir| dir.lock().count());
        self.live.values().map(|node| 1 + below(node)).sum()
    }

    /// All changes of names become durable.
    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Decides which of the pending changes have reached the disk, each by itself; the rest never will. What it has, or
    /// might have, is decided on whether it keeps its name or not: how many outcomes there are hangs on none of them.
    fn power_cut(&mut self, fate: &mut Fate<'_>) {
        self.durable.values().for_each(|node| node.power_cut(fate));
        self.pending.iter().filter_map(Change::node).for_each(|node| node.power_cut(fate));
        if !self.pending.is_empty() {
            for change in self.pending.drain(..) {
                if fate.is_done() {
                    change.apply(&mut self.durable);
                }
            }
            self.live = self.durable.clone();
        }
    }
}

/// A hash over the names and bytes of a tree.
#[derive(Debug)]
pub(super) struct TreeHash(u64);

impl TreeHash {
    pub(super) fn of(root: &Node) -> u64 {
        let mut hash = Self(0xcbf2_9ce4_8422_2325);
        hash.node(root);
        hash.0
    }

    fn node(&mut self, node: &Node) {
        match node {
            Node::Dir(dir) => {
                let dir = dir.lock();
                self.number(dir.live.len() as u64);
                for (name, node) in &dir.live {
                    self.bytes(name.as_bytes());
                    self.node(node);
                }
            }
            Node::File(file) => {
                let file = file.lock();
                let (len, bytes) = file.parts();
                self.number(!len);
                self.bytes(bytes);
            }
        }
    }

    fn number(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.number(u64::from_le_bytes(*word)));
        rest.iter().for_each(|byte| self.number(u64::from(*byte)));
    }
}
