//! The group coordinator's shell: it finds a group, gives it the event, appends the records that come out to
//! `__consumer_offsets`, tells the group when they are there, and hands the answers out.

use super::{Node, Task, coordination::Loaded, report::GroupBeyondEnd, topics::TopicEntry};
use crate::{
    bugs::{self, Bug},
    env::Slot,
    error::{Error, Result},
    group::{Event, Group, GroupRecord, Join, Limits, RequestId, Times},
    rpc::{
        Answer, Done, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, Notify, OffsetCommitRequest,
        OffsetFetchRequest, OffsetFetchResponse, Response, SyncGroupRequest, Ticket,
    },
    sync::Ordering,
    trace,
    types::{Instant, LeaderEpoch, OFFSETS_TOPIC, TopicId, TopicPartition, check_group_id},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

/// How often offsets are looked at: Kafka's default.
const OFFSETS_CHECK_INTERVAL: Duration = Duration::from_secs(10 * 60);

/// All groups that were asked for.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) by_id: BTreeMap<String, Group>,
    /// The partitions of `__consumer_offsets` that were replayed.
    pub(super) loaded: BTreeMap<i32, Loaded>,
    /// Groups that have committed in transactions that have not ended.
    pub(super) in_transaction: BTreeSet<String>,
    /// Numbers the members.
    members: u64,
    /// Numbers the requests.
    requests: RequestId,
    /// Requests that wait for their answers, each with its group.
    pub(super) tickets: BTreeMap<RequestId, (String, Ticket<Response>)>,
    /// Members that want to know early of a rebalance, by group and id.
    pub(super) watchers: BTreeMap<(String, String), Weak<dyn Notify>>,
    /// When each group is looked at next.
    pub(super) armed: BTreeMap<String, Instant>,
}

/// What a group has to say, once no lock is held.
#[derive(Debug, Default)]
#[must_use = "somebody waits for it"]
pub(super) struct Told {
    /// To the request that caused it.
    answer: Option<Result<Response>>,
    others: Vec<(Ticket<Response>, Result<Response>)>,
    rebalance: Vec<Arc<dyn Notify>>,
}

impl Told {
    /// Tells all but the one that asked, whose answer it gives back.
    pub(super) fn tell(self) -> Option<Result<Response>> {
        for (ticket, answer) in self.others {
            ticket.fill(answer);
        }
        self.rebalance.iter().for_each(|member| member.rebalance_began());
        self.answer
    }
}

impl Node {
    pub(super) fn handle_join_group(&self, request: JoinGroupRequest) -> Answer<Response> {
        if let Err(error) = check_group_id(&request.group).and_then(|()| self.ensure_offsets_topic()) {
            return Answer::Ready(Err(error.into()));
        }
        let salt = self.prng.lock().next_u64();
        let id = request.group.clone();
        self.ask_group(&id, None, |groups, of| {
            groups.members += 1;
            let named = request.instance_id.as_ref().unwrap_or(&request.client_id);
            let new_member_id = format!("{named}-{}-{salt:016x}", groups.members);
            let member_id = if request.member_id.is_empty() { &new_member_id } else { &request.member_id };
            if let Some(notify) = &request.notify {
                groups.watchers.insert((id.clone(), member_id.clone()), Weak::clone(notify));
            }
            Event::Join(of, Join { asked: request, new_member_id })
        })
    }

    pub(super) fn handle_sync_group(&self, request: SyncGroupRequest) -> Answer<Response> {
        let SyncGroupRequest { group, member, protocol, assignments } = request;
        let unknown = Some(Error::UnknownMemberId { group: group.clone() });
        self.ask_group(&group, unknown, |_, request| Event::Sync { request, member, protocol, assignments })
    }

    pub(super) fn handle_heartbeat(&self, request: HeartbeatRequest) -> Answer<Response> {
        let HeartbeatRequest { group, member } = request;
        let unknown = Some(Error::UnknownMemberId { group: group.clone() });
        self.ask_group(&group, unknown, |_, id| Event::Heartbeat(id, member))
    }

    pub(super) fn handle_leave_group(&self, request: LeaveGroupRequest) -> Answer<Response> {
        let LeaveGroupRequest { group, member_id, instance_id } = request;
        let unknown = Some(Error::UnknownMemberId { group: group.clone() });
        self.ask_group(&group, unknown, |groups, request| {
            groups.watchers.remove(&(group.clone(), member_id.clone()));
            Event::Leave { request, member_id, instance_id }
        })
    }

    pub(super) fn handle_offset_commit(&self, request: OffsetCommitRequest) -> Answer<Response> {
        let committed = self.commit(request);
        match &committed {
            Answer::Ready(Err(_)) => self.requests.offset_commit_failures.up(),
            _ => self.requests.offset_commits.up(),
        }
        committed
    }

    fn commit(&self, request: OffsetCommitRequest) -> Answer<Response> {
        let topic_ids = match self.check_commit(&request) {
            Ok(topic_ids) => topic_ids,
            Err(error) => return Answer::Ready(Err(error.into())),
        };
        if request.offsets.is_empty() {
            return Answer::Ready(Ok(Response::OffsetCommit(Done)));
        }
        if let Err(error) = self.ensure_offsets_topic() {
            return Answer::Ready(Err(error.into()));
        }
        let OffsetCommitRequest { group, member, offsets, .. } = request;
        let partitions = offsets.len() as u64;
        // Rule 44. Who commits from outside makes a group.
        let unknown = member.is_some().then(|| Error::GroupIdNotFound { group: group.clone() });
        let answer = self.ask_group(&group, unknown, |_, request| Event::Commit {
            request,
            member,
            offsets,
            topic_ids,
        });
        if matches!(answer, Answer::Ready(Ok(_))) {
            trace::offsets_committed(&group, partitions);
        }
        answer
    }

    /// The ids of the topics of which offsets are to be committed, if all is in order.
    fn check_commit(&self, request: &OffsetCommitRequest) -> Result<BTreeMap<String, TopicId>> {
        check_group_id(&request.group)?;
        let mut topic_ids = BTreeMap::new();
        for (partition, offset) in request.offsets.iter() {
            if offset.offset < 0 {
                return Err(Error::IllegalState(format!(
                    "{partition}: the offset {} is negative",
                    offset.offset
                )));
            }
            if self.partition_named(partition.topic(), partition.partition()).is_none() {
                let (topic, partition) = (partition.topic().to_owned(), Some(partition.partition()));
                return Err(Error::UnknownTopicOrPartition { topic, partition });
            }
            let (topic, id) = (partition.topic().to_owned(), self.topic_id(partition.topic()));
            // Rule 11: an offset of an old topic says nothing of the new one.
            if request.topic_ids.get(&topic).is_some_and(|meant| Some(*meant) != id) {
                return Err(Error::UnknownTopicId { topic });
            }
            topic_ids.extend(id.map(|id| (topic, id)));
        }
        Ok(topic_ids)
    }

    /// Gives a group what is asked of it; the answer may be one for later. Where there is none the answer is `unknown`; if that is
    /// `None`, it is made.
    pub(super) fn ask_group(
        &self,
        id: &str,
        unknown: Option<Error>,
        event: impl FnOnce(&mut Groups, RequestId) -> Event,
    ) -> Answer<Response> {
        let mut groups = self.groups.lock();
        if let Err(error) = check_group_id(id).and_then(|()| self.coordinate(&mut groups, id)) {
            return Answer::Ready(Err(error.into()));
        }
        if groups.by_id.get(id).is_some_and(Group::is_ending) {
            return Answer::Ready(Err(Error::CoordinatorLoadInProgress { group: id.to_owned() }.into()));
        }
        let is_new = !groups.knows(id);
        if let Some(unknown) = unknown.filter(|_| is_new) {
            return Answer::Ready(Err(unknown.into()));
        }
        let request = groups.next_request();
        let event = event(&mut groups, request);
        let told = self.step(&mut groups, id, request, event);
        let ticket = told.answer.is_none().then(|| {
            let ticket = Ticket::new(Slot::new());
            groups.tickets.insert(request, (id.to_owned(), Arc::clone(&ticket)));
            ticket
        });
        let was_made = is_new && groups.knows(id);
        drop(groups);
        if was_made {
            trace::group_created(id);
        }
        let answer = told.tell();
        match (answer, ticket) {
            (Some(answer), _) => Answer::Ready(answer.map_err(Box::new)),
            (None, Some(ticket)) => {
                // A close that has gone through those who wait has not seen this one, perhaps.
                if let Err(closed) = self.check_open() {
                    ticket.fill(Err(closed));
                }
                Answer::Parked(ticket)
            }
            (None, None) => {
                Answer::Ready(Err(Error::IllegalState("a request without an answer".to_owned()).into()))
            }
        }
    }

    /// As `ask_group`, for what comes from outside: the answer is known at once, and nobody else is concerned.
    pub(super) fn change_group(
        &self,
        groups: &mut Groups,
        id: &str,
        event: impl FnOnce(RequestId) -> Event,
    ) -> Result<()> {
        let request = groups.next_request();
        match self.step(groups, id, request, event(request)).tell() {
            Some(answer) => answer.map(drop),
            None => Ok(()),
        }
    }

    /// Gives a group an event, and goes on until it has nothing more to write that is in the log at once.
    pub(super) fn step(&self, groups: &mut Groups, id: &str, request: RequestId, event: Event) -> Told {
        let mut at = Times { now: self.clock.now(), wall: self.wall() };
        if bugs::is(Bug::JudgeByCalendar) {
            at.now = at.now.plus(Duration::from_millis(self.skew.load(Ordering::Relaxed).unsigned_abs()));
        }
        let limits = self.group_limits;
        let group = groups.by_id.entry(id.to_owned()).or_insert_with(|| Group::new(id, limits));
        let mut events = VecDeque::from([event]);
        let mut told = Told::default();
        let mut to_join = Vec::new();
        while let Some(event) = events.pop_front() {
            let effects = group.step(event, at);
            to_join.extend(effects.to_join);
            for write in effects.writes {
                if let Some(result) = self.write(&groups.loaded, id, &write) {
                    events.push_back(Event::Written { write: write.id, result });
                }
            }
            for (of, answer) in effects.answers {
                if of == request {
                    told.answer = Some(answer);
                } else if let Some((_, ticket)) = groups.tickets.remove(&of) {
                    told.others.push((ticket, answer));
                }
            }
        }
        let watcher = |member: String| groups.watchers.get(&(id.to_owned(), member))?.upgrade();
        told.rebalance = to_join.into_iter().filter_map(watcher).collect();
        if group.is_gone() || !(group.is_known() || group.is_writing()) {
            groups.by_id.remove(id);
        } else {
            self.arm_group(groups, id);
        }
        told
    }

    /// Sees to it that a group is looked at when something is due in it.
    pub(super) fn arm_group(&self, groups: &mut Groups, id: &str) {
        let next = groups.by_id.get(id).map_or(Instant::MAX, Group::next_deadline);
        if next < Instant::MAX && groups.armed.get(id).is_none_or(|armed| next < *armed) {
            groups.armed.insert(id.to_owned(), next);
            self.timers.arm(next, Task::Group(id.to_owned()));
        }
    }

    /// Something may be due in a group: a member that was not heard of, a rebalance that takes too long.
    pub(super) fn tick_group(&self, id: &str) {
        let mut groups = self.groups.lock();
        groups.armed.remove(id);
        if self.check_open().is_err() || !groups.by_id.contains_key(id) || !self.keeps(&groups, id) {
            return;
        }
        // Nobody asks: the answers go to those who wait.
        let told = self.step(&mut groups, id, RequestId::MAX, Event::Tick);
        groups.watchers.retain(|_, watcher| watcher.strong_count() > 0);
        drop(groups);
        told.tell();
    }

    /// Ends all waiting with an error.
    pub(super) fn fail_group_requests(&self, error: &Error) {
        let tickets = std::mem::take(&mut self.groups.lock().tickets);
        for (_, ticket) in tickets.into_values() {
            ticket.fill(Err(error.clone()));
        }
    }

    pub(super) fn handle_offset_fetch(&self, request: &OffsetFetchRequest) -> Result<OffsetFetchResponse> {
        check_group_id(&request.group)?;
        let mut groups = self.groups.lock();
        self.coordinate(&mut groups, &request.group)?;
        let group = groups.by_id.get(&request.group);
        let committed =
            |partition: &TopicPartition| group?.committed(partition, self.topic_id(partition.topic()));
        Ok(OffsetFetchResponse { offsets: request.partitions.iter().map(committed).collect() })
    }

    /// Rule 11: what was committed for a topic goes with it.
    pub(super) fn forget_offsets(&self, topic: &str) -> Result<()> {
        let deleted = |request| Event::TopicDeleted { request, topic: topic.to_owned() };
        self.change_groups(|_, _| true, deleted)
    }

    /// Gives an event to each group that is meant, by its id.
    fn change_groups(
        &self,
        is_meant: impl Fn(&Groups, &str) -> bool,
        event: impl Fn(RequestId) -> Event,
    ) -> Result<()> {
        let mut groups = self.groups.lock();
        self.coordinate_all(&mut groups)?;
        let ids: Vec<String> = groups.by_id.keys().filter(|id| is_meant(&groups, id)).cloned().collect();
        ids.iter().try_for_each(|id| self.change_group(&mut groups, id, &event))
    }

    /// Rule 49: offsets that nobody has asked for are forgotten; but none of a topic that a Kafka has left, whose settings
    /// nobody knows.
    pub(super) fn expire_offsets(&self, retention: Duration) -> Result<()> {
        self.check_open()?;
        let compacts =
            |entry: &TopicEntry| entry.config.settings().is_ok_and(|s| s.cleanup_policy.compacts());
        if !self.topics.read().get(OFFSETS_TOPIC).is_some_and(|topic| compacts(&topic.entry)) {
            return Ok(());
        }
        let settled = |groups: &Groups, id: &str| !groups.in_transaction.contains(id);
        self.change_groups(settled, |request| Event::Expire { request, retention })
    }

    /// What the timer has done. What failed is tried again the next time.
    pub(super) fn check_offsets(&self) {
        if let Err(error) = self.expire_offsets(self.offsets_retention)
            && !matches!(error, Error::Closed)
        {
            trace::retention_failed(&error);
        }
        self.check_offsets_later();
    }

    pub(super) fn check_offsets_later(&self) {
        if self.offsets_retention < Duration::MAX {
            self.timers.arm(self.clock.now().plus(OFFSETS_CHECK_INTERVAL), Task::ExpireOffsets);
        }
    }

    /// What groups have committed beyond what is left of the logs; nothing after a clean close.
    pub(super) fn groups_beyond_end(&self, clean: bool) -> Result<Vec<GroupBeyondEnd>> {
        if clean {
            return Ok(Vec::new());
        }
        let mut groups = self.groups.lock();
        self.coordinate_all(&mut groups)?;
        let mut beyond = Vec::new();
        for (id, group) in &groups.by_id {
            for of in group.partitions() {
                let Some(committed) = group.committed(of, self.topic_id(of.topic())) else { continue };
                let Some(partition) = self.partition_named(of.topic(), of.partition()) else { continue };
                let mut state = partition.lock();
                let Some(log) = state.log_if_any()? else { continue };
                let epoch_end =
                    committed.leader_epoch.and_then(|epoch| log.end_offset_for_epoch(LeaderEpoch(epoch)));
                let end_offset = epoch_end.unwrap_or(log.end()).min(log.end()).get();
                if committed.offset > end_offset {
                    let (group, partition, committed) = (id.clone(), of.clone(), committed.offset);
                    beyond.push(GroupBeyondEnd { group, partition, committed, end_offset });
                }
            }
        }
        Ok(beyond)
    }
}

impl Groups {
    /// Whether there is such a group, among those that are loaded.
    pub(super) fn knows(&self, group: &str) -> bool {
        self.by_id.get(group).is_some_and(Group::is_known)
    }

    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        self.requests
    }

    /// Takes in a record that is in the log.
    pub(super) fn apply(&mut self, limits: Limits, record: &GroupRecord) {
        let id = record.group();
        self.by_id.entry(id.to_owned()).or_insert_with(|| Group::new(id, limits)).apply(record);
    }
}
