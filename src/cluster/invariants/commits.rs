//! What is committed for a partition changes as clients ask, and no other way: each coordinator shows what was committed last, or
//! something that was asked for since. What was acknowledged, or shown once, neither goes back nor goes; what was refused is never there.

use super::{Held, broken};
use crate::types::{LeaderEpoch, Timestamp, TopicId, TopicPartition};

#[derive(Debug, Default)]
pub(super) struct Commits {
    /// What was committed last, as far as it is known, and what clients have asked for since, each with its number; `None`:
    /// that it be forgotten.
    asked: Vec<(u64, Option<i64>)>,
    /// The epoch of the last coordinator that has shown or acknowledged something.
    known_in: Option<LeaderEpoch>,
    topic: Option<TopicId>,
    kept_until: Timestamp,
}

impl Commits {
    pub(super) fn asked(&mut self, id: u64, offset: Option<i64>, kept_until: Timestamp) {
        self.asked.push((id, offset));
        self.kept_until = self.kept_until.max(kept_until);
    }

    /// A coordinator has acknowledged it.
    pub(super) fn done(&mut self, id: u64, epoch: LeaderEpoch) {
        if self.asked.iter().any(|(asked, _)| *asked == id) {
            self.asked.retain(|(asked, _)| *asked >= id);
            self.known_in = self.known_in.max(Some(epoch));
        }
    }

    /// A coordinator has refused it for good.
    pub(super) fn refused(&mut self, id: u64) {
        self.asked.retain(|(asked, _)| *asked != id);
    }

    /// A coordinator, in this epoch, shows what is committed.
    pub(super) fn look(
        &mut self,
        (group, of): (&str, &TopicPartition),
        epoch: LeaderEpoch,
        shown: Option<i64>,
        (topic, now): (Option<TopicId>, Timestamp),
    ) -> Held {
        if Some(epoch) < self.known_in {
            return Ok(());
        }
        let is_another = self.topic.is_some() && self.topic != topic;
        self.topic = topic;
        let may_be_forgotten = is_another || shown.is_none() && now >= self.kept_until;
        let known = self.asked.iter().position(|(_, offset)| *offset == shown);
        match known {
            Some(at) => drop(self.asked.drain(..at)),
            // Nothing is known of what was committed before anybody looked, nor of what nobody asks for any more.
            None if self.known_in.is_none() || may_be_forgotten => self.asked.insert(0, (0, shown)),
            None => {
                let asked: Vec<Option<i64>> = self.asked.iter().map(|(_, offset)| *offset).collect();
                let what = format_args!(
                    "{group} shows {shown:?} for {of}, and {asked:?} were committed or asked for last"
                );
                return Err(broken("commits stay", what));
            }
        }
        self.known_in = Some(epoch);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    fn look(commits: &mut Commits, epoch: i32, shown: Option<i64>) -> bool {
        let of = TopicPartition::new("t", 0);
        let topic = Some(TopicId::from_bytes([1; 16]));
        commits.look(("g", &of), LeaderEpoch(epoch), shown, (topic, NOW)).is_ok()
    }

    fn asked(commits: &mut Commits, id: u64, offset: Option<i64>) {
        commits.asked(id, offset, NOW + Duration::from_secs(60));
    }

    #[test]
    fn a_commit_that_was_shown_neither_goes_back_nor_goes() {
        for bad in [Some(3), Some(7), None] {
            let mut commits = Commits::default();
            assert!(look(&mut commits, 1, Some(3)), "from before");
            asked(&mut commits, 1, Some(5));
            assert!(
                look(&mut commits, 1, Some(3))
                    && look(&mut commits, 1, Some(5))
                    && look(&mut commits, 2, Some(5))
            );
            assert!(look(&mut commits, 1, Some(3)), "an old coordinator may not know");
            assert!(!look(&mut commits, 2, bad), "{bad:?}");
        }
    }

    #[test]
    fn what_was_acknowledged_holds_with_the_next_coordinator() {
        let mut commits = Commits::default();
        assert!(look(&mut commits, 1, None));
        asked(&mut commits, 1, Some(5));
        asked(&mut commits, 2, Some(4));
        commits.done(1, LeaderEpoch(1));
        assert!(look(&mut commits, 2, Some(4)), "it was asked for later, and may be there");
        let mut commits = Commits::default();
        assert!(look(&mut commits, 1, None));
        asked(&mut commits, 1, Some(5));
        commits.done(1, LeaderEpoch(1));
        assert!(!look(&mut commits, 2, None));
    }

    #[test]
    fn what_was_refused_is_never_there() {
        let mut commits = Commits::default();
        assert!(look(&mut commits, 1, Some(3)));
        asked(&mut commits, 1, Some(5));
        commits.refused(1);
        assert!(!look(&mut commits, 1, Some(5)));
    }

    #[test]
    fn what_is_forgotten_goes_when_somebody_asks_or_its_time_is_over() {
        let mut commits = Commits::default();
        asked(&mut commits, 1, Some(5));
        assert!(look(&mut commits, 1, Some(5)));
        asked(&mut commits, 2, None);
        assert!(look(&mut commits, 1, None));
        let mut commits = Commits::default();
        commits.asked(1, Some(5), NOW);
        assert!(look(&mut commits, 1, Some(5)) && look(&mut commits, 1, None));
    }
}
