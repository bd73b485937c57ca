//! What a group is at.

use std::fmt;

/// What a group is at, by Kafka's names. More may come.
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// # let broker = Broker::temporary()?;
/// # broker.create_topic("orders", TopicConfig::new())?;
/// let consumer = broker.consumer("billing").subscribe("orders")?;
/// assert_eq!(broker.admin().describe_group("billing")?.state, GroupState::Stable);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GroupState {
    /// It has no members.
    Empty,
    /// Its members are to join once more, so that they are known when the partitions are divided.
    PreparingRebalance,
    /// Its members are known, and wait for their partitions.
    CompletingRebalance,
    /// It has members, and each has its partitions.
    Stable,
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        })
    }
}
