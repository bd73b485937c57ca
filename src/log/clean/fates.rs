//! What became of transactions, batch by batch, as a cleaning comes by. (Kafka: `CleanedTransactionMetadata`)

use crate::{
    log::txn_index::TxnIndex,
    record::{BatchHeader, ControlMarker},
    types::Offset,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aborted {
    producer_id: i64,
    first: Offset,
    /// The marker's.
    last: Offset,
    last_stable: Offset,
}

/// Finds the transactions that were aborted, from a log's start on.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Open ones: where each begins, and whether there is a record of it yet.
    open: BTreeMap<i64, (Offset, bool)>,
    aborted: Vec<Aborted>,
    /// Whether a batch of a transaction was met.
    pub(super) any: bool,
}

impl Survey {
    pub(super) fn take(&mut self, header: &BatchHeader, marker: impl FnOnce() -> Option<ControlMarker>) {
        if header.producer_id < 0 || !header.attributes.is_transactional() {
            return;
        }
        self.any = true;
        let (id, has_records) = (header.producer_id, header.record_count > 0);
        if !header.attributes.is_control() {
            let open = self.open.entry(id).or_insert((header.base_offset, false));
            // What was emptied has no fate that anybody waits for.
            if has_records && !open.1 {
                *open = (open.0, true);
            }
            return;
        }
        let Some(marker) = marker() else { return };
        let Some((first, _)) = self.open.remove(&id) else { return };
        if marker.is_abort() {
            let last = header.last_offset();
            let last_stable = self.first_open().unwrap_or(last.plus(1));
            self.aborted.push(Aborted { producer_id: id, first, last, last_stable });
        }
    }

    /// Where the first transaction begins whose end was not met.
    pub(super) fn first_open(&self) -> Option<Offset> {
        self.open.values().filter(|(_, has_records)| *has_records).map(|(first, _)| *first).min()
    }

    /// For who begins at `offset`: transactions that ended before it do not count.
    pub(super) fn fates_from(&self, offset: Offset) -> Fates {
        let reaches = |aborted: &&Aborted| aborted.last >= offset;
        let mut aborted: Vec<Aborted> = self.aborted.iter().filter(reaches).copied().collect();
        aborted.sort_by_key(|aborted| aborted.first);
        Fates { ahead: aborted.into(), ..Fates::default() }
    }
}

/// The transactions around the place that a cleaning has come to.
#[derive(Debug, Default)]
pub(super) struct Fates {
    /// Those that begin further up, in order.
    ahead: VecDeque<Aborted>,
    /// Those that end further up, and whether a batch of theirs was met.
    aborted: BTreeMap<i64, (Aborted, bool)>,
    /// The producers of others, of which a batch was met.
    committed: BTreeSet<i64>,
    /// The markers that were met of aborted transactions with batches.
    pub(super) index: TxnIndex,
}

impl Fates {
    fn come_to(&mut self, offset: Offset) {
        while let Some(next) = self.ahead.front().copied().filter(|next| next.first <= offset) {
            self.ahead.pop_front();
            self.aborted.entry(next.producer_id).or_insert((next, false));
        }
    }

    /// Whether a batch of data is of a transaction that was aborted.
    pub(super) fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        self.come_to(header.last_offset());
        if !header.attributes.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&header.producer_id) {
            Some((_, met)) => *met = true,
            None => drop(self.committed.insert(header.producer_id)),
        }
        self.aborted.contains_key(&header.producer_id)
    }

    /// Whether nothing is left of the transaction that a marker ends. `None`: a marker that was emptied.
    pub(super) fn is_over(&mut self, header: &BatchHeader, marker: Option<ControlMarker>) -> bool {
        self.come_to(header.last_offset());
        let id = header.producer_id;
        match marker {
            Some(marker) if marker.is_abort() => match self.aborted.remove(&id) {
                Some((Aborted { first, last, last_stable, .. }, true)) => {
                    self.index.push(id, first, last, last_stable);
                    false
                }
                _ => !self.committed.remove(&id),
            },
            Some(_) => !self.committed.remove(&id),
            None => header.record_count == 0,
        }
    }
}
