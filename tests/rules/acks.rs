//! Rule 17: who asks for no answer gets none.

use crate::common::{Backend, assert_refused, on_every_backend, put, read_all, topic};
use brooklet::{
    Acks, CleanupPolicy, Client, Durability, Error, Producer, ProducerConfig, Record, Timestamp, TopicConfig,
};

on_every_backend![
    rule_17_acks_0_gets_no_answer_and_no_offset,
    rule_17_with_acks_0_nobody_hears_of_a_refusal,
    rule_17_acks_0_tells_what_the_client_knows_by_itself,
    rule_17_acks_0_finds_a_topic_that_was_made_anew,
];

fn unanswered(client: &Client) -> Producer {
    client.producer(ProducerConfig::new().acks(Acks::Zero)).unwrap()
}

fn rule_17_acks_0_gets_no_answer_and_no_offset(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    put(&client, "t", "0");
    let (producer, at) = (unanswered(&client), Timestamp::from_millis(1_704_067_200_000));
    for value in ["1", "2", "3"] {
        let sent = producer.produce(Record::to("t").value(value).timestamp(at)).unwrap();
        assert_eq!((sent.partition, sent.offset, sent.timestamp), (0, -1, at));
        assert_eq!(sent.durability, Durability::Buffered);
    }
    // Those of one batch, too.
    let many: Vec<_> =
        ["4", "5"].iter().map(|value| producer.send(Record::to("t").value(value)).unwrap()).collect();
    for delivery in many {
        assert_eq!(delivery.wait().unwrap().offset, -1);
    }
    assert_eq!(producer.metrics().records_sent, 5);
    producer.close().unwrap();
    backend.settle();
    assert_eq!(read_all(&client, "t"), ["0", "1", "2", "3", "4", "5"]);
}

fn rule_17_with_acks_0_nobody_hears_of_a_refusal(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    client.create_topic("keyed", TopicConfig::new().cleanup_policy(CleanupPolicy::Compact)).unwrap();
    let ahead = Timestamp::from_millis(i64::MAX / 2);
    let (no_key, early) = (Record::to("keyed").value("no key"), Record::to("t").value("x").timestamp(ahead));
    assert_refused!(client.produce(no_key.clone()), Error::InvalidRecord(_));
    assert_refused!(client.produce(early.clone()), Error::InvalidTimestamp { .. });
    let producer = unanswered(&client);
    for refused in [no_key, early] {
        assert_eq!(producer.produce(refused).unwrap().offset, -1);
    }
    backend.settle();
    drop(producer.send(Record::to("t").value("after it")).unwrap());
    drop(producer.send(Record::to("keyed").key("k").value("after it")).unwrap());
    producer.flush().unwrap();
    assert_eq!(producer.metrics().records_failed, 0);
    backend.settle();
    assert_eq!(
        (read_all(&client, "t"), read_all(&client, "keyed")),
        (vec!["after it".to_owned()], vec!["after it".to_owned()])
    );
}

fn rule_17_acks_0_tells_what_the_client_knows_by_itself(backend: &mut Backend) {
    let client = backend.client();
    client.create_topic("t", TopicConfig::new().max_message_bytes(1000)).unwrap();
    let producer = unanswered(&client);
    let large = "x".repeat(1000);
    let sent = producer.produce(Record::to("t").value(&large));
    assert_refused!(sent, Error::MessageTooLarge { limit: 1000, .. });
    assert_refused!(producer.send(Record::to("nowhere")), Error::UnknownTopicOrPartition { .. });
    assert_eq!(producer.metrics().records_failed, 1);
}

/// What was sent to the one before is lost; and soon there is another one.
fn rule_17_acks_0_finds_a_topic_that_was_made_anew(backend: &mut Backend) {
    let client = backend.client();
    topic(&client, "t", 1);
    let producer = unanswered(&client);
    producer.produce(Record::to("t").value("before")).unwrap();
    client.admin().delete_topic("t").unwrap();
    topic(&client, "t", 1);
    backend.settle();
    for _ in 0..10 {
        // The one that finds out may be told that its topic is gone.
        let _ = producer.produce(Record::to("t").value("after"));
        backend.settle();
    }
    let values = read_all(&client, "t");
    assert!(values.len() > 5 && values.iter().all(|value| value == "after"), "{values:?}");
}
