//! What happened in a cluster: a line of text for each fact, so that a seed reads as a story; and what is too much for a story, high
//! watermarks and clients' requests, for who looks at the run as [JSON lines](ClusterTrace::to_json_lines) or as
//! [a page](ClusterTrace::to_html).

mod digest;
mod fact;
mod json;
mod kept;
mod lines;
mod metadata;
mod notes;
mod page;
mod request;
mod text;

pub(super) use fact::Fact;
pub(super) use request::{Answered, Asked};

use super::marks::Mark;
use crate::{
    controller::Image,
    rpc::metadata_record::MetadataRecord,
    sync::Mutex,
    types::{BrokerId, Instant, Offset, TopicId},
};
use digest::Digest;
use kept::Kept;
use request::{Outcome, Request};
use std::{collections::BTreeMap, hash::Hasher, sync::Arc};

/// What a cluster has done, in order. Shown line by line, each with the time since the start.
///
/// The lines are what a person reads. Beside them it holds how high watermarks moved, and clients' requests with what became of them:
/// `{trace:#}` shows these among the lines, [`to_json_lines`](Self::to_json_lines) has all of it for programs, and
/// [`to_html`](Self::to_html) draws it. Of each of the three the last 100,000 are there at least.
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
///
/// cluster.create_topic("orders", TopicConfig::new())?;
/// cluster.produce(Record::to("orders").value("3 apples"))?;
/// let (whole, leader) = (format!("{:#}", cluster.trace()), cluster.leader("orders", 0)?);
/// assert!(whole.contains(&format!("orders-0: broker {leader} lets read up to 1")));
/// assert!(whole.contains(&format!("a client asks broker {leader}: Produce of 1 records to orders-0")));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTrace {
    /// Shared with the cluster until that goes on.
    told: Arc<Told>,
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
        self.told.lines.items()
    }

    /// A number that differs, all but surely, where what happened does: the lines, high watermarks, clients' requests, and what became of
    /// them.
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
        self.told.digest.finish()
    }
}

/// All that was told so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Told {
    seed: u64,
    /// Of all that ever was told.
    digest: Digest,
    /// As they are shown, one for each fact.
    lines: Kept<String>,
    facts: Kept<(Instant, Fact)>,
    watermarks: Kept<Watermark>,
    requests: Kept<Request>,
    /// Of all topics that there ever were.
    topics: BTreeMap<TopicId, Arc<str>>,
}

/// A leader lets consumers read further than before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Watermark {
    at: Instant,
    leader: BrokerId,
    partition: (TopicId, i32),
    /// Exclusive.
    offset: Offset,
}

/// Takes what happens, from whoever holds whatever lock: nothing is called from here.
#[derive(Debug)]
pub(super) struct Trace {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    told: Arc<Told>,
    /// The last entry of the metadata log that was told of, and by whom: each broker applies it.
    applied: (u64, Option<BrokerId>),
    marks: BTreeMap<Mark, u64>,
}

impl State {
    /// While somebody still holds what was told before, this one goes on with a copy.
    fn told(&mut self) -> &mut Told {
        Arc::make_mut(&mut self.told)
    }
}

impl Trace {
    pub(super) fn new(seed: u64) -> Self {
        let told = Arc::new(Told { seed, ..Told::default() });
        Self { state: Mutex::new(State { told, ..State::default() }) }
    }

    pub(super) fn add(&self, now: Instant, fact: Fact) {
        let line = text::line(now, &fact);
        let mut state = self.state.lock();
        let told = state.told();
        told.digest.take(0, &line);
        told.lines.push(line);
        told.facts.push((now, fact));
    }

    /// A leader has raised a high watermark.
    pub(super) fn raised(
        &self,
        now: Instant,
        leader: BrokerId,
        (partition, offset): ((TopicId, i32), Offset),
    ) {
        let mut state = self.state.lock();
        let told = state.told();
        told.digest.take(1, (now, leader, partition, offset));
        told.watermarks.push(Watermark { at: now, leader, partition, offset });
    }

    /// A client sends a request to a broker. By the number it is told later what became of it.
    pub(super) fn asked(&self, now: Instant, to: BrokerId, asked: Asked) -> u64 {
        let mut state = self.state.lock();
        let told = state.told();
        told.digest.take(2, (now, to, &asked));
        told.requests.push(Request::new(now, to, asked))
    }

    /// An answer has arrived at the client.
    pub(super) fn answered(&self, now: Instant, number: u64, outcome: Outcome) {
        let mut state = self.state.lock();
        let told = state.told();
        told.digest.take(3, (now, number, &outcome));
        if let Some(request) = told.requests.get_mut(number) {
            request.answered = Some((now, outcome));
        }
    }

    pub(super) fn snapshot(&self) -> ClusterTrace {
        ClusterTrace { told: Arc::clone(&self.state.lock().told) }
    }

    /// Notes that the run has come upon this.
    pub(super) fn hit(&self, mark: Mark) {
        *self.state.lock().marks.entry(mark).or_default() += 1;
    }

    pub(super) fn marks(&self) -> BTreeMap<Mark, u64> {
        self.state.lock().marks.clone()
    }

    pub(super) fn controller_elected(&self, now: Instant, broker: BrokerId, term: u64) {
        self.hit(Mark::ControllerElected);
        self.add(now, Fact::Controller { broker, term });
    }

    pub(super) fn controller_resigned(&self, now: Instant, broker: BrokerId, term: u64) {
        self.add(now, Fact::Resigned { broker, term });
    }

    /// Topics that a snapshot tells of.
    pub(super) fn learn_names(&self, image: &Image) {
        let names = image.topics().iter().map(|(id, topic)| (*id, Arc::clone(&topic.name)));
        self.state.lock().told().topics.extend(names);
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
            if let MetadataRecord::Topic { id, name, .. } = record {
                state.told().topics.insert(*id, name.as_str().into());
            }
        }
        metadata::hits(record, image).into_iter().for_each(|mark| self.hit(mark));
        if let Some(fact) = metadata::fact(record, image) {
            self.add(now, fact);
        }
    }
}
