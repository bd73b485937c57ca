//! What happened in a cluster, as text: a line for each event, so that a seed reads as a story.

use super::marks::Mark;
use crate::{
    controller::Image,
    rpc::metadata_record::{MetadataRecord, PartitionState},
    sync::Mutex,
    types::{BrokerId, Instant, OFFSETS_TOPIC, TopicId},
};
use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};

/// What a cluster has done, in order. Shown line by line, each with the time since the start.
///
/// Two runs of one seed, with the same calls, have the same one.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// let cluster = Cluster::builder().brokers(3).seed(7).start()?;
/// let trace = cluster.trace();
/// println!("{trace}");
/// assert!(trace.lines().iter().any(|line| line.contains("is the controller")));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTrace {
    lines: Vec<String>,
}

impl ClusterTrace {
    /// The lines, in order of time.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let cluster = Cluster::builder().brokers(1).start()?;
    /// assert!(!cluster.trace().lines().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// A number that differs, all but surely, where the lines do.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// let hash = |seed| -> Result<u64> { Ok(Cluster::builder().brokers(3).seed(seed).start()?.trace().hash()) };
    /// assert_eq!(hash(7)?, hash(7)?);
    /// assert_ne!(hash(7)?, hash(8)?);
    /// # Ok(()) }
    /// ```
    pub fn hash(&self) -> u64 {
        let bytes = self.lines.iter().flat_map(|line| line.bytes().chain([b'\n']));
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }
}

impl Display for ClusterTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// How many lines are kept: the last ones.
const LIMIT: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Trace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    /// The last entry of the metadata log that was told of, and by whom: each broker applies it.
    applied: (u64, Option<BrokerId>),
    marks: BTreeMap<Mark, u64>,
}

impl Trace {
    pub(super) fn add(&self, now: Instant, what: impl Display) {
        let since: Duration = now.since(Instant::default());
        let mut state = self.state.lock();
        if state.lines.len() >= 2 * LIMIT {
            state.lines.drain(..LIMIT);
        }
        state.lines.push(format!("{:>12.6} {what}", since.as_secs_f64()));
    }

    pub(super) fn snapshot(&self) -> ClusterTrace {
        ClusterTrace { lines: self.state.lock().lines.clone() }
    }

    /// Notes that the run has come upon this.
    pub(super) fn hit(&self, mark: Mark) {
        *self.state.lock().marks.entry(mark).or_default() += 1;
    }

    pub(super) fn marks(&self) -> BTreeMap<Mark, u64> {
        self.state.lock().marks.clone()
    }

    pub(super) fn controller_elected(&self, now: Instant, id: BrokerId, term: u64) {
        self.hit(Mark::ControllerElected);
        self.add(now, format_args!("broker {id} is the controller of term {term}"));
    }

    pub(super) fn controller_resigned(&self, now: Instant, id: BrokerId, term: u64) {
        self.add(now, format_args!("broker {id} is not the controller any more, in term {term}"));
    }

    /// A broker applies a record of an entry; what comes before is in `image`.
    pub(super) fn applied(
        &self,
        now: Instant,
        (id, index): (BrokerId, u64),
        record: &MetadataRecord,
        image: &Image,
    ) {
        {
            let mut state = self.state.lock();
            if index > state.applied.0 {
                state.applied = (index, Some(id));
            }
            if state.applied != (index, Some(id)) {
                return;
            }
        }
        hits(record, image).into_iter().for_each(|mark| self.hit(mark));
        if let Some(what) = told(record, image) {
            self.add(now, what);
        }
    }
}

/// What a record shows that a cluster has come upon.
fn hits(record: &MetadataRecord, image: &Image) -> Vec<Mark> {
    let (topic, partition, after) = match record {
        MetadataRecord::Partition { topic, partition, state } => (*topic, *partition, state),
        MetadataRecord::BrokerChange { fenced: true, .. } => return vec![Mark::BrokerFenced],
        _ => return Vec::new(),
    };
    let Some(before) = image.partition(topic, partition) else { return Vec::new() };
    let mut hits = Vec::new();
    let mut hit = |mark, is: bool| hits.extend(is.then_some(mark));
    let moved = after.leader_epoch != before.leader_epoch;
    let elected = after.leader.filter(|_| moved);
    hit(Mark::LeaderElected, elected.is_some());
    let keeps_groups = image.topic_by_id(topic).is_some_and(|topic| &*topic.name == OFFSETS_TOPIC);
    hit(Mark::CoordinatorElected, keeps_groups && elected.is_some());
    hit(
        Mark::EligibleElected,
        elected.is_some_and(|id| !before.isr.contains(&id) && before.elr.contains(&id)),
    );
    hit(Mark::UncleanElection, after.is_unclean_behind(before));
    hit(
        Mark::UncleanElectionRefused,
        after.leader.is_none() && after.replicas.iter().any(|id| image.is_active(*id)),
    );
    hit(Mark::IsrShrunk, !before.isr.is_subset(&after.isr));
    hit(Mark::IsrGrown, !after.isr.is_subset(&before.isr));
    hits
}

fn told(record: &MetadataRecord, image: &Image) -> Option<String> {
    Some(match record {
        MetadataRecord::Topic { name, partitions, .. } => {
            format!("the topic {name} has {partitions} partitions")
        }
        MetadataRecord::RemoveTopic { id } => format!("the topic {} is deleted", name(*id, image)),
        MetadataRecord::RegisterBroker { id, epoch, .. } => {
            format!("broker {id} is registered, epoch {}", epoch.0)
        }
        MetadataRecord::BrokerChange { id, fenced: true, .. } => format!("broker {id} is fenced"),
        MetadataRecord::Voters { voters } => format!("the voters are {voters:?}"),
        MetadataRecord::BrokerChange { id, fenced: false, .. } => {
            format!("broker {id} is not fenced any more")
        }
        MetadataRecord::Partition { topic, partition, state } => {
            let unclean =
                image.partition(*topic, *partition).is_some_and(|before| state.is_unclean_behind(before));
            let lacks = if unclean { ", who may lack what was acknowledged" } else { "" };
            format!("{}-{partition}: {}{lacks}", name(*topic, image), told_state(state))
        }
        _ => return None,
    })
}

fn name(topic: TopicId, image: &Image) -> String {
    image.topic_by_id(topic).map_or_else(|| topic.to_string(), |topic| topic.name.to_string())
}

fn told_state(state: &PartitionState) -> String {
    let leader = state.leader.map_or_else(|| "nobody".to_owned(), |id| format!("broker {id}"));
    let ids =
        |ids: &mut dyn Iterator<Item = &BrokerId>| ids.map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let isr = ids(&mut state.isr.iter());
    let mut told = format!("{leader} leads in epoch {}, in sync: {isr}", state.leader_epoch);
    if !state.elr.is_empty() {
        told.push_str(&format!(", eligible: {}", ids(&mut state.elr.iter())));
    }
    told
}
