//! The network between brokers, and between clients and brokers: which links work, and how long messages take.

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
    reorders: bool,
    /// When the last message of a link arrives: the next one does not overtake it, unless messages may.
    last: BTreeMap<Link, Instant>,
}

impl Network {
    pub(super) fn new(prng: Prng) -> Self {
        let latency = (Duration::from_micros(200), Duration::from_micros(800));
        let (blocked, isolated, last) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { prng, latency, blocked, isolated, loss: 0, duplicates: 0, reorders: false, last }
    }

    /// When a message arrives that is sent now: never, once, or twice.
    pub(super) fn arrivals(
        &mut self,
        from: Option<BrokerId>,
        to: Option<BrokerId>,
        now: Instant,
    ) -> Vec<Instant> {
        let draws = [self.prng.below(1000), self.prng.below(1000)];
        let mut at = [self.arrival(now), self.arrival(now)];
        if !self.works(from, to) {
            return Vec::new();
        }
        // Clients have connections: what is sent on one comes once, in order, or not at all.
        let between_brokers = from.is_some() && to.is_some() && from != to;
        if between_brokers && draws[0] < self.loss {
            return Vec::new();
        }
        if !(between_brokers && self.reorders) {
            let last = self.last.entry((from, to)).or_insert(now);
            at[0] = at[0].max(*last);
            *last = at[0];
        }
        let twice = between_brokers && draws[1] < self.duplicates;
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

    pub(super) fn set_reorders(&mut self, reorders: bool) {
        self.reorders = reorders;
    }

    /// Everything works again.
    pub(super) fn heal(&mut self) {
        self.blocked.clear();
        self.isolated.clear();
        (self.loss, self.duplicates, self.reorders) = (0, 0, false);
    }
}
