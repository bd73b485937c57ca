//! Whether a cluster has got over everything.

use super::Cluster;
use crate::{
    rpc::metadata_record::PartitionState,
    types::{BrokerId, Offset, TopicId},
};
use std::collections::BTreeMap;

type Key = (TopicId, i32);

impl Cluster {
    /// Whether all is as it should be: there is a controller, all brokers run and are registered, each partition has a leader and all its
    /// replicas in sync, and these are alike, batch for batch, from where the last of them begins.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new()).start()?;
    /// cluster.kill(1)?;
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// cluster.restart(1)?;
    /// cluster.run_until(Duration::from_secs(60), Cluster::has_converged)?;
    /// # Ok(()) }
    /// ```
    pub fn has_converged(&self) -> bool {
        if !self.is_complete() {
            return false;
        }
        let is_well = |state: &PartitionState| {
            state.leader.is_some() && state.replicas.iter().all(|id| state.isr.contains(id))
        };
        let known = self.inner.world.survey(|_, running| {
            let topics = running.image().topics().values();
            topics.flat_map(|topic| topic.partitions.values()).all(is_well)
        });
        known.into_iter().all(|all| all) && self.copies_agree()
    }

    fn copies_agree(&self) -> bool {
        let mut extents: BTreeMap<Key, Vec<(Offset, Offset)>> = BTreeMap::new();
        self.inner.world.survey(|_, running| {
            running.node.look_at_copies(|key, view| {
                extents.entry(key).or_default().push((view.start, view.end));
            });
        });
        extents.into_iter().all(|(key, copies)| {
            let starts = copies.iter().map(|(start, _)| *start);
            let mut ends = copies.iter().map(|(_, end)| *end);
            let (from, first) = (starts.max().unwrap_or_default(), ends.next());
            ends.all(|end| Some(end) == first) && self.batches_agree(key, from)
        })
    }

    fn batches_agree(&self, key: Key, from: Offset) -> bool {
        let replicas = self.replicas(key);
        let mut copies = self
            .inner
            .world
            .survey(|id, running| replicas.contains(&id).then(|| running.node.batches(key, from).ok()))
            .into_iter()
            .flatten();
        let first = copies.next().flatten();
        first.is_some() && copies.all(|bytes| bytes == first)
    }

    fn replicas(&self, key: Key) -> Vec<BrokerId> {
        let known = self
            .inner
            .world
            .survey(|_, running| running.image().partition(key.0, key.1).map(|state| state.replicas.clone()));
        known.into_iter().flatten().next().unwrap_or_default()
    }
}
