//! The pure core of all that produces: which partition a record goes to. No clock, no thread, no service.

use super::partitioner::{DEFAULT_BATCH_SIZE, StickyPartitioner, partition_for_key};
use crate::{
    error::{Error, Result},
    prng::Prng,
    record::Record,
    rpc::{PartitionMetadata, PartitionRef, TopicMetadata},
    types::{BrokerId, Durability},
};
use std::{collections::BTreeMap, sync::Arc};

/// What the core knows, and draws from.
#[derive(Debug)]
pub(super) struct Router {
    topics: BTreeMap<Arc<str>, Topic>,
    prng: Prng,
}

#[derive(Debug)]
struct Topic {
    known: Arc<KnownTopic>,
    sticky: StickyPartitioner,
}

/// What a broker said of a topic.
#[derive(Debug)]
pub(super) struct KnownTopic {
    pub(super) name: Arc<str>,
    /// By partition.
    routes: Vec<Route>,
}

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    pub(super) partition: PartitionRef,
    pub(super) leader: BrokerId,
    /// The largest batch that the topic takes, in bytes.
    pub(super) max_batch: usize,
}

impl KnownTopic {
    pub(super) fn partition_count(&self) -> i32 {
        self.routes.len() as i32
    }

    /// Where a record goes: to the partition it names, else by its key. `None`: it has neither.
    #[inline]
    pub(super) fn route(&self, record: &Record<'_>) -> Option<Result<&Route, Box<Error>>> {
        let by_key = || record.key.map(|key| partition_for_key(key, self.partition_count()));
        record.partition.or_else(by_key).map(|number| self.route_to(number))
    }

    #[inline]
    fn route_to(&self, number: i32) -> Result<&Route, Box<Error>> {
        let known = usize::try_from(number).ok().and_then(|number| self.routes.get(number));
        let unknown =
            || Error::UnknownTopicOrPartition { topic: self.name.to_string(), partition: Some(number) };
        known.ok_or_else(|| unknown().into())
    }
}

impl Router {
    pub(super) fn new(prng: Prng) -> Self {
        Self { topics: BTreeMap::new(), prng }
    }

    /// Where a record goes: to the partition it names, else by its key, else with the last ones that had none. `None`:
    /// the topic is not known, metadata is needed first.
    pub(super) fn route(&mut self, record: &Record<'_>) -> Option<Result<Route, Box<Error>>> {
        let Topic { known, sticky } = self.topics.get_mut(record.topic)?;
        let route = known.route(record).unwrap_or_else(|| {
            let count = known.partition_count();
            let number = sticky.partition(count, &mut self.prng);
            let size = crate::record::record_size(0, 0, None, record.value, &record.headers);
            sticky.appended(size, count, &mut self.prng);
            known.route_to(number)
        });
        Some(route.copied())
    }

    /// A topic, if it is known.
    pub(super) fn known(&self, topic: &str) -> Option<&Arc<KnownTopic>> {
        self.topics.get(topic).map(|topic| &topic.known)
    }

    /// Takes in what a broker says of a topic.
    pub(super) fn learn(&mut self, metadata: &TopicMetadata) {
        let settings = metadata.config.settings();
        let max_batch = settings.map_or(usize::MAX, |s| s.max_message_bytes.min(s.segment_bytes as usize));
        let route = |p: &PartitionMetadata| Route { partition: p.partition, leader: p.leader, max_batch };
        let routes = metadata.partitions.iter().map(route).collect();
        let known = Arc::new(KnownTopic { name: Arc::clone(&metadata.name), routes });
        let topic = Topic { known, sticky: StickyPartitioner::new(DEFAULT_BATCH_SIZE) };
        self.topics.insert(Arc::clone(&metadata.name), topic);
    }

    /// Forgets a topic: what was known of it is not so any more.
    pub(super) fn forget(&mut self, topic: &str) {
        self.topics.remove(topic);
    }
}

/// The durability that a record asks for.
pub(super) fn durability(record: &Record<'_>) -> Durability {
    record.durability.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::TopicConfig, types::TopicId};

    fn core(partitions: i32) -> Router {
        let topic_id = TopicId::from_bytes([1; 16]);
        let partition = |partition: i32| PartitionMetadata {
            partition: PartitionRef { topic_id, partition, slot: partition as u32 },
            leader: 1.into(),
            leader_epoch: Default::default(),
        };
        let partitions = (0..partitions).map(partition).collect();
        let mut core = Router::new(Prng::new(1));
        core.learn(&TopicMetadata { name: "t".into(), id: topic_id, config: TopicConfig::new(), partitions });
        core
    }

    fn to(core: &mut Router, record: &Record<'_>) -> i32 {
        core.route(record).expect("known").expect("a partition").partition.partition
    }

    #[test]
    fn a_key_goes_where_kafka_sends_it() {
        let mut core = core(3);
        let murmur = |key: &str| (super::super::partitioner::murmur2(key.as_bytes()) & 0x7fff_ffff) % 3;
        for key in ["", "21", "foobar", "abc"] {
            assert_eq!(to(&mut core, &Record::to("t").key(key)), murmur(key), "{key}");
        }
    }

    #[test]
    fn without_a_key_it_sticks_until_a_batch_is_full() {
        let mut core = core(10);
        let value = [0; 1000];
        let went: Vec<i32> = (0..64).map(|_| to(&mut core, &Record::to("t").value(&value))).collect();
        let runs: Vec<usize> = went.chunk_by(|a, b| a == b).map(<[i32]>::len).collect();
        assert!(runs.iter().all(|run| *run >= 8) && runs.len() > 2, "{went:?}");
    }

    #[test]
    fn what_is_not_known_is_said() {
        let mut core = core(2);
        assert!(core.route(&Record::to("other")).is_none());
        assert!(core.route(&Record::to("t").partition(2)).expect("known").is_err());
        assert!(core.route(&Record::to("t").partition(-1)).expect("known").is_err());
        core.forget("t");
        assert!(core.route(&Record::to("t")).is_none());
    }
}
