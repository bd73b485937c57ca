//! Settles the payments that come in by lines, `id account cents`, and tells the balances:
//!
//!     echo 'p1 alice 500' | cargo run -p payments -- DIR
//!
//! Killed at any point, and given the same lines again, it settles each payment once.

use brooklet::{Broker, Error, Result, TopicConfig};
use payments::{Desk, Payment, Service, ensure_topics};
use std::io::stdin;

fn main() -> Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "data".to_owned());
    let broker = Broker::open(directory)?;
    ensure_topics(broker.client(), TopicConfig::new().partitions(4))?;
    let (desk, mut service) = (Desk::open(broker.client())?, Service::start(broker.client())?);
    for line in stdin().lines() {
        let line = line.map_err(Error::other)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        match (&words[..], words.last().map(|cents| cents.parse())) {
            ([id, account, _], Some(Ok(cents))) => desk.accept(&Payment::new(id, account, cents))?,
            _ => eprintln!("no payment: {line}"),
        }
    }
    while !service.is_idle()? {
        service.step()?;
    }
    for (account, cents) in service.ledger().balances() {
        println!("{account} {cents}");
    }
    broker.close()
}
