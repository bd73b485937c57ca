//! Something that happened in a cluster: how it reads, and what a program is told of it.

use super::json::Object;
use crate::{cluster::intercept::ApiKey, rpc::metadata_record::PartitionState, types::BrokerId};
use std::{
    fmt::{self, Display},
    sync::Arc,
    time::Duration,
};

/// Something worth a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster) enum Fact {
    Started(BrokerId),
    Killed(BrokerId),
    LostPower(BrokerId),
    /// In order.
    Stopped(BrokerId),
    /// It hands its partitions over, and stops then.
    ShutsDown(BrokerId),
    /// Its machine is taken away.
    Gone(BrokerId),
    Unregistered(BrokerId),
    /// Bytes a second that may be copied of partitions on their way.
    Throttle(Option<u64>),
    ClockSkew {
        broker: BrokerId,
        millis: i64,
    },
    Paused(BrokerId),
    WentOn(BrokerId),
    /// By itself.
    Ended {
        broker: BrokerId,
        why: String,
    },
    Registered {
        broker: BrokerId,
        epoch: i64,
    },
    Fenced(BrokerId),
    Unfenced(BrokerId),
    /// A broker gets a snapshot of the metadata up to this entry, inclusive.
    Snapshot {
        broker: BrokerId,
        index: u64,
    },
    Voters(Vec<BrokerId>),
    Controller {
        broker: BrokerId,
        term: u64,
    },
    Resigned {
        broker: BrokerId,
        term: u64,
    },
    Topic {
        name: Arc<str>,
        partitions: i32,
    },
    TopicDeleted {
        name: Arc<str>,
    },
    Partition(Box<PartitionFact>),
    RequestRefused {
        broker: BrokerId,
        /// Whose; `None`: a client's.
        from: Option<BrokerId>,
        api: ApiKey,
        error: String,
    },
    RequestLost {
        broker: BrokerId,
        /// Whose; `None`: a client's.
        from: Option<BrokerId>,
        api: ApiKey,
    },
    AnswerLost {
        broker: BrokerId,
        /// Whose; `None`: a client's.
        from: Option<BrokerId>,
        api: ApiKey,
    },
    RequestDelayed {
        broker: BrokerId,
        /// Whose; `None`: a client's.
        from: Option<BrokerId>,
        api: ApiKey,
        by: Duration,
    },
    Split {
        one: Vec<BrokerId>,
        other: Vec<BrokerId>,
    },
    Blocked {
        from: BrokerId,
        to: BrokerId,
    },
    Isolated(BrokerId),
    /// Of messages between brokers, per mille.
    Loss(u16),
    Duplicates(u16),
    Reordered(u16),
    Delays {
        per_mille: u16,
        by: Duration,
    },
    Latency {
        least: Duration,
        most: Duration,
    },
    Healed,
    /// In the words of whoever uses the cluster.
    Note(String),
    /// A promise of the cluster's does not hold.
    Broken {
        invariant: String,
        what: String,
    },
    /// A check of whoever uses the cluster does not hold.
    Failed(String),
}

/// What the controller says of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster) struct PartitionFact {
    pub(in crate::cluster) topic: Arc<str>,
    pub(in crate::cluster) partition: i32,
    pub(in crate::cluster) state: PartitionState,
    /// Whether who leads now may lack what was acknowledged.
    pub(in crate::cluster) unclean: bool,
}

impl Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(id) => write!(f, "broker {id} starts"),
            Self::Killed(id) => write!(f, "broker {id} is killed"),
            Self::LostPower(id) => write!(f, "broker {id} loses power"),
            Self::Stopped(id) => write!(f, "broker {id} stops"),
            Self::ShutsDown(id) => write!(f, "broker {id} shuts down"),
            Self::Gone(id) => write!(f, "broker {id} is gone for good"),
            Self::Unregistered(id) => write!(f, "broker {id} is not registered any more"),
            Self::Throttle(Some(rate)) => write!(f, "partitions move at {rate} bytes a second"),
            Self::Throttle(None) => f.write_str("partitions move as fast as they can"),
            Self::ClockSkew { broker, millis } => {
                write!(f, "the clock of broker {broker} is {millis} ms ahead")
            }
            Self::Paused(id) => write!(f, "broker {id} is paused"),
            Self::WentOn(id) => write!(f, "broker {id} goes on"),
            Self::Ended { broker, why } => write!(f, "broker {broker} ends: {why}"),
            Self::Registered { broker, epoch } => write!(f, "broker {broker} is registered, epoch {epoch}"),
            Self::Fenced(id) => write!(f, "broker {id} is fenced"),
            Self::Unfenced(id) => write!(f, "broker {id} is not fenced any more"),
            Self::Snapshot { broker, index } => {
                write!(f, "broker {broker} gets a snapshot of the metadata up to entry {index}")
            }
            Self::Voters(voters) => write!(f, "brokers {} vote on the controller", ids(voters)),
            Self::Controller { broker, term } => {
                write!(f, "broker {broker} is the controller of term {term}")
            }
            Self::Resigned { broker, term } => {
                write!(f, "broker {broker} is not the controller any more, in term {term}")
            }
            Self::Topic { name, partitions } => write!(f, "the topic {name} has {partitions} partitions"),
            Self::TopicDeleted { name } => write!(f, "the topic {name} is deleted"),
            Self::Partition(partition) => partition.fmt(f),
            Self::RequestRefused { broker, from, api, error } => {
                write!(f, "broker {broker} refuses {api:?}{}: {error}", whose(*from))
            }
            Self::RequestLost { broker, from, api } => {
                write!(f, "{api:?}{} does not reach broker {broker}", whose(*from))
            }
            Self::AnswerLost { broker, from, api } => {
                write!(f, "broker {broker}'s answer to {api:?}{} is lost", whose(*from))
            }
            Self::RequestDelayed { broker, from, api, by } => {
                write!(f, "{api:?}{} reaches broker {broker} {by:?} later", whose(*from))
            }
            Self::Split { one, other } => {
                write!(f, "nothing passes between brokers {} and {}", ids(one), ids(other))
            }
            Self::Blocked { from, to } => write!(f, "nothing passes from broker {from} to broker {to}"),
            Self::Isolated(id) => write!(f, "broker {id} is isolated"),
            Self::Loss(per_mille) => write!(f, "{per_mille} of 1000 messages are lost"),
            Self::Duplicates(per_mille) => write!(f, "{per_mille} of 1000 messages come twice"),
            Self::Reordered(per_mille) => write!(f, "{per_mille} of 1000 messages may overtake others"),
            Self::Delays { per_mille, by } => write!(f, "{per_mille} of 1000 messages are {by:?} late"),
            Self::Latency { least, most } => write!(f, "messages take {least:?} to {most:?}"),
            Self::Healed => f.write_str("the network works again"),
            Self::Note(what) => f.write_str(what),
            Self::Broken { invariant, what } => write!(f, "an invariant is broken, {invariant}: {what}"),
            Self::Failed(what) => write!(f, "a check fails: {what}"),
        }
    }
}

impl Display for PartitionFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, state, unclean } = self;
        let leader = state.leader.map_or_else(|| "nobody".to_owned(), |id| format!("broker {id}"));
        let (epoch, isr) = (state.leader_epoch, ids(&state.isr));
        write!(f, "{topic}-{partition}: {leader} leads in epoch {epoch}, in sync: {isr}")?;
        if !state.elr.is_empty() {
            write!(f, ", eligible: {}", ids(&state.elr))?;
        }
        if state.is_reassigning() {
            write!(f, ", on its way to: {}, from: {}", ids(&state.adding), ids(&state.removing))?;
        }
        if *unclean { f.write_str(", who may lack what was acknowledged") } else { Ok(()) }
    }
}

fn whose(from: Option<BrokerId>) -> String {
    from.map_or_else(String::new, |id| format!(" of broker {id}"))
}

fn ids<'a>(ids: impl IntoIterator<Item = &'a BrokerId>) -> String {
    ids.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl Fact {
    /// The name of its kind in JSON.
    fn kind(&self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Killed(_) => "killed",
            Self::LostPower(_) => "power_lost",
            Self::Stopped(_) => "stopped",
            Self::ShutsDown(_) => "shuts_down",
            Self::Gone(_) => "gone",
            Self::Unregistered(_) => "unregistered",
            Self::Throttle(_) => "throttle",
            Self::ClockSkew { .. } => "clock_skew",
            Self::Paused(_) => "paused",
            Self::WentOn(_) => "went_on",
            Self::Ended { .. } => "ended",
            Self::Registered { .. } => "registered",
            Self::Fenced(_) => "fenced",
            Self::Unfenced(_) => "unfenced",
            Self::Snapshot { .. } => "snapshot",
            Self::Voters(_) => "voters",
            Self::Controller { .. } => "controller",
            Self::Resigned { .. } => "resigned",
            Self::Topic { .. } => "topic",
            Self::TopicDeleted { .. } => "topic_deleted",
            Self::Partition(_) => "partition",
            Self::RequestRefused { .. } => "request_refused",
            Self::RequestLost { .. } => "request_lost",
            Self::AnswerLost { .. } => "answer_lost",
            Self::RequestDelayed { .. } => "request_delayed",
            Self::Split { .. } => "split",
            Self::Blocked { .. } => "blocked",
            Self::Isolated(_) => "isolated",
            Self::Loss(_) => "loss",
            Self::Duplicates(_) => "duplicates",
            Self::Reordered(_) => "reordered",
            Self::Delays { .. } => "delays",
            Self::Latency { .. } => "latency",
            Self::Healed => "healed",
            Self::Note(_) => "note",
            Self::Broken { .. } => "broken",
            Self::Failed(_) => "failed",
        }
    }

    /// Its line of JSON, which has what a program may want to know, and the text.
    pub(super) fn to_json(&self, at: Duration) -> String {
        let mut object = Object::new(at, self.kind());
        match self {
            Self::Started(id)
            | Self::Killed(id)
            | Self::LostPower(id)
            | Self::Stopped(id)
            | Self::ShutsDown(id)
            | Self::Gone(id)
            | Self::Unregistered(id)
            | Self::Paused(id)
            | Self::WentOn(id)
            | Self::Fenced(id)
            | Self::Unfenced(id)
            | Self::Isolated(id) => object.number("broker", id),
            Self::Ended { broker, why } => object.number("broker", broker).text("why", why),
            Self::Registered { broker, epoch } => object.number("broker", broker).number("epoch", epoch),
            Self::Snapshot { broker, index } => object.number("broker", broker).number("index", index),
            Self::Voters(voters) => object.numbers("voters", voters),
            Self::Controller { broker, term } | Self::Resigned { broker, term } => {
                object.number("broker", broker).number("term", term)
            }
            Self::Topic { name, partitions } => object.text("topic", name).number("partitions", partitions),
            Self::TopicDeleted { name } => object.text("topic", name),
            Self::Partition(partition) => partition.write(&mut object),
            Self::RequestRefused { broker, from, api, error } => {
                object.number("broker", broker).text("api", &format!("{api:?}")).text("error", error);
                put_from(&mut object, *from)
            }
            Self::RequestLost { broker, from, api } | Self::AnswerLost { broker, from, api } => {
                object.number("broker", broker).text("api", &format!("{api:?}"));
                put_from(&mut object, *from)
            }
            Self::RequestDelayed { broker, from, api, by } => {
                object.number("broker", broker).text("api", &format!("{api:?}")).seconds("by", *by);
                put_from(&mut object, *from)
            }
            Self::Throttle(Some(rate)) => object.number("bytes_per_second", rate),
            Self::Throttle(None) => object.null("bytes_per_second"),
            Self::ClockSkew { broker, millis } => object.number("broker", broker).number("millis", millis),
            Self::Split { one, other } => object.numbers("one", one).numbers("other", other),
            Self::Blocked { from, to } => object.number("from", from).number("to", to),
            Self::Loss(per_mille) | Self::Duplicates(per_mille) | Self::Reordered(per_mille) => {
                object.number("per_mille", per_mille)
            }
            Self::Delays { per_mille, by } => object.number("per_mille", per_mille).seconds("by", *by),
            Self::Latency { least, most } => object.seconds("least", *least).seconds("most", *most),
            Self::Healed | Self::Note(_) => &mut object,
            Self::Broken { invariant, what } => object.text("invariant", invariant).text("what", what),
            Self::Failed(what) => object.text("what", what),
        };
        object.text("text", &self.to_string());
        object.end()
    }
}

fn put_from(object: &mut Object, from: Option<BrokerId>) -> &mut Object {
    match from {
        Some(id) => object.number("from", id),
        None => object,
    }
}

impl PartitionFact {
    fn write<'o>(&self, object: &'o mut Object) -> &'o mut Object {
        let state = &self.state;
        object.text("topic", &self.topic).number("partition", self.partition);
        match state.leader {
            Some(leader) => object.number("leader", leader),
            None => object.null("leader"),
        };
        object.number("leader_epoch", state.leader_epoch).numbers("replicas", &state.replicas);
        object
            .numbers("isr", &state.isr)
            .numbers("eligible", &state.elr)
            .numbers("adding", &state.adding)
            .numbers("removing", &state.removing)
            .flag("unclean", self.unclean)
    }
}
