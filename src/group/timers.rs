//! What happens in a group when nothing happens.

use super::{Effects, Group, State, Times};
use crate::types::Instant;

impl Group {
    /// When it is to be stepped by [`Event::Tick`](super::Event::Tick), if nothing comes before; it may be for nothing then.
    pub(crate) fn next_deadline(&self) -> Instant {
        let state = match &self.state {
            State::Preparing { until, not_before, delayed } => {
                if *delayed {
                    *not_before
                } else {
                    *until
                }
            }
            State::Completing | State::Empty | State::Stable => Instant::MAX,
        };
        let state = if self.awaited.is_empty() { state } else { state.min(self.awaited_until) };
        let members = self.members.values().map(super::member::Member::expires);
        members.chain(self.pending.values().copied()).fold(state, Instant::min)
    }

    /// Does all that is due.
    pub(super) fn tick(&mut self, at: Times, effects: &mut Effects) {
        let before = self.pending.len();
        self.pending.retain(|_, until| at.now < *until);
        if self.pending.len() < before {
            self.maybe_complete_join(at, effects);
        }
        let silent = self.members.iter().filter(|(_, member)| member.expires() <= at.now);
        let silent: Vec<String> = silent.map(|(id, _)| id.clone()).collect();
        if !silent.is_empty() {
            self.remove(&silent, at, effects);
        }
        match &mut self.state {
            State::Preparing { not_before, delayed, .. } if *delayed && *not_before <= at.now => {
                *delayed = false;
                self.maybe_complete_join(at, effects);
            }
            State::Preparing { until, .. } if *until <= at.now => self.complete_join(at, effects),
            State::Completing | State::Stable if self.awaited_until <= at.now && !self.awaited.is_empty() => {
                let silent: Vec<String> = std::mem::take(&mut self.awaited).into_iter().collect();
                self.remove(&silent, at, effects);
            }
            _ => {}
        }
    }
}
