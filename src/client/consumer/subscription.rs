//! Which topics a consumer reads.

use crate::types::OFFSETS_TOPIC;
use std::{collections::BTreeSet, fmt, sync::Arc};

/// The topics that a consumer reads: `"orders"`, or `["orders", "payments"]`, or all that a function
/// [matches](Self::matching).
///
/// ```
/// # use brooklet::*;
/// let one: Subscription = "orders".into();
/// let two: Subscription = ["orders", "payments"].into();
/// let some = Subscription::matching(|topic| topic.starts_with("orders."));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub(in crate::client) topics: Topics,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) enum Topics {
    Named(BTreeSet<String>),
    Matching(Pattern),
}

/// Says of a topic's name whether it is meant. Two are equal if they are the same one.
#[derive(Clone)]
pub(in crate::client) struct Pattern(Arc<dyn Fn(&str) -> bool + Send + Sync>);

/// What no pattern matches: as Kafka's `exclude.internal.topics` has it.
const INTERNAL_TOPICS: [&str; 2] = [OFFSETS_TOPIC, "__transaction_state"];

impl Pattern {
    pub(in crate::client) fn matches(&self, topic: &str) -> bool {
        !INTERNAL_TOPICS.contains(&topic) && (self.0)(topic)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pattern")
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Pattern {}

impl Subscription {
    /// All topics whose names `wanted` says yes to: those that there are, and those that come. It need not match any. Topics
    /// that go are left without an error. Internal topics are never asked about.
    ///
    /// A poll that waits learns of a new topic at once. `wanted` is called by the consumer's methods, for each topic that there
    /// is whenever one has come.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// let eu = Subscription::matching(|topic| topic.starts_with("orders.eu."));
    /// let mut consumer = broker.consumer("billing").subscribe(eu)?;
    /// broker.create_topic("orders.eu.de", TopicConfig::new())?;
    /// broker.produce(Record::to("orders.eu.de").value("3 apples"))?;
    /// assert_eq!(consumer.poll(Duration::from_secs(1))?.len(), 1);
    /// # Ok(()) }
    /// ```
    pub fn matching(wanted: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self { topics: Topics::Matching(Pattern(Arc::new(wanted))) }
    }

    fn named<T: Into<String>>(topics: impl IntoIterator<Item = T>) -> Self {
        Self { topics: Topics::Named(topics.into_iter().map(Into::into).collect()) }
    }
}

impl From<&str> for Subscription {
    fn from(topic: &str) -> Self {
        Self::named([topic])
    }
}

impl<const N: usize> From<[&str; N]> for Subscription {
    fn from(topics: [&str; N]) -> Self {
        Self::named(topics)
    }
}

impl From<&[&str]> for Subscription {
    fn from(topics: &[&str]) -> Self {
        Self::named(topics.iter().copied())
    }
}

impl From<Vec<String>> for Subscription {
    fn from(topics: Vec<String>) -> Self {
        Self::named(topics)
    }
}
