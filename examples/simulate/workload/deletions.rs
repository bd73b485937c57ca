//! What all have read is deleted, and stays so.

use super::{ACCOUNTS, MIN_IN_SYNC, Run, history::Partition};

impl Run {
    /// Some of what all have read. `false`: there is nothing, or it is not known to be done.
    pub(super) fn delete_records(&mut self) -> bool {
        let partition = self.random.of(&self.partitions);
        let before = self.history.asked_below(partition);
        let to = self.random.below(1 + self.read_by_all(partition) as u64) as i64;
        // Kafka does not delete records of a topic that is compacted only.
        if to <= before || partition.0 == ACCOUNTS {
            return false;
        }
        let done = self.cluster.admin().delete_records(partition, to).is_ok();
        self.history.deleted(partition, to, done && self.is_kept_by_enough(partition));
        if done {
            self.report.deleted += (to - before) as u64;
        }
        done
    }

    /// Whether no other than those who were waited for may be elected. As in Kafka, a replica that is away is not waited for, and where too
    /// few are in sync it may lead again with what was deleted meanwhile.
    fn is_kept_by_enough(&self, (topic, number): Partition) -> bool {
        self.cluster.isr(topic, number).is_ok_and(|in_sync| in_sync.len() >= MIN_IN_SYNC as usize)
    }

    fn read_by_all(&self, partition: Partition) -> i64 {
        let readers = self.readers.iter().map(|reader| reader.has_read(partition)).min();
        readers.unwrap_or(0).min(self.group_has_read(partition))
    }
}
