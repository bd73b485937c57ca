//! How a log gets shorter at its beginning, and how whoever needs what is gone gets it.

use super::{Body, Effect, Index, Position, Quorum, Snapshot, log::Log};
use crate::{
    bugs::{self, Bug},
    types::BrokerId,
};

impl Quorum {
    /// Where a snapshot of what is applied up to an index, inclusive, would be; `None` if there is nothing new in it, or the state is
    /// older than what was installed since.
    pub(crate) fn snapshot_at(&self, applied: Index) -> Option<Position> {
        let up_to = if bugs::is(Bug::SnapshotUncommitted) { self.log.last().index } else { applied };
        self.log.position(up_to).filter(|position| self.may_be_snapshot(*position))
    }

    /// The newest snapshot; one of nothing, at the default position, until there is one.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Behind which entry the log begins, with its first entry here: what is at it, or before, a snapshot has.
    pub(crate) fn base(&self) -> Position {
        self.log.base()
    }

    fn may_be_snapshot(&self, position: Position) -> bool {
        let is_new = position.index > self.snapshot.position.index;
        is_new && (position.index <= self.commit || bugs::is(Bug::SnapshotUncommitted))
    }

    /// A snapshot is durable. What lies behind the one before it is kept for those that lag a little.
    pub(super) fn snapshotted(&mut self, snapshot: Snapshot, effects: &mut Vec<Effect>) {
        if !self.log.has(snapshot.position) || !self.may_be_snapshot(snapshot.position) {
            return;
        }
        let before = std::mem::replace(&mut self.snapshot, snapshot).position;
        if before.index > self.log.base().index {
            self.log.drop_up_to(before);
            effects.push(Effect::Drop { up_to: before });
        }
    }

    /// The leader has a snapshot in place of what comes next here.
    pub(super) fn install(&mut self, leader: BrokerId, snapshot: Snapshot, effects: &mut Vec<Effect>) {
        let position = snapshot.position;
        if position.index > self.commit && self.log.has(position) {
            // All up to there is here, and is committed.
            self.set_commit(position.index, effects);
        } else if position.index > self.commit {
            // The log is another one's, or ends before: nothing in it is needed.
            self.log = Log::new(position, Vec::new());
            self.voters.begin_with(&snapshot);
            self.snapshot = snapshot.clone();
            self.commit = position.index;
            effects.push(Effect::Install(snapshot));
        }
        self.send(leader, Body::Appended { up_to: position.index }, effects);
    }
}
