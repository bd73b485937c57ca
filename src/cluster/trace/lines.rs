//! A trace as lines of JSON.

use super::{ClusterTrace, Told, json::Object};
use crate::types::{Instant, TopicId};
use std::{sync::Arc, time::Duration};

fn since_start(at: Instant) -> Duration {
    at.since(Instant::default())
}

impl ClusterTrace {
    /// The whole trace for programs: an object of JSON on each line, in order of time.
    ///
    /// Each has `at`, the virtual time since the start in seconds, to the microsecond, and `kind`. Those that are in the story have
    /// `text`, too, which is their line there. Brokers are numbers, times are seconds as in `at`. By `kind`:
    ///
    /// | `kind` | what happened | fields |
    /// | --- | --- | --- |
    /// | `cluster` | the first line: what the run is | `seed` |
    /// | `started`, `shuts_down`, `stopped`, `killed`, `power_lost`, `gone` (for good), `paused`, `went_on`, `isolated`, `fenced`, `unfenced`, `unregistered` | to a broker | `broker` |
    /// | `ended` | a broker ended by itself | `broker`, `why` |
    /// | `registered` | a broker was registered | `broker`, `epoch` |
    /// | `controller`, `resigned` | a broker became the controller, or is it no more | `broker`, `term` |
    /// | `topic`, `topic_deleted` | | `topic`; `partitions`, their number |
    /// | `partition` | the controller says anew who has a partition | `topic`, `partition`, `leader` (or null), `leader_epoch`, `replicas`, `isr`, `eligible` (KIP-966), `adding` and `removing` (of the replicas, while it moves), `unclean`: whether the leader may lack what was acknowledged |
    /// | `high_watermark` | a leader lets consumers read further | `topic`, `partition`, `broker`, `offset` (exclusive) |
    /// | `request` | a client sent a request, at `at` | `api`, `broker`, and `partitions` (names, the first 16) with `partition_count` or `records`, or `topic`, or `group`; once it was answered `answered`, and `offset` (of the first record), `bytes` or `error` |
    /// | `request_refused`, `request_lost`, `answer_lost`, `request_delayed` | a request was [intercepted](crate::Cluster::intercept) | `broker`, `api`; `from`, if it is a broker's; `error`; `by` |
    /// | `clock_skew` | a broker's clock is ahead | `broker`, `millis` |
    /// | `throttle` | partitions move at another rate | `bytes_per_second` (or null: as fast as they can) |
    /// | `split`, `blocked` | the network does not let pass | `one` and `other`, lists; `from` and `to` |
    /// | `loss`, `duplicates`, `reordered`, `delays`, `latency`, `healed` | the network is otherwise from now on | `per_mille`, `by`; `least` and `most` |
    /// | `note` | see [`Cluster::note`](crate::Cluster::note) | |
    /// | `broken` | an [invariant](crate::ClusterBuilder::check_invariants) does not hold | `invariant`, `what` |
    /// | `failed` | see [`Cluster::note_failure`](crate::Cluster::note_failure) | `what` |
    ///
    /// More kinds and fields may come.
    ///
    /// ```
    /// # use brooklet::*;
    /// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// let cluster = Cluster::builder().topic("orders", TopicConfig::new()).start()?;
    /// cluster.produce(Record::to("orders").value("3 apples"))?;
    /// let lines = cluster.trace().to_json_lines();
    /// let produced = lines.lines().find(|line| line.contains(r#""api":"Produce""#)).unwrap();
    /// assert!(produced.contains(r#""partitions":["orders-0"],"records":1"#) && produced.contains(r#""offset":0"#));
    /// std::fs::write(std::env::temp_dir().join("trace.jsonl"), lines)?;
    /// # Ok(()) }
    /// ```
    pub fn to_json_lines(&self) -> String {
        let mut text = String::new();
        for line in self.told.json() {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

impl Told {
    /// A line of JSON for each thing, in order of time.
    pub(super) fn json(&self) -> Vec<String> {
        let mut lines: Vec<(Instant, String)> = Vec::new();
        lines.extend(self.facts.items().iter().map(|(at, fact)| (*at, fact.to_json(since_start(*at)))));
        lines.extend(self.watermarks.items().iter().map(|raised| {
            let mut object = Object::new(since_start(raised.at), "high_watermark");
            let (topic, partition) = raised.partition;
            object.text("topic", &self.topic(topic)).number("partition", partition);
            object.number("broker", raised.leader).number("offset", raised.offset);
            (raised.at, object.end())
        }));
        let requests = self.requests.items().iter();
        lines.extend(requests.map(|request| (request.sent, request.to_json(self, since_start))));
        lines.sort_by_key(|(at, _)| *at);
        let mut cluster = Object::new(Duration::ZERO, "cluster");
        cluster.number("seed", self.seed);
        [cluster.end()].into_iter().chain(lines.into_iter().map(|(_, line)| line)).collect()
    }

    fn topic(&self, id: TopicId) -> Arc<str> {
        self.topics.get(&id).map_or_else(|| id.to_string().into(), Arc::clone)
    }

    /// A partition, as people write it.
    pub(super) fn name(&self, (topic, partition): (TopicId, i32)) -> String {
        format!("{}-{partition}", self.topic(topic))
    }
}
