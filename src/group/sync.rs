//! From a generation of members to who has what, and how members are heard of until the next one.

use super::{Effects, Group, Outcome, Pending, RequestId, State, Times};
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    rpc::{Done, MemberIdentity, Response, SyncGroupResponse},
    types::Generation,
};
use std::{collections::BTreeMap, sync::Arc};

impl Group {
    /// A member asks for its part; the leader brings all parts.
    pub(super) fn sync(
        &mut self,
        request: RequestId,
        from: &MemberIdentity,
        protocol: &str,
        assignments: Vec<(String, Arc<[u8]>)>,
        at: Times,
        effects: &mut Effects,
    ) -> Outcome {
        self.check_member(from)?;
        if self.protocol.as_deref().is_some_and(|chosen| chosen != protocol) {
            return Err(Error::InconsistentGroupProtocol { group: self.id.clone() });
        }
        let (leads, unknown) = (self.leader.as_ref() == Some(&from.member_id), self.unknown_member());
        let Some(member) = self.members.get_mut(&from.member_id) else { return Err(unknown) };
        if matches!(self.state, State::Completing | State::Stable) {
            self.awaited.remove(&from.member_id);
        }
        match &self.state {
            State::Empty => return Err(unknown),
            State::Preparing { .. } => return Err(Error::RebalanceInProgress { group: self.id.clone() }),
            State::Stable => {
                member.beat(at.now);
                let assignment = Arc::clone(&member.assignment);
                return Ok(Some(Response::SyncGroup(SyncGroupResponse { assignment })));
            }
            State::Completing => {}
        }
        if let Some(before) = member.awaiting_sync.replace(request) {
            effects.answers.push((before, Err(Error::RebalanceInProgress { group: self.id.clone() })));
        }
        if leads {
            self.divide(assignments, effects);
        }
        Ok(None)
    }

    /// Has it noted who gets what; it counts when that is in the log.
    fn divide(&mut self, assignments: Vec<(String, Arc<[u8]>)>, effects: &mut Effects) {
        let known = |(id, _): &(String, Arc<[u8]>)| self.members.contains_key(id);
        let mut assignments: BTreeMap<String, Arc<[u8]>> = assignments.into_iter().filter(known).collect();
        if bugs::is(Bug::AssignTwice)
            && let Some(first) = assignments.values().next().cloned()
        {
            assignments.values_mut().for_each(|assignment| *assignment = Arc::clone(&first));
        }
        let records = vec![self.metadata_record_with(|id| assignments.get(id).cloned().unwrap_or_default())];
        self.write(records, Pending::Assignment { generation: self.generation, assignments }, effects);
    }

    /// What the leader brought is in the log, or could not be written.
    pub(super) fn divided(
        &mut self,
        generation: Generation,
        mut assignments: BTreeMap<String, Arc<[u8]>>,
        written: Result<()>,
        at: Times,
        effects: &mut Effects,
    ) {
        let current = matches!(self.state, State::Completing) && generation == self.generation;
        if !current {
            return;
        }
        if let Err(error) = written {
            self.refuse_syncs(&error, at, effects);
            return self.rebalance(at, effects);
        }
        self.state = State::Stable;
        self.since = at.wall;
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
            if let Some(request) = member.awaiting_sync.take() {
                member.beat(at.now);
                let assignment = Arc::clone(&member.assignment);
                effects.answers.push((request, Ok(Response::SyncGroup(SyncGroupResponse { assignment }))));
            }
        }
    }

    /// Has those try again who wait for their parts, and nobody has any.
    pub(super) fn refuse_syncs(&mut self, error: &Error, at: Times, effects: &mut Effects) {
        if !matches!(self.state, State::Completing) {
            return;
        }
        for member in self.members.values_mut() {
            member.assignment = Arc::default();
            if let Some(request) = member.awaiting_sync.take() {
                member.beat(at.now);
                effects.answers.push((request, Err(error.clone())));
            }
        }
    }

    /// A member lives.
    pub(super) fn heartbeat(&mut self, from: &MemberIdentity, at: Times) -> Outcome {
        self.check_member(from)?;
        if let Some(member) = self.members.get_mut(&from.member_id) {
            member.beat(at.now);
        }
        match self.state {
            State::Preparing { .. } => Err(Error::RebalanceInProgress { group: self.id.clone() }),
            State::Empty => Err(self.unknown_member()),
            State::Completing | State::Stable => Ok(Some(Response::Heartbeat(Done))),
        }
    }

    /// A member goes, or is sent away by its instance id alone.
    pub(super) fn leave(
        &mut self,
        member_id: &str,
        instance_id: Option<&str>,
        at: Times,
        effects: &mut Effects,
    ) -> Outcome {
        let done = Ok(Some(Response::LeaveGroup(Done)));
        if self.pending.remove(member_id).is_some() {
            self.maybe_complete_join(at, effects);
            return done;
        }
        let named =
            instance_id.filter(|_| member_id.is_empty()).and_then(|id| self.instances.get(id).cloned());
        let id = named.unwrap_or_else(|| member_id.to_owned());
        self.check_known(&id, instance_id)?;
        self.remove(&[id], at, effects);
        done
    }

    /// Takes members out of the group, and has the others divide their partitions.
    pub(super) fn remove(&mut self, ids: &[String], at: Times, effects: &mut Effects) {
        for id in ids {
            let Some(member) = self.members.remove(id) else { continue };
            self.awaited.remove(id);
            if let Some(instance_id) = &member.instance_id {
                self.instances.remove(instance_id);
            }
            if self.leader.as_ref() == Some(id) {
                self.leader = self.members.keys().next().cloned();
            }
            let waiting = [member.awaiting_join, member.awaiting_sync].into_iter().flatten();
            effects.answers.extend(waiting.map(|request| (request, Err(self.unknown_member()))));
        }
        match self.state {
            State::Preparing { .. } => self.maybe_complete_join(at, effects),
            State::Completing | State::Stable => self.rebalance(at, effects),
            State::Empty => {}
        }
    }
}
