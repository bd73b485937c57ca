//! The network between brokers, and between clients and brokers: which links work, and how long messages take.

use super::marks::Mark;
use crate::{
    prng::Prng,
    types::{BrokerId, Instant},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A direction from one end to another; `None` is where all clients are.
type Link = (Option<BrokerId>, Option<BrokerId>);

#[derive(Debug)]
pub(super) struct Network {
    prng: Prng,
    latency: (Duration, Duration),
    blocked: BTreeSet<Link>,
    isolated: BTreeSet<BrokerId>,
    /// Of messages between brokers, per mille.
    loss: u64,
    duplicates: u64,
    reorders: u64,
    /// So many are held up for so long, and the others go on.
    delays: (u64, Duration),
    /// When the last message of a link arrives: the next one does not overtake it, unless it may.
    last: BTreeMap<Link, Instant>,
    /// What has become of messages.
    marks: BTreeMap<Mark, u64>,
}

impl Network {
    pub(super) fn new(prng: Prng) -> Self {
        let latency = (Duration::from_micros(200), Duration::from_micros(800));
        Self {
            prng,
            latency,
            blocked: BTreeSet::new(),
            isolated: BTreeSet::new(),
            loss: 0,
            duplicates: 0,
            reorders: 0,
            delays: (0, Duration::ZERO),
            last: BTreeMap::new(),
            marks: BTreeMap::new(),
        }
    }

    pub(super) fn marks(&self) -> &BTreeMap<Mark, u64> {
        &self.marks
    }

    fn hit(&mut self, mark: Mark) {
        *self.marks.entry(mark).or_default() += 1;
    }

    /// When a message arrives that is sent now: never, once, or twice.
    pub(super) fn arrivals(
        &mut self,
        from: Option<BrokerId>,
        to: Option<BrokerId>,
        now: Instant,
    ) -> Vec<Instant> {
        // Clients have connections: what is sent on one comes once, in order, or not at all.
        let between_brokers = from.is_some() && to.is_some() && from != to;
        let mut drawn = |rate: u64| self.prng.below(1000) < rate && between_brokers;
        let lost = drawn(self.loss);
        let twice = drawn(self.duplicates);
        let overtakes = drawn(self.reorders);
        let late = drawn(self.delays.0);
        let mut at = [self.arrival(now), self.arrival(now)];
        if !self.works(from, to) {
            return Vec::new();
        }
        let last = *self.last.entry((from, to)).or_insert(now);
        if lost {
            self.hit(Mark::MessageLost);
            return Vec::new();
        }
        if late {
            self.hit(Mark::MessageDelayed);
            at[0] = at[0].plus(self.delays.1);
        } else if overtakes && at[0] < last {
            self.hit(Mark::MessageOvertaken);
        } else {
            at[0] = at[0].max(last);
            self.last.insert((from, to), at[0]);
        }
        if twice {
            self.hit(Mark::MessageDoubled);
        }
        at.into_iter().take(if twice { 2 } else { 1 }).collect()
    }

    fn arrival(&mut self, now: Instant) -> Instant {
        let (least, most) = self.latency;
        let more = self.prng.below((most.saturating_sub(least)).as_nanos() as u64 + 1);
        now.plus(least + Duration::from_nanos(more))
    }

    fn works(&self, from: Option<BrokerId>, to: Option<BrokerId>) -> bool {
        let cut = |end: Option<BrokerId>| end.is_some_and(|id| self.isolated.contains(&id));
        from == to || !(cut(from) || cut(to) || self.blocked.contains(&(from, to)))
    }

    pub(super) fn isolate(&mut self, broker: BrokerId) {
        self.isolated.insert(broker);
    }

    pub(super) fn block(&mut self, from: BrokerId, to: BrokerId) {
        self.blocked.insert((Some(from), Some(to)));
    }

    pub(super) fn set_latency(&mut self, least: Duration, most: Duration) {
        self.latency = (least, most.max(least));
    }

    pub(super) fn set_loss(&mut self, per_mille: u64) {
        self.loss = per_mille;
    }

    pub(super) fn set_duplicates(&mut self, per_mille: u64) {
        self.duplicates = per_mille;
    }

    pub(super) fn set_reorders(&mut self, per_mille: u64) {
        self.reorders = per_mille;
    }

    pub(super) fn set_delays(&mut self, per_mille: u64, by: Duration) {
        self.delays = (per_mille, by);
    }

    /// Everything works again.
    pub(super) fn heal(&mut self) {
        self.blocked.clear();
        self.isolated.clear();
        (self.loss, self.duplicates, self.reorders) = (0, 0, 0);
        self.delays = (0, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: u64 = 10_000;

    /// Sends messages a hundredth of a millisecond apart, and gives when each arrives.
    fn send(network: &mut Network, from: Option<i32>, to: Option<i32>) -> Vec<Vec<Instant>> {
        let (from, to) = (from.map(BrokerId::from), to.map(BrokerId::from));
        let at = |n: u64| Instant::from_nanos(n * 10_000);
        (0..COUNT).map(|n| network.arrivals(from, to, at(n))).collect()
    }

    fn network() -> Network {
        Network::new(Prng::new(5))
    }

    /// About three in ten.
    fn is_the_rate(count: usize) -> bool {
        (2800..3200).contains(&count)
    }

    fn overtaken(arrivals: &[Vec<Instant>]) -> usize {
        let first: Vec<Instant> = arrivals.iter().filter_map(|all| all.first().copied()).collect();
        first.windows(2).filter(|pair| pair[1] < pair[0]).count()
    }

    #[test]
    fn each_message_comes_once_and_in_order_within_its_latency() {
        let mut network = network();
        for (from, to) in [(Some(1), Some(2)), (None, Some(2)), (Some(2), None)] {
            let arrivals = send(&mut network, from, to);
            assert!(arrivals.iter().all(|all| all.len() == 1) && overtaken(&arrivals) == 0);
            let took =
                |(n, all): (usize, &Vec<Instant>)| all[0].since(Instant::from_nanos(n as u64 * 10_000));
            let took: Vec<Duration> = arrivals.iter().enumerate().map(took).collect();
            let bounds = Duration::from_micros(200)..=Duration::from_micros(800);
            assert!(took.iter().all(|took| bounds.contains(took)));
        }
        assert!(network.marks().is_empty());
    }

    #[test]
    fn messages_between_brokers_are_lost_and_doubled_by_rate_and_those_of_clients_are_not() {
        let mut network = network();
        network.set_loss(300);
        network.set_duplicates(300);
        let arrivals = send(&mut network, Some(1), Some(2));
        let lost = arrivals.iter().filter(|all| all.is_empty()).count();
        let twice = arrivals.iter().filter(|all| all.len() == 2).count();
        assert!(is_the_rate(lost) && is_the_rate(twice * 10 / 7), "{lost} {twice}");
        let counts = [(Mark::MessageLost, lost as u64), (Mark::MessageDoubled, twice as u64)];
        assert_eq!(*network.marks(), counts.into());
        let clients = send(&mut network, None, Some(2));
        assert!(clients.iter().all(|all| all.len() == 1));
        network.heal();
        assert!(send(&mut network, Some(1), Some(2)).iter().all(|all| all.len() == 1));
    }

    #[test]
    fn messages_between_brokers_overtake_each_other_where_they_may() {
        let mut network = network();
        network.set_reorders(100);
        let few = overtaken(&send(&mut network, Some(1), Some(2)));
        network.set_reorders(1000);
        let many = overtaken(&send(&mut network, Some(1), Some(3)));
        assert!(few > 0 && many > 2 * few, "{few} {many}");
        assert_eq!(overtaken(&send(&mut network, None, Some(2))), 0);
        network.heal();
        assert_eq!(overtaken(&send(&mut network, Some(1), Some(4))), 0);
    }

    #[test]
    fn messages_between_brokers_are_held_up_by_rate_and_the_others_go_on() {
        let mut network = network();
        let by = Duration::from_millis(50);
        network.set_delays(300, by);
        let arrivals = send(&mut network, Some(1), Some(2));
        let late =
            |(n, all): &(usize, &Vec<Instant>)| all[0] >= Instant::from_nanos(*n as u64 * 10_000).plus(by);
        let late = arrivals.iter().enumerate().filter(late).count();
        assert!(is_the_rate(late), "{late}");
        assert_eq!(network.marks().get(&Mark::MessageDelayed), Some(&(late as u64)));
        network.heal();
        let behind = network.arrivals(Some(1.into()), Some(2.into()), Instant::from_nanos(COUNT * 10_000));
        assert!(
            behind[0] < Instant::from_nanos(COUNT * 10_000).plus(by),
            "it waits for none that is held up"
        );
    }

    #[test]
    fn a_link_that_is_blocked_is_so_in_one_direction() {
        let mut network = network();
        network.block(1.into(), 2.into());
        assert!(send(&mut network, Some(1), Some(2)).iter().all(Vec::is_empty));
        assert!(send(&mut network, Some(2), Some(1)).iter().all(|all| all.len() == 1));
        network.isolate(3.into());
        for (from, to) in [(Some(3), Some(2)), (Some(2), Some(3)), (None, Some(3)), (Some(3), None)] {
            assert!(send(&mut network, from, to).iter().all(Vec::is_empty));
        }
        assert!(send(&mut network, Some(3), Some(3)).iter().all(|all| all.len() == 1), "itself it reaches");
        network.heal();
        assert!(send(&mut network, Some(1), Some(2)).iter().all(|all| all.len() == 1));
    }
}
