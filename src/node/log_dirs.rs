//! What lies on the disk, partition by partition.

use super::{Node, partition::Partition};
use crate::{
    error::{Error, Result},
    rpc::{DescribeLogDirsResponse, LogMetadata},
};
use std::sync::Arc;

impl Node {
    pub(super) fn handle_describe_log_dirs(&self) -> Result<DescribeLogDirsResponse> {
        let partitions: Vec<Arc<Partition>> = self.topics.read().partitions().cloned().collect();
        // Of a cluster's logs each broker tells of those that it leads.
        let led = partitions.iter().filter(|partition| partition.lock().check_is_leader().is_ok());
        let described: Result<Vec<Option<LogMetadata>>> = led.map(|partition| partition.describe()).collect();
        let mut logs: Vec<LogMetadata> = described?.into_iter().flatten().collect();
        logs.sort_by(|a, b| a.partition.cmp(&b.partition));
        Ok(DescribeLogDirsResponse { logs })
    }
}

impl Partition {
    /// `None` for a partition without a log, or whose topic was deleted meanwhile.
    fn describe(&self) -> Result<Option<LogMetadata>> {
        let mut state = self.lock();
        let log = match state.log_if_any() {
            Err(Error::UnknownTopicId { .. }) => return Ok(None),
            other => other?,
        };
        let Some(log) = log else { return Ok(None) };
        let (segments, size) = log.size()?;
        Ok(Some(LogMetadata {
            partition: self.name().clone(),
            size,
            segments,
            start: log.start(),
            high_watermark: self.high_watermark(log),
            end: log.end(),
        }))
    }
}
