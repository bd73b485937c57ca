//! The coordinator, driven by hand: every event is made up here, and each write is in the log at once.

mod keeping;
mod members;
mod offsets;
mod simulation;

use super::*;
use crate::rpc::{JoinGroupResponse, Joined};

/// A group whose records are kept as a log keeps them.
struct Kept {
    group: Group,
    log: Vec<GroupRecord>,
    now: Instant,
    requests: RequestId,
    ids: u64,
    /// Answers to requests that waited.
    answers: BTreeMap<RequestId, Result<Response>>,
    /// Who is to be told that a rebalance has begun.
    to_join: Vec<String>,
}

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

impl Kept {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            group: Group::new("g", limits),
            log: Vec::new(),
            now: Instant::default(),
            requests: 0,
            ids: 0,
            answers: BTreeMap::new(),
            to_join: Vec::new(),
        }
    }

    fn at(&self) -> Times {
        let wall = Timestamp::from_millis(1_000) + self.now.since(Instant::default());
        Times { now: self.now, wall }
    }

    fn request(&mut self) -> RequestId {
        self.requests += 1;
        self.requests
    }

    /// Gives the group an event, and writes what it wants to have written.
    fn step(&mut self, event: Event) {
        self.step_writing(event, |_| Ok(()));
    }

    fn step_writing(&mut self, event: Event, write: impl Fn(&[GroupRecord]) -> Result<()>) {
        let at = self.at();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let effects = self.group.step(event, at);
            self.to_join.extend(effects.to_join);
            for (request, answer) in effects.answers {
                assert!(self.answers.insert(request, answer).is_none(), "{request} is answered twice");
            }
            for Write { id, records } in effects.writes.into_iter().rev() {
                let result = write(&records);
                if result.is_ok() {
                    self.log.extend(records);
                }
                events.push(Event::Written { write: id, result });
            }
        }
    }

    fn tick(&mut self) {
        self.step(Event::Tick);
    }

    fn advance(&mut self, by: Duration) {
        let until = self.now.plus(by);
        while self.group.next_deadline() <= until {
            self.now = self.now.max(self.group.next_deadline());
            self.tick();
        }
        self.now = until;
    }

    fn ask(&mut self, event: impl FnOnce(RequestId) -> Event) -> RequestId {
        let request = self.request();
        self.step(event(request));
        request
    }

    fn answer(&mut self, request: RequestId) -> Option<Result<Response>> {
        self.answers.remove(&request)
    }

    /// What is asked and answered at once.
    #[track_caller]
    fn answered(&mut self, event: impl FnOnce(RequestId) -> Event) -> Result<Response> {
        let request = self.ask(event);
        self.answer(request).expect("an answer at once")
    }

    fn join_event(&mut self, id: &str, instance_id: Option<&str>, protocols: &[(&str, &str)]) -> Join {
        self.ids += 1;
        let protocol = |(name, said): &(&str, &str)| ((*name).to_owned(), said.as_bytes().into());
        let asked = JoinGroupRequest {
            group: "g".to_owned(),
            member_id: id.to_owned(),
            instance_id: instance_id.map(ToOwned::to_owned),
            client_id: "c".to_owned(),
            session_timeout: SESSION,
            rebalance_timeout: REBALANCE,
            protocol_type: "consumer".to_owned(),
            protocols: protocols.iter().map(protocol).collect(),
            requires_known_member_id: false,
            notify: None,
        };
        Join { asked, new_member_id: format!("m{}", self.ids) }
    }

    /// A member, or one who wants to be one, joins.
    fn join(&mut self, id: &str) -> RequestId {
        let join = self.join_event(id, None, &[("range", "t")]);
        self.ask(|request| Event::Join(request, join))
    }

    /// What a join was answered.
    #[track_caller]
    fn joined(&mut self, request: RequestId) -> Joined {
        match self.answer(request) {
            Some(Ok(Response::JoinGroup(JoinGroupResponse::Joined(joined)))) => joined,
            other => panic!("not joined: {other:?}"),
        }
    }

    fn sync(&mut self, as_joined: &Joined, parts: &[(&str, &str)]) -> RequestId {
        self.sync_as(as_joined, None, parts)
    }

    fn sync_as(&mut self, joined: &Joined, instance: Option<&str>, parts: &[(&str, &str)]) -> RequestId {
        let member = identity(joined, instance);
        let part = |(id, part): &(&str, &str)| ((*id).to_owned(), part.as_bytes().into());
        let (protocol, assignments) = (joined.protocol.clone(), parts.iter().map(part).collect());
        self.ask(|request| Event::Sync { request, member, protocol, assignments })
    }

    #[track_caller]
    fn part(&mut self, request: RequestId) -> String {
        match self.answer(request) {
            Some(Ok(Response::SyncGroup(answer))) => String::from_utf8(answer.assignment.to_vec()).unwrap(),
            other => panic!("no part: {other:?}"),
        }
    }

    fn heartbeat(&mut self, member: &MemberIdentity) -> Result<Response> {
        let member = member.clone();
        self.answered(|request| Event::Heartbeat(request, member))
    }

    fn leave(&mut self, id: &str) -> Result<Response> {
        let (member_id, instance_id) = (id.to_owned(), None);
        self.answered(|request| Event::Leave { request, member_id, instance_id })
    }

    fn commit(&mut self, member: Option<&MemberIdentity>, offset: i64) -> Result<Response> {
        let (member, offsets) = (member.cloned(), Offsets::from([(("t", 0), offset)]));
        self.answered(|request| Event::Commit { request, member, offsets, topic_ids: BTreeMap::new() })
    }

    fn committed(&self) -> Option<i64> {
        self.group.committed(&TopicPartition::new("t", 0), None).map(|o| o.offset)
    }

    /// A stable group of `count` members that all have joined in one generation, the first of them its leader, who gave each
    /// its own id as its part.
    fn stable(&mut self, count: usize) -> Vec<Joined> {
        let mut requests = vec![self.join("")];
        if count > 1 {
            let first = self.joined(requests[0]);
            requests = (1..count).map(|_| self.join("")).collect();
            requests.insert(0, self.join(&first.member_id));
        }
        let members: Vec<Joined> = requests.into_iter().map(|request| self.joined(request)).collect();
        self.assign(&members);
        members
    }

    /// All ask for their parts, and the leader divides: each gets its own id.
    fn assign(&mut self, members: &[Joined]) {
        let ids: Vec<String> = members.iter().map(|member| member.member_id.clone()).collect();
        let parts: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
        let syncs: Vec<RequestId> = members
            .iter()
            .map(|member| self.sync(member, if member.leader == member.member_id { &parts } else { &[] }))
            .collect();
        for (sync, id) in syncs.into_iter().zip(&ids) {
            assert_eq!(self.part(sync), *id);
        }
        assert_eq!(self.group.state(), GroupState::Stable);
    }

    /// The group as it is read back from its records.
    fn replayed(&self, times: usize) -> Group {
        let mut group = Group::new("g", Limits::default());
        for _ in 0..times {
            self.log.iter().for_each(|record| group.apply(record));
        }
        group.take_up(self.now);
        group
    }
}

fn identity(joined: &Joined, instance: Option<&str>) -> MemberIdentity {
    MemberIdentity {
        member_id: joined.member_id.clone(),
        generation: joined.generation,
        instance_id: instance.map(ToOwned::to_owned),
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Option<Result<T>>) -> Error {
    match result {
        Some(Err(error)) => error,
        other => panic!("not refused: {other:?}"),
    }
}
