//! The cluster grows, shrinks, and has its partitions moved, while things go wrong.

use super::Run;
use brooklet::{BrokerId, ElectionType, TopicPartition};
use std::time::Duration;

const MOST_BROKERS: usize = 6;

const MOST_PARTITIONS: i32 = 4;

/// How long somebody waits for a broker to go.
const PATIENCE: Duration = Duration::from_secs(10);

impl Run {
    pub(super) fn add_broker(&mut self) -> bool {
        let has_room = self.cluster.brokers().len() < MOST_BROKERS;
        if has_room {
            // Where nobody can register it now it goes on trying.
            drop(self.cluster.add_broker());
        }
        has_room
    }

    /// Whatever keeps it from going: another time.
    pub(super) fn decommission(&mut self, broker: BrokerId) -> bool {
        self.cluster.decommission(broker, PATIENCE).is_ok()
    }

    pub(super) fn rebalance(&mut self) -> bool {
        self.cluster.rebalance(PATIENCE).is_ok()
    }

    /// Of what is produced, or of what groups have committed.
    fn a_partition(&mut self) -> TopicPartition {
        if self.random.once_in(4) {
            let number = self.random.below(2) as i32;
            return TopicPartition::from(("__consumer_offsets", number));
        }
        let (topic, number) = self.random.of(&self.partitions);
        TopicPartition::from((topic, number))
    }

    /// A topic gets another partition, which all produce to and read from then on.
    pub(super) fn grow_topic(&mut self) -> bool {
        let topic = "orders";
        let count = self.partitions.iter().filter(|(name, _)| *name == topic).count() as i32;
        if count == MOST_PARTITIONS {
            return false;
        }
        drop(self.cluster.admin().create_partitions(topic, count + 1));
        // Whatever was answered, now or another time.
        let grown = self.cluster.replicas(topic, count).is_ok();
        if grown {
            self.partitions.push((topic, count));
        }
        grown
    }

    pub(super) fn move_a_partition(&mut self) -> bool {
        let mut left = self.cluster.brokers();
        let mut target = Vec::new();
        while target.len() < self.copies && !left.is_empty() {
            let at = self.random.below(left.len() as u64) as usize;
            target.push(left.swap_remove(at));
        }
        let partition = self.a_partition();
        // Nobody may be there to have it done.
        self.cluster.admin().alter_partition_reassignment(partition, target).is_ok()
    }

    pub(super) fn take_back(&mut self) -> bool {
        if self.cluster.admin().list_partition_reassignments().is_ok_and(|moving| moving.is_empty()) {
            // It may not have come far by then.
            self.move_a_partition();
        }
        let moving = self.cluster.admin().list_partition_reassignments().unwrap_or_default();
        if moving.is_empty() {
            return false;
        }
        let at = self.random.below(moving.len() as u64) as usize;
        let partition = moving[at].partition.clone();
        self.cluster.admin().cancel_partition_reassignment(partition).is_ok()
    }

    pub(super) fn elect_preferred(&mut self) -> bool {
        let partition = self.a_partition();
        self.cluster.admin().elect_leader(partition, ElectionType::Preferred).is_ok()
    }
}
