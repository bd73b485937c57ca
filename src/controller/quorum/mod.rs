//! One member's part in the quorum that replicates the metadata log: Raft, a pure state machine.
//!
//! Voters elect a leader, which sends its log to the others; an entry that a majority has stored is committed and never
//! changes. Observers get the log and have no say. What happens goes in as an [`Event`]; what is to be done comes out as
//! [`Effect`]s, whose order is part of the contract, told there.
//!
//! Beyond the paper: a voter asks whether it would win before it raises its term (pre-vote), a leader that hears no
//! majority within an election timeout resigns (check-quorum), and who hears from a leader votes for nobody (stickiness), so that
//! a member whose network is half broken does not unseat a leader that works for the others.
//!
//! # Voters
//! Who votes is a record of the log (KIP-853): the newest one counts from when it is appended, committed or not, and not any more when it
//! is truncated; a snapshot has it, too. Until there is one, those vote that the member was made with. The leader has one voter come or go
//! at a time ([`Event::ChangeVoters`]), when its own first entry and the change before are committed, so that the majorities of two sets that
//! may count at once have somebody in common. Whoever asks for a vote, or leads, is answered by everybody: it may know of voters that the other does not
//! know yet. A leader that is no voter any more goes on until that is committed, without counting itself, and then resigns; if it crashes
//! before, it stands again, since its log may be the only one that has the change.
//!
//! # Snapshots
//! A log need not be kept whole. A member's host, which applies what is committed, may make what it has come to durable, as a
//! [`Snapshot`] at a [position](Quorum::snapshot_at), and tell the member ([`Event::Snapshotted`]), each for itself, as in Kafka. The
//! member keeps the newest snapshot, and of the log what lies behind the one before that: so whoever lags a little gets entries. A
//! leader whose peer needs an entry that is gone sends its snapshot instead, in one message, as often as it would send entries; the
//! peer installs it ([`Effect::Install`]) unless it has all of it. Only what is committed is ever in a snapshot, so that nothing in it
//! is taken back, and a member that starts from one counts it as committed.

mod election;
mod log;
mod message;
mod replication;
mod snapshots;
#[cfg(test)]
mod tests;
mod voters;

pub(crate) use message::{Body, Effect, Entry, Event, Index, Message, Payload, Position, Snapshot, Term};

use crate::{
    bugs::{self, Bug},
    prng::Prng,
    types::{BrokerId, Instant},
};
use log::Log;
use replication::Leadership;
use std::{collections::BTreeSet, time::Duration};
use voters::Voters;

/// How a quorum is run; the same for all members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuorumConfig {
    /// How long a voter waits for a leader at least, and at most twice as long; and a leader for its voters.
    pub(crate) election_timeout: Duration,
    /// How often a leader is heard when there is nothing to say: several times in an election timeout.
    pub(crate) heartbeat_interval: Duration,
    /// How many entries one message has at most.
    pub(crate) max_entries: usize,
}

/// Kafka's timeout (`controller.quorum.election.timeout.ms`); its voters fetch, so it has no heartbeat.
impl Default for QuorumConfig {
    fn default() -> Self {
        Self {
            election_timeout: Duration::from_secs(1),
            heartbeat_interval: Duration::from_millis(200),
            max_entries: 256,
        }
    }
}

/// What was durable when the member stopped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Restored {
    pub(crate) term: Term,
    pub(crate) vote: Option<BrokerId>,
    /// The newest one.
    pub(crate) snapshot: Snapshot,
    /// Of the entry before the first one of `log`, which a snapshot has.
    pub(crate) base: Position,
    pub(crate) log: Vec<Entry>,
}

impl Restored {
    /// Whether the log goes with the snapshot. One that has not got its position is another one's, or too short.
    pub(crate) fn has_position(&self) -> bool {
        let at = self.snapshot.position;
        at == self.base || self.log.iter().any(|entry| entry.position() == at)
    }

    fn log(&mut self) -> Log {
        let log = Log::new(self.base, std::mem::take(&mut self.log));
        let at = self.snapshot.position;
        if log.position(at.index) == Some(at) { log } else { Log::new(at, Vec::new()) }
    }
}

#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Observer,
    Follower,
    /// It asks whether it would be elected.
    PreCandidate,
    Candidate,
    Leader,
}

#[derive(Debug)]
enum Part {
    Observer,
    Follower,
    /// With those that are for it.
    PreCandidate(BTreeSet<BrokerId>),
    Candidate(BTreeSet<BrokerId>),
    Leader(Leadership),
}

/// One member.
#[derive(Debug)]
pub(crate) struct Quorum {
    id: BrokerId,
    voters: Voters,
    observers: BTreeSet<BrokerId>,
    config: QuorumConfig,
    prng: Prng,
    term: Term,
    /// Whom it has voted for in this term.
    vote: Option<BrokerId>,
    part: Part,
    /// Of this term, as far as it knows.
    leader: Option<BrokerId>,
    /// Until when it votes for nobody, since it has heard from the leader.
    sticks_until: Instant,
    /// When it looks for another leader. A leader and an observer do not.
    election_at: Instant,
    log: Log,
    /// The newest one; its position lies in the log, or is its base.
    snapshot: Snapshot,
    commit: Index,
}

impl Quorum {
    /// A member that starts, for the first time or again. It votes if it is one of the `voters`.
    pub(crate) fn new(
        id: BrokerId,
        voters: impl IntoIterator<Item = BrokerId>,
        mut restored: Restored,
        config: QuorumConfig,
        prng: Prng,
        now: Instant,
    ) -> Self {
        let log = restored.log();
        let at = restored.snapshot.position.index;
        let mut voters = Voters::new(voters.into_iter().collect());
        voters.begin_with(&restored.snapshot);
        voters.append(log.from(at.next(), usize::MAX));
        let mut quorum = Self {
            id,
            voters,
            observers: BTreeSet::new(),
            config,
            prng,
            term: restored.term,
            vote: restored.vote.filter(|_| !bugs::is(Bug::ForgetVote)),
            part: Part::Observer,
            leader: None,
            sticks_until: now,
            election_at: Instant::MAX,
            log,
            commit: at,
            snapshot: restored.snapshot,
        };
        quorum.idle();
        quorum.await_leader(now);
        quorum
    }

    /// Takes an event in, and says what to do, in order: see [`Effect`].
    pub(crate) fn step(&mut self, event: Event, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Tick => self.tick(now, &mut effects),
            Event::Received { from, message } => self.receive(from, message, now, &mut effects),
            Event::Propose(payloads) => self.propose(payloads, now, &mut effects),
            Event::Snapshotted(snapshot) => self.snapshotted(snapshot, &mut effects),
            Event::ChangeVoters(voters) => self.change_voters(voters, now, &mut effects),
            Event::SetObservers(observers) => self.set_observers(observers, now, &mut effects),
        }
        effects
    }

    /// When it wants a [`Event::Tick`]. An earlier one does nothing.
    pub(crate) fn next_deadline(&self) -> Instant {
        match &self.part {
            Part::Leader(leadership) => leadership.heartbeat_at.min(self.quorum_lost_at(leadership)),
            _ => self.election_at,
        }
    }

    #[cfg(test)]
    pub(crate) fn role(&self) -> Role {
        match self.part {
            Part::Observer => Role::Observer,
            Part::Follower => Role::Follower,
            Part::PreCandidate(_) => Role::PreCandidate,
            Part::Candidate(_) => Role::Candidate,
            Part::Leader(_) => Role::Leader,
        }
    }

    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// Who leads in this term, itself or another; `None` if it does not know, or does not hear from it any more.
    pub(crate) fn leader(&self) -> Option<BrokerId> {
        self.leader
    }

    /// The last committed entry, inclusive, as far as it knows.
    pub(crate) fn commit(&self) -> Index {
        self.commit
    }

    pub(crate) fn last(&self) -> Position {
        self.log.last()
    }

    /// `None`: there is no such entry, or a snapshot has it.
    pub(crate) fn entry(&self, index: Index) -> Option<&Entry> {
        self.log.get(index)
    }

    fn tick(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if now < self.next_deadline() {
            return;
        }
        match &self.part {
            Part::Leader(leadership) if now >= self.quorum_lost_at(leadership) => self.resign(now, effects),
            Part::Leader(_) => self.beat(now, effects),
            _ => self.ask_around(now, effects),
        }
    }

    fn receive(&mut self, from: BrokerId, message: Message, now: Instant, effects: &mut Vec<Effect>) {
        let Message { term, body } = message;
        match body {
            // Without taking over the term: it may be that of one who hears from nobody and tries again and again.
            Body::PreVote { .. } | Body::Vote { .. } if self.sticks(now) => {
                return self.refuse(from, &body, effects);
            }
            // From whomever: others may know of other voters, and that this one votes.
            _ if from == self.id => return,
            _ => {}
        }
        if term > self.term {
            self.adopt(term, now, effects);
        }
        if term < self.term {
            // It learns the term by the answer.
            return self.refuse(from, &body, effects);
        }
        match body {
            Body::PreVote { last } => {
                let granted = last >= self.log.last();
                self.send(from, Body::PreVoted { granted }, effects);
            }
            Body::Vote { last } => self.vote(from, last, now, effects),
            Body::PreVoted { granted } if granted => self.pre_voted(from, now, effects),
            Body::Voted { granted } if granted => self.voted(from, now, effects),
            Body::PreVoted { .. } | Body::Voted { .. } => {}
            Body::Append { previous, entries, commit } => {
                self.follow(from, now);
                self.store(from, previous, &entries, commit, effects);
                self.voters_changed(now);
            }
            Body::Snapshot(snapshot) => {
                self.follow(from, now);
                self.install(from, snapshot, effects);
                self.voters_changed(now);
            }
            Body::Appended { up_to } => self.stored(from, up_to, now, effects),
            Body::Refused { previous, hint } => self.refused(from, previous, hint, now, effects),
        }
    }

    /// Says no to what was asked; to an answer, nothing.
    fn refuse(&self, from: BrokerId, asked: &Body, effects: &mut Vec<Effect>) {
        let answer = match asked {
            Body::PreVote { .. } => Body::PreVoted { granted: false },
            Body::Vote { .. } => Body::Voted { granted: false },
            Body::Append { previous, .. } => {
                Body::Refused { previous: previous.index, hint: Position::default() }
            }
            Body::Snapshot(Snapshot { position, .. }) => {
                Body::Refused { previous: position.index, hint: Position::default() }
            }
            _ => return,
        };
        self.send(from, answer, effects);
    }

    fn send(&self, to: BrokerId, body: Body, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send { to, message: Message { term: self.term, body } });
    }

    /// To the other voters.
    fn send_all(&self, body: &Body, effects: &mut Vec<Effect>) {
        let others = self.voters().iter().filter(|voter| **voter != self.id);
        others.for_each(|voter| self.send(*voter, body.clone(), effects));
    }

    fn majority(&self) -> usize {
        self.voters().len() / 2 + 1
    }
}
