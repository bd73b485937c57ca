//! Groups are listed, described and deleted, and what they have committed is deleted, from outside.

use super::Node;
use crate::{
    error::{Error, Result},
    group::{Event, RequestId},
    rpc::{
        Answer, DeleteGroupRequest, DescribeGroupRequest, DescribeGroupResponse, ListGroupsResponse,
        OffsetDeleteRequest, Response,
    },
    trace,
    types::check_group_id,
};

impl Node {
    pub(super) fn handle_list_groups(&self) -> Result<ListGroupsResponse> {
        let mut groups = self.groups.lock();
        self.coordinate_all(&mut groups)?;
        let there = groups.by_id.iter().filter(|(_, group)| group.is_known());
        Ok(ListGroupsResponse { groups: there.map(|(id, _)| id.clone()).collect() })
    }

    pub(super) fn handle_describe_group(
        &self,
        request: &DescribeGroupRequest,
    ) -> Result<DescribeGroupResponse> {
        check_group_id(&request.group)?;
        let mut groups = self.groups.lock();
        self.coordinate(&mut groups, &request.group)?;
        let group = groups.by_id.get(&request.group).filter(|group| group.is_known());
        let unknown = || Error::GroupIdNotFound { group: request.group.clone() };
        let group = group.ok_or_else(unknown)?;
        let committed = group.partitions().filter_map(|of| {
            let topic_id = self.topic_id(of.topic())?;
            Some((of.clone(), group.committed(of, Some(topic_id))?))
        });
        Ok(DescribeGroupResponse {
            state: group.state(),
            protocol: group.protocol().map(ToOwned::to_owned),
            members: group.members(),
            offsets: committed.collect(),
        })
    }

    /// What is deleted gets tombstones in `__consumer_offsets`, one for each partition and one for the group.
    pub(super) fn handle_delete_group(&self, request: &DeleteGroupRequest) -> Answer<Response> {
        let answer = self.change_from_outside(&request.group, Event::Delete);
        if let Answer::Ready(Ok(_)) = &answer {
            trace::group_deleted(&request.group);
        }
        answer
    }

    /// What is not committed anyway is fine.
    pub(super) fn handle_offset_delete(&self, request: OffsetDeleteRequest) -> Answer<Response> {
        let OffsetDeleteRequest { group, partitions } = request;
        self.change_from_outside(&group, |request| Event::DeleteOffsets { request, partitions })
    }

    /// A group that is not there is not made.
    fn change_from_outside(&self, group: &str, event: impl FnOnce(RequestId) -> Event) -> Answer<Response> {
        let unknown = Error::GroupIdNotFound { group: group.to_owned() };
        self.ask_group(group, Some(unknown), |_, request| event(request))
    }
}
