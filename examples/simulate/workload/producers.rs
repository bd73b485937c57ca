//! Producers, and what becomes of what they send.

use super::{
    ACCOUNTS, MOST_BROKEN, Run,
    history::{Outcome, Partition},
};
use brooklet::{Acks, Delivery, Error, Producer, ProducerConfig, Record, RecordMetadata, Result};

#[derive(Debug)]
pub(crate) struct Producers {
    all: Producer,
    /// Its acknowledgements promise nothing.
    by_leader: Producer,
}

const BLOCKING: u32 = 1;
const TOGETHER: u32 = 2;
const BATCHED: u32 = 3;
const BY_LEADER: u32 = 4;

impl Producers {
    pub(crate) fn new(client: &brooklet::Client) -> Result<Self> {
        let all = client.producer(config())?;
        let by_leader = client.producer(config().acks(Acks::One))?;
        Ok(Self { all, by_leader })
    }

    pub(crate) fn close(&self) -> Result<()> {
        self.all.close()?;
        self.by_leader.close()
    }
}

/// Some records are given up before what keeps them from their leader is over.
fn config() -> ProducerConfig {
    ProducerConfig::new().delivery_timeout(MOST_BROKEN)
}

/// What an answer means for whoever wants to know whether the record is there.
fn outcome(result: &Result<RecordMetadata>) -> Outcome {
    match result {
        Ok(at) => Outcome::Acknowledged(at.offset),
        Err(error) if error.is_indeterminate() => Outcome::InDoubt,
        Err(_) => Outcome::Refused,
    }
}

/// What is sent: a value that no other record has, and, where the topic is compacted, a key that many have.
fn record((topic, number): Partition, text: &str) -> Record<'_> {
    let record = Record::to(topic).partition(number).value(text);
    if topic == ACCOUNTS { record.key(&text[text.len() - 1..]) } else { record }
}

impl Run {
    pub(crate) fn produce(&mut self) {
        match self.random.below(10) {
            0 => self.produce_one(),
            1..=5 => self.produce_together(),
            6..=8 => self.produce_batched(BATCHED),
            _ => self.produce_batched(BY_LEADER),
        }
    }

    fn next_value(&mut self) -> u64 {
        self.values += 1;
        self.values
    }

    fn note(&mut self, producer: u32, partition: Partition, value: u64, result: &Result<RecordMetadata>) {
        let outcome = match outcome(result) {
            Outcome::Acknowledged(_) if producer == BY_LEADER => Outcome::InDoubt,
            outcome => outcome,
        };
        match outcome {
            Outcome::Acknowledged(_) => self.report.acknowledged += 1,
            Outcome::InDoubt => self.report.in_doubt += 1,
            Outcome::Refused => self.report.refused += 1,
        }
        if let Ok(at) = result {
            let _ = self.stamps.insert(value, at.timestamp);
        }
        if partition.0 == ACCOUNTS {
            self.history.keyed(value, value % 10);
        }
        // Whoever asks for all in sync is idempotent.
        let in_order = Some(producer).filter(|producer| *producer != BY_LEADER);
        self.history.sent(in_order, partition, value, outcome);
    }

    fn produce_one(&mut self) {
        let (partition, value) = (self.random.of(&self.partitions), self.next_value());
        let text = value.to_string();
        let result = self.cluster.produce(record(partition, &text));
        self.note(BLOCKING, partition, value, &result);
    }

    /// In a healed cluster each partition takes what comes.
    pub(crate) fn produce_everywhere(&mut self) {
        for partition in self.partitions.clone() {
            let value = self.next_value();
            let text = value.to_string();
            let result = self.producers.all.produce(record(partition, &text));
            self.note(BATCHED, partition, value, &result);
            if let Err(error) = result {
                self.fail(format_args!("a healed cluster does not take a record for {partition:?}: {error}"));
            }
        }
    }

    /// Some for one partition or for several.
    fn some(&mut self, most: u64) -> Vec<(Partition, u64, String)> {
        let spread = self.random.once_in(3);
        let mut partition = self.random.of(&self.partitions);
        let count = 1 + self.random.below(most);
        let mut next = |run: &mut Self| {
            if spread {
                partition = run.random.of(&run.partitions);
            }
            let value = run.next_value();
            (partition, value, value.to_string())
        };
        (0..count).map(|_| next(self)).collect()
    }

    fn produce_together(&mut self) {
        let some = self.some(60);
        let records = some.iter().map(|(of, _, text)| record(*of, text));
        let results: Vec<Result<RecordMetadata>> = match self.cluster.client().produce_all(records) {
            Ok(all) => all.into_iter().map(Ok).collect(),
            Err(Error::PartialProduce { results, .. }) => results.iter().map(Clone::clone).collect(),
            Err(error) => some.iter().map(|_| Err(error.clone())).collect(),
        };
        for ((partition, value, _), result) in some.iter().zip(&results) {
            self.note(TOGETHER, *partition, *value, result);
        }
    }

    fn produce_batched(&mut self, producer: u32) {
        let some = self.some(30);
        let sender = if producer == BY_LEADER { &self.producers.by_leader } else { &self.producers.all };
        let send = |(of, _, text): &(Partition, u64, String)| sender.send(record(*of, text));
        let sent: Vec<Result<Delivery>> = some.iter().map(send).collect();
        let results: Vec<Result<RecordMetadata>> =
            sent.into_iter().map(|sent| sent.and_then(Delivery::wait)).collect();
        for ((partition, value, _), result) in some.iter().zip(&results) {
            self.note(producer, *partition, *value, result);
        }
    }
}
