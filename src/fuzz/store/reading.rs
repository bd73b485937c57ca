//! Reading all that a store gives, and asking it for times and commits.

use super::{
    known::{COMMITTED, Content, Known},
    refused,
};
use crate::{
    Broker, Consumer, ConsumerConfig, ConsumerRecord, OffsetSpec,
    error::{Error, Result},
};
use std::time::Duration;

/// More polls than a partition has records say that something goes round in circles.
const MAX_POLLS: usize = 1000;

/// What a partition gave.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) name: (String, i32),
    pub(super) records: Vec<Got>,
    pub(super) high_watermark: i64,
    /// Whether nothing was refused.
    pub(super) is_whole: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Got {
    pub(super) offset: i64,
    content: Content,
}

impl Got {
    fn of(record: ConsumerRecord<'_>) -> Self {
        let headers = record.headers().iter();
        let content = Content {
            timestamp: record.timestamp(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: headers.map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect(),
        };
        Self { offset: record.offset(), content }
    }
}

/// Reads every partition there is. `appended` are records that came later; `strict`: each record is at its own place.
pub(super) fn read(
    broker: &Broker,
    known: &Known,
    strict: bool,
    appended: &[((String, i32), i64)],
) -> Vec<Partition> {
    let mut partitions = Vec::new();
    for topic in broker.admin().list_topics().unwrap() {
        for there in broker.admin().describe_topic(&topic).unwrap().partitions {
            let name = (topic.clone(), there.partition);
            let from_start = ConsumerConfig::standalone().max_poll_records(7).max_partition_fetch_bytes(700);
            let mut consumer = broker.consumer(from_start).assign([(&*topic, there.partition)]).unwrap();
            let mut partition =
                Partition { name, records: Vec::new(), high_watermark: there.high_watermark, is_whole: true };
            if let Err(error) = partition.poll(&mut consumer, there.log_start_offset) {
                refused(&error);
                partition.is_whole = false;
            }
            for got in partition.records.iter().filter(|got| {
                !appended.iter().any(|(of, offset)| (of, *offset) == (&partition.name, got.offset))
            }) {
                check(known, strict, &partition.name, got);
            }
            partition.look_up(&consumer);
            partitions.push(partition);
        }
    }
    look_up_the_commit(broker);
    partitions
}

fn check(known: &Known, strict: bool, (topic, partition): &(String, i32), got: &Got) {
    if strict {
        let put_in = known.records.get(&(topic.clone(), *partition, got.offset));
        assert_eq!(put_in, Some(&got.content), "{topic} {partition} at {}", got.offset);
    } else {
        assert!(known.contents.contains(&got.content), "{topic} {partition}: {got:?}");
    }
}

impl Partition {
    /// Reads to the end, or to what is damaged for good; passes over batches that are.
    fn poll(&mut self, consumer: &mut Consumer, start: i64) -> Result<()> {
        let of = (&*self.name.0, self.name.1);
        let mut position = start;
        for _ in 0..MAX_POLLS {
            match consumer.poll(Duration::ZERO) {
                Ok(records) => {
                    for got in records.iter().map(Got::of) {
                        assert!(got.offset >= position, "{of:?}: {got:?}, and {position} is next");
                        position = got.offset + 1;
                        self.records.push(got);
                    }
                    if consumer.is_caught_up()? {
                        return Ok(());
                    }
                }
                Err(error @ Error::CorruptMessage { next_offset, .. }) => {
                    refused(&error);
                    self.is_whole = false;
                    assert!(next_offset > consumer.position(of)?, "{error} does not lead on");
                    consumer.seek(of, next_offset)?;
                    position = position.max(next_offset);
                }
                Err(error) => return Err(error),
            }
        }
        panic!("{of:?}: no end is reached");
    }

    /// The first record at least as young as one that was read, where all of them were.
    fn look_up(&self, consumer: &Consumer) {
        let times = self.records.iter().step_by(3).map(|got| got.content.timestamp);
        for time in times {
            match consumer.offset((&*self.name.0, self.name.1), OffsetSpec::Timestamp(time)) {
                Ok(found) if self.is_whole => {
                    let first = self.records.iter().find(|got| got.content.timestamp >= time);
                    assert_eq!(found, first.map(|got| got.offset), "{:?} at {time}", self.name);
                }
                Ok(_) => {}
                // By damage below the log's start, perhaps.
                Err(error) => refused(&error),
            }
        }
    }
}

fn look_up_the_commit(broker: &Broker) {
    let Ok(consumer) = broker.consumer("g").assign([("t", 0)]) else { return };
    match consumer.committed(("t", 0)) {
        Ok(committed) => assert!(committed.is_none_or(|committed| COMMITTED.contains(&committed.offset))),
        Err(error) => refused(&error),
    }
}
