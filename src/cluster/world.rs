//! All brokers of a cluster, their disks and their network, in one virtual time. What happens next is taken out of the post, one
//! thing at a time, and carried out under one lock.
//!
//! # Lock order
//! `hosts`, then the checker, then whatever a node locks, then the post or the trace: leaves, nothing is taken below them. Clients are called with
//! none of these held.

use super::{
    ApiKey,
    host::{Message, Running, Start, Timing},
    intercept::{self, Fate},
    invariants::{Broken, Checker},
    marks::Mark,
    post::{ClientRequest, Event, Post},
    trace::Trace,
    witness::Witness,
};
use crate::{
    config::TopicConfig,
    env::{Clock, DiskOp, DiskOperation, Driver, Rules, SimDisk},
    error::{Error, Result},
    group::Limits,
    node::{Node, NodeConfig, OnProgress, Replication},
    prng::Prng,
    sync::{AtomicBool, Mutex, MutexGuard, Ordering},
    types::{BrokerId, Instant},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

#[derive(Debug)]
pub(super) struct World {
    pub(super) post: Arc<Post>,
    pub(super) trace: Arc<Trace>,
    /// What becomes of clients' requests.
    pub(super) rules: Arc<Rules<ApiKey>>,
    /// Whether all has ended for good.
    closed: AtomicBool,
    /// Whether an invariant was found broken: nothing happens any more, also not to clients that are dropped in the panic.
    broken: AtomicBool,
    settings: Settings,
    /// What brokers tell clients, and who looks at it and at them after every event.
    witness: Option<Arc<Witness>>,
    checker: Option<Mutex<Checker>>,
    hosts: Mutex<BTreeMap<BrokerId, Host>>,
}

/// What all brokers are started with.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) seed: u64,
    pub(super) brokers: u16,
    pub(super) timing: Timing,
    /// (`replica.lag.time.max.ms`)
    pub(super) max_lag: Duration,
    pub(super) topic_defaults: TopicConfig,
    pub(super) check_invariants: bool,
    /// (`offsets.topic.num.partitions`)
    pub(super) offsets_partitions: i32,
    /// (`metadata.log.max.record.bytes.between.snapshots`)
    pub(super) bytes_between_snapshots: u64,
}

/// A machine.
#[derive(Debug)]
struct Host {
    disk: SimDisk,
    /// `None`: no process runs.
    running: Option<Box<Running>>,
    /// What arrived while the process was paused.
    paused: Option<Vec<Event>>,
    /// Whether it is so because its disk is slow.
    waits: bool,
    incarnations: u64,
    was_closed: bool,
    wake_at: Instant,
}

impl Host {
    /// Whether its process runs, and is not paused.
    fn is_at_work(&self) -> bool {
        self.running.is_some() && (self.paused.is_none() || self.waits)
    }

    /// Whether its disk has lost power under the process that runs.
    fn has_lost_power(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.boot() != self.disk.power_cuts())
    }
}

impl World {
    pub(super) fn new(clock: Clock, settings: Settings) -> Arc<Self> {
        let prng = Prng::new(settings.seed);
        let host = |id: u16| {
            let disk = SimDisk::new(prng.fork(&format!("disk {id}")).next_u64());
            let (wake_at, was_closed, waits) = (Instant::MAX, false, false);
            let paused = None;
            (
                BrokerId::from(i32::from(id)),
                Host { disk, running: None, paused, waits, incarnations: 0, was_closed, wake_at },
            )
        };
        let hosts: BTreeMap<BrokerId, Host> = (1..=settings.brokers).map(host).collect();
        let disks = hosts.iter().map(|(id, host)| (*id, host.disk.clone())).collect();
        let network = super::network::Network::new(prng.fork("network"));
        let post = Post::new(clock, network, disks);
        let witness = settings.check_invariants.then(Arc::<Witness>::default);
        let checker = witness.as_ref().map(|witness| Mutex::new(Checker::new(Arc::clone(witness))));
        Arc::new(Self {
            post,
            trace: Arc::default(),
            rules: Arc::default(),
            closed: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            settings,
            witness,
            checker,
            hosts: Mutex::new(hosts),
        })
    }

    pub(super) fn ids(&self) -> Vec<BrokerId> {
        self.hosts.lock().keys().copied().collect()
    }

    fn now(&self) -> Instant {
        self.post.clock().now()
    }

    pub(super) fn log(&self, what: impl Display) {
        self.trace.add(self.now(), what);
    }

    /// Refuses what comes after the end.
    pub(super) fn check_open(&self) -> Result<()> {
        let ended = self.closed.load(Ordering::Acquire) || self.broken.load(Ordering::Acquire);
        if ended { Err(Error::Closed) } else { Ok(()) }
    }

    fn host(&self, id: BrokerId) -> Result<HostGuard<'_>> {
        let hosts = self.hosts.lock();
        if hosts.contains_key(&id) {
            Ok(HostGuard { hosts, id })
        } else {
            Err(Error::IllegalState(format!("there is no broker {id}")))
        }
    }

    /// Starts a broker's process, on what its disk holds.
    pub(super) fn start(&self, id: BrokerId) -> Result<()> {
        self.check_open()?;
        let mut host = self.host(id)?;
        let host = host.get()?;
        if host.running.is_some() {
            return Ok(());
        }
        host.incarnations += 1;
        let started = self.process(id, host)?;
        (host.running, host.was_closed, host.wake_at) = (Some(Box::new(started)), false, Instant::MAX);
        self.log(format_args!("broker {id} starts"));
        self.settle(id, host);
        Ok(())
    }

    fn process(&self, id: BrokerId, host: &Host) -> Result<Running> {
        let clock = self.post.clock();
        let (storage, dir) = (host.disk.boot_at(clock), PathBuf::from("data"));
        let prng = Prng::new(self.settings.seed).fork(&format!("broker {id} {}", host.incarnations));
        let (node, _) = Node::open(NodeConfig {
            id,
            dir: dir.clone(),
            storage: Arc::clone(&storage),
            clock: clock.clone(),
            prng: prng.fork("node"),
            topic_defaults: self.settings.topic_defaults.clone(),
            retention_check_interval: Duration::from_secs(300),
            group_limits: Limits::default(),
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            salvage: false,
            replication: Some(Replication::new(self.settings.max_lag, self.settings.offsets_partitions)),
            on_progress: OnProgress::default(),
        })?;
        let ids = (1..=self.settings.brokers).map(|id| BrokerId::from(i32::from(id)));
        Running::start(Start {
            id,
            incarnation: host.incarnations,
            voters: ids.collect(),
            post: Arc::clone(&self.post),
            trace: Arc::clone(&self.trace),
            timing: self.settings.timing,
            bytes_between_snapshots: self.settings.bytes_between_snapshots,
            prng,
            storage,
            dir,
            boot: host.disk.power_cuts(),
            node,
            was_closed: host.was_closed,
            witness: self.witness.clone(),
        })
    }

    /// Ends a process as `kill -9` does: what it has written is on its machine, and connections break.
    pub(super) fn kill(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        self.end(id, host.get()?);
        self.trace.hit(Mark::Killed);
        self.log(format_args!("broker {id} is killed"));
        Ok(())
    }

    /// Cuts the power of a machine: what was not flushed may be lost.
    pub(super) fn power_cut(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        let host = host.get()?;
        self.end(id, host);
        host.disk.power_cut();
        self.trace.hit(Mark::PowerCut);
        self.lost_power(id);
        self.log(format_args!("broker {id} loses power"));
        Ok(())
    }

    /// Has a process prepare its end. `false`: there is nobody to hand over to, or it cannot ask.
    pub(super) fn begin_stop(&self, id: BrokerId) -> Result<bool> {
        let mut host = self.host(id)?;
        let voters = host.hosts.len();
        let at_work = host.hosts.values().filter(|host| host.is_at_work()).count();
        let now = self.now();
        let host = host.get()?;
        if at_work <= voters / 2 || !host.is_at_work() {
            return Ok(false);
        }
        self.log(format_args!("broker {id} shuts down"));
        host.running.iter_mut().for_each(|running| running.want_shutdown(now));
        self.settle(id, host);
        Ok(true)
    }

    /// Whether a process that prepares its end is ready for it, or does not get there any more.
    pub(super) fn may_stop(&self, id: BrokerId) -> bool {
        let hosts = self.hosts.lock();
        let running = hosts.get(&id).filter(|host| host.paused.is_none() || host.waits);
        running.and_then(|host| host.running.as_ref()).is_none_or(|running| running.may_shut_down())
    }

    /// Ends a process in order.
    pub(super) fn stop(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        let host = host.get()?;
        let closed = host.running.as_ref().map_or(Ok(()), |running| running.close());
        let kept = host.running.as_ref().is_some_and(|running| running.has_kept_all());
        host.was_closed = closed.is_ok() && kept;
        self.end(id, host);
        self.trace.hit(Mark::Stopped);
        self.log(format_args!("broker {id} stops"));
        closed
    }

    fn end(&self, id: BrokerId, host: &mut Host) {
        if host.has_lost_power() {
            self.lost_power(id);
        }
        (host.paused, host.waits) = (None, false);
        host.disk.take_delay();
        if let Some(mut running) = host.running.take() {
            for connection in running.take_connections().into_iter().filter(|connection| connection.is_open())
            {
                connection.fail(&self.post, id, self.check_open().err().unwrap_or(Error::NetworkException));
            }
        }
    }

    pub(super) fn pause(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        let host = host.get()?;
        host.paused.get_or_insert_default();
        host.waits = false;
        self.trace.hit(Mark::Paused);
        self.log(format_args!("broker {id} is paused"));
        Ok(())
    }

    pub(super) fn resume(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        self.log(format_args!("broker {id} goes on"));
        let host = host.get()?;
        self.go_on(id, host);
        Ok(())
    }

    /// Has a process take what it has missed.
    fn go_on(&self, id: BrokerId, host: &mut Host) {
        host.waits = false;
        let now = self.now();
        for event in host.paused.take().unwrap_or_default() {
            self.post.push(now, event);
        }
        self.settle(id, host);
    }

    /// A process that waits for its disk does nothing else.
    fn wait_for_disk(&self, id: BrokerId, host: &mut Host) {
        let delay = host.disk.take_delay();
        let Some(running) = host.running.as_ref().filter(|_| delay > Duration::ZERO && host.paused.is_none())
        else {
            return;
        };
        let incarnation = running.incarnation();
        (host.paused, host.waits) = (Some(Vec::new()), true);
        self.post.push(self.now().plus(delay), Event::Waited { broker: id, incarnation });
    }

    /// The disk has done what a process has waited for.
    fn waited(&self, id: BrokerId, incarnation: u64) {
        let mut hosts = self.hosts.lock();
        let Some(host) = hosts.get_mut(&id).filter(|host| host.waits) else { return };
        if host.running.as_ref().is_some_and(|running| running.incarnation() == incarnation) {
            self.go_on(id, host);
        }
    }

    pub(super) fn disk(&self, id: BrokerId) -> Result<SimDisk> {
        Ok(self.host(id)?.get()?.disk.clone())
    }

    pub(super) fn is_running(&self, id: BrokerId) -> Result<bool> {
        Ok(self.host(id)?.get()?.running.is_some())
    }

    /// Asks each running broker something, in order of their ids.
    pub(super) fn survey<T>(&self, mut ask: impl FnMut(BrokerId, &Running) -> T) -> Vec<T> {
        let hosts = self.hosts.lock();
        hosts.iter().filter_map(|(id, host)| Some(ask(*id, host.running.as_deref()?))).collect()
    }

    /// Ends all processes in order; the first error.
    pub(super) fn close(&self) -> Result<()> {
        let mut first_error = None;
        self.closed.store(true, Ordering::Release);
        for id in self.ids() {
            if let Err(error) = self.stop(id) {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Carries out one event.
    fn carry_out(&self, event: Event) {
        match event {
            Event::Answered(arrive) => arrive(),
            Event::Task(task) => {
                let next = task.upgrade().and_then(|due| due.due(self.now()));
                if let Some(next) = next {
                    self.post.push(next, Event::Task(task));
                }
            }
            Event::Message { to, .. }
            | Event::LateMessage { to, .. }
            | Event::Asked { to, .. }
            | Event::Late { to, .. } => self.deliver(to, event),
            Event::Waited { broker, incarnation } => self.waited(broker, incarnation),
            Event::Wake { broker, .. } => self.deliver(broker, event),
        }
    }

    /// Has a broker take what arrives at it.
    fn deliver(&self, to: BrokerId, event: Event) {
        let mut hosts = self.hosts.lock();
        let Some(host) = hosts.get_mut(&to) else { return };
        if let Some(missed) = &mut host.paused {
            missed.push(event);
            return;
        }
        let Some(running) = &mut host.running else {
            if let Event::Asked { request, .. } | Event::Late { request, .. } = event {
                request.connection().fail(&self.post, to, Error::BrokerNotAvailable);
            }
            return;
        };
        let taken = match event {
            Event::Message { from, message, .. } => self.receive((from, to), running, message),
            Event::LateMessage { from, message, .. } => running.receive(from, message),
            Event::Asked { request, .. } => {
                self.asked(to, running, request);
                Ok(())
            }
            Event::Late { request, .. } => {
                running.asked(request);
                Ok(())
            }
            Event::Wake { incarnation, .. } if incarnation != running.incarnation() => return,
            _ => {
                host.wake_at = Instant::MAX;
                Ok(())
            }
        };
        match taken {
            Ok(()) => self.settle(to, host),
            Err(error) => self.crash(to, host, &error),
        }
    }

    /// A broker's message arrives, unless it was to fare otherwise.
    fn receive(
        &self,
        (from, at): (BrokerId, BrokerId),
        running: &mut Running,
        message: Message,
    ) -> Result<()> {
        let name = |id| running.image().topic_by_id(id).map(|topic| topic.name.to_string());
        let Some((key, fate)) = intercept::fate_of_message(&self.rules, at, &message, name) else {
            return running.receive(from, message);
        };
        match fate {
            Fate::Fail(error) => {
                self.log(format_args!("broker {at} refuses {key:?} of broker {from}: {error}"));
                message.refusal(error).into_iter().for_each(|answer| self.post.send(at, from, &answer));
            }
            Fate::LoseRequest => {
                self.log(format_args!("{key:?} of broker {from} does not reach broker {at}"));
            }
            Fate::LoseAnswer => {
                self.log(format_args!("broker {at}'s answer to {key:?} of broker {from} is lost"));
                return running.receive(from, message.without_answer());
            }
            Fate::Delay(by) => {
                self.log(format_args!("{key:?} of broker {from} reaches broker {at} {by:?} later"));
                self.post.push(self.now().plus(by), Event::LateMessage { from, to: at, message });
            }
        }
        Ok(())
    }

    /// A client's request arrives, unless it was to fare otherwise.
    fn asked(&self, at: BrokerId, running: &mut Running, request: ClientRequest) {
        let name = |id| running.image().topic_by_id(id).map(|topic| topic.name.to_string());
        let Some((key, fate)) = intercept::fate(&self.rules, at, &request, name) else {
            return running.asked(request);
        };
        let break_off = |request: ClientRequest, error| request.connection().fail(&self.post, at, error);
        match fate {
            Fate::Fail(error) => {
                self.log(format_args!("broker {at} refuses {key:?}: {error}"));
                break_off(request, error);
            }
            Fate::LoseRequest => {
                self.log(format_args!("{key:?} does not reach broker {at}"));
                break_off(request, Error::NetworkException);
            }
            Fate::LoseAnswer => {
                self.log(format_args!("broker {at}'s answer to {key:?} is lost"));
                running.asked(request.without_answer(&self.post, at));
            }
            Fate::Delay(by) => {
                self.log(format_args!("{key:?} reaches broker {at} {by:?} later"));
                self.post.push(self.now().plus(by), Event::Late { to: at, request });
            }
        }
    }

    /// Has a broker do all that is due, and sees to it that it is woken when something is again.
    fn settle(&self, id: BrokerId, host: &mut Host) {
        let now = self.now();
        let Some(running) = &mut host.running else { return };
        let settled = running.settle(now);
        let incarnation = running.incarnation();
        match settled {
            Ok(next) if next < host.wake_at => {
                host.wake_at = next;
                self.post.push(next.max(now), Event::Wake { broker: id, incarnation });
            }
            Ok(_) => {}
            Err(error) => return self.crash(id, host, &error),
        }
        self.look(id, host);
        // A machine without power does nothing more, whether it would have touched its disk or not.
        if host.has_lost_power() {
            return self.crash(id, host, &"its machine has lost power");
        }
        self.wait_for_disk(id, host);
    }

    /// A broker ends whose disk refuses something, or whose machine is without power.
    fn crash(&self, id: BrokerId, host: &mut Host, why: &dyn Display) {
        let cut = host.has_lost_power();
        self.end(id, host);
        self.log(format_args!("broker {id} ends: {why}"));
        if !cut {
            self.trace.hit(Mark::DiskFailed);
            return;
        }
        self.trace.hit(Mark::CrashInOperation);
        let last = host.disk.operations().pop();
        last.as_ref().and_then(crashed_in).into_iter().for_each(|mark| self.trace.hit(mark));
    }

    fn lost_power(&self, id: BrokerId) {
        if let Some(checker) = &self.checker {
            checker.lock().lost_power(id);
        }
    }

    /// Has the checker look at a broker that something has happened to.
    ///
    /// # Panics
    /// If an invariant does not hold: that is a bug of brooklet's.
    fn look(&self, id: BrokerId, host: &Host) {
        let (Some(checker), Some(running)) = (&self.checker, &host.running) else { return };
        let mut checker = checker.lock();
        if self.broken.load(Ordering::Acquire) {
            return;
        }
        if let Err(broken) = checker.look(id, running) {
            self.broken.store(true, Ordering::Release);
            let (seed, story) = (self.settings.seed, self.trace.snapshot());
            let Broken { invariant, what } = broken;
            panic!(
                "an invariant is broken, {invariant}: {what}\nthe cluster's seed is {seed}; what happened:\n{story}"
            );
        }
        checker.take_marks().into_iter().for_each(|mark| self.trace.hit(mark));
    }

    pub(super) fn ask(&self, to: BrokerId, request: ClientRequest) {
        self.post.ask(to, request);
    }

    /// Brokers between which nothing is to pass.
    pub(super) fn partition(&self, one: &BTreeSet<BrokerId>, other: &BTreeSet<BrokerId>) -> Result<()> {
        one.iter().chain(other).try_for_each(|id| self.host(*id).map(drop))?;
        self.post.network(|network| {
            for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
                network.block(a, b);
                network.block(b, a);
            }
        });
        self.log(format_args!("nothing passes between {one:?} and {other:?}"));
        Ok(())
    }

    /// Two brokers, from the first of which nothing is to reach the other.
    pub(super) fn block(&self, from: BrokerId, to: BrokerId) -> Result<()> {
        [from, to].into_iter().try_for_each(|id| self.host(id).map(drop))?;
        self.post.network(|network| network.block(from, to));
        self.log(format_args!("nothing passes from broker {from} to broker {to}"));
        Ok(())
    }

    pub(super) fn isolate(&self, broker: BrokerId) -> Result<()> {
        self.host(broker).map(drop)?;
        self.post.network(|network| network.isolate(broker));
        self.log(format_args!("broker {broker} is isolated"));
        Ok(())
    }
}

/// What a disk was doing as its power went, from its last operation.
fn crashed_in(last: &DiskOperation) -> Option<Mark> {
    let path = last.path.to_string_lossy();
    let of_segment = [".log", ".index", ".timeindex"].iter().any(|kind| path.ends_with(kind));
    match last.op {
        _ if path.contains("checkpoint") => Some(Mark::CrashInCheckpoint),
        DiskOp::Open | DiskOp::SetLen | DiskOp::Reserve if of_segment => Some(Mark::CrashInRoll),
        _ => None,
    }
}

/// A host, behind the lock of all of them.
struct HostGuard<'w> {
    hosts: MutexGuard<'w, BTreeMap<BrokerId, Host>>,
    id: BrokerId,
}

impl HostGuard<'_> {
    fn get(&mut self) -> Result<&mut Host> {
        self.hosts.get_mut(&self.id).ok_or(Error::Closed)
    }
}

impl Driver for World {
    fn next_timer(&self) -> Option<Instant> {
        self.post.next()
    }

    fn fire(&self, now: Instant) {
        while let Some(event) = self.post.pop(now) {
            if !self.broken.load(Ordering::Acquire) {
                self.carry_out(event);
            }
        }
    }
}
