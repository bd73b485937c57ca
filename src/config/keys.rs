//! Client settings by Kafka's names for them, as a map of strings has them: what each sets, and what is only let pass.

use crate::{
    error::{Error, Result},
    types::{Acks, Compression, IsolationLevel, millis},
};
use std::{fmt::Display, str::FromStr, time::Duration};

/// A setting: its names, the one that is Kafka's first, and how it is read and written as text.
pub(super) struct Key<C> {
    pub(super) names: &'static [&'static str],
    /// A reason, if the value is none that it can have.
    pub(super) set: fn(&mut C, &str) -> Result<(), String>,
    pub(super) get: fn(&C) -> String,
}

/// What a value was refused for, until the call that uses the settings tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    key: String,
    value: String,
    reason: String,
}

impl Refused {
    pub(super) fn new(key: &str, value: &str, reason: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned(), reason: reason.to_owned() }
    }
}

impl From<Refused> for Error {
    fn from(Refused { key, value, reason }: Refused) -> Self {
        Self::InvalidConfig { key, value, reason }
    }
}

/// Settings of Kafka's clients and of librdkafka that have no meaning where there is no network; what they begin with, if
/// that ends with a dot.
const NO_MEANING: &[&str] = &[
    "bootstrap.servers",
    "metadata.broker.list",
    "client.",
    "group.protocol",
    "sasl.",
    "ssl.",
    "security.",
    "socket.",
    "broker.",
    "reconnect.",
    "retry.",
    "metadata.",
    "topic.metadata.",
    "api.",
    "log.",
    "log_level",
    "log_cb",
    "debug",
    "opaque",
    "statistics.interval.ms",
    "connections.max.idle.ms",
    "receive.buffer.bytes",
    "receive.message.max.bytes",
    "send.buffer.bytes",
    "message.max.bytes",
    "max.request.size",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "retries",
    "message.send.max.retries",
    "request.timeout.ms",
    "delivery.report.only.error",
    "default.api.timeout.ms",
    "check.crcs",
    "key.",
    "value.",
];

/// Settings of which one value alone is what happens here.
const FIXED: &[(&str, &str)] = &[
    ("enable.partition.eof", "false"),
    ("enable.auto.offset.store", "true"),
    ("allow.auto.create.topics", "false"),
    ("partitioner.ignore.keys", "false"),
    ("exclude.internal.topics", "true"),
];

/// Sets what the key names.
pub(super) fn set<C>(keys: &[Key<C>], config: &mut C, key: &str, value: &str) -> Result<(), Refused> {
    let refused = |reason: &str| Refused::new(key, value, reason);
    if let Some(known) = find(keys, key) {
        return (known.set)(config, value.trim()).map_err(|reason| refused(&reason));
    }
    if let Some((_, only)) = FIXED.iter().find(|(name, _)| *name == key) {
        return if value.trim() == *only {
            Ok(())
        } else {
            Err(refused(&format!("here it is always {only}")))
        };
    }
    let passes = |name: &&&str| **name == key || name.ends_with('.') && key.starts_with(**name);
    match NO_MEANING.iter().find(passes) {
        Some(_) => Ok(()),
        None => Err(refused("there is no such setting")),
    }
}

/// Tells what was refused first, or else which of these sizes is 0.
pub(super) fn check(refused: Option<&Refused>, sizes: &[(&str, usize)]) -> Result<()> {
    let empty = || sizes.iter().find(|(_, size)| *size == 0);
    let wrong =
        refused.cloned().or_else(|| empty().map(|(key, _)| Refused::new(key, "0", "at least 1 is needed")));
    wrong.map_or(Ok(()), |wrong| Err(wrong.into()))
}

/// The value that holds, as text; `None`: there is no such setting.
pub(super) fn get<C>(keys: &[Key<C>], config: &C, key: &str) -> Option<String> {
    find(keys, key).map(|known| (known.get)(config))
}

fn find<'k, C>(keys: &'k [Key<C>], key: &str) -> Option<&'k Key<C>> {
    keys.iter().find(|known| known.names.contains(&key))
}

pub(super) fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "a whole number is needed, not too large and not negative".to_owned())
}

/// Milliseconds, also with a fraction as librdkafka has them.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "a number of milliseconds, 0 or more, is needed".to_owned();
    if let Ok(ms) = text.parse() {
        return Ok(if ms >= i64::MAX as u64 { Duration::MAX } else { Duration::from_millis(ms) });
    }
    let ms: f64 = text.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(ms / 1000.0).map_err(|_| wrong())
}

/// Days, hours, minutes and seconds as ISO 8601 has them: `P1DT2H3M4.5S`. `None` for what is not that, or is negative.
pub(super) fn iso_8601(text: &str) -> Option<Duration> {
    let (days, clock) = text.strip_prefix('P')?.split_once('T').unwrap_or((text.get(1..)?, ""));
    if (days.is_empty() && clock.is_empty()) || text.ends_with('T') {
        return None;
    }
    let of_days = parts(days, &[('D', 86_400.0)])?;
    of_days.checked_add(parts(clock, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])?)
}

/// The sum of numbers with units, each unit once at most and in this order.
fn parts(mut text: &str, units: &[(char, f64)]) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for (unit, seconds) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            let number: f64 = number.parse().ok()?;
            sum = sum.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(sum)
}

pub(super) fn span_text(span: Duration) -> String {
    if span == Duration::MAX { i64::MAX } else { millis(span) }.to_string()
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "true or false is needed".to_owned())
}

/// One of some words, each with what it stands for.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let known = || words.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    found.map(|(_, value)| *value).ok_or_else(|| format!("one of these is needed: {}", known()))
}

/// The first of the words that stands for a value.
pub(super) fn word_for<T: PartialEq>(value: &T, words: &[(&str, T)]) -> String {
    words.iter().find(|(_, of)| of == value).map_or("", |(name, _)| name).to_owned()
}

pub(super) const CODECS: &[(&str, Compression)] = &[
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

pub(super) const ACKS: &[(&str, Acks)] =
    &[("all", Acks::All), ("-1", Acks::All), ("0", Acks::Zero), ("1", Acks::One)];

pub(super) const ISOLATION: &[(&str, IsolationLevel)] = &[
    ("read_uncommitted", IsolationLevel::ReadUncommitted),
    ("read_committed", IsolationLevel::ReadCommitted),
];

/// As text, whatever it is.
pub(super) fn text(value: impl Display) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_iso_8601_has_them() {
        let seconds = |text| iso_8601(text).map(|span| span.as_secs_f64());
        assert_eq!(seconds("P1DT2H3M4.5S"), Some(93_784.5));
        assert_eq!(seconds("PT24H"), Some(86_400.0));
        assert_eq!(seconds("P7D"), Some(604_800.0));
        for wrong in ["", "P", "PT", "P1DT", "7D", "PT1D", "P1H", "PT1M2H", "PT-1S", "PT1", "P1DT1S1S", "PTS"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
