//! An idempotent producer against a model of a partition: its leader changes, an old one goes on for a while, and messages are
//! lost, late, doubled and out of order.
//!
//! `BROOKLET_SEEDS=1000000 cargo test --release --lib client::network::sequences` for many; a failure names its seed.

use super::*;
use crate::prng::{Prng, seeds};
use std::collections::BTreeMap;

/// How long a try may take, in ms; times of the model are in ms, too.
const PATIENCE: u64 = 5000;

/// A batch in the log; its offset is its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    batch: BatchId,
    stamp: Stamp,
    records: i32,
}

impl Entry {
    fn last(&self) -> i32 {
        ((i64::from(self.stamp.sequence) + i64::from(self.records) - 1) % (1 << 31)) as i32
    }
}

#[derive(Debug, Clone, Default)]
struct Leader {
    log: Vec<Entry>,
    high_watermark: usize,
    /// Of what lies below, the leader knows just each producer's last batch (rule 26).
    knows_from: usize,
}

impl Leader {
    /// Where a batch is, now or since before.
    fn take(&mut self, entry: Entry) -> Result<usize, Error> {
        let of_it = |(_, known): &(usize, &Entry)| known.stamp.producer_id == entry.stamp.producer_id;
        let known: Vec<(usize, &Entry)> = self.log.iter().enumerate().filter(of_it).collect();
        if let Some((last_at, last)) = known.last().copied() {
            let same = |(at, there): &(usize, &Entry)| {
                (there.stamp, there.records) == (entry.stamp, entry.records)
                    && (*at >= self.knows_from || *at == last_at)
            };
            if let Some((at, _)) = known.iter().rev().take(5).copied().find(same) {
                return Ok(at);
            }
            if entry.stamp.epoch < last.stamp.epoch {
                let partition = TopicPartition::new("t", 0);
                return Err(Error::InvalidProducerEpoch { partition, producer_id: ID });
            }
            let begins = entry.stamp.epoch > last.stamp.epoch || last.last() == i32::MAX;
            let next = if begins { 0 } else { last.last() + 1 };
            if entry.stamp.sequence != next {
                return Err(out_of_order());
            }
        }
        self.log.push(entry);
        Ok(self.log.len() - 1)
    }
}

#[derive(Debug, Clone, Copy)]
struct Request {
    entry: Entry,
    attempt: u32,
    to_old: bool,
    /// Whether it has come before.
    is_copy: bool,
}

#[derive(Debug, Clone)]
enum Event {
    Request(Request),
    Answer {
        batch: BatchId,
        attempt: u32,
        answer: Result<usize, Error>,
    },
    Id(Option<i64>),
    Wake,
    /// Followers copy something.
    Copy,
}

#[derive(Debug, Default, Clone, Copy)]
struct Marks {
    there: usize,
    refused: usize,
    in_doubt: usize,
    epochs: usize,
    again: usize,
}

struct Run {
    prng: Prng,
    sequences: Sequences,
    now: u64,
    /// What will happen, by time and number.
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
    leader: Leader,
    old: Option<Leader>,
    /// Whose acknowledgement waits for the high watermark.
    waiting: Vec<(usize, BatchId, u32)>,
    records: BTreeMap<BatchId, i32>,
    answers: BTreeMap<BatchId, Result<usize, Error>>,
    ids: i64,
    faults: bool,
    /// How much rarer faults are than they can be.
    calm: u64,
    marks: Marks,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let calm = [1, 5, 25][prng.below(3) as usize];
        Self {
            prng,
            sequences: Sequences::default(),
            now: 0,
            events: BTreeMap::new(),
            count: 0,
            leader: Leader::default(),
            old: None,
            waiting: Vec::new(),
            records: BTreeMap::new(),
            answers: BTreeMap::new(),
            ids: ID,
            faults: true,
            calm,
            marks: Marks::default(),
        }
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.faults && self.prng.below(n * self.calm) == 0
    }

    fn at(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    fn instant(&self) -> Instant {
        Instant::from_nanos(self.now * 1_000_000)
    }

    /// Has something arrive: once or, if it may, twice, or never; now and then late.
    fn post(&mut self, event: &Event) {
        let is_request = matches!(event, Event::Request(_));
        let copies = if self.one_in(10) { 0 } else { 1 + u32::from(!is_request && self.one_in(10)) };
        (0..copies).for_each(|_| self.post_one(event.clone()));
    }

    fn post_one(&mut self, event: Event) {
        let most = if self.one_in(12) { 20_000 } else { 20 };
        let at = self.now + 1 + self.prng.below(most);
        self.at(at, event);
    }

    fn produce(&mut self) {
        // A wrap takes more batches than a leader remembers.
        let records = if self.prng.below(6) == 0 { i32::MAX / 8 } else { 1 + self.prng.below(4) as i32 };
        let deadline = self.instant().plus(Duration::from_secs(30));
        let (batch, acts) = self.sequences.produce(PARTITION, records, deadline, self.instant());
        self.records.insert(batch, records);
        self.carry_out(acts);
    }

    fn carry_out(&mut self, acts: Vec<Act>) {
        for act in acts {
            match act {
                Act::Send { batch, attempt, stamp, .. } => {
                    self.marks.again += usize::from(attempt > 1);
                    let entry = Entry { batch, stamp, records: self.records[&batch] };
                    let to_old = self.old.is_some() && self.prng.below(3) == 0;
                    self.post(&Event::Request(Request { entry, attempt, to_old, is_copy: false }));
                    let silent = Event::Answer { batch, attempt, answer: Err(Error::RequestTimedOut) };
                    self.at(self.now + PATIENCE, silent);
                }
                Act::Answer { batch, answer } => {
                    let answer = answer.map(|at| at.base_offset.get() as usize);
                    assert!(self.answers.insert(batch, answer).is_none(), "{batch} is answered twice");
                }
                Act::WantId => {
                    self.ids += 1;
                    let id = if self.one_in(4) { None } else { Some(self.ids) };
                    let at = self.now + self.prng.below(50);
                    self.at(at, Event::Id(id));
                }
                Act::Wake { at, .. } => self.at(at.as_nanos().div_ceil(1_000_000), Event::Wake),
            }
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.instant();
        let acts = match event {
            Event::Wake => self.sequences.wake(PARTITION, now),
            Event::Id(id) => self.sequences.id_came(id, now),
            Event::Request(request) => return self.arrive(request),
            Event::Copy => return self.replicate(),
            Event::Answer { batch, attempt, answer } => {
                let response = |at: usize| ProduceResponse {
                    base_offset: Offset::new(at as i64),
                    log_append_time: None,
                    durability: Durability::Buffered,
                };
                self.sequences.answered(PARTITION, (batch, attempt), answer.map(response), now)
            }
        };
        self.carry_out(acts);
    }

    /// A request comes to a leader, or to who was one.
    fn arrive(&mut self, request: Request) {
        let Request { entry, attempt, to_old, is_copy } = request;
        let batch = entry.batch;
        let refused = match self.prng.below(60 * self.calm) {
            0..4 if self.faults => Some(Error::NotLeaderOrFollower),
            4 if self.faults => Some(too_large()),
            _ => None,
        };
        let (leader, is_old) = match &mut self.old {
            Some(old) if to_old => (old, true),
            _ => (&mut self.leader, false),
        };
        let taken = refused.map_or_else(|| leader.take(entry), Err);
        let is_there = taken.is_ok();
        match taken {
            Ok(at) if at >= leader.high_watermark => {
                // What an old leader takes is never acknowledged.
                self.waiting.extend((!is_old).then_some((at, batch, attempt)));
                let within = if self.one_in(8) { 8000 } else { 10 };
                let at = self.now + self.prng.below(within);
                self.at(at, Event::Copy);
            }
            Err(_) if is_copy => {}
            answer => self.post(&Event::Answer { batch, attempt, answer }),
        }
        // Connections keep requests from coming twice, or what is refused might come once more. But copies of others do no harm.
        if is_there && self.one_in(10) {
            self.post_one(Event::Request(Request { is_copy: true, ..request }));
        }
    }

    fn replicate(&mut self) {
        let behind = self.leader.log.len() - self.leader.high_watermark;
        let more = if self.one_in(4) { self.prng.below(behind as u64 + 1) as usize } else { behind };
        self.leader.high_watermark += more;
        let reached = self.leader.high_watermark;
        let ready: Vec<_> = self.waiting.extract_if(.., |(at, ..)| *at < reached).collect();
        for (at, batch, attempt) in ready {
            self.post(&Event::Answer { batch, attempt, answer: Ok(at) });
        }
    }

    /// Another replica leads, which has all that was acknowledged, and perhaps more.
    fn change_leader(&mut self) {
        let next = self.leader.clone();
        let old = std::mem::replace(&mut self.leader, next);
        let most = old.log.len() - old.high_watermark;
        let kept = old.high_watermark + self.prng.below(most as u64 + 1) as usize;
        self.leader.log.truncate(kept);
        self.leader.knows_from = if self.prng.below(2) == 0 { kept } else { 0 };
        self.old = (self.prng.below(2) == 0).then_some(old);
        for (_, batch, attempt) in std::mem::take(&mut self.waiting) {
            self.post(&Event::Answer { batch, attempt, answer: Err(Error::NetworkException) });
        }
    }

    fn advance(&mut self, by: u64) {
        let until = self.now + by;
        while let Some(first) = self.events.first_entry().filter(|event| event.key().0 <= until) {
            let ((at, _), event) = first.remove_entry();
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = until;
    }

    /// What must hold in the end, when nothing is under way any more.
    fn check(&mut self, seed: u64) {
        let fail = |what: String| -> ! { panic!("{what}; BROOKLET_SEED={seed} BROOKLET_SEEDS=1") };
        let mut there: BTreeMap<BatchId, usize> = BTreeMap::new();
        for (at, entry) in self.leader.log.iter().enumerate() {
            if let Some(before) = there.insert(entry.batch, at) {
                fail(format!("{} is at {before} and at {at}", entry.batch));
            }
        }
        if let Some(pair) = self.leader.log.windows(2).find(|pair| pair[0].batch > pair[1].batch) {
            fail(format!("{} is before {}", pair[0].batch, pair[1].batch));
        }
        for batch in self.records.keys() {
            let at = there.get(batch);
            match self.answers.get(batch) {
                None => fail(format!("{batch} is never answered")),
                Some(Ok(told)) if at == Some(told) => self.marks.there += 1,
                Some(Err(error)) if error.is_indeterminate() => self.marks.in_doubt += 1,
                Some(Err(_)) if at.is_none() => self.marks.refused += 1,
                Some(told) => fail(format!("{batch} is at {at:?}, and it was told {told:?}")),
            }
        }
        self.marks.epochs = self.leader.log.iter().map(|entry| entry.stamp.epoch).max().unwrap_or(0) as usize;
    }
}

fn run(seed: u64) -> Marks {
    let mut run = Run::new(seed);
    for _ in 0..150 {
        for _ in 0..run.prng.below(4) {
            run.produce();
        }
        if run.one_in(8) {
            run.change_leader();
        }
        if run.prng.below(10) == 0 {
            run.old = None;
        }
        let pause = match run.prng.below(10) {
            0 => run.prng.below(8000),
            _ => run.prng.below(200),
        };
        run.advance(pause);
    }
    (run.faults, run.old) = (false, None);
    run.advance(200_000);
    run.produce();
    run.advance(60_000);
    let last = run.records.len() as BatchId;
    assert!(matches!(run.answers.get(&last), Some(Ok(_))), "it goes on; BROOKLET_SEED={seed}");
    run.check(seed);
    run.marks
}

#[test]
fn rule_20_whatever_is_lost_or_late_nothing_is_there_twice_or_out_of_order() {
    let mut all = Marks::default();
    for seed in seeds(300) {
        let marks = run(seed);
        all.there += marks.there;
        all.refused += marks.refused;
        all.in_doubt += marks.in_doubt;
        all.epochs += marks.epochs;
        all.again += marks.again;
    }
    println!("{all:?}");
    if std::env::var_os("BROOKLET_SEED").is_none() {
        let hit = [all.refused, all.in_doubt, all.epochs, all.again];
        assert!(hit.iter().all(|count| *count > 100) && all.there > all.in_doubt, "{all:?}");
    }
}
