//! How entries get from the leader to the others, and when they are committed.

use super::{Body, Effect, Entry, Index, Part, Payload, Position, Quorum};
use crate::{
    bugs::{self, Bug},
    types::{BrokerId, Instant},
};
use std::collections::BTreeMap;

/// What a leader knows.
#[derive(Debug)]
pub(super) struct Leadership {
    /// The index of its own first entry.
    pub(super) first: Index,
    /// All others, observers too.
    pub(super) peers: BTreeMap<BrokerId, Progress>,
    pub(super) heartbeat_at: Instant,
}

/// How far another one is.
#[derive(Debug)]
pub(super) struct Progress {
    /// The first entry that it is not known or believed to have.
    next: Index,
    /// Up to here, inclusive, it is known to have stored what the leader has.
    matched: Index,
    /// What it was last told is committed.
    told: Index,
    /// Whether entries are under way. One message at a time has some; if it is lost, a heartbeat brings them again.
    waits: bool,
    /// When it was last heard, in this term.
    heard: Instant,
}

impl Progress {
    pub(super) fn new(next: Index, heard: Instant) -> Self {
        Self { next, matched: Index(0), told: Index(0), waits: false, heard }
    }
}

impl Leadership {
    pub(super) fn new(
        peers: impl Iterator<Item = BrokerId>,
        first: Index,
        heartbeat_at: Instant,
        now: Instant,
    ) -> Self {
        Self { first, peers: peers.map(|peer| (peer, Progress::new(first, now))).collect(), heartbeat_at }
    }

    /// Up to where another one is known to have the log.
    pub(super) fn matched(&self, peer: BrokerId) -> Index {
        self.peers.get(&peer).map_or(Index(0), |peer| peer.matched)
    }
}

impl Quorum {
    /// When a leader that hears nothing more from now on has not heard a majority for an election timeout.
    pub(super) fn quorum_lost_at(&self, leadership: &Leadership) -> Instant {
        let heard = |voter: &BrokerId| leadership.peers.get(voter).map_or(Instant::MAX, |peer| peer.heard);
        let heard = self.with_majority(self.voters().iter().map(heard).collect());
        heard.map_or(Instant::MAX, |heard| heard.plus(self.config.election_timeout))
    }

    /// The greatest value that a majority of the voters has reached.
    fn with_majority<T: Ord + Copy>(&self, mut values: Vec<T>) -> Option<T> {
        values.sort_unstable();
        values.get(values.len().checked_sub(self.majority())?).copied()
    }

    pub(super) fn propose(&mut self, payloads: Vec<Payload>, now: Instant, effects: &mut Vec<Effect>) {
        if !matches!(self.part, Part::Leader(_)) || payloads.is_empty() {
            return;
        }
        let (term, last) = (self.term, self.log.last().index);
        let indexes = (last.0 + 1..).map(Index);
        let entry = |(index, payload)| Entry { term, index, payload };
        let entries: Vec<Entry> = indexes.zip(payloads).map(entry).collect();
        self.log.append(&entries);
        self.voters.append(&entries);
        self.voters_changed(now);
        effects.push(Effect::Append(entries));
        self.replicate(effects);
        self.advance_commit(now, effects);
    }

    pub(super) fn set_observers(
        &mut self,
        observers: Vec<BrokerId>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        self.observers = observers.into_iter().filter(|id| *id != self.id).collect();
        let (next, mut new) = (self.log.last().index.next(), Vec::new());
        if let Part::Leader(leadership) = &mut self.part {
            let voters = self.voters.now();
            let stays = |id: &BrokerId| voters.contains(id) || self.observers.contains(id);
            leadership.peers.retain(|id, _| stays(id));
            for id in &self.observers {
                leadership.peers.entry(*id).or_insert_with(|| {
                    new.push(*id);
                    Progress::new(next, now)
                });
            }
            new.iter().for_each(|id| self.append_to(*id, effects));
        }
    }

    /// Sends everybody everything, whatever is under way.
    pub(super) fn beat(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if let Part::Leader(leadership) = &mut self.part {
            leadership.heartbeat_at = now.plus(self.config.heartbeat_interval);
            leadership.peers.values_mut().for_each(|peer| peer.waits = false);
            let peers: Vec<BrokerId> = leadership.peers.keys().copied().collect();
            peers.iter().for_each(|peer| self.append_to(*peer, effects));
        }
    }

    /// Sends to those that lack something and are not being sent entries.
    fn replicate(&mut self, effects: &mut Vec<Effect>) {
        let Part::Leader(leadership) = &self.part else { return };
        let (last, commit) = (self.log.last().index, self.commit);
        let lacks = |peer: &Progress| !peer.waits && (peer.next <= last || peer.told < commit);
        let peers: Vec<BrokerId> =
            leadership.peers.iter().filter(|(_, peer)| lacks(peer)).map(|(id, _)| *id).collect();
        peers.iter().for_each(|peer| self.append_to(*peer, effects));
    }

    fn append_to(&mut self, to: BrokerId, effects: &mut Vec<Effect>) {
        let Part::Leader(leadership) = &mut self.part else { return };
        let Some(peer) = leadership.peers.get_mut(&to) else { return };
        let Some(previous) = self.log.position(peer.next.before()) else {
            // It is not there any more. What the message brings is committed.
            (peer.waits, peer.told) = (true, self.snapshot.position.index);
            return self.send(to, Body::Snapshot(self.snapshot.clone()), effects);
        };
        let entries = self.log.from(previous.index.next(), self.config.max_entries).to_vec();
        (peer.waits, peer.told) = (!entries.is_empty(), self.commit);
        let body = Body::Append { previous, entries, commit: self.commit };
        self.send(to, body, effects);
    }

    /// Takes in what the leader has behind `previous`.
    pub(super) fn store(
        &mut self,
        leader: BrokerId,
        previous: Position,
        entries: &[Entry],
        commit: Index,
        effects: &mut Vec<Effect>,
    ) {
        if !self.log.has(previous) {
            let hint = self.log.at_most(previous).unwrap_or(self.log.base());
            return self.send(leader, Body::Refused { previous: previous.index, hint }, effects);
        }
        // What came late or twice is there, and so may be what came behind it: it stays.
        let there = entries.iter().take_while(|entry| self.log.has(entry.position())).count();
        let new = entries.get(there..).unwrap_or_default();
        if let Some(first) = new.first() {
            if first.index <= self.commit {
                return; // What is committed never changes, whoever says so.
            }
            if first.index <= self.log.last().index {
                self.log.truncate(first.index);
                self.voters.truncate(first.index);
                effects.push(Effect::Truncate { from: first.index });
            }
            self.log.append(new);
            self.voters.append(new);
            effects.push(Effect::Append(new.to_vec()));
        }
        let up_to = entries.last().map_or(previous.index, |entry| entry.index);
        self.send(leader, Body::Appended { up_to }, effects);
        self.set_commit(commit.min(up_to), effects);
    }

    /// The progress of one that was just heard, if this is the leader.
    fn heard(&mut self, from: BrokerId, now: Instant) -> Option<&mut Progress> {
        let Part::Leader(leadership) = &mut self.part else { return None };
        let peer = leadership.peers.get_mut(&from)?;
        peer.heard = now;
        Some(peer)
    }

    pub(super) fn stored(&mut self, from: BrokerId, up_to: Index, now: Instant, effects: &mut Vec<Effect>) {
        let Some(peer) = self.heard(from, now) else { return };
        peer.matched = peer.matched.max(up_to);
        peer.next = peer.next.max(up_to.next());
        peer.waits = false;
        self.advance_commit(now, effects);
        self.replicate(effects);
    }

    pub(super) fn refused(
        &mut self,
        from: BrokerId,
        previous: Index,
        hint: Position,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        // What lies before the base nobody knows here: then the next one is sent a snapshot.
        let next = self.log.at_most(hint).map_or(self.log.base().index, |common| common.index.next());
        let Some(peer) = self.heard(from, now) else { return };
        // An answer to a question that is not open any more says nothing.
        if peer.next == previous.next() && peer.matched < previous {
            peer.next = next.max(peer.matched.next());
            self.append_to(from, effects);
        }
    }

    /// Commits what a majority of the voters has stored, if it ends with an entry of this term: one of an earlier term
    /// may be overwritten even then (§5.4.2).
    fn advance_commit(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Part::Leader(leadership) = &self.part else { return };
        let own = self.log.last().index;
        let stored = |voter: &BrokerId| leadership.peers.get(voter).map_or(own, |peer| peer.matched);
        let stored = self.with_majority(self.voters().iter().map(stored).collect()).unwrap_or_default();
        let is_own = |entry: &Entry| entry.term == self.term || bugs::is(Bug::CommitOlderTerms);
        if self.log.get(stored).is_some_and(is_own) && stored > self.commit {
            self.set_commit(stored, effects);
            self.replicate(effects);
            self.resign_if_removed(now, effects);
        }
    }

    pub(super) fn set_commit(&mut self, up_to: Index, effects: &mut Vec<Effect>) {
        if up_to > self.commit {
            self.commit = up_to;
            effects.push(Effect::Committed { up_to });
        }
    }
}
