//! Brokers that come, lose their data, fall silent and shut down, leaders that alter their ISR, topics that are made, grow,
//! change and go, controllers that take over, as a seed has it. After every step: the partitions are as they may be, epochs do
//! not go back, whoever leads or is in sync has what was acknowledged, but where the topic allows otherwise or all have lost
//! it, and the records alone make the same image, as those do that the image gives.
//!
//! 300 seeds run with the others; many more by `BROOKLET_SEEDS=100000 cargo test --release --lib controller::tests::walk`.

use super::*;
use crate::rpc::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, CreatePartitionsRequest, DeleteTopicRequest,
    metadata_record::{decode, encode},
};
use crate::types::TopicPartition;

const BROKERS: u64 = 5;
const STEPS: u32 = 400;

/// What must come about in the seeds that are run by default, so that they say something.
const WANTED: [&str; 18] = [
    "controller took over",
    "data lost",
    "eligible leader",
    "fenced",
    "grown",
    "ineligible replica",
    "isr grown",
    "isr shrunk",
    "last known leader",
    "leader in sync",
    "leader that was added",
    "minimum altered",
    "moved",
    "moves",
    "no leader",
    "shut down",
    "taken back",
    "unclean leader",
];

type Marks = BTreeMap<&'static str, u32>;

struct Walk {
    kept: Kept,
    prng: Prng,
    marks: Marks,
    /// Replicas that have lost data, and have not been found in sync by a leader since.
    lost: BTreeSet<(TopicId, i32, BrokerId)>,
    /// How many records each replica has, of those that were ever acknowledged.
    has: BTreeMap<(TopicId, i32, BrokerId), u64>,
    /// How many were, of each partition, less what was lost uncleanly.
    acknowledged: BTreeMap<(TopicId, i32), u64>,
    silent: BTreeSet<i32>,
    /// An operator has just asked for an unclean leader.
    asked_unclean: bool,
}

impl Walk {
    fn new(seed: u64) -> Self {
        let prng = Prng::new(seed).fork("controller");
        Self {
            kept: Kept::of(prng.fork("ids")),
            prng,
            marks: Marks::new(),
            lost: BTreeSet::new(),
            has: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            silent: BTreeSet::new(),
            asked_unclean: false,
        }
    }

    fn mark(&mut self, what: &'static str) {
        *self.marks.entry(what).or_default() += 1;
    }

    fn below(&mut self, bound: usize) -> usize {
        self.prng.below(bound as u64) as usize
    }

    fn image(&self) -> &Image {
        self.kept.controller.image()
    }

    fn step(&mut self) {
        let before = self.image().clone();
        let n = 1 + self.prng.below(BROKERS) as i32;
        self.asked_unclean = false;
        match self.prng.below(100) {
            0..10 => self.come(n),
            10..16 => drop(self.silent.insert(n)),
            16..30 => self.advance(),
            30..50 => self.beat(n),
            50..75 => self.alter(),
            75..80 => self.create(),
            80..82 => self.delete(),
            82..85 => self.grow(),
            85..89 => self.configure(),
            89..94 => self.elect(),
            94..96 => self.shut_down(n),
            96..97 => self.take_over(),
            97..99 => self.reassign(),
            _ => self.silent.clear(),
        }
        self.check(&before);
    }

    fn topic_name(&mut self) -> String {
        format!("t{}", self.prng.below(4))
    }

    /// A broker's process begins, with its data or without.
    fn come(&mut self, n: i32) {
        let before = self.image().brokers().get(&id(n)).map(|broker| broker.epoch);
        let has_all = self.prng.below(3) > 0;
        if !has_all && before.is_some() {
            self.mark("data lost");
            let here = self.image().partitions_where(|state| state.replicas.contains(&id(n)));
            for (topic, partition) in here {
                self.lost.insert((topic, partition, id(n)));
                self.has.insert((topic, partition, id(n)), 0);
            }
        }
        self.silent.remove(&n);
        let another = before.map(|epoch| BrokerEpoch(epoch.0 - 1)).filter(|_| self.prng.below(2) == 0);
        self.kept.register(n, if has_all { before } else { another });
    }

    fn advance(&mut self) {
        for _ in 0..self.prng.below(6) {
            let before = self.image().clone();
            let silent: Vec<i32> = self.silent.iter().copied().collect();
            self.kept.advance(Duration::from_secs(1), &silent);
            if before.brokers() != self.image().brokers() {
                self.mark("fenced");
            }
            self.check(&before);
        }
    }

    fn beat(&mut self, n: i32) {
        if self.image().brokers().contains_key(&id(n)) && !self.silent.contains(&n) {
            self.kept.beat(n, false).unwrap();
        }
    }

    fn shut_down(&mut self, n: i32) {
        if self.image().brokers().contains_key(&id(n)) && self.kept.beat(n, true).unwrap().may_shut_down {
            self.mark("shut down");
        }
    }

    /// Has some brokers have a partition, or those that had it before.
    fn reassign(&mut self) {
        let all = self.image().partitions_where(|_| true);
        if all.is_empty() {
            return;
        }
        let (topic_id, number) = all[self.below(all.len())];
        let name = self.image().topic_by_id(topic_id).unwrap().name.clone();
        let mut target: Vec<BrokerId> = self.image().brokers().keys().copied().collect();
        target.retain(|_| self.prng.below(2) == 0);
        if self.prng.below(2) == 0 {
            target.reverse();
        }
        let replicas = (self.prng.below(4) > 0).then_some(target);
        let taken_back = replicas.is_none();
        let partition = TopicPartition::new(&name, number);
        match self.kept.ask(AlterPartitionReassignmentsRequest { partition, replicas }) {
            Ok(_) => self.mark(if taken_back { "taken back" } else { "moves" }),
            Err(Error::InvalidReplicaAssignment { .. } | Error::NoReassignmentInProgress) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn take_over(&mut self) {
        let (image, next) = (self.image().clone(), self.kept.controller.next_index());
        let prng = self.prng.fork(&format!("{next}"));
        self.kept.controller = Controller::new(image, next, ControllerConfig::default(), prng, self.kept.now);
        self.mark("controller took over");
    }

    /// A leader finds some replicas in sync.
    fn alter(&mut self) {
        let led = self.image().partitions_where(|state| state.leader.is_some());
        if led.is_empty() {
            return;
        }
        let (topic_id, partition) = led[self.below(led.len())];
        let state = self.image().partition(topic_id, partition).unwrap().clone();
        let broker = state.leader.unwrap();
        let isr = state.replicas.iter().filter(|replica| **replica == broker || self.prng.below(3) > 0);
        let isr: Vec<BrokerId> = isr.copied().collect();
        let epoch = |broker: &BrokerId| self.image().brokers()[broker].epoch;
        let mut new_isr: Vec<(BrokerId, Option<BrokerEpoch>)> =
            isr.iter().map(|broker| (*broker, Some(epoch(broker)))).collect();
        let mut may = isr.iter().all(|broker| is_active(self.image(), *broker));
        let broker_epoch = epoch(&broker);
        // One that has registered anew since.
        if let Some((_, Some(epoch))) = new_isr.last_mut().filter(|_| self.prng.below(8) == 0) {
            *epoch = BrokerEpoch(epoch.0 - 1);
            may = false;
        }
        let request = AlterPartitionRequest {
            broker,
            broker_epoch,
            topic_id,
            partition,
            leader_epoch: state.leader_epoch,
            partition_epoch: state.partition_epoch,
            new_isr,
        };
        match self.kept.ask(request) {
            Ok(after) => {
                // Where that ends a move, less those that have it no more.
                let stays = |broker: &&BrokerId| after.replicas.contains(broker);
                assert!(may && after.isr == isr.iter().filter(stays).copied().collect());
                let grown = after.isr.len() > state.isr.len();
                self.mark(if grown { "isr grown" } else { "isr shrunk" });
                let all = self.acknowledged.get(&(topic_id, partition)).copied().unwrap_or(0);
                for broker in after.isr.iter().map(|broker| (topic_id, partition, *broker)) {
                    self.lost.remove(&broker);
                    self.has.insert(broker, all);
                }
            }
            Err(Error::IneligibleReplica) => {
                assert!(!may);
                self.mark("ineligible replica");
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn create(&mut self) {
        let name = self.topic_name();
        let config = TopicConfig::new()
            .partitions(1 + self.prng.below(3) as i32)
            .replication_factor(1 + self.prng.below(3) as i16)
            .min_insync_replicas(1 + self.prng.below(3) as i16)
            .unclean_leader_election(self.prng.below(3) == 0);
        match self.kept.ask(CreateTopicRequest { name, config }) {
            Ok(_) | Err(Error::TopicAlreadyExists { .. } | Error::InvalidReplicationFactor { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn delete(&mut self) {
        let name = self.topic_name();
        let deleted = self.kept.ask(DeleteTopicRequest { name });
        assert!(matches!(deleted, Ok(_) | Err(Error::UnknownTopicOrPartition { .. })));
    }

    fn grow(&mut self) {
        let (topic, total) = (self.topic_name(), 1 + self.prng.below(5) as i32);
        if self.kept.ask(CreatePartitionsRequest { topic, total }).is_ok() {
            self.mark("grown");
        }
    }

    fn configure(&mut self) {
        let config = if self.prng.below(2) == 0 {
            TopicConfig::new().min_insync_replicas(1 + self.prng.below(3) as i16)
        } else {
            TopicConfig::new().unclean_leader_election(self.prng.below(2) == 0)
        };
        let topic = self.topic_name();
        if self.kept.ask(AlterConfigsRequest { topic, config }).is_ok() {
            self.mark("minimum altered");
        }
    }

    fn elect(&mut self) {
        self.asked_unclean = self.prng.below(4) == 0;
        let election = if self.asked_unclean { ElectionType::Unclean } else { ElectionType::Preferred };
        let (topic, partition) = (self.topic_name(), self.prng.below(3) as i32);
        drop(self.kept.ask(ElectLeadersRequest { topic, partition, election }));
    }

    fn check(&mut self, before: &Image) {
        let after = self.image().clone();
        for (id, broker) in &before.brokers {
            assert!(after.brokers[id].epoch >= broker.epoch, "the epoch of {id} goes back");
        }
        assert!(after.next_producer_id >= before.next_producer_id);
        for (id, topic) in after.topics() {
            assert_eq!(topic.partitions.len(), topic.config.partition_count().unwrap() as usize);
            for (partition, state) in &topic.partitions {
                check_state(&after, topic, state);
                if let Some(before) = before.partition(*id, *partition) {
                    self.check_change((*id, *partition), topic, before, state);
                }
                let lost = |broker: &&BrokerId| self.lost.contains(&(*id, *partition, **broker));
                let found = state.isr.union(&state.elr).find(lost);
                assert_eq!(found, None, "it has lost its data: {state:?}");
            }
        }
        assert_eq!(Image::of(&after.records()), after, "a snapshot is the same");
        self.lost.retain(|(topic, _, _)| after.topics().contains_key(topic));
        self.produce(&after);
    }

    /// Some leaders acknowledge a record, where enough replicas are in sync: all those have it.
    fn produce(&mut self, image: &Image) {
        for (id, topic) in image.topics() {
            for (partition, state) in &topic.partitions {
                let all = self.acknowledged.entry((*id, *partition)).or_default();
                let minimum = topic.min_insync_replicas.min(state.replicas.len());
                if state.leader.is_some() && state.isr.len() >= minimum && self.prng.below(2) == 0 {
                    *all += 1;
                    self.has.extend(state.isr.iter().map(|broker| ((*id, *partition, *broker), *all)));
                }
                for broker in state.isr.union(&state.elr) {
                    let has = self.has.get(&(*id, *partition, *broker)).copied().unwrap_or(0);
                    assert!(has >= *all, "{broker} has {has} of {all}: {state:?}");
                }
            }
        }
    }

    /// Who had a copy and is to have none has lost it, and who comes begins with nothing.
    fn check_replicas(
        &mut self,
        (id, partition): (TopicId, i32),
        unclean: bool,
        before: &PartitionState,
        after: &PartitionState,
    ) {
        let gone = before.replicas.iter().filter(|broker| !after.replicas.contains(broker));
        let had_all = |broker: &BrokerId| before.isr.contains(broker) || before.elr.contains(broker);
        if gone.clone().any(had_all) && !unclean {
            // Those who stay are as many as the topic wants to have what is acknowledged.
            let minimum = self.image().topic_by_id(id).unwrap().min_insync_replicas.min(after.target().len());
            assert!(after.isr.union(&after.elr).count() >= minimum, "{before:?} {after:?}");
        }
        for broker in gone {
            assert!(!before.is_reassigning() || !after.is_reassigning() || before.adding.contains(broker));
            self.has.remove(&(id, partition, *broker));
            self.lost.remove(&(id, partition, *broker));
        }
        let came = after.replicas.iter().filter(|broker| !before.replicas.contains(broker));
        for broker in came {
            assert!(after.adding.contains(broker));
            let leads = unclean && after.leader == Some(*broker);
            assert!(leads || !after.isr.contains(broker), "{before:?} {after:?}");
        }
        if before.is_reassigning() && !after.is_reassigning() {
            self.mark("moved");
        }
    }

    fn check_change(
        &mut self,
        (id, partition): (TopicId, i32),
        topic: &TopicImage,
        before: &PartitionState,
        after: &PartitionState,
    ) {
        let raised = |a: i32, b: i32, changed: bool| if changed { b > a } else { b == a };
        let (a, b) = (before.partition_epoch.0, after.partition_epoch.0);
        assert!(raised(a, b, before != after), "{before:?} {after:?}");
        assert!(before.leader_epoch <= after.leader_epoch);
        assert!(before.leader == after.leader || before.leader_epoch < after.leader_epoch);
        self.check_replicas((id, partition), topic.unclean_leader_election, before, after);
        let has_lost = |broker: &BrokerId| self.lost.contains(&(id, partition, *broker));
        assert!(!after.isr.is_empty() || before.isr.iter().all(has_lost), "{before:?} {after:?}");
        let Some(leader) = after.leader.filter(|_| before.leader != after.leader) else {
            if before.leader.is_some() && after.leader.is_none() {
                self.mark("no leader");
            }
            return;
        };
        let ended = before.is_reassigning() && !after.is_reassigning();
        let has = |broker: BrokerId| self.has.get(&(id, partition, broker)).copied().unwrap_or(0);
        if ended && has(leader) >= self.acknowledged.get(&(id, partition)).copied().unwrap_or(0) {
            return self.mark("leader that was added");
        }
        if before.isr.contains(&leader) && !has_lost(&leader) {
            return self.mark("leader in sync");
        }
        if before.elr.contains(&leader) && !has_lost(&leader) {
            assert!(!before.isr.iter().any(|broker| is_active(self.image(), *broker) && !has_lost(broker)));
            return self.mark("eligible leader");
        }
        let all_have_lost = before.isr.union(&before.elr).all(has_lost);
        let last = before.leader.or(before.last_known_leader);
        if all_have_lost && last == Some(leader) {
            self.mark("last known leader");
        } else {
            assert!(topic.unclean_leader_election || self.asked_unclean, "{before:?} {after:?}");
            self.mark("unclean leader");
        }
        assert_eq!((after.isr.len(), after.elr.len()), (1, 0), "it is all that is left");
        // What it has is now what there is.
        self.lost.remove(&(id, partition, leader));
        let has = self.has.get(&(id, partition, leader)).copied().unwrap_or(0);
        self.acknowledged.insert((id, partition), has);
    }
}

/// Whether a broker may lead, and join an ISR.
fn is_active(image: &Image, broker: BrokerId) -> bool {
    let broker = image.brokers()[&broker];
    !broker.fenced && !broker.shutting_down
}

/// What is so of every partition at any time.
fn check_state(image: &Image, topic: &TopicImage, state: &PartitionState) {
    let is_replica = |broker: &BrokerId| state.replicas.contains(broker);
    assert_eq!(BTreeSet::from_iter(&state.replicas).len(), state.replicas.len(), "{state:?}");
    assert!(state.isr.iter().chain(&state.elr).all(is_replica), "{state:?}");
    assert!(state.adding.iter().chain(&state.removing).all(is_replica), "{state:?}");
    assert!(!state.target().is_empty(), "{state:?}");
    assert!(!state.origin().is_empty(), "{state:?}");
    assert!(state.isr.is_disjoint(&state.elr), "{state:?}");
    let minimum = topic.min_insync_replicas.min(state.replicas.len());
    assert!(state.elr.is_empty() || state.isr.len() < minimum, "{state:?}");
    match &state.leader {
        Some(leader) => {
            assert!(state.isr.contains(leader) && is_active(image, *leader), "{state:?}");
            assert!(state.isr.iter().all(|broker| !image.brokers[broker].fenced), "{state:?}");
            assert_eq!(state.last_known_leader, None);
        }
        None => {
            let could = state.isr.union(&state.elr).find(|broker| is_active(image, **broker));
            assert_eq!(could, None, "it could lead: {state:?}");
        }
    }
}

fn walk(seed: u64) -> (Marks, Vec<MetadataRecord>) {
    let mut walk = Walk::new(seed);
    for _ in 0..STEPS {
        walk.step();
    }
    let records = walk.kept.records;
    assert_eq!(decode(&encode(&records)).as_ref(), Ok(&records));
    let mut replayed = Image::default();
    records.iter().for_each(|record| replayed.apply(record));
    assert_eq!(replayed, walk.kept.controller.image);
    (walk.marks, records)
}

#[test]
fn whatever_is_asked_for_no_leader_lacks_what_was_acknowledged() {
    let mut marks = Marks::new();
    for seed in crate::seeds(300) {
        println!("BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --lib controller::tests::walk");
        let (some, records) = walk(seed);
        if seed % 50 == 0 {
            assert_eq!(walk(seed).1, records, "the same seed has the same happen");
        }
        for (what, times) in some {
            *marks.entry(what).or_default() += times;
        }
    }
    println!("{marks:?}");
    if std::env::var_os("BROOKLET_SEED").is_none() {
        let missing: Vec<&&str> = WANTED.iter().filter(|what| !marks.contains_key(**what)).collect();
        assert!(missing.is_empty(), "{missing:?} did not come about: {marks:?}");
    }
}
