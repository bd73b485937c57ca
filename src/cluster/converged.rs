//! Whether a cluster has got over everything.

use super::{Cluster, host::Running};
use crate::{
    rpc::metadata_record::PartitionState,
    types::{BrokerId, Offset, TopicId},
};
use std::collections::{BTreeMap, BTreeSet};

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
        self.unconverged().is_none()
    }

    /// What keeps the cluster from having [converged](Self::has_converged).
    #[doc(hidden)]
    pub fn unconverged(&self) -> Option<String> {
        if !self.is_complete() {
            return Some("not every broker is there".to_owned());
        }
        let is_well = |state: &PartitionState| {
            state.leader.is_some() && state.replicas.iter().all(|id| state.isr.contains(id))
        };
        let known = self.inner.world.survey(|_, running| {
            let topics = running.image().topics().values();
            let mut partitions = topics.flat_map(|topic| topic.partitions.values());
            partitions.find(|state| !is_well(state)).cloned()
        });
        match known.into_iter().flatten().next() {
            Some(state) => Some(format!("a partition has no leader, or not all in sync: {state:?}")),
            None => self.different(),
        }
    }

    /// A partition whose copies are not alike.
    fn different(&self) -> Option<String> {
        let mut extents: BTreeMap<Key, Vec<(BrokerId, Offset, Offset)>> = BTreeMap::new();
        let mut gone = None;
        self.inner.world.survey(|id, running| {
            running.node.look_at_copies(|key, view| {
                extents.entry(key).or_default().push((id, view.start, view.end));
                if running.image().partition(key.0, key.1).is_none() {
                    gone.get_or_insert_with(|| format!("broker {id} has a copy of {key:?}, which is gone"));
                }
            });
        });
        if gone.is_some() {
            return gone;
        }
        extents.into_iter().find_map(|(key, copies)| {
            let ends: BTreeSet<Offset> = copies.iter().map(|(.., end)| *end).collect();
            let from = copies.iter().map(|(_, start, _)| *start).max().unwrap_or_default();
            if ends.len() > 1 {
                return Some(format!("the copies of {key:?} do not end alike: {copies:?}"));
            }
            let batches = |id, running: &Running| {
                copies.iter().any(|(of, ..)| *of == id).then(|| running.node.batches(key, from))
            };
            let mut all = self.inner.world.survey(batches).into_iter().flatten().enumerate();
            let (_, first) = all.next()?;
            all.find_map(|(n, other)| match (&first, &other) {
                (Ok(one), Ok(other)) if one == other => None,
                (Err(error), _) | (_, Err(error)) => Some(format!("{key:?} cannot be read: {error}")),
                _ => Some(format!("copy {n} of {key:?} is another one than the first: {copies:?}")),
            })
        })
    }
}
