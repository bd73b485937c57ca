//! The record of a classic group and its members.

use super::{Fields, MalformedOffsetsRecord, Result};
use crate::types::{Generation, Timestamp};
use std::{sync::Arc, time::Duration};

/// What is written: no tagged fields, so that each Kafka since 2.3 reads it.
const VERSION: i16 = 3;
/// The newest that Kafka has.
const NEWEST: i16 = 4;

/// A classic group as of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GroupMetadata {
    /// "consumer" for consumers; kept when the group empties. A group that has never had a member has "".
    pub(crate) protocol_type: String,
    pub(crate) generation: Generation,
    /// The assignor that its members agreed on; none while there are no members.
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    /// When the group came to the state that it is in, if the record's version tells.
    pub(crate) state_timestamp: Option<Timestamp>,
    pub(crate) members: Vec<MemberMetadata>,
}

/// A member as the group's record keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberMetadata {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) session_timeout: Duration,
    /// What it has said to the assignor that was agreed on.
    pub(crate) subscription: Arc<[u8]>,
    pub(crate) assignment: Arc<[u8]>,
}

impl GroupMetadata {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::new(bytes);
        let version = fields.version(NEWEST)?;
        let protocol_type = fields.string()?.to_owned();
        let generation = Generation(fields.int32()?);
        let protocol = fields.nullable_string()?.map(ToOwned::to_owned);
        let leader = fields.nullable_string()?.map(ToOwned::to_owned);
        let state_timestamp = if version >= 2 { fields.int64()? } else { -1 };
        let count = fields.count()?;
        // Each member takes more bytes than one, so the list grows with what is there.
        let members =
            (0..count).map(|_| MemberMetadata::read(&mut fields, version)).collect::<Result<_>>()?;
        fields.tags(|_, _| Ok(()))?;
        fields.end()?;
        let state_timestamp = Some(state_timestamp).filter(|ms| *ms >= 0).map(Timestamp::from_millis);
        Ok(Self { protocol_type, generation, protocol, leader, state_timestamp, members })
    }

    /// Appends the value to `out`. A text of more than 32,767 bytes has no encoding; then what `out` has got is of no use.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&VERSION.to_be_bytes());
        put_string(out, Some(&self.protocol_type))?;
        out.extend_from_slice(&self.generation.0.to_be_bytes());
        put_string(out, self.protocol.as_deref())?;
        put_string(out, self.leader.as_deref())?;
        let since = self.state_timestamp.map_or(-1, |timestamp| timestamp.as_millis());
        out.extend_from_slice(&since.to_be_bytes());
        put_length(out, self.members.len())?;
        self.members.iter().try_for_each(|member| member.put(out))
    }
}

impl MemberMetadata {
    fn read(fields: &mut Fields<'_>, version: i16) -> Result<Self> {
        let member_id = fields.string()?.to_owned();
        let instance_id = if version >= 3 { fields.nullable_string()?.map(ToOwned::to_owned) } else { None };
        let (client_id, client_host) = (fields.string()?.to_owned(), fields.string()?.to_owned());
        let rebalance_timeout = if version >= 1 { Some(fields.int32()?) } else { None };
        let session_timeout = fields.int32()?;
        let subscription = fields.nullable_bytes(false)?.unwrap_or_default().into();
        let assignment = fields.nullable_bytes(false)?.unwrap_or_default().into();
        fields.tags(|_, _| Ok(()))?;
        Ok(Self {
            member_id,
            instance_id,
            client_id,
            client_host,
            // Before there was one, it was the session timeout.
            rebalance_timeout: span(rebalance_timeout.unwrap_or(session_timeout)),
            session_timeout: span(session_timeout),
            subscription,
            assignment,
        })
    }

    fn put(&self, out: &mut Vec<u8>) -> Result<()> {
        put_string(out, Some(&self.member_id))?;
        put_string(out, self.instance_id.as_deref())?;
        put_string(out, Some(&self.client_id))?;
        put_string(out, Some(&self.client_host))?;
        for span in [self.rebalance_timeout, self.session_timeout] {
            out.extend_from_slice(&i32::try_from(span.as_millis()).unwrap_or(i32::MAX).to_be_bytes());
        }
        for bytes in [&self.subscription, &self.assignment] {
            put_length(out, bytes.len())?;
            out.extend_from_slice(bytes);
        }
        Ok(())
    }
}

fn span(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

fn put_string(out: &mut Vec<u8>, text: Option<&str>) -> Result<()> {
    let length =
        i16::try_from(text.map_or(0, str::len)).map_err(|_| MalformedOffsetsRecord("a text is too long"))?;
    out.extend_from_slice(&if text.is_some() { length } else { -1 }.to_be_bytes());
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
    Ok(())
}

fn put_length(out: &mut Vec<u8>, length: usize) -> Result<()> {
    let length = i32::try_from(length).map_err(|_| MalformedOffsetsRecord("it is too long"))?;
    out.extend_from_slice(&length.to_be_bytes());
    Ok(())
}
