//! Clients' requests: what was asked, and what became of it.

use super::{Told, json::Object};
use crate::{
    cluster::{
        intercept::{self, ApiKey},
        post::ClientRequest,
    },
    error::Error,
    record::BatchHeader,
    rpc::{self, FetchResponse, PartitionRef, ProduceResponse, Response},
    types::{BrokerId, Instant, Offset, TopicId},
};
use std::{fmt, time::Duration};

/// Of more partitions than these only the number is told.
const MOST_PARTITIONS: usize = 16;

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::cluster) struct Asked {
    api: ApiKey,
    about: About,
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum About {
    Nothing,
    /// Records to append; `None`: they are not readable.
    Records {
        partition: (TopicId, i32),
        count: Option<i32>,
    },
    /// Some of them, and how many there are.
    Partitions(Vec<(TopicId, i32)>, usize),
    Topic(String),
    Group(String),
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::cluster) enum Outcome {
    Done,
    /// Records are there from this offset on.
    Produced(Offset),
    /// So many bytes of records came.
    Fetched(usize),
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("it is done"),
            Self::Produced(offset) => write!(f, "they are there from {offset} on"),
            Self::Fetched(bytes) => write!(f, "{bytes} bytes come"),
            Self::Failed(error) => write!(f, "it fails: {error}"),
        }
    }
}

/// A request as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) sent: Instant,
    to: BrokerId,
    asked: Asked,
    /// `None`: not yet, or never.
    pub(super) answered: Option<(Instant, Outcome)>,
}

impl Asked {
    pub(in crate::cluster) fn of(request: &ClientRequest) -> Self {
        Self { api: intercept::key_of(request), about: about(request) }
    }
}

fn id(of: &PartitionRef) -> (TopicId, i32) {
    (of.topic_id, of.partition)
}

fn about(request: &ClientRequest) -> About {
    let call = match request {
        ClientRequest::Produce { request, .. } => {
            let count = BatchHeader::parse(&request.batch).ok().map(|header| header.record_count);
            return About::Records { partition: id(&request.partition), count };
        }
        ClientRequest::Fetch { request, .. } => {
            let all = request.partitions.iter().map(|wanted| id(&wanted.partition));
            return About::Partitions(all.take(MOST_PARTITIONS).collect(), request.partitions.len());
        }
        ClientRequest::Call { request, .. } => request,
    };
    let one = |partition: &PartitionRef| About::Partitions(vec![id(partition)], 1);
    let topic = |name: &String| About::Topic(name.clone());
    let group = |name: &String| About::Group(name.clone());
    match call {
        rpc::Request::CreateTopic(request) => topic(&request.name),
        rpc::Request::CreatePartitions(request) => topic(&request.topic),
        rpc::Request::AlterConfigs(request) => topic(&request.topic),
        rpc::Request::DeleteTopic(request) => topic(&request.name),
        rpc::Request::ElectLeaders(request) => topic(&request.topic),
        rpc::Request::DeleteRecords(request) => one(&request.partition),
        rpc::Request::ListOffsets(request) => one(&request.partition),
        rpc::Request::OffsetForLeaderEpoch(request) => one(&request.partition),
        rpc::Request::FindCoordinator(request) => group(&request.group),
        rpc::Request::JoinGroup(request) => group(&request.group),
        rpc::Request::SyncGroup(request) => group(&request.group),
        rpc::Request::Heartbeat(request) => group(&request.group),
        rpc::Request::LeaveGroup(request) => group(&request.group),
        rpc::Request::OffsetCommit(request) => group(&request.group),
        rpc::Request::OffsetFetch(request) => group(&request.group),
        rpc::Request::DescribeGroup(request) => group(&request.group),
        rpc::Request::DeleteGroup(request) => group(&request.group),
        rpc::Request::OffsetDelete(request) => group(&request.group),
        _ => About::Nothing,
    }
}

/// An answer, as far as a trace tells of it.
pub(in crate::cluster) trait Answered: Send + 'static {
    fn outcome(&self) -> Outcome;
}

impl Answered for ProduceResponse {
    fn outcome(&self) -> Outcome {
        Outcome::Produced(self.base_offset)
    }
}

impl Answered for FetchResponse {
    fn outcome(&self) -> Outcome {
        let failed = self.partitions.iter().find_map(|fetched| fetched.as_ref().err());
        let bytes = self.partitions.iter().flatten().map(|fetched| fetched.records.len()).sum();
        match failed {
            Some(error) if bytes == 0 => error.into(),
            _ => Outcome::Fetched(bytes),
        }
    }
}

impl Answered for Response {
    fn outcome(&self) -> Outcome {
        Outcome::Done
    }
}

impl From<&Error> for Outcome {
    fn from(error: &Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Request {
    pub(super) fn new(sent: Instant, to: BrokerId, asked: Asked) -> Self {
        Self { sent, to, asked, answered: None }
    }

    /// What a person reads of it.
    pub(super) fn to_text(&self, told: &Told) -> String {
        let name = |id: &(TopicId, i32)| told.name(*id);
        let about = match &self.asked.about {
            About::Nothing => String::new(),
            About::Records { partition, count: Some(count) } => {
                format!(" of {count} records to {}", name(partition))
            }
            About::Records { partition, count: None } => format!(" to {}", name(partition)),
            About::Partitions(some, count) if some.len() < *count => format!(" of {count} partitions"),
            About::Partitions(some, _) => {
                format!(" of {}", some.iter().map(name).collect::<Vec<_>>().join(", "))
            }
            About::Topic(of) | About::Group(of) => format!(" of {of}"),
        };
        let answer = match &self.answered {
            None => "no answer comes".to_owned(),
            Some((at, outcome)) => format!("{:?} later {outcome}", at.since(self.sent)),
        };
        format!("a client asks broker {}: {:?}{about}; {answer}", self.to, self.asked.api)
    }

    /// Its line of JSON.
    pub(super) fn to_json(&self, told: &Told, since: impl Fn(Instant) -> Duration) -> String {
        let mut object = Object::new(since(self.sent), "request");
        object.text("api", &format!("{:?}", self.asked.api)).number("broker", self.to);
        let name = |id: &(TopicId, i32)| told.name(*id);
        match &self.asked.about {
            About::Nothing => &mut object,
            About::Records { partition, count } => {
                object.texts("partitions", [name(partition)]);
                match count {
                    Some(count) => object.number("records", count),
                    None => &mut object,
                }
            }
            About::Partitions(some, count) => {
                object.texts("partitions", some.iter().map(name)).number("partition_count", count)
            }
            About::Topic(name) => object.text("topic", name),
            About::Group(name) => object.text("group", name),
        };
        if let Some((at, outcome)) = &self.answered {
            object.seconds("answered", since(*at));
            match outcome {
                Outcome::Done => &mut object,
                Outcome::Produced(offset) => object.number("offset", offset),
                Outcome::Fetched(bytes) => object.number("bytes", bytes),
                Outcome::Failed(error) => object.text("error", error),
            };
        }
        object.end()
    }
}
