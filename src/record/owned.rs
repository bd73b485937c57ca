//! Records that own their bytes, for tests to compare.

use super::{BatchError, BatchWriter, Header, RecordRef};
use crate::types::Timestamp;

type OwnedHeader = (String, Option<Vec<u8>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<OwnedHeader>,
}

impl Owned {
    pub(crate) fn of(record: RecordRef<'_>) -> Self {
        let header = |header: Header<'_>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
        Self {
            timestamp: record.timestamp.as_millis(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(header).collect(),
        }
    }

    pub(crate) fn headers(&self) -> Vec<Header<'_>> {
        self.headers.iter().map(|(key, value)| Header { key, value: value.as_deref() }).collect()
    }

    pub(crate) fn push_to(&self, writer: &mut BatchWriter<'_>) -> Result<(), BatchError> {
        let at = Timestamp::from_millis(self.timestamp);
        writer.push(at, self.key.as_deref(), self.value.as_deref(), &self.headers())
    }
}
