//! A broker's snapshots of the metadata: those that it takes, and those that it gets in place of what it lacks. (Kafka: `SnapshotGenerator`,
/// `MetadataLoader`)
use super::Running;
use crate::{
    bugs::{self, Bug},
    cluster::{marks::Mark, trace::Fact},
    controller::{
        Image,
        quorum::{Event, Snapshot},
    },
    error::Result,
    types::Instant,
};

impl Running {
    /// Takes a snapshot when much lies behind the last one. At most once an event, so that whoever looks at brokers between events
    /// sees every entry before it may go.
    pub(super) fn take_snapshot(&mut self, now: Instant) -> Result<()> {
        let last = self.quorum.snapshot().position.index;
        if self.log.bytes_between(last, self.applied) < self.bytes_between_snapshots {
            return Ok(());
        }
        let Some(position) = self.quorum.snapshot_at(self.applied) else { return Ok(()) };
        let snapshot = Snapshot { position, records: self.image.records().into() };
        if !bugs::is(Bug::DropBeforeSnapshot) {
            self.log.save_snapshot(&snapshot)?;
        }
        self.trace.hit(Mark::SnapshotTaken);
        self.step_quorum(Event::Snapshotted(snapshot), now)
    }

    /// A snapshot takes the place of all that was known.
    pub(super) fn install(&mut self, snapshot: &Snapshot, now: Instant) -> Result<()> {
        self.log.install(snapshot)?;
        let index = snapshot.position.index;
        self.trace.hit(Mark::SnapshotInstalled);
        self.trace.add(now, Fact::Snapshot { broker: self.id, index: index.0 });
        self.begin_with(snapshot);
        self.has_applied(now)
    }

    /// What is known is what the snapshot says.
    pub(super) fn begin_with(&mut self, snapshot: &Snapshot) {
        self.image = Image::of(&snapshot.records);
        self.applied = snapshot.position.index;
        self.brokers_changed = true;
        self.trace.learn_names(&self.image);
        self.changes.note_all(&self.image, self.node.hosted_topics());
    }
}
