//! A group whose members come, go, fall silent and commit. Whoever takes a partition over goes on where the group has committed: at the
//! last commit that was acknowledged, or at a later one of which nobody knows what became. As long as nothing is assigned to a member it
//! reads on without a gap. In the end the group has been given everything.

use super::{
    ACCOUNTS, Run,
    consumers::by_partition,
    history::{History, Partition},
};
use brooklet::{
    Consumer, ConsumerConfig, CooperativeStickyAssignor, GroupState, RebalanceConsumer, RebalanceListener,
    Records, Result, TopicPartition,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

const NAME: &str = "billing";
/// By which the history knows the group.
const READER: u32 = 100;
const MOST_MEMBERS: usize = 3;
const POLL: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(crate) struct Group {
    members: Vec<Member>,
    /// Where the group may go on: at the last commit that was acknowledged, or one since.
    committed: BTreeMap<Partition, Vec<i64>>,
    /// Counts the times that a member went on with a partition.
    stretches: u32,
    /// Stretches that began elsewhere than where the group had committed, and why that must not be.
    suspects: BTreeMap<u32, String>,
}

#[derive(Debug)]
struct Member {
    consumer: Consumer,
    /// What comes next in a partition, and in which stretch it is read.
    next: BTreeMap<Partition, (i64, u32)>,
    /// What it was given since, of which it has not read yet: there it may go on elsewhere.
    assigned: Assigned,
}

#[derive(Debug, Clone, Default)]
struct Assigned(Arc<Mutex<BTreeSet<TopicPartition>>>);

impl Assigned {
    fn take(&self, (topic, number): Partition) -> bool {
        self.0.lock().remove(&TopicPartition::new(topic, number))
    }
}

impl RebalanceListener for Assigned {
    fn assigned(&mut self, _: &mut RebalanceConsumer<'_>, partitions: &[TopicPartition]) -> Result<()> {
        self.0.lock().extend(partitions.iter().cloned());
        Ok(())
    }

    fn revoked(&mut self, _: &mut RebalanceConsumer<'_>, _: &[TopicPartition]) -> Result<()> {
        Ok(())
    }
}

impl Run {
    /// Some member polls, and perhaps commits; or one comes or goes.
    pub(crate) fn go_on_as_group(&mut self) {
        let count = self.group.members.len();
        match self.random.below(20) {
            _ if count == 0 => self.come(),
            0 if count < MOST_MEMBERS => self.come(),
            1 => self.leave(),
            2 => self.fall_silent(),
            _ => {
                let at = self.random.below(count as u64) as usize;
                self.poll_as_member(at);
            }
        }
    }

    fn come(&mut self) {
        let config = ConsumerConfig::new(NAME).session_timeout(Duration::from_secs(6));
        let config = config.heartbeat_interval(Duration::from_secs(1));
        // In some runs members keep what does not move.
        let config =
            if self.seed.is_multiple_of(3) { config.assignor(CooperativeStickyAssignor) } else { config };
        let assigned = Assigned::default();
        let consumer = self.cluster.consumer(config).on_rebalance(assigned.clone());
        // Nobody may be there who keeps the group.
        if let Ok(consumer) = consumer.subscribe(["orders", "payments", ACCOUNTS]) {
            self.group.members.push(Member { consumer, next: BTreeMap::new(), assigned });
        }
    }

    fn some_member(&mut self) -> Member {
        let at = self.random.below(self.group.members.len() as u64) as usize;
        self.group.members.swap_remove(at)
    }

    fn leave(&mut self) {
        drop(self.some_member().consumer.close());
    }

    fn fall_silent(&mut self) {
        self.some_member().consumer.abandon();
    }

    /// How many records a poll gave; errors pass.
    fn poll_as_member(&mut self, at: usize) -> usize {
        let Ok(records) = self.group.members[at].consumer.poll(POLL) else { return 0 };
        for (partition, records) in by_partition(&self.partitions, &records) {
            self.take(at, partition, &records);
            self.report.polled += records.len() as u64;
        }
        if self.random.once_in(2) {
            self.commit(at, &records);
        }
        records.len()
    }

    /// A member was given records: those that come next, or, of what it has been assigned, those at which the group goes on.
    fn take(&mut self, at: usize, partition: Partition, records: &[(i64, u64)]) {
        let (Some((first, _)), Some((last, _))) = (records.first(), records.last()) else { return };
        let member = &self.group.members[at];
        let anew = member.assigned.take(partition);
        // What an unclean election has taken back is not there any more.
        let may_jump = anew || self.careless;
        // What comes next may have made room for later values.
        let has_gone = |next: i64| partition.0 == ACCOUNTS && !anew && next < *first;
        let known = member.next.get(&partition).copied();
        let known = known.filter(|(next, _)| next == first || !may_jump || has_gone(*next));
        let stretch = known.map_or_else(|| self.begin_stretch(partition, *first), |(_, stretch)| stretch);
        self.group.members[at].next.insert(partition, (last + 1, stretch));
        self.history.polled((READER, stretch), partition, records);
    }

    fn begin_stretch(&mut self, partition: Partition, first: i64) -> u32 {
        self.group.stretches += 1;
        let beginning = vec![0];
        let places = self.group.committed.get(&partition).unwrap_or(&beginning);
        let place = match partition.0 {
            // What was there may have gone.
            ACCOUNTS => places.iter().copied().filter(|place| *place <= first).max(),
            _ => Some(first).filter(|first| places.contains(first)),
        };
        if place.is_none() && !self.careless {
            let why = format!("the group goes on at {partition:?} {first}, and not at one of {places:?}");
            self.group.suspects.insert(self.group.stretches, why);
        }
        self.history.moved((READER, self.group.stretches), partition, place.or(Some(first)));
        self.group.stretches
    }

    /// Up to which offset the group has been given a partition, exclusive, and none of its members will be given it again.
    pub(crate) fn group_has_read(&self, partition: Partition) -> i64 {
        let committed = self.group.committed.get(&partition).map_or(&[0][..], Vec::as_slice);
        let members = self.group.members.iter().filter_map(|member| member.next.get(&partition));
        committed.iter().chain(members.map(|(next, _)| next)).copied().min().unwrap_or(0)
    }

    fn commit(&mut self, at: usize, records: &Records) {
        let ends: Vec<(Partition, i64)> = by_partition(&self.partitions, records)
            .into_iter()
            .filter_map(|(partition, records)| Some((partition, records.last()?.0 + 1)))
            .collect();
        let committed: Result<()> = self.group.members[at].consumer.commit_offsets(records);
        for (partition, end) in ends {
            let stretch = self.group.members[at].next.get(&partition).map(|(_, stretch)| *stretch);
            let suspect = stretch.and_then(|stretch| self.group.suspects.get(&stretch));
            // One that the group has gone on without goes on where it was, and does not commit.
            if let Some(why) = suspect.filter(|_| committed.is_ok()) {
                self.fail(why);
            }
            let places = self.group.committed.entry(partition).or_insert_with(|| vec![0]);
            if committed.is_ok() {
                places.clear();
            }
            places.push(end);
        }
    }

    /// Has the group read what there is, its members sharing it.
    pub(crate) fn read_to_the_end_as_group(&mut self) {
        while self.group.members.is_empty() {
            self.come();
        }
        for _ in 0..400 {
            let given: usize = (0..self.group.members.len()).map(|at| self.poll_as_member(at)).sum();
            // One without partitions has nothing to catch up with.
            let all = |member: &Member| {
                member.consumer.assignment().is_empty() || member.consumer.is_caught_up().unwrap_or(false)
            };
            if given == 0 && self.is_shared() && self.group.members.iter().all(all) && self.is_stable() {
                let finished = |history: &mut History, of: &Partition| history.finished(READER, *of);
                return self.partitions.iter().for_each(|partition| finished(&mut self.history, partition));
            }
        }
        self.fail(format_args!("the group does not come to the end: {:?}", self.assignments()));
    }

    fn is_stable(&self) -> bool {
        let described = self.cluster.admin().describe_group(NAME);
        described.is_ok_and(|group| group.state == GroupState::Stable)
    }

    /// The members go.
    pub(crate) fn close_group(&mut self) -> Result<()> {
        self.group.members.drain(..).try_for_each(|member| member.consumer.close())
    }

    /// Whether each partition has one owner.
    fn is_shared(&self) -> bool {
        let all: Vec<Partition> = self.assignments().into_iter().flatten().collect();
        all.len() == self.partitions.len() && all.iter().collect::<BTreeSet<_>>().len() == all.len()
    }

    fn assignments(&self) -> Vec<Vec<Partition>> {
        let known = |of: &TopicPartition| {
            self.partitions.iter().find(|(topic, n)| (*topic, *n) == (of.topic(), of.partition())).copied()
        };
        let of_member = |member: &Member| member.consumer.assignment().iter().filter_map(known).collect();
        self.group.members.iter().map(of_member).collect()
    }
}
