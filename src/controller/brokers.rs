//! Brokers that come, are there, and go. (Kafka: `ClusterControlManager`, `BrokerHeartbeatManager`)

use super::{Controller, Election, Index, Session, image::RegisteredBroker};
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    rpc::{
        AllocateProducerIdsRequest, AllocateProducerIdsResponse, BrokerHeartbeatRequest,
        BrokerHeartbeatResponse, Done, RegisterBrokerRequest, RegisterBrokerResponse,
        UnregisterBrokerRequest,
        metadata_record::{MetadataRecord, PartitionState},
    },
    types::{BrokerEpoch, BrokerId, Instant, Offset},
};

/// How many producer ids a broker gets at once.
const PRODUCER_IDS: i64 = 1000;

impl Controller {
    /// The epoch is the index of the registration in the log: it rises, and a broker that has applied as much knows that it
    /// is registered. It has lost nothing if it has all of the epoch that is registered, or of the last one in which it was
    /// there: registrations of which it never heard, or that came late, from a process before, do not count.
    pub(super) fn register(&mut self, request: &RegisterBrokerRequest) -> RegisterBrokerResponse {
        let (id, incarnation) = (request.id, request.incarnation);
        let before = self.image.brokers.get(&id).copied();
        if let Some(broker) = before.filter(|broker| broker.incarnation == incarnation) {
            return RegisterBrokerResponse { epoch: broker.epoch };
        }
        let has_all = |broker: RegisteredBroker| {
            request.previous_epoch.is_some_and(|had| had == broker.epoch || Some(had) == broker.served_in)
        };
        let has_lost = before.is_some_and(|broker| !has_all(broker));
        let epoch = BrokerEpoch(i64::try_from(self.next.0).unwrap_or(i64::MAX));
        self.sessions.remove(&id);
        self.decide(MetadataRecord::RegisterBroker { id, epoch, incarnation });
        self.remove_from_partitions(id, has_lost);
        RegisterBrokerResponse { epoch }
    }

    pub(super) fn check_epoch(&self, id: BrokerId, epoch: BrokerEpoch) -> Result<()> {
        let current = self.image.brokers.get(&id).map(|broker| broker.epoch);
        if current == Some(epoch) { Ok(()) } else { Err(Error::StaleBrokerEpoch) }
    }

    pub(super) fn heartbeat(
        &mut self,
        request: &BrokerHeartbeatRequest,
        now: Instant,
    ) -> Result<BrokerHeartbeatResponse> {
        self.check_epoch(request.id, request.epoch)?;
        let id = request.id;
        let ends = now.plus(self.config.session_timeout);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.ends = ends;
            session.caught_up_to = session.caught_up_to.max(request.caught_up_to);
            if !request.wants_shutdown {
                return Ok(BrokerHeartbeatResponse { fenced: false, may_shut_down: false });
            }
            let may_shut_down = self.shut_down(id);
            return Ok(BrokerHeartbeatResponse { fenced: may_shut_down, may_shut_down });
        }
        if request.wants_shutdown {
            return Ok(BrokerHeartbeatResponse { fenced: true, may_shut_down: true });
        }
        let has_caught_up = request.caught_up_to >= Offset::new(request.epoch.0);
        if has_caught_up {
            let session = Session { ends, caught_up_to: request.caught_up_to, moved_at: Index(0) };
            self.sessions.insert(id, session);
            self.unfence(id);
        }
        Ok(BrokerHeartbeatResponse { fenced: !has_caught_up, may_shut_down: false })
    }

    fn set_broker(&mut self, id: BrokerId, fenced: bool, shutting_down: bool) {
        let Some(broker) = self.image.brokers.get(&id) else { return };
        if (broker.fenced, broker.shutting_down) != (fenced, shutting_down) {
            let epoch = broker.epoch;
            self.decide(MetadataRecord::BrokerChange { id, epoch, fenced, shutting_down });
        }
    }

    fn unfence(&mut self, id: BrokerId) {
        self.set_broker(id, false, false);
        let leaderless = |state: &PartitionState| state.leader.is_none();
        for at in self.image.partitions_where(|state| leaderless(state) && state.replicas.contains(&id)) {
            self.change_partition(at, None, None, Election::Online);
        }
    }

    /// All of them before any partition is seen to, so that none leads in between.
    pub(super) fn fence(&mut self, ids: &[BrokerId]) {
        for id in ids {
            self.sessions.remove(id);
            let shutting_down = self.image.brokers.get(id).is_some_and(|broker| broker.shutting_down);
            self.set_broker(*id, true, shutting_down);
        }
        ids.iter().for_each(|id| self.remove_from_partitions(*id, false));
    }

    /// It neither leads nor is in sync, but where it is the last one; if it has lost its data, there neither.
    fn remove_from_partitions(&mut self, id: BrokerId, has_lost: bool) {
        let lost = Some(id).filter(|_| has_lost);
        let counts = |state: &PartitionState| {
            state.leader == Some(id) || state.isr.contains(&id) || (has_lost && state.elr.contains(&id))
        };
        for at in self.image.partitions_where(counts) {
            let Some(state) = self.image.partition(at.0, at.1) else { continue };
            let isr = state.isr.iter().copied().filter(|broker| *broker != id).collect();
            self.change_partition(at, Some(isr), lost, Election::Online);
        }
    }

    /// Moves leaders away from a broker. It may go when it leads nothing, and all others know that.
    fn shut_down(&mut self, id: BrokerId) -> bool {
        if !self.image.brokers.get(&id).is_some_and(|broker| broker.shutting_down) {
            let leads = !self.image.partitions_where(|state| state.leader == Some(id)).is_empty();
            let moved_at = if leads { self.next } else { Index(0) };
            if let Some(session) = self.sessions.get_mut(&id) {
                session.moved_at = moved_at;
            }
            self.set_broker(id, false, true);
            self.remove_from_partitions(id, false);
        }
        let moved_at = self.sessions.get(&id).map_or(Index(0), |session| session.moved_at);
        let knows = |session: &Session| session.caught_up_to.get() >= moved_at.0 as i64;
        let mut active = self.sessions.iter().filter(|(id, _)| self.image.is_active(**id));
        let may_go = active.all(|(_, session)| knows(session));
        if may_go {
            self.fence(&[id]);
        }
        may_go
    }

    /// Forgets a broker that is gone, and has nothing.
    pub(super) fn unregister(&mut self, request: &UnregisterBrokerRequest) -> Result<Done> {
        let id = request.id;
        let Some(broker) = self.image.brokers.get(&id) else {
            return Err(Error::BrokerIdNotRegistered { broker: id });
        };
        let refused =
            |why: &str| Err(Error::IllegalState(format!("broker {id} cannot be unregistered: {why}")));
        if !broker.fenced {
            return refused("it is there");
        }
        let has_some = !self.image.partitions_where(|state| state.replicas.contains(&id)).is_empty();
        if has_some && !bugs::is(Bug::ForgetWhoHasPartitions) {
            return refused("it has partitions");
        }
        self.sessions.remove(&id);
        self.decide(MetadataRecord::UnregisterBroker { id });
        Ok(Done)
    }

    pub(super) fn allocate_producer_ids(
        &mut self,
        request: &AllocateProducerIdsRequest,
    ) -> Result<AllocateProducerIdsResponse> {
        self.check_epoch(request.broker, request.broker_epoch)?;
        let first = self.image.next_producer_id;
        self.decide(MetadataRecord::ProducerIds { next: first.saturating_add(PRODUCER_IDS) });
        Ok(AllocateProducerIdsResponse { first, count: PRODUCER_IDS })
    }
}
