//! How a leader is found, and how one gives up.

use super::{Body, Effect, Part, Position, Quorum, Term, replication::Leadership};
use crate::{
    bugs::{self, Bug},
    types::{BrokerId, Instant},
};
use std::{collections::BTreeSet, time::Duration};

impl Quorum {
    /// Waits anew for a leader, as long as nobody else is likely to wait: two that stand at the same time may both fail.
    pub(super) fn await_leader(&mut self, now: Instant) {
        if matches!(self.part, Part::Observer) {
            self.election_at = Instant::MAX;
            return;
        }
        let timeout = self.config.election_timeout;
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let extra = Duration::from_nanos(self.prng.below(nanos));
        self.election_at = now.plus(timeout).plus(extra);
    }

    /// Whether it has a leader that it has heard from lately, and so votes for nobody. A leader that is none any more
    /// resigns by itself.
    pub(super) fn sticks(&self, now: Instant) -> bool {
        let hears = self.leader.is_some() && now < self.sticks_until;
        hears || matches!(self.part, Part::Leader(_))
    }

    /// Makes term and vote durable, once a step if nothing lies between.
    fn save(&self, effects: &mut Vec<Effect>) {
        effects.pop_if(|effect| matches!(effect, Effect::Save { .. }));
        effects.push(Effect::Save { term: self.term, vote: self.vote });
    }

    /// Somebody is in a later term.
    pub(super) fn adopt(&mut self, term: Term, now: Instant, effects: &mut Vec<Effect>) {
        if matches!(self.part, Part::Leader(_)) {
            self.resign(now, effects);
        }
        self.idle();
        (self.term, self.vote, self.leader) = (term, None, None);
        self.save(effects);
    }

    pub(super) fn resign(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.leader = None;
        self.idle();
        self.await_leader(now);
        effects.push(Effect::Resigned);
    }

    /// The sender leads in this term.
    pub(super) fn follow(&mut self, leader: BrokerId, now: Instant) {
        self.idle();
        self.leader = Some(leader);
        self.sticks_until = now.plus(self.config.election_timeout);
        self.await_leader(now);
    }

    /// It has waited long enough. It raises its term only if it would win.
    pub(super) fn ask_around(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.leader = None;
        if bugs::is(Bug::SkipPreVote) {
            return self.stand(now, effects);
        }
        self.part = Part::PreCandidate(BTreeSet::new());
        self.await_leader(now);
        self.send_all(&Body::PreVote { last: self.log.last() }, effects);
        self.pre_voted(self.id, now, effects);
    }

    pub(super) fn pre_voted(&mut self, from: BrokerId, now: Instant, effects: &mut Vec<Effect>) {
        let (majority, counts) = (self.majority(), self.voters().contains(&from));
        if let Part::PreCandidate(supporters) = &mut self.part {
            supporters.extend(counts.then_some(from));
            if supporters.len() >= majority {
                self.stand(now, effects);
            }
        }
    }

    fn stand(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        (self.term, self.vote) = (self.term.next(), Some(self.id));
        self.part = Part::Candidate(BTreeSet::new());
        self.await_leader(now);
        self.save(effects);
        self.send_all(&Body::Vote { last: self.log.last() }, effects);
        self.voted(self.id, now, effects);
    }

    pub(super) fn vote(
        &mut self,
        candidate: BrokerId,
        last: Position,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        // Also one that is no voter, as far as it knows: the candidate may know better.
        let granted = self.vote.is_none_or(|voted| voted == candidate) && last >= self.log.last();
        if granted {
            self.idle();
            self.vote = Some(candidate);
            self.save(effects);
            self.await_leader(now);
        }
        self.send(candidate, Body::Voted { granted }, effects);
    }

    pub(super) fn voted(&mut self, from: BrokerId, now: Instant, effects: &mut Vec<Effect>) {
        let (majority, counts) = (self.majority(), self.voters().contains(&from));
        if let Part::Candidate(supporters) = &mut self.part {
            supporters.extend(counts.then_some(from));
            if supporters.len() >= majority {
                self.lead(now, effects);
            }
        }
    }

    fn lead(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let first = self.log.last().index.next();
        let heartbeat_at = now.plus(self.config.heartbeat_interval);
        let peers = self.voters().union(&self.observers).filter(|peer| **peer != self.id);
        self.part = Part::Leader(Leadership::new(peers.copied(), first, heartbeat_at, now));
        self.leader = Some(self.id);
        effects.push(Effect::Elected { term: self.term, first });
        // Without an entry of its own it could commit none of those before (§5.4.2), and not know what is committed.
        self.propose(vec![[].into()], now, effects);
    }
}
