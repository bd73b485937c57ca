//! The README's first block of Rust, as it stands there.

use brooklet::{Broker, Record, Result, TopicConfig};
use std::time::Duration;

#[rustfmt::skip]
#[allow(unused_variables, reason = "what is done with a record is left open")]
pub(crate) fn first() -> Result<()> {
    let broker = Broker::open("data")?;                                          // one process owns the directory
    broker.ensure_topic("orders", TopicConfig::new().partitions(3))?;            // fine on every run
    broker.produce(Record::to("orders").key("alice").value("3 apples"))?;        // partition, offset, timestamp

    let mut consumer = broker.consumer("billing").subscribe(["orders"])?;        // goes on where the group stopped
    while !consumer.is_caught_up()? {
        for record in &consumer.poll(Duration::from_millis(100))? { /* borrowed key, value, headers, timestamp */ }
        consumer.commit_offset()?;
    }
    Ok(())
}
