//! Records with JSON in them.

use brooklet::{Broker, Client, Record, SharedBytes, TopicConfig};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// It borrows from the record that it is read from.
#[derive(Serialize, Deserialize, Debug, PartialEq, Eq)]
struct Order<'a> {
    id: u64,
    #[serde(borrow)]
    item: &'a str,
}

fn put(client: &Client, order: &Order<'_>) -> Result<i64, Box<dyn std::error::Error>> {
    let value = serde_json::to_vec(order)?;
    Ok(client.produce(Record::to("orders").key(&order.id.to_string()).value(&value))?.offset)
}

/// What `Bytes::from_owner` of the crate `bytes` asks for.
fn from_owner<T: AsRef<[u8]> + Send + 'static>(owner: T) -> T {
    owner
}

#[test]
fn what_is_parsed_borrows_from_the_records() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::temporary()?;
    broker.create_topic("orders", TopicConfig::new())?;
    let orders = [Order { id: 1, item: "apples" }, Order { id: 2, item: "pears" }];
    for order in &orders {
        put(broker.client(), order)?;
    }
    let mut consumer = broker.consumer("printer").subscribe("orders")?;
    let records = consumer.poll(Duration::from_secs(1))?;
    let parsed: Vec<Order<'_>> =
        records.iter().filter_map(|r| r.value()).map(serde_json::from_slice).collect::<Result<_, _>>()?;
    assert_eq!(parsed, orders);
    for order in &parsed {
        put(broker.client(), order)?; // while what was read is borrowed
    }
    consumer.commit_offset()?;
    let values: Vec<SharedBytes> =
        records.into_iter().filter_map(|record| record.into_value()).map(from_owner).collect();
    drop(consumer);
    broker.close()?;
    let first: Order<'_> = serde_json::from_slice(values[0].as_ref())?;
    assert_eq!((values.len(), first), (2, Order { id: 1, item: "apples" }));
    Ok(())
}
