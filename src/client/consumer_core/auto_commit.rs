//! Commits that nobody asked for: as a poll begins, of what earlier polls have handed out.

use super::ConsumerCore;
use crate::{
    config::ConsumerConfig,
    error::{Error, Result},
    types::{Instant, Offsets},
};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct AutoCommit {
    interval: Duration,
    /// When the next commit is due; nothing is before the first poll.
    due: Option<Instant>,
    /// What is on its way.
    asked: Offsets,
    /// What was committed last: to write it again would only make the log of offsets longer.
    last: Offsets,
}

impl AutoCommit {
    pub(super) fn new(config: &ConsumerConfig) -> Option<Self> {
        let wanted = config.enable_auto_commit && config.group.is_some();
        let interval = config.auto_commit_interval;
        wanted.then_some(Self { interval, due: None, asked: Offsets::new(), last: Offsets::new() })
    }

    fn ended(&mut self, result: Result<()>, now: Instant) -> Result<()> {
        let asked = std::mem::take(&mut self.asked);
        if result.as_ref().is_err_and(Error::is_retriable) {
            return Ok(()); // It stays due: the next poll tries again.
        }
        self.due = Some(now.plus(self.interval));
        // This poll fails with an error. The ones after it go on, until the next commit is due.
        result.map(|()| self.last = asked)
    }
}

impl ConsumerCore {
    /// What to commit as a poll begins, if that is due.
    pub(super) fn commit_that_is_due(&mut self, now: Instant) -> Option<Offsets> {
        let auto = self.auto_commit.as_mut()?;
        if now < *auto.due.get_or_insert(now.plus(auto.interval)) {
            return None;
        }
        let positions = self.positions();
        let auto = self.auto_commit.as_mut()?;
        if positions == auto.last {
            auto.due = Some(now.plus(auto.interval));
            return None;
        }
        auto.asked = positions.clone();
        Some(positions)
    }

    /// Takes in how an automatic commit ended.
    pub(super) fn auto_committed(&mut self, result: Result<()>, now: Instant) -> Result<()> {
        self.auto_commit.as_mut().map_or(Ok(()), |auto| auto.ended(result, now))
    }

    /// A position in a new topic may be the same number as one in an old topic, whose commit went with it.
    pub(super) fn forget_last_commit(&mut self) {
        if let Some(auto) = &mut self.auto_commit {
            auto.last = Offsets::new();
        }
    }

    /// What to commit as the consumer is closed, due or not.
    pub(in crate::client) fn last_commit(&self) -> Option<Offsets> {
        let auto = self.auto_commit.as_ref()?;
        Some(self.positions()).filter(|positions| *positions != auto.last)
    }
}
