//! A topic's settings are altered: durable in the metadata file before any of them holds.

use super::{
    Node,
    partition::Partition,
    topics::{TopicEntry, write_metadata},
};
use crate::{
    config::TopicConfig,
    error::{Error, Result},
    rpc::{AlterConfigsRequest, Done},
    trace,
};
use std::sync::Arc;

impl Node {
    pub(super) fn handle_alter_configs(&self, request: &AlterConfigsRequest) -> Result<Done> {
        let one_at_a_time = self.admin.lock();
        self.check_open()?;
        let entry = self.altered(&request.topic, &request.config)?;
        let (settings, gaps) = (entry.config.settings()?, entry.gaps);
        let entries = self.topics.read().entries_with(&entry);
        write_metadata(&*self.storage, &self.dir, &entries)?;
        // The file says so: from here on every partition has to follow, whatever becomes of another.
        let partitions = self.topics.write().alter(entry);
        let altered: Vec<Result<()>> = partitions
            .iter()
            .map(|partition| {
                let altered = partition.alter(&settings, gaps);
                self.hasten_flush(partition);
                altered
            })
            .collect();
        drop(one_at_a_time);
        if settings.cleanup_policy.compacts() {
            self.clean_later();
        }
        trace::topic_altered(&request.topic);
        for (partition, flushed) in partitions.iter().zip(&altered) {
            if let Err(error) = flushed {
                trace::flush_failed(partition.name(), error);
            }
        }
        altered.into_iter().collect::<Result<()>>().map(|()| Done)
    }

    /// The topic as it shall be.
    fn altered(&self, name: &str, config: &TopicConfig) -> Result<TopicEntry> {
        let there = self.changeable(name, "an internal topic has the settings that it has")?;
        let altered = config.clone().or(&there.config);
        if altered.partition_count()? != there.config.partition_count()? {
            let (key, value) = ("num.partitions".to_owned(), altered.partition_count()?.to_string());
            let reason = "create_partitions adds partitions".to_owned();
            return Err(Error::InvalidConfig { key, value, reason });
        }
        let gaps = there.gaps || altered.settings()?.cleanup_policy.compacts();
        Ok(TopicEntry { config: altered, gaps, ..there })
    }

    /// A flush that is on its way may be further off than the topic lets by now.
    fn hasten_flush(&self, partition: &Arc<Partition>) {
        let armed = partition.lock().flush_armed;
        if armed {
            self.arm_flush(partition, false);
        }
    }
}
