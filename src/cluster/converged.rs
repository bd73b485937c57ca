//! Whether a cluster has got over everything.

use super::{Cluster, host::Running};
use crate::{
    error::Result,
    node::LatestValues,
    rpc::metadata_record::PartitionState,
    types::{BrokerId, Offset, TopicId},
};
use std::collections::{BTreeMap, BTreeSet};

type Key = (TopicId, i32);

impl Cluster {
    /// Whether all is as it should be: there is a controller, all brokers run and are registered, each partition has a leader and all its
    /// replicas in sync, none is on its way to other brokers, and these are alike from where the last of them begins: batch for batch, or,
    /// where a topic is compacted, which each broker does for itself, by the last value of each key.
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
            let known = |id, running: &Running| {
                let (applied, active) = (running.applied(), running.image().active_brokers());
                (id, applied, active, running.controls(), running.quorum().voters().clone())
            };
            let known = self.inner.world.survey(known);
            return Some(format!(
                "not every broker is there; what each knows, how many are, and who votes: {known:?}"
            ));
        }
        let is_well = |state: &PartitionState| {
            state.leader.is_some()
                && !state.is_reassigning()
                && state.replicas.iter().all(|id| state.isr.contains(id))
        };
        let known = self.inner.world.survey(|_, running| {
            let topics = running.image().topics().values();
            let mut partitions = topics.flat_map(|topic| topic.partitions.values());
            partitions.find(|state| !is_well(state)).cloned()
        });
        match known.into_iter().flatten().next() {
            Some(state) => Some(format!("a partition has no leader, or not all in sync: {state:?}")),
            None => self.versions().or_else(|| self.different()),
        }
    }

    /// Brokers that tell clients of another version of the same metadata: those would ask again and again.
    fn versions(&self) -> Option<String> {
        let applied = |_, running: &Running| (running.applied(), running.node.metadata_version());
        let all = self.inner.world.survey(applied);
        let differ =
            all.iter().zip(all.iter().skip(1)).any(|(one, other)| one.0 == other.0 && one.1 != other.1);
        differ.then(|| format!("the metadata has several versions: {all:?}"))
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
            let content = |id, running: &Running| {
                copies.iter().any(|(of, ..)| *of == id).then(|| content(running, key, from))
            };
            let mut all = self.inner.world.survey(content).into_iter().flatten().enumerate();
            let (_, first) = all.next()?;
            all.find_map(|(n, other)| match (&first, &other) {
                (Ok(one), Ok(other)) if one == other => None,
                (Err(error), _) | (_, Err(error)) => Some(format!("{key:?} cannot be read: {error}")),
                _ => Some(format!("copy {n} of {key:?} is another one than the first: {copies:?}")),
            })
        })
    }
}

/// What is to be the same in all copies.
#[derive(PartialEq)]
enum Content {
    Batches(Vec<u8>),
    Values(LatestValues),
}

fn content(running: &Running, key: Key, from: Offset) -> Result<Content> {
    let settings = running.image().topic_by_id(key.0).and_then(|topic| topic.config.settings().ok());
    if settings.is_some_and(|settings| settings.cleanup_policy.compacts()) {
        running.node.latest_values(key, from).map(Content::Values)
    } else {
        running.node.batches(key, from).map(Content::Batches)
    }
}
