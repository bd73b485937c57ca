//! What clients have seen of a cluster, and whether that can be: pure, of no cluster in particular.
//!
//! Each value is sent once, so that it says which record it is. What is told: what became of each value that was sent, what each poll gave,
//! where consumers were moved to, and what is in the logs in the end.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A partition: a topic and a number.
pub(crate) type Partition = (&'static str, i32);

/// What a sender was told of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All in sync have it, at this offset.
    Acknowledged(i64),
    /// It is not there, and never will be.
    Refused,
    /// It may be there, or come to be there.
    InDoubt,
}

/// Something that must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Anomaly {
    /// A value that was acknowledged at an offset is not there in the end.
    LostWrite { partition: Partition, offset: i64, value: u64 },
    /// A value has two offsets.
    Duplicate { value: u64, first: (Partition, i64), second: (Partition, i64) },
    /// An offset has two values.
    InconsistentOffset { partition: Partition, offset: i64, first: u64, second: u64 },
    /// A consumer was not given a record between two that it was given.
    PollSkip { reader: u32, partition: Partition, from: i64, skipped: i64, to: i64 },
    /// A consumer was given a record that is not behind the one before.
    NonMonotonicPoll { reader: u32, partition: Partition, before: i64, offset: i64 },
    /// A consumer that is at the end was never given a record.
    Unseen { reader: u32, partition: Partition, offset: i64, value: u64 },
    /// A record is there that was deleted.
    Undeleted { partition: Partition, offset: i64 },
    /// A value is there that was refused.
    RefusedSeen { partition: Partition, offset: i64, value: u64 },
    /// A value is there that nobody has sent.
    NeverSent { partition: Partition, offset: i64, value: u64 },
    /// Of two values that a producer sent one after the other the later one comes first.
    NonMonotonicSend { producer: u32, partition: Partition, before: i64, offset: i64 },
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

#[derive(Debug)]
struct Sent {
    /// `None`: the order of what it sends is not promised.
    producer: Option<u32>,
    partition: Partition,
    outcome: Outcome,
}

/// What happened to a consumer's position in a partition, in order.
#[derive(Debug)]
enum Step {
    /// It goes on here; `None`: at a place that is not known.
    Moved(Option<i64>),
    Polled(i64),
}

#[derive(Debug, Default)]
pub(crate) struct History {
    sent: BTreeMap<u64, Sent>,
    /// The values in the order in which they were sent.
    order: Vec<u64>,
    /// What was seen where, by polls.
    seen: BTreeSet<(Partition, i64, u64)>,
    /// By who reads, in which generation of its group, and what.
    steps: BTreeMap<(u32, u32, Partition), Vec<Step>>,
    /// What each reader was given, whichever its generation.
    given: BTreeMap<(u32, Partition), BTreeSet<i64>>,
    /// Who has read a partition from its beginning to its end.
    finished: BTreeSet<(u32, Partition)>,
    /// What an unclean election may have taken records from.
    given_up: BTreeSet<Partition>,
    /// Of values of a topic that is compacted: the keys.
    keys: BTreeMap<u64, u64>,
    /// Below which offset records were to be deleted, and below which they were for sure.
    deleted: BTreeMap<Partition, (i64, i64)>,
}

impl History {
    /// A value was sent, by a producer whose values keep their order: it waits for one answer before it sends again, or is idempotent.
    /// `None`: by another one.
    pub(crate) fn sent(&mut self, producer: Option<u32>, partition: Partition, value: u64, outcome: Outcome) {
        self.order.push(value);
        let _ = self.sent.insert(value, Sent { producer, partition, outcome });
    }

    /// A poll gave these records of a partition, each an offset and a value. A consumer without a group has but one generation.
    pub(crate) fn polled(
        &mut self,
        (reader, generation): (u32, u32),
        partition: Partition,
        records: &[(i64, u64)],
    ) {
        let steps = self.steps.entry((reader, generation, partition)).or_default();
        let given = self.given.entry((reader, partition)).or_default();
        for (offset, value) in records {
            steps.push(Step::Polled(*offset));
            given.insert(*offset);
            self.seen.insert((partition, *offset, *value));
        }
    }

    /// A consumer goes on somewhere else; `None`: it is not known where.
    pub(crate) fn moved(&mut self, (reader, generation): (u32, u32), partition: Partition, to: Option<i64>) {
        self.steps.entry((reader, generation, partition)).or_default().push(Step::Moved(to));
    }

    /// A consumer, or a group, that began at the beginning has been given all that there is.
    pub(crate) fn finished(&mut self, reader: u32, partition: Partition) {
        self.finished.insert((reader, partition));
    }

    /// A value was sent with a key, to a topic that is compacted: once there is a later one of that key, it may go.
    pub(crate) fn keyed(&mut self, value: u64, key: u64) {
        let _ = self.keys.insert(value, key);
    }

    /// What is below an offset was to be deleted, later than what was before, and that was `done` or may be.
    pub(crate) fn deleted(&mut self, partition: Partition, before: i64, done: bool) {
        let (asked, sure) = self.deleted.entry(partition).or_default();
        *asked = before;
        if done {
            *sure = before;
        }
    }

    /// Below which offset records were to be deleted, whether that is known to be done or not.
    pub(crate) fn asked_below(&self, partition: Partition) -> i64 {
        self.deleted.get(&partition).map_or(0, |(asked, _)| *asked)
    }

    /// Somebody leads the partition who may lack what was acknowledged: nobody promises any more what is there.
    pub(crate) fn given_up(&mut self, partition: Partition) {
        self.given_up.insert(partition);
    }

    /// All that cannot be, where the logs are so in the end: offsets and values.
    pub(crate) fn anomalies(&self, logs: &BTreeMap<Partition, BTreeMap<i64, u64>>) -> Vec<Anomaly> {
        let mut found = Vec::new();
        self.check_writes(logs, &mut found);
        self.check_places(logs, &mut found);
        self.check_order(&mut found);
        self.check_polls(logs, &mut found);
        self.check_unseen(logs, &mut found);
        self.check_deleted(logs, &mut found);
        found
    }

    fn counts(&self, partition: Partition) -> bool {
        !self.given_up.contains(&partition)
    }

    fn check_writes(&self, logs: &BTreeMap<Partition, BTreeMap<i64, u64>>, found: &mut Vec<Anomaly>) {
        for (value, sent) in self.sent.iter().filter(|(_, sent)| self.counts(sent.partition)) {
            let Outcome::Acknowledged(offset) = sent.outcome else { continue };
            let there = logs.get(&sent.partition).and_then(|log| log.get(&offset));
            let may_go = there.is_none()
                && (offset < self.asked_below(sent.partition)
                    || self.is_superseded(*value, sent.partition, offset, logs));
            if there != Some(value) && !may_go {
                found.push(Anomaly::LostWrite { partition: sent.partition, offset, value: *value });
            }
        }
    }

    /// Whether a later value of the same key is there.
    fn is_superseded(
        &self,
        value: u64,
        partition: Partition,
        offset: i64,
        logs: &BTreeMap<Partition, BTreeMap<i64, u64>>,
    ) -> bool {
        let Some(key) = self.keys.get(&value) else { return false };
        let later = logs.get(&partition).into_iter().flat_map(|log| log.range(offset + 1..));
        later.into_iter().any(|(_, other)| self.keys.get(other) == Some(key))
    }

    /// How many values were acknowledged and have made room for later ones.
    pub(crate) fn superseded(&self, logs: &BTreeMap<Partition, BTreeMap<i64, u64>>) -> u64 {
        let has_gone = |(value, sent): &(&u64, &Sent)| match sent.outcome {
            Outcome::Acknowledged(offset) => {
                let there = logs.get(&sent.partition).is_some_and(|log| log.contains_key(&offset));
                !there && self.is_superseded(**value, sent.partition, offset, logs)
            }
            _ => false,
        };
        self.sent.iter().filter(has_gone).count() as u64
    }

    fn check_deleted(&self, logs: &BTreeMap<Partition, BTreeMap<i64, u64>>, found: &mut Vec<Anomaly>) {
        for (partition, (_, sure)) in self.deleted.iter().filter(|(of, _)| self.counts(**of)) {
            let there = logs.get(partition).into_iter().flat_map(|log| log.range(..*sure)).next();
            if let Some((offset, _)) = there {
                found.push(Anomaly::Undeleted { partition: *partition, offset: *offset });
            }
        }
    }

    /// What is where, by all that anybody says.
    fn check_places(&self, logs: &BTreeMap<Partition, BTreeMap<i64, u64>>, found: &mut Vec<Anomaly>) {
        let in_logs =
            logs.iter().flat_map(|(of, log)| log.iter().map(|(offset, value)| (*of, *offset, *value)));
        let mut places: BTreeSet<(Partition, i64, u64)> = self.seen.iter().copied().chain(in_logs).collect();
        for (partition, offset, value) in &places {
            let at = (*partition, *offset, *value);
            match self.sent.get(value).map(|sent| sent.outcome) {
                None => found.push(Anomaly::NeverSent { partition: at.0, offset: at.1, value: at.2 }),
                Some(Outcome::Refused) => {
                    found.push(Anomaly::RefusedSeen { partition: at.0, offset: at.1, value: at.2 });
                }
                Some(_) => {}
            }
        }
        places.extend(self.sent.iter().filter_map(|(value, sent)| match sent.outcome {
            Outcome::Acknowledged(offset) => Some((sent.partition, offset, *value)),
            _ => None,
        }));
        let (mut values, mut offsets) = (BTreeMap::new(), BTreeMap::new());
        for (partition, offset, value) in places {
            let first = *values.entry((partition, offset)).or_insert(value);
            if first != value && self.counts(partition) {
                found.push(Anomaly::InconsistentOffset { partition, offset, first, second: value });
            }
            let second = (partition, offset);
            let first = *offsets.entry(value).or_insert(second);
            if first != second {
                found.push(Anomaly::Duplicate { value, first, second });
            }
        }
    }

    fn check_order(&self, found: &mut Vec<Anomaly>) {
        let mut last = BTreeMap::new();
        for sent in self.order.iter().filter_map(|value| self.sent.get(value)) {
            let (Outcome::Acknowledged(offset), true) = (sent.outcome, self.counts(sent.partition)) else {
                continue;
            };
            let Sent { producer: Some(producer), partition, .. } = *sent else { continue };
            if let Some(before) =
                last.insert((producer, partition), offset).filter(|before| *before >= offset)
            {
                found.push(Anomaly::NonMonotonicSend { producer, partition, before, offset });
            }
        }
    }

    fn check_polls(&self, logs: &BTreeMap<Partition, BTreeMap<i64, u64>>, found: &mut Vec<Anomaly>) {
        let none = BTreeMap::new();
        let needed = |of, (offset, value): &(&i64, &u64)| !self.is_superseded(**value, of, **offset, logs);
        for ((reader, _, partition), steps) in self.steps.iter().filter(|((.., of), _)| self.counts(*of)) {
            let (reader, partition) = (*reader, *partition);
            let log = logs.get(&partition).unwrap_or(&none);
            // The next offset to come, if that is known.
            let mut next = None;
            for step in steps {
                let offset = match step {
                    Step::Moved(to) => {
                        next = *to;
                        continue;
                    }
                    Step::Polled(offset) => *offset,
                };
                if let Some(from) = next.filter(|next| offset < *next) {
                    found.push(Anomaly::NonMonotonicPoll { reader, partition, before: from - 1, offset });
                } else if let Some(from) = next
                    && let Some((skipped, _)) = log.range(from..offset).find(|at| needed(partition, at))
                {
                    found.push(Anomaly::PollSkip { reader, partition, from, skipped: *skipped, to: offset });
                }
                next = Some(offset + 1);
            }
        }
    }

    fn check_unseen(&self, logs: &BTreeMap<Partition, BTreeMap<i64, u64>>, found: &mut Vec<Anomaly>) {
        let none = BTreeSet::new();
        for (reader, partition) in self.finished.iter().copied().filter(|(_, of)| self.counts(*of)) {
            let given = self.given.get(&(reader, partition)).unwrap_or(&none);
            let log = logs.get(&partition).into_iter().flatten();
            let missed = log.filter(|(offset, _)| !given.contains(offset));
            for (offset, value) in missed.filter(|(o, v)| !self.is_superseded(**v, partition, **o, logs)) {
                found.push(Anomaly::Unseen { reader, partition, offset: *offset, value: *value });
            }
        }
    }
}
