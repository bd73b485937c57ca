//! How far a long reading is.

use crate::types::TopicPartition;
use std::{fmt, sync::Arc};

/// How far the reading of a partition's log is: for [`BrokerBuilder::on_progress`](crate::BrokerBuilder::on_progress) and
/// [`Broker::verify`](crate::Broker::verify). Told when it begins, about every mebibyte, and when it ends.
///
/// ```
/// use brooklet::{Broker, Progress};
/// # fn main() -> brooklet::Result<()> {
/// let show = |progress: &Progress| {
///     println!("{}: {} of {} bytes", progress.partition, progress.bytes_done, progress.bytes_total);
/// };
/// let broker = Broker::builder().on_progress(show).open_temporary()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// The partition that is read.
    pub partition: TopicPartition,
    /// How many bytes of its log were read, or need not be.
    pub bytes_done: u64,
    /// How many there may be to read, reserved space included.
    pub bytes_total: u64,
}

/// Who wants to know of it.
#[derive(Clone, Default)]
pub(crate) struct OnProgress(pub(crate) Option<Arc<Callback>>);

type Callback = dyn Fn(&Progress) + Send + Sync;

impl fmt::Debug for OnProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
}

/// How many bytes are read between two calls, at least.
const STEP: u64 = 1 << 20;

/// Tells of one partition, and not too often.
pub(super) struct Teller<'p> {
    progress: Progress,
    listener: Option<&'p dyn Fn(&Progress)>,
}

impl<'p> Teller<'p> {
    pub(super) fn new(
        partition: &TopicPartition,
        bytes_total: u64,
        listener: Option<&'p dyn Fn(&Progress)>,
    ) -> Self {
        let progress = Progress { partition: partition.clone(), bytes_done: 0, bytes_total };
        let teller = Self { progress, listener };
        teller.tell();
        teller
    }

    fn tell(&self) {
        self.listener.iter().for_each(|listener| listener(&self.progress));
    }

    /// So many bytes were read by now.
    pub(super) fn read(&mut self, bytes: u64) {
        if bytes >= self.progress.bytes_done + STEP && bytes < self.progress.bytes_total {
            self.progress.bytes_done = bytes;
            self.tell();
        }
    }

    pub(super) fn end(mut self) {
        self.progress.bytes_done = self.progress.bytes_total;
        self.tell();
    }
}
