//! Topics as the controller says that they are. Their partitions get directories on a broker when it is to have a copy.

use crate::{
    config::TopicConfig,
    error::{Error, Result},
    node::{Node, admin::Creation},
    rpc::{AlterConfigsRequest, CreatePartitionsRequest, DeleteTopicRequest},
    types::TopicId,
};

impl Node {
    /// There is a topic, with these settings and so many partitions. Fine if that is known.
    pub(crate) fn host_topic(&self, name: &str, id: TopicId, config: &TopicConfig) -> Result<()> {
        let there = self.topics.read().get(name).map(|topic| topic.entry.clone());
        let Some(there) = there else { return self.make_hosted(name, id, config) };
        if there.id != id {
            self.unhost(name)?;
            return self.make_hosted(name, id, config);
        }
        let (before, total) = (there.config.partition_count()?, config.partition_count()?);
        if total > before {
            self.handle_create_partitions(&CreatePartitionsRequest { topic: name.to_owned(), total })?;
        }
        if there.config.values() != config.values() {
            let config = TopicConfig::from_stored(total, config.values().clone());
            self.handle_alter_configs(&AlterConfigsRequest { topic: name.to_owned(), config })?;
        }
        Ok(())
    }

    fn make_hosted(&self, name: &str, id: TopicId, config: &TopicConfig) -> Result<()> {
        let made = self.create_topic(name, config.clone(), Creation { id: Some(id), with_logs: false });
        made.map(drop)
    }

    /// There is no such topic any more.
    pub(crate) fn unhost_topic(&self, id: TopicId) -> Result<()> {
        let name = self
            .topics
            .read()
            .iter()
            .find(|topic| topic.entry.id == id)
            .map(|topic| topic.entry.name.clone());
        name.map_or(Ok(()), |name| self.unhost(&name))
    }

    fn unhost(&self, name: &str) -> Result<()> {
        match self.handle_delete_topic(&DeleteTopicRequest { name: name.to_owned() }) {
            Err(Error::UnknownTopicOrPartition { .. }) => Ok(()),
            done => done.map(drop),
        }
    }
}
