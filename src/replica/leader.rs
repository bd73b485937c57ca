//! What the leader of a partition knows of its followers: how far each has copied the log, which of them are in sync, and
//! how far consumers may read. (Kafka: `Partition`)

use crate::{
    bugs::{self, Bug},
    types::{BrokerId, Instant, LeaderEpoch, Offset},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What the controller says of a partition, and how its topic is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaderState {
    pub(crate) epoch: LeaderEpoch,
    /// Counts the changes of what is said here.
    pub(crate) partition_epoch: i32,
    /// All that are to have a copy.
    pub(crate) replicas: Vec<BrokerId>,
    pub(crate) isr: BTreeSet<BrokerId>,
    /// The brokers that may be in sync: neither fenced nor about to go.
    pub(crate) active: BTreeSet<BrokerId>,
    /// The topic's `min_insync_replicas`.
    pub(crate) min_insync_replicas: usize,
}

/// The leader's side of a partition.
#[derive(Debug, Clone)]
pub(crate) struct Leader {
    me: BrokerId,
    state: LeaderState,
    /// Where its epoch begins.
    epoch_start: Offset,
    /// What the controller was asked to make the ISR, and has not answered.
    proposed: Option<BTreeSet<BrokerId>>,
    followers: BTreeMap<BrokerId, Follower>,
    high_watermark: Offset,
    max_lag: Duration,
}

/// A follower, as its fetches tell.
#[derive(Debug, Clone, Copy)]
struct Follower {
    /// Where its log ends; `None` until it fetches.
    end: Option<Offset>,
    /// When it was known last to have all that there was.
    caught_up: Instant,
    /// When it fetched last, and where the leader's log ended then.
    fetched: (Instant, Offset),
    /// Under which registration of its broker it fetches.
    broker_epoch: i64,
}

/// What has come of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// The high watermark has risen.
    pub(crate) raised: bool,
    /// The ISR that the controller is to be asked for, with the registrations that the leader knows the brokers by.
    pub(crate) propose: Option<Vec<(BrokerId, i64)>>,
}

impl Leader {
    /// The broker `me` leads from now on. Its log ends at `end`, and consumers may read up to `high_watermark` for what it
    /// knows as a follower. A follower that says nothing for `max_lag` is not in sync any more.
    pub(crate) fn new(
        me: BrokerId,
        state: LeaderState,
        (end, high_watermark): (Offset, Offset),
        max_lag: Duration,
        now: Instant,
    ) -> Self {
        let unknown = Follower { end: None, caught_up: now, fetched: (now, end), broker_epoch: -1 };
        let followers = state.replicas.iter().filter(|id| **id != me).map(|id| (*id, unknown)).collect();
        let (epoch_start, proposed) = (end, None);
        Self { me, state, epoch_start, proposed, followers, high_watermark, max_lag }
    }

    pub(crate) fn epoch(&self) -> LeaderEpoch {
        self.state.epoch
    }

    pub(crate) fn partition_epoch(&self) -> i32 {
        self.state.partition_epoch
    }

    pub(crate) fn isr(&self) -> &BTreeSet<BrokerId> {
        &self.state.isr
    }

    /// Those in sync, and those of whom the controller was asked whether they are: it may have taken them in, and elect them.
    pub(crate) fn may_be_in_sync(&self) -> impl Iterator<Item = BrokerId> {
        self.state.isr.iter().chain(self.proposed.iter().flatten()).copied()
    }

    /// Exclusive: consumers may read what lies below it.
    pub(crate) fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// Rule 9: whether it is known how far consumers may read. A new leader may not know yet of all that its predecessor
    /// has let them read.
    pub(crate) fn knows_end(&self) -> bool {
        self.high_watermark >= self.epoch_start
    }

    /// How many replicas have to be in sync for a record that all are to have.
    pub(crate) fn needed(&self) -> usize {
        self.state.min_insync_replicas.min(self.state.replicas.len())
    }

    /// Whether so many are.
    pub(crate) fn has_enough(&self) -> bool {
        self.state.isr.len() >= self.needed()
    }

    /// Records were appended, and the log ends at `end`.
    pub(crate) fn appended(&mut self, end: Offset, now: Instant) -> News {
        self.news(None, end, now)
    }

    /// A follower fetches from `offset` on: so far it has the log, which ends at `end` here.
    pub(crate) fn fetched(
        &mut self,
        from: (BrokerId, i64),
        offset: Offset,
        end: Offset,
        now: Instant,
    ) -> News {
        let Some(follower) = self.followers.get_mut(&from.0) else { return News::default() };
        if from.1 < follower.broker_epoch {
            return News::default();
        }
        follower.broker_epoch = from.1;
        if offset >= end {
            follower.caught_up = now;
        } else if offset >= follower.fetched.1 && follower.end.is_some() {
            follower.caught_up = follower.caught_up.max(follower.fetched.0);
        }
        follower.end = Some(offset);
        follower.fetched = (now, end);
        self.news(Some(from.0), end, now)
    }

    /// Looks at who has not caught up for too long.
    pub(crate) fn tick(&mut self, end: Offset, now: Instant) -> News {
        self.news(None, end, now)
    }

    /// When a follower may be out of sync that is in it now.
    pub(crate) fn next_deadline(&self, end: Offset) -> Instant {
        let behind = |id: &BrokerId| self.followers.get(id).filter(|follower| follower.end != Some(end));
        let times = self.state.isr.iter().filter_map(behind).map(|f| f.caught_up.plus(self.max_lag));
        if self.proposed.is_some() { Instant::MAX } else { times.min().unwrap_or(Instant::MAX) }
    }

    /// The controller says what holds now, in the same epoch. `false`: it is older than what is known.
    pub(crate) fn learn(&mut self, said: &LeaderState) -> bool {
        if said.partition_epoch < self.state.partition_epoch {
            return false;
        }
        if said.partition_epoch > self.state.partition_epoch {
            self.proposed = None;
        }
        self.followers.retain(|id, _| said.replicas.contains(id));
        for id in said.replicas.iter().filter(|id| **id != self.me) {
            // One that is new was never in sync.
            let (caught_up, fetched) = (Instant::default(), (Instant::default(), Offset::ZERO));
            self.followers.entry(*id).or_insert(Follower { end: None, caught_up, fetched, broker_epoch: -1 });
        }
        self.state = said.clone();
        true
    }

    /// Whether the controller was asked for another ISR, and nobody knows yet what it has made of that.
    pub(crate) fn has_proposed(&self) -> bool {
        self.proposed.is_some()
    }

    /// The controller does not make the ISR what it was asked for, for sure: it may be asked for another one. (While nobody
    /// knows, who was to join is counted: it may be in sync by the controller's word, and be elected.)
    pub(crate) fn refused(&mut self) {
        self.proposed = None;
    }

    /// Whether a follower has all that there is, or had so short a time ago.
    fn is_caught_up(&self, follower: &Follower, end: Offset, now: Instant) -> bool {
        follower.end == Some(end) || follower.caught_up.plus(self.max_lag) > now
    }

    /// Rule 56.
    fn may_join(&self, id: BrokerId, follower: &Follower) -> bool {
        if !self.state.active.contains(&id) {
            return false;
        }
        let bug = bugs::is(Bug::JoinBehind);
        follower.end.is_some_and(|end| bug || end >= self.high_watermark && end >= self.epoch_start)
    }

    fn news(&mut self, fetched: Option<BrokerId>, end: Offset, now: Instant) -> News {
        let raised = self.raise(end, now);
        let propose = if self.proposed.is_none() { self.propose(fetched, end, now) } else { None };
        News { raised, propose }
    }

    /// Rules 19 and 54: the high watermark is the least end over those in sync, and over those about to be, and stands while
    /// too few are. Those whom the controller was asked to take in count as in sync, and those it was asked to leave out
    /// do until it has answered.
    fn raise(&mut self, end: Offset, now: Instant) -> bool {
        if !self.has_enough() {
            return false;
        }
        let counts = |(id, follower): &(&BrokerId, &Follower)| {
            if bugs::is(Bug::ForgetJoiners) {
                return self.state.isr.contains(id);
            }
            self.state.isr.contains(id)
                || self.proposed.as_ref().is_some_and(|proposed| proposed.contains(id))
                || follower.end.is_some()
                    && self.is_caught_up(follower, end, now)
                    && self.may_join(**id, follower)
        };
        let ends = self.followers.iter().filter(counts);
        let least = ends.map(|(_, follower)| follower.end.unwrap_or(Offset::ZERO)).min();
        let reached = least.map_or(end, |least| least.min(end));
        let raised = reached > self.high_watermark;
        self.high_watermark = self.high_watermark.max(reached);
        raised
    }

    /// Another ISR than the one that holds, if there should be one: a follower joins when it fetches.
    fn propose(
        &mut self,
        fetched: Option<BrokerId>,
        end: Offset,
        now: Instant,
    ) -> Option<Vec<(BrokerId, i64)>> {
        let belongs = |(id, follower): &(&BrokerId, &Follower)| {
            if self.state.isr.contains(id) {
                self.is_caught_up(follower, end, now)
            } else {
                Some(**id) == fetched && self.may_join(**id, follower)
            }
        };
        let others = self.followers.iter().filter(belongs).map(|(id, _)| *id);
        let isr: BTreeSet<BrokerId> = others.chain([self.me]).collect();
        if isr == self.state.isr {
            return None;
        }
        let epoch = |id: &BrokerId| self.followers.get(id).map_or(-1, |follower| follower.broker_epoch);
        let named = isr.iter().map(|id| (*id, epoch(id))).collect();
        self.proposed = Some(isr);
        Some(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_LAG: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Instant {
        Instant::default().plus(Duration::from_secs(seconds))
    }

    fn off(offset: i64) -> Offset {
        Offset::new(offset)
    }

    fn ids<const N: usize>(ids: [i32; N]) -> BTreeSet<BrokerId> {
        ids.into_iter().map(BrokerId::from).collect()
    }

    /// Broker 1 leads from offset 10 on, and knows that 8 is the high watermark.
    fn leader<const N: usize>(isr: [i32; N], min_insync_replicas: usize) -> Leader {
        let state = LeaderState {
            epoch: LeaderEpoch(3),
            partition_epoch: 5,
            replicas: [1, 2, 3].map(BrokerId::from).to_vec(),
            isr: ids(isr),
            active: ids([1, 2, 3]),
            min_insync_replicas,
        };
        Leader::new(1.into(), state, (off(10), off(8)), MAX_LAG, at(0))
    }

    fn said<const N: usize>(leader: &mut Leader, partition_epoch: i32, isr: [i32; N]) -> bool {
        let said = LeaderState { partition_epoch, isr: ids(isr), ..leader.state.clone() };
        leader.learn(&said)
    }

    fn fetch(leader: &mut Leader, from: i32, offset: i64, end: i64, seconds: u64) -> News {
        leader.fetched((from.into(), 7), off(offset), off(end), at(seconds))
    }

    #[test]
    fn rule_54_the_high_watermark_is_the_least_end_of_those_in_sync() {
        let mut leader = leader([1, 2, 3], 1);
        assert!(!leader.appended(off(12), at(0)).raised);
        assert!(!fetch(&mut leader, 2, 12, 12, 1).raised, "the third has not fetched");
        assert!(fetch(&mut leader, 3, 11, 12, 1).raised);
        assert_eq!(leader.high_watermark(), off(11));
        assert!(!fetch(&mut leader, 3, 9, 12, 2).raised, "it never goes back");
        assert_eq!(leader.high_watermark(), off(11));
    }

    #[test]
    fn rule_54_one_who_is_about_to_join_holds_the_high_watermark_back() {
        let mut leader = leader([1, 2], 1);
        fetch(&mut leader, 2, 10, 10, 0);
        assert_eq!(leader.high_watermark(), off(10));
        let asked = fetch(&mut leader, 3, 10, 10, 0).propose;
        assert_eq!(asked, Some(vec![(1.into(), -1), (2.into(), 7), (3.into(), 7)]));
        assert!(!fetch(&mut leader, 2, 12, 12, 1).raised, "the controller may have taken it in");
        assert_eq!(leader.may_be_in_sync().collect::<BTreeSet<_>>(), ids([1, 2, 3]));
        assert!(fetch(&mut leader, 3, 12, 12, 1).raised);
        assert!(said(&mut leader, 6, [1, 2, 3]) && !said(&mut leader, 5, [1]));
    }

    #[test]
    fn rule_19_with_too_few_in_sync_the_high_watermark_stands() {
        let mut leader = leader([1, 2], 2);
        assert!(leader.has_enough());
        fetch(&mut leader, 2, 10, 10, 0);
        assert!(said(&mut leader, 6, [1]));
        assert!(!leader.has_enough());
        assert!(!leader.appended(off(14), at(1)).raised);
        assert_eq!(leader.high_watermark(), off(10));
        assert!(said(&mut leader, 7, [1, 2]));
        assert!(fetch(&mut leader, 2, 14, 14, 2).raised);
        let more = LeaderState { partition_epoch: 8, min_insync_replicas: 9, ..leader.state.clone() };
        assert!(leader.learn(&more));
        assert_eq!(leader.needed(), 3, "more than there are replicas is all of them");
    }

    #[test]
    fn a_follower_that_falls_silent_or_lags_leaves_the_isr_and_no_other() {
        let mut leader = leader([1, 2, 3], 1);
        for second in 0..9 {
            // The second one always has what there was at its last fetch, the third one never.
            let end = 10 + second as i64;
            assert_eq!(fetch(&mut leader, 2, end - 1, end, second).propose, None);
            assert_eq!(fetch(&mut leader, 3, 9, end, second).propose, None);
        }
        assert_eq!(leader.next_deadline(off(19)), at(10));
        assert_eq!(leader.tick(off(19), at(9)).propose, None);
        assert_eq!(leader.tick(off(19), at(10)).propose, Some(vec![(1.into(), -1), (2.into(), 7)]));
        assert_eq!(leader.tick(off(19), at(11)).propose, None, "it was asked");
        leader.refused();
        assert!(leader.tick(off(19), at(11)).propose.is_some());
    }

    #[test]
    fn rule_56_who_has_less_than_the_high_watermark_or_nothing_of_the_epoch_does_not_join() {
        let mut leader = leader([1, 2], 1);
        assert_eq!(fetch(&mut leader, 3, 7, 10, 0).propose, None);
        assert_eq!(fetch(&mut leader, 3, 9, 10, 0).propose, None, "its end is below the epoch's start");
        assert!(fetch(&mut leader, 3, 10, 12, 0).propose.is_some());
    }

    #[test]
    fn who_is_fenced_neither_joins_nor_holds_the_high_watermark_back() {
        let mut leader = leader([1, 2], 1);
        let fenced = LeaderState { partition_epoch: 6, active: ids([1, 2]), ..leader.state.clone() };
        assert!(leader.learn(&fenced));
        assert_eq!(fetch(&mut leader, 3, 10, 10, 0).propose, None);
        assert!(fetch(&mut leader, 2, 12, 12, 1).raised);
        assert_eq!(leader.high_watermark(), off(12));
    }

    #[test]
    fn what_a_broker_fetched_before_it_registered_anew_does_not_count() {
        let mut leader = leader([1, 2], 1);
        fetch(&mut leader, 2, 9, 12, 0);
        assert_eq!(leader.fetched((2.into(), 6), off(12), off(12), at(1)), News::default());
        assert_eq!(leader.high_watermark(), off(9));
    }

    #[test]
    fn rule_09_a_new_leader_knows_the_end_once_its_followers_have_fetched() {
        let mut leader = leader([1, 2], 1);
        assert!(!leader.knows_end());
        fetch(&mut leader, 2, 10, 10, 0);
        assert!(leader.knows_end());
    }
}
