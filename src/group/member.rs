//! A member of a group, as its coordinator knows it.

use super::{RequestId, offset_record::MemberMetadata};
use crate::{rpc::JoinGroupRequest, types::Instant};
use std::{sync::Arc, time::Duration};

/// How long one that is new may wait for the others before it counts as gone, as with Kafka: it beats no heart yet.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

#[derive(Debug)]
pub(super) struct Member {
    pub(super) instance_id: Option<String>,
    pub(super) client_id: String,
    pub(super) client_host: String,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    /// The assignors that it can do with, the one it likes best first, and what it tells each.
    pub(super) protocols: Vec<(String, Arc<[u8]>)>,
    pub(super) assignment: Arc<[u8]>,
    /// Whom to answer when all have joined.
    pub(super) awaiting_join: Option<RequestId>,
    /// Whom to answer when the leader has divided the partitions.
    pub(super) awaiting_sync: Option<RequestId>,
    /// When it counts as gone, if nothing is heard of it.
    session_deadline: Instant,
    /// When it counts as gone while it waits, if it is new.
    joining_deadline: Instant,
}

impl Member {
    pub(super) fn new(join: JoinGroupRequest, now: Instant) -> Self {
        Self {
            instance_id: join.instance_id,
            client_id: join.client_id,
            client_host: String::new(),
            session_deadline: now.plus(join.session_timeout),
            joining_deadline: now.plus(NEW_MEMBER_JOIN_TIMEOUT),
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols,
            assignment: Arc::default(),
            awaiting_join: None,
            awaiting_sync: None,
        }
    }

    /// One that is read back from the log, under the assignor that was agreed on.
    pub(super) fn restore(kept: &MemberMetadata, protocol: Option<&str>) -> Self {
        Self {
            instance_id: kept.instance_id.clone(),
            client_id: kept.client_id.clone(),
            client_host: kept.client_host.clone(),
            session_timeout: kept.session_timeout,
            rebalance_timeout: kept.rebalance_timeout,
            protocols: protocol
                .map(|name| (name.to_owned(), Arc::clone(&kept.subscription)))
                .into_iter()
                .collect(),
            assignment: Arc::clone(&kept.assignment),
            awaiting_join: None,
            awaiting_sync: None,
            session_deadline: Instant::MAX,
            joining_deadline: Instant::MAX,
        }
    }

    /// What the log keeps of it.
    pub(super) fn keep(&self, id: &str, protocol: Option<&str>, assignment: &Arc<[u8]>) -> MemberMetadata {
        MemberMetadata {
            member_id: id.to_owned(),
            instance_id: self.instance_id.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout: self.rebalance_timeout,
            session_timeout: self.session_timeout,
            subscription: protocol.map_or_else(Arc::default, |protocol| self.metadata(protocol)),
            assignment: Arc::clone(assignment),
        }
    }

    /// Takes over what it says when it joins once more.
    pub(super) fn update(&mut self, join: JoinGroupRequest) {
        self.client_id = join.client_id;
        self.protocols = join.protocols;
        self.session_timeout = join.session_timeout;
        self.rebalance_timeout = join.rebalance_timeout;
    }

    /// It lives: something was heard of it.
    pub(super) fn beat(&mut self, now: Instant) {
        self.session_deadline = now.plus(self.session_timeout);
    }

    /// It has been told of a generation: from now on it is to be heard of.
    pub(super) fn has_joined(&mut self, now: Instant) {
        self.joining_deadline = Instant::MAX;
        self.beat(now);
    }

    /// When it counts as gone. One that waits for an answer does not, unless it is new and the answer takes very long.
    pub(super) fn expires(&self) -> Instant {
        let waits = self.awaiting_join.is_some() || self.awaiting_sync.is_some();
        if waits { self.joining_deadline } else { self.session_deadline }
    }

    pub(super) fn supports(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    /// What it tells an assignor.
    pub(super) fn metadata(&self, protocol: &str) -> Arc<[u8]> {
        let told = self.protocols.iter().find(|(name, _)| name == protocol);
        told.map(|(_, metadata)| Arc::clone(metadata)).unwrap_or_default()
    }

    /// The assignor that it likes best among these.
    pub(super) fn vote<'m>(&'m self, candidates: &[&'m str]) -> Option<&'m str> {
        self.protocols.iter().map(|(name, _)| name.as_str()).find(|name| candidates.contains(name))
    }
}
