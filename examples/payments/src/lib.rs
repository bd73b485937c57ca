//! A small payment service, as an application has it: callers ask for payments, the service settles each of them once, and keeps
//! balances. `tests/stories.rs` shows how it is tested on a cluster in which things go wrong.
//!
//! ```text
//! callers -> Desk -> [payments] -> Service (a group of them) -> [settled] -> Ledger
//! ```
//!
//! Everything takes a [`Client`]: that of a `Broker` in `src/main.rs`, that of a `Cluster` in the tests.
//!
//! How a payment is settled once, though callers ask twice and services die at any point:
//!
//! - a payment has an id, which its caller chooses, and keeps when it asks again;
//! - what is settled is what the topic `settled` says, and nothing else: no balance is kept that is not read from there;
//! - a service reads all of `settled` before it settles a batch, passes over ids that are there, and commits afterwards, so that a batch
//!   comes again if it dies before;
//! - whoever reads `settled` counts the first event of an id. A service that is held up just between its look and its write may write a
//!   second one: Kafka's model can exclude that only with transactions.

mod desk;
mod ledger;
mod payment;
mod service;

pub use desk::Desk;
pub use ledger::Ledger;
pub use payment::Payment;
pub use service::Service;

use brooklet::{Client, Result, TopicConfig};
use std::time::Duration;

/// The topic of what callers ask for, keyed by account.
pub const PAYMENTS: &str = "payments";
/// The topic of what has been settled: copies of the payments.
pub const SETTLED: &str = "settled";
/// The group of all services.
pub const GROUP: &str = "settlers";

/// Makes both topics, if they are not there, with as many partitions and copies as `like` says.
///
/// # Errors
/// Those of [`Client::ensure_topic`].
pub fn ensure_topics(client: &Client, like: TopicConfig) -> Result<()> {
    // Books are kept. After the 7 days of the default a payment that nobody settled would be gone, too.
    let kept = like.retention_time(Duration::MAX);
    client.ensure_topic(PAYMENTS, kept.clone())?;
    client.ensure_topic(SETTLED, kept)?;
    Ok(())
}
