//! Programs to copy from, one for each of the things that logs and groups are used for most.
//!
//! | what you want | recipe |
//! |---|---|
//! | to answer a request only when its event survives a power cut | [`outbox`] |
//! | to work on records in threads, and to stop without losing or waiting | [`worker`] |
//! | to do slow work on many threads, in any order | [`any_order`] |
//! | to make one topic out of another | [`pipeline`] |
//! | to read again what came since yesterday, or have a group do so | [`replay`] |
//! | to get past records that cannot be worked on, and to wait for what is down | [`dead_letters`] |
//! | to see who is behind, and how far | [`status`] |
//! | to test what depends on time, without waiting | [`time_in_tests`] |
//! | to test that nothing is lost in a crash | [`crash_test`] |
//! | to test that nothing is lost when leaders die | [`leader_killed`] |
//! | to test what happens when requests fail | [`injected_errors`] |
//! | to replace rust-rdkafka and a broker | [`rdkafka`] |
//!
//! Each is a whole program that the tests run. It opens a [temporary](crate::Broker::temporary) broker, which is gone
//! afterwards; yours has `Broker::open("data")?` in that place.
//!
//! Larger programs are in `examples/`: `tail.rs`, lines in at one end and out at the other, and `stats.rs`, a live
//! table of topics and groups; a third, `groups.rs`, has workers of one group die and come late. The first one to run is `quickstart.rs`.

#[doc = include_str!("recipes/outbox.md")]
///
/// ---
///
/// Used here: [`Client::produce`](crate::Client::produce), [`Durability`](crate::Durability),
/// [`Broker::flush`](crate::Broker::flush), [`Broker::durable_offset`](crate::Broker::durable_offset),
/// [`Error::is_indeterminate`](crate::Error::is_indeterminate). Next: [`worker`].
pub mod outbox {}

#[doc = include_str!("recipes/worker.md")]
///
/// ---
///
/// Used here: [`Consumer::poll`](crate::Consumer::poll), [`Consumer::handle`](crate::Consumer::handle),
/// [`ConsumerHandle::wakeup`](crate::ConsumerHandle::wakeup), [`Consumer::close`](crate::Consumer::close),
/// [`Records::by_partition`](crate::Records::by_partition). Next: [`any_order`].
pub mod worker {}

#[doc = include_str!("recipes/any_order.md")]
///
/// ---
///
/// Used here: [`OffsetTracker`](crate::OffsetTracker), [`OwnedRecord`](crate::OwnedRecord),
/// [`Consumer::commit_offsets`](crate::Consumer::commit_offsets). Next: [`pipeline`].
pub mod any_order {}

#[doc = include_str!("recipes/pipeline.md")]
///
/// ---
///
/// Used here: [`Producer::send`](crate::Producer::send), [`Producer::flush`](crate::Producer::flush),
/// [`Record::copy_of`](crate::Record::copy_of), [`Consumer::commit_offsets`](crate::Consumer::commit_offsets),
/// [`Consumer::seek_to_committed`](crate::Consumer::seek_to_committed). Next: [`replay`].
pub mod pipeline {}

#[doc = include_str!("recipes/replay.md")]
///
/// ---
///
/// Used here: [`Consumer::seek_all`](crate::Consumer::seek_all), [`Timestamp`](crate::Timestamp),
/// [`OffsetSpec`](crate::OffsetSpec), [`Admin::reset_group_offsets`](crate::Admin::reset_group_offsets). Next:
/// [`dead_letters`].
pub mod replay {}

#[doc = include_str!("recipes/dead_letters.md")]
///
/// ---
///
/// Used here: [`Record::copy_of`](crate::Record::copy_of), [`Consumer::commit_offsets`](crate::Consumer::commit_offsets),
/// [`Consumer::seek_to_committed`](crate::Consumer::seek_to_committed). Next: [`status`].
pub mod dead_letters {}

#[doc = include_str!("recipes/status.md")]
///
/// ---
///
/// Used here: [`Admin::list_groups`](crate::Admin::list_groups), [`Admin::describe_group`](crate::Admin::describe_group),
/// [`Admin::describe_topic`](crate::Admin::describe_topic), [`Admin::describe_log_dirs`](crate::Admin::describe_log_dirs),
/// [`Consumer::lag`](crate::Consumer::lag). Next: [`time_in_tests`].
pub mod status {}

#[doc = include_str!("recipes/time_in_tests.md")]
///
/// ---
///
/// Used here: [`ManualClock`](crate::ManualClock), [`BrokerBuilder::clock`](crate::BrokerBuilder::clock),
/// [`TopicConfig::retention_time`](crate::TopicConfig::retention_time),
/// [`ProducerConfig::linger`](crate::ProducerConfig::linger),
/// [`ConsumerConfig::enable_auto_commit`](crate::ConsumerConfig::enable_auto_commit). Next: [`crash_test`].
pub mod time_in_tests {}

#[doc = include_str!("recipes/crash_test.md")]
///
/// ---
///
/// Used here: [`SimDisk`](crate::SimDisk), [`Intercept`](crate::Intercept), [`DiskOp`](crate::DiskOp),
/// [`DiskFault`](crate::DiskFault), [`Broker::recovery`](crate::Broker::recovery). Next: [`leader_killed`].
pub mod crash_test {}

#[doc = include_str!("recipes/leader_killed.md")]
///
/// ---
///
/// Used here: [`Cluster`](crate::Cluster), [`Cluster::kill`](crate::Cluster::kill), [`Cluster::run_until`](crate::Cluster::run_until),
/// [`seeds`](crate::seeds()), [`Error::is_indeterminate`](crate::Error::is_indeterminate). Next: [`injected_errors`].
pub mod leader_killed {}

#[doc = include_str!("recipes/injected_errors.md")]
///
/// ---
///
/// Used here: [`Cluster::intercept`](crate::Cluster::intercept), [`ApiKey`](crate::ApiKey), [`Fault`](crate::Fault),
/// [`Cluster::disk`](crate::Cluster::disk). Next: [`rdkafka`].
pub mod injected_errors {}

#[doc = include_str!("recipes/rdkafka.md")]
///
/// ---
///
/// Used here: [`ConsumerConfig::set`](crate::ConsumerConfig::set), [`ProducerConfig::set`](crate::ProducerConfig::set),
/// [`Delivery::on_complete`](crate::Delivery::on_complete), [`OffsetTracker`](crate::OffsetTracker),
/// [`Consumer::commit_async`](crate::Consumer::commit_async).
pub mod rdkafka {}
