//! What a broker has to do with the controller: it registers, says that it is there, asks for other ISRs, and hands clients'
//! requests on. And what the controller does, if it is here.

use super::{About, Active, Message, Question, ReplyTo, Running, Shutdown, Told};
use crate::{
    bugs::{self, Bug},
    controller::quorum::{Event, Index},
    env::{Storage, read_file, replace_file},
    error::{Error, Result},
    node::IsrProposal,
    rpc::{
        AlterPartitionRequest, BrokerHeartbeatRequest, Done, RegisterBrokerRequest, Request, Response,
        Ticket, metadata_record::MetadataRecord,
    },
    types::{BrokerEpoch, BrokerId, Instant, Offset, PartitionEpoch},
};
use std::path::Path;

/// Remembers under which epoch the broker was registered, and since which loss of power: 20 bytes, the epoch i64, the boot u64,
/// and the CRC-32 of both.
const REGISTRATION: &str = "broker-epoch";

/// In the place of a boot: the process ended in order, with all that its broker ever had, and what there is outlives any boot.
pub(in crate::cluster) const CLOSED: u64 = u64::MAX;

/// Whether a broker hands a client's request on.
pub(super) fn is_for_controller(request: &Request) -> bool {
    matches!(
        request,
        Request::CreateTopic(_)
            | Request::DeleteTopic(_)
            | Request::CreatePartitions(_)
            | Request::AlterConfigs(_)
            | Request::ElectLeaders(_)
            | Request::AlterPartitionReassignments(_)
            | Request::ListPartitionReassignments(_)
            | Request::UnregisterBroker(_)
            | Request::AddRaftVoter(_)
            | Request::RemoveRaftVoter(_)
    )
}

/// What was noted last. A file that is torn says nothing: then the broker counts as one that has lost data.
pub(in crate::cluster) fn read_registration(
    storage: &dyn Storage,
    dir: &Path,
) -> Result<Option<(BrokerEpoch, u64)>> {
    let bytes = read_file(storage, &dir.join(REGISTRATION), 64)?.unwrap_or_default();
    let parsed = || {
        let (body, crc) = bytes.split_at_checked(16)?;
        let epoch = BrokerEpoch(i64::from_be_bytes(*body.first_chunk()?));
        let boot = u64::from_be_bytes(*body.get(8..)?.first_chunk()?);
        (crc == crc32fast::hash(body).to_be_bytes()).then_some((epoch, boot))
    };
    Ok(parsed())
}

pub(in crate::cluster) fn write_registration(
    storage: &dyn Storage,
    dir: &Path,
    (epoch, boot): (BrokerEpoch, u64),
) -> Result<()> {
    let mut bytes = epoch.0.to_be_bytes().to_vec();
    bytes.extend(boot.to_be_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
    replace_file(storage, &dir.join(REGISTRATION), &bytes)
}

/// Under which epoch the broker had all that it has now, for sure.
pub(super) fn take_up_registration(
    storage: &dyn Storage,
    dir: &Path,
    boot: u64,
) -> Result<Option<BrokerEpoch>> {
    let Some((epoch, noted)) = read_registration(storage, dir)? else { return Ok(None) };
    if noted == CLOSED {
        // What comes now may be lost with this boot.
        write_registration(storage, dir, (epoch, boot))?;
    }
    let kept = noted == boot || noted == CLOSED || bugs::is(Bug::TrustLostData);
    Ok(kept.then_some(epoch))
}

/// How often in a row a voter finds no controller to tell that it is there, until it takes itself for one that is forgotten.
const FORGOTTEN: u32 = 10;

impl Running {
    /// Notes that there is nothing left to lose. A process that found less than its broker had, and has not said so yet, does not.
    pub(super) fn note_close(&self) -> Result<()> {
        let note = |epoch| write_registration(&*self.storage, &self.dir, (epoch, CLOSED));
        self.previous_epoch.map_or(Ok(()), note)
    }

    /// Registers, or says that it is there, when it is time.
    pub(super) fn control(&mut self, now: Instant) {
        if now < self.control_at {
            return;
        }
        self.control_at = now.plus(self.timing.heartbeat);
        let Some(controller) = self.controller_to_ask() else {
            self.missed = self.missed.wrapping_add(1);
            return;
        };
        let (request, about) = match self.epoch {
            None => {
                let (id, incarnation, previous_epoch) = (self.id, self.incarnation, self.previous_epoch);
                let request = RegisterBrokerRequest { id, incarnation, previous_epoch };
                (request.into(), About::Register)
            }
            Some(epoch) => {
                let caught_up_to = Offset::new(self.applied.0 as i64);
                let id = self.id;
                let wants_shutdown = self.shutdown != Shutdown::No;
                let request = BrokerHeartbeatRequest { id, epoch, caught_up_to, wants_shutdown };
                (request.into(), About::Heartbeat)
            }
        };
        self.ask(controller, Question::Control(request), about, now.plus(self.timing.patience));
    }

    /// Who has no vote may not have heard of the controller, or of another one since: then it tries one voter after the other. So does
    /// who has heard of none for long: its vote may have been taken from it while it was away.
    fn controller_to_ask(&self) -> Option<BrokerId> {
        let known = self.quorum.leader();
        let votes = self.quorum.votes();
        if known.is_some() && (votes || self.missed == 0) || votes && self.missed < FORGOTTEN {
            return known;
        }
        let voters = self.quorum.voters();
        voters.iter().nth(self.missed as usize % voters.len().max(1)).copied()
    }

    /// Whoever is asked may not be the controller, or not be reached.
    fn missed_controller(&mut self, now: Instant) {
        self.missed = self.missed.wrapping_add(1);
        if !self.quorum.votes() {
            self.control_at = self.control_at.min(now.plus(self.timing.backoff));
        }
    }

    /// Registered brokers that have no vote get the metadata log, too.
    pub(super) fn tell_observers(&mut self, now: Instant) -> Result<()> {
        if !std::mem::take(&mut self.brokers_changed) {
            return Ok(());
        }
        let observers: Vec<BrokerId> = self.image.brokers().keys().copied().collect();
        self.step_quorum(Event::SetObservers(observers), now)
    }

    /// Has the controller move what it leads to others.
    pub(in crate::cluster) fn want_shutdown(&mut self, now: Instant) {
        if self.shutdown == Shutdown::No {
            (self.shutdown, self.control_at) = (Shutdown::Wanted, now);
        }
    }

    /// Whether it may end, so that nobody waits for it.
    pub(in crate::cluster) fn may_shut_down(&self) -> bool {
        self.shutdown == Shutdown::Granted
    }

    /// Asks the controller for the ISRs that leaders here want.
    pub(super) fn propose_isrs(&mut self, now: Instant) {
        if bugs::is(Bug::ForgetProposals) {
            self.refused.append(&mut self.proposals);
        }
        let refused = self.refused.extract_if(.., |(at, _)| *at <= now);
        refused.for_each(|(_, refused)| self.node.proposal_refused(&refused));
        // Of these nobody knows whether the controller has taken them: they stand until it says.
        let again = self.proposals.extract_if(.., |(at, _)| *at <= now).map(|(_, proposal)| proposal);
        let again: Vec<IsrProposal> = again.filter(|proposal| self.node.stands_by(proposal)).collect();
        for proposal in again.into_iter().chain(self.node.take_proposals()) {
            let (Some(controller), Some(broker_epoch)) = (self.quorum.leader(), self.epoch) else {
                self.proposals.push((now.plus(self.timing.backoff), proposal));
                continue;
            };
            let known = |epoch: i64| (epoch >= 0).then_some(BrokerEpoch(epoch));
            let request = AlterPartitionRequest {
                broker: self.id,
                broker_epoch,
                topic_id: proposal.partition.0,
                partition: proposal.partition.1,
                leader_epoch: proposal.leader_epoch,
                partition_epoch: PartitionEpoch(proposal.partition_epoch),
                new_isr: proposal.isr.iter().map(|(id, epoch)| (*id, known(*epoch))).collect(),
            };
            let deadline = now.plus(self.timing.patience);
            self.ask(
                controller,
                Question::Control(request.into()),
                About::AlterPartition(proposal),
                deadline,
            );
        }
    }

    /// Hands a client's request on to the controller.
    pub(super) fn forward(&mut self, request: Request, ticket: Ticket<Response>) {
        let now = self.post.clock().now();
        let request = match self.node.for_controller(request) {
            Ok(request) => request,
            Err(error) => return self.post.answer(self.id, &ticket, Err(error)),
        };
        match self.quorum.leader() {
            Some(controller) => {
                let deadline = now.plus(self.timing.patience);
                self.ask(controller, Question::Control(request), About::Forwarded(ticket), deadline);
            }
            None => self.post.answer(self.id, &ticket, Err(Error::NotController)),
        }
    }

    /// Has the controller make the topic that groups are kept in, when the first one is asked for. Whoever asks is told to come
    /// again.
    pub(super) fn make_offsets_topic(&mut self) {
        let is_asked = self.pending.values().any(|pending| matches!(pending.about, About::OffsetsTopic));
        let Some(request) = self.node.offsets_topic_wanted().filter(|_| !is_asked) else { return };
        if let Some(controller) = self.quorum.leader() {
            let deadline = self.post.clock().now().plus(self.timing.patience);
            self.ask(controller, Question::Control(request), About::OffsetsTopic, deadline);
        }
    }

    /// A question was answered.
    pub(super) fn answered(&mut self, about: About, told: Told, now: Instant) -> Result<()> {
        match (about, told) {
            (About::Copy(leader, request), Told::Copied(answer)) => {
                self.copied(leader, &request, answer, now);
                Ok(())
            }
            (About::Register, Told::Controlled(Ok(Response::RegisterBroker(answer)), _)) => {
                write_registration(&*self.storage, &self.dir, (answer.epoch, self.boot))?;
                (self.epoch, self.previous_epoch) = (Some(answer.epoch), Some(answer.epoch));
                self.missed = 0;
                self.node.set_broker_epoch(answer.epoch.0);
                self.control_at = now;
                Ok(())
            }
            (About::Heartbeat, Told::Controlled(Err(Error::StaleBrokerEpoch), _)) => {
                (self.epoch, self.control_at, self.missed) = (None, now, 0);
                Ok(())
            }
            (About::Heartbeat, Told::Controlled(Ok(Response::BrokerHeartbeat(answer)), _)) => {
                self.missed = 0;
                if answer.may_shut_down && self.shutdown == Shutdown::Wanted {
                    self.shutdown = Shutdown::Granted;
                }
                if answer.fenced || self.shutdown == Shutdown::Wanted {
                    self.control_at = self.control_at.min(now.plus(self.timing.backoff));
                }
                Ok(())
            }
            (About::AlterPartition(proposal), Told::Controlled(Err(Error::IneligibleReplica), _)) => {
                self.refused.push((now.plus(self.timing.backoff), proposal));
                Ok(())
            }
            // A controller that was asked before may have noted it, and not have had the time to say so.
            (About::AlterPartition(proposal), Told::Controlled(Err(_), _)) => {
                self.proposals.push((now.plus(self.timing.backoff), proposal));
                Ok(())
            }
            (About::Forwarded(ticket), Told::Controlled(answer, index)) => {
                match answer {
                    Ok(answer) if index > self.applied => self.unknown_yet.push((index, ticket, answer)),
                    answer => self.post.answer(self.id, &ticket, answer),
                }
                Ok(())
            }
            (About::ProducerIds, Told::Controlled(answer, _)) => {
                self.producer_ids_came(answer, now);
                Ok(())
            }
            // Whoever is no controller, or has lost it, tells in time; what else fails is tried again.
            (About::Copy(leader, _), _) => {
                self.leaders.insert(leader, Some(now.plus(self.timing.backoff)));
                Ok(())
            }
            (About::Register | About::Heartbeat, _) => {
                self.missed_controller(now);
                Ok(())
            }
            (About::AlterPartition(_) | About::OffsetsTopic, _) => Ok(()),
            (About::ProducerIds, Told::Copied(_)) => {
                self.producer_ids_failed(now);
                Ok(())
            }
            (About::Forwarded(ticket), Told::Copied(_)) => {
                self.post.answer(self.id, &ticket, Err(Error::NotController));
                Ok(())
            }
        }
    }

    /// A question is not answered in time.
    pub(super) fn unanswered(&mut self, about: About, now: Instant) {
        match about {
            About::Copy(leader, _) => {
                if let Some(at) = self.leaders.get_mut(&leader) {
                    *at = Some(now);
                }
            }
            About::AlterPartition(proposal) => self.proposals.push((now, proposal)),
            About::ProducerIds => self.producer_ids_failed(now),
            // Nobody knows whether the controller has done it.
            About::Forwarded(ticket) => self.post.answer(self.id, &ticket, Err(Error::RequestTimedOut)),
            About::Register | About::Heartbeat => self.missed_controller(now),
            About::OffsetsTopic => {}
        }
    }

    /// The controller's work, if it is here.
    pub(super) fn decide(&mut self, reply: ReplyTo, request: &Request, now: Instant) -> Result<()> {
        let Some(active) = &mut self.active else {
            self.tell(&reply, Err(Error::NotController), Index::default());
            return Ok(());
        };
        if let Request::AddRaftVoter(_) | Request::RemoveRaftVoter(_) = request {
            return self.change_voters(reply, request, now);
        }
        self.witness.iter().for_each(|witness| witness.note_wanted(request));
        let (records, answer) = active.controller.handle(request, now);
        // All that it goes by is to be committed before anybody hears of it.
        let holds_by = Index(active.controller.next_index().0.saturating_sub(1));
        active.held.push((holds_by, reply, answer));
        self.propose(records, now)?;
        self.release_answers();
        Ok(())
    }

    /// One broker is to vote from now on, or no more. The entry is the quorum's own; the controller only counts it.
    fn change_voters(&mut self, reply: ReplyTo, request: &Request, now: Instant) -> Result<()> {
        let (adds, id) = match request {
            Request::AddRaftVoter(request) => (true, request.id),
            Request::RemoveRaftVoter(request) => (false, request.id),
            _ => return Ok(()),
        };
        let mut voters = self.quorum.voters().clone();
        let changes = if adds { voters.insert(id) } else { voters.remove(&id) };
        let done = if adds { Response::AddRaftVoter(Done) } else { Response::RemoveRaftVoter(Done) };
        let answer = if !changes {
            Ok(done)
        } else if self.quorum.may_change_voters(&voters) {
            self.step_quorum(Event::ChangeVoters(voters), now)?;
            Ok(done)
        } else {
            // Another change is under way, or who is to come has not got the log yet: later it may be done.
            Err(Error::NotController)
        };
        let last = self.quorum.last().index;
        match &mut self.active {
            Some(active) => {
                active.controller.skip_to(Index(last.0 + 1));
                active.held.push((last, reply, answer));
            }
            // It was the only one who could confirm that it votes no more.
            None => self.tell(&reply, answer, last),
        }
        self.release_answers();
        Ok(())
    }

    pub(super) fn tick_controller(&mut self, now: Instant) -> Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if active.controller.next_deadline() > now {
            return Ok(());
        }
        let records = active.controller.tick(now);
        self.propose(records, now)
    }

    fn propose(&mut self, records: Vec<MetadataRecord>, now: Instant) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.step_quorum(Event::Propose(vec![records.into()]), now)
    }

    /// Gives out the answers whose records are committed.
    pub(super) fn release_answers(&mut self) {
        let commit = self.quorum.commit();
        let Some(active) = &mut self.active else { return };
        let (ready, held) = std::mem::take(&mut active.held).into_iter().partition(|(at, ..)| *at <= commit);
        active.held = held;
        let ready: Vec<(Index, ReplyTo, Result<Response>)> = ready;
        for (index, reply, answer) in ready {
            self.tell(&reply, answer, index);
        }
    }

    /// The controller is another's from now on.
    pub(super) fn resign(&mut self) {
        let Some(Active { held, .. }) = self.active.take() else { return };
        for (_, reply, _) in held {
            self.tell(&reply, Err(Error::NotController), Index::default());
        }
    }

    fn tell(&self, reply: &ReplyTo, answer: Result<Response>, index: Index) {
        let message = Message::Answer { id: reply.id, answer: Told::Controlled(answer, index) };
        self.post.send(self.id, reply.broker, &message);
    }
}
