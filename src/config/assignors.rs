//! The assignors that a consumer can do with.

use crate::assign::{
    Assignor, CooperativeStickyAssignor, RangeAssignor, RebalanceProtocol, RoundRobinAssignor, StickyAssignor,
};
use std::{fmt, sync::Arc};

/// The one that a consumer likes best first. Two lists are equal if they have the same names.
#[derive(Clone)]
pub(crate) struct Assignors(Vec<Arc<dyn Assignor>>);

impl Assignors {
    pub(super) fn new(assignors: Vec<Arc<dyn Assignor>>) -> Self {
        Self(assignors)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Assignor>> {
        self.0.iter()
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<dyn Assignor>> {
        self.0.iter().find(|assignor| assignor.name() == name)
    }

    /// What a member does with its partitions before it joins again: it keeps them only if all of its assignors can do
    /// with that, since it does not know which one will be chosen.
    pub(crate) fn protocol(&self) -> RebalanceProtocol {
        let protocols = self.0.iter().map(|assignor| assignor.protocol());
        protocols.min().unwrap_or(RebalanceProtocol::Eager)
    }

    /// Reads names, with commas between: the assignors' own, or the classes of Kafka's.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let assignors: Vec<_> = names.map(by_name).collect::<Result<_, _>>()?;
        if assignors.is_empty() {
            Err("at least one assignor is needed".to_owned())
        } else {
            Ok(Self(assignors))
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|assignor| assignor.name())
    }

    /// Why such a list cannot be.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        let twice =
            || self.names().enumerate().any(|(n, name)| self.names().take(n).any(|before| before == name));
        if self.0.is_empty() {
            Some("at least one assignor is needed")
        } else if twice() {
            Some("two assignors have the same name")
        } else {
            None
        }
    }
}

fn by_name(name: &str) -> Result<Arc<dyn Assignor>, String> {
    let short = name.strip_prefix("org.apache.kafka.clients.consumer.").unwrap_or(name);
    Ok(match short {
        "range" | "RangeAssignor" => Arc::new(RangeAssignor),
        "roundrobin" | "RoundRobinAssignor" => Arc::new(RoundRobinAssignor),
        "sticky" | "StickyAssignor" => Arc::new(StickyAssignor),
        "cooperative-sticky" | "CooperativeStickyAssignor" => Arc::new(CooperativeStickyAssignor),
        _ => return Err(format!("there is no assignor {name}")),
    })
}

impl Default for Assignors {
    /// Kafka's.
    fn default() -> Self {
        Self(vec![Arc::new(RangeAssignor), Arc::new(CooperativeStickyAssignor)])
    }
}

impl fmt::Display for Assignors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}

impl fmt::Debug for Assignors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl PartialEq for Assignors {
    fn eq(&self, other: &Self) -> bool {
        self.names().eq(other.names())
    }
}

impl Eq for Assignors {}
