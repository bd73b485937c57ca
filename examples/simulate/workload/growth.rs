//! The cluster grows, shrinks, and has its partitions moved, while things go wrong.

use super::Run;
use brooklet::{BrokerId, ElectionType, Result, TopicPartition};
use std::time::Duration;

const MOST_BROKERS: usize = 6;

const MOST_PARTITIONS: i32 = 4;

/// How long somebody waits for a broker to go.
const PATIENCE: Duration = Duration::from_secs(10);

impl Run {
    pub(super) fn add_broker(&mut self) -> Result<()> {
        if self.cluster.brokers().len() < MOST_BROKERS {
            // Where nobody can register it now it goes on trying.
            drop(self.cluster.add_broker());
        }
        Ok(())
    }

    /// Whatever keeps it from going: another time.
    pub(super) fn decommission(&mut self, broker: BrokerId) -> Result<()> {
        drop(self.cluster.decommission(broker, PATIENCE));
        Ok(())
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
    pub(super) fn grow_topic(&mut self) -> Result<()> {
        let topic = "orders";
        let count = self.partitions.iter().filter(|(name, _)| *name == topic).count() as i32;
        if count < MOST_PARTITIONS {
            drop(self.cluster.admin().create_partitions(topic, count + 1));
            // Whatever was answered, now or another time.
            if self.cluster.replicas(topic, count).is_ok() {
                self.partitions.push((topic, count));
            }
        }
        Ok(())
    }

    pub(super) fn move_a_partition(&mut self) -> Result<()> {
        let mut left = self.cluster.brokers();
        let mut target = Vec::new();
        while target.len() < self.copies && !left.is_empty() {
            let at = self.random.below(left.len() as u64) as usize;
            target.push(left.swap_remove(at));
        }
        let partition = self.a_partition();
        // Nobody may be there to have it done.
        drop(self.cluster.admin().alter_partition_reassignment(partition, target));
        Ok(())
    }

    pub(super) fn take_back(&mut self) -> Result<()> {
        let moving = self.cluster.admin().list_partition_reassignments().unwrap_or_default();
        if !moving.is_empty() {
            let at = self.random.below(moving.len() as u64) as usize;
            let partition = moving[at].partition.clone();
            drop(self.cluster.admin().cancel_partition_reassignment(partition));
        }
        Ok(())
    }

    pub(super) fn elect_preferred(&mut self) -> Result<()> {
        let partition = self.a_partition();
        drop(self.cluster.admin().elect_leader(partition, ElectionType::Preferred));
        Ok(())
    }
}
