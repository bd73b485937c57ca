//! Followers here copy from leaders elsewhere, all partitions of one leader together; and leaders here let others copy.

use super::{About, Message, Question, Running, Told};
use crate::{
    bugs::{self, Bug},
    error::Result,
    rpc::{ReplicaFetchRequest, ReplicaFetchResponse},
    sync::{AtomicU64, Ordering},
    types::{BrokerId, Instant},
};
use std::{sync::Arc, time::Duration};

/// How long a leader is left alone after so many failures. A new partition is known to its leader a moment later: the first
/// time it is asked again at once.
fn backoff(failures: u32, most: Duration) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(1).saturating_mul(1 << (more - 2).min(10)).min(most),
    }
}

/// Paces what is copied of partitions that are on their way to a broker.
#[derive(Debug)]
pub(super) struct Throttle {
    rate: Arc<AtomicU64>,
    /// Until then nothing of them is asked for.
    rests_until: Instant,
}

impl Throttle {
    pub(super) fn new(rate: Arc<AtomicU64>) -> Self {
        Self { rate, rests_until: Instant::default() }
    }

    /// So many bytes have come.
    fn took(&mut self, bytes: usize, now: Instant) {
        let rate = self.rate.load(Ordering::Acquire);
        if rate < u64::MAX && bytes > 0 {
            let pause = Duration::from_secs_f64(bytes as f64 / rate as f64);
            self.rests_until = self.rests_until.max(now).plus(pause);
        }
    }

    /// How much may come at a time, and when again; `None`: nothing now.
    fn allows(&self, now: Instant) -> Option<usize> {
        let rate = self.rate.load(Ordering::Acquire);
        let limit = usize::try_from(rate).unwrap_or(usize::MAX);
        let unlimited = rate == u64::MAX || bugs::is(Bug::IgnoreThrottle);
        (unlimited || self.rests_until <= now).then_some(limit)
    }
}

impl Running {
    /// Asks those leaders that are to be asked now.
    pub(super) fn copy(&mut self, now: Instant) {
        let due = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
        let due: Vec<BrokerId> = self.leaders.iter().filter(|(_, at)| due(at)).map(|(id, _)| *id).collect();
        for leader in due {
            let allowed = self.throttle.allows(now);
            let mut wait = now.plus(self.timing.fetch_wait);
            if allowed.is_none() {
                wait = wait.min(self.throttle.rests_until);
            }
            let copies = self.copies.get(&leader).map(|copies| (leader, copies));
            match copies.and_then(|copies| self.node.next_replica_fetch(copies, wait, allowed)) {
                // All that follows it is to wait.
                Some(request) if request.partitions.is_empty() => {
                    let next = self.throttle.rests_until.max(now.plus(self.timing.backoff));
                    self.leaders.insert(leader, Some(next));
                }
                Some(request) => {
                    self.leaders.insert(leader, None);
                    let question = Question::Copy(request.clone());
                    self.ask(leader, question, About::Copy(leader, request), wait.plus(self.timing.patience));
                }
                None => drop(self.leaders.remove(&leader)),
            }
        }
    }

    /// What is copied has changed: whoever was asked is asked anew, for what is to be copied now.
    pub(super) fn follow_anew(&mut self, now: Instant) {
        self.pending.retain(|_, pending| !matches!(pending.about, About::Copy(..)));
        self.copies = self.node.followed();
        self.leaders = self.copies.keys().map(|leader| (*leader, Some(now))).collect();
    }

    pub(super) fn copied(
        &mut self,
        leader: BrokerId,
        request: &ReplicaFetchRequest,
        answer: Result<ReplicaFetchResponse>,
        now: Instant,
    ) {
        let all = answer.is_ok_and(|response| {
            self.throttle.took(self.node.throttled_bytes(request, &response), now);
            self.node.replica_fetched(request, response)
        });
        let failures = self.copy_failures.entry(leader).or_default();
        *failures = if all { 0 } else { *failures + 1 };
        let next = now.plus(backoff(*failures, self.timing.backoff));
        if let Some(at) = self.leaders.get_mut(&leader) {
            *at = Some(next);
        }
    }

    /// Lets a follower copy.
    pub(super) fn lend(&self, to: BrokerId, id: u64, request: ReplicaFetchRequest) {
        let (post, from) = (Arc::clone(&self.post), self.id);
        let tell = move |answer: Result<ReplicaFetchResponse>| {
            post.send(from, to, &Message::Answer { id, answer: Told::Copied(answer) });
        };
        self.node.replica_fetch(request).on_answer(tell);
    }
}
