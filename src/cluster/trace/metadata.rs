//! What the controller's records tell.

use super::fact::{Fact, PartitionFact};
use crate::{
    cluster::marks::Mark,
    controller::Image,
    rpc::metadata_record::MetadataRecord,
    types::{OFFSETS_TOPIC, TopicId},
};
use std::sync::Arc;

/// What a record shows that a cluster has come upon; what comes before is in `image`.
pub(super) fn hits(record: &MetadataRecord, image: &Image) -> Vec<Mark> {
    let (topic, partition, after) = match record {
        MetadataRecord::Partition { topic, partition, state } => (*topic, *partition, state),
        MetadataRecord::BrokerChange { fenced: true, .. } => return vec![Mark::BrokerFenced],
        MetadataRecord::Topic { id, partitions, .. } => {
            let had = image.topic_by_id(*id).map_or(*partitions, |topic| topic.partitions.len() as i32);
            return if had < *partitions { vec![Mark::PartitionsAdded] } else { Vec::new() };
        }
        _ => return Vec::new(),
    };
    let Some(before) = image.partition(topic, partition) else { return Vec::new() };
    let mut hits = Vec::new();
    let mut hit = |mark, is: bool| hits.extend(is.then_some(mark));
    let moved = after.leader_epoch != before.leader_epoch;
    let elected = after.leader.filter(|_| moved);
    hit(Mark::LeaderElected, elected.is_some());
    let could_go_on = before.leader.is_some_and(|id| after.isr.contains(&id) && image.is_active(id));
    hit(
        Mark::PreferredElected,
        could_go_on && elected.is_some() && elected == after.replicas.first().copied(),
    );
    let keeps_groups = image.topic_by_id(topic).is_some_and(|topic| &*topic.name == OFFSETS_TOPIC);
    hit(Mark::CoordinatorElected, keeps_groups && elected.is_some());
    hit(
        Mark::EligibleElected,
        elected.is_some_and(|id| !before.isr.contains(&id) && before.elr.contains(&id)),
    );
    hit(Mark::UncleanElection, after.is_unclean_behind(before));
    hit(
        Mark::UncleanElectionRefused,
        after.leader.is_none() && after.replicas.iter().any(|id| image.is_active(*id)),
    );
    let ended = before.is_reassigning() && !after.is_reassigning();
    hit(Mark::PartitionMoved, ended && after.replicas == before.target());
    hit(Mark::MoveTakenBack, ended && after.replicas == before.origin());
    hit(Mark::IsrShrunk, !before.isr.is_subset(&after.isr));
    hit(Mark::IsrGrown, !after.isr.is_subset(&before.isr));
    hits
}

/// What a record tells, if it is worth telling; what comes before is in `image`.
pub(super) fn fact(record: &MetadataRecord, image: &Image) -> Option<Fact> {
    Some(match record {
        MetadataRecord::Topic { name, partitions, .. } => {
            Fact::Topic { name: name.as_str().into(), partitions: *partitions }
        }
        MetadataRecord::RemoveTopic { id } => Fact::TopicDeleted { name: name(*id, image) },
        MetadataRecord::RegisterBroker { id, epoch, .. } => Fact::Registered { broker: *id, epoch: epoch.0 },
        MetadataRecord::Voters { voters } => Fact::Voters(voters.iter().copied().collect()),
        MetadataRecord::UnregisterBroker { id } => Fact::Unregistered(*id),
        MetadataRecord::BrokerChange { id, fenced: true, .. } => Fact::Fenced(*id),
        MetadataRecord::BrokerChange { id, fenced: false, .. } => Fact::Unfenced(*id),
        MetadataRecord::Partition { topic, partition, state } => {
            let before = image.partition(*topic, *partition);
            Fact::Partition(Box::new(PartitionFact {
                topic: name(*topic, image),
                partition: *partition,
                state: state.clone(),
                unclean: before.is_some_and(|before| state.is_unclean_behind(before)),
            }))
        }
        _ => return None,
    })
}

fn name(topic: TopicId, image: &Image) -> Arc<str> {
    image.topic_by_id(topic).map_or_else(|| topic.to_string().into(), |topic| Arc::clone(&topic.name))
}
