//! Partitions that are paused: they keep their place and what was fetched of them, and are passed over.

use super::{ConsumerCore, Partition};
use crate::{error::Result, types::TopicPartition};

impl ConsumerCore {
    /// Pauses or resumes all of these, or none if one is not assigned.
    pub(in crate::client) fn set_paused(
        &mut self,
        partitions: &[TopicPartition],
        paused: bool,
    ) -> Result<()> {
        partitions.iter().try_for_each(|of| self.reference(of).map(drop))?;
        for of in partitions {
            if let Some(partition) = self.partitions.get_mut(of) {
                partition.paused = paused;
            }
        }
        Ok(())
    }

    pub(in crate::client) fn paused(&self) -> Vec<TopicPartition> {
        let paused = self.partitions.iter().filter(|(_, partition)| partition.paused);
        paused.map(|(of, _)| of.clone()).collect()
    }

    /// The partitions that may be served, beginning behind the one that was served last.
    pub(super) fn in_turn(&self) -> Vec<TopicPartition> {
        let awake = self.partitions.iter().filter(|(_, partition)| !partition.paused);
        let (first, then): (Vec<_>, Vec<_>) =
            awake.map(|(of, _): (_, &Partition)| of.clone()).partition(|of| Some(of) > self.served.as_ref());
        first.into_iter().chain(then).collect()
    }
}
