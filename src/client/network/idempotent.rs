//! What is produced for all replicas in sync is there once, however often it has to be sent: the shell around [`Sequences`].

use super::{
    NetworkClient, SILENCE,
    attempt::{Attempt, Outgoing, OutgoingProduce},
    sequences::{Act, BatchId, PartitionId, Sequences, Stamp},
};
use crate::{
    error::{Error, Result},
    rpc::{InitProducerIdRequest, PartitionRef, ProduceResponse, Response, Service},
    types::{BrokerId, Instant},
};
use std::{sync::Weak, time::Duration};

/// Which try this is of which batch, and what it carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sequenced {
    batch: BatchId,
    attempt: u32,
    pub(super) stamp: Stamp,
}

impl NetworkClient {
    /// Sends a batch until it is there, once, or its time is over.
    pub(super) fn produce_once(&self, produce: OutgoingProduce, records: i32, within: Duration) {
        let now = self.now();
        // The last try is over, and told, before the one who waits has given up.
        let deadline = now.plus(within.saturating_sub(2 * SILENCE).max(within / 2));
        let acts = {
            let mut state = self.state.lock();
            let partition = id_of(&produce.partition);
            let (batch, acts) = state.sequences.produce(partition, records, deadline, now);
            state.produces.insert(batch, produce);
            acts
        };
        self.carry_out(acts);
    }

    /// What has come of a try.
    pub(super) fn sequence_told(
        &self,
        partition: PartitionRef,
        of: Sequenced,
        answer: Result<ProduceResponse>,
    ) {
        let (of, now) = ((of.batch, of.attempt), self.now());
        self.sequence(|sequences| match answer {
            Err(Error::Closed) => sequences.close(),
            answer => sequences.answered(id_of(&partition), of, answer, now),
        });
    }

    pub(super) fn wake_sequences(&self, partition: PartitionId) {
        let now = self.now();
        self.sequence(|sequences| sequences.wake(partition, now));
    }

    fn sequence(&self, event: impl FnOnce(&mut Sequences) -> Vec<Act>) {
        let acts = event(&mut self.state.lock().sequences);
        self.carry_out(acts);
    }

    fn carry_out(&self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send { batch, attempt, stamp, deadline } => {
                    self.send_sequenced(Sequenced { batch, attempt, stamp }, deadline.plus(SILENCE));
                }
                Act::Answer { batch, answer } => {
                    let produce = self.state.lock().produces.remove(&batch);
                    // Whoever does not wait any more is not told.
                    let _told = produce.is_some_and(|produce| produce.ticket.fill(answer));
                }
                Act::WantId => self.ask_for_producer_id(),
                Act::Wake { partition, at } => self.at(at, super::Later::Wake(partition)),
            }
        }
    }

    fn send_sequenced(&self, sequenced: Sequenced, deadline: Instant) {
        let Some(mut produce) = self.state.lock().produces.get(&sequenced.batch).cloned() else { return };
        produce.sequenced = Some(sequenced);
        if sequenced.attempt > 1 {
            produce.hint = BrokerId::NOBODY;
        }
        self.go(Attempt::new(Outgoing::Produce(produce), deadline));
    }

    /// Any broker gives one.
    fn ask_for_producer_id(&self) {
        let me = Weak::clone(&self.me);
        let told = move |answer: Result<Response>| {
            let Some(client) = me.upgrade() else { return };
            let now = client.now();
            client.sequence(|sequences| match answer {
                Ok(Response::InitProducerId(given)) => sequences.id_came(Some(given.producer_id), now),
                Err(Error::Closed) => sequences.close(),
                _ => sequences.id_came(None, now),
            });
        };
        self.call(BrokerId::NOBODY, InitProducerIdRequest.into()).on_answer(told);
    }
}

fn id_of(partition: &PartitionRef) -> PartitionId {
    (partition.topic_id, partition.partition)
}
