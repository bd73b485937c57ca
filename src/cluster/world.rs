//! All brokers of a cluster, their disks and their network, in one virtual time. What happens next is taken out of the post, one
//! thing at a time, and carried out under one lock.
//!
//! # Lock order
//! `hosts`, then the checker, then whatever a node locks, then the post or the trace: leaves, nothing is taken below them. Clients are called with
//! none of these held.

mod arrivals;
mod fleet;

use super::{
    ApiKey,
    host::{Running, Start, Timing},
    invariants::{Broken, Checker},
    machine::{Machine, Site},
    marks::Mark,
    post::{ClientRequest, Connection, Event, Post},
    trace::{Fact, Trace},
    witness::Witness,
};
use crate::{
    config::TopicConfig,
    env::{Clock, DiskOp, DiskOperation, Driver, Rules, SimDisk},
    error::{Error, Result},
    group::Limits,
    node::{Node, NodeConfig, OnProgress, Replication},
    prng::Prng,
    sync::{AtomicBool, AtomicI64, AtomicU64, Mutex, MutexGuard, Ordering},
    types::{BrokerId, Instant},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::Arc,
    time::Duration,
};

/// The most brokers that a cluster may have.
pub(super) const MAX_BROKERS: u16 = 100;

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
    /// How many bytes a second a broker may copy of partitions that are on their way to it.
    throttle: Arc<AtomicU64>,
    /// What brokers tell clients, and who looks at it and at them after every event.
    witness: Option<Arc<Witness>>,
    checker: Option<Mutex<Checker>>,
    hosts: Mutex<BTreeMap<BrokerId, Host>>,
    site: Site,
    /// The highest that a broker ever had.
    last_id: AtomicI64,
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
    machine: Machine,
    /// `None`: no process runs.
    running: Option<Box<Running>>,
    /// What arrived while the process was paused.
    paused: Option<Vec<Event>>,
    /// Whether it is so because its disk is slow.
    waits: bool,
    incarnations: u64,
    /// How far its calendar is ahead of the cluster's, in milliseconds.
    skew: Arc<AtomicI64>,
    wake_at: Instant,
}

impl Host {
    /// Whether its process runs, and is not paused.
    fn is_at_work(&self) -> bool {
        self.running.is_some() && (self.paused.is_none() || self.waits)
    }

    /// Whether its disk has lost power under the process that runs.
    fn has_lost_power(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.boot() != self.machine.boot())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Whoever moves the time by the wall clock finds that there is nothing more to do.
        self.post.ring();
    }
}

impl World {
    pub(super) fn new(clock: Clock, settings: Settings, site: Site) -> Arc<Self> {
        let network = super::network::Network::new(Prng::new(settings.seed).fork("network"));
        let post = Post::new(clock, network);
        let witness = settings.check_invariants.then(Arc::<Witness>::default);
        let checker = witness.as_ref().map(|witness| Mutex::new(Checker::new(Arc::clone(witness))));
        let world = Self {
            post,
            trace: Arc::new(Trace::new(settings.seed)),
            rules: Arc::default(),
            closed: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            settings,
            throttle: Arc::new(AtomicU64::new(u64::MAX)),
            witness,
            checker,
            hosts: Mutex::default(),
            last_id: AtomicI64::new(site.last_id().get().into()),
            site,
        };
        let machines = world.site.machines().clone();
        machines.into_iter().for_each(|(id, machine)| world.add_host(id, machine));
        Arc::new(world)
    }

    pub(super) fn ids(&self) -> Vec<BrokerId> {
        self.hosts.lock().keys().copied().collect()
    }

    fn now(&self) -> Instant {
        self.post.clock().now()
    }

    pub(super) fn log(&self, fact: Fact) {
        self.trace.add(self.now(), fact);
    }

    /// Refuses what comes after the end.
    pub(super) fn check_open(&self) -> Result<()> {
        let ended = self.closed.load(Ordering::Acquire) || self.is_broken();
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
        // Who came later asks those who vote now for the log.
        let first = self.first_voters();
        let voters = if first.contains(&id) { first } else { self.voters_among(&host.hosts) };
        let host = host.get()?;
        if host.running.is_some() {
            return Ok(());
        }
        host.incarnations += 1;
        let started = self.process(id, host, voters)?;
        (host.running, host.wake_at) = (Some(Box::new(started)), Instant::MAX);
        self.log(Fact::Started(id));
        self.settle(id, host);
        Ok(())
    }

    fn process(&self, id: BrokerId, host: &Host, voters: BTreeSet<BrokerId>) -> Result<Running> {
        let clock = self.post.clock();
        let (storage, dir) = host.machine.storage(clock);
        let prng = Prng::new(self.settings.seed).fork(&format!("broker {id} {}", host.incarnations));
        let (node, _) = Node::open(NodeConfig {
            id,
            dir: dir.clone(),
            storage: Arc::clone(&storage),
            clock: clock.clone(),
            skew: Arc::clone(&host.skew),
            prng: prng.fork("node"),
            topic_defaults: self.settings.topic_defaults.clone(),
            retention_check_interval: Duration::from_secs(300),
            group_limits: Limits::default(),
            offsets_retention: Duration::from_secs(7 * 24 * 3600),
            salvage: false,
            replication: Some(Replication::new(self.settings.max_lag, self.settings.offsets_partitions)),
            on_progress: OnProgress::default(),
        })?;
        Running::start(Start {
            id,
            incarnation: host.incarnations,
            voters,
            post: Arc::clone(&self.post),
            trace: Arc::clone(&self.trace),
            timing: self.settings.timing,
            bytes_between_snapshots: self.settings.bytes_between_snapshots,
            prng,
            storage,
            dir,
            boot: host.machine.boot(),
            node,
            throttle: Arc::clone(&self.throttle),
            witness: self.witness.clone(),
        })
    }

    /// Ends a process as `kill -9` does: what it has written is on its machine, and connections break.
    pub(super) fn kill(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        self.end(id, host.get()?);
        self.trace.hit(Mark::Killed);
        self.log(Fact::Killed(id));
        Ok(())
    }

    /// Cuts the power of a machine: what was not flushed may be lost.
    pub(super) fn power_cut(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        let host = host.get()?;
        let disk = host.machine.simulated()?.clone();
        self.end(id, host);
        disk.power_cut();
        self.trace.hit(Mark::PowerCut);
        self.lost_power(id);
        self.log(Fact::LostPower(id));
        Ok(())
    }

    /// Has a process prepare its end. `false`: there is nobody to hand over to, or it cannot ask.
    pub(super) fn begin_stop(&self, id: BrokerId) -> Result<bool> {
        let mut host = self.host(id)?;
        let voters = self.voters_among(&host.hosts);
        let at_work =
            voters.iter().filter_map(|id| host.hosts.get(id)).filter(|host| host.is_at_work()).count();
        let now = self.now();
        let host = host.get()?;
        if at_work <= voters.len() / 2 || !host.is_at_work() {
            return Ok(false);
        }
        self.log(Fact::ShutsDown(id));
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
        self.end(id, host);
        self.trace.hit(Mark::Stopped);
        self.log(Fact::Stopped(id));
        closed
    }

    fn end(&self, id: BrokerId, host: &mut Host) {
        if host.has_lost_power() {
            self.lost_power(id);
        }
        (host.paused, host.waits) = (None, false);
        host.machine.take_delay();
        if let Some(mut running) = host.running.take() {
            running.node.halt();
            self.break_connections(id, &mut running);
        }
    }

    /// Tells whoever waits for a broker's answer that there will be none.
    fn break_connections(&self, id: BrokerId, running: &mut Running) {
        for connection in running.take_connections().into_iter().filter(Connection::is_open) {
            connection.fail(&self.post, id, self.check_open().err().unwrap_or(Error::NetworkException));
        }
    }

    pub(super) fn pause(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        let host = host.get()?;
        host.paused.get_or_insert_default();
        host.waits = false;
        self.trace.hit(Mark::Paused);
        self.log(Fact::Paused(id));
        Ok(())
    }

    pub(super) fn resume(&self, id: BrokerId) -> Result<()> {
        let mut host = self.host(id)?;
        self.log(Fact::WentOn(id));
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
        let delay = host.machine.take_delay();
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
        self.host(id)?.get()?.machine.simulated().cloned()
    }

    pub(super) fn is_running(&self, id: BrokerId) -> Result<bool> {
        Ok(self.host(id)?.get()?.running.is_some())
    }

    /// Asks each running broker something, in order of their ids.
    pub(super) fn survey<T>(&self, mut ask: impl FnMut(BrokerId, &Running) -> T) -> Vec<T> {
        let hosts = self.hosts.lock();
        hosts.iter().filter_map(|(id, host)| Some(ask(*id, host.running.as_deref()?))).collect()
    }

    /// Asks the broker that has applied the most of the metadata; `None`: none runs.
    pub(super) fn ask_newest<T>(&self, ask: impl FnOnce(&Running) -> T) -> Option<T> {
        newest(&self.hosts.lock()).map(ask)
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
        self.site.release();
        first_error.map_or(Ok(()), Err)
    }

    /// Nobody has the cluster any more. What is on real files is left as if this process had been killed, for whoever comes next.
    pub(super) fn abandon(&self) {
        if self.site.is_real() && !self.closed.swap(true, Ordering::AcqRel) {
            self.hosts.lock().iter_mut().for_each(|(id, host)| self.end(*id, host));
            self.site.release();
        }
    }

    /// What the drawing of random numbers is to be told apart by, beside the seed: how often the cluster was started before.
    pub(super) fn starts_before(&self) -> u64 {
        self.site.starts_before()
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

    /// Where something has panicked nothing goes on, but clients are told.
    fn refuse(&self, event: Event) {
        match event {
            Event::Answered(_) | Event::Task(_) => self.carry_out(event),
            Event::Asked { to, request } | Event::Late { to, request } => {
                request.connection().fail(&self.post, to, Error::Closed);
            }
            Event::Message { .. } | Event::LateMessage { .. } | Event::Waited { .. } | Event::Wake { .. } => {
            }
        }
    }

    /// Something has panicked, in the thread that moves the time.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::Release);
        for (id, host) in self.hosts.lock().iter_mut() {
            host.running.iter_mut().for_each(|running| self.break_connections(*id, running));
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
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
        // What it has answered in its last event nobody holds against its copies any more: they are not looked at, and another's do not
        // tell yet.
        self.witness.iter().for_each(|witness| drop(witness.take()));
        self.end(id, host);
        self.log(Fact::Ended { broker: id, why: why.to_string() });
        if !cut {
            self.trace.hit(Mark::DiskFailed);
            return;
        }
        self.trace.hit(Mark::CrashInOperation);
        let last = host.machine.last_operation();
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
        if self.is_broken() {
            return;
        }
        if let Err(broken) = checker.look(id, running) {
            self.broken.store(true, Ordering::Release);
            let Broken { invariant, what } = broken;
            self.log(Fact::Broken { invariant: invariant.to_owned(), what: what.clone() });
            let (seed, story) = (self.settings.seed, self.trace.snapshot());
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
        let [one, other] = [one, other].map(|side| side.iter().copied().collect());
        self.log(Fact::Split { one, other });
        Ok(())
    }

    /// Two brokers, from the first of which nothing is to reach the other.
    pub(super) fn block(&self, from: BrokerId, to: BrokerId) -> Result<()> {
        [from, to].into_iter().try_for_each(|id| self.host(id).map(drop))?;
        self.post.network(|network| network.block(from, to));
        self.log(Fact::Blocked { from, to });
        Ok(())
    }

    pub(super) fn isolate(&self, broker: BrokerId) -> Result<()> {
        self.host(broker).map(drop)?;
        self.post.network(|network| network.isolate(broker));
        self.log(Fact::Isolated(broker));
        Ok(())
    }
}

/// What a disk was doing as its power went, from its last operation.
fn crashed_in(last: &DiskOperation) -> Option<Mark> {
    let name = last.path.file_name()?.to_string_lossy();
    let (base, kind) = name.split_once('.')?;
    let is_behind_another =
        ["log", "index", "timeindex"].contains(&kind) && base.parse::<i64>().is_ok_and(|base| base > 0);
    match last.op {
        _ if base.ends_with("checkpoint") && kind == "tmp" => Some(Mark::CrashInCheckpoint),
        DiskOp::Open | DiskOp::SetLen | DiskOp::Reserve if is_behind_another => Some(Mark::CrashInRoll),
        _ => None,
    }
}

fn newest(hosts: &BTreeMap<BrokerId, Host>) -> Option<&Running> {
    let running = hosts.values().filter_map(|host| host.running.as_deref());
    running.max_by_key(|running| running.applied())
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
            if self.is_broken() {
                self.refuse(event);
            } else {
                self.carry_out(event);
            }
        }
    }
}
