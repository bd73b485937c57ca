//! What a broker has of groups and of compacted topics, for who checks that it keeps what it promises.

use super::Node;
use crate::{
    error::{Error, Result},
    group::Group,
    record::{Batch, BatchError, MAX_INFLATED},
    types::{LeaderEpoch, Offset, Timestamp, TopicId},
};
use std::collections::BTreeMap;

/// By key, with the offset. What was deleted is not there.
pub(crate) type LatestValues = BTreeMap<Vec<u8>, (Offset, Vec<u8>)>;

impl Node {
    /// Shows a group as it is answered for here, if it is: in which epoch this broker leads its partition of `__consumer_offsets`,
    /// and the group, if there is one.
    pub(crate) fn look_at_group<T>(
        &self,
        id: &str,
        with: impl FnOnce(LeaderEpoch, Option<&Group>) -> T,
    ) -> Option<T> {
        let mut groups = self.groups.lock();
        self.coordinate(&mut groups, id).ok()?;
        let epoch = self.offsets_partition(id)?.lock().role.leads_in()?;
        Some(with(epoch, groups.by_id.get(id)))
    }

    /// The time, and until when a commit that is made now is kept, at least, without anybody asking for it.
    pub(crate) fn offsets_kept_until(&self) -> (Timestamp, Timestamp) {
        let now = self.clock.wall();
        (now, now + self.offsets_retention)
    }

    /// What a copy of a compacted topic comes to from an offset on, however much of it is cleaned.
    ///
    /// # Errors
    /// The disk's, and that of a log which is damaged.
    pub(crate) fn latest_values(&self, of: (TopicId, i32), from: Offset) -> Result<LatestValues> {
        let (mut latest, mut done) = (LatestValues::new(), Ok(()));
        self.look_at_copies(|at, mut view| {
            if at == of {
                let mut damage = Ok(());
                let read = view.batches(from, |batch| {
                    damage =
                        std::mem::replace(&mut damage, Ok(())).and_then(|()| take(batch, from, &mut latest));
                });
                done = read.and(damage);
            }
        });
        done.map(|()| latest)
    }
}

fn take(batch: Batch<'_>, from: Offset, latest: &mut LatestValues) -> Result<()> {
    if batch.header().attributes.is_control() {
        return Ok(());
    }
    let damaged = |error: BatchError| Error::InvalidRecord(error.to_string());
    let inflated = batch.inflate(MAX_INFLATED).map_err(damaged)?;
    let batch = inflated.as_deref().map_or(Some(batch), Batch::unchecked);
    batch.iter().try_for_each(Batch::check_records).map_err(damaged)?;
    for record in batch.iter().flat_map(|batch| batch.records()).filter(|record| record.offset >= from) {
        let Some(key) = record.key else { continue };
        match record.value {
            Some(value) => drop(latest.insert(key.to_vec(), (record.offset, value.to_vec()))),
            None => drop(latest.remove(key)),
        }
    }
    Ok(())
}
