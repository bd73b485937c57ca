//! The rules of Kafka's semantics, each by its number where it has one, over every kind of broker and through nothing
//! but the client.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "rules/acks.rs"]
mod acks;
#[path = "rules/append.rs"]
mod append;
mod common;
#[path = "rules/compaction.rs"]
mod compaction;
#[path = "rules/configs.rs"]
mod configs;
#[path = "rules/consumers.rs"]
mod consumers;
#[path = "rules/consuming.rs"]
mod consuming;
#[path = "rules/group_admin.rs"]
mod group_admin;
#[path = "rules/groups.rs"]
mod groups;
#[path = "rules/growing.rs"]
mod growing;
#[path = "rules/lifetimes.rs"]
mod lifetimes;
#[path = "rules/log_dirs.rs"]
mod log_dirs;
#[path = "rules/members.rs"]
mod members;
#[path = "rules/offsets.rs"]
mod offsets;
#[path = "rules/partitions.rs"]
mod partitions;
#[path = "rules/retention.rs"]
mod retention;
#[path = "rules/stored.rs"]
mod stored;
#[path = "rules/subscribing.rs"]
mod subscribing;
#[path = "rules/topics.rs"]
mod topics;
