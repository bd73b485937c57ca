//! A follower copies its leader's log, and cuts off what the leader does not have.

use super::{Followed, Role};
use crate::{
    bugs::{self, Bug},
    error::{Error, Result},
    log::Log,
    node::{Node, partition::Partition},
    record::Batch,
    rpc::{PartitionRef, ReplicaFetchPartition, ReplicaFetchRequest, ReplicaFetchResponse, ReplicaFetched},
    trace,
    types::{BrokerId, Instant, LeaderEpoch, Offset},
};
use std::{collections::BTreeMap, sync::Arc};

/// How much is copied at a time. (`replica.fetch.response.max.bytes`)
const MAX_BYTES: usize = 10 << 20;

/// The copies here of partitions that one broker leads.
#[derive(Debug, Default)]
pub(crate) struct Copies(Vec<Arc<Partition>>);

impl Node {
    /// What is copied from whom, for now: it is to be asked again when the controller has said something of partitions. So no fetch
    /// needs to look at all partitions for those of its leader.
    pub(crate) fn followed(&self) -> BTreeMap<BrokerId, Copies> {
        let mut followed: BTreeMap<BrokerId, Copies> = BTreeMap::new();
        for partition in self.topics.read().partitions() {
            if let Some(leader) = partition.lock().role.copies_from() {
                followed.entry(leader).or_default().0.push(Arc::clone(partition));
            }
        }
        followed
    }

    /// What to ask a leader for; `None`: nothing here follows it any more. Of partitions that are on their way here only as many bytes as
    /// are `allowed`; `None`: they are left out.
    pub(crate) fn next_replica_fetch(
        &self,
        (leader, copies): (BrokerId, &Copies),
        deadline: Instant,
        allowed: Option<usize>,
    ) -> Option<ReplicaFetchRequest> {
        let follows = |partition: &&Arc<Partition>| partition.lock().role.copies_from() == Some(leader);
        let followed: Vec<_> = copies.0.iter().filter(follows).collect();
        let is_throttled =
            |partition: &Arc<Partition>| partition.lock().role.is_adding() || bugs::is(Bug::ThrottleAll);
        let throttled = followed.iter().any(|partition| is_throttled(partition));
        let asked =
            followed.iter().copied().filter(|partition| allowed.is_some() || !is_throttled(partition));
        let partitions: Vec<_> = asked.filter_map(next_of).collect();
        let (from, broker_epoch) = (self.id, self.broker_epoch());
        let limit = allowed.filter(|_| throttled).unwrap_or(MAX_BYTES);
        (!followed.is_empty()).then_some(ReplicaFetchRequest {
            from,
            broker_epoch,
            deadline,
            max_bytes: MAX_BYTES.min(limit),
            partitions,
        })
    }

    /// How many bytes have come of partitions that are on their way here.
    pub(crate) fn throttled_bytes(
        &self,
        request: &ReplicaFetchRequest,
        response: &ReplicaFetchResponse,
    ) -> usize {
        let bytes = request.partitions.iter().zip(&response.partitions).map(|(wanted, answer)| {
            let Ok(ReplicaFetched::Records { records, .. }) = answer else { return 0 };
            let is_adding = self.partition(wanted.partition).is_ok_and(|there| there.lock().role.is_adding());
            if is_adding { records.len() } else { 0 }
        });
        bytes.sum()
    }

    /// Takes in what a leader has answered. `false`: something could not be taken, and is to be tried later.
    pub(crate) fn replica_fetched(
        &self,
        request: &ReplicaFetchRequest,
        response: ReplicaFetchResponse,
    ) -> bool {
        let mut all = true;
        for (wanted, answer) in request.partitions.iter().zip(response.partitions) {
            let Ok(partition) = self.partition(wanted.partition) else { continue };
            let taken = answer.and_then(|fetched| self.copy_in(&partition, wanted, fetched));
            if let Err(error) = taken {
                all = false;
                self.copy_failed(&partition, wanted, &error);
            }
        }
        all
    }

    fn copy_in(
        &self,
        partition: &Arc<Partition>,
        wanted: &ReplicaFetchPartition,
        fetched: ReplicaFetched,
    ) -> Result<()> {
        match fetched {
            ReplicaFetched::Diverging { .. }
                if bugs::is(Bug::RaiseBeforeTruncating) && raise_to_end(partition) =>
            {
                Ok(())
            }
            ReplicaFetched::Diverging { epoch, end_offset } => {
                self.cut_divergence(partition, wanted, |log| log.divergence(epoch, end_offset))
            }
            ReplicaFetched::Records { records, high_watermark, log_start_offset } => {
                let first = Batch::unchecked(&records).map(|batch| batch.header().base_offset);
                // A log that begins in the midst of a batch: its first segment is another one then.
                let _no_flush =
                    first.is_some_and(|first| first < wanted.offset).then(|| partition.hold_flushes());
                let mut state = partition.lock();
                if !still_follows(&state.role, wanted) {
                    return Ok(());
                }
                let log = state.log_to_append(partition)?;
                if log.end() != wanted.offset {
                    return Ok(());
                }
                let mut rolled = false;
                let mut rest: &[u8] = &records;
                while let Some(batch) = Batch::unchecked(rest) {
                    let size = batch.header().size;
                    let Some((first, others)) = rest.split_at_checked(size) else { break };
                    rolled |= log.append_of_leader(first)?.rolled;
                    rest = others;
                }
                let (start, end) = (log.start(), log.end());
                partition.set_watermark(high_watermark.min(end));
                let arm = !records.is_empty() && !std::mem::replace(&mut state.flush_armed, true);
                let cleans = rolled && state.settings().cleanup_policy.compacts();
                drop(state);
                if arm || rolled {
                    self.arm_flush(partition, rolled);
                }
                if cleans {
                    self.clean_later();
                }
                if log_start_offset > start {
                    self.follow_start(partition, log_start_offset.min(end))?;
                }
                Ok(())
            }
        }
    }

    /// Cuts off what the leader does not have: the recovery point is noted first, so that no crash takes the cut for damage.
    fn cut_divergence(
        &self,
        partition: &Arc<Partition>,
        wanted: &ReplicaFetchPartition,
        to: impl FnOnce(&Log) -> Offset,
    ) -> Result<()> {
        let _no_flush = partition.hold_flushes();
        let to = {
            let mut state = partition.lock();
            if !still_follows(&state.role, wanted) {
                return Ok(());
            }
            let log = state.log_to_append(partition)?;
            let to = to(log);
            log.lower_recovery_point(to);
            to
        };
        self.write_recovery_points()?;
        let mut state = partition.lock();
        if !still_follows(&state.role, wanted) {
            return Ok(());
        }
        let log = state.log_to_append(partition)?;
        log.truncate(to)?;
        let end = log.end();
        partition.cut(end);
        trace::log_truncated(partition.name(), end.get());
        Ok(())
    }

    fn copy_failed(&self, partition: &Arc<Partition>, wanted: &ReplicaFetchPartition, error: &Error) {
        match error {
            // The leader has nothing left of what comes next here.
            Error::OffsetOutOfRange { log_start_offset, log_end_offset, .. } => {
                let (start, end) = (Offset::new(*log_start_offset), Offset::new(*log_end_offset));
                let done = if wanted.offset > end {
                    self.cut_divergence(partition, wanted, |_| end)
                } else {
                    self.begin_anew(partition, wanted, start)
                };
                if let Err(error) = done {
                    trace::replication_failed(partition.name(), &error);
                }
            }
            error if error.is_retriable() => {}
            error => {
                trace::replication_failed(partition.name(), error);
                self.note_failure(error.clone());
            }
        }
    }

    /// Takes nothing of the log for good, and goes on at `start`, where its leader's log begins.
    fn begin_anew(
        &self,
        partition: &Arc<Partition>,
        wanted: &ReplicaFetchPartition,
        start: Offset,
    ) -> Result<()> {
        self.cut_divergence(partition, wanted, |log| log.start())?;
        let _no_flush = partition.hold_flushes();
        // First of all it is noted: a log whose noted start lies beyond all that it has goes on there.
        self.write_log_starts_with(Some((partition.name().clone(), start)))?;
        let mut state = partition.lock();
        if still_follows(&state.role, wanted) {
            state.log_to_append(partition)?.restart_at(start)?;
            partition.cut(start);
        }
        Ok(())
    }
}

fn still_follows(role: &Role, wanted: &ReplicaFetchPartition) -> bool {
    matches!(role, Role::Follower(Followed { epoch, is_replica: true, .. }) if *epoch == wanted.current_leader_epoch)
}

/// Lets everything be read that is here, if it cannot be: for a bug on purpose.
fn raise_to_end(partition: &Partition) -> bool {
    let before = partition.known_watermark();
    if let Ok(Some(log)) = partition.lock().log_if_any() {
        partition.set_watermark(log.end());
    }
    partition.known_watermark() > before
}

fn next_of(partition: &Arc<Partition>) -> Option<ReplicaFetchPartition> {
    let mut state = partition.lock();
    let current_leader_epoch: LeaderEpoch = state.role.epoch();
    let log = state.log_to_append(partition).ok()?;
    let (log_start, offset, last_fetched_epoch) = (log.start(), log.end(), log.last_epoch());
    let (topic_id, number) = (partition.topic_id, partition.name().partition());
    Some(ReplicaFetchPartition {
        partition: PartitionRef { topic_id, partition: number, slot: u32::MAX },
        current_leader_epoch,
        offset,
        log_start,
        last_fetched_epoch,
        high_watermark: partition.known_watermark(),
    })
}
