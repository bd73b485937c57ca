//! Which groups a broker keeps: those whose partition of `__consumer_offsets` it leads. Their records are replayed when it begins
//! to lead, and what a group has written counts when all replicas in sync have it.
//!
//! A broker on its own leads every partition, replays one when a group of it is first asked for, and has at once what it writes.

use super::{Node, Task, admin::OFFSETS_PARTITIONS, groups::Groups, partition::Partition};
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    group::{Event, Group, RequestId, Write, partition_for_group},
    rpc::{Answer, FindCoordinatorRequest, FindCoordinatorResponse, Response, Ticket},
    types::{BrokerId, Instant, LeaderEpoch, OFFSETS_TOPIC, Offset, check_group_id},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A partition of `__consumer_offsets` whose groups are known here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loaded {
    /// The leadership under which it was replayed.
    epoch: LeaderEpoch,
    /// Where the log ended then: before all replicas in sync have that, what it says may still be lost.
    end: Offset,
}

/// What has become of something that a group has written.
#[derive(Debug)]
pub(super) struct GroupWritten {
    group: String,
    /// The leadership under which it was written.
    epoch: LeaderEpoch,
    write: u64,
    result: Result<()>,
}

impl Node {
    pub(super) fn handle_find_coordinator(
        &self,
        request: &FindCoordinatorRequest,
    ) -> Result<FindCoordinatorResponse> {
        check_group_id(&request.group)?;
        if self.replication.is_none() {
            return Ok(FindCoordinatorResponse { broker: self.id });
        }
        let leader =
            self.offsets_partition(&request.group).map(|partition| partition.lock().leader(self.id).0);
        match leader.filter(|leader| *leader != BrokerId::NOBODY) {
            Some(broker) => Ok(FindCoordinatorResponse { broker }),
            None => Err(Error::CoordinatorNotAvailable { group: request.group.clone() }),
        }
    }

    /// Has a group known here if this broker keeps it. If it does not, or cannot tell yet, says so.
    pub(super) fn coordinate(&self, groups: &mut Groups, group: &str) -> Result<()> {
        if self.replication.is_none() {
            let count = self.offsets_partitions().unwrap_or(OFFSETS_PARTITIONS);
            return self.load_alone(groups, partition_for_group(group, count));
        }
        let Some(partition) = self.offsets_partition(group) else {
            return Err(Error::CoordinatorNotAvailable { group: group.to_owned() });
        };
        self.check_loaded(groups, &partition, group)
    }

    fn check_loaded(&self, groups: &Groups, partition: &Partition, group: &str) -> Result<()> {
        let Some(epoch) = partition.lock().role.leads_in() else {
            return Err(Error::NotCoordinator { group: group.to_owned() });
        };
        match groups.loaded.get(&partition.name().partition()) {
            Some(loaded) if loaded.epoch == epoch && partition.known_watermark() >= loaded.end => Ok(()),
            _ => Err(Error::CoordinatorLoadInProgress { group: group.to_owned() }),
        }
    }

    /// Whether this broker keeps a group that it knows.
    pub(super) fn keeps(&self, groups: &Groups, group: &str) -> bool {
        let kept = |partition: Arc<Partition>| {
            let loaded = groups.loaded.get(&partition.name().partition()).map(|loaded| loaded.epoch);
            loaded.is_some() && loaded == partition.lock().role.leads_in()
        };
        self.replication.is_none() || self.offsets_partition(group).is_some_and(kept)
    }

    /// As [`coordinate`](Self::coordinate), for all groups that are kept here.
    pub(super) fn coordinate_all(&self, groups: &mut Groups) -> Result<()> {
        let count = self.offsets_partitions().unwrap_or(0);
        if self.replication.is_none() {
            return (0..count).try_for_each(|number| self.load_alone(groups, number));
        }
        for partition in (0..count).filter_map(|number| self.partition_named(OFFSETS_TOPIC, number)) {
            match self.check_loaded(groups, &partition, "") {
                Ok(()) | Err(Error::NotCoordinator { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Replays a partition, unless that was done before. Whoever was a member lived in the process that had the directory
    /// before, and is gone with it.
    fn load_alone(&self, groups: &mut Groups, number: i32) -> Result<()> {
        if groups.loaded.contains_key(&number) {
            return Ok(());
        }
        if let Some(partition) = self.partition_named(OFFSETS_TOPIC, number) {
            let wall = self.wall();
            for id in self.replay(groups, &partition)? {
                let group = groups.by_id.get_mut(&id);
                if group.is_some_and(|group| {
                    group.take_up_alone(wall);
                    !group.is_known()
                }) {
                    groups.by_id.remove(&id);
                }
            }
        }
        groups.loaded.insert(number, Loaded { epoch: LeaderEpoch(-1), end: Offset::ZERO });
        Ok(())
    }

    /// A partition of `__consumer_offsets` has another leader, perhaps: takes its groups up here, or lets go of them.
    pub(super) fn coordination_changed(&self, partition: &Partition) -> Result<()> {
        let number = partition.name().partition();
        let mut groups = self.groups.lock();
        let leads_in = partition.lock().role.leads_in();
        if groups.loaded.get(&number).map(|loaded| loaded.epoch) == leads_in {
            return Ok(());
        }
        let let_go = groups.let_go(number, self.offsets_partitions().unwrap_or(OFFSETS_PARTITIONS));
        let taken_up = match leads_in {
            Some(epoch) => self.take_up(&mut groups, partition, epoch),
            None => Ok(()),
        };
        drop(groups);
        for (group, ticket) in let_go {
            ticket.fill(Err(Error::NotCoordinator { group }));
        }
        taken_up
    }

    /// The members live, as far as anybody knows: their sessions begin anew.
    fn take_up(&self, groups: &mut Groups, partition: &Partition, epoch: LeaderEpoch) -> Result<()> {
        let now = self.clock.now();
        let ids = if bugs::is(Bug::ForgetGroups) { BTreeSet::new() } else { self.replay(groups, partition)? };
        for id in ids {
            let Some(group) = groups.by_id.get_mut(&id) else { continue };
            if group.is_known() {
                group.take_up(now);
                self.arm_group(groups, &id);
            } else {
                groups.by_id.remove(&id);
            }
        }
        let end = partition.lock().log_if_any()?.map_or(Offset::ZERO, |log| log.end());
        groups.loaded.insert(partition.name().partition(), Loaded { epoch, end });
        Ok(())
    }

    /// Appends what a group wants to have written. What has become of it; `None`: that is told later.
    pub(super) fn write(
        &self,
        loaded: &BTreeMap<i32, Loaded>,
        group: &str,
        write: &Write,
    ) -> Option<Result<()>> {
        let Some(partition) = self.offsets_partition(group) else { return Some(Err(Error::Closed)) };
        let appended = self.append_offsets(&partition, &write.records);
        let produced = match appended {
            Ok(produced) if partition.is_replicated() => produced,
            appended => return Some(appended.map(drop).map_err(|error| as_coordinator(error, group))),
        };
        let epoch = loaded.get(&partition.name().partition()).map_or(LeaderEpoch(-1), |loaded| loaded.epoch);
        match self.when_replicated(&partition, produced, Instant::MAX) {
            Answer::Ready(done) => Some(written(done.map_err(|error| *error), group)),
            Answer::Parked(ticket) => {
                let (node, write, group) = (self.me.clone(), write.id, group.to_owned());
                ticket.on_fill(move |done| {
                    let Some(node) = node.upgrade() else { return };
                    let result = written(done, &group);
                    // Whoever tells may hold the groups.
                    let written = GroupWritten { group, epoch, write, result };
                    node.timers.arm(node.clock.now(), Task::GroupWritten(written));
                });
                None
            }
        }
    }

    /// Tells a group, unless it was taken up anew since.
    pub(super) fn group_written(&self, written: GroupWritten) {
        let GroupWritten { group, epoch, write, result } = written;
        let mut groups = self.groups.lock();
        let number = self.offsets_partition(&group).map(|partition| partition.name().partition());
        let loaded = number.and_then(|number| groups.loaded.get(&number));
        if loaded.is_none_or(|loaded| loaded.epoch != epoch) || !groups.by_id.contains_key(&group) {
            return;
        }
        let told = self.step(&mut groups, &group, RequestId::MAX, Event::Written { write, result });
        drop(groups);
        told.tell();
    }
}

/// What has become of a group's records.
fn written<T>(done: Result<T>, group: &str) -> Result<()> {
    match done {
        // They had it all, which is what counts.
        Ok(_) | Err(Error::NotEnoughReplicasAfterAppend) => Ok(()),
        Err(error) => Err(as_coordinator(error, group)),
    }
}

/// What a group's members are told where its partition refuses a record. (Kafka: `GroupMetadataManager`)
fn as_coordinator(error: Error, group: &str) -> Error {
    let group = group.to_owned();
    match error {
        Error::NotEnoughReplicas { .. } => Error::CoordinatorNotAvailable { group },
        Error::NotLeaderOrFollower | Error::RequestTimedOut => Error::NotCoordinator { group },
        other => other,
    }
}

impl Groups {
    /// Forgets the groups of a partition, of `count`. Gives those who wait for an answer, each with the group.
    fn let_go(&mut self, number: i32, count: i32) -> Vec<(String, Ticket<Response>)> {
        self.loaded.remove(&number);
        let of_it = |group: &str| partition_for_group(group, count) == number;
        self.by_id.retain(|id, _: &mut Group| !of_it(id));
        self.armed.retain(|id, _| !of_it(id));
        self.in_transaction.retain(|id| !of_it(id));
        self.watchers.retain(|(id, _), _| !of_it(id));
        self.tickets.extract_if(.., |_, (id, _)| of_it(id)).map(|(_, waiting)| waiting).collect()
    }
}
