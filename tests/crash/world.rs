//! A broker on a simulated disk beside its model: every step is done to both.

use crate::{
    check::{read_partition, start_of},
    model::{Commit, Model, PartitionModel, Payload, There, TopicModel},
    replay::Marks,
    workloads::{Shape, Step},
};
use brooklet::{
    Broker, ConsumerConfig, Durability, Error, Fault, ManualClock, RecordMetadata, Result, SimDisk,
};
use std::time::Duration;

pub(crate) struct World {
    pub(crate) disk: SimDisk,
    pub(crate) clock: ManualClock,
    pub(crate) broker_seed: u64,
    pub(crate) broker: Option<Broker>,
    pub(crate) model: Model,
    pub(crate) marks: Marks,
    /// What goes wrong on purpose.
    pub(crate) fault: Option<Fault>,
    /// The broker was opened anew since the model last knew all that is there: what failed may have been recovered.
    reopened: bool,
}

impl World {
    pub(crate) fn new(disk_seed: u64) -> Self {
        Self {
            disk: SimDisk::new(disk_seed),
            clock: ManualClock::new(),
            broker_seed: 0,
            broker: None,
            model: Model::default(),
            marks: Marks::default(),
            reopened: false,
            fault: None,
        }
    }

    pub(crate) fn open(&self) -> Result<Broker> {
        Broker::builder().disk(&self.disk).clock(&self.clock).seed(self.broker_seed).open("data")
    }

    /// Does all steps, up to the first error.
    pub(crate) fn run(&mut self, steps: &[Step]) -> Result<()> {
        steps.iter().try_for_each(|step| self.step(step))
    }

    pub(crate) fn broker(&mut self) -> Result<Broker> {
        let open = match self.broker.clone() {
            Some(open) => open,
            None => self.open()?,
        };
        self.broker = Some(open.clone());
        Ok(open)
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<()> {
        let broker = self.broker()?;
        match *step {
            Step::Create(topic, shape) => self.create(&broker, topic, shape),
            Step::Delete(topic) => self.delete(&broker, topic),
            Step::Send { topic, partition, count, size, flushed } => {
                (0..count).try_for_each(|_| self.send(&broker, topic, partition, size, flushed))
            }
            Step::SendAll { topic, count, size } => self.send_all(&broker, topic, count, size),
            Step::Read(topic) => self.read(&broker, topic),
            Step::Commit { group, topic, partition, records } => {
                self.commit(&broker, (group, topic, partition), records)
            }
            Step::Flush => {
                broker.flush()?;
                self.model.flushed();
                self.check_durable(&broker)
            }
            Step::Wait(seconds) => {
                self.may_expire();
                self.clock.advance(Duration::from_secs(seconds));
                if self.hits() == 0 { self.waited(&broker) } else { Ok(()) }
            }
            Step::DeleteRecords { topic, partition, keep } => {
                self.delete_records(&broker, topic, partition, keep)
            }
            Step::Expire => {
                self.may_expire();
                broker.apply_retention_now()?;
                self.note_starts(&broker)
            }
            Step::Reopen => {
                self.broker = None;
                self.reopened = true;
                broker.close()
            }
        }
    }

    /// How often something went wrong on purpose.
    pub(crate) fn hits(&self) -> u64 {
        self.fault.as_ref().map_or(0, Fault::hits)
    }

    /// Nothing goes wrong from here on.
    pub(crate) fn mend(&mut self) {
        if let Some(fault) = self.fault.take() {
            fault.remove();
        }
    }

    /// The timers have run and nothing failed: all is flushed.
    fn waited(&mut self, broker: &Broker) -> Result<()> {
        self.model.flushed();
        self.note_starts(broker)?;
        self.check_durable(broker)
    }

    /// The topics whose records do not stay for ever.
    fn expiring(&mut self) -> impl Iterator<Item = (&&'static str, &mut TopicModel)> {
        self.model.topics.iter_mut().filter(|(_, topic)| topic.expires)
    }

    fn may_expire(&mut self) {
        let partitions = self.expiring().flat_map(|(_, topic)| &mut topic.partitions);
        partitions.for_each(PartitionModel::may_expire);
    }

    /// Retention was at work, and where logs begin now is noted.
    fn note_starts(&mut self, broker: &Broker) -> Result<()> {
        for (topic, there) in self.expiring().filter(|(_, topic)| topic.there == There::Yes) {
            for (number, model) in there.partitions.iter_mut().enumerate() {
                let start = start_of(broker, topic, number as i32)?;
                model.begins_at(start).unwrap_or_else(|why| panic!("{topic}-{number}: {why}"));
            }
        }
        Ok(())
    }

    fn delete_records(
        &mut self,
        broker: &Broker,
        topic: &'static str,
        partition: i32,
        keep: usize,
    ) -> Result<()> {
        let there = self.model.topics.get_mut(topic);
        let Some(model) = there.and_then(|topic| topic.partitions.get_mut(partition as usize)) else {
            return Ok(());
        };
        let before = model.acked.len().saturating_sub(keep);
        model.start_most = model.start_most.max(before);
        let start = broker.admin().delete_records((topic, partition), before as i64)? as usize;
        assert!(start >= before, "{topic}-{partition} begins at {start}, and all below {before} is deleted");
        model.begins_at(start).unwrap_or_else(|why| panic!("{topic}-{partition}: {why}"));
        Ok(())
    }

    /// What is promised to be durable is said to be so.
    fn check_durable(&self, broker: &Broker) -> Result<()> {
        for (topic, there) in self.model.topics.iter().filter(|(_, topic)| topic.there == There::Yes) {
            for (number, partition) in there.partitions.iter().enumerate() {
                let said = broker.durable_offset(topic, number as i32)?;
                assert!(
                    said >= partition.durable as i64,
                    "{topic}-{number}: durable to {said} only: {}",
                    partition.durable
                );
            }
        }
        Ok(())
    }

    fn create(&mut self, broker: &Broker, topic: &'static str, shape: Shape) -> Result<()> {
        let before = self.model.topics.get(topic).map_or(There::No, |topic| topic.there);
        let created = broker.create_topic(topic, shape.config());
        let fresh = |there, id| TopicModel::new(there, id, shape.partitions as usize);
        match created {
            Ok(id) => {
                assert_ne!(before, There::Yes, "{topic} was made twice");
                assert!(!self.model.ids.contains(&id), "{topic} has the id of a topic that was before it");
                self.model.ids.push(id);
                let (flushed, expires) = (shape.flushed, shape.expires());
                let made = TopicModel { flushed, expires, ..fresh(There::Yes, Some(id)) };
                self.model.topics.insert(topic, made);
                self.model.commits.retain(|(_, of, _), _| *of != topic);
                Ok(())
            }
            Err(error) => {
                let exists = matches!(error, Error::TopicAlreadyExists { .. });
                assert!(!exists || before != There::No, "{topic} was deleted and exists");
                match self.model.topics.get_mut(topic).filter(|topic| topic.there != There::No) {
                    Some(known) => {
                        known.tried.push(shape.partitions as usize);
                        known.expires |= shape.expires();
                    }
                    None => {
                        let tried = TopicModel { expires: shape.expires(), ..fresh(There::Maybe, None) };
                        self.model.topics.insert(topic, tried);
                    }
                }
                Err(error)
            }
        }
    }

    fn delete(&mut self, broker: &Broker, topic: &'static str) -> Result<()> {
        let deleted = broker.admin().delete_topic(topic);
        let there = self.model.topics.get_mut(topic);
        match &deleted {
            Ok(()) => {
                if let Some(there) = there {
                    there.there = There::No;
                }
                self.model.commits.retain(|(_, of, _), _| *of != topic);
            }
            Err(error) => {
                let unknown = matches!(error, Error::UnknownTopicOrPartition { .. });
                let Some(there) = there else { return deleted };
                assert!(!unknown || there.there != There::Yes, "{topic} was not deleted and is not known");
                if there.there == There::Yes {
                    there.there = There::Maybe;
                }
                let of_topic = self.model.commits.iter_mut().filter(|((_, of, _), _)| *of == topic);
                of_topic.for_each(|(_, commits)| commits.maybe_gone = true);
            }
        }
        deleted
    }

    fn send(
        &mut self,
        broker: &Broker,
        topic: &'static str,
        partition: i32,
        size: usize,
        flushed: bool,
    ) -> Result<()> {
        let payload = self.model.payload(size);
        let mut record = payload.record(topic, partition);
        if flushed {
            record = record.durability(Durability::Flushed);
        }
        let result = broker.produce(record);
        self.sent(broker, (topic, partition), &payload, &result);
        result.map(drop)
    }

    fn send_all(&mut self, broker: &Broker, topic: &'static str, count: usize, size: usize) -> Result<()> {
        let partitions = self.model.topics.get(topic).map_or(1, |topic| topic.partitions.len().max(1));
        let payloads: Vec<_> =
            (0..count).map(|n| ((n % partitions) as i32, self.model.payload(size))).collect();
        let result =
            broker.produce_all(payloads.iter().map(|(partition, payload)| payload.record(topic, *partition)));
        let each: Vec<Result<RecordMetadata>> = match &result {
            Ok(all) => all.iter().copied().map(Ok).collect(),
            Err(Error::PartialProduce { results, .. }) => results.to_vec(),
            Err(other) => payloads.iter().map(|_| Err(other.clone())).collect(),
        };
        for ((partition, payload), result) in payloads.iter().zip(&each) {
            self.sent(broker, (topic, *partition), payload, result);
        }
        result.map(drop)
    }

    fn sent(
        &mut self,
        broker: &Broker,
        (topic, partition): (&str, i32),
        payload: &Payload,
        result: &Result<RecordMetadata>,
    ) {
        let Some(there) = self.model.topics.get_mut(topic) else { return };
        let state = there.there;
        let Some(model) = there.partitions.get_mut(partition as usize) else { return };
        match result {
            Ok(at) => {
                assert_ne!(state, There::No, "{topic} is deleted and takes records");
                if self.reopened && at.offset > model.acked.len() as i64 {
                    take_in_recovered(model, broker, (topic, partition), at.offset as usize);
                }
                assert_eq!(
                    (at.offset, at.partition),
                    (model.acked.len() as i64, partition),
                    "the offset of {payload:?}"
                );
                model.acked.push(payload.clone());
                model.maybe.clear();
                if at.durability == Durability::Flushed {
                    model.durable = model.acked.len();
                }
                there.there = There::Yes;
            }
            Err(Error::UnknownTopicOrPartition { .. } | Error::UnknownTopicId { .. }) => {
                assert_ne!(state, There::Yes, "{topic} is there and takes no records");
            }
            Err(_) => model.maybe.push(payload.clone()),
        }
    }

    /// What is acknowledged can be read, also while the disk fails now and then.
    pub(crate) fn read(&mut self, broker: &Broker, topic: &'static str) -> Result<()> {
        let Some(there) = self.model.topics.get_mut(topic) else { return Ok(()) };
        for (number, model) in there.partitions.iter_mut().enumerate() {
            let seen = read_partition(broker, topic, number as i32)?;
            let start = start_of(broker, topic, number as i32)?;
            let payloads: Vec<_> = seen.iter().map(|(payload, _)| payload.clone()).collect();
            let checked = model.compare(start, &payloads, model.acked.len());
            checked.unwrap_or_else(|why| panic!("{topic}-{number}, in the same session: {why}"));
            let durable = match self.reopened {
                true => broker.durable_offset(topic, number as i32)? as usize,
                false => model.durable,
            };
            let early = there.flushed && start + payloads.len() > durable;
            assert!(!early, "{topic}-{number}: what is not flushed is read");
            for (offset, (payload, epoch)) in seen.iter().enumerate() {
                let named = model.note_name(start + offset, *epoch, payload);
                named.unwrap_or_else(|why| panic!("{topic}-{number}: {why}"));
            }
        }
        Ok(())
    }

    fn commit(
        &mut self,
        broker: &Broker,
        key: (&'static str, &'static str, i32),
        records: usize,
    ) -> Result<()> {
        let (group, topic, partition) = key;
        let config = ConsumerConfig::new(group).max_poll_records(records);
        let mut consumer = broker.consumer(config).assign([(topic, partition)])?;
        let committed = consumer.committed((topic, partition))?.map(|committed| committed.offset);
        if let Some(commits) = self.model.commits.get(&key) {
            assert!(
                commits.allows(committed, false),
                "{key:?} in the same session: {committed:?}, {commits:?}"
            );
        }
        consumer.poll(Duration::ZERO)?;
        let offset = consumer.position((topic, partition))?;
        let Some(there) = self.model.topics.get(topic) else { return Ok(()) };
        let model = &there.partitions[partition as usize];
        let all = model.acked.iter().chain(&model.maybe).map(|payload| payload.timestamp);
        let commit = Commit { offset, below: all.take(offset as usize).collect() };
        let result = consumer.commit_offset();
        let commits = self.model.commits.entry(key).or_default();
        match &result {
            Ok(()) => {
                commits.acked.push(commit);
                commits.maybe.clear();
                commits.maybe_gone = false;
            }
            Err(_) => commits.maybe.push(commit),
        }
        result
    }
}

/// The broker was opened anew, and has below `end` what a call before that was told to have failed.
fn take_in_recovered(
    model: &mut PartitionModel,
    broker: &Broker,
    (topic, partition): (&str, i32),
    end: usize,
) {
    let start = start_of(broker, topic, partition).unwrap();
    let Ok(there) = read_partition(broker, topic, partition) else {
        // The disk fails, or the power went: it can only be the last of what failed.
        let missing = end - model.acked.len();
        assert!(missing <= model.maybe.len(), "{topic}-{partition}: {end} is behind all that was sent");
        model.acked.extend(model.maybe.split_off(model.maybe.len() - missing));
        return;
    };
    let before: Vec<_> = there.into_iter().take(end - start).map(|(payload, _)| payload).collect();
    let checked = model.compare(start, &before, model.acked.len());
    checked.unwrap_or_else(|why| panic!("{topic}-{partition}, opened anew: {why}"));
    let durable = broker.durable_offset(topic, partition).unwrap();
    model.settle(start, before, durable as usize);
}
