//! A broker of a cluster while its process runs: its [`Node`], its member of the quorum, and the controller if that leads. It takes what
//! arrives, and says when it is to be woken.

pub(super) mod control;
mod copying;
mod early;
mod metadata;
mod noting;
mod producer_ids;
mod snapshots;

use super::{
    marks::Mark,
    metadata_log::MetadataLog,
    post::{ClientRequest, Connection, OwnedProduce, Post},
    trace::Trace,
    witness::{Answered, Witness},
};
use crate::{
    bugs::{self, Bug},
    controller::{
        Controller, ControllerConfig, Image,
        quorum::{self, Index, Quorum},
    },
    env::{Driver, Storage},
    error::{Error, Result},
    node::{Copies, IsrProposal, Node},
    prng::Prng,
    record::ValidBatch,
    rpc::{
        Answer, ProduceRequest, ProduceResponse, ReplicaFetchRequest, ReplicaFetchResponse, Request,
        Response, Service, Ticket,
    },
    sync::AtomicU64,
    types::{Acks, BrokerEpoch, BrokerId, Instant},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

/// What one broker says to another.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Quorum(quorum::Message),
    Question { id: u64, question: Question },
    Answer { id: u64, answer: Told },
}

#[derive(Debug, Clone)]
pub(super) enum Question {
    /// To a leader.
    Copy(ReplicaFetchRequest),
    /// To the active controller.
    Control(Request),
}

#[derive(Debug, Clone)]
pub(super) enum Told {
    Copied(Result<ReplicaFetchResponse>),
    /// With the entry of the metadata log by which it holds.
    Controlled(Result<Response>, Index),
}

impl Message {
    /// The same, but that its answer does not get to anybody.
    pub(super) fn without_answer(self) -> Self {
        match self {
            Self::Question { question, .. } => Self::Question { id: u64::MAX, question },
            other => other,
        }
    }

    /// That a question was refused.
    pub(super) fn refusal(&self, error: Error) -> Option<Self> {
        let Self::Question { id, question } = self else { return None };
        let answer = match question {
            Question::Copy(_) => Told::Copied(Err(error)),
            Question::Control(_) => Told::Controlled(Err(error), Index::default()),
        };
        Some(Self::Answer { id: *id, answer })
    }
}

/// A question that is not answered yet.
#[derive(Debug)]
struct Pending {
    /// Then the answer is not waited for any more.
    deadline: Instant,
    about: About,
}

#[derive(Debug)]
enum About {
    Copy(BrokerId, ReplicaFetchRequest),
    Register,
    Heartbeat,
    AlterPartition(IsrProposal),
    /// A block of them.
    ProducerIds,
    /// A client's, for the controller.
    Forwarded(Ticket<Response>),
    /// Whether there is a topic for groups by now.
    OffsetsTopic,
}

/// The times that a broker goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// How often it tells the controller that it is there. (`broker.heartbeat.interval.ms`)
    pub(super) heartbeat: Duration,
    pub(super) session_timeout: Duration,
    /// How often the controller looks at whether preferred leaders lead; `None`: never.
    pub(super) leader_check: Option<Duration>,
    /// How long a leader waits for something that a follower does not have. (`replica.fetch.wait.max.ms`)
    pub(super) fetch_wait: Duration,
    /// How long what failed is left alone. (`replica.fetch.backoff.ms`)
    pub(super) backoff: Duration,
    /// How long the answer to a question may take, beyond what the one who is asked may wait. (`request.timeout.ms`)
    pub(super) patience: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(500),
            session_timeout: Duration::from_secs(3),
            leader_check: Some(Duration::from_secs(300)),
            fetch_wait: Duration::from_millis(500),
            backoff: Duration::from_millis(100),
            patience: Duration::from_secs(1),
        }
    }
}

/// The active controller, with the answers that wait for their records to be committed.
#[derive(Debug)]
struct Active {
    controller: Controller,
    held: Vec<(Index, ReplyTo, Result<Response>)>,
}

#[derive(Debug)]
struct ReplyTo {
    broker: BrokerId,
    id: u64,
}

/// Whether a broker wants to end in order. (`controlled.shutdown.enable`)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shutdown {
    No,
    /// The controller is asked to move its leaders.
    Wanted,
    /// They are moved, and all others know.
    Granted,
}

#[derive(Debug)]
pub(super) struct Running {
    id: BrokerId,
    incarnation: u64,
    post: Arc<Post>,
    trace: Arc<Trace>,
    timing: Timing,
    prng: Prng,
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    boot: u64,
    pub(super) node: Arc<Node>,
    quorum: Quorum,
    log: MetadataLog,
    /// (`metadata.log.max.record.bytes.between.snapshots`)
    bytes_between_snapshots: u64,
    /// All that is committed, as far as it is known here.
    image: Image,
    applied: Index,
    /// What is applied and not carried out.
    changes: metadata::Changes,
    active: Option<Active>,
    /// That of the broker's registration.
    epoch: Option<BrokerEpoch>,
    /// Under which it had all that it has now, for sure.
    previous_epoch: Option<BrokerEpoch>,
    pending: BTreeMap<u64, Pending>,
    questions: u64,
    /// When it registers, or says that it is there, next.
    control_at: Instant,
    /// How often in a row it did not reach the active controller.
    missed: u32,
    /// Whether it answers clients.
    serves: bool,
    /// Whether brokers were registered, or are no more, since the quorum was told of them.
    brokers_changed: bool,
    /// Whose logs are copied here, and when each is asked next; `None`: it was asked.
    leaders: BTreeMap<BrokerId, Option<Instant>>,
    /// What is copied from each of them.
    copies: BTreeMap<BrokerId, Copies>,
    /// How often in a row something could not be copied from them.
    copy_failures: BTreeMap<BrokerId, u32>,
    /// ISRs that the controller is asked for again, and those that it does not want, each with the time.
    proposals: Vec<(Instant, IsrProposal)>,
    refused: Vec<(Instant, IsrProposal)>,
    producer_ids: producer_ids::ProducerIds,
    /// Answers for clients that wait until this broker knows, too, what they are told.
    unknown_yet: Vec<(Index, Ticket<Response>, Response)>,
    connections: Vec<Connection>,
    /// Members of groups that are kept here.
    early: Vec<Arc<early::EarlyWord>>,
    /// Whether it is to end in order, and how far that is.
    shutdown: Shutdown,
    /// How fast it may copy what is on its way to it.
    throttle: copying::Throttle,
    /// What its disk has refused: the process ends.
    failed: Option<Error>,
    witness: Option<Arc<Witness>>,
}

/// What a process is started with.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) id: BrokerId,
    pub(super) incarnation: u64,
    pub(super) voters: BTreeSet<BrokerId>,
    pub(super) post: Arc<Post>,
    pub(super) trace: Arc<Trace>,
    pub(super) timing: Timing,
    pub(super) bytes_between_snapshots: u64,
    pub(super) prng: Prng,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) dir: PathBuf,
    /// Another one after each loss of power.
    pub(super) boot: u64,
    pub(super) node: Arc<Node>,
    /// Bytes a second; see [`Cluster::set_replication_throttle`](crate::Cluster::set_replication_throttle).
    pub(super) throttle: Arc<AtomicU64>,
    /// Who is to know what clients are told.
    pub(super) witness: Option<Arc<Witness>>,
}

impl Running {
    pub(super) fn start(start: Start) -> Result<Self> {
        let now = start.post.clock().now();
        let (log, restored) = MetadataLog::open(&start.storage, &start.dir.join("metadata"))?;
        start.node.set_metadata_version(0);
        let previous_epoch = control::take_up_registration(&*start.storage, &start.dir, start.boot)?;
        let snapshot = restored.snapshot.clone();
        let quorum = Quorum::new(
            start.id,
            start.voters,
            restored,
            quorum::QuorumConfig::default(),
            start.prng.fork("quorum"),
            now,
        );
        let mut running = Self {
            id: start.id,
            incarnation: start.incarnation,
            post: start.post,
            trace: start.trace,
            timing: start.timing,
            prng: start.prng,
            storage: start.storage,
            dir: start.dir,
            boot: start.boot,
            node: start.node,
            quorum,
            log,
            bytes_between_snapshots: start.bytes_between_snapshots,
            image: Image::default(),
            applied: Index::default(),
            changes: metadata::Changes::default(),
            active: None,
            epoch: None,
            previous_epoch,
            pending: BTreeMap::new(),
            // Another process's answers, which may come twice, are none of this one's.
            questions: start.incarnation << 32,
            control_at: now,
            missed: 0,
            serves: false,
            brokers_changed: false,
            leaders: BTreeMap::new(),
            copies: BTreeMap::new(),
            copy_failures: BTreeMap::new(),
            proposals: Vec::new(),
            producer_ids: producer_ids::ProducerIds::new(now),
            refused: Vec::new(),
            unknown_yet: Vec::new(),
            connections: Vec::new(),
            early: Vec::new(),
            shutdown: Shutdown::No,
            throttle: copying::Throttle::new(start.throttle),
            failed: None,
            witness: start.witness,
        };
        if snapshot.position.index > running.applied {
            running.begin_with(&snapshot);
        }
        Ok(running)
    }

    pub(super) fn incarnation(&self) -> u64 {
        self.incarnation
    }

    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// How many entries of the metadata log are applied.
    pub(super) fn applied(&self) -> u64 {
        self.applied.0
    }

    /// The records of an entry; `None`: it is not here any more, or not yet.
    pub(super) fn metadata_entry(&self, index: u64) -> Option<&quorum::Payload> {
        self.quorum.entry(Index(index)).map(|entry| &entry.payload)
    }

    pub(super) fn quorum(&self) -> &Quorum {
        &self.quorum
    }

    /// The losses of power that its machine had before this process.
    pub(super) fn boot(&self) -> u64 {
        self.boot
    }

    /// Whether this broker is the active controller, with its term.
    pub(super) fn controls(&self) -> Option<u64> {
        self.active.as_ref().map(|_| self.quorum.term().0)
    }

    /// Whether it answers clients: it has applied the registration of this process.
    pub(super) fn serves(&self) -> bool {
        self.serves
    }

    /// Those who wait for an answer from here.
    pub(super) fn take_connections(&mut self) -> Vec<Connection> {
        std::mem::take(&mut self.connections)
    }

    /// A message of another broker's, or of this one's to itself.
    pub(super) fn receive(&mut self, from: BrokerId, message: Message) -> Result<()> {
        let now = self.post.clock().now();
        match message {
            Message::Quorum(message) => self.step_quorum(quorum::Event::Received { from, message }, now),
            Message::Question { id, question: Question::Copy(request) } => {
                self.lend(from, id, request);
                Ok(())
            }
            Message::Question { id, question: Question::Control(request) } => {
                self.decide(ReplyTo { broker: from, id }, &request, now)
            }
            Message::Answer { id, answer } => match self.pending.remove(&id) {
                Some(pending) => self.answered(pending.about, answer, now),
                None => Ok(()),
            },
        }
    }

    /// A client's request. Before the broker has applied its own registration it does not know which topics there are: it does not
    /// serve yet, as Kafka's does not.
    pub(super) fn asked(&mut self, request: ClientRequest) {
        if !self.serves && !bugs::is(Bug::ServeBeforeRegistered) {
            return request.connection().fail(&self.post, self.id, Error::BrokerNotAvailable);
        }
        if self.connections.len() >= 64 {
            self.connections.retain(Connection::is_open);
        }
        let is_unanswered =
            matches!(&request, ClientRequest::Produce { request, .. } if request.acks == Acks::Zero);
        self.connections.extend((!is_unanswered).then(|| request.connection()));
        match request {
            ClientRequest::Produce { request, ticket } => {
                let note = self.note_produce(&request);
                let mut bytes = request.batch;
                let before = self.node.duplicates();
                let answer = match ValidBatch::validate(&mut bytes) {
                    Ok(mut batch) => self.node.produce(
                        self.id,
                        ProduceRequest {
                            partition: &request.partition,
                            acks: request.acks,
                            timeout: request.timeout,
                            durability: request.durability,
                            batch: &mut batch,
                        },
                    ),
                    Err(error) => Answer::Ready(Err(Error::InvalidRecord(error.to_string()).into())),
                };
                if self.node.duplicates() > before {
                    self.trace.hit(Mark::Duplicate);
                }
                if is_unanswered {
                    self.reply_to_nobody(answer, &ticket)
                } else {
                    self.reply(answer, ticket, note)
                }
            }
            ClientRequest::Fetch { request, ticket } => {
                let answer = self.node.fetch(self.id, &request);
                let witness = self.witness.clone();
                self.reply(answer, ticket, move |answer| {
                    if let (Some(witness), Ok(response)) = (witness, answer) {
                        witness.note_fetch(&request, response);
                    }
                });
            }
            ClientRequest::Call { request, ticket } if control::is_for_controller(&request) => {
                self.forward(request, ticket);
            }
            ClientRequest::Call { request: Request::InitProducerId(_), ticket } => {
                self.init_producer_id(ticket);
            }
            ClientRequest::Call { mut request, ticket } => {
                if let Request::JoinGroup(join) = &mut request {
                    self.tell_by_message(join);
                }
                if let Request::FindCoordinator(_) = &request {
                    self.make_offsets_topic();
                }
                let note = self.note_call(&request);
                let answer = self.node.call(self.id, request);
                self.reply(answer, ticket, note);
            }
        }
    }

    /// Notes what becomes of a produce.
    fn note_produce(&self, request: &OwnedProduce) -> impl FnOnce(&Result<ProduceResponse>) + Send + use<> {
        let (trace, witness) = (Arc::clone(&self.trace), self.witness.clone());
        let partition = (request.partition.topic_id, request.partition.partition);
        let by_all = request.acks == Acks::All;
        let (post, late) = (Arc::clone(&self.post), self.post.clock().now().plus(request.timeout));
        move |answer| match answer {
            Ok(response) => {
                if let Some(witness) = witness.filter(|_| by_all) {
                    witness.note(Answered::Produced { partition, base: response.base_offset });
                }
            }
            Err(Error::RequestTimedOut) if post.clock().now() >= late => trace.hit(Mark::ProduceTimedOut),
            Err(Error::RequestTimedOut) => trace.hit(Mark::ProduceInterrupted),
            Err(Error::NotEnoughReplicas { .. }) => trace.hit(Mark::ProduceRefused),
            Err(Error::NotEnoughReplicasAfterAppend) => trace.hit(Mark::NotEnoughAfterAppend),
            Err(_) => {}
        }
    }

    /// Who asks a broker whose disk refuses, or that ends, finds the connection broken: it is not the cluster that is closed. What is
    /// answered is noted first.
    fn reply<T: Send + 'static>(
        &mut self,
        answer: Answer<T>,
        ticket: Ticket<T>,
        note: impl FnOnce(&Result<T>) + Send + 'static,
    ) {
        let (post, id) = (Arc::clone(&self.post), self.id);
        let tell = move |answer: Result<T>| {
            note(&answer);
            let broken = |error| if matches!(error, Error::Closed) { Error::NetworkException } else { error };
            post.answer(id, &ticket, answer.map_err(broken));
        };
        match answer {
            Answer::Ready(Err(error)) if error.is_of_the_disk() => self.failed = Some(*error),
            Answer::Ready(answer) => tell(answer.map_err(|error| *error)),
            Answer::Parked(parked) => parked.on_fill(tell),
        }
    }

    /// Rule 17: who wants no answer gets none. Where it is refused the connection breaks, so that its client asks who leads.
    fn reply_to_nobody(&mut self, answer: Answer<ProduceResponse>, ticket: &Ticket<ProduceResponse>) {
        match answer {
            Answer::Ready(Err(error)) if error.is_of_the_disk() => self.failed = Some(*error),
            Answer::Ready(Err(_)) => self.post.answer(self.id, ticket, Err(Error::NetworkException)),
            Answer::Ready(Ok(_)) | Answer::Parked(_) => {}
        }
    }

    /// Puts a question to another broker.
    fn ask(&mut self, to: BrokerId, question: Question, about: About, deadline: Instant) {
        self.questions += 1;
        let id = self.questions;
        self.pending.insert(id, Pending { deadline, about });
        self.post.send(self.id, to, &Message::Question { id, question });
    }

    /// Does all that is due, and says when something is again.
    pub(super) fn settle(&mut self, now: Instant) -> Result<Instant> {
        self.node.fire(now);
        if let Some(error) = self.failed.take().or_else(|| self.node.take_failure()) {
            return Err(error);
        }
        if self.quorum.next_deadline() <= now {
            self.step_quorum(quorum::Event::Tick, now)?;
        }
        self.tell_observers(now)?;
        self.tick_controller(now)?;
        self.expire_questions(now)?;
        self.propose_isrs(now);
        self.tend_producer_ids(now);
        self.control(now);
        self.copy(now);
        let raised = self.node.take_raised();
        raised.into_iter().for_each(|raised| self.trace.raised(now, self.id, raised));
        self.take_snapshot(now)?;
        Ok(self.next_deadline())
    }

    fn next_deadline(&self) -> Instant {
        let questions = self.pending.values().map(|pending| pending.deadline);
        let leaders = self.leaders.values().filter_map(|at| *at);
        let proposals = self.proposals.iter().chain(&self.refused).map(|(at, _)| *at);
        let controller = self.active.iter().map(|active| active.controller.next_deadline());
        let all = questions.chain(leaders).chain(proposals).chain(controller).chain(self.node.next_timer());
        let own = [self.quorum.next_deadline(), self.control_at, self.producer_ids.next_deadline()];
        all.chain(own).min().unwrap_or(Instant::MAX)
    }

    fn expire_questions(&mut self, now: Instant) -> Result<()> {
        let late: Vec<u64> =
            self.pending.iter().filter(|(_, pending)| pending.deadline <= now).map(|(id, _)| *id).collect();
        for id in late {
            if let Some(pending) = self.pending.remove(&id) {
                self.unanswered(pending.about, now);
            }
        }
        Ok(())
    }

    /// Ends in order.
    pub(super) fn close(&self) -> Result<()> {
        self.node.close()?;
        self.note_close()
    }
}

/// The active controller goes by the same times on every broker.
fn controller_config(timing: Timing) -> ControllerConfig {
    ControllerConfig { session_timeout: timing.session_timeout, leader_check: timing.leader_check }
}
