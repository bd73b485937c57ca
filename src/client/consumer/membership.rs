//! A member's heart: it beats on the thread that sees to the broker's times, never in a poll.

use super::{Shared, handle::Identity};
use crate::{
    client::consumer_core::News,
    config::ConsumerConfig,
    error::{Error, Result},
    rpc::{
        HeartbeatRequest, JoinGroupResponse, LeaveGroupRequest, MemberIdentity, Notify, Request, Response,
        Ticket, Timed,
    },
    sync::{AtomicBool, AtomicU64, Ordering},
    types::{Generation, Instant},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// What goes on between two polls.
#[derive(Debug, Default)]
pub(super) struct Heart {
    heartbeat_interval: Duration,
    max_poll_interval: Duration,
    /// Of a static member.
    pub(super) instance_id: Option<String>,
    /// Whether the consumer is in a poll.
    polls: AtomicBool,
    /// When it was in one last, in nanoseconds of the broker's clock.
    last_poll: AtomicU64,
    /// Whether there is news.
    has_news: AtomicBool,
}

/// What is under way to the group.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Whether it is not known to be answered.
    under_way: bool,
    ticket: Option<Ticket<Response>>,
    answer: Option<Result<Response>>,
    /// With which it joins.
    member_id: Option<String>,
    pub(super) news: Option<News>,
}

impl Heart {
    pub(super) fn new(config: &ConsumerConfig) -> Self {
        Self {
            heartbeat_interval: config.heartbeat_interval,
            max_poll_interval: config.max_poll_interval,
            instance_id: config.group_instance_id.clone(),
            ..Self::default()
        }
    }

    /// A poll is at work.
    pub(super) fn polls(&self, now: Instant) {
        self.last_poll.store(now.as_nanos(), Ordering::Relaxed);
        self.polls.store(true, Ordering::Release);
    }

    /// It has ended.
    pub(super) fn has_polled(&self) {
        self.polls.store(false, Ordering::Release);
    }

    /// Whether there is news that nobody has taken.
    pub(super) fn has_news(&self) -> bool {
        self.has_news.load(Ordering::Acquire)
    }

    /// Until when the next poll has to come.
    fn patience(&self) -> Instant {
        let last = Instant::from_nanos(self.last_poll.load(Ordering::Relaxed));
        if self.polls.load(Ordering::Acquire) { Instant::MAX } else { last.plus(self.max_poll_interval) }
    }
}

impl Sent {
    /// Something is about to be sent. A join is the answer to a rebalance that was heard of before, and its own answer tells
    /// the member if it is none any more.
    pub(super) fn begins(&mut self, request: &Request) {
        self.under_way = true;
        if let Request::JoinGroup(join) = request {
            self.member_id = Some(join.member_id.clone()).filter(|id| !id.is_empty());
            self.news = None;
        }
    }

    /// What was sent is answered later.
    pub(super) fn awaits(&mut self, ticket: Ticket<Response>) {
        (self.ticket, self.answer) = (Some(ticket), None);
    }

    /// Takes the answer out of its ticket if it has come.
    fn collect(&mut self) {
        if let Some(answer) = self.ticket.as_ref().and_then(|ticket| ticket.take()) {
            (self.under_way, self.ticket, self.answer) = (false, None, Some(answer));
        }
    }

    fn hear(&mut self, news: News) {
        // One that is lost has nothing to hear of a rebalance.
        if !matches!(self.news, Some(News::Lost(_))) {
            self.news = Some(news);
        }
    }
}

/// What a beat does.
enum Beat {
    Nothing,
    Heartbeat(MemberIdentity),
    Leave(MemberIdentity),
}

impl Identity {
    /// Under which name the group knows it, if it does; perhaps only as one that wants to join.
    pub(super) fn known_as(&self, heart: &Heart) -> Option<MemberIdentity> {
        let joins = |member_id: &String| MemberIdentity {
            member_id: member_id.clone(),
            generation: Generation::default(),
            instance_id: heart.instance_id.clone(),
        };
        self.member.clone().or_else(|| self.sent.member_id.as_ref().map(joins))
    }

    /// The answer to what was sent, or what it will come into.
    pub(super) fn answer(&mut self, heart: &Heart) -> Result<Result<Response>, Option<Ticket<Response>>> {
        self.collect(heart);
        self.sent.answer.take().ok_or_else(|| self.sent.ticket.clone())
    }

    /// The answer has come, and was taken.
    pub(super) fn answered(&mut self, answer: &Result<Response>, heart: &Heart) {
        (self.sent.under_way, self.sent.ticket) = (false, None);
        self.take_in(answer, heart);
    }

    fn collect(&mut self, heart: &Heart) {
        self.sent.collect();
        if let Some(answer) = self.sent.answer.take() {
            self.take_in(&answer, heart);
            self.sent.answer = Some(answer);
        }
    }

    /// One that is answered that it has joined is a member at once: what is told to the old one does not concern it.
    fn take_in(&mut self, answer: &Result<Response>, heart: &Heart) {
        if let Ok(Response::JoinGroup(JoinGroupResponse::Joined(joined))) = answer {
            let (member_id, instance_id) = (joined.member_id.clone(), heart.instance_id.clone());
            self.member = Some(MemberIdentity { member_id, generation: joined.generation, instance_id });
        }
    }

    /// The member is none any more: whatever it commits is refused, and nothing that it has sent counts. The group may know it
    /// all the same, if it is of an old generation: it leaves under that name.
    fn lose(&mut self, error: Error) {
        let stays = matches!(error, Error::IllegalGeneration { .. });
        let member_id = self.sent.member_id.take().filter(|_| stays);
        (self.member, self.sent) = (None, Sent { member_id, ..Sent::default() });
        self.sent.hear(News::Lost(error));
    }

    /// What is due now. One that waits for the others to join need not be heard of; but one that was answered is a member
    /// from then on, whether it polls or not.
    fn beat(&mut self, heart: &Heart, now: Instant) -> Beat {
        self.collect(heart);
        let Some(member) = self.known_as(heart) else { return Beat::Nothing };
        if now >= heart.patience() {
            return Beat::Leave(member);
        }
        let silent = self.sent.under_way || self.member.is_none();
        if silent { Beat::Nothing } else { Beat::Heartbeat(member) }
    }
}

impl Shared {
    /// Has the heart beat from now on.
    pub(super) fn start_heart(self: &Arc<Self>, now: Instant) {
        self.heart.polls(now);
        self.heart.has_polled();
        let this: Weak<dyn Timed> = Arc::<Self>::downgrade(self) as Weak<dyn Timed>;
        self.client.service.schedule(self.next_beat(now), this);
    }

    fn next_beat(&self, now: Instant) -> Instant {
        let patience = Some(self.heart.patience()).filter(|patience| *patience > now);
        now.plus(self.heart.heartbeat_interval).min(patience.unwrap_or(Instant::MAX))
    }

    /// What has happened to the membership since the last call.
    pub(super) fn news(&self) -> Option<News> {
        if !self.heart.has_news() {
            return None;
        }
        self.heart.has_news.store(false, Ordering::Release);
        self.identity.lock().sent.news.take()
    }

    fn bring(&self, news: News) {
        self.identity.lock().sent.hear(news);
        self.tell_of_news();
    }

    fn tell_of_news(&self) {
        self.heart.has_news.store(true, Ordering::Release);
        self.interrupt();
    }

    /// Takes in how a heartbeat was answered, unless the member has moved on since, or is about to: then the answer to what it
    /// has sent tells it more.
    fn beaten(&self, by: &MemberIdentity, result: Result<Response>) {
        let Err(error) = result else { return };
        {
            let mut identity = self.identity.lock();
            if identity.member.as_ref() != Some(by) || identity.sent.under_way {
                return;
            }
            match error {
                Error::RebalanceInProgress { .. } => identity.sent.hear(News::Rebalance),
                error if error.is_fenced() => identity.lose(error),
                // The next one may come through.
                _ => return,
            }
        }
        self.tell_of_news();
    }

    /// It has not polled for too long: others are to go on with what it has. A static member only falls silent.
    fn expire(&self, member: MemberIdentity) {
        let Some(group) = self.group.clone() else { return };
        let MemberIdentity { member_id, instance_id, .. } = member;
        if instance_id.is_none() {
            let request =
                LeaveGroupRequest { group: group.clone(), member_id: member_id.clone(), instance_id };
            drop(self.client.service.call(self.coordinator, request.into()));
        }
        {
            let mut identity = self.identity.lock();
            // It has learnt so on its own meanwhile, and joins as another.
            if identity.known_as(&self.heart).is_none_or(|known| known.member_id != member_id) {
                return;
            }
            identity.lose(Error::UnknownMemberId { group });
        }
        self.tell_of_news();
    }
}

impl Timed for Shared {
    fn due(&self, now: Instant) -> Option<Instant> {
        let beat = {
            let mut identity = self.identity.lock();
            if identity.gone {
                return None;
            }
            identity.beat(&self.heart, now)
        };
        match (beat, self.group.clone()) {
            (Beat::Heartbeat(member), Some(group)) => {
                let request = HeartbeatRequest { group, member: member.clone() };
                let me = Weak::clone(&self.me);
                // Whoever takes long to answer is asked again.
                self.client.service.call(self.coordinator, request.into()).on_answer(move |answer| {
                    if let Some(me) = me.upgrade() {
                        me.beaten(&member, answer);
                    }
                });
            }
            (Beat::Leave(member), _) => self.expire(member),
            _ => {}
        }
        Some(self.next_beat(now))
    }
}

impl Notify for Shared {
    fn rebalance_began(&self) {
        self.bring(News::Rebalance);
    }
}
