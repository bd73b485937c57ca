//! Topics as the controller says that they are. Their partitions get directories on a broker when it is to have a copy.

use crate::{
    config::TopicConfig,
    error::{Error, Result},
    node::{
        Node,
        admin::{Creation, check_not_internal},
    },
    rpc::{AlterConfigsRequest, CreatePartitionsRequest, CreateTopicRequest, DeleteTopicRequest, Request},
    types::{OFFSETS_TOPIC, TopicId},
};

impl Node {
    /// What a client asks of the controller, as it is put to that: settings that it leaves out are this broker's.
    pub(crate) fn for_controller(&self, request: Request) -> Result<Request> {
        let topic = match &request {
            Request::CreateTopic(request) => &request.name,
            Request::CreatePartitions(request) => &request.topic,
            Request::DeleteTopic(request) => &request.name,
            Request::AlterConfigs(request) => &request.topic,
            _ => return Ok(request),
        };
        check_not_internal(topic)?;
        Ok(match request {
            Request::CreateTopic(request) => self.with_defaults(request.name, request.config).into(),
            other => other,
        })
    }

    /// Asks for the topic that groups are kept in; `None`: it is there.
    pub(crate) fn offsets_topic_wanted(&self) -> Option<Request> {
        let is_there = self.topics.read().get(OFFSETS_TOPIC).is_some();
        let config = TopicConfig::offsets_topic(self.replication.as_ref()?.offsets_partitions);
        (!is_there).then(|| self.with_defaults(OFFSETS_TOPIC.to_owned(), config).into())
    }

    fn with_defaults(&self, name: String, config: TopicConfig) -> CreateTopicRequest {
        CreateTopicRequest { name, config: config.or(&self.topic_defaults) }
    }

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

    /// The topics that are known here.
    pub(crate) fn hosted_topics(&self) -> Vec<TopicId> {
        self.topics.read().iter().map(|topic| topic.entry.id).collect()
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
