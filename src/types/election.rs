//! Elections by hand.

/// Which leader an election by hand is to find. (Kafka: `ElectionType`)
///
/// ```
/// # use brooklet::*;
/// # fn main() -> Result<()> {
/// let cluster = Cluster::builder().brokers(3).topic("orders", TopicConfig::new()).start()?;
/// let preferred = cluster.leader("orders", 0)?;
/// cluster.stop(preferred)?;
/// cluster.restart(preferred)?;
/// cluster.run_until(std::time::Duration::from_secs(30), Cluster::has_converged)?;
/// assert_ne!(cluster.leader("orders", 0)?, preferred);
/// cluster.admin().elect_leader(("orders", 0), ElectionType::Preferred)?;
/// assert_eq!(cluster.leader("orders", 0)?, preferred);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ElectionType {
    /// The first replica is to lead, if it is in sync.
    Preferred,
    /// Where nobody leads, any replica that lives is to, also one that may lack records that were acknowledged.
    Unclean,
}
