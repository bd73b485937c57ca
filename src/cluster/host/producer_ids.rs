//! The producer ids that a broker gives out: from a block that the controller has given it, and that nobody else gets. What is
//! left of a block when the process ends is lost, so that no id is ever given out twice.

use super::{About, Question, Running};
use crate::{
    error::{Error, Result},
    rpc::{
        AllocateProducerIdsRequest, AllocateProducerIdsResponse, InitProducerIdResponse, Response, Ticket,
    },
    types::Instant,
};
use std::ops::Range;

#[derive(Debug)]
pub(super) struct ProducerIds {
    left: Range<i64>,
    /// Who waits for the next block, and until when.
    waiting: Vec<(Instant, Ticket<Response>)>,
    /// When the controller may be asked for a block; `None`: it is.
    ask_at: Option<Instant>,
}

impl ProducerIds {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: 0..0, waiting: Vec::new(), ask_at: Some(now) }
    }

    /// When there is something to do.
    pub(super) fn next_deadline(&self) -> Instant {
        let late = self.waiting.iter().map(|(deadline, _)| *deadline);
        let ask_at = self.ask_at.filter(|_| !self.waiting.is_empty());
        late.chain(ask_at).min().unwrap_or(Instant::MAX)
    }

    /// Whether the controller is to be asked now.
    fn wants_more(&self, now: Instant) -> bool {
        !self.waiting.is_empty() && self.ask_at.is_some_and(|at| at <= now)
    }

    /// Another block. What is left of the one before is as good as given out.
    fn take_up(&mut self, block: AllocateProducerIdsResponse, now: Instant) {
        self.left = block.first..block.first.saturating_add(block.count);
        self.ask_at = Some(now);
    }

    /// Those who wait and can have an id.
    fn served(&mut self) -> Vec<(Ticket<Response>, i64)> {
        let mut served = Vec::new();
        while !self.waiting.is_empty()
            && let Some(id) = self.left.next()
        {
            served.push((self.waiting.remove(0).1, id));
        }
        served
    }

    fn take_late(&mut self, now: Instant) -> Vec<Ticket<Response>> {
        self.waiting.extract_if(.., |(deadline, _)| *deadline <= now).map(|(_, ticket)| ticket).collect()
    }
}

impl Running {
    /// A client wants an id.
    pub(super) fn init_producer_id(&mut self, ticket: Ticket<Response>) {
        let deadline = self.post.clock().now().plus(self.timing.patience);
        self.producer_ids.waiting.push((deadline, ticket));
        self.give_producer_ids();
    }

    fn give_producer_ids(&mut self) {
        for (ticket, producer_id) in self.producer_ids.served() {
            let answer = InitProducerIdResponse { producer_id, producer_epoch: 0 };
            self.post.answer(self.id, &ticket, Ok(Response::InitProducerId(answer)));
        }
    }

    /// Asks the controller for a block where one is needed, and tells those who have waited for too long.
    pub(super) fn tend_producer_ids(&mut self, now: Instant) {
        for ticket in self.producer_ids.take_late(now) {
            self.post.answer(self.id, &ticket, Err(Error::NotController));
        }
        if !self.producer_ids.wants_more(now) {
            return;
        }
        let (Some(controller), Some(broker_epoch)) = (self.quorum.leader(), self.epoch) else {
            return self.producer_ids_failed(now);
        };
        self.producer_ids.ask_at = None;
        let request = AllocateProducerIdsRequest { broker: self.id, broker_epoch };
        let deadline = now.plus(self.timing.patience);
        self.ask(controller, Question::Control(request.into()), About::ProducerIds, deadline);
    }

    pub(super) fn producer_ids_came(&mut self, answer: Result<Response>, now: Instant) {
        match answer {
            Ok(Response::AllocateProducerIds(block)) => {
                self.producer_ids.take_up(block, now);
                self.give_producer_ids();
            }
            _ => self.producer_ids_failed(now),
        }
    }

    /// The controller is not there, or does not answer. A block that it may have given all the same is nobody's.
    pub(super) fn producer_ids_failed(&mut self, now: Instant) {
        self.producer_ids.ask_at = Some(now.plus(self.timing.backoff));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Slot;

    fn waits(ids: &mut ProducerIds, until: u64) {
        ids.waiting.push((Instant::from_nanos(until), Ticket::new(Slot::new())));
    }

    fn given(ids: &mut ProducerIds) -> Vec<i64> {
        ids.served().into_iter().map(|(_, id)| id).collect()
    }

    #[test]
    fn ids_come_from_one_block_after_the_other_and_each_once() {
        let now = Instant::default();
        let mut ids = ProducerIds::new(now);
        assert!(!ids.wants_more(now), "nobody waits");
        (0..3).for_each(|_| waits(&mut ids, 10));
        assert!(given(&mut ids).is_empty() && ids.wants_more(now));
        ids.take_up(AllocateProducerIdsResponse { first: 7000, count: 2 }, now);
        assert_eq!(given(&mut ids), [7000, 7001]);
        assert!(ids.wants_more(now), "one is left who waits");
        ids.take_up(AllocateProducerIdsResponse { first: 9000, count: 1000 }, now);
        waits(&mut ids, 10);
        assert_eq!(given(&mut ids), [9000, 9001]);
        assert!(!ids.wants_more(now));
    }

    #[test]
    fn who_waits_for_too_long_is_told() {
        let mut ids = ProducerIds::new(Instant::default());
        waits(&mut ids, 10);
        waits(&mut ids, 20);
        ids.ask_at = None;
        assert_eq!(ids.next_deadline(), Instant::from_nanos(10));
        assert_eq!(ids.take_late(Instant::from_nanos(10)).len(), 1);
        assert_eq!(ids.next_deadline(), Instant::from_nanos(20));
        ids.take_up(AllocateProducerIdsResponse { first: 0, count: 1000 }, Instant::from_nanos(15));
        assert_eq!(given(&mut ids), [0]);
        assert_eq!(ids.next_deadline(), Instant::MAX);
    }
}
