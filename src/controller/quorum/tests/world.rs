//! Members with disks, and a network between them, in simulated time.

use super::{super::*, checker::Checker};
use crate::{rpc::metadata_record::MetadataRecord, types::TopicId};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    hash::{DefaultHasher, Hash},
};

pub(super) type Marks = BTreeMap<&'static str, u32>;

pub(super) fn id(n: i32) -> BrokerId {
    BrokerId::from(n)
}

/// An entry on a disk.
pub(super) fn at(disk: &Restored, index: Index) -> Option<&Entry> {
    disk.log.get(usize::try_from(index.0.checked_sub(disk.base.index.0 + 1)?).unwrap())
}

pub(super) fn last(disk: &Restored) -> Position {
    disk.log.last().map_or(disk.base, Entry::position)
}

/// Whether the disk has to have done it before anything else is done.
fn is_durable(effect: &Effect) -> bool {
    !matches!(
        effect,
        Effect::Send { .. } | Effect::Committed { .. } | Effect::Elected { .. } | Effect::Resigned
    )
}

/// One member: what it is while it runs, and what of it lasts.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: BrokerId,
    pub(super) quorum: Option<Quorum>,
    pub(super) disk: Restored,
    /// What it has applied of the log, in memory, and what that has come to: all records.
    pub(super) applied: Index,
    pub(super) state: Vec<MetadataRecord>,
    /// Effects that are not carried out yet.
    queue: VecDeque<Effect>,
    /// The disk is at work until then.
    busy_until: Instant,
    pub(super) paused_until: Instant,
    /// How many entries were committed when it started, that it lacked.
    lacked: u64,
    starts: u64,
}

#[derive(Debug)]
pub(super) enum What {
    Deliver { from: BrokerId, to: BrokerId, message: Message, again: bool },
    Wake(BrokerId),
    Chaos,
}

/// How bad things are, each in thousandths.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Harm {
    pub(super) loss: u64,
    pub(super) twice: u64,
    pub(super) slow_message: u64,
    pub(super) slow_disk: u64,
}

pub(super) struct World {
    pub(super) prng: Prng,
    pub(super) now: Instant,
    pub(super) voters: Vec<BrokerId>,
    pub(super) members: BTreeMap<BrokerId, Member>,
    pub(super) observers: Vec<BrokerId>,
    /// From whom to whom nothing gets.
    pub(super) cut: BTreeMap<(BrokerId, BrokerId), ()>,
    pub(super) harm: Harm,
    config: QuorumConfig,
    pub(super) checker: Checker,
    pub(super) marks: Marks,
    pub(super) trace: DefaultHasher,
    pub(super) proposed: u64,
    plan: BTreeMap<(Instant, u64), What>,
    planned: u64,
}

impl World {
    pub(super) fn new(mut prng: Prng, voters: i32, observers: i32) -> Self {
        let config = QuorumConfig {
            election_timeout: Duration::from_millis(100),
            heartbeat_interval: Duration::from_millis(25),
            max_entries: 1 + prng.below(3) as usize,
        };
        let member = |n: i32| Member {
            id: id(n),
            quorum: None,
            disk: Restored::default(),
            applied: Index::default(),
            state: Vec::new(),
            queue: VecDeque::new(),
            busy_until: Instant::default(),
            paused_until: Instant::default(),
            lacked: 0,
            starts: 0,
        };
        let mut world = Self {
            prng,
            now: Instant::default(),
            voters: (1..=voters).map(id).collect(),
            members: (1..=voters + observers).map(|n| (id(n), member(n))).collect(),
            observers: Vec::new(),
            cut: BTreeMap::new(),
            harm: Harm::default(),
            config,
            checker: Checker::default(),
            marks: Marks::new(),
            trace: DefaultHasher::new(),
            proposed: 0,
            plan: BTreeMap::new(),
            planned: 0,
        };
        let members: Vec<BrokerId> = world.members.keys().copied().collect();
        members.iter().for_each(|id| world.start(*id));
        world
    }

    pub(super) fn mark(&mut self, what: &'static str) {
        *self.marks.entry(what).or_default() += 1;
        what.hash(&mut self.trace);
    }

    /// Whether something that has this chance in a thousand happens.
    pub(super) fn happens(&mut self, chance: u64) -> bool {
        self.prng.below(1000) < chance
    }

    pub(super) fn plan(&mut self, at: Instant, what: What) {
        self.planned += 1;
        self.plan.insert((at.max(self.now), self.planned), what);
    }

    pub(super) fn member(&mut self, id: BrokerId) -> &mut Member {
        self.members.get_mut(&id).unwrap()
    }

    /// Has a member run, from what its disk has.
    pub(super) fn start(&mut self, id: BrokerId) {
        let (voters, now, config) = (self.voters.clone(), self.now, self.config);
        let committed = self.checker.committed.len() as u64;
        let prng = self.prng.fork(&format!("{id}"));
        let observers = self.observers.clone();
        let member = self.member(id);
        member.starts += 1;
        if !member.disk.has_position() {
            (member.disk.base, member.disk.log) = (member.disk.snapshot.position, Vec::new());
        }
        member.lacked = committed.saturating_sub(last(&member.disk).index.0);
        member.applied = member.disk.snapshot.position.index;
        member.state = member.disk.snapshot.records.to_vec();
        let prng = prng.fork(&format!("{}", member.starts));
        let from_snapshot = member.applied > Index(0);
        member.quorum = Some(Quorum::new(id, voters, member.disk.clone(), config, prng, now));
        if from_snapshot {
            self.mark("started from a snapshot");
        }
        self.step(id, Event::SetObservers(observers));
    }

    /// Has a member take a snapshot of what it has applied, unless its disk is at work. Its process may end before the member is told.
    pub(super) fn snapshot(&mut self, id: BrokerId) {
        let (now, ends) = (self.now, self.happens(120));
        let member = self.member(id);
        let position = member.quorum.as_ref().and_then(|quorum| quorum.snapshot_at(member.applied));
        let Some(position) = position.filter(|_| member.busy_until <= now && member.paused_until <= now)
        else {
            return;
        };
        let snapshot = Snapshot { position, records: member.state.clone().into() };
        member.disk.snapshot = snapshot.clone();
        self.checker.snapshot(&snapshot);
        if ends {
            self.mark("crash before a snapshot was told");
            return self.crash(id);
        }
        self.mark("snapshot taken");
        self.step(id, Event::Snapshotted(snapshot));
    }

    /// Ends a member's process, with what is not carried out yet. An `Append` may be cut.
    pub(super) fn crash(&mut self, id: BrokerId) {
        let (keep, all) = (self.prng.below(4) as usize, self.prng.below(2) == 0);
        let member = self.member(id);
        if member.quorum.take().is_none() {
            return;
        }
        let first = member.queue.pop_front();
        member.queue.clear();
        member.busy_until = Instant::default();
        self.mark("crash");
        // What was begun may be done.
        if let Some(Effect::Append(entries)) = first {
            let kept = entries.get(..keep).unwrap_or(&entries).to_vec();
            if kept.len() < entries.len() {
                self.mark("append cut by a crash");
            }
            self.append(id, &kept);
            return;
        }
        if let Some(Effect::Install(snapshot)) = first.as_ref().filter(|_| !all) {
            self.member(id).disk.snapshot = snapshot.clone();
            self.mark("install cut by a crash");
        } else if let Some(durable) = first.filter(|first| all && is_durable(first)) {
            self.carry_out_one(id, durable);
        }
    }

    /// Goes on until then, or to the next chaos.
    pub(super) fn run_until(&mut self, until: Instant) -> Option<What> {
        while let Some(first) = self.plan.first_entry() {
            if first.key().0 > until {
                break;
            }
            let ((at, _), what) = first.remove_entry();
            self.now = at;
            match what {
                What::Chaos => return Some(What::Chaos),
                What::Wake(id) => self.wake(id),
                What::Deliver { from, to, message, again } => self.deliver(from, to, message, again),
            }
        }
        self.now = until;
        None
    }

    fn wake(&mut self, id: BrokerId) {
        let now = self.now;
        let member = self.member(id);
        if member.paused_until > now {
            let until = member.paused_until;
            return self.plan(until, What::Wake(id));
        }
        self.carry_out(id);
        let member = self.member(id);
        if member.quorum.as_ref().is_some_and(|quorum| quorum.next_deadline() <= now) {
            let effects = self.step(id, Event::Tick);
            if effects.contains(&Effect::Resigned) {
                self.mark("check-quorum resignation");
            }
        }
    }

    fn deliver(&mut self, from: BrokerId, to: BrokerId, message: Message, again: bool) {
        let paused_until = self.member(to).paused_until;
        if paused_until > self.now {
            return self.plan(paused_until, What::Deliver { from, to, message, again });
        }
        let Some(quorum) = &self.member(to).quorum else { return };
        let stale = message.term < quorum.term();
        let appends = matches!(message.body, Body::Append { .. });
        let whole = matches!(message.body, Body::Snapshot(_));
        let asks = appends || matches!(message.body, Body::Vote { .. } | Body::PreVote { .. });
        let effects = self.step(to, Event::Received { from, message });
        let answered = effects.iter().any(|effect| matches!(effect, Effect::Send { .. }));
        if stale && answered {
            self.mark(if appends { "stale append rejected" } else { "stale term rejected" });
        }
        if whole && answered && !stale && !effects.iter().any(|e| matches!(e, Effect::Install(_))) {
            self.mark("snapshot that was not needed");
        }
        if again && asks && answered {
            self.mark("duplicate answered");
        }
        let refused = Body::PreVoted { granted: false };
        if effects.iter().any(|e| matches!(e, Effect::Send { message, .. } if message.body == refused)) {
            self.mark("pre-vote refused");
        }
    }

    /// Steps a member, checks what comes of it, and carries it out as far as the disk is ready.
    pub(super) fn step(&mut self, id: BrokerId, event: Event) -> Vec<Effect> {
        let now = self.now;
        let member = self.members.get_mut(&id).unwrap();
        let Some(quorum) = &mut member.quorum else { return Vec::new() };
        let term = quorum.term();
        let before = quorum.commit();
        let (voters, votes) = (quorum.voters().clone(), quorum.votes());
        let ticked = matches!(event, Event::Tick);
        let effects = quorum.step(event, now);
        (id, quorum.term(), quorum.last(), quorum.commit(), now, effects.len()).hash(&mut self.trace);
        assert!(quorum.term() >= term && quorum.commit() >= before, "{id} goes back");
        assert!(!ticked || quorum.next_deadline() > now, "{id} has no rest");
        for effect in &effects {
            match effect {
                Effect::Elected { .. } => self.checker.completes(quorum),
                Effect::Truncate { from } => {
                    assert!(*from > before, "{id} truncates what is committed");
                    if *quorum.voters() != voters {
                        *self.marks.entry("change of voters taken back").or_default() += 1;
                    }
                    *self.marks.entry("conflict truncation").or_default() += 1;
                }
                Effect::Install(snapshot) => {
                    assert!(snapshot.position.index > before, "{id} installs what is committed");
                }
                Effect::Send { message: Message { body: Body::Voted { granted: true }, .. }, .. }
                    if !votes =>
                {
                    *self.marks.entry("vote of one that is no voter as far as it knows").or_default() += 1;
                }
                Effect::Resigned if !votes || !quorum.votes() => {
                    *self.marks.entry("leader that is no voter resigned").or_default() += 1;
                }
                _ => {}
            }
        }
        member.queue.extend(effects.iter().cloned());
        let deadline = quorum.next_deadline();
        self.plan(deadline, What::Wake(id));
        self.carry_out(id);
        effects
    }

    fn carry_out(&mut self, id: BrokerId) {
        while self.members[&id].busy_until <= self.now {
            let Some(effect) = self.member(id).queue.front().cloned() else { return };
            // It is begun: it will be there when the disk is ready, or a part of it after a crash. A snapshot is large.
            let times = if matches!(effect, Effect::Install(_)) { 6 } else { 1 };
            let begins = is_durable(&effect) && self.members[&id].busy_until < self.now;
            if begins && self.happens(self.harm.slow_disk * times) {
                let ready = self.now.plus(Duration::from_millis(1 + self.prng.below(80 * times)));
                self.member(id).busy_until = ready;
                self.mark("slow disk");
                return self.plan(ready, What::Wake(id));
            }
            self.member(id).queue.pop_front();
            self.carry_out_one(id, effect);
        }
    }

    fn carry_out_one(&mut self, id: BrokerId, effect: Effect) {
        match effect {
            Effect::Save { term, vote } => {
                let disk = &mut self.member(id).disk;
                (disk.term, disk.vote) = (term, vote);
            }
            Effect::Truncate { from } => {
                let disk = &mut self.member(id).disk;
                disk.log.truncate((from.0 - disk.base.index.0) as usize - 1);
            }
            Effect::Install(snapshot) => self.install(id, snapshot),
            Effect::Drop { up_to } => {
                let disk = &mut self.member(id).disk;
                let at = disk.log.iter().position(|entry| entry.position() == up_to).expect("it is there");
                disk.log.drain(..=at);
                disk.base = up_to;
                self.mark("log cut at its beginning");
            }
            Effect::Append(entries) => self.append(id, &entries),
            Effect::Send { to, message } => {
                match message.body {
                    Body::Vote { .. } => self.checker.voted(id, message.term, id),
                    Body::Voted { granted: true } => self.checker.voted(id, message.term, to),
                    _ => {}
                }
                self.send(id, to, message);
            }
            Effect::Committed { up_to } => self.committed(id, up_to),
            Effect::Elected { term, .. } => {
                self.checker.elected(id, term);
                self.mark("elected");
            }
            Effect::Resigned => {}
        }
    }

    fn append(&mut self, id: BrokerId, entries: &[Entry]) {
        let disk = &mut self.members.get_mut(&id).unwrap().disk;
        self.checker.appended(last(disk), entries);
        for entry in entries {
            assert_eq!(entry.index, last(disk).index.next(), "a gap on the disk of {id}");
            disk.log.push(entry.clone());
        }
    }

    fn install(&mut self, id: BrokerId, snapshot: Snapshot) {
        self.checker.snapshot(&snapshot);
        let is_voter = self.voters.contains(&id);
        let member = self.member(id);
        let had_more = last(&member.disk).index > member.applied;
        (member.applied, member.state) = (snapshot.position.index, snapshot.records.to_vec());
        (member.disk.base, member.disk.log) = (snapshot.position, Vec::new());
        member.disk.snapshot = snapshot;
        self.mark(if is_voter { "voter installed a snapshot" } else { "observer installed a snapshot" });
        if had_more {
            self.mark("snapshot in place of a log that was not committed");
        }
        self.caught_up(id);
    }

    fn committed(&mut self, id: BrokerId, up_to: Index) {
        let member = self.members.get_mut(&id).unwrap();
        while member.applied < up_to {
            member.applied = member.applied.next();
            let entry = at(&member.disk, member.applied).expect("what is committed is there");
            member.state.extend(entry.payload.iter().cloned());
        }
        let running = self.members.values().filter_map(|member| member.quorum.as_ref());
        let sets = running.flat_map(Quorum::recent_voters).collect();
        let term = self.members[&id].quorum.as_ref().unwrap().term();
        self.checker.committed(&self.members[&id].disk, up_to, term, (&sets, &self.members));
        self.caught_up(id);
    }

    fn caught_up(&mut self, id: BrokerId) {
        let all = self.checker.committed.len() as u64;
        let is_voter = self.voters.contains(&id);
        let member = self.member(id);
        if member.lacked > 0 && member.applied.0 == all {
            member.lacked = 0;
            self.mark(if is_voter { "restarted voter caught up" } else { "observer caught up" });
        }
    }

    fn send(&mut self, from: BrokerId, to: BrokerId, message: Message) {
        if self.cut.contains_key(&(from, to)) || self.happens(self.harm.loss) {
            return;
        }
        let times = if self.happens(self.harm.twice) { 2 } else { 1 };
        for again in 0..times {
            let most = if self.happens(self.harm.slow_message) { 400_000 } else { 4_000 };
            let delay = Duration::from_micros(200 + self.prng.below(most));
            let message = message.clone();
            self.plan(self.now.plus(delay), What::Deliver { from, to, message, again: again > 0 });
        }
    }

    /// Has whoever leads, or thinks so, have a member vote from now on that does not, or the other way round.
    pub(super) fn change_voters(&mut self, leader: BrokerId, member: BrokerId) {
        let Some(quorum) = &self.members[&leader].quorum else { return };
        let mut to: BTreeSet<BrokerId> = quorum.voters().clone();
        let comes = to.insert(member);
        if !comes {
            to.remove(&member);
        }
        self.mark(match (quorum.may_change_voters(&to), comes) {
            (false, _) => "change of voters refused",
            (true, true) => "voter added",
            (true, false) if leader == member => "leader removed itself",
            (true, false) => "voter removed",
        });
        self.step(leader, Event::ChangeVoters(to));
    }

    /// Whoever thinks that it leads is given something to replicate.
    pub(super) fn propose(&mut self, count: u64) -> u64 {
        let leads =
            |member: &&Member| member.quorum.as_ref().is_some_and(|quorum| quorum.role() == Role::Leader);
        let leaders: Vec<BrokerId> = self.members.values().filter(leads).map(|member| member.id).collect();
        if leaders.len() > 1 {
            self.mark("two leaders of different terms");
        }
        for leader in &leaders {
            let payload = |n: u64| {
                let id = TopicId::from_bytes(u128::from(n).to_be_bytes());
                Payload::from([MetadataRecord::RemoveTopic { id }])
            };
            let payloads = (0..count).map(|n| payload(self.proposed + n)).collect();
            self.proposed += count;
            self.step(*leader, Event::Propose(payloads));
        }
        leaders.len() as u64
    }
}
