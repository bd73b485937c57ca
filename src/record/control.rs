//! Control records: the markers that end transactions. (Kafka: `ControlRecordType`, `EndTransactionMarker`)

use super::{decode::Batch, read::take_array};

/// How a transaction ended, as its coordinator wrote it into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ControlMarker {
    kind: i16,
    /// That of the coordinator: a marker of an older one counts for nothing, which its leader sees to.
    pub(crate) coordinator_epoch: i32,
}

const ABORT: i16 = 0;
const COMMIT: i16 = 1;

impl ControlMarker {
    #[cfg(test)]
    pub(crate) const fn new(is_abort: bool, coordinator_epoch: i32) -> Self {
        Self { kind: if is_abort { ABORT } else { COMMIT }, coordinator_epoch }
    }

    pub(crate) const fn is_abort(self) -> bool {
        self.kind == ABORT
    }

    /// Reads a control record; `None` for kinds that end no transaction, and for what is none.
    fn parse(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<Self> {
        let (key, value) = (&mut key?, &mut value?);
        let _version: [u8; 2] = take_array(key)?;
        let kind = i16::from_be_bytes(take_array(key)?);
        let _version: [u8; 2] = take_array(value)?;
        let coordinator_epoch = i32::from_be_bytes(take_array(value)?);
        matches!(kind, ABORT | COMMIT).then_some(Self { kind, coordinator_epoch })
    }
}

impl Batch<'_> {
    /// The marker that a control batch holds. `None` for batches of data, and for one that compaction emptied.
    pub(crate) fn marker(&self) -> Option<ControlMarker> {
        let is_control = self.header().attributes.is_control();
        let record = self.records().next().filter(|_| is_control)?;
        ControlMarker::parse(record.key, record.value)
    }
}
