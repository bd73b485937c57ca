//! A broker's member of the quorum, and what the metadata says, carried out.

use super::{Active, Running, controller_config};
use crate::{
    bugs::{self, Bug},
    controller::{
        Controller, Image,
        quorum::{Effect, Event, Index},
    },
    error::Result,
    node::Leadership,
    replica::LeaderState,
    rpc::metadata_record::{MetadataRecord, PartitionState},
    types::{Instant, TopicId},
};
use std::collections::BTreeSet;

impl Running {
    pub(super) fn step_quorum(&mut self, event: Event, now: Instant) -> Result<()> {
        for effect in self.quorum.step(event, now) {
            self.carry_out(effect, now)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, effect: Effect, now: Instant) -> Result<()> {
        match effect {
            Effect::Save { term, vote } => self.log.save(term, vote),
            Effect::Truncate { from } => self.log.truncate(from),
            Effect::Append(entries) => self.log.append(&entries),
            Effect::Send { to, message } => {
                self.post.send(self.id, to, &super::Message::Quorum(message));
                Ok(())
            }
            Effect::Committed { up_to } => self.apply(up_to, now),
            Effect::Install(snapshot) => self.install(&snapshot, now),
            Effect::Drop { up_to } => self.log.drop_up_to(up_to),
            Effect::Elected { term, .. } => {
                self.trace.controller_elected(now, self.id, term.0);
                let image = self.whole_image();
                let next = Index(self.quorum.last().index.0 + 1);
                let prng = self.prng.fork(&format!("controller {}", term.0));
                let controller = Controller::new(image, next, controller_config(self.timing), prng, now);
                self.active = Some(Active { controller, held: Vec::new() });
                Ok(())
            }
            Effect::Resigned => {
                self.trace.controller_resigned(now, self.id, self.quorum.term().0);
                self.resign();
                Ok(())
            }
        }
    }

    /// All that the log says, committed or not.
    fn whole_image(&self) -> Image {
        let mut image = self.image.clone();
        let mut index = Index(self.applied.0 + 1);
        while let Some(entry) = self.quorum.entry(index) {
            entry.payload.iter().for_each(|record| image.apply(record));
            index = Index(index.0 + 1);
        }
        image
    }

    /// Carries out what was committed.
    fn apply(&mut self, up_to: Index, now: Instant) -> Result<()> {
        while self.applied < up_to {
            let next = Index(self.applied.0 + 1);
            let Some(entry) = self.quorum.entry(next) else { break };
            for record in entry.payload.iter() {
                self.changes.note(record);
                self.brokers_changed |= matches!(
                    record,
                    MetadataRecord::RegisterBroker { .. } | MetadataRecord::UnregisterBroker { .. }
                );
                self.trace.applied(now, (self.id, next.0), record, &self.image);
                self.image.apply(record);
            }
            self.applied = next;
        }
        self.has_applied(now)
    }

    /// More is known than before.
    pub(super) fn has_applied(&mut self, now: Instant) -> Result<()> {
        // What was said before this process was registered may be about one that had records which this one has lost.
        let registered = self.image.broker(self.id).map(|broker| broker.incarnation);
        if registered == Some(self.incarnation) || bugs::is(Bug::ActBeforeRegistered) {
            self.serves = true;
            let changes = std::mem::take(&mut self.changes);
            self.carry_out_changes(&changes, now)?;
        }
        let (known, unknown) =
            std::mem::take(&mut self.unknown_yet).into_iter().partition(|(index, ..)| *index <= self.applied);
        self.unknown_yet = unknown;
        let known: Vec<_> = known;
        known.into_iter().for_each(|(_, ticket, answer)| self.post.answer(self.id, &ticket, Ok(answer)));
        self.release_answers();
        Ok(())
    }

    fn carry_out_changes(&mut self, changes: &Changes, now: Instant) -> Result<()> {
        let brokers_only = changes.topics.is_empty() && changes.partitions.is_empty();
        if brokers_only && !changes.brokers {
            return Ok(());
        }
        for id in &changes.topics {
            match self.image.topic_by_id(*id) {
                Some(topic) => self.node.host_topic(&topic.name, *id, &topic.config)?,
                None => self.node.unhost_topic(*id)?,
            }
        }
        let mut partitions = changes.partitions.clone();
        let whole = |id: &TopicId| changes.brokers || changes.topics.contains(id);
        for (id, topic) in self.image.topics().iter().filter(|(id, _)| whole(id)) {
            partitions.extend(topic.partitions.keys().map(|number| (*id, *number)));
        }
        for (id, number) in partitions {
            let Some(topic) = self.image.topic_by_id(id) else { continue };
            let Some(state) = topic.partitions.get(&number) else { continue };
            let min_insync_replicas = topic.config.settings()?.min_insync_replicas;
            let said = self.leadership(state, min_insync_replicas);
            self.node.take_leadership((id, number), &said)?;
        }
        if !brokers_only {
            self.node.set_metadata_version(self.image.changes());
            self.follow_anew(now);
        }
        Ok(())
    }

    fn leadership(&self, state: &PartitionState, min_insync_replicas: usize) -> Leadership {
        let active = state.replicas.iter().filter(|id| self.image.is_active(**id));
        Leadership {
            leader: state.leader,
            is_adding: state.adding.contains(&self.id) && !state.isr.contains(&self.id),
            state: LeaderState {
                epoch: state.leader_epoch,
                partition_epoch: state.partition_epoch.0,
                replicas: state.replicas.clone(),
                isr: state.isr.clone(),
                active: active.copied().collect(),
                min_insync_replicas,
            },
        }
    }
}

/// What records have changed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    topics: BTreeSet<TopicId>,
    partitions: BTreeSet<(TopicId, i32)>,
    /// Whether a broker came, or was fenced, or is not fenced any more.
    brokers: bool,
}

impl Changes {
    /// Another state takes the place of what was known: all that is in it may have changed, and those topics that are here may be
    /// gone.
    pub(super) fn note_all(&mut self, image: &Image, here: Vec<TopicId>) {
        self.topics.extend(image.topics().keys());
        self.topics.extend(here.into_iter().filter(|_| !bugs::is(Bug::KeepWhatIsGone)));
        self.brokers = true;
    }

    fn note(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Topic { id, .. } | MetadataRecord::RemoveTopic { id } => {
                self.topics.insert(*id);
            }
            MetadataRecord::Config { topic, .. } => {
                self.topics.insert(*topic);
            }
            MetadataRecord::Partition { topic, partition, .. } => {
                self.partitions.insert((*topic, *partition));
            }
            MetadataRecord::RegisterBroker { .. }
            | MetadataRecord::BrokerChange { .. }
            | MetadataRecord::UnregisterBroker { .. } => {
                self.brokers = true;
            }
            _ => {}
        }
    }
}
