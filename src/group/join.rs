//! Joining a group: who its members are, and which assignor they agree on.

use super::{Effects, Group, Join, Outcome, Pending, RequestId, State, Times, member::Member};
use crate::{
    error::{Error, Result},
    rpc::{JoinGroupResponse, Joined, JoinedMember, Response},
    types::Instant,
};

impl Group {
    /// A consumer wants to be a member, or to be one of the next generation too.
    pub(super) fn join(
        &mut self,
        request: RequestId,
        join: Join,
        at: Times,
        effects: &mut Effects,
    ) -> Outcome {
        self.check_join(&join)?;
        if join.asked.member_id.is_empty() {
            if let Some(instance_id) = &join.asked.instance_id
                && let Some(old) = self.instances.get(instance_id).cloned()
            {
                return self.replace(request, &old, join, at, effects);
            }
            return self.admit(request, join, at, effects);
        }
        if self.pending.remove(&join.asked.member_id).is_some() {
            let member_id = join.asked.member_id.clone();
            self.add(request, member_id, join, at, effects);
            return Ok(None);
        }
        self.check_known(&join.asked.member_id, join.asked.instance_id.as_deref())?;
        self.join_again(request, join, at, effects)
    }

    fn check_join(&self, join: &Join) -> Result<()> {
        let (min, max) = (self.limits.min_session_timeout, self.limits.max_session_timeout);
        if join.asked.session_timeout < min || join.asked.session_timeout > max {
            return Err(Error::InvalidSessionTimeout {
                session_timeout: join.asked.session_timeout,
                min,
                max,
            });
        }
        // What a member said before does not bind it.
        let others =
            || self.members.iter().filter(|(id, _)| **id != join.asked.member_id).map(|(_, member)| member);
        let common = |name: &str| others().all(|member| member.supports(name));
        let fits_type = others().next().is_none() || self.protocol_type == join.asked.protocol_type;
        let fits = join.asked.protocols.iter().any(|(name, _)| common(name));
        if join.asked.protocol_type.is_empty() || !fits_type || !fits {
            return Err(Error::InconsistentGroupProtocol { group: self.id.clone() });
        }
        Ok(())
    }

    /// Somebody new comes.
    fn admit(&mut self, request: RequestId, join: Join, at: Times, effects: &mut Effects) -> Outcome {
        if self.members.len() + self.pending.len() >= self.limits.max_size {
            let (group, limit) = (self.id.clone(), self.limits.max_size);
            return Err(Error::GroupMaxSizeReached { group, limit });
        }
        if !self.is_kept {
            let records = vec![self.metadata_record()];
            self.write(records, Pending::Nothing, effects);
        }
        let id = join.new_member_id.clone();
        if join.asked.requires_known_member_id && join.asked.instance_id.is_none() {
            self.pending.insert(id.clone(), at.now.plus(join.asked.session_timeout));
            return Ok(Some(Response::JoinGroup(JoinGroupResponse::MemberIdRequired(id))));
        }
        self.add(request, id, join, at, effects);
        Ok(None)
    }

    fn add(&mut self, request: RequestId, id: String, join: Join, at: Times, effects: &mut Effects) {
        self.protocol_type.clone_from(&join.asked.protocol_type);
        if let Some(instance_id) = &join.asked.instance_id {
            self.instances.insert(instance_id.clone(), id.clone());
        }
        let mut member = Member::new(join.asked, at.now);
        member.awaiting_join = Some(request);
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
        self.put_off(at.now);
        self.rebalance(at, effects);
    }

    /// A member joins once more.
    fn join_again(&mut self, request: RequestId, join: Join, at: Times, effects: &mut Effects) -> Outcome {
        let id = join.asked.member_id.clone();
        let is_leader = self.leader.as_ref() == Some(&id);
        let Some(member) = self.members.get_mut(&id) else {
            return Err(Error::UnknownMemberId { group: self.id.clone() });
        };
        let says_the_same = member.protocols == join.asked.protocols;
        // It has not got the answer, perhaps.
        let told_before = match self.state {
            State::Completing => says_the_same,
            State::Stable => says_the_same && !is_leader,
            State::Empty | State::Preparing { .. } => false,
        };
        if told_before {
            member.beat(at.now);
            return Ok(Some(self.joined(&id, false)));
        }
        member.update(join.asked);
        if let Some(before) = member.awaiting_join.replace(request) {
            effects.answers.push((before, Err(Error::RebalanceInProgress { group: self.id.clone() })));
        }
        self.rebalance(at, effects);
        Ok(None)
    }

    /// A static member comes back, under another id (rule 50).
    fn replace(
        &mut self,
        request: RequestId,
        old: &str,
        join: Join,
        at: Times,
        effects: &mut Effects,
    ) -> Outcome {
        let id = join.new_member_id.clone();
        let (instance_id, group) = (join.asked.instance_id.clone().unwrap_or_default(), self.id.clone());
        let Some(mut member) = self.members.remove(old) else {
            return Err(Error::UnknownMemberId { group });
        };
        let fenced = Error::FencedInstanceId { group, instance_id: instance_id.clone() };
        let waiting = [member.awaiting_join.take(), member.awaiting_sync.take()];
        effects.answers.extend(waiting.into_iter().flatten().map(|request| (request, Err(fenced.clone()))));
        member.update(join.asked);
        member.beat(at.now);
        self.members.insert(id.clone(), member);
        self.instances.insert(instance_id, id.clone());
        if self.leader.as_deref() == Some(old) {
            self.leader = Some(id.clone());
        }
        self.awaited.remove(old);
        let same = matches!(self.state, State::Stable) && self.choose_protocol() == self.protocol;
        if same {
            let records = vec![self.metadata_record()];
            self.write(records, Pending::Rejoin { request, member_id: id }, effects);
        } else {
            if let Some(member) = self.members.get_mut(&id) {
                member.awaiting_join = Some(request);
            }
            self.rebalance(at, effects);
        }
        Ok(None)
    }

    /// Begins a rebalance, unless one has begun, and ends its first half if all have joined.
    pub(super) fn rebalance(&mut self, at: Times, effects: &mut Effects) {
        let delay = self.limits.initial_rebalance_delay;
        let timeout = self.rebalance_timeout();
        match &self.state {
            State::Preparing { .. } => {}
            State::Empty => {
                let not_before = at.now.plus(delay.min(timeout));
                self.state =
                    State::Preparing { until: at.now.plus(timeout), not_before, delayed: !delay.is_zero() };
                self.since = at.wall;
            }
            State::Completing | State::Stable => {
                self.refuse_syncs(&Error::RebalanceInProgress { group: self.id.clone() }, at, effects);
                self.await_nobody();
                self.state =
                    State::Preparing { until: at.now.plus(timeout), not_before: at.now, delayed: false };
                self.since = at.wall;
                let absent = self.members.iter().filter(|(_, member)| member.awaiting_join.is_none());
                effects.to_join.extend(absent.map(|(id, _)| id.clone()));
            }
        }
        self.maybe_complete_join(at, effects);
    }

    fn rebalance_timeout(&self) -> std::time::Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    /// While the first members of a group are waited for, each that comes has the others wait a little longer.
    fn put_off(&mut self, now: Instant) {
        let delay = self.limits.initial_rebalance_delay;
        if let State::Preparing { until, not_before, delayed: true } = &mut self.state
            && now < *not_before
        {
            *not_before = now.plus(delay).min(*until);
        }
    }

    /// Ends the first half of a rebalance if nobody is missing.
    pub(super) fn maybe_complete_join(&mut self, at: Times, effects: &mut Effects) {
        let State::Preparing { not_before, .. } = self.state else { return };
        let all = self.members.values().all(|member| member.awaiting_join.is_some());
        if all && self.pending.is_empty() && at.now >= not_before {
            self.complete_join(at, effects);
        }
    }

    /// Ends the first half of a rebalance. Who has not joined is no member any more; a static one stays for its session.
    pub(super) fn complete_join(&mut self, at: Times, effects: &mut Effects) {
        let missing = |member: &Member| member.awaiting_join.is_none() && member.instance_id.is_none();
        self.members.retain(|_, member| !missing(member));
        let joined = |member: &Member| member.awaiting_join.is_some();
        if self.members.is_empty() {
            return self.become_empty(at, effects);
        }
        if !self.members.values().any(joined) {
            // Only static members, all of them away: their sessions decide.
            let until = at.now.plus(self.rebalance_timeout());
            self.state = State::Preparing { until, not_before: at.now, delayed: false };
            return;
        }
        let leads = self.leader.as_ref().and_then(|leader| self.members.get(leader)).is_some_and(joined);
        if !leads {
            let next = self.members.iter().find(|(_, member)| joined(member));
            self.leader = next.map(|(id, _)| id.clone());
        }
        self.protocol = self.choose_protocol();
        self.generation = self.generation.next();
        self.awaited =
            self.members.iter().filter(|(_, member)| joined(member)).map(|(id, _)| id.clone()).collect();
        self.awaited_until = at.now.plus(self.rebalance_timeout());
        (self.state, self.since) = (State::Completing, at.wall);
        for id in self.awaited.clone() {
            let Some(member) = self.members.get_mut(&id) else { continue };
            member.has_joined(at.now);
            if let Some(request) = member.awaiting_join.take() {
                let answer = self.joined(&id, false);
                effects.answers.push((request, Ok(answer)));
            }
        }
    }

    fn await_nobody(&mut self) {
        self.awaited.clear();
        self.awaited_until = Instant::MAX;
    }

    fn become_empty(&mut self, at: Times, effects: &mut Effects) {
        self.generation = self.generation.next();
        (self.protocol, self.leader) = (None, None);
        self.instances.clear();
        self.state = State::Empty;
        self.since = at.wall;
        let records = vec![self.metadata_record()];
        self.write(records, Pending::Nothing, effects);
    }

    /// The assignor that most members like best, among those that all have; of several the first by name.
    pub(super) fn choose_protocol(&self) -> Option<String> {
        let first = self.members.values().next()?;
        let common = |name: &&str| self.members.values().all(|member| member.supports(name));
        let mut candidates: Vec<&str> =
            first.protocols.iter().map(|(name, _)| name.as_str()).filter(common).collect();
        candidates.sort_unstable();
        let votes = |candidate: &&str| {
            self.members.values().filter(|member| member.vote(&candidates) == Some(*candidate)).count()
        };
        // The last of several largest is what `max_by_key` gives.
        candidates.iter().rev().max_by_key(|candidate| votes(candidate)).map(|name| (*name).to_owned())
    }

    /// This generation, as a member is told of it.
    pub(super) fn joined(&self, id: &str, skip_assignment: bool) -> Response {
        let protocol = self.protocol.clone().unwrap_or_default();
        let leads = self.leader.as_deref() == Some(id);
        let joined = |(id, member): (&String, &Member)| JoinedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            metadata: member.metadata(&protocol),
        };
        let members = if leads { self.members.iter().map(joined).collect() } else { Vec::new() };
        Response::JoinGroup(JoinGroupResponse::Joined(Joined {
            member_id: id.to_owned(),
            generation: self.generation,
            leader: self.leader.clone().unwrap_or_default(),
            members,
            skip_assignment: skip_assignment && leads,
            protocol,
        }))
    }
}
