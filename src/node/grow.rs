//! More partitions for a topic: durable in the metadata file before anything else, then on the disk, then for clients
//! to see. A crash in between is finished by the next open, as that of a topic's creation is.

use super::{
    Node,
    parked::Waiter,
    partition::Partition,
    topics::{TopicEntry, write_metadata},
};
use crate::{
    config::TopicConfig,
    error::{Error, Result},
    log::LogConfig,
    rpc::{CreatePartitionsRequest, Done},
    trace,
};
use std::sync::Arc;

impl Node {
    pub(super) fn handle_create_partitions(&self, request: &CreatePartitionsRequest) -> Result<Done> {
        let one_at_a_time = self.admin.lock();
        self.check_open()?;
        self.finish_removals()?;
        let (entry, before) = self.grown(&request.topic, request.total)?;
        let settings = entry.config.settings()?;
        let configs: Vec<LogConfig> =
            (before..request.total).map(|n| self.log_config(&entry, n, &settings)).collect();
        configs.iter().try_for_each(|config| self.check_unused(config))?;
        let entries = self.topics.read().entries_with(&entry);
        write_metadata(&*self.storage, &self.dir, &entries)?;
        // From here on they are there, whatever fails: a metadata file that knew less than the disk would be refused. A
        // log that cannot be made now is made with its first record, or at the next open.
        let mut first_error = None;
        let later = self.replication.is_some();
        let make = |config: LogConfig| {
            if later {
                return Partition::new(self.seams(), entry.id, config, None);
            }
            let log =
                self.make_log(&config, entry.id).map_err(|error| first_error.get_or_insert(error).clone());
            Partition::new(self.seams(), entry.id, config, log.ok())
        };
        let made = configs.into_iter().map(make).collect();
        self.publish(entry, made);
        drop(one_at_a_time);
        trace::partitions_created(&request.topic, request.total);
        first_error.map_or(Ok(Done), Err)
    }

    /// The topic as it shall be, and how many partitions it has.
    fn grown(&self, name: &str, total: i32) -> Result<(TopicEntry, i32)> {
        let there = self.changeable(name, "an internal topic has the partitions that it has")?;
        let before = there.config.partition_count()?;
        let invalid = |reason| Error::InvalidPartitions { topic: name.to_owned(), reason };
        if total <= before {
            return Err(invalid(format!("it has {before}, and {total} are not more")));
        }
        let config = TopicConfig::from_stored(total, there.config.values().clone());
        config.partition_count().map_err(|error| invalid(error.to_string()))?;
        Ok((TopicEntry { config, ..there }, before))
    }

    /// Shows new partitions to clients.
    fn publish(&self, entry: TopicEntry, made: Vec<Arc<Partition>>) {
        {
            let mut topics = self.topics.write();
            topics.grow(entry, made);
            self.metadata_changed();
        }
        self.tell_of_topics();
    }

    /// Tells those who wait for records, and for news of topics, that there is some.
    pub(super) fn tell_of_topics(&self) {
        let known = self.metadata.get();
        self.parked.who_watches(known).into_iter().for_each(|fetch| fetch.look_again());
    }
}
