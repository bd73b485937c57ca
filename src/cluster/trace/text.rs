//! A trace as text: the story, or all of it.

use super::{ClusterTrace, Told};
use crate::types::Instant;
use std::{
    fmt::{self, Display},
    time::Duration,
};

/// A line of text: what happened, with the time since the start.
pub(super) fn line(at: Instant, what: impl Display) -> String {
    let since: Duration = at.since(Instant::default());
    format!("{:>12.6} {what}", since.as_secs_f64())
}

impl Display for ClusterTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => self.told.whole().iter().try_for_each(|line| writeln!(f, "{line}")),
            false => self.lines().iter().try_for_each(|line| writeln!(f, "{line}")),
        }
    }
}

impl Told {
    /// The story with high watermarks and clients' requests among its lines.
    fn whole(&self) -> Vec<String> {
        let facts = self.facts.items().iter().zip(self.lines.items());
        let mut lines: Vec<(Instant, String)> = facts.map(|((at, _), line)| (*at, line.clone())).collect();
        lines.extend(self.watermarks.items().iter().map(|raised| {
            let (partition, leader, offset) = (self.name(raised.partition), raised.leader, raised.offset);
            let what = format_args!("{partition}: broker {leader} lets read up to {offset}");
            (raised.at, line(raised.at, what))
        }));
        let requests = self.requests.items().iter();
        lines.extend(requests.map(|request| (request.sent, line(request.sent, request.to_text(self)))));
        lines.sort_by_key(|(at, _)| *at);
        lines.into_iter().map(|(_, line)| line).collect()
    }
}
