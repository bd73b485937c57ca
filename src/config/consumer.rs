//! A consumer's settings.

use super::assignors::Assignors;
use super::keys::{
    self, ISOLATION, Key, Refused, flag, iso_8601, number, span, span_text, text, word, word_for,
};
use crate::{
    assign::Assignor,
    error::{Error, Result},
    types::{IsolationLevel, check_group_id},
};
use std::{sync::Arc, time::Duration};

/// As a topic's name.
const MAX_INSTANCE_ID: usize = 249;

/// Where a partition without a usable position begins: one that has no committed offset, or whose position lies
/// outside the log (rule 2).
///
/// ```
/// # use brooklet::*;
/// let config = ConsumerConfig::new("live").auto_offset_reset(AutoOffsetReset::Latest);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AutoOffsetReset {
    /// At the first record that is there. The default here; Kafka's is `Latest`, which skips what was produced
    /// before the consumer came.
    #[default]
    Earliest,
    /// Behind the last record: only what comes from now on.
    Latest,
    /// At the first record whose timestamp is this long ago or less, by the broker's clock; behind the last record if none is
    /// that young (KIP-1106).
    ByDuration(Duration),
    /// Nowhere: [`poll`](crate::Consumer::poll) fails with [`Error::NoOffsetForPartition`] or
    /// [`Error::OffsetOutOfRange`].
    None,
}

/// What a consumer is made with. Checked by [`subscribe`](crate::ConsumerBuilder::subscribe) and
/// [`assign`](crate::ConsumerBuilder::assign).
///
/// ```
/// use brooklet::{AutoOffsetReset, ConsumerConfig};
/// let config = ConsumerConfig::new("billing").auto_offset_reset(AutoOffsetReset::Latest);
/// assert_eq!(config.group(), Some("billing"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ConsumerConfig {
    pub(crate) group: Option<String>,
    pub(crate) auto_offset_reset: AutoOffsetReset,
    pub(crate) max_poll_records: usize,
    pub(crate) fetch_min_bytes: usize,
    pub(crate) fetch_max_wait: Duration,
    pub(crate) fetch_max_bytes: usize,
    pub(crate) max_partition_fetch_bytes: usize,
    pub(crate) isolation_level: IsolationLevel,
    pub(crate) max_decompressed_bytes: usize,
    pub(crate) enable_auto_commit: bool,
    pub(crate) auto_commit_interval: Duration,
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) max_poll_interval: Duration,
    pub(crate) group_instance_id: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) assignors: Assignors,
    /// The first value that was refused.
    refused: Option<Refused>,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            group: None,
            auto_offset_reset: AutoOffsetReset::default(),
            max_poll_records: 500,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_millis(500),
            fetch_max_bytes: 50 << 20,
            max_partition_fetch_bytes: 1 << 20,
            isolation_level: IsolationLevel::default(),
            max_decompressed_bytes: 128 << 20,
            enable_auto_commit: false,
            auto_commit_interval: Duration::from_secs(5),
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(5 * 60),
            group_instance_id: None,
            client_id: None,
            assignors: Assignors::default(),
            refused: None,
        }
    }
}

impl ConsumerConfig {
    /// A consumer of the group `group`, 1 to 32,767 bytes of name.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ConsumerConfig::new("billing").group(), Some("billing"));
    /// ```
    pub fn new(group: impl Into<String>) -> Self {
        Self { group: Some(group.into()), ..Self::default() }
    }

    /// A consumer without a group: it commits nothing, and `subscribe` gives it all partitions.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ConsumerConfig::standalone().group(), None);
    /// ```
    pub fn standalone() -> Self {
        Self::default()
    }

    /// The group's name, if there is one.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ConsumerConfig::from("billing").group(), Some("billing"));
    /// ```
    pub fn group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// Where to begin without a usable position. Default [`AutoOffsetReset::Earliest`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new().partitions(2))?;
    /// # broker.produce(Record::to("orders").key("alice").value("3 apples"))?;
    /// let mut late = broker.consumer(ConsumerConfig::standalone().auto_offset_reset(AutoOffsetReset::Latest)).subscribe("orders")?;
    /// assert!(late.poll(Duration::ZERO)?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn auto_offset_reset(mut self, reset: AutoOffsetReset) -> Self {
        self.auto_offset_reset = reset;
        self
    }

    /// The most records that one `poll` hands out, at least 1. Default 500.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = ConsumerConfig::new("billing").max_poll_records(1);
    /// ```
    pub fn max_poll_records(mut self, records: usize) -> Self {
        self.max_poll_records = records;
        self
    }

    /// How many bytes of batches a fetch waits for, from all partitions together, at least 1. Default 1: records come as
    /// soon as they are there. More makes fewer and fuller polls; it holds back none for longer than
    /// [`fetch_max_wait`](Self::fetch_max_wait), or than the poll's own timeout.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = ConsumerConfig::new("billing").fetch_min_bytes(64 << 10);
    /// ```
    pub fn fetch_min_bytes(mut self, bytes: usize) -> Self {
        self.fetch_min_bytes = bytes;
        self
    }

    /// How long a fetch waits for [`fetch_min_bytes`](Self::fetch_min_bytes) before it takes what there is. Default
    /// 500 ms. With a minimum of 1 byte it changes nothing.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let config = ConsumerConfig::new("billing").fetch_min_bytes(64 << 10).fetch_max_wait(Duration::from_secs(2));
    /// ```
    pub fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.fetch_max_wait = wait;
        self
    }

    /// About how many bytes one fetch takes from all partitions together, at least 1. The first batch of the first
    /// partition that has one comes even if it is larger (rule 5). Default 50 MiB.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = ConsumerConfig::new("billing").fetch_max_bytes(1 << 20);
    /// ```
    pub fn fetch_max_bytes(mut self, bytes: usize) -> Self {
        self.fetch_max_bytes = bytes;
        self
    }

    /// About how many bytes one fetch takes from one partition, at least 1. Default 1 MiB.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = ConsumerConfig::new("billing").max_partition_fetch_bytes(64 << 10);
    /// ```
    pub fn max_partition_fetch_bytes(mut self, bytes: usize) -> Self {
        self.max_partition_fetch_bytes = bytes;
        self
    }

    /// How many bytes the records of one compressed batch may have uncompressed; a batch with more is an
    /// [`Error::UnsupportedCompressionType`]. Default 128 MiB.
    ///
    /// ```
    /// # use brooklet::*;
    /// let frugal = ConsumerConfig::new("billing").max_decompressed_bytes(8 << 20);
    /// ```
    pub fn max_decompressed_bytes(mut self, bytes: usize) -> Self {
        self.max_decompressed_bytes = bytes;
        self
    }

    /// Which records of transactions come. Default [`IsolationLevel::ReadUncommitted`], as Kafka's.
    ///
    /// ```
    /// # use brooklet::*;
    /// let audit = ConsumerConfig::new("audit").isolation_level(IsolationLevel::ReadCommitted);
    /// ```
    pub fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.isolation_level = level;
        self
    }

    /// Whether positions are committed without being asked for. Default `false`; Kafka's is `true`, by which records
    /// that are handed out but not done yet are easily taken for done.
    ///
    /// If so, a [`poll`](crate::Consumer::poll) commits as it begins what *earlier* polls have handed out, once the
    /// [interval](Self::auto_commit_interval) has passed: to poll again is to say that all of it is done. So what is
    /// taken to another thread, and not done as the next poll begins, may be lost in a crash; keep to
    /// [`commit_offsets`](crate::Consumer::commit_offsets) there. [`close`](crate::Consumer::close) commits too, and a
    /// drop never does. Nothing is written while the positions stay as they were at the last automatic commit.
    ///
    /// A commit that fails with a [retriable](Error::is_retriable) error is tried again by the next poll. Another error
    /// comes out of the poll, which has handed out nothing then; the polls after it go on, and the commit is tried
    /// again when the interval has passed. Topics that were deleted are left out.
    ///
    /// Needs a group: else [`Error::InvalidConfig`].
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// # broker.produce(Record::to("orders").value("3 apples"))?;
    /// let config = ConsumerConfig::new("billing").enable_auto_commit(true);
    /// let mut consumer = broker.consumer(config.clone()).subscribe("orders")?;
    /// assert_eq!(consumer.poll(Duration::ZERO)?.len(), 1);
    /// consumer.close()?;
    /// let mut next = broker.consumer(config).subscribe("orders")?;
    /// assert!(next.poll(Duration::ZERO)?.is_empty());
    /// # Ok(()) }
    /// ```
    pub fn enable_auto_commit(mut self, enable: bool) -> Self {
        self.enable_auto_commit = enable;
        self
    }

    /// How long after an automatic commit, or after the first poll, the next one is due, by the broker's clock.
    /// Default 5 s. With [`Duration::ZERO`] each poll commits. Without
    /// [`enable_auto_commit`](Self::enable_auto_commit) it does nothing.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let config = ConsumerConfig::new("billing").enable_auto_commit(true).auto_commit_interval(Duration::from_secs(1));
    /// ```
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.auto_commit_interval = interval;
        self
    }

    /// After how long without a heartbeat its group counts this member as gone, and gives its partitions to others. Default
    /// 45 s; the broker allows 6 s to 30 min, unless it is told otherwise
    /// ([`group_min_session_timeout`](crate::BrokerBuilder::group_min_session_timeout)).
    ///
    /// Heartbeats come from the broker's own thread, never from `poll`. By Kafka's name `session.timeout.ms`.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let config = ConsumerConfig::new("billing").session_timeout(Duration::from_secs(10));
    /// ```
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.session_timeout = timeout;
        self
    }

    /// How often this member says that it lives. Default 3 s; less than the session timeout, of which a third is usual. A
    /// rebalance is not learnt of by it: the broker, which is in the same process, says so at once.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let config = ConsumerConfig::new("billing").heartbeat_interval(Duration::from_secs(1));
    /// ```
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// The longest time between two polls: a member that does not poll for longer leaves its group, and what it was at comes
    /// again elsewhere. Also how long the others wait for it in a rebalance. Default 5 min.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::time::Duration;
    /// let config = ConsumerConfig::new("reports").max_poll_interval(Duration::from_secs(3600));
    /// ```
    pub fn max_poll_interval(mut self, interval: Duration) -> Self {
        self.max_poll_interval = interval;
        self
    }

    /// Makes it a static member (KIP-345) of this name: it does not leave when it is closed, and when it is back within its
    /// session timeout it has the partitions of before, without a rebalance. Two at a time with one name are not allowed: the
    /// older one gets [`Error::FencedInstanceId`]. Default: none. The process's end is the end of all members.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> Result<()> {
    /// # let broker = Broker::temporary()?;
    /// # broker.create_topic("orders", TopicConfig::new())?;
    /// let first = || ConsumerConfig::new("billing").group_instance_id("first");
    /// broker.consumer(first()).subscribe("orders")?.close()?;
    /// assert_eq!(broker.admin().describe_group("billing")?.state, GroupState::Stable);
    /// let again = broker.consumer(first()).subscribe("orders")?;
    /// assert_eq!(again.assignment(), [("orders", 0).into()]);
    /// # Ok(()) }
    /// ```
    pub fn group_instance_id(mut self, id: impl Into<String>) -> Self {
        self.group_instance_id = Some(id.into());
        self
    }

    /// A name for the consumer, which its member id begins with and [`describe_group`](crate::Admin::describe_group) shows.
    /// Default: `consumer`.
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = ConsumerConfig::new("billing").client_id("worker-7");
    /// ```
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client_id = Some(id.into());
        self
    }

    /// How the group's partitions are to be spread over its members. All members need one in common;
    /// [`assignors`](Self::assignors) gives several, so that a group can change from one to another. Default: as Kafka's, first
    /// [`RangeAssignor`](crate::RangeAssignor), then [`CooperativeStickyAssignor`](crate::CooperativeStickyAssignor).
    ///
    /// ```
    /// # use brooklet::*;
    /// let config = ConsumerConfig::new("billing").assignor(RoundRobinAssignor);
    /// ```
    pub fn assignor(self, assignor: impl Assignor + 'static) -> Self {
        self.assignors([Arc::new(assignor) as Arc<dyn Assignor>])
    }

    /// As [`assignor`](Self::assignor): several, the one that it likes best first. By Kafka's name
    /// `partition.assignment.strategy`.
    ///
    /// ```
    /// # use brooklet::*;
    /// # use std::sync::Arc;
    /// let config = ConsumerConfig::new("billing")
    ///     .assignors([Arc::new(RoundRobinAssignor) as Arc<dyn Assignor>, Arc::new(RangeAssignor)]);
    /// assert_eq!(config.get("partition.assignment.strategy").as_deref(), Some("roundrobin,range"));
    /// ```
    pub fn assignors(mut self, assignors: impl IntoIterator<Item = Arc<dyn Assignor>>) -> Self {
        self.assignors = Assignors::new(assignors.into_iter().collect());
        self
    }

    /// Sets a setting by Kafka's name to a value as text: what a map of settings holds. The names are those of these
    /// methods with dots, and `.ms` behind spans; `group.id` names the group.
    ///
    /// Settings of Kafka's clients that have no meaning without a network (`bootstrap.servers`, `sasl.*`, ...) are let pass.
    ///
    /// # Errors
    /// [`subscribe`](crate::ConsumerBuilder::subscribe) and [`assign`](crate::ConsumerBuilder::assign) give
    /// [`Error::InvalidConfig`] for the first one that is not known or cannot have its value.
    ///
    /// ```
    /// # use brooklet::*;
    /// let settings = [("bootstrap.servers", "ignored:9092"), ("group.id", "billing"), ("auto.offset.reset", "latest")];
    /// let config = settings.iter().fold(ConsumerConfig::standalone(), |config, (key, value)| config.set(key, value));
    /// assert_eq!(config, ConsumerConfig::new("billing").auto_offset_reset(AutoOffsetReset::Latest));
    /// ```
    pub fn set(mut self, key: &str, value: &str) -> Self {
        let refused = keys::set(KEYS, &mut self, key, value).err();
        self.refused = self.refused.or(refused);
        self
    }

    /// The value of a setting that holds, by Kafka's name, as text; `None`: there is no such setting.
    ///
    /// ```
    /// # use brooklet::*;
    /// assert_eq!(ConsumerConfig::new("billing").get("max.poll.records").as_deref(), Some("500"));
    /// ```
    pub fn get(&self, key: &str) -> Option<String> {
        keys::get(KEYS, self, key)
    }

    pub(crate) fn check(&self) -> Result<()> {
        let sizes = [
            ("max.poll.records", self.max_poll_records),
            ("fetch.min.bytes", self.fetch_min_bytes),
            ("fetch.max.bytes", self.fetch_max_bytes),
            ("max.partition.fetch.bytes", self.max_partition_fetch_bytes),
            ("max.decompressed.bytes", self.max_decompressed_bytes),
        ];
        keys::check(self.refused.as_ref(), &sizes)?;
        if self.enable_auto_commit && self.group.is_none() {
            let (key, value) = ("enable.auto.commit".to_owned(), "true".to_owned());
            let reason = "a consumer without a group commits nothing".to_owned();
            return Err(Error::InvalidConfig { key, value, reason });
        }
        self.check_membership()?;
        self.group.as_deref().map_or(Ok(()), check_group_id)
    }

    fn check_membership(&self) -> Result<()> {
        let refused = |key: &str, value: String, reason: &str| {
            Err(Error::InvalidConfig { key: key.to_owned(), value, reason: reason.to_owned() })
        };
        if let Some(trouble) = self.assignors.trouble() {
            return refused("partition.assignment.strategy", self.assignors.to_string(), trouble);
        }
        if self.group.is_some() && self.heartbeat_interval >= self.session_timeout {
            let reason = "it must be less than session.timeout.ms";
            return refused("heartbeat.interval.ms", span_text(self.heartbeat_interval), reason);
        }
        if self.heartbeat_interval.is_zero() || self.max_poll_interval.is_zero() {
            let heart = self.heartbeat_interval.is_zero();
            let key = if heart { "heartbeat.interval.ms" } else { "max.poll.interval.ms" };
            return refused(key, "0".to_owned(), "it must be more than nothing");
        }
        match &self.group_instance_id {
            Some(id) if id.is_empty() || id.len() > MAX_INSTANCE_ID => {
                refused("group.instance.id", id.clone(), "1 to 249 bytes are needed")
            }
            _ => Ok(()),
        }
    }
}

/// The consumer of a group, with the defaults.
impl From<&str> for ConsumerConfig {
    fn from(group: &str) -> Self {
        Self::new(group)
    }
}

/// Kafka's words, and librdkafka's other ones.
const RESETS: &[(&str, AutoOffsetReset)] = &[
    ("earliest", AutoOffsetReset::Earliest),
    ("latest", AutoOffsetReset::Latest),
    ("none", AutoOffsetReset::None),
    ("smallest", AutoOffsetReset::Earliest),
    ("beginning", AutoOffsetReset::Earliest),
    ("largest", AutoOffsetReset::Latest),
    ("end", AutoOffsetReset::Latest),
    ("error", AutoOffsetReset::None),
];

fn reset(text: &str) -> Result<AutoOffsetReset, String> {
    match text.split_once(':') {
        Some(("by_duration", span)) => {
            let wrong = || "a duration by ISO 8601 is needed, such as by_duration:PT24H".to_owned();
            iso_8601(span).map(AutoOffsetReset::ByDuration).ok_or_else(wrong)
        }
        _ => word(text, RESETS),
    }
}

const KEYS: &[Key<ConsumerConfig>] = &[
    Key {
        names: &["group.id"],
        set: |config, value| {
            config.group = Some(value.to_owned());
            Ok(())
        },
        get: |config| config.group.clone().unwrap_or_default(),
    },
    Key {
        names: &["auto.offset.reset"],
        set: |config, value| reset(value).map(|reset| config.auto_offset_reset = reset),
        get: |config| match config.auto_offset_reset {
            AutoOffsetReset::ByDuration(span) => format!("by_duration:PT{}S", span.as_secs_f64()),
            reset => word_for(&reset, RESETS),
        },
    },
    Key {
        names: &["max.poll.records"],
        set: |config, value| number(value).map(|records| config.max_poll_records = records),
        get: |config| text(config.max_poll_records),
    },
    Key {
        names: &["fetch.min.bytes"],
        set: |config, value| number(value).map(|bytes| config.fetch_min_bytes = bytes),
        get: |config| text(config.fetch_min_bytes),
    },
    Key {
        names: &["fetch.max.wait.ms", "fetch.wait.max.ms"],
        set: |config, value| span(value).map(|wait| config.fetch_max_wait = wait),
        get: |config| span_text(config.fetch_max_wait),
    },
    Key {
        names: &["fetch.max.bytes"],
        set: |config, value| number(value).map(|bytes| config.fetch_max_bytes = bytes),
        get: |config| text(config.fetch_max_bytes),
    },
    Key {
        names: &["max.partition.fetch.bytes", "fetch.message.max.bytes"],
        set: |config, value| number(value).map(|bytes| config.max_partition_fetch_bytes = bytes),
        get: |config| text(config.max_partition_fetch_bytes),
    },
    Key {
        names: &["max.decompressed.bytes"],
        set: |config, value| number(value).map(|bytes| config.max_decompressed_bytes = bytes),
        get: |config| text(config.max_decompressed_bytes),
    },
    Key {
        names: &["isolation.level"],
        set: |config, value| word(value, ISOLATION).map(|level| config.isolation_level = level),
        get: |config| word_for(&config.isolation_level, ISOLATION),
    },
    Key {
        names: &["enable.auto.commit"],
        set: |config, value| flag(value).map(|enable| config.enable_auto_commit = enable),
        get: |config| text(config.enable_auto_commit),
    },
    Key {
        names: &["auto.commit.interval.ms"],
        set: |config, value| span(value).map(|interval| config.auto_commit_interval = interval),
        get: |config| span_text(config.auto_commit_interval),
    },
    Key {
        names: &["session.timeout.ms"],
        set: |config, value| span(value).map(|timeout| config.session_timeout = timeout),
        get: |config| span_text(config.session_timeout),
    },
    Key {
        names: &["heartbeat.interval.ms"],
        set: |config, value| span(value).map(|interval| config.heartbeat_interval = interval),
        get: |config| span_text(config.heartbeat_interval),
    },
    Key {
        names: &["max.poll.interval.ms"],
        set: |config, value| span(value).map(|interval| config.max_poll_interval = interval),
        get: |config| span_text(config.max_poll_interval),
    },
    Key {
        names: &["group.instance.id"],
        set: |config, value| {
            config.group_instance_id = Some(value.to_owned()).filter(|id| !id.is_empty());
            Ok(())
        },
        get: |config| config.group_instance_id.clone().unwrap_or_default(),
    },
    Key {
        names: &["client.id"],
        set: |config, value| {
            config.client_id = Some(value.to_owned()).filter(|id| !id.is_empty());
            Ok(())
        },
        get: |config| config.client_id.clone().unwrap_or_default(),
    },
    Key {
        names: &["partition.assignment.strategy"],
        set: |config, value| Assignors::parse(value).map(|assignors| config.assignors = assignors),
        get: |config| text(&config.assignors),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_by_name_holds_and_the_first_wrong_one_is_told() {
        let config = ConsumerConfig::standalone()
            .set("group.id", "g")
            .set("auto.offset.reset", "Largest")
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "250")
            .set("isolation.level", "read_committed")
            .set("session.timeout.ms", "6000")
            .set("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        let wanted = ConsumerConfig::new("g")
            .auto_offset_reset(AutoOffsetReset::Latest)
            .enable_auto_commit(true)
            .auto_commit_interval(Duration::from_millis(250))
            .isolation_level(IsolationLevel::ReadCommitted)
            .session_timeout(Duration::from_secs(6))
            .assignor(crate::assign::RangeAssignor);
        assert_eq!(config, wanted);
        assert!(config.check().is_ok());
        for key in KEYS {
            let name = key.names[0];
            let value = config.get(name).expect("it is one");
            assert_eq!(config.clone().set(name, &value).get(name), Some(value), "{name}");
        }
        let since = config.clone().set("auto.offset.reset", "by_duration:P1DT1.5S");
        assert_eq!(since.auto_offset_reset, AutoOffsetReset::ByDuration(Duration::from_millis(86_401_500)));
        assert_eq!(since.get("auto.offset.reset").as_deref(), Some("by_duration:PT86401.5S"));
        let breathless = ConsumerConfig::new("g").set("heartbeat.interval.ms", "45000");
        assert!(matches!(breathless.check(), Err(Error::InvalidConfig { .. })));
        for (key, value) in [
            ("auto.offset.reset", "soonest"),
            ("auto.offset.reset", "by_duration:1h"),
            ("enable.auto.commit", "yes"),
            ("group", "g"),
            ("partition.assignment.strategy", "best"),
        ] {
            let config = ConsumerConfig::new("g").set(key, value).set("fetch.min.bytes", "also wrong");
            let error = config.check().expect_err("it is wrong");
            assert!(matches!(&error, Error::InvalidConfig { key: told, .. } if told == key), "{error}");
        }
    }
}
