//! What a group keeps in `__consumer_offsets`: its commits, and who its members are.

use super::{
    commit::CommitRecord,
    offset_record::{GroupMetadata, OffsetsRecord, group_metadata_key},
};

/// A record of a group's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GroupRecord {
    Commit(CommitRecord),
    Metadata(MetadataRecord),
}

/// The group itself, or its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataRecord {
    pub(crate) group: String,
    /// `None`: the group is no more.
    pub(crate) metadata: Option<GroupMetadata>,
}

impl GroupRecord {
    pub(crate) fn group(&self) -> &str {
        match self {
            Self::Commit(record) => &record.group,
            Self::Metadata(record) => &record.group,
        }
    }

    /// The key and the value of its record.
    pub(crate) fn encode(&self) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
        let record = match self {
            Self::Commit(record) => return record.encode(),
            Self::Metadata(record) => record,
        };
        let key = group_metadata_key(&record.group).ok_or("the group's name is too long")?;
        let encode = |metadata: &GroupMetadata| {
            let mut value = Vec::new();
            metadata.encode(&mut value).map(|()| value).map_err(|error| error.to_string())
        };
        Ok((key, record.metadata.as_ref().map(encode).transpose()?))
    }

    /// Reads a record; `None` for one that is about something else than a classic group.
    pub(crate) fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Option<Self>, String> {
        let key = key.ok_or("a record of __consumer_offsets without a key")?;
        let record = OffsetsRecord::decode(key, value).map_err(|error| error.to_string())?;
        Ok(match record {
            OffsetsRecord::Commit { key, value } => Some(Self::Commit(CommitRecord::of(key, value))),
            OffsetsRecord::GroupMetadata { group, value } => {
                Some(Self::Metadata(MetadataRecord { group: group.to_owned(), metadata: value }))
            }
            OffsetsRecord::Unknown { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Generation;

    #[test]
    fn a_group_and_its_end_read_back_what_they_write() {
        let metadata = GroupMetadata {
            protocol_type: "consumer".to_owned(),
            generation: Generation(3),
            protocol: None,
            leader: None,
            state_timestamp: None,
            members: Vec::new(),
        };
        for metadata in [Some(metadata), None] {
            let record = GroupRecord::Metadata(MetadataRecord { group: "g".to_owned(), metadata });
            let (key, value) = record.encode().unwrap();
            assert_eq!(GroupRecord::decode(Some(&key), value.as_deref()), Ok(Some(record)));
        }
        assert!(GroupRecord::decode(None, None).is_err());
        assert_eq!(GroupRecord::decode(Some(&[0, 99]), None), Ok(None));
    }
}
