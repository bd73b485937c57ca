//! What an embedded broker promises beside the rules: its directory, its lock, its flushes, and its clock.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "broker/adoption.rs"]
mod adoption;
#[path = "broker/clock.rs"]
mod clock;
mod common;
#[path = "broker/directory.rs"]
mod directory;
#[path = "broker/flush.rs"]
mod flush;
#[path = "broker/metrics.rs"]
mod metrics;
#[path = "broker/producer.rs"]
mod producer;
#[path = "broker/recovery.rs"]
mod recovery;
#[path = "broker/retention.rs"]
mod retention;
#[path = "broker/verify.rs"]
mod verify;

use brooklet::{
    Admin, Broker, BrokerBuilder, Client, Consumer, ConsumerBuilder, ConsumerConfig, ConsumerHandle,
    ConsumerRecord, Delivery, Error, ManualClock, Offsets, OwnedRecord, Producer, Record, Records,
    RecoveryReport, SharedBytes, SimDisk, TopicConfig,
};

const fn shared_by_threads<T: Send + Sync + 'static>() {}
const fn goes_to_another_thread<T: Send + 'static>() {}

/// What threads share, and what goes from one to another; checked by the compiler.
const _: () = {
    shared_by_threads::<Broker>();
    shared_by_threads::<BrokerBuilder>();
    shared_by_threads::<Client>();
    shared_by_threads::<Admin>();
    shared_by_threads::<ConsumerHandle>();
    shared_by_threads::<Records>();
    shared_by_threads::<Producer>();
    shared_by_threads::<Delivery>();
    shared_by_threads::<OwnedRecord>();
    shared_by_threads::<SharedBytes>();
    shared_by_threads::<ConsumerRecord<'static>>();
    shared_by_threads::<Record<'static>>();
    shared_by_threads::<Offsets>();
    shared_by_threads::<Error>();
    shared_by_threads::<TopicConfig>();
    shared_by_threads::<ConsumerConfig>();
    shared_by_threads::<RecoveryReport>();
    shared_by_threads::<SimDisk>();
    shared_by_threads::<ManualClock>();
    goes_to_another_thread::<Consumer>();
    goes_to_another_thread::<ConsumerBuilder>();
};

/// Runs one test of this file in a process of its own, with a directory to work on, its temporary files' too, and gives
/// what it said.
fn in_a_child(test: &str, dir: &std::path::Path) -> std::process::Output {
    let program = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new(program);
    child.args(["--exact", test, "--nocapture"]).env(CHILD_DIR, dir).env("TMPDIR", dir).output().unwrap()
}

/// The directory that a child process works on; none in the process of the tests themselves.
fn child_dir() -> Option<std::path::PathBuf> {
    std::env::var_os(CHILD_DIR).map(Into::into)
}

const CHILD_DIR: &str = "BROOKLET_TEST_CHILD_DIR";
