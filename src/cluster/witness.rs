//! What brokers tell clients, for who checks that it stays true.

use crate::{
    env::Bytes,
    rpc::{FetchRequest, FetchResponse},
    sync::Mutex,
    types::{Offset, TopicId},
};

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

/// Keeps what was told during an event.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Vec<Answered>>);

impl Witness {
    pub(super) fn note(&self, answered: Answered) {
        self.0.lock().push(answered);
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

    pub(super) fn take(&self) -> Vec<Answered> {
        std::mem::take(&mut *self.0.lock())
    }
}
