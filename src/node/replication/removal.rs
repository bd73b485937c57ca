//! A copy that the controller does not want here any more.

use crate::{
    error::{Error, Result},
    node::{Node, Task, directory::removed_dir, partition::Partition},
};
use std::sync::Arc;

impl Node {
    /// Takes a copy's log away, and gives the partition without one. It has followed what the controller says already.
    ///
    /// A crash in between leaves a log that may be behind: where the broker is to have a copy again by then, it is one that
    /// follows as any other.
    pub(super) fn remove_copy(&self, partition: &Arc<Partition>) -> Result<Arc<Partition>> {
        let one_at_a_time = self.admin.lock();
        let bare = partition.anew();
        self.topics.write().replace(&bare);
        drop(partition.take_log(Error::NotLeaderOrFollower));
        self.topics.write().end_leaving();
        // What was noted of this copy must not be taken for something of a later one.
        self.write_recovery_points()?;
        self.write_log_starts()?;
        self.forget_cleaned_of(|of| of == partition.name())?;
        let dir = self.dir.join(partition.name().to_string());
        let aside = removed_dir(&dir, partition.topic_id);
        self.storage.remove_dir(&aside)?;
        self.storage.rename(&dir, &aside)?;
        self.storage.sync_dir(&self.dir)?;
        let delay = bare.lock().settings().file_delete_delay;
        self.timers.arm(self.clock.now().plus(delay), Task::RemoveDirs(vec![aside]));
        drop(one_at_a_time);
        Ok(bare)
    }
}
