//! Which broker keeps which group.

use super::{
    Later, NetworkClient, SILENCE,
    attempt::{Attempt, Outgoing, Sent, Told},
};
use crate::{
    env::Slot,
    error::{Error, Result},
    rpc::{FindCoordinatorRequest, Request, Response},
    types::BrokerId,
};
use std::sync::{Arc, Weak};

/// The group whose coordinator a request is for.
pub(super) fn group_of(outgoing: &Outgoing) -> Option<&str> {
    let Outgoing::Call { request, .. } = outgoing else { return None };
    let group = match request {
        Request::JoinGroup(request) => &request.group,
        Request::SyncGroup(request) => &request.group,
        Request::Heartbeat(request) => &request.group,
        Request::LeaveGroup(request) => &request.group,
        Request::OffsetCommit(request) => &request.group,
        Request::OffsetFetch(request) => &request.group,
        Request::DescribeGroup(request) => &request.group,
        Request::DeleteGroup(request) => &request.group,
        Request::OffsetDelete(request) => &request.group,
        _ => return None,
    };
    Some(group)
}

impl NetworkClient {
    /// Whoever does not keep a group any more, or is not there, is not asked again before it is known who does.
    pub(super) fn forget_coordinator(&self, outgoing: &Outgoing, error: &Error) {
        let keeps = matches!(error, Error::CoordinatorLoadInProgress { .. });
        if let Some(group) = group_of(outgoing).filter(|_| !keeps) {
            self.state.lock().coordinators.remove(group);
        }
    }

    /// Asks who keeps the group that a request is for, and sends it there.
    pub(super) fn ask_who_coordinates(&self, mut attempt: Attempt) {
        attempt.is_sent = false;
        let Some(group) = group_of(&attempt.outgoing).map(ToOwned::to_owned) else { return };
        let to = self.any();
        let sent: Arc<Sent> = Arc::new(Slot::new());
        sent.fill((attempt, to));
        self.at(self.now().plus(4 * SILENCE), Later::Silence(Arc::clone(&sent)));
        let (me, request) = (Weak::clone(&self.me), FindCoordinatorRequest { group: group.clone() });
        let told = move |answer: Result<Response>| {
            if let (Some(client), Some((attempt, to))) = (me.upgrade(), sent.take()) {
                client.coordinator_found(attempt, to, group, answer);
            }
        };
        self.transport.call(to, request.into()).on_answer(told);
    }

    fn coordinator_found(&self, attempt: Attempt, by: BrokerId, group: String, answer: Result<Response>) {
        match answer {
            Ok(Response::FindCoordinator(found)) => {
                self.state.lock().coordinators.insert(group, found.broker);
                self.send(attempt, found.broker);
            }
            Ok(_) => self.told(attempt, by, Err(Error::CoordinatorNotAvailable { group })),
            Err(error) => {
                // Nothing was sent: nothing can have been done.
                if !matches!(error, Error::CoordinatorNotAvailable { .. }) {
                    self.avoid(by);
                }
                let unreachable = matches!(error, Error::NetworkException | Error::BrokerNotAvailable);
                let error = if unreachable { Error::CoordinatorNotAvailable { group } } else { error };
                let told: Result<Told> = Err(error);
                self.told(attempt, by, told);
            }
        }
    }
}
