//! Quorums that begin with one, three and five voters, with observers, under whatever a seed has happen: messages are lost, late,
//! twice and overtaken, networks part in one direction and in both, members crash with effects half carried out, come back with
//! what their disks have, stand still, have slow disks, take snapshots and drop what these have, and come to vote and cease to. After
//! each event: one leader in a term, logs that share an entry are the same before it, a leader has all that was committed, what was
//! committed is on a majority's disks and never changes, no vote is given twice, and a snapshot is what was committed up to it. In the
//! end, when nothing bad happens any more, there is one leader, all logs are the same, all agree on who votes, and what is proposed is
//! committed.
//!
//! 1,000 seeds run with the others; many more by `BROOKLET_SEEDS=100000 cargo test --release --lib quorum::tests::simulation`.

use super::{super::*, world::*};
use std::hash::Hasher;

/// What must come about in the seeds that are run by default, so that they say something.
const WANTED: [&str; 33] = [
    "append cut by a crash",
    "change of voters refused",
    "change of voters taken back",
    "check-quorum resignation",
    "conflict truncation",
    "crash",
    "crash before a snapshot was told",
    "duplicate answered",
    "elected",
    "install cut by a crash",
    "leader removed itself",
    "leader that is no voter resigned",
    "log cut at its beginning",
    "observer caught up",
    "observer installed a snapshot",
    "parted both ways",
    "parted one way",
    "paused",
    "pre-vote refused",
    "restarted voter caught up",
    "slow disk",
    "snapshot in place of a log that was not committed",
    "snapshot taken",
    "snapshot that was not needed",
    "stale append rejected",
    "stale term rejected",
    "started from a snapshot",
    "two leaders of different terms",
    "uncommitted entry of an earlier term taken over",
    "vote of one that is no voter as far as it knows",
    "voter added",
    "voter installed a snapshot",
    "voter removed",
];

/// Of chaos, in ms.
const SPAN: u64 = 6_000;
/// When nothing bad happens any more.
const PROPOSED_IN_PEACE: u64 = 10;

impl World {
    fn of(seed: u64) -> Self {
        let mut prng = Prng::new(seed).fork("quorum");
        let voters = [3, 3, 3, 5, 5, 1][prng.below(6) as usize];
        let observers = prng.below(3) as i32;
        let mut world = Self::new(prng, voters, observers);
        world.harm = Harm {
            loss: world.prng.below(4) * 40,
            twice: world.prng.below(3) * 50,
            slow_message: world.prng.below(5) * 80,
            slow_disk: world.prng.below(3) * 60,
        };
        world
    }

    fn any(&mut self) -> BrokerId {
        let n = self.prng.below(self.members.len() as u64) as usize;
        *self.members.keys().nth(n).unwrap()
    }

    fn any_voter(&mut self) -> BrokerId {
        let n = self.prng.below(self.voters.len() as u64) as usize;
        self.voters[n]
    }

    /// One of those that lead, or think so.
    fn any_leader(&mut self) -> Option<BrokerId> {
        let leads = |member: &&Member| member.quorum.as_ref().is_some_and(|q| q.role() == Role::Leader);
        let leaders: Vec<BrokerId> = self.members.values().filter(leads).map(|member| member.id).collect();
        leaders.get(self.prng.below(leaders.len() as u64) as usize).copied()
    }

    fn chaos(&mut self) {
        let leader = self.any_leader().filter(|_| self.happens(400));
        let member = leader.unwrap_or_else(|| self.any());
        match self.prng.below(100) {
            0..40 => {
                let count = 1 + self.prng.below(5);
                self.propose(count);
            }
            40..52 => self.snapshot(member),
            52..60 => {
                // A process ends and the next one begins at once.
                self.crash(member);
                self.start(member);
            }
            60..66 => self.crash(member),
            66..76 => {
                if self.members[&member].quorum.is_none() {
                    self.start(member);
                }
            }
            76..80 => {
                let span = Duration::from_millis(self.prng.below(400));
                let until = self.now.plus(span);
                self.member(member).paused_until = until;
                self.mark("paused");
            }
            80..86 => self.part(),
            86..92 => self.cut.clear(),
            92..95 => self.observe(),
            _ => {
                // One change, or two: the second one may be too early.
                for _ in 0..=self.prng.below(2) {
                    let (leader, member) = (self.any_leader(), self.any());
                    leader.into_iter().for_each(|leader| self.change_voters(leader, member));
                }
            }
        }
        self.note_leader();
    }

    /// One voter, or some, on one side.
    fn part(&mut self) {
        let both = self.happens(600);
        let all: Vec<BrokerId> = self.members.keys().copied().collect();
        let side: Vec<BrokerId> = if self.happens(500) {
            vec![self.any_voter()]
        } else {
            all.iter().copied().filter(|_| self.prng.below(2) == 0).collect()
        };
        let outward = self.happens(500);
        for (a, b) in side.iter().flat_map(|a| all.iter().map(move |b| (*a, *b))) {
            if !side.contains(&b) {
                let ways = [(a, b), (b, a)];
                let chosen = if both { &ways[..] } else { &ways[usize::from(outward)..][..1] };
                self.cut.extend(chosen.iter().map(|way| (*way, ())));
            }
        }
        self.mark(if both { "parted both ways" } else { "parted one way" });
    }

    /// Other observers, or all of them, get the log from now on; every member is told.
    fn observe(&mut self) {
        let all: Vec<BrokerId> = self.members.keys().copied().collect();
        self.observers = all.into_iter().filter(|_| self.prng.below(3) > 0).collect();
        self.tell_observers();
    }

    fn tell_observers(&mut self) {
        for member in self.members.keys().copied().collect::<Vec<_>>() {
            self.step(member, Event::SetObservers(self.observers.clone()));
        }
    }

    fn note_leader(&mut self) {
        let takes_over = |quorum: &Quorum| {
            let own = Some(quorum.term());
            let next = quorum.entry(quorum.commit().next()).map(|entry| entry.term);
            quorum.role() == Role::Leader && next.is_some() && next < own
        };
        if self.members.values().filter_map(|member| member.quorum.as_ref()).any(takes_over) {
            self.mark("uncommitted entry of an earlier term taken over");
        }
    }

    fn run(&mut self) {
        let end = self.now.plus(Duration::from_millis(SPAN));
        self.plan(self.now, What::Chaos);
        while self.run_until(end).is_some() {
            self.chaos();
            let next = self.now.plus(Duration::from_millis(self.prng.below(30)));
            self.plan(next, What::Chaos);
        }
        self.heal();
    }

    fn heal(&mut self) {
        self.harm = Harm::default();
        self.cut.clear();
        self.observers = self.members.keys().copied().collect();
        let members: Vec<BrokerId> = self.members.keys().copied().collect();
        for id in members {
            self.member(id).paused_until = self.now;
            if self.members[&id].quorum.is_none() {
                self.start(id);
            }
        }
        self.tell_observers();
        self.quiet(2_000);
        let before = self.checker.committed.len() as u64;
        assert_eq!(self.propose(PROPOSED_IN_PEACE), 1, "one leader in the end");
        self.quiet(500);
        let committed = self.checker.committed.len() as u64;
        assert_eq!(committed, before + PROPOSED_IN_PEACE, "what is proposed in peace is committed");
        let voters = self.members.values().map(|member| member.quorum.as_ref().unwrap().voters());
        assert_eq!(BTreeSet::from_iter(voters).len(), 1, "they do not agree on who votes");
        for member in self.members.values() {
            let quorum = member.quorum.as_ref().unwrap();
            let base = member.disk.base.index.0 as usize;
            assert_eq!(member.disk.log, self.checker.committed[base..], "the log of {}", member.id);
            let all = self.checker.committed.iter().flat_map(|entry| entry.payload.iter());
            assert!(all.eq(member.state.iter()), "the state of {}: {:?}", member.id, member.state);
            assert_eq!((quorum.commit().0, quorum.last().index.0), (committed, committed));
        }
    }

    fn quiet(&mut self, millis: u64) {
        let until = self.now.plus(Duration::from_millis(millis));
        while self.run_until(until).is_some() {}
    }
}

/// What came about, a hash of all that happened, and how much was proposed and committed.
fn simulate(seed: u64) -> (Marks, u64, u64, u64) {
    let mut world = World::of(seed);
    world.run();
    (world.marks, world.trace.finish(), world.proposed, world.checker.committed.len() as u64)
}

#[test]
fn whatever_happens_what_is_committed_stays_and_in_the_end_all_have_it() {
    let (mut marks, mut proposed, mut committed) = (Marks::new(), 0, 0);
    for seed in crate::seeds(1000) {
        println!("BROOKLET_SEED={seed} BROOKLET_SEEDS=1 cargo test --lib quorum::tests::simulation");
        let (some, trace, put, kept) = simulate(seed);
        if seed % 50 == 0 {
            assert_eq!(simulate(seed).1, trace, "the same seed has the same happen");
        }
        proposed += put;
        committed += kept;
        for (what, times) in some {
            *marks.entry(what).or_default() += times;
        }
    }
    println!("{committed} entries committed of {proposed} proposed; {marks:?}");
    if std::env::var_os("BROOKLET_SEED").is_none() {
        let missing: Vec<&&str> = WANTED.iter().filter(|what| !marks.contains_key(**what)).collect();
        assert!(missing.is_empty(), "{missing:?} did not come about: {marks:?}");
        assert!(committed * 2 > proposed, "{committed} committed of {proposed}");
    }
}
