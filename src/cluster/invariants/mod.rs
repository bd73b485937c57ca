//! What holds in a cluster whatever happens, looked at after every event: a file for each, and the [`Checker`] that keeps what
//! they go by.
//!
//! It looks at the broker that an event concerned, and there at the copies that have changed, and of these at the batches that are
//! new. What it believes of brokers that do not run is what it saw last: a process that ends takes nothing with it, a loss of power
//! does.

mod acknowledged;
mod commits;
mod committed;
mod consistent_reads;
mod copies;
mod disks;
mod generations;
mod groups;
mod high_watermark;
mod leader_completeness;
mod log_matching;
mod metadata_log;
mod metadata_snapshots;
mod one_controller;
mod one_leader;
mod one_owner;
mod sequences;

use super::{
    host::Running,
    marks::Mark,
    witness::{Answered, Witness},
};
use crate::{
    controller::Image,
    node::CopyView,
    rpc::metadata_record::{MetadataRecord, PartitionState},
    types::{BrokerId, OFFSETS_TOPIC, TopicId},
};
use committed::Committed;
use copies::{Change, Copy, View};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::Arc,
};

/// A partition.
type Key = (TopicId, i32);

/// What does not hold, and why.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) invariant: &'static str,
    pub(super) what: String,
}

type Held = Result<(), Broken>;

/// Says that an invariant is broken.
fn broken(invariant: &'static str, what: impl Display) -> Broken {
    Broken { invariant, what: what.to_string() }
}

/// Looks at everything that is to hold, and remembers what it needs for that.
#[derive(Debug, Default)]
pub(super) struct Checker {
    witness: Arc<Witness>,
    controllers: one_controller::Controllers,
    metadata: metadata_log::MetadataLogs,
    snapshots: metadata_snapshots::Snapshots,
    leaders: one_leader::Leaders,
    /// What is committed in the metadata log, as far as a broker has applied it.
    image: Image,
    applied: u64,
    partitions: BTreeMap<Key, Partition>,
    /// Which copies each broker has.
    held: BTreeMap<BrokerId, BTreeSet<Key>>,
    /// Topics whose batches may change or go.
    compacted: BTreeSet<TopicId>,
    groups: groups::Groups,
    marks: Vec<Mark>,
}

/// What is known of a partition.
#[derive(Debug, Default)]
struct Partition {
    copies: BTreeMap<BrokerId, Copy>,
    batches: log_matching::Batches,
    committed: Committed,
    sequences: sequences::Sequences,
    disks: disks::Disks,
}

impl Checker {
    pub(super) fn new(witness: Arc<Witness>) -> Self {
        Self { witness, ..Self::default() }
    }

    /// What was come upon since this was asked last.
    pub(super) fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }

    /// Something has happened at a broker.
    pub(super) fn look(&mut self, id: BrokerId, running: &Running) -> Held {
        self.controllers.look(id, running.controls())?;
        self.metadata.look(id, running.incarnation(), running.quorum())?;
        self.learn(running)?;
        self.snapshots.look(id, running.quorum().snapshot())?;
        let (mut held, mut copies) = (Ok(()), 0);
        let incarnation = running.incarnation();
        running.node.look_at_copies(|key, view| {
            copies += 1;
            if held.is_ok() {
                held = self.look_at_copy((id, incarnation), key, view);
            }
        });
        held?;
        if self.held.get(&id).is_some_and(|held| held.len() > copies) {
            self.note_removed(id, running);
        }
        self.groups.look(id, running, &self.image, self.witness.take_of_groups())?;
        self.witness.take().into_iter().try_for_each(|answered| self.answered(id, answered))
    }

    /// A broker does not have some copies any more.
    fn note_removed(&mut self, id: BrokerId, running: &Running) {
        let mut there = BTreeSet::new();
        running.node.look_at_copies(|key, _| {
            there.insert(key);
        });
        let before = self.held.insert(id, there.clone()).unwrap_or_default();
        for key in before.difference(&there) {
            if let Some(partition) = self.partitions.get_mut(key) {
                partition.copies.entry(id).or_default().remove();
            }
        }
    }

    /// A machine has lost what it had not flushed.
    pub(super) fn lost_power(&mut self, id: BrokerId) {
        for (key, partition) in &mut self.partitions {
            if let Some(copy) = partition.copies.get_mut(&id) {
                copy.lose();
            }
            if let Some(state) = self.image.partition(key.0, key.1) {
                partition.disks.lost_power(id, state);
            }
        }
    }

    /// Takes in what is committed in the metadata log since.
    fn learn(&mut self, running: &Running) -> Held {
        for index in self.applied + 1..=running.applied() {
            let Some(payload) = running.metadata_entry(index) else { return self.learn_all(running) };
            for record in payload.iter() {
                if let MetadataRecord::RegisterBroker { id, .. } = record {
                    self.partitions.values_mut().for_each(|partition| partition.registered(*id));
                }
                if let MetadataRecord::Partition { topic, partition, state } = record {
                    self.partition_changes((*topic, *partition), state)?;
                }
                self.image.apply(record);
                if let MetadataRecord::Config { topic, .. } = record {
                    self.note_compacted(*topic);
                }
            }
            self.snapshots.applied(index, payload);
            self.applied = index;
        }
        Ok(())
    }

    /// Whoever had applied it first ended before it was looked at, and nobody has the entries any more.
    fn learn_all(&mut self, running: &Running) -> Held {
        for (id, topic) in running.image().topics() {
            for (partition, state) in &topic.partitions {
                self.partition_changes((*id, *partition), state)?;
            }
        }
        self.image = running.image().clone();
        self.applied = running.applied();
        let topics: Vec<TopicId> = self.image.topics().keys().copied().collect();
        topics.into_iter().for_each(|id| self.note_compacted(id));
        Ok(())
    }

    fn note_compacted(&mut self, id: TopicId) {
        let settings = self.image.topic_by_id(id).and_then(|topic| topic.config.settings().ok());
        if settings.is_some_and(|settings| settings.cleanup_policy.compacts()) {
            self.compacted.insert(id);
        }
    }

    /// What the controller says of a partition is another thing from now on.
    fn partition_changes(&mut self, key: Key, after: &PartitionState) -> Held {
        let Some(before) = self.image.partition(key.0, key.1) else { return Ok(()) };
        let settings = self.image.topic_by_id(key.0).and_then(|topic| topic.config.settings().ok());
        let needed = settings.as_ref().map_or(1, |settings| settings.min_insync_replicas);
        let allowed = settings.is_some_and(|settings| settings.unclean_leader_election);
        let partition = self.partitions.entry(key).or_default();
        if after.is_unclean_behind(before) {
            if self.image.topic(OFFSETS_TOPIC).is_some_and(|(id, _)| id == key.0) {
                self.groups.give_up(key.1, after.leader_epoch);
            }
            let name = name(&self.image, key);
            // Where nothing was acknowledged nothing is lost: it may be for brokers that lost power before there was the topic.
            if !partition.committed.batches().is_empty() && !allowed && !self.witness.wanted_unclean(&name) {
                partition.disks.check(name, needed.min(after.replicas.len()), before, after)?;
            }
            partition.committed.forget_from(after.leader_epoch);
        }
        partition.changed(before, after);
        Ok(())
    }

    fn look_at_copy(&mut self, at: (BrokerId, u64), key: Key, mut view: CopyView<'_>) -> Held {
        let partition = self.partitions.entry(key).or_default();
        let known = partition.copies.get(&at.0);
        if known.is_some_and(|known| known.is_as(at.1, &view)) {
            return Ok(());
        }
        if known.is_none_or(|known| known.incarnation == 0) {
            self.held.entry(at.0).or_default().insert(key);
        }
        let compacted = self.compacted.contains(&key.0);
        let name = || format!("{} of broker {}", name(&self.image, key), at.0);
        if view.leads {
            self.leaders.look(key, view.epoch, at.0, &name)?;
        }
        let copy = partition.copies.entry(at.0).or_default();
        let now = View::of(&view);
        high_watermark::look(copy, at.1, &now, &name)?;
        let change = copy.update(at.1, now, &mut view, &name)?;
        if change.cut {
            self.marks.push(Mark::Truncated);
        }
        if compacted {
            let given_up = partition.committed.is_given_up(copy.view.epoch);
            return if given_up {
                Ok(())
            } else {
                high_watermark::check_members(&partition.copies, at.0, &name)
            };
        }
        partition.batches.look(copy, &change, &name)?;
        partition.look(at.0, &change, &name)
    }

    /// A broker has answered a client.
    fn answered(&self, by: BrokerId, answered: Answered) -> Held {
        let key = answered.partition();
        let Some(partition) = self.partitions.get(&key).filter(|_| !self.compacted.contains(&key.0)) else {
            return Ok(());
        };
        let epoch = partition.copies.get(&by).map(|copy| copy.view.epoch);
        // Of what an unclean election has given up nobody can promise anything.
        if epoch.is_none_or(|epoch| partition.committed.is_given_up(epoch)) {
            return Ok(());
        }
        let name = || format!("{} of broker {by}", name(&self.image, key));
        match answered {
            Answered::Produced { base, .. } => acknowledged::check(&partition.committed, base, &name),
            Answered::Read { records, .. } => consistent_reads::check(&partition.committed, &records, &name),
        }
    }
}

impl Partition {
    fn registered(&mut self, id: BrokerId) {
        self.disks.registered(id);
        if let Some(copy) = self.copies.get_mut(&id) {
            copy.registered();
        }
    }

    /// Who is in sync is another thing.
    fn changed(&mut self, before: &PartitionState, after: &PartitionState) {
        let joined = joined(before, after);
        self.disks.joined(&joined);
        for (_, copy) in self.copies.iter_mut().filter(|(id, _)| joined.contains(id)) {
            copy.joined();
        }
    }

    /// A copy has changed.
    fn look(&mut self, id: BrokerId, change: &Change, name: &dyn Fn() -> String) -> Held {
        let Some(copy) = self.copies.get(&id) else { return Ok(()) };
        let counts = copy.view.leads && !self.committed.is_given_up(copy.view.epoch);
        if counts {
            if let Some(left) = self.committed.settle(copy) {
                self.sequences = sequences::Sequences::default();
                self.sequences.take(left, name)?;
            }
            if change.elected {
                leader_completeness::check(&self.committed, copy, name)?;
            }
            let new = self.committed.advance(copy, name)?;
            if new > 0 {
                self.sequences.take(self.committed.last(new), name)?;
                let later = |other: &&Copy| other.view.leads && other.view.epoch > copy.view.epoch;
                self.copies.values().filter(later).try_for_each(|other| {
                    leader_completeness::check_last(&self.committed, new, other, name)
                })?;
            }
            high_watermark::check_members(&self.copies, id, name)?;
        }
        if change.cut || change.anew {
            self.check_followed(id, name)?;
        }
        Ok(())
    }

    /// A copy has got shorter: it still has what those who lead believe that it has.
    fn check_followed(&self, id: BrokerId, name: &dyn Fn() -> String) -> Held {
        let leads = |(_, copy): &(&BrokerId, &Copy)| {
            copy.view.leads && copy.view.isr.contains(&id) && !self.committed.is_given_up(copy.view.epoch)
        };
        self.copies
            .iter()
            .filter(leads)
            .try_for_each(|(leader, _)| high_watermark::check_members(&self.copies, *leader, name))
    }
}

/// Whom a leader has found in sync. Who is elected need not have everything: it may have lost power, and not have said so yet.
fn joined(before: &PartitionState, after: &PartitionState) -> Vec<BrokerId> {
    let has_joined = |id: &&BrokerId| after.leader_epoch == before.leader_epoch && !before.isr.contains(*id);
    after.isr.iter().filter(has_joined).copied().collect()
}

fn name(image: &Image, key: Key) -> String {
    let topic = image.topic_by_id(key.0).map_or_else(|| key.0.to_string(), |topic| topic.name.to_string());
    format!("{topic}-{}", key.1)
}

#[cfg(test)]
mod tests {
    use super::{
        committed::tests::{header, leader},
        *,
    };
    use crate::{
        record::BatchHeader,
        types::{LeaderEpoch, Offset},
    };
    use copies::Stamp;

    /// Two records of a producer.
    fn batch(base: i64, epoch: i32, producer_epoch: i16, sequence: i32) -> Stamp {
        let header = header((base, base + 2), epoch, 7);
        Stamp::of(&BatchHeader { producer_id: 1, producer_epoch, base_sequence: sequence, ..header })
    }

    /// Broker 2 is elected uncleanly, with a log that begins at `start`, and takes a batch of the producer's next epoch but one.
    fn goes_on(start: i64, left: &[Stamp]) -> bool {
        let mut partition = Partition::default();
        let look = |partition: &mut Partition, id: i32, copy: Copy| {
            let change = Change { elected: true, ..Change::default() };
            partition.copies.insert(id.into(), copy);
            partition.look(id.into(), &change, &String::new)
        };
        assert!(look(&mut partition, 1, leader(1, 2, &[batch(0, 1, 0, 0)])).is_ok());
        partition.committed.forget_from(LeaderEpoch(3));
        let with = |reached: i64, batches: &[Stamp]| {
            let mut copy = leader(3, reached, batches);
            copy.view.start = Offset::new(start);
            copy
        };
        assert!(look(&mut partition, 2, with(2, left)).is_ok());
        look(&mut partition, 2, with(4, &[left, &[batch(2, 3, 2, 23)]].concat())).is_ok()
    }

    #[test]
    fn an_unclean_leader_knows_the_producers_that_its_log_has() {
        assert!(!goes_on(0, &[batch(0, 1, 0, 0)]));
        assert!(goes_on(2, &[]), "as one that is new to it");
    }
}
