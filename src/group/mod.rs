//! A consumer group, as its coordinator sees it: a pure state machine. No clock, no file, no lock, no random numbers.
//!
//! Events go in; out come answers, some to requests of long ago, and records that make a change last. What depends on a
//! record happens when that is in the log ([`Event::Written`]). Offsets change by records alone, the same ones on the way to
//! the log and on the way back from it ([`Group::apply`]), so that a replay gives what there was, and a replay of the same
//! records again changes nothing.
//!
//! The rules are Kafka's classic protocol's (rules 44 to 53 of the format page's semantics).

mod commit;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod join;
mod member;
mod offset_record;
mod offsets;
mod record;
mod sync;
#[cfg(test)]
mod tests;
mod timers;

pub(crate) use commit::{CommitRecord, Committed};
pub(crate) use offset_record::partition_for_group;
pub(crate) use record::{GroupRecord, MetadataRecord};

use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    rpc::{DescribedMember, JoinGroupRequest, MemberIdentity, Response},
    types::{Generation, GroupState, Instant, Offsets, Timestamp, TopicId, TopicPartition},
};
use member::Member;
use offset_record::{GroupMetadata, MemberMetadata};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// What a request is answered by.
pub(crate) type RequestId = u64;

/// What becomes of a request: an answer now, or `None`: later.
type Outcome = Result<Option<Response>>;

/// What time it is, by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) now: Instant,
    pub(crate) wall: Timestamp,
}

/// What groups are held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) min_session_timeout: Duration,
    pub(crate) max_session_timeout: Duration,
    /// How long the first members of a group wait for others.
    pub(crate) initial_rebalance_delay: Duration,
    pub(crate) max_size: usize,
}

/// Kafka's, but for the delay, which it has 3 s of, and the size, which it does not limit.
impl Default for Limits {
    fn default() -> Self {
        Self {
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(30 * 60),
            initial_rebalance_delay: Duration::ZERO,
            max_size: 10_000,
        }
    }
}

/// A consumer that joins.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub(crate) asked: JoinGroupRequest,
    /// The id that it gets if it needs one; nobody else has it.
    pub(crate) new_member_id: String,
}

/// What happens to a group.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Join(RequestId, Join),
    /// A member asks for its part; the leader brings all parts.
    Sync {
        request: RequestId,
        member: MemberIdentity,
        protocol: String,
        assignments: Vec<(String, Arc<[u8]>)>,
    },
    Heartbeat(RequestId, MemberIdentity),
    Leave {
        request: RequestId,
        member_id: String,
        instance_id: Option<String>,
    },
    /// Offsets are committed, by a member or from outside.
    Commit {
        request: RequestId,
        member: Option<MemberIdentity>,
        offsets: Offsets,
        topic_ids: BTreeMap<String, TopicId>,
    },
    /// A topic was deleted (rule 11).
    TopicDeleted {
        request: RequestId,
        topic: String,
    },
    /// Offsets are to be committed no more.
    DeleteOffsets {
        request: RequestId,
        partitions: Vec<TopicPartition>,
    },
    /// The group is to be no more.
    Delete(RequestId),
    /// Offsets that nobody has asked for are to be forgotten (rule 49).
    Expire {
        request: RequestId,
        retention: Duration,
    },
    /// A write is in the log, or has failed.
    Written {
        write: u64,
        result: Result<()>,
    },
    /// [`Group::next_deadline`] has come.
    Tick,
}

/// What is to be done about it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) writes: Vec<Write>,
    pub(crate) answers: Vec<(RequestId, Result<Response>)>,
    /// The ids of members who do not know yet that a rebalance has begun.
    pub(crate) to_join: Vec<String>,
}

/// Records to be appended to the group's partition of `__consumer_offsets`, as one batch.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) id: u64,
    pub(crate) records: Vec<GroupRecord>,
}

/// What is to be done when a write is in the log.
#[derive(Debug)]
enum Pending {
    Nothing,
    /// Offsets change.
    Offsets {
        request: RequestId,
        records: Vec<CommitRecord>,
        answer: Response,
    },
    /// The group is no more.
    End {
        request: RequestId,
        answer: Response,
    },
    /// Members get their parts.
    Assignment {
        generation: Generation,
        assignments: BTreeMap<String, Arc<[u8]>>,
    },
    /// A static member is back.
    Rejoin {
        request: RequestId,
        member_id: String,
    },
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Empty,
    /// All are to join.
    Preparing {
        /// Who has not joined by then is no member any more.
        until: Instant,
        not_before: Instant,
        /// Whether the first members of the group are waited for.
        delayed: bool,
    },
    /// All have joined, and wait for their parts.
    Completing,
    Stable,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    id: String,
    limits: Limits,
    state: State,
    /// When it came to be in this state.
    since: Timestamp,
    generation: Generation,
    /// Empty: it never had a member.
    protocol_type: String,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, Member>,
    /// Static members' ids, by their names.
    instances: BTreeMap<String, String>,
    /// Who has not asked for its part of this generation yet, and until when it may.
    awaited: BTreeSet<String>,
    awaited_until: Instant,
    /// Ids that were given out, and until when one may come back with it.
    pending: BTreeMap<String, Instant>,
    offsets: BTreeMap<TopicPartition, Committed>,
    writes: BTreeMap<u64, Pending>,
    /// How many writes there were.
    written: u64,
    /// Whether the log has a record of the group itself.
    is_kept: bool,
    is_gone: bool,
}

impl Group {
    pub(crate) fn new(id: &str, limits: Limits) -> Self {
        Self {
            id: id.to_owned(),
            limits,
            state: State::Empty,
            since: Timestamp::default(),
            generation: Generation(0),
            protocol_type: String::new(),
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            awaited: BTreeSet::new(),
            awaited_until: Instant::MAX,
            pending: BTreeMap::new(),
            offsets: BTreeMap::new(),
            writes: BTreeMap::new(),
            written: 0,
            is_kept: false,
            is_gone: false,
        }
    }

    /// Takes an event in. One that is refused changes nothing.
    pub(crate) fn step(&mut self, event: Event, at: Times) -> Effects {
        let mut effects = Effects::default();
        let to = &mut effects;
        let (request, outcome) = match event {
            Event::Join(request, join) => (request, self.join(request, join, at, to)),
            Event::Sync { request, member, protocol, assignments } => {
                (request, self.sync(request, &member, &protocol, assignments, at, to))
            }
            Event::Heartbeat(request, member) => (request, self.heartbeat(&member, at)),
            Event::Leave { request, member_id, instance_id } => {
                (request, self.leave(&member_id, instance_id.as_deref(), at, to))
            }
            Event::Commit { request, member, offsets, topic_ids } => {
                (request, self.commit(request, member.as_ref(), offsets, &topic_ids, at, to))
            }
            Event::TopicDeleted { request, topic } => {
                (request, self.forget(request, |partition| partition.topic() == topic, to))
            }
            Event::DeleteOffsets { request, partitions } => {
                (request, self.delete_offsets(request, &partitions, to))
            }
            Event::Delete(request) => (request, self.delete(request, to)),
            Event::Expire { request, retention } => (request, self.expire(request, retention, at, to)),
            Event::Written { write, result } => {
                self.end_write(write, result, at, to);
                return effects;
            }
            Event::Tick => {
                self.tick(at, to);
                return effects;
            }
        };
        match outcome {
            Ok(None) => {}
            Ok(Some(answer)) => effects.answers.push((request, Ok(answer))),
            Err(error) => effects.answers.push((request, Err(error))),
        }
        effects
    }

    fn write(&mut self, records: Vec<GroupRecord>, then: Pending, effects: &mut Effects) {
        self.written += 1;
        self.writes.insert(self.written, then);
        self.is_kept |= records.iter().any(|record| matches!(record, GroupRecord::Metadata(_)));
        effects.writes.push(Write { id: self.written, records });
    }

    fn end_write(&mut self, write: u64, result: Result<()>, at: Times, effects: &mut Effects) {
        match self.writes.remove(&write) {
            None | Some(Pending::Nothing) => {}
            Some(Pending::Offsets { request, records, answer }) => {
                if result.is_ok() {
                    records.iter().for_each(|record| self.apply_commit(record));
                }
                effects.answers.push((request, result.map(|()| answer)));
            }
            Some(Pending::End { request, answer }) => {
                self.is_gone |= result.is_ok();
                effects.answers.push((request, result.map(|()| answer)));
            }
            Some(Pending::Assignment { generation, assignments }) => {
                self.divided(generation, assignments, result, at, effects);
            }
            Some(Pending::Rejoin { request, member_id }) => {
                effects.answers.push((request, result.map(|()| self.joined(&member_id, true))));
            }
        }
    }

    /// What the log is to keep of the group now.
    fn metadata_record(&self) -> GroupRecord {
        self.metadata_record_with(|id| {
            self.members.get(id).map(|m| Arc::clone(&m.assignment)).unwrap_or_default()
        })
    }

    fn metadata_record_with(&self, assignment: impl Fn(&str) -> Arc<[u8]>) -> GroupRecord {
        let protocol = self.protocol.as_deref();
        let keep = |(id, member): (&String, &Member)| member.keep(id, protocol, &assignment(id));
        let metadata = GroupMetadata {
            protocol_type: self.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            state_timestamp: Some(self.since),
            members: self.members.iter().map(keep).collect(),
        };
        GroupRecord::Metadata(MetadataRecord { group: self.id.clone(), metadata: Some(metadata) })
    }

    /// Takes in a record of this group's that is in the log.
    pub(crate) fn apply(&mut self, record: &GroupRecord) {
        match record {
            GroupRecord::Commit(commit) => self.apply_commit(commit),
            GroupRecord::Metadata(MetadataRecord { metadata: Some(metadata), .. }) => self.restore(metadata),
            GroupRecord::Metadata(MetadataRecord { metadata: None, .. }) => {
                let offsets = std::mem::take(&mut self.offsets);
                *self = Self { offsets, ..Self::new(&self.id, self.limits) };
            }
        }
    }

    fn restore(&mut self, kept: &GroupMetadata) {
        let offsets = std::mem::take(&mut self.offsets);
        let protocol = kept.protocol.as_deref();
        let member = |member: &MemberMetadata| (member.member_id.clone(), Member::restore(member, protocol));
        let instance =
            |member: &MemberMetadata| Some((member.instance_id.clone()?, member.member_id.clone()));
        *self = Self {
            state: if kept.members.is_empty() { State::Empty } else { State::Stable },
            since: kept.state_timestamp.unwrap_or_default(),
            generation: if bugs::is(Bug::ForgetGenerations) { Generation(0) } else { kept.generation },
            protocol_type: kept.protocol_type.clone(),
            protocol: kept.protocol.clone(),
            leader: kept.leader.clone(),
            members: kept.members.iter().map(member).collect(),
            instances: kept.members.iter().filter_map(instance).collect(),
            offsets,
            is_kept: true,
            ..Self::new(&self.id, self.limits)
        };
    }

    /// All of the log is read: the members' sessions begin anew.
    pub(crate) fn take_up(&mut self, now: Instant) {
        self.members.values_mut().for_each(|member| member.beat(now));
    }

    /// All of the log is read, and nobody can have outlived it: there are no members.
    pub(crate) fn take_up_alone(&mut self, wall: Timestamp) {
        if self.members.is_empty() {
            return;
        }
        self.members.clear();
        self.instances.clear();
        (self.state, self.since) = (State::Empty, wall);
        (self.protocol, self.leader) = (None, None);
    }

    /// Whether there is such a group: one without a member, without offsets and without a record is nothing.
    pub(crate) fn is_known(&self) -> bool {
        !self.members.is_empty() || !self.offsets.is_empty() || self.is_kept
    }

    /// Whether something that it has written is not known to be in the log.
    pub(crate) fn is_writing(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Whether it is being deleted: nothing else is to happen to it until that has been done, or has failed.
    pub(crate) fn is_ending(&self) -> bool {
        self.writes.values().any(|pending| matches!(pending, Pending::End { .. }))
    }

    /// Whether it was deleted.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    pub(crate) fn state(&self) -> GroupState {
        match self.state {
            State::Empty => GroupState::Empty,
            State::Preparing { .. } => GroupState::PreparingRebalance,
            State::Completing => GroupState::CompletingRebalance,
            State::Stable => GroupState::Stable,
        }
    }

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    pub(crate) fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Its members, by id.
    pub(crate) fn members(&self) -> Vec<DescribedMember> {
        let protocol = self.protocol.as_deref();
        let describe = |(id, member): (&String, &Member)| DescribedMember {
            member_id: id.clone(),
            instance_id: member.instance_id.clone(),
            client_id: member.client_id.clone(),
            metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: Arc::clone(&member.assignment),
        };
        self.members.iter().map(describe).collect()
    }

    fn unknown_member(&self) -> Error {
        Error::UnknownMemberId { group: self.id.clone() }
    }

    /// Whether this is a member. A static one whose place was taken is told so, if it says its name (rule 50).
    fn check_known(&self, member_id: &str, instance_id: Option<&str>) -> Result<()> {
        if let Some(instance_id) = instance_id {
            match self.instances.get(instance_id) {
                Some(id) if id == member_id => {}
                Some(_) => {
                    let (group, instance_id) = (self.id.clone(), instance_id.to_owned());
                    return Err(Error::FencedInstanceId { group, instance_id });
                }
                None => return Err(self.unknown_member()),
            }
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(self.unknown_member()) }
    }

    /// Rule 44: first who, then of which generation.
    fn check_member(&self, from: &MemberIdentity) -> Result<()> {
        self.check_known(&from.member_id, from.instance_id.as_deref())?;
        if from.generation == self.generation || bugs::is(Bug::CommitFencedGeneration) {
            Ok(())
        } else {
            Err(Error::IllegalGeneration { group: self.id.clone() })
        }
    }
}
