//! A member's heart: it beats on the thread that sees to the broker's times, never in a poll.

use super::{Shared, handle::Identity};
use crate::{
    client::consumer_core::News,
    config::ConsumerConfig,
    error::{Error, Result},
    rpc::{
        Answer, HeartbeatRequest, JoinGroupResponse, LeaveGroupRequest, MemberIdentity, Notify, Response,
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
    /// A join is sent: it is also the answer to a rebalance that was heard of before.
    pub(super) fn joins(&mut self, member_id: &str) {
        self.member_id = Some(member_id.to_owned()).filter(|id| !id.is_empty());
        self.news.take_if(|news| matches!(news, News::Rebalance));
    }

    /// What was sent is answered later.
    pub(super) fn awaits(&mut self, ticket: Ticket<Response>) {
        self.ticket = Some(ticket);
    }

    /// The answer, or what it will come into.
    pub(super) fn answer(&mut self) -> Result<Result<Response>, Option<Ticket<Response>>> {
        self.collect();
        self.answer.take().ok_or_else(|| self.ticket.clone())
    }

    /// Takes the answer out of its ticket if it has come.
    fn collect(&mut self) {
        if let Some(answer) = self.ticket.as_ref().and_then(|ticket| ticket.take()) {
            (self.ticket, self.answer) = (None, Some(answer));
        }
    }

    /// The answer has come, and was taken.
    pub(super) fn forget_ticket(&mut self) {
        self.ticket = None;
    }

    /// Nothing of this counts any more.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
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

    /// What is due now. One that waits for the others to join need not be heard of; but one that was answered is a member
    /// from then on, whether it polls or not.
    fn beat(&mut self, heart: &Heart, now: Instant) -> Beat {
        self.sent.collect();
        if let Some(Ok(Response::JoinGroup(JoinGroupResponse::Joined(joined)))) = &self.sent.answer {
            let instance_id = heart.instance_id.clone();
            let (member_id, generation) = (joined.member_id.clone(), joined.generation);
            self.member = Some(MemberIdentity { member_id, generation, instance_id });
        }
        let Some(member) = self.known_as(heart) else { return Beat::Nothing };
        if now >= heart.patience() {
            return Beat::Leave(member);
        }
        let silent = self.sent.ticket.is_some() || self.member.is_none();
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
        {
            let mut identity = self.identity.lock();
            // One that is lost has nothing to hear of a rebalance.
            if !matches!(identity.sent.news, Some(News::Lost(_))) {
                identity.sent.news = Some(news);
            }
        }
        self.heart.has_news.store(true, Ordering::Release);
        self.interrupt();
    }

    /// Takes in how a heartbeat was answered, unless the member has moved on since.
    fn beaten(&self, by: &MemberIdentity, result: Result<Response, Box<Error>>) {
        let Err(error) = result else { return };
        if self.identity.lock().member.as_ref() != Some(by) {
            return;
        }
        match *error {
            Error::RebalanceInProgress { .. } => self.bring(News::Rebalance),
            error if error.is_fenced() => self.lost(error),
            // The next one may come through.
            _ => {}
        }
    }

    /// The member is none any more: whatever it commits is refused.
    fn lost(&self, error: Error) {
        self.identity.lock().member = None;
        self.bring(News::Lost(error));
    }

    /// It has not polled for too long: others are to go on with what it has. A static member only falls silent.
    fn expire(&self, member: MemberIdentity) {
        let Some(group) = self.group.clone() else { return };
        if member.instance_id.is_none() {
            let request =
                LeaveGroupRequest { group: group.clone(), member_id: member.member_id, instance_id: None };
            drop(self.client.service.call(self.coordinator, request.into()));
        }
        self.identity.lock().sent.clear();
        self.lost(Error::UnknownMemberId { group });
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
                match self.client.service.call(self.coordinator, request.into()) {
                    Answer::Ready(result) => self.beaten(&member, result),
                    // Whoever takes long to answer is asked again.
                    Answer::Parked(_) => {}
                }
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
