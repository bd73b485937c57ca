//! What all have read is deleted, and stays so.

use super::{ACCOUNTS, Run, history::Partition};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Deletions {
    /// The offsets below which records were to be deleted, whether that is known to be done or not.
    asked: BTreeMap<Partition, i64>,
}

impl Deletions {
    /// From which offset on a partition may be read, for sure.
    pub(crate) fn asked(&self, partition: Partition) -> i64 {
        self.asked.get(&partition).copied().unwrap_or(0)
    }
}

impl Run {
    /// Some of what all have read. `false`: there is nothing, or it is not known to be done.
    pub(super) fn delete_records(&mut self) -> bool {
        let partition = self.random.of(&self.partitions);
        let before = self.deletions.asked(partition);
        let to = self.random.below(1 + self.read_by_all(partition) as u64) as i64;
        // Kafka does not delete records of a topic that is compacted only.
        if to <= before || partition.0 == ACCOUNTS {
            return false;
        }
        self.deletions.asked.insert(partition, to);
        let done = self.cluster.admin().delete_records(partition, to).is_ok();
        self.history.deleted(partition, to, done);
        if done {
            self.report.deleted += (to - before) as u64;
        }
        done
    }

    fn read_by_all(&self, partition: Partition) -> i64 {
        let readers = self.readers.iter().map(|reader| reader.has_read(partition)).min();
        readers.unwrap_or(0).min(self.group_has_read(partition))
    }
}
