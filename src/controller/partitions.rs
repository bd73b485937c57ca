//! What leaders and operators ask of single partitions. (Kafka: `ReplicationControlManager`)

use super::{Controller, Election};
use crate::{
    error::{Error, Result},
    rpc::{AlterPartitionRequest, Done, ElectLeadersRequest, metadata_record::PartitionState},
    types::{BrokerEpoch, BrokerId, ElectionType, TopicId},
};
use std::collections::{BTreeMap, BTreeSet};

impl Controller {
    /// A leader's ISR is taken if the leader knows how things are, and all in it are there under the registrations by which
    /// it knows them (rule 56): one that has registered anew may have lost what the leader saw it have.
    pub(super) fn alter_partition(&mut self, request: &AlterPartitionRequest) -> Result<PartitionState> {
        self.check_epoch(request.broker, request.broker_epoch)?;
        let at = (request.topic_id, request.partition);
        let state = self.known_partition(at)?;
        check_alter(request, state)?;
        if !request.new_isr.iter().all(|(broker, epoch)| self.is_eligible(*broker, *epoch)) {
            return Err(Error::IneligibleReplica);
        }
        let isr = request.new_isr.iter().map(|(broker, _)| *broker).collect();
        self.change_partition(at, Some(isr), None, Election::Online);
        self.known_partition(at).cloned()
    }

    fn known_partition(&self, (topic, partition): (TopicId, i32)) -> Result<&PartitionState> {
        let Some(image) = self.image.topics.get(&topic) else {
            return Err(Error::UnknownTopicId { topic: format!("with the id {topic}") });
        };
        let unknown =
            || Error::UnknownTopicOrPartition { topic: image.name.to_string(), partition: Some(partition) };
        image.partitions.get(&partition).ok_or_else(unknown)
    }

    pub(super) fn partition_of(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<((TopicId, i32), &PartitionState)> {
        let unknown = |partition| Error::UnknownTopicOrPartition { topic: topic.to_owned(), partition };
        let (id, image) = self.image.topic(topic).ok_or_else(|| unknown(None))?;
        let state = image.partitions.get(&partition).ok_or_else(|| unknown(Some(partition)))?;
        Ok(((id, partition), state))
    }

    fn is_eligible(&self, id: BrokerId, epoch: Option<BrokerEpoch>) -> bool {
        let broker = self.image.broker(id).filter(|broker| broker.is_active());
        broker.is_some_and(|broker| epoch.is_none_or(|epoch| epoch == broker.epoch))
    }

    /// Has preferred leaders lead all that prefers them, where a broker does not lead more than a tenth of it.
    /// (`auto.leader.rebalance.enable`, `leader.imbalance.per.broker.percentage`)
    pub(super) fn balance_leaders(&mut self) {
        let mut of_broker: BTreeMap<BrokerId, (usize, Vec<(TopicId, i32)>)> = BTreeMap::new();
        for at in self.image.partitions_where(|state| !state.replicas.is_empty()) {
            let Some(state) = self.image.partition(at.0, at.1) else { continue };
            let Some(preferred) = state.replicas.first() else { continue };
            let (all, missing) = of_broker.entry(*preferred).or_default();
            *all += 1;
            if state.leader != Some(*preferred) {
                missing.push(at);
            }
        }
        let uneven = of_broker.into_values().filter(|(all, missing)| missing.len() * 10 > *all);
        for at in uneven.flat_map(|(_, missing)| missing).collect::<Vec<_>>() {
            self.change_partition(at, None, None, Election::Preferred);
        }
    }

    pub(super) fn elect_leaders(&mut self, request: &ElectLeadersRequest) -> Result<Done> {
        let (at, state) = self.partition_of(&request.topic, request.partition)?;
        let preferred = state.replicas.first().copied();
        let (election, is_needed) = match request.election {
            ElectionType::Preferred => (Election::Preferred, state.leader != preferred),
            ElectionType::Unclean => (Election::Unclean, state.leader.is_none()),
        };
        if !is_needed {
            return Err(Error::ElectionNotNeeded);
        }
        if election == Election::Preferred {
            let may_lead = |broker: &BrokerId| state.isr.contains(broker) && self.image.is_active(*broker);
            if !preferred.as_ref().is_some_and(may_lead) {
                return Err(Error::PreferredLeaderNotAvailable);
            }
        } else if !state.replicas.iter().any(|broker| self.image.is_active(*broker)) {
            return Err(Error::EligibleLeadersNotAvailable);
        }
        self.change_partition(at, None, None, election);
        Ok(Done)
    }
}

/// Whether the leader that asks is the leader, and knows the partition's state.
fn check_alter(request: &AlterPartitionRequest, state: &PartitionState) -> Result<()> {
    // It has heard from a later controller.
    if request.leader_epoch > state.leader_epoch || request.partition_epoch > state.partition_epoch {
        return Err(Error::NotController);
    }
    if request.leader_epoch < state.leader_epoch {
        return Err(Error::FencedLeaderEpoch);
    }
    if state.leader != Some(request.broker) {
        return Err(Error::NotLeaderOrFollower);
    }
    if request.partition_epoch < state.partition_epoch {
        return Err(Error::InvalidUpdateVersion);
    }
    let isr: BTreeSet<BrokerId> = request.new_isr.iter().map(|(broker, _)| *broker).collect();
    let are_replicas = isr.iter().all(|broker| state.replicas.contains(broker));
    if !isr.contains(&request.broker) || !are_replicas || isr.len() != request.new_isr.len() {
        return Err(Error::IllegalState(format!("{isr:?} cannot be the ISR of {:?}", state.replicas)));
    }
    Ok(())
}
