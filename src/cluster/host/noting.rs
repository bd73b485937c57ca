//! What clients ask of groups, and are told, is noted for who checks that it stays true.

use super::Running;
use crate::{
    cluster::witness::{GroupWord, Said},
    error::{Error, Result},
    rpc::{Request, Response},
};

impl Running {
    /// Notes a request about a group as it comes, and what becomes of it.
    pub(super) fn note_call(&self, request: &Request) -> impl FnOnce(&Result<Response>) + Send + use<> {
        let noted = self.witness.clone().zip(word(request)).map(|(witness, word)| {
            let id = witness.note_asked(self.id, word.clone());
            (witness, word, id)
        });
        let by = self.id;
        move |answer| {
            let Some((witness, word, id)) = noted else { return };
            match answer {
                Ok(_) => witness.note_said(id, by, word, Said::Done),
                Err(error) if is_refusal(error) => witness.note_said(id, by, word, Said::Refused),
                Err(_) => {}
            }
        }
    }
}

/// Whether what was asked has not been done, for sure.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error,
        Error::IllegalGeneration { .. } | Error::UnknownMemberId { .. } | Error::FencedInstanceId { .. }
    )
}

/// What is asked, if it is of a group.
fn word(request: &Request) -> Option<GroupWord> {
    match request {
        Request::OffsetCommit(commit) => Some(GroupWord::Commit {
            group: commit.group.clone(),
            generation: commit.member.as_ref().map(|member| member.generation),
            offsets: commit.offsets.iter().map(|(of, committed)| (of.clone(), committed.offset)).collect(),
        }),
        Request::OffsetDelete(delete) => Some(GroupWord::Forget {
            group: delete.group.clone(),
            partitions: Some(delete.partitions.iter().cloned().collect()),
        }),
        Request::DeleteGroup(delete) => {
            Some(GroupWord::Forget { group: delete.group.clone(), partitions: None })
        }
        Request::JoinGroup(join) => Some(GroupWord::Join { group: join.group.clone() }),
        _ => None,
    }
}
