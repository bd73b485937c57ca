//! Lines into a topic, and out again as they come:
//!
//!     dmesg -w | cargo run --release --example tail [-- DIR]
//!
//! One thread puts each line of the input into a topic. Another one follows the topic, asleep until there is something to
//! show. When the input ends, what is left is shown, and both end. The store is in DIR, or else gone afterwards.

#![allow(clippy::disallowed_methods, reason = "an application has threads")]

use brooklet::{AutoOffsetReset, Broker, Consumer, ConsumerConfig, Error, Record, TopicConfig};
use std::{
    io::{self, BufRead, Write},
    thread,
    time::Duration,
};

type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

const TOPIC: &str = "lines";

/// Shows what comes; once it is woken up, what is left. Says how many lines that were.
fn follow(mut consumer: Consumer) -> Result<usize> {
    let (mut shown, mut more_may_come) = (0, true);
    while more_may_come || !consumer.is_caught_up()? {
        let records = match consumer.poll(Duration::MAX) {
            Err(Error::Wakeup) => {
                more_may_come = false;
                continue;
            }
            polled => polled?,
        };
        let mut out = io::BufWriter::new(io::stdout().lock());
        for record in &records {
            out.write_all(record.value().unwrap_or_default())?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        shown += records.len();
    }
    Ok(shown)
}

fn main() -> Result<()> {
    let broker = match std::env::args_os().nth(1) {
        Some(dir) => Broker::open(dir)?,
        None => Broker::temporary()?,
    };
    broker.ensure_topic(TOPIC, TopicConfig::new())?;

    // Without a group: every run shows what comes from now on, as `tail -f` does. The first poll finds the end.
    let latest = ConsumerConfig::standalone().auto_offset_reset(AutoOffsetReset::Latest);
    let mut consumer = broker.consumer(latest).subscribe(TOPIC)?;
    consumer.poll(Duration::ZERO)?;
    let handle = consumer.handle();
    let follower = thread::spawn(move || follow(consumer));

    for line in io::stdin().lock().split(b'\n') {
        broker.produce(Record::to(TOPIC).value(&line?))?;
        if follower.is_finished() {
            break; // nobody reads what it shows
        }
    }
    handle.wakeup();
    let shown = follower.join().map_err(|_| "the follower panicked")??;
    eprintln!("{shown} lines");
    broker.close()?;
    Ok(())
}
