//! What brokers tell clients, for who checks that it stays true.

use crate::{
    env::Bytes,
    rpc::{ElectLeadersRequest, FetchRequest, FetchResponse, Request},
    sync::Mutex,
    types::{BrokerId, ElectionType, Generation, Offset, TopicId, TopicPartition},
};
use std::collections::{BTreeMap, BTreeSet};

/// A broker has told a client something.
#[derive(Debug)]
pub(super) enum Answered {
    /// That all in sync have the batch at this offset.
    Produced { partition: (TopicId, i32), base: Offset },
    /// What is in a log.
    Read { partition: (TopicId, i32), records: Bytes },
}

impl Answered {
    pub(super) fn partition(&self) -> (TopicId, i32) {
        match self {
            Self::Produced { partition, .. } | Self::Read { partition, .. } => *partition,
        }
    }
}

/// What a client asks of a group.
#[derive(Debug, Clone)]
pub(super) enum GroupWord {
    Join {
        group: String,
    },
    /// As a member in a generation, or from outside.
    Commit {
        group: String,
        generation: Option<Generation>,
        offsets: BTreeMap<TopicPartition, i64>,
    },
    /// That these offsets, or all, are no more.
    Forget {
        group: String,
        partitions: Option<BTreeSet<TopicPartition>>,
    },
}

impl GroupWord {
    pub(super) fn group(&self) -> &str {
        match self {
            Self::Join { group } | Self::Commit { group, .. } | Self::Forget { group, .. } => group,
        }
    }
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// It has come.
    Asked,
    Done,
    /// It was not done, and will not be.
    Refused,
}

#[derive(Debug)]
pub(super) struct GroupNote {
    /// The request's.
    pub(super) id: u64,
    pub(super) by: BrokerId,
    pub(super) word: GroupWord,
    pub(super) said: Said,
}

/// Keeps what was told during an event.
#[derive(Debug, Default)]
pub(super) struct Witness {
    answered: Mutex<Vec<Answered>>,
    of_groups: Mutex<GroupNotes>,
    /// For which partitions a client has asked for a leader who may lack what was acknowledged.
    wanted_unclean: Mutex<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct GroupNotes {
    notes: Vec<GroupNote>,
    requests: u64,
}

impl Witness {
    pub(super) fn note(&self, answered: Answered) {
        self.answered.lock().push(answered);
    }

    pub(super) fn note_fetch(&self, request: &FetchRequest, response: &FetchResponse) {
        for (wanted, fetched) in request.partitions.iter().zip(&response.partitions) {
            let Some(fetched) = fetched.as_ref().ok().filter(|fetched| !fetched.records.is_empty()) else {
                continue;
            };
            let partition = (wanted.partition.topic_id, wanted.partition.partition);
            self.note(Answered::Read { partition, records: fetched.records.clone() });
        }
    }

    /// A client's request has come to the controller.
    pub(super) fn note_wanted(&self, request: &Request) {
        if let Request::ElectLeaders(ElectLeadersRequest {
            topic,
            partition,
            election: ElectionType::Unclean,
        }) = request
        {
            self.wanted_unclean.lock().insert(format!("{topic}-{partition}"));
        }
    }

    pub(super) fn wanted_unclean(&self, partition: &str) -> bool {
        self.wanted_unclean.lock().contains(partition)
    }

    pub(super) fn take(&self) -> Vec<Answered> {
        std::mem::take(&mut *self.answered.lock())
    }

    /// Notes a request about a group, and gives its number, from 1 on.
    pub(super) fn note_asked(&self, by: BrokerId, word: GroupWord) -> u64 {
        let mut of_groups = self.of_groups.lock();
        of_groups.requests += 1;
        let id = of_groups.requests;
        of_groups.notes.push(GroupNote { id, by, word, said: Said::Asked });
        id
    }

    /// Notes what has become of it.
    pub(super) fn note_said(&self, id: u64, by: BrokerId, word: GroupWord, said: Said) {
        self.of_groups.lock().notes.push(GroupNote { id, by, word, said });
    }

    pub(super) fn take_of_groups(&self) -> Vec<GroupNote> {
        std::mem::take(&mut self.of_groups.lock().notes)
    }
}
