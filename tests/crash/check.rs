//! Opens what a crash left, and holds it against the model.

use crate::{
    model::{Payload, There},
    world::World,
};
use brooklet::{Broker, ConsumerConfig, DiskOp, Offsets, Result};
use std::time::Duration;

/// More polls than any workload needs: who is not done by then never will be.
const MAX_POLLS: usize = 10_000;

/// Where a partition begins.
pub(crate) fn start_of(broker: &Broker, topic: &str, partition: i32) -> Result<usize> {
    let described = broker.admin().describe_topic(topic)?;
    Ok(described.partitions[partition as usize].log_start_offset as usize)
}

/// All records of a partition from its start on, each with its leader epoch.
pub(crate) fn read_partition(broker: &Broker, topic: &str, partition: i32) -> Result<Vec<(Payload, i32)>> {
    let mut consumer = broker.consumer(ConsumerConfig::standalone()).assign([(topic, partition)])?;
    let (start, mut seen) = (start_of(broker, topic, partition)?, Vec::new());
    for _ in 0..MAX_POLLS {
        if consumer.is_caught_up()? {
            return Ok(seen);
        }
        for record in &consumer.poll(Duration::ZERO)? {
            assert_eq!(
                record.offset(),
                (start + seen.len()) as i64,
                "{topic}-{partition}: an offset is missing or comes twice"
            );
            let next = Offsets::from(record);
            let epoch = next.get((topic, partition)).and_then(|next| next.leader_epoch);
            seen.push((Payload::of(record), epoch.expect("a record has a leader epoch")));
        }
    }
    panic!("{topic}-{partition}: a consumer never catches up");
}

impl World {
    /// Opens the broker, which must succeed, and checks all that is there. `cut`: the power was cut since the last time.
    pub(crate) fn reopen_and_check(&mut self, cut: bool) {
        self.broker = None;
        let before = self.disk.operations().len();
        let broker = self.open().unwrap_or_else(|error| panic!("open after a crash: {error}\n{error:?}"));
        self.mark_opening(&broker, before, cut);
        self.check_topics(&broker);
        for topic in self.topics_there() {
            self.check_topic(&broker, topic, cut);
        }
        self.check_commits(&broker, cut);
        self.broker = Some(broker);
    }

    pub(crate) fn topics_there(&self) -> Vec<&'static str> {
        let there = self.model.topics.iter().filter(|(_, topic)| topic.there == There::Yes);
        there.map(|(name, _)| *name).collect()
    }

    fn check_topics(&mut self, broker: &Broker) {
        let listed = broker.admin().list_topics().unwrap();
        let unknown = listed.iter().find(|topic| !self.model.topics.contains_key(topic.as_str()));
        assert_eq!(unknown, None, "a topic that nobody made");
        for (topic, model) in &mut self.model.topics {
            let is_there = listed.iter().any(|listed| listed == topic);
            match model.there {
                There::Yes => assert!(is_there, "the topic {topic} is gone"),
                There::No => assert!(!is_there, "the topic {topic} is back"),
                There::Maybe => self.marks.add("topics of calls that failed", 1),
            }
            if !is_there {
                model.there = There::No;
                self.model.commits.retain(|(_, of, _), _| of != topic);
                continue;
            }
            let described = broker.admin().describe_topic(topic).unwrap();
            let before = model.id;
            let known = model.identify(described.id, described.partitions.len());
            assert!(known, "{topic} is another: {described:?}, and was {:?}", model.id);
            model.there = There::Yes;
            if before != model.id {
                self.model.commits.retain(|(_, of, _), _| of != topic);
            }
        }
        let ids = self.model.topics.values().filter_map(|topic| topic.id);
        self.model.ids.extend(ids.filter(|id| !self.model.ids.contains(id)).collect::<Vec<_>>());
    }

    fn check_topic(&mut self, broker: &Broker, topic: &'static str, cut: bool) {
        let there = self.model.topics.get_mut(topic).unwrap();
        for (number, model) in there.partitions.iter_mut().enumerate() {
            let failed = |why: String| -> ! { panic!("{topic}-{number}: {why}\n{}", broker.recovery()) };
            let seen = read_partition(broker, topic, number as i32)
                .unwrap_or_else(|error| failed(error.to_string()));
            let start = start_of(broker, topic, number as i32).unwrap();
            let payloads: Vec<_> = seen.iter().map(|(payload, _)| payload.clone()).collect();
            let at_least = if cut { model.durable } else { model.acked.len() };
            model.compare(start, &payloads, at_least).unwrap_or_else(|why| failed(why));
            for (offset, (payload, epoch)) in seen.iter().enumerate() {
                model.note_name(start + offset, *epoch, payload).unwrap_or_else(|why| failed(why));
            }
            let durable = broker.durable_offset(topic, number as i32).unwrap();
            let end = start + seen.len();
            assert!(durable <= end as i64, "{topic}-{number}: {durable} is beyond the end");
            let all = durable == end as i64;
            assert!(all || !there.flushed, "{topic}-{number}: what can be read of it is flushed");
            let lost = model.acked.len().saturating_sub(end) as u64;
            self.marks.add("records lost that were only buffered", lost);
            self.marks.add("logs that begin behind 0", u64::from(start > 0));
            model.settle(start, payloads, durable as usize);
        }
    }

    /// Each group has what it committed, and goes on where its records end that are still there.
    fn check_commits(&mut self, broker: &Broker, cut: bool) {
        for ((group, topic, partition), model) in &mut self.model.commits {
            let of = (*topic, *partition);
            let consumer = broker.consumer(*group).assign([of]).unwrap();
            let committed = consumer.committed(of).unwrap().map(|committed| committed.offset);
            let allowed = model.allows(committed, cut);
            assert!(allowed, "{group} has committed {committed:?} for {of:?}, cut {cut}: {model:?}");
            let position = consumer.position(of).unwrap();
            let log = &self.model.topics[topic].partitions[*partition as usize];
            let Some(offset) = committed else {
                assert_eq!(position, log.start as i64, "{group} has committed nothing for {of:?}");
                // The tombstone of a deletion may go with the next power cut.
                if cut || !model.maybe_gone {
                    *model = Default::default();
                }
                continue;
            };
            let commit =
                model.candidates(cut).filter(|commit| commit.offset == offset).last().unwrap().clone();
            let there = &log.acked;
            let same =
                there.iter().zip(&commit.below).take_while(|(there, then)| there.timestamp == **then).count();
            if offset < log.start as i64 {
                assert!(position <= log.start as i64, "{group}, {of:?}: {position} of what was removed");
                self.marks.add("groups whose next record was removed", 1);
            } else if same == commit.below.len() {
                assert_eq!(position, offset, "{group}, {of:?}: all that it has read is there");
            } else {
                assert!(
                    position <= same as i64,
                    "{group} resumes at {position}, and {of:?} is another from {same} on"
                );
                self.marks.add("groups that went back", 1);
            }
            model.settle(commit, cut);
        }
    }

    /// What recovery had to do, by its own report and by what the disk saw.
    fn mark_opening(&mut self, broker: &Broker, before: usize, cut: bool) {
        let report = broker.recovery();
        let operations = self.disk.operations();
        let count = |op: DiskOp, text: &str| {
            let new = operations.iter().skip(before).filter(|operation| operation.op == op);
            new.filter(|operation| operation.path.to_string_lossy().contains(text)).count() as u64
        };
        let torn = report.partitions.iter().filter(|partition| partition.bytes_cut > 0).count() as u64;
        let marks = &mut self.marks;
        marks.add("images", u64::from(cut));
        marks.add("clean opens", u64::from(report.clean));
        marks.add("torn tails cut", torn);
        marks.add("segments set aside", count(DiskOp::Rename, ".log"));
        marks.add(
            "recoveries of many segments",
            u64::from(count(DiskOp::Flush, ".log") > report.partitions.len() as u64),
        );
        marks.add("deletions ended by opening", u64::from(count(DiskOp::Remove, "-delete") > 0));
    }
}
