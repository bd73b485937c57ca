//! What an operator may want to know as it happens: one function for each event and each span of the feature `tracing`.
//! Without the feature they are empty, so that who calls them need not ask.
//!
//! A subscriber is user code: who tells it something holds no lock.

use crate::{error::Error, types::TopicPartition};
use std::path::Display;

/// Each with its level and what it says; then, before the semicolon, what is shown as text, and behind it numbers and
/// truths.
macro_rules! events {
    ($($level:ident $says:literal $name:ident($($text:ident: $text_type:ty),*; $($value:ident: $value_type:ty),*),)*) => {
        $(
            #[inline]
            pub(crate) fn $name($($text: $text_type,)* $($value: $value_type,)*) {
                #[cfg(feature = "tracing")]
                tracing::event!(
                    name: stringify!($name),
                    target: TARGET,
                    tracing::Level::$level,
                    { $($text = %$text,)* $($value = $value,)* },
                    $says
                );
                #[cfg(not(feature = "tracing"))]
                let _ = ($($text,)* $($value,)*);
            }
        )*
    };
}

/// As events; a span lasts until what is returned is dropped.
macro_rules! spans {
    ($($level:ident $name:ident($($text:ident: $text_type:ty),*),)*) => {
        $(
            #[inline]
            pub(crate) fn $name($($text: $text_type),*) -> Span {
                #[cfg(feature = "tracing")]
                {
                    let span = tracing::span!(
                        target: TARGET,
                        tracing::Level::$level,
                        stringify!($name),
                        $($text = %$text),*
                    );
                    Span(span.entered())
                }
                #[cfg(not(feature = "tracing"))]
                {
                    let _ = ($($text,)*);
                    Span()
                }
            }
        )*
    };
}

/// Where subscribers find all of it.
#[cfg(feature = "tracing")]
const TARGET: &str = "brooklet";

/// Where a thread is, until this is dropped.
#[must_use = "the span ends when this is dropped"]
pub(crate) struct Span(
    #[cfg(feature = "tracing")]
    #[expect(dead_code, reason = "held, not used")]
    tracing::span::EnteredSpan,
);

spans! {
    INFO open(dir: Display<'_>),
    DEBUG load(partition: &TopicPartition),
    INFO close(dir: Display<'_>),
}

events! {
    INFO "the broker is open" opened(dir: Display<'_>; clean: bool, partitions: u64, bytes_scanned: u64),
    INFO "a topic that was found on the disk is taken up" topic_adopted(topic: &str;),
    WARN "the end of a log was cut in recovery" log_cut(partition: &TopicPartition; end_offset: i64, bytes: u64, good_batches: bool),
    WARN "a follower cut off what its leader does not have" log_truncated(partition: &TopicPartition; end_offset: i64),
    WARN "a follower could not copy from its leader" replication_failed(partition: &TopicPartition, error: &Error;),
    WARN "a damaged log was put in order" log_salvaged(partition: &TopicPartition, reason: &str; offset: i64, next_offset: i64),
    WARN "a file that cannot be read is kept aside" file_kept_aside(path: Display<'_>;),
    WARN "a group had committed more than survived" group_beyond_end(group: &str, partition: &TopicPartition; committed: i64, end_offset: i64),
    INFO "the broker is closed" closed(dir: Display<'_>;),
    ERROR "the broker is closed, and not all of it could be flushed" close_failed(dir: Display<'_>, error: &Error;),

    DEBUG "a segment was closed, and the next one begun" segment_rolled(partition: &TopicPartition; offset: i64),
    INFO "segments below the log's start are deleted" segments_deleted(partition: &TopicPartition; segments: u64, log_start_offset: i64),
    ERROR "a flush failed: the partition takes no more records until the broker is opened anew" flush_failed(partition: &TopicPartition, error: &Error;),
    WARN "the recovery points could not be written: the next recovery reads more" checkpoint_failed(error: &Error;),
    INFO "a compacted log is cleaned" log_cleaned(partition: &TopicPartition; end_offset: i64, bytes_before: u64, bytes_after: u64),
    WARN "a compacted log could not be cleaned" cleaning_failed(partition: &TopicPartition, error: &Error;),
    WARN "what need not be kept could not be removed: the next check tries again" retention_failed(error: &Error;),

    INFO "a topic is created" topic_created(topic: &str; partitions: i32),
    INFO "a topic has more partitions" partitions_created(topic: &str; partitions: i32),
    INFO "a topic's settings are altered" topic_altered(topic: &str;),
    INFO "a topic is deleted" topic_deleted(topic: &str;),

    DEBUG "a group is created" group_created(group: &str;),
    DEBUG "a group is deleted" group_deleted(group: &str;),
    DEBUG "offsets are committed" offsets_committed(group: &str; partitions: u64),
    WARN "a consumer's position lies outside the log, and is reset" position_reset(partition: &TopicPartition, error: &Error;),
    WARN "records were lost that the group had done: the consumer goes back" position_cut(partition: &TopicPartition; committed: i64, end_offset: i64),
    WARN "a producer's batch failed" batch_failed(topic: &str, error: &Error; partition: i32, records: u64),
}
