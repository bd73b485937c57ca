//! Kafka's checkpoint files: an offset for each partition, as text. (Kafka: `CheckpointFile`)

use crate::{
    env::{Storage, read_file, replace_file},
    error::{Error, Result},
    types::{Offset, TopicPartition, check_topic_name},
};
use std::{collections::BTreeMap, path::Path};

/// The broker-wide file of recovery points.
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";

/// Where logs begin that do not begin at 0.
pub(crate) const LOG_STARTS: &str = "log-start-offset-checkpoint";

/// High watermarks: for Kafka, brooklet finds them in the logs.
pub(crate) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";

/// Up to where logs were cleaned.
pub(crate) const CLEANED: &str = "cleaner-offset-checkpoint";

/// A checkpoint has a line of at most 270 bytes or so for each partition; this is room for three million.
const LIMIT: u64 = 1 << 30;

pub(crate) type OffsetsByPartition = BTreeMap<TopicPartition, Offset>;

/// Reads a checkpoint. A file that is not there, or is empty, has no entries; one that is anything else than a
/// checkpoint is damage, since it is only ever replaced as a whole.
pub(crate) fn read_checkpoint(storage: &dyn Storage, path: &Path) -> Result<OffsetsByPartition> {
    let Some(bytes) = read_file(storage, path, LIMIT)?.filter(|bytes| !bytes.is_empty()) else {
        return Ok(BTreeMap::new());
    };
    let parsed = std::str::from_utf8(&bytes).ok().and_then(parse);
    parsed.ok_or_else(|| Error::KafkaStorageError {
        path: path.to_owned(),
        partition: None,
        offset: None,
        reason: "it is not a checkpoint of version 0".to_owned(),
    })
}

/// Replaces a checkpoint, durably.
pub(crate) fn write_checkpoint(
    storage: &dyn Storage,
    path: &Path,
    offsets: &OffsetsByPartition,
) -> Result<()> {
    replace_file(storage, path, to_text(offsets).as_bytes())
}

fn to_text(offsets: &OffsetsByPartition) -> String {
    let line =
        |(of, offset): (&TopicPartition, &Offset)| format!("{} {} {offset}\n", of.topic(), of.partition());
    let lines: String = offsets.iter().map(line).collect();
    format!("0\n{}\n{lines}", offsets.len())
}

fn parse(text: &str) -> Option<OffsetsByPartition> {
    let mut lines = text.lines();
    let version = lines.next()?;
    let count: usize = lines.next()?.parse().ok()?;
    let mut offsets = OffsetsByPartition::new();
    for line in lines {
        let (of, offset) = entry(line)?;
        // Of two that say different things, neither is known to be right.
        if offsets.insert(of, offset).is_some() {
            return None;
        }
    }
    (version == "0" && offsets.len() == count).then_some(offsets)
}

fn entry(line: &str) -> Option<(TopicPartition, Offset)> {
    let mut words = line.split(' ');
    let topic = words.next().filter(|name| check_topic_name(name).is_ok())?;
    let partition: i32 = words.next()?.parse().ok()?;
    let offset = Offset::new(words.next()?.parse().ok()?);
    let whole = words.next().is_none() && partition >= 0 && offset >= Offset::ZERO;
    whole.then(|| (TopicPartition::new(topic, partition), offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_kafkas_text_and_refuses_any_other() {
        let text = "0\n2\na-b 0 7\nplain 2 207\n";
        assert_eq!(parse(text).map(|offsets| to_text(&offsets)).as_deref(), Some(text));
        for bad in [
            "0",
            "1\n0\n",
            "0\n1\n",
            "0\n1\na 0\n",
            "0\n1\na 0 -1\n",
            "0\n1\na 0 1 2\n",
            "0\n2\na 0 1\na 0 1\n",
            "0\n1\na 0 1\na 0 1\n",
            "0\n1\na -1 1\n",
            "0\n1\n/ 0 1\n",
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_order_of_the_lines_does_not_matter() {
        let sorted = parse("0\n3\na 0 1\na 1 2\nb 0 3\n");
        assert!(sorted.is_some());
        assert_eq!(parse("0\n3\nb 0 3\na 1 2\na 0 1\n"), sorted);
    }
}
